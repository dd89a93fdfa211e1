"""The network as processors measure it: the same function, its input gradients by other arithmetic."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr
from test_folding import NETWORKS, lived_in
from torch import nn

from curvaudit.scores import ScoreSettings, build
from curvaudit.scores.measure import measure
from curvaudit.training import frozen as frozen_networks
from curvaudit.training import winograd
from curvaudit.training.convolution import Convolution
from curvaudit.training.folding import folded
from curvaudit.training.frozen import as_measured, frozen
from curvaudit.training.model import ResNet18, build_model

CPU = torch.device("cpu")
WIDE = {
    **NETWORKS,
    "wide enough for Winograd, odd sizes": lambda: (ResNet18(5, 1, 32, small_stem=True), (3, 1, 27, 30)),
    "the same, channels last": lambda: (
        ResNet18(5, 1, 32, small_stem=True).to(memory_format=torch.channels_last),
        (3, 1, 20, 20),
    ),
}


def logits_and_gradient(network: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    at = x.clone().requires_grad_()
    logits = network(at)
    return logits.detach(), torch.autograd.grad(logits.logsumexp(1).sum(), at)[0]


@pytest.mark.parametrize("name", WIDE)
def test_outputs_and_input_gradients_are_those_of_the_folded_network(name):
    torch.manual_seed(0)
    model, shape = WIDE[name]()
    light = folded(lived_in(model).eval())
    fast = frozen(light, bf16=False)
    x = torch.rand(shape)
    for _ in range(2):  # a second pass finds nothing of the first
        for found, wanted in zip(logits_and_gradient(fast, x), logits_and_gradient(light, x), strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4 * float(wanted.abs().max()))
    with torch.no_grad():
        torch.testing.assert_close(fast(x), light(x), rtol=1e-3, atol=1e-4 * float(light(x).abs().max()))


def test_bf16_rounds_gradients_and_nothing_else():
    torch.manual_seed(0)
    model, shape = WIDE["the same, channels last"]()
    light = folded(lived_in(model).eval())
    x = torch.rand(shape)
    exact, rounded = (logits_and_gradient(frozen(light, bf16=bf16), x) for bf16 in (False, True))
    assert torch.equal(exact[0], rounded[0])
    assert rounded[1].dtype == torch.float32
    away = (rounded[1] - exact[1]).norm() / exact[1].norm()
    assert 1e-4 < away < 2e-2  # bf16 has eight bits


def test_both_ways_rank_as_the_folded_network_does():
    torch.manual_seed(0)
    model = lived_in(
        build_model(classes=4, channels=1, resolution=12, width=32, mean=torch.zeros(1), std=torch.ones(1), seed=0)
    ).eval()
    pixels, labels = torch.randint(0, 256, (40, 1, 12, 12), dtype=torch.uint8), torch.randint(0, 4, (40,))
    light = folded(model)

    def curvature(network: nn.Module, batch_size: int = 16):
        scores = build(ScoreSettings(probes=3))
        return measure(network, pixels, labels, scores, epoch=1, batch_size=batch_size, device=CPU)["curvature"]

    wanted = curvature(light)
    exact, rounded = frozen(light, bf16=False), frozen(light, bf16=True)
    assert curvature(exact) == pytest.approx(wanted, rel=0.01)
    # Around a random network gradients differ by less than a hundredth, which is little beside rounding to bf16.
    assert spearmanr(curvature(rounded), wanted).statistic > 0.98
    for network in (exact, rounded):
        assert curvature(network, 7) == pytest.approx(curvature(network), rel=0.01)


def test_the_original_is_untouched():
    light = folded(lived_in(ResNet18(3, 1, 16, small_stem=True)))
    before = {name: value.clone() for name, value in light.state_dict().items()}
    x = torch.rand(2, 1, 16, 16)
    wanted = light(x)
    logits_and_gradient(frozen(light, bf16=True), x)
    assert all(torch.equal(value, before[name]) for name, value in light.state_dict().items())
    assert torch.equal(light(x), wanted)


@pytest.mark.parametrize("hardware", [False, True])
@pytest.mark.parametrize("wanted", [False, True])
def test_gradients_are_rounded_only_where_that_is_asked_for_and_fast(hardware, wanted, monkeypatch):
    monkeypatch.setattr(frozen_networks, "multiplies_bf16", lambda device: hardware)
    network = as_measured(ResNet18(3, 1, 8, small_stem=True), CPU, bf16=wanted)
    kept = [module.kept for module in network.modules() if hasattr(module, "kept")]
    assert kept == [torch.bfloat16 if hardware and wanted else torch.float32]


def test_another_device_takes_torchs_own_way():
    network = as_measured(ResNet18(3, 1, 8, small_stem=True), torch.device("meta"), bf16=True)
    assert [type(module) for module in network.modules()] == [
        type(module) for module in folded(ResNet18(3, 1, 8, small_stem=True)).modules()
    ]


@pytest.mark.parametrize("height, width", [(4, 4), (5, 7), (16, 16), (9, 33)])
@pytest.mark.parametrize("count", [1, 37])
def test_winograd_is_the_convolution(height, width, count):
    torch.manual_seed(0)
    images = torch.randn(count, 6, height, width).to(memory_format=torch.channels_last)
    weight = torch.randn(10, 6, 3, 3)
    wanted = F.conv2d(images.double(), weight.double(), padding=1)
    found = winograd.convolved(images, winograd.transformed(weight))
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert float((found - wanted).abs().max()) < 1e-4 * float(wanted.std())


@pytest.mark.parametrize("kernel, stride, padding", [(1, 2, 0), (1, 1, 0), (3, 2, 1), (1, 2, 1)])
@pytest.mark.parametrize("side", [8, 9])
def test_the_added_gradient_is_autograds(kernel, stride, padding, side):
    torch.manual_seed(0)
    layer = nn.Conv2d(5, 7, kernel, stride, padding)
    x = torch.randn(3, 5, side, side, requires_grad=True)
    result = layer(x)
    gradient = torch.randn_like(result)
    wanted = torch.autograd.grad(result, x, gradient)[0]
    total = torch.ones_like(x)
    found = Convolution.of(layer, bf16=False).add_backward(gradient, total)
    assert found is total
    torch.testing.assert_close(found, wanted + 1, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("what", [{"groups": 2}, {"dilation": 2}, {"padding_mode": "reflect", "padding": 1}])
def test_what_no_resnet_has_is_refused(what):
    with pytest.raises(ValueError, match="not a plain convolution"):
        Convolution.of(nn.Conv2d(4, 4, 3, **what), bf16=False)
