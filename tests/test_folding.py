"""The network as it is measured: without batch normalization, but the same function."""

import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from curvaudit.training.folding import folded
from curvaudit.training.model import ResNet18, build_model


def lived_in(model: nn.Module, seed: int = 0) -> nn.Module:
    """With statistics and affine parameters as after training: at their initial values folding is trivial."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            size = module.num_features
            module.running_mean.copy_(torch.randn(size, generator=generator))
            module.running_var.copy_(torch.rand(size, generator=generator) + 0.3)
            module.weight.data.copy_(torch.rand(size, generator=generator) + 0.5)
            module.bias.data.copy_(torch.randn(size, generator=generator))
    return model


NETWORKS = {
    "small stem": lambda: (ResNet18(5, 1, 8, small_stem=True), (4, 1, 28, 28)),
    "large stem": lambda: (ResNet18(5, 3, 8, small_stem=False), (4, 3, 96, 96)),
    "torchvision": lambda: (resnet18(num_classes=5), (2, 3, 96, 96)),
    "normalized": lambda: (
        build_model(
            classes=5,
            channels=3,
            resolution=16,
            width=16,
            mean=torch.tensor([0.4, 0.5, 0.6]),
            std=torch.tensor([0.2, 0.3, 0.4]),
            seed=0,
        ),
        (4, 3, 16, 16),
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_and_input_gradients_are_those_of_the_eval_network(name):
    torch.manual_seed(0)
    model, shape = NETWORKS[name]()
    lived_in(model).eval()
    light = folded(model)
    assert any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in light.modules())
    x = torch.rand(shape)
    results = []
    for network in (model, light):
        at = x.clone().requires_grad_()
        logits = network(at)
        results.append((logits.detach(), torch.autograd.grad(logits.logsumexp(1).sum(), at)[0]))
    for whole, without in zip(*results, strict=True):
        torch.testing.assert_close(without, whole, rtol=1e-4, atol=1e-5 * float(whole.abs().max()))


def test_the_original_is_untouched_and_shares_nothing():
    model = lived_in(ResNet18(3, 1, 4, small_stem=True)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    light = folded(model)
    assert model.training and not light.training
    with torch.no_grad():
        for parameter in light.parameters():
            parameter.zero_()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.requires_grad for p in model.parameters())
