"""The curvature score against an oracle, and what it must not depend on."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from curvaudit.scores import build, dealing
from curvaudit.scores.interface import Batch, Before, ScoreSettings
from curvaudit.scores.measure import measure
from curvaudit.scores.probes import rademacher
from curvaudit.training.folding import folded
from curvaudit.training.model import build_model

CPU = torch.device("cpu")


def smooth_network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 24), nn.Tanh(), nn.Linear(24, 16), nn.Tanh(), nn.Linear(16, 4))


def pictures(count: int = 12, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (count, 1, 6, 6), generator=generator, dtype=torch.uint8)
    return pixels, torch.randint(0, 4, (count,), generator=generator)


def curvature(model: nn.Module, pixels: torch.Tensor, labels: torch.Tensor, **settings) -> np.ndarray:
    probes = settings.pop("probes", 1)
    step = settings.pop("step", 1e-3)
    batch_size = settings.pop("batch_size", 5)
    scores = build(ScoreSettings(probes=probes, step=step, seed=3))
    values = measure(model, pixels, labels, scores, epoch=2, batch_size=batch_size, device=CPU, **settings)
    return values["curvature"]


def dense_hessian_norms(model: nn.Module, pixels: torch.Tensor, labels: torch.Tensor) -> np.ndarray:
    """‖H‖²_F a sample, by exact second derivatives."""
    norms = []
    for image, label in zip(pixels.float() / 255, labels, strict=True):

        def loss(x, label=label):
            return nn.functional.cross_entropy(model(x.reshape(1, 1, 6, 6)), label[None])

        hessian = torch.autograd.functional.hessian(loss, image.flatten())
        norms.append(float(hessian.square().sum()))
    return np.array(norms)


def test_converges_to_the_dense_hessian_on_a_smooth_network():
    model = smooth_network().double().float()
    pixels, labels = pictures()
    exact = dense_hessian_norms(model, pixels, labels)
    step = 1e-2  # float32 differences need a step well above rounding
    errors = {}
    for probes in (10, 100, 1000):
        estimate = curvature(model, pixels, labels, probes=probes, step=step) / step**2
        errors[probes] = float(np.median(np.abs(estimate / exact - 1)))
    assert errors[10] < 0.35
    assert errors[100] < 0.12
    assert errors[1000] < 0.05


def test_is_the_squared_norm_and_divides_by_nothing():
    """Equation 6 written out by hand for one sample and two probes."""
    model = smooth_network()
    pixels, labels = pictures(1)
    x = (pixels.float() / 255).requires_grad_()

    def gradient(at):
        return torch.autograd.grad(nn.functional.cross_entropy(model(at), labels, reduction="sum"), at)[0]

    clean = gradient(x)
    expected = 0.0
    for probe in range(2):
        v = rademacher(3, torch.tensor([0]), 2, probe, (1, 6, 6))
        expected += float((gradient((x + 1e-3 * v).detach().requires_grad_()) - clean).square().sum())
    assert curvature(model, pixels, labels, probes=2)[0] == pytest.approx(expected / 2, rel=1e-5)


def resnet_case():
    pixels = torch.randint(0, 256, (13, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    labels = torch.arange(13) % 4
    model = build_model(
        classes=4,
        channels=3,
        resolution=16,
        width=8,
        mean=torch.tensor([0.5, 0.5, 0.5]),
        std=torch.tensor([0.25, 0.25, 0.25]),
        seed=0,
    )
    return model, pixels, labels


@pytest.mark.parametrize("batch_size", [1, 4, 13])
def test_does_not_depend_on_the_batch_size(batch_size):
    model, pixels, labels = resnet_case()
    scores = build(ScoreSettings(probes=3))
    whole = measure(model, pixels, labels, scores, epoch=1, batch_size=7, device=CPU)
    other = measure(model, pixels, labels, scores, epoch=1, batch_size=batch_size, device=CPU)
    for name, values in whole.items():
        np.testing.assert_allclose(other[name], values, rtol=2e-3, atol=1e-7, err_msg=name)


def test_does_not_depend_on_the_other_samples_of_the_batch():
    model, pixels, labels = resnet_case()
    scores = build(ScoreSettings(probes=2))
    whole = measure(model, pixels, labels, scores, epoch=1, batch_size=13, device=CPU)
    others, swapped = 255 - pixels.flip(0), labels.flip(0).clone()
    others[6], swapped[6] = pixels[6], labels[6]  # row 6 stays in its place, its company is another
    mixed = measure(model, others, swapped, scores, epoch=1, batch_size=13, device=CPU)
    for name, values in whole.items():
        assert mixed[name][6] == pytest.approx(values[6], rel=2e-3, abs=1e-6), name
    assert mixed["curvature"][5] != pytest.approx(whole["curvature"][5], rel=1e-2)


def test_permuted_samples_keep_their_scores():
    """In any order of evaluation a row's probes, and so its score, are its own."""
    model, pixels, labels = resnet_case()
    scores = build(ScoreSettings(probes=2))
    whole = measure(model, pixels, labels, scores, epoch=1, batch_size=13, device=CPU)
    for row in np.random.default_rng(0).permutation(13).tolist():
        alone = measure(model, pixels[[row]], labels[[row]], scores, epoch=1, batch_size=1, device=CPU, first_row=row)
        for name, values in whole.items():
            assert alone[name][0] == pytest.approx(values[row], rel=2e-3, abs=1e-6), name


