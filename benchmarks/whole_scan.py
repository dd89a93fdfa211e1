"""What a whole scan costs beside the same training with nothing measured or written.

    python benchmarks/whole_scan.py SOURCE [--samples 1200] [--resolution 32] [--repetitions 5] [--out FOLDER]

`scan` as a user runs it, but for width and resolution; then its training once more with no more than training: the
same epochs, batches, rates, arithmetic and rehearsals, read from the run file. Both in turn, then the report.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import torch
from table import Phase, Row, alternating, row_of, write

import curvaudit
from curvaudit.derived.memorization import memorizable
from curvaudit.inventory import load_pixels, take
from curvaudit.pictures.pixels import Place
from curvaudit.sources import SourceOptions, load
from curvaudit.sources.subset import draw
from curvaudit.training.loop import build_optimizer, train
from curvaudit.training.model import build_model, pixel_statistics
from curvaudit.training.recipe import Recipe

CPU = torch.device("cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--data-dir")
    parser.add_argument("--label-column")
    parser.add_argument("--samples", type=int, default=1200)
    parser.add_argument("--resolution", type=int, default=32)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    whole = load(options.source, SourceOptions(data_dir=options.data_dir, label_column=options.label_column))
    source = draw(whole, options.samples, 0)
    settings = {"width": options.width, "resolution": options.resolution, "precision": options.precision}
    found = beside_training(source, options.repetitions, **settings)
    write(*found, options.out, "whole_scan")


def beside_training(source: Any, repetitions: int, **settings: Any) -> tuple[list[Row], list[str]]:
    """Rows of the training, `scan` and `report`; `settings` are those of `curvaudit.scan`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.h5"

        def scan() -> None:
            curvaudit.scan(source, path, overwrite=True, device="cpu", **settings)

        scan()  # what the training takes, and libraries load
        run = curvaudit.open_run(path)
        training = run.trainings[0]
        recipe, width = Recipe(**run.info.config["recipe"]), run.info.config["width"]
        stock = take(load(source), 1, lambda done: None)
        place = Place(Path(folder) / "pixels")
        pixels = torch.from_numpy(load_pixels(stock, run.info.config["resolution"], place, 1, lambda done: None).values)
        labels = torch.from_numpy(stock.samples.labels.astype(np.int64))
        can = memorizable(stock.samples)
        wrong = [np.flatnonzero(can & ~(correct > 0)) for correct in run.measure_epochs(0, "correct")]  # one an epoch

        def bare() -> None:
            mean, std = pixel_statistics(pixels)
            model = build_model(
                classes=len(stock.samples.classes),
                channels=pixels.shape[1],
                resolution=pixels.shape[-1],
                width=width,
                mean=mean,
                std=std,
                seed=training.seed,
            )
            done = [0]  # epochs
            for epoch in train(
                model,
                build_optimizer(model, recipe, training.weight_decay),
                pixels,
                labels,
                recipe,
                seed=training.seed,
                first_epoch=1,
                device=CPU,
                bf16=run.info.config["precision"] == "bf16",
                still_wrong=lambda: reduce(np.union1d, wrong[max(0, done[0] - 2) : done[0]], np.zeros(0, np.int64)),
            ):
                done[0] = epoch.number
                if epoch.number >= training.epochs:
                    return

        def report() -> None:
            curvaudit.save(curvaudit.report(path, top=100), Path(folder) / "report")

        count, name = len(labels), f"{training.epochs} epochs"
        phases = [
            Phase(f"bare training, {name}", count, bare),
            Phase(f"scan --preset fast, {name}", count, scan, warm=True),
            Phase("report", count, report),
        ]
        costs = alternating(phases, repetitions)
        rows = [row_of(width, phase, costs[phase.name], phases[0], costs, None) for phase in phases]
        measured = sum(recipe.measures_curvature(number) for number in range(1, training.epochs + 1))
        note = (
            f"width {width}, {count} pictures of {pixels.shape[-1]} px, {run.info.config['precision']}, batches of "
            f"{recipe.batch_size}: of the {training.epochs} epochs of the scan {measured} measured curvature; "
            f"{len(wrong[-1])} pictures not memorized"
        )
    return rows, [note]


if __name__ == "__main__":
    main()
