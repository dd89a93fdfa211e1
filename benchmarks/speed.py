"""What training, measuring and a whole scan cost, beside a bare training and the reference way.

    python benchmarks/speed.py [--quick] [--widths 16,64] [--repetitions 5] [--out benchmarks/results]

`make bench` runs it. The pictures are made: the embedded digits, 32 px, in colour on a coloured ground, so
that nothing is downloaded and the schedule is that of photographs. Every repetition runs all phases one after
another; ratios are taken within a repetition, then the median and the range over repetitions. Ratios are of
processor time (all threads), which other programs on the machine disturb less than wall time; the table has
both. Writes speed.csv and speed.md.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from machine import Cost, cost_of, described
from PIL import Image
from reference import reference_curvature, reference_network
from scipy.stats import spearmanr
from torch.profiler import ProfilerActivity, profile

import curvaudit
from curvaudit.scan_settings import ScanSettings, with_overrides
from curvaudit.scores import ScoreSettings, build
from curvaudit.scores.measure import as_images, measure
from curvaudit.sources import load
from curvaudit.training import checkpoint
from curvaudit.training.batch_norm import calibrate
from curvaudit.training.device import choose_bf16, measuring_batch
from curvaudit.training.frozen import as_measured
from curvaudit.training.loop import build_optimizer, train
from curvaudit.training.model import build_model, pixel_statistics
from curvaudit.training.presets import named

CPU = torch.device("cpu")
SIDE, CLASSES, PROBES, STEP = 32, 10, 10, 1e-3
SHARES = (0.5, 0.2, 0.05)  # of the pictures above the bound on the loss
PRODUCTS = ("conv", "addmm", "aten::mm", "bmm", "matmul", "linear")  # names of profiled operators


@dataclass(frozen=True)
class Phase:
    name: str
    pictures: int
    run: Callable[[], object]


@dataclass(frozen=True)
class Row:
    """Median [lowest – highest] over the repetitions; times of one picture."""

    width: int
    phase: str
    pictures: int
    repetitions: int
    wall_us: float
    processor_us: float
    processor_us_low: float
    processor_us_high: float
    pictures_per_second: float  # of wall time
    to_training: float  # processor time, ratio to the bare training of the same pictures
    to_training_low: float
    to_training_high: float
    to_reference: float  # how many times faster than the reference way; NaN where it does not apply
    to_reference_low: float
    to_reference_high: float
    peak_mb: float


class ColouredDigits:
    """The first `count` embedded digits, drawn at 32 px in a colour each; a torch data set."""

    def __init__(self, count: int) -> None:
        digits = load("digits")
        random = np.random.default_rng(0)
        self.classes, self.items = digits.classes, []
        for row in range(count):
            ink = np.asarray(digits.open(row).convert("L").resize((SIDE, SIDE), Image.Resampling.BICUBIC)) / 255
            front, ground = random.uniform(0, 255, (2, 3))
            drawn = ink[..., None] * front + (1 - ink[..., None]) * ground + random.normal(0, 12, (SIDE, SIDE, 3))
            self.items.append((Image.fromarray(drawn.clip(0, 255).astype(np.uint8)), int(digits.labels[row])))

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return self.items[index]

    def tensors(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(count, 3, H, W) uint8 and (count,) int64."""
        pixels = np.stack([np.asarray(image) for image, _ in self.items[:count]]).transpose(0, 3, 1, 2)
        labels = np.array([label for _, label in self.items[:count]])
        return torch.from_numpy(np.ascontiguousarray(pixels)), torch.from_numpy(labels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer pictures and epochs: minutes instead of an hour")
    parser.add_argument("--widths", default="16,64")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--pictures", type=int, help="of the data set; default 512 (--quick) or 1797")
    parser.add_argument("--one-batch", type=int, help="pictures in the batch that goes both ways with n = 10")
    parser.add_argument("--skip-scan", action="store_true", help="leave out the whole scans")
    parser.add_argument("--only-scan", action="store_true", help="only the whole scans")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    rows, notes = [], []
    digits = ColouredDigits(options.pictures or (512 if options.quick else 1797))
    for width in [int(text) for text in options.widths.split(",")]:
        if not options.only_scan:
            found, said = phases_of(width, digits, options.repetitions, options.quick, options.one_batch)
            rows += found
            notes += said
        if not options.skip_scan and (width <= 16 or not options.quick):
            found, said = scan_beside_training(width, digits, options.repetitions, 6 if options.quick else None)
            rows += found
            notes += said
    options.out.mkdir(parents=True, exist_ok=True)
    with (options.out / "speed.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([field.name for field in dataclasses.fields(Row)])
        writer.writerows(dataclasses.astuple(row) for row in rows)
    page = _markdown(rows, notes)
    (options.out / "speed.md").write_text(page)
    print(page)


def phases_of(
    width: int, digits: ColouredDigits, repetitions: int, quick: bool, one_batch: int | None = None
) -> tuple[list[Row], list[str]]:
    """The parts of an epoch, and the curvature of one batch beside the reference way."""
    few = 4 if quick else 1
    count = {16: 512}.get(width, 64) // (2 if quick else 1)
    one_batch = one_batch or {16: 128}.get(width, 64) // few
    all_pixels, all_labels = digits.tensors(max(count, one_batch))
    pixels, labels = all_pixels[:count], all_labels[:count]
    recipe = dataclasses.replace(named("fast", 50_000, 3), batch_size=min(128, count))
    mean, std = pixel_statistics(pixels)
    model = build_model(classes=CLASSES, channels=3, resolution=SIDE, width=width, mean=mean, std=std, seed=0)
    optimizer = build_optimizer(model, recipe, 0.0)

    bf16 = choose_bf16("auto", CPU)

    def epochs(bf16: bool) -> Callable[[], object]:
        trained = train(model, optimizer, pixels, labels, recipe, seed=0, first_epoch=1, device=CPU, bf16=bf16)
        return lambda: next(trained)

    epoch = epochs(bf16)
    for _ in range(3):
        epoch()  # a network that has learned something, with scores that differ
    calibrate(model, pixels, 256, CPU)
    light, heavy = as_measured(model, CPU, bf16=bf16), reference_network(model)
    exact = as_measured(model, CPU, bf16=False)
    batch = measuring_batch(SIDE, width, CPU)

    def measured(
        probes: int,
        pictures: int,
        curvature: bool = True,
        least_loss: float = 0.0,
        most: int | None = None,
        network: torch.nn.Module = light,
    ) -> np.ndarray:
        settings = ScoreSettings(probes=probes, most_probes=most, step=STEP, least_loss=least_loss)
        scores = [s for s in build(settings) if curvature or s.needs == "forward"]
        part = all_pixels[:pictures], all_labels[:pictures]
        found = measure(network, *part, scores, epoch=1, batch_size=batch, device=CPU, usual_gradient=usual)
        return found["curvature" if curvature else "loss"]

    def reference(probes: int) -> np.ndarray:
        images = as_images(all_pixels[:one_batch], CPU)
        settings = {"epoch": 1, "probes": probes, "step": STEP, "seed": 0}
        return reference_curvature(heavy, images, all_labels[:one_batch], **settings).numpy()

    gradient = measure(light, pixels, labels, build(ScoreSettings()), epoch=1, batch_size=batch, device=CPU)["gradient"]
    usual = float(gradient.mean())
    truth = reference(PROBES)  # (one_batch,)
    ways = {"": light, ", float32": exact} if bf16 else {"": exact}  # name of the arithmetic -> network
    agreement = {way: spearmanr(truth, measured(PROBES, one_batch, network=ways[way])).statistic for way in ways}

    def saved() -> None:
        with tempfile.TemporaryDirectory() as folder:
            state = checkpoint.Checkpoint("", 0, 1, 0.0, 0.0, 0.0, model.state_dict(), optimizer.state_dict())
            checkpoint.save(Path(folder) / "run.checkpoint", state)

    losses = measured(1, count, curvature=False)  # (count,)

    def partly(share: float) -> Callable[[], object]:
        bound = float(np.quantile(losses, 1 - share))
        return lambda: measured(1, count, least_loss=bound)

    def all_probes(network: torch.nn.Module) -> Callable[[], object]:
        return lambda: measured(PROBES, one_batch, network=network)

    phases = [
        Phase("training epoch", count, epoch),
        Phase("training epoch, float32", count, epochs(False)),
        Phase("normalization statistics", count, lambda: calibrate(model, pixels, batch, CPU)),
        Phase("folding and checkpoint", count, lambda: (as_measured(model, CPU, bf16=bf16), saved())),
        Phase("scores without curvature", count, lambda: measured(1, count, curvature=False)),
        Phase("all scores, curvature n = 1", count, lambda: measured(1, count)),
        Phase("the same, 1 to 5 by the gradient", count, lambda: measured(1, count, most=recipe.most_probes)),
        *(Phase(f"the same, {share:.0%} above the bound on the loss", count, partly(share)) for share in SHARES),
        *(Phase(f"one batch, all scores, n = 10{way}", one_batch, all_probes(ways[way])) for way in ways),
        Phase("one batch, reference way, n = 10", one_batch, lambda: reference(PROBES)),
    ]
    costs = _alternating(phases, repetitions)
    rows = [
        _row(width, phase, costs[phase.name], phases[0], costs, phases[-1] if "n = 10" in phase.name else None)
        for phase in phases
    ]
    notes = [
        f"width {width}: Spearman with the reference way{way}, same {PROBES} probes, {one_batch} pictures: {found:.5f}"
        for way, found in agreement.items()
    ]
    for phase in (phases[0], phases[5], Phase("reference way, one probe", one_batch, lambda: reference(1))):
        notes.append(f"width {width}: {phase.name}: {_outside(phase.run):.1%} of the time outside products")
    return rows, notes


def scan_beside_training(
    width: int, digits: ColouredDigits, repetitions: int, epochs: int | None
) -> tuple[list[Row], list[str]]:
    """`scan --preset fast` and `report` beside the same training with nothing measured or written."""
    count = len(digits)
    pixels, labels = digits.tensors(count)
    # Batches of 128 as on large sets: a small set would have smaller ones, which train more slowly.
    settings = ScanSettings(epochs=epochs, batch_size=128, width=str(width))
    recipe = with_overrides(named("fast", count, 3), settings)
    bf16 = choose_bf16("auto", CPU)
    taken = [recipe.epochs]

    def bare() -> None:
        mean, std = pixel_statistics(pixels)
        model = build_model(classes=CLASSES, channels=3, resolution=SIDE, width=width, mean=mean, std=std, seed=0)
        optimizer = build_optimizer(model, recipe, 0.0)
        for epoch in train(model, optimizer, pixels, labels, recipe, seed=0, first_epoch=1, device=CPU, bf16=bf16):
            if epoch.number >= taken[0]:
                break

    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run.h5"

        def scan() -> None:
            done = curvaudit.scan(digits, run, overwrite=True, epochs=epochs, batch_size=128, width=width)
            taken[0] = done.trainings[0].epochs

        def report() -> None:
            curvaudit.save(curvaudit.report(run, top=100), Path(folder) / "report")

        scan()  # how many epochs the training takes, the extension with them
        name = f"{taken[0]} epochs"
        phases = [
            Phase(f"bare training, {name}", count, bare),
            Phase(f"scan --preset fast, {name}", count, scan),
            Phase("report", count, report),
        ]
        costs = _alternating(phases, repetitions)
    rows = [_row(width, phase, costs[phase.name], phases[0], costs, None) for phase in phases]
    measured = sum(recipe.measures_curvature(number) for number in range(1, taken[0] + 1))
    return rows, [f"width {width}: of the {taken[0]} epochs of the scan {measured} measured curvature"]


def _alternating(phases: list[Phase], repetitions: int) -> dict[str, list[Cost]]:
    for phase in phases:
        if "n = 10" not in phase.name:  # those were run when their scores were compared
            phase.run()  # libraries load and choose their kernels
    costs: dict[str, list[Cost]] = {phase.name: [] for phase in phases}
    for _ in range(repetitions):
        for phase in phases:
            costs[phase.name].append(cost_of(phase.run))
    return costs


def _row(
    width: int, phase: Phase, costs: list[Cost], training: Phase, all_costs: dict[str, list[Cost]], yard: Phase | None
) -> Row:
    own = [cost.processor / phase.pictures for cost in costs]
    base = [cost.processor / training.pictures for cost in all_costs[training.name]]
    ratios = [one / other for one, other in zip(own, base, strict=True)]
    gains = [float("nan")]
    if yard is not None:
        there = [cost.processor / yard.pictures for cost in all_costs[yard.name]]
        gains = [other / one for one, other in zip(own, there, strict=True)]
    wall = statistics.median(cost.wall / phase.pictures for cost in costs)
    return Row(
        width=width,
        phase=phase.name,
        pictures=phase.pictures,
        repetitions=len(costs),
        wall_us=1e6 * wall,
        processor_us=1e6 * statistics.median(own),
        processor_us_low=1e6 * min(own),
        processor_us_high=1e6 * max(own),
        pictures_per_second=1 / wall,
        to_training=statistics.median(ratios),
        to_training_low=min(ratios),
        to_training_high=max(ratios),
        to_reference=statistics.median(gains),
        to_reference_low=min(gains),
        to_reference_high=max(gains),
        peak_mb=max(cost.peak for cost in costs),
    )


def _outside(run: Callable[[], object]) -> float:
    """Share of the operators' own time outside convolutions and matrix products."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        run()
    events = profiler.key_averages()
    total = sum(event.self_cpu_time_total for event in events)
    # The engine's own entries ("autograd::engine::…ConvolutionBackward0") are overhead, not products.
    products = sum(
        event.self_cpu_time_total
        for event in events
        if event.key.startswith("aten::") and any(name in event.key for name in PRODUCTS)
    )
    return 1 - products / total


def _markdown(rows: list[Row], notes: list[str]) -> str:
    lines = [
        described(),
        "",
        "| width | phase | pictures | µs a picture, wall | µs, processor [range] | pictures/s "
        "| in bare trainings [range] | times the reference way [range] | peak, MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        gain = "–"
        if row.to_reference == row.to_reference:
            gain = f"{row.to_reference:.2f} [{row.to_reference_low:.2f} – {row.to_reference_high:.2f}]"
        lines.append(
            f"| {row.width} | {row.phase} | {row.pictures} | {row.wall_us:.0f} "
            f"| {row.processor_us:.0f} [{row.processor_us_low:.0f} – {row.processor_us_high:.0f}] "
            f"| {row.pictures_per_second:.0f} "
            f"| {row.to_training:.2f} [{row.to_training_low:.2f} – {row.to_training_high:.2f}] | {gain} "
            f"| {row.peak_mb:.0f} |"
        )
    return "\n".join([*lines, "", *(f"* {note}" for note in notes), ""])


if __name__ == "__main__":
    main()
