"""The network as processors measure it: the same function, its input gradients by other arithmetic."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from scipy.stats import spearmanr
from test_folding import NETWORKS, lived_in
from torch import nn

import curvaudit
from curvaudit.scores import ScoreSettings, build
from curvaudit.scores.measure import measure
from curvaudit.training import measured, winograd
from curvaudit.training.convolution import Convolution
from curvaudit.training.folding import folded
from curvaudit.training.frozen import freeze
from curvaudit.training.measured import as_measured, gradient_arithmetic
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
    fast = freeze(copy.deepcopy(light), bf16=False)
    x = torch.rand(6, *shape[1:])
    for _ in range(2):  # a second pass finds nothing of the first
        (logits, gradient), (of_light, wanted) = logits_and_gradient(fast, x), logits_and_gradient(light, x)
        torch.testing.assert_close(logits, of_light, rtol=1e-3, atol=1e-4 * float(of_light.abs().max()))
        apart = (gradient - wanted).flatten(1).norm(dim=1) / wanted.flatten(1).norm(dim=1)  # (B,)
        # By processor, a value next to zero may round to the other side of a ReLU: that gradient jumps a little.
        assert apart.median() < 1e-4 and apart.max() < 0.1
    with torch.no_grad():
        torch.testing.assert_close(fast(x), light(x), rtol=1e-3, atol=1e-4 * float(light(x).abs().max()))


def test_bf16_rounds_gradients_and_nothing_else():
    torch.manual_seed(0)
    model, shape = WIDE["the same, channels last"]()
    light = folded(lived_in(model).eval())
    x = torch.rand(shape)
    exact, rounded = (logits_and_gradient(freeze(copy.deepcopy(light), bf16=bf16), x) for bf16 in (False, True))
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
    exact, rounded = (freeze(copy.deepcopy(light), bf16=bf16) for bf16 in (False, True))
    assert curvature(exact) == pytest.approx(wanted, rel=0.01)
    # Around a random network gradients differ by less than a hundredth, which is little beside rounding to bf16.
    assert spearmanr(curvature(rounded), wanted).statistic > 0.98
    for network in (exact, rounded):
        assert curvature(network, 7) == pytest.approx(curvature(network), rel=0.01)


def test_the_network_in_training_is_untouched():
    model = lived_in(ResNet18(3, 1, 16, small_stem=True)).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x = torch.rand(2, 1, 16, 16)
    wanted = model(x)
    logits_and_gradient(as_measured(model, CPU, bf16=True, rounding=True), x)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(model(x), wanted)


def test_only_stages_that_follow_each_other_are_one_step():
    torch.manual_seed(0)
    parts = folded(lived_in(ResNet18(3, 1, 8, small_stem=True)).eval())
    apart = nn.Sequential(parts.conv1, parts.layer1, nn.Tanh(), nn.Sequential(), parts.layer2, parts.layer3)
    x = torch.rand(2, 1, 16, 16)
    wanted = apart(x)
    freeze(apart, bf16=False)
    assert [hasattr(module, "blocks") for module in apart] == [False, True, False, False, True, False]
    torch.testing.assert_close(apart(x), wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("rounding", [False, True])
@pytest.mark.parametrize("hardware", [False, True])
@pytest.mark.parametrize("bf16", [False, True])
def test_gradients_are_rounded_only_where_that_is_asked_for_and_fast_and_moves_no_rank(
    bf16, hardware, rounding, monkeypatch
):
    monkeypatch.setattr(measured, "multiplies_bf16", lambda device: hardware)
    network = as_measured(ResNet18(3, 1, 8, small_stem=True), CPU, bf16=bf16, rounding=rounding)
    kept = [module.kept for module in network.modules() if hasattr(module, "kept")]
    rounds = bf16 and hardware and rounding
    assert kept == [torch.bfloat16 if rounds else torch.float32] * rounding
    said = gradient_arithmetic(CPU, bf16=bf16, rounding=rounding)
    assert said == ("bf16" if rounds else "float32")


def test_another_device_takes_torchs_own_way():
    model, device = ResNet18(3, 1, 8, small_stem=True), torch.device("meta")
    network = as_measured(model, device, bf16=True, rounding=True)
    assert [type(module) for module in network.modules()] == [type(module) for module in folded(model).modules()]
    cuda = torch.device("cuda")
    assert [gradient_arithmetic(cuda, bf16=True, rounding=rounding) for rounding in (True, False)] == [
        "tf32",
        "float32",
    ]


@pytest.mark.parametrize(
    "settings, rounding",
    [({}, True), ({"step": 1e-4}, False), ({"step": 1e-2}, True)],
)
@pytest.mark.parametrize("precision", ["bf16", "float32"])
def test_a_scan_rounds_gradients_where_its_step_bears_it(settings, rounding, precision, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(measured, "multiplies_bf16", lambda device: True)
    monkeypatch.setattr(measured, "freeze", lambda network, bf16: asked.append(bf16) or freeze(network, bf16=bf16))
    pictures = [(Image.new("L", (8, 8), 9 * number), number % 2) for number in range(20)]
    given = {"precision": precision, "epochs": 1, "width": 8, "resolution": 8, "device": "cpu", **settings}
    run = curvaudit.scan(Listed(pictures), tmp_path / "run.h5", **given)
    assert set(asked) == ({precision == "bf16"} if rounding else set())
    assert run.info.environment["gradients"] == ("bf16" if rounding and precision == "bf16" else "float32")


class Listed(list):
    classes = ("even", "odd")


@pytest.mark.parametrize(
    "side, wanted", [(1, False), (2, False), (3, False), (4, True), (5, False), (6, False), (7, True), (8, True)]
)
def test_winograd_is_taken_where_pictures_are_mostly_whole_tiles(side, wanted, monkeypatch):
    assert winograd.pays(side, side) == wanted
    taken = []
    convolved = winograd.convolved
    monkeypatch.setattr(winograd, "convolved", lambda *given: taken.append(1) or convolved(*given))
    for channels, stride in ((winograd.LEAST_CHANNELS, 1), (winograd.LEAST_CHANNELS, 2), (8, 1)):
        layer = nn.Conv2d(channels, channels, 3, stride, 1)
        x = torch.rand(2, channels, side, side, requires_grad=True)
        result = layer(x)
        convolution = Convolution.of(layer, bf16=False)
        torch.testing.assert_close(convolution.forward(x.detach()), result, rtol=1e-3, atol=1e-4)
        gradient = torch.autograd.grad(result.sum(), x)[0]
        torch.testing.assert_close(
            convolution.backward(torch.ones_like(result), x.shape), gradient, rtol=1e-3, atol=1e-4
        )
    assert len(taken) == 2 * wanted


@pytest.mark.parametrize("height, width", [(1, 1), (2, 3), (4, 4), (5, 7), (16, 16), (9, 33)])
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


@pytest.mark.parametrize(
    "what", [{"groups": 2}, {"dilation": 2}, {"padding_mode": "reflect", "padding": 1}, {"padding": "same"}]
)
def test_what_no_resnet_has_is_refused(what):
    with pytest.raises(ValueError, match="not a plain convolution"):
        Convolution.of(nn.Conv2d(4, 4, 3, **what), bf16=False)
