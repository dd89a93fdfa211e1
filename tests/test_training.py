"""Model, schedule and augmentation."""

from contextlib import contextmanager, nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from torchvision.models import resnet18

from curvaudit.engine.settings import ScanSettings, with_overrides
from curvaudit.engine.work import binding
from curvaudit.errors import CurvauditError
from curvaudit.training import device as choices
from curvaudit.training.augment import augment
from curvaudit.training.batch_norm import calibrate
from curvaudit.training.loop import build_optimizer, train
from curvaudit.training.model import ResNet18, build_model
from curvaudit.training.presets import PRESETS, named
from curvaudit.training.steps import RecordedSteps, Steps, _Recording


def test_width_64_with_the_large_stem_is_torchvisions_resnet18():
    ours, theirs = ResNet18(10, 3, 64, small_stem=False).eval(), resnet18(num_classes=10).eval()
    theirs.load_state_dict(ours.state_dict())
    x = torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize(("resolution", "stem"), [(28, (3, 3)), (64, (3, 3)), (65, (7, 7))])
def test_small_inputs_get_the_small_stem(resolution, stem):
    model = build_model(
        classes=5, channels=1, resolution=resolution, width=4, mean=torch.zeros(1), std=torch.ones(1), seed=0
    )
    assert model.network.conv1.kernel_size == stem
    assert model(torch.rand(2, 1, resolution, resolution)).shape == (2, 5)


