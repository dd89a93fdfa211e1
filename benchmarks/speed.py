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
import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from made_pictures import CLASSES, SIDE, ColouredDigits
from reference import reference_curvature, reference_network
from scipy.stats import spearmanr
from table import Phase, Row, alternating, row_of, write
from torch.profiler import ProfilerActivity, profile
from whole_scan import beside_training

from curvaudit.scores import ScoreSettings, build
from curvaudit.scores.interface import Before
from curvaudit.scores.measure import as_images, measure
from curvaudit.training import checkpoint
from curvaudit.training.batch_norm import calibrate
from curvaudit.training.device import choose_bf16, measuring_batch
from curvaudit.training.loop import build_optimizer, train
from curvaudit.training.measured import as_measured
from curvaudit.training.model import build_model, pixel_statistics
from curvaudit.training.presets import named

CPU = torch.device("cpu")
PROBES, STEP = 10, 1e-3
SHARES = (0.5, 0.2, 0.05)  # of the pictures above the bound on the loss
PRODUCTS = ("conv", "addmm", "aten::mm", "bmm", "matmul", "linear")  # names of profiled operators


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer pictures and epochs: minutes instead of an hour")
    parser.add_argument("--widths", default="16,64")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--pictures", type=int, help="of the data set; default 512 (--quick) or 1797")
    parser.add_argument("--one-batch", type=int, help="pictures in the batch that goes both ways with n = 10")
    parser.add_argument("--float32", action="store_true", help="as on a processor that does not multiply bf16")
    parser.add_argument("--skip-scan", action="store_true", help="leave out the whole scans")
    parser.add_argument("--only-scan", action="store_true", help="only the whole scans")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    rows, notes = [], []
    precision = "float32" if options.float32 else "auto"
    digits = ColouredDigits(options.pictures or (512 if options.quick else 1797))
    for width in [int(text) for text in options.widths.split(",")]:
        if not options.only_scan:
            bf16 = choose_bf16(precision, CPU)
            found, said = phases_of(width, digits, options.repetitions, bf16, options.quick, options.one_batch)
            rows += found
            notes += said
        if not options.skip_scan and (width <= 16 or not options.quick):
            # Batches of 128 as on large sets: a small set would have smaller ones, which train more slowly.
            short = {"epochs": 6} if options.quick else {}
            found, said = beside_training(
                digits, options.repetitions, width=width, batch_size=128, precision=precision, **short
            )
            rows += found
            notes += said
    write(rows, notes, options.out, "speed")


def phases_of(
    width: int, digits: ColouredDigits, repetitions: int, bf16: bool, quick: bool, one_batch: int | None = None
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

    def epochs(bf16: bool) -> Callable[[], object]:
        trained = train(model, optimizer, pixels, labels, recipe, seed=0, first_epoch=1, device=CPU, bf16=bf16)
        return lambda: next(trained)

    epoch = epochs(bf16)
    for _ in range(3):
        epoch()  # a network that has learned something, with scores that differ
    calibrate(model, pixels, 256, CPU)
    light, heavy = as_measured(model, CPU, bf16=bf16, rounding=True), reference_network(model)
    exact = as_measured(model, CPU, bf16=False, rounding=True)
    batch = measuring_batch(SIDE, width, CPU)

    def measured(
        probes: int,
        pictures: int,
        curvature: bool = True,
        least_loss: float = 0.0,
        most: int | None = None,
        network: torch.nn.Module = light,
    ) -> np.ndarray:
        settings = ScoreSettings(probes=probes, probes_at_most=most, step=STEP, least_loss=least_loss)
        scores = [s for s in build(settings) if curvature or s.needs == "forward"]
        part = all_pixels[:pictures], all_labels[:pictures]
        found = measure(network, *part, scores, epoch=1, batch_size=batch, device=CPU, before=before)
        return found["curvature" if curvature else "loss"]

    def reference(probes: int) -> np.ndarray:
        images = as_images(all_pixels[:one_batch], CPU)
        settings = {"epoch": 1, "probes": probes, "step": STEP, "seed": 0}
        return reference_curvature(heavy, images, all_labels[:one_batch], **settings).numpy()

    gradient = measure(light, pixels, labels, build(ScoreSettings()), epoch=1, batch_size=batch, device=CPU)["gradient"]
    before = Before(gradient.astype(np.float64), 1, float(gradient.mean()))  # an epoch like this one
    truth = reference(PROBES)  # (one_batch,)
    ways = {"": light, ", float32": exact} if bf16 else {"": exact}  # name of the arithmetic -> network
    agreement = {way: spearmanr(truth, measured(PROBES, one_batch, network=ways[way])).statistic for way in ways}

    def made_and_saved() -> None:
        with torch.no_grad():  # the first picture makes what is made late
            as_measured(model, CPU, bf16=bf16, rounding=True)(as_images(pixels[:1], CPU))
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
        Phase("the measured network is made, checkpoint", count, made_and_saved),
        Phase("scores without curvature", count, lambda: measured(1, count, curvature=False)),
        Phase("all scores, curvature n = 1", count, lambda: measured(1, count)),
        Phase("the same, 0 to 5 by the gradient", count, lambda: measured(1, count, most=recipe.probes_at_most)),
        *(Phase(f"the same, {share:.0%} above the bound on the loss", count, partly(share)) for share in SHARES),
        *(Phase(f"one batch, all scores, n = 10{way}", one_batch, all_probes(ways[way]), warm=True) for way in ways),
        Phase("one batch, reference way, n = 10", one_batch, lambda: reference(PROBES), warm=True),
    ]
    costs = alternating(phases, repetitions)
    rows = [
        row_of(width, phase, costs[phase.name], phases[0], costs, phases[-1] if "n = 10" in phase.name else None)
        for phase in phases
    ]
    notes = [
        f"width {width}: Spearman with the reference way{way}, same {PROBES} probes, {one_batch} pictures: {found:.5f}"
        for way, found in agreement.items()
    ]
    for phase in (phases[0], phases[5], Phase("reference way, one probe", one_batch, lambda: reference(1))):
        notes.append(f"width {width}: {phase.name}: {_outside(phase.run):.1%} of the time outside products")
    return rows, notes


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


if __name__ == "__main__":
    main()