def test_the_folded_network_has_the_same_scores():
    model, pixels, labels = resnet_case()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)
    scores = build(ScoreSettings(probes=4))
    whole = measure(model, pixels, labels, scores, epoch=1, batch_size=13, device=CPU)
    light = measure(folded(model), pixels, labels, scores, epoch=1, batch_size=13, device=CPU)
    for name, values in whole.items():
        np.testing.assert_allclose(light[name], values, rtol=5e-2 if name == "curvature" else 1e-3, atol=1e-6)


def test_measuring_leaves_no_trace_in_the_model():
    model, pixels, labels = resnet_case()
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    measure(model, pixels, labels, build(), epoch=1, batch_size=4, device=CPU)
    assert model.training
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_other_scores_follow_their_definitions():
    model, pixels, labels = resnet_case()
    values = measure(model, pixels, labels, build(), epoch=1, batch_size=5, device=CPU)
    with torch.no_grad():
        logits = model.eval()(pixels.float() / 255)
    chance = logits.softmax(1)
    for row, label in enumerate(labels.tolist()):
        others = [float(logits[row, k]) for k in range(4) if k != label]
        error = chance[row].clone()
        error[label] -= 1
        assert values["loss"][row] == pytest.approx(-float(chance[row, label].log()), rel=1e-3)
        assert values["margin"][row] == pytest.approx(float(logits[row, label]) - max(others), rel=1e-3, abs=1e-4)
        assert values["el2n"][row] == pytest.approx(float(error.norm()), rel=1e-3)
        assert values["prediction"][row] == int(logits[row].argmax())
        assert values["correct"][row] == float(int(logits[row].argmax()) == label)


def test_probes_are_fair_coins_and_depend_on_sample_epoch_probe_and_seed():
    rows = torch.arange(400)
    v = rademacher(0, rows, 1, 0, (3, 8, 8))
    assert set(v.unique().tolist()) == {-1.0, 1.0}
    assert abs(float(v.mean())) < 0.012  # 76,800 fair coins: five standard deviations are 0.018
    correlation = (v.flatten(1) @ v.flatten(1).T / 192).fill_diagonal_(0)
    assert float(correlation.abs().max()) < 0.45
    for other in (
        rademacher(1, rows, 1, 0, (3, 8, 8)),
        rademacher(0, rows, 2, 0, (3, 8, 8)),
        rademacher(0, rows, 1, 1, (3, 8, 8)),
        rademacher(0, rows + 400, 1, 0, (3, 8, 8)),
    ):
        assert 0.47 < float((v == other).float().mean()) < 0.53
    assert torch.equal(rademacher(0, rows[137:139], 1, 0, (3, 8, 8)), v[137:139])


def test_unmeasured_epochs_are_left_out_of_the_mean():
    from curvaudit.scores.interface import mean_over_epochs

    values = np.array([[1.0, np.nan], [np.nan, np.nan], [3.0, np.nan]], np.float32)
    reduced = mean_over_epochs(values)
    assert reduced[0] == 2.0
    assert np.isnan(reduced[1])