def test_the_seed_alone_decides_the_initial_weights():
    def weights(seed):
        torch.rand(7)  # the global generator must not matter
        model = build_model(
            classes=3, channels=3, resolution=16, width=4, mean=torch.zeros(3), std=torch.ones(3), seed=seed
        )
        return torch.cat([p.flatten() for p in model.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_paper_presets_follow_appendix_c():
    mnist, cifar, imagenet = (named(f"paper-{name}", 50_000, 3) for name in ("mnist", "cifar", "imagenet"))
    assert (mnist.epochs, mnist.milestones, mnist.augmentation) == (200, (80, 160), "none")
    assert (cifar.epochs, cifar.milestones, cifar.augmentation) == (300, (150, 250), "crop-flip")
    assert (imagenet.epochs, imagenet.milestones, imagenet.curvature_every) == (200, (120, 160), 4)
    for recipe in (mnist, cifar, imagenet):
        assert recipe.probes == 10
        assert recipe.learning_rate_at(0) == pytest.approx(0.1)
        assert recipe.learning_rate_at(recipe.milestones[0]) == pytest.approx(0.01)
        assert recipe.learning_rate_at(recipe.epochs - 0.1) == pytest.approx(0.001)
    with pytest.raises(CurvauditError, match="paper-cifra"):
        named("paper-cifra", 10, 3)
    assert all(named(name, 10, 1).preset == name for name in PRESETS)


def test_one_cycle_rises_falls_and_never_stops():
    recipe = named("fast", 10_000, 3)
    rates = [recipe.learning_rate_at(e / 4) for e in range(4 * (recipe.epochs + recipe.extension) + 1)]
    assert max(rates) <= recipe.learning_rate and min(rates) > 0
    peak = rates.index(max(rates))
    schedule = rates[: 4 * recipe.epochs]
    assert schedule[: peak + 1] == sorted(schedule[: peak + 1])
    assert schedule[peak:] == sorted(schedule[peak:], reverse=True)
    beyond = rates[4 * recipe.epochs :]
    restart = beyond.index(recipe.plain_rate)
    assert beyond[0] == pytest.approx(recipe.extension_rate) and beyond[0] > schedule[-1]
    smaller = with_overrides(recipe, ScanSettings(lr=recipe.learning_rate / 10))
    assert [smaller.learning_rate_at(e / 4) for e in range(len(rates))] == pytest.approx([rate / 10 for rate in rates])
    assert all(part == sorted(part, reverse=True) for part in (beyond[:restart], beyond[restart:]))


def test_crops_are_shifted_windows_and_grey_sets_are_never_mirrored():
    pixels = torch.arange(1, 65, dtype=torch.uint8).reshape(1, 1, 8, 8).repeat(200, 1, 1, 1)
    cropped = augment(pixels, "crop", seed=0, epoch=1, batch=0)
    padded = torch.nn.functional.pad(pixels[0], (1, 1, 1, 1))
    windows = {padded[:, y : y + 8, x : x + 8].numpy().tobytes() for y in range(3) for x in range(3)}
    seen = {image.numpy().tobytes() for image in cropped}
    assert seen == windows
    mirrored = augment(pixels, "crop-flip", seed=0, epoch=1, batch=0)
    both = windows | {padded[:, y : y + 8, x : x + 8].flip(2).numpy().tobytes() for y in range(3) for x in range(3)}
    assert {image.contiguous().numpy().tobytes() for image in mirrored} == both
    assert named("fast", 1000, 1).augmentation == "crop"
    assert torch.equal(cropped, augment(pixels, "crop", seed=0, epoch=1, batch=0))
    assert not torch.equal(cropped, augment(pixels, "crop", seed=0, epoch=2, batch=0))


def test_last_epochs_and_extension_run_without_augmentation():
    recipe = named("fast", 10_000, 3)
    assert recipe.augmentation_in(1) == "crop-flip"
    assert recipe.augmentation_in(recipe.epochs) == "none"
    assert recipe.augmentation_in(recipe.epochs + 1) == "none"


@pytest.mark.parametrize("epochs", [None, 1, 2, 7])
def test_curvature_is_measured_in_the_schedule_and_never_beyond(epochs):
    recipe = with_overrides(named("fast", 10_000, 3), ScanSettings(epochs=epochs))
    assert recipe.extension > 0
    assert recipe.measures_curvature(recipe.epochs)  # a plain epoch, however short the schedule
    assert not any(recipe.measures_curvature(recipe.epochs + more) for more in range(1, recipe.extension + 1))


def test_only_beyond_the_schedule_and_within_bounds_are_samples_rehearsed():
    recipe = named("fast", 10_000, 1)
    wrong = np.array([3, 70, 71])
    assert len(recipe.rehearsed(recipe.epochs, wrong, 10_000)) == 0
    assert sorted(recipe.rehearsed(recipe.epochs + 1, wrong, 10_000)) == sorted([3, 70, 71] * recipe.rehearsals)
    many = np.arange(400)
    assert sorted(recipe.rehearsed(recipe.epochs + 1, many, 10_000)) == sorted([*range(400)] * 2)  # a tenth more
    assert len(recipe.rehearsed(recipe.epochs + 1, np.arange(1001), 10_000)) == 0
    assert len(recipe.rehearsed(recipe.epochs + 1, wrong[:0], 10_000)) == 0
    paper = named("paper-cifar", 10_000, 3)
    assert len(paper.rehearsed(paper.epochs + 1, wrong, 10_000)) == 0


def test_what_is_still_wrong_is_seen_more_often_in_the_extension(monkeypatch):
    """Pictures tell their own row; counted is what reaches the network."""
    recipe = named("fast", 100, 1)
    pixels = torch.arange(100, dtype=torch.uint8)[:, None, None, None].repeat(1, 1, 8, 8)
    labels = torch.zeros(100, dtype=torch.int64)
    model = build_model(
        classes=2, channels=1, resolution=8, width=4, mean=torch.tensor([0.5]), std=torch.tensor([0.25]), seed=0
    )
    seen: list[int] = []
    model.register_forward_pre_hook(lambda _, given: seen.extend((given[0][:, 0, 0, 0] * 255).round().int().tolist()))
    optimizer = build_optimizer(model, recipe, 0.0)
    told = {"seed": 0, "device": torch.device("cpu"), "still_wrong": lambda: np.array([5, 17])}
    epochs = train(model, optimizer, pixels, labels, recipe, first_epoch=recipe.epochs, **told)
    next(epochs)
    assert sorted(seen) == list(range(100))
    seen.clear()
    next(epochs)
    assert sorted(seen) == sorted([*range(100)] + 5 * [5, 17])


def test_choices_for_the_cpu():
    cpu = torch.device("cpu")
    small = choices.choose_resolution("auto", np.full(3, 28), np.full(3, 28), cpu)
    large = choices.choose_resolution("auto", np.full(3, 500), np.full(3, 375), cpu)
    assert small.value == 28
    assert 64 < large.value < 500 and "500" in large.reason
    assert choices.choose_width("64", 28, cpu).value == 64
    for wanted in ("0", "-3", "wide", "1.5"):
        with pytest.raises(CurvauditError, match="--width"):
            choices.choose_width(wanted, 28, cpu)
    with pytest.raises(CurvauditError, match="warp9"):
        choices.choose_device("warp9")
    with pytest.raises(CurvauditError, match="float8"):
        choices.choose_bf16("float8", cpu)


def test_calibrated_statistics_are_those_of_the_data():
    from curvaudit.training.batch_norm import calibrate

    model = build_model(
        classes=3, channels=1, resolution=8, width=4, mean=torch.tensor([0.5]), std=torch.tensor([0.25]), seed=0
    )
    pixels = torch.randint(0, 256, (64, 1, 8, 8), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    first = model.network.bn1
    first.running_mean.fill_(77)
    calibrate(model, pixels, 64, torch.device("cpu"))
    with torch.no_grad():
        features = model.network.conv1((pixels.float() / 255 - 0.5) / 0.25)
    torch.testing.assert_close(first.running_mean, features.mean((0, 2, 3)), rtol=1e-3, atol=1e-4)
    assert first.momentum == 0.1


def test_measuring_batches_fit_the_cache_of_a_cpu_and_fill_an_accelerator():
    cpu = torch.device("cpu")
    sizes = [choices.measuring_batch(32, width, cpu) for width in (4, 16, 64, 512)]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] == 256 and sizes[1] == 64 and sizes[-1] == 32
    assert choices.measuring_batch(112, 32, cpu) == 32
    gpu = torch.device("cuda")
    assert [choices.measuring_batch(side, 64, gpu) for side in (8, 32, 64, 224, 1024)] == [1024, 1024, 256, 64, 32]
    assert choices.measuring_batch(64, 16, gpu) == 1024


def test_only_fast_leaves_out_probes_and_measuring_all_measures_all():
    from curvaudit.engine.settings import ScanSettings, with_overrides

    assert named("fast", 1000, 3).curvature_least_loss > 0
    assert named("paper-cifar", 1000, 3).curvature_least_loss == 0
    assert with_overrides(named("fast", 1000, 3), ScanSettings(curvature_every=1)).curvature_least_loss == 0
    four = with_overrides(named("fast", 1000, 3), ScanSettings(probes=4))
    assert four.curvature_least_loss > 0
    assert (four.probes, four.probes_at_most) == (4, None)
    assert named("fast", 1000, 3).probes_at_most == 5
    assert named("paper-cifar", 1000, 3).probes_at_most is None


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("width", "last"), [(8, False), (16, True)])
def test_the_network_sees_the_layout_it_was_built_for(channels, width, last):
    """Convolutions of few channels corrupt memory in channels last; augmented pictures come that way.

    Of one channel they count as contiguous, too, and `contiguous` leaves their strides alone.
    """
    model = build_model(
        classes=10, channels=channels, resolution=8, width=width, mean=torch.zeros(channels),
        std=torch.ones(channels), seed=0,
    )  # fmt: skip
    strides = []
    model.network.conv1.register_forward_pre_hook(lambda _, inputs: strides.append(inputs[0].stride()))
    pixels = augment(torch.zeros(4, channels, 8, 8, dtype=torch.uint8), "crop", seed=0, epoch=1, batch=0)
    model(pixels.float())
    model(torch.zeros(4, channels, 8, 8))
    wanted = (64 * channels, 1, 8 * channels, channels) if last else (64 * channels, 64, 8, 1)
    assert strides == [wanted, wanted]


class PretendedCuda:
    """What of torch.cuda a recording needs, without a GPU: what would be recorded runs, and runs again at a replay."""

    def __init__(self, case: str) -> None:
        self.case = case
        self.current = self.Stream()
        self.graphs = self.tries = 0

    class Stream:
        def wait_stream(self, other) -> None:
            pass

    class CUDAGraph:
        def bind(self, steps: RecordedSteps, recording: _Recording, empty: bool) -> None:
            self.steps, self.recording, self.empty = steps, recording, empty

        def replay(self) -> None:
            if self.empty:
                return
            made, steps = self.recording, self.steps
            kept = [p.grad for p in steps.parameters]
            steps._clear()
            made.loss.copy_(Steps.__call__(steps, made.images, made.labels))
            for gradient, parameter in zip(made.gradients, steps.parameters, strict=True):
                gradient.copy_(parameter.grad)
            for parameter, before in zip(steps.parameters, kept, strict=True):
                parameter.grad = before

    def device(self, device):
        return nullcontext()

    def stream(self, stream):
        return nullcontext()

    def current_stream(self):
        return self.current

    def set_stream(self, stream) -> None:
        self.current = stream

    def graph_pool_handle(self):
        return object()

    def reset_peak_memory_stats(self, device) -> None:
        pass

    def memory_allocated(self, device) -> int:
        return 30

    def memory_reserved(self, device) -> int:
        return 40

    def max_memory_allocated(self, device) -> int:
        self.tries += 1
        crowded = self.case == "no room" or (self.case == "room later" and self.tries <= 2)
        return 30 + (26 if crowded else 25)

    def mem_get_info(self, device) -> tuple[int, int]:
        return 90, 200

    @contextmanager
    def graph(self, graph, pool, stream, capture_error_mode):
        self.graphs += 1
        yield
        if self.case == "a failed capture":
            self.current = stream  # as torch leaves it behind
            raise RuntimeError("operation failed due to a previous error during capture")


CASES = {  # -> sizes that are captured, sizes that are replayed, times that room is asked for
    "recorded": ([4, 5], [4, 5], 2),
    "no room": ([], [], 4),
    "room later": ([4, 5], [4, 5], 4),
    "an empty recording": ([4], [], 1),
    "a failed capture": ([4], [], 1),
}


@pytest.mark.parametrize("case", CASES)
def test_recorded_steps_leave_the_gradients_of_steps(monkeypatch, case):
    cuda, captured = PretendedCuda(case), RecordedSteps._captured
    made = []

    def bound(self, images, labels):
        made.append(len(labels))
        recording = captured(self, images, labels)
        recording.graph.bind(self, recording, empty=case == "an empty recording")
        return recording

    monkeypatch.setattr(RecordedSteps, "_captured", bound)
    monkeypatch.setattr(torch, "cuda", cuda)
    here = cuda.current_stream()
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3))
    random = torch.Generator().manual_seed(0)
    eager, recorded = (kind(model, torch.device("cpu"), bf16=False) for kind in (Steps, RecordedSteps))
    for size in [4, 5] * 24 + [3]:
        batch = torch.rand(size, 3, 2, 2, generator=random), torch.randint(0, 3, (size,), generator=random)
        found = []
        for steps in (eager, recorded):
            model.zero_grad(set_to_none=True)
            loss = steps(*batch)
            found.append((float(loss), [p.grad.clone() for p in model.parameters()], loss))
        assert found[0][0] == found[1][0]
        for one, other in zip(found[0][1], found[1][1], strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=0)
        if size == 5:
            last = loss  # stays, whatever is replayed later
            value = float(loss)
        elif size == 4 and made:
            assert float(last) == value
    assert (made, list(recorded.recordings), cuda.tries) == CASES[case]
    assert cuda.graphs == len(made) == len(recorded.graphs)
    assert cuda.current_stream() is here