@pytest.mark.parametrize("above", [0, 1, 3, 7, 12, 13])
@pytest.mark.parametrize("batch_size", [1, 3, 5, 13])
@pytest.mark.parametrize("mostly_above", [True, False])
def test_gradients_are_taken_where_the_loss_is_above_the_bound_and_stay_the_same(above, batch_size, mostly_above):
    """Whether batches are differentiated at once or the few are collected must not show."""
    model, pixels, labels = resnet_case()
    whole = measure(model, pixels, labels, build(ScoreSettings(probes=2)), epoch=1, batch_size=5, device=CPU)
    steps = [0, *np.sort(whole["loss"]).tolist(), 1e9]
    bound = (steps[13 - above] + steps[14 - above]) / 2
    told: list[int] = []
    some = build(ScoreSettings(probes=2, least_loss=bound))
    case = {"epoch": 1, "batch_size": batch_size, "device": CPU, "mostly_above": mostly_above}
    found = measure(model, pixels, labels, some, on_batch=told.append, **case)
    np.testing.assert_allclose(found["loss"], whole["loss"], rtol=1e-5)
    quiet = whole["loss"] < bound
    assert quiet.sum() == 13 - above and sum(told) == 13
    for name in ("curvature", "gradient"):
        assert (found[name][quiet] == 0).all() and (whole[name] > 0).all()
        np.testing.assert_allclose(found[name][~quiet], whole[name][~quiet], rtol=2e-3, err_msg=name)
    for name in set(whole) - {"curvature", "gradient"}:
        np.testing.assert_allclose(found[name], whole[name], rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("batch_size", [1, 3, 5, 13])
def test_samples_get_as_many_probes_as_their_gradient_asks_for(batch_size):
    """Each value is equation 6 with that many of the sample's own probes, whatever the batch."""
    model, pixels, labels = resnet_case()
    case = {"epoch": 1, "device": CPU}
    by_count = {
        n: measure(model, pixels, labels, build(ScoreSettings(probes=n)), batch_size=13, **case) for n in range(1, 5)
    }
    gradient = by_count[1]["gradient"].astype(float)
    before = Before(total=gradient * np.tile([0.01, 1, 100], 5)[:13], epochs=1, usual=float(gradient.max()))
    dealt = build(ScoreSettings(probes=2, probes_at_most=4))
    found = measure(model, pixels, labels, dealt, batch_size=batch_size, before=before, **case)
    counts = found["probes"].astype(int)
    own = gradient / ((before.total + gradient) / 2)
    wanted = np.minimum(2 * (own / 2 + gradient / before.usual / 2), 4)
    assert (np.abs(counts - wanted) < 1).all()  # rounded up or down
    assert {0, 2} < set(counts.tolist())
    expected = [by_count[n]["curvature"][row] if n else np.nan for row, n in enumerate(counts)]
    np.testing.assert_allclose(found["curvature"], expected, rtol=2e-3)


@pytest.mark.parametrize(("probes", "most", "before", "expected"), [
    (1, 5, None, [3, 3, 3, 3]),  # nothing is known yet
    (1, 5, ([0.0, 2.25, 0.0, 1e4], 1, 2.25), [0, 1.0, 1.5, 5]),  # 1 time and 2 times the own mean, 1 time that of all
    (2, 5, ([0.0, 2.25, 0.0, 1e4], 1, 2.25), [0, 2.0, 3.0, 5]),
    (4, None, ([0.0, 2.25, 0.0, 1e4], 1, 2.25), [4, 4, 4, 4]),  # asked for four: four each
    (1, 5, ([0.0, 0.0, 0.0, 0.0], 1, 0.0), [0, 5, 5, 5]),  # no gradient ever before
])  # fmt: skip
def test_number_of_probes_is_that_which_the_gradient_asks_for_over_many_epochs(probes, most, before, expected):
    """`before` is the sum of gradients, the number of epochs, and the mean of all in the last one."""
    gradient = torch.zeros(4, 1, 2, 2)
    gradient[:, 0, 1, 1] = torch.tensor([0.0, 1.5, 1.5, 100.0])  # squared norms 0, 2.25, 2.25, 10,000
    settings = ScoreSettings(probes=probes, probes_at_most=most)
    past = before and Before(np.array(before[0]), *before[1:])
    none, rows = torch.zeros(4), torch.arange(4)

    def counts(epoch):
        return dealing.counts(Batch(none, none, rows, epoch, none, none, gradient, None, 4, past), settings)

    found = np.array([counts(epoch) for epoch in range(1, 401)])
    assert (found.max(axis=0) - found.min(axis=0) <= 1).all()
    np.testing.assert_allclose(found.mean(axis=0), expected, atol=0.01)


def test_a_gradient_that_is_no_number_is_probed_so_that_it_is_seen():
    gradient = torch.tensor([float("nan"), float("inf")]).reshape(2, 1, 1, 1)
    none, rows = torch.zeros(2), torch.arange(2)
    batch = Batch(none, none, rows, 1, none, none, gradient, None, 2, Before(np.ones(2), 1, 1.0))
    assert (dealing.counts(batch, ScoreSettings(probes_at_most=5)) >= 1).all()


def test_without_a_probe_curvature_is_the_gradient_times_the_ratio_of_those_probed():
    values = {
        "gradient": np.float32([1, 2, 4, 0, 8, 3]),
        "curvature": np.float32([np.nan, 20, 60, 0, np.nan, np.nan]),
        "probes": np.float32([0, 1, 3, 0, 0, 2]),  # the last was probed, and is not a number
    }
    ratio = dealing.ratio(values, before=7.0)
    assert ratio == pytest.approx(80 / 6)
    expected = [ratio, 20, 60, 0, 8 * ratio, np.nan]
    np.testing.assert_allclose(dealing.completed(values, ratio), expected, rtol=1e-6)
    nothing = {name: one[[0, 3, 4]] for name, one in values.items()}
    assert dealing.ratio(nothing, before=7.0) == 7.0


@pytest.mark.parametrize("batch_size", [1, 5, 13])
def test_a_score_without_a_bound_changes_nothing_for_those_that_have_one(batch_size):
    model, pixels, labels = resnet_case()
    loss = measure(model, pixels, labels, build(), epoch=1, batch_size=13, device=CPU)["loss"]
    bounded = build(ScoreSettings(least_loss=float(np.median(loss))))
    gradient = next(score for score in build() if score.name == "gradient")
    case = {"epoch": 1, "batch_size": batch_size, "device": CPU}
    alone = measure(model, pixels, labels, bounded, **case)
    found = measure(model, pixels, labels, (*bounded, replace(gradient, name="unbounded")), **case)
    assert (found["unbounded"] > 0).all() and (alone["curvature"] == 0).sum() == 6
    for name, values in alone.items():
        np.testing.assert_allclose(found[name], values, rtol=2e-3, atol=1e-6, err_msg=name)


def test_few_above_the_bound_are_differentiated_in_full_batches():
    """What the bound is for: no backward pass for those below it."""
    model, pixels, labels = resnet_case()
    loss = measure(model, pixels, labels, build(), epoch=1, batch_size=13, device=CPU)["loss"]
    score = next(
        score for score in build(ScoreSettings(least_loss=float(np.sort(loss)[-3]))) if score.name == "gradient"
    )
    sizes = []
    counted = replace(score, measure=lambda batch: (sizes.append(len(batch.labels)), score.measure(batch))[1])
    spread = np.argsort(loss)[[0, 10, 1, 11, 2, 12, *range(3, 10)]]  # of the three above it each in another batch
    case = {"epoch": 1, "batch_size": 2, "device": CPU, "mostly_above": False}
    measure(model, pixels[spread], labels[spread], (counted,), **case)
    assert sorted(sizes) == [1, 2]


@pytest.mark.skipif(not hasattr(torch.backends, "fp32_precision"), reason="this torch has no newer switches")
@pytest.mark.parametrize("chosen", ["older", "newer"])
def test_forward_passes_are_full_float32_and_backward_ones_tf32_whatever_the_program_chose_for_itself(chosen):
    # In a process of its own: torch remembers which kind of switches was used.
    choice = {
        "older": "b.cuda.matmul.allow_tf32 = b.cudnn.allow_tf32 = True",
        "newer": "b.fp32_precision = 'tf32'; b.cuda.matmul.fp32_precision = 'tf32'",
    }[chosen]
    seen = "b.cuda.matmul.fp32_precision, b.cudnn.conv.fp32_precision"
    program = (
        f"import torch; from curvaudit.scores.measure import _arithmetic; b = torch.backends; {choice}\n"
        f"before = {seen}\nwith _arithmetic(False): print('tf32' in ({seen}))\n"
        f"with _arithmetic(True): print({seen})\n"
        f"print('tf32' in before, before == ({seen}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["False", "tf32 tf32", "True True"]


@pytest.mark.parametrize(("step", "rounded"), [(1e-2, True), (1e-3, True), (1e-4, False)])
def test_only_steps_of_a_thousandth_and_more_may_be_rounded(monkeypatch, step, rounded):
    from curvaudit.scores import measure as module

    asked, run = [], module._run

    def remember(model, images, given, differentiate, tf32):
        asked.append(tf32)
        return run(model, images, given, differentiate, tf32)

    monkeypatch.setattr(module, "_run", remember)
    pixels, labels = pictures()
    model = smooth_network()
    measure(model, pixels, labels, build(ScoreSettings(step=step)), epoch=1, batch_size=4, device=CPU)
    assert set(asked) == {rounded}


def test_a_network_that_was_in_eval_mode_stays_there():
    model, pixels, labels = resnet_case()
    measure(model.eval(), pixels, labels, build(), epoch=1, batch_size=4, device=CPU)
    assert not model.training and all(parameter.requires_grad for parameter in model.parameters())