def _grey_network():
    mean, std = torch.tensor([0.5]), torch.tensor([0.25])
    return build_model(classes=2, channels=1, resolution=8, width=4, mean=mean, std=std, seed=0)


@pytest.mark.parametrize(("count", "bright"), [(90, 60), (128, 64)])
def test_normalization_is_calibrated_on_all_pictures_though_classes_lie_in_blocks(count, bright):
    """Each batch must hold some of every class, or the variances are those within a class."""
    model = _grey_network()
    pixels = torch.randint(0, 100, (count, 1, 8, 8), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    pixels[bright:] += 150
    calibrate(model, pixels, 64, torch.device("cpu"))
    with torch.no_grad():
        found = model.network.conv1((pixels.float() / 255 - 0.5) / 0.25)  # (N, C, 8, 8)
    torch.testing.assert_close(model.network.bn1.running_mean, found.mean((0, 2, 3)), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(model.network.bn1.running_var, found.var((0, 2, 3)), rtol=2e-2, atol=1e-4)


def test_the_loss_of_an_epoch_is_a_mean_also_where_samples_are_rehearsed():
    recipe = named("fast", 100, 1)
    pixels = torch.randint(0, 256, (100, 1, 8, 8), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    model = _grey_network()
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)  # every loss is log 2, and stays so at a rate of 0
    still = replace(recipe, extension_rate=0.0, learning_rate=0.0, plain_rate=0.0)
    epochs = train(
        model,
        build_optimizer(model, still, 0.0),
        pixels,
        torch.arange(100) % 2,
        still,
        seed=0,
        first_epoch=recipe.epochs + 1,
        device=torch.device("cpu"),
        still_wrong=lambda: np.array([5, 17]),
    )
    assert next(epochs).train_loss == pytest.approx(np.log(2), rel=1e-5)


def test_where_the_source_lies_and_why_a_setting_was_chosen_do_not_bind_a_scan():
    config = {"source": "a", "data_dir": "x", "seed": 1, "width_reason": "y", "recipe": {"epochs": 2}}
    assert binding(config) == {"seed": 1, "recipe.epochs": 2}
