"""Which measurements carry the ranking? Ten probes in every epoch beside what `fast` measures.

    python benchmarks/ranking.py mnist DATA_DIR [--samples 2000] [--seed 0] [--out run.npz]
    python benchmarks/ranking.py labels.parquet --label-column fine_label [--resolution 16]
    python benchmarks/ranking.py --read run.npz run-1.npz …

Plants 5 % label errors, trains once as `fast` does, and after each epoch logs every one of ten probes for every
sample, none left out. A probe depends on seed, sample, epoch and number alone, so each set of epochs, probes and
samples that is compared here is exactly what a scan with these settings would have logged in the same training.
"""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score
from torch import Tensor

from curvaudit.calibration.planting import plant
from curvaudit.inventory import load_pixels, take
from curvaudit.pictures.pixels import Place
from curvaudit.records import MeasureInfo
from curvaudit.scores import ScoreSettings, build, dealing
from curvaudit.scores.interface import Batch, Before, Score, mean_over_epochs
from curvaudit.scores.measure import measure
from curvaudit.scores.probes import rademacher
from curvaudit.sources import SourceOptions, load
from curvaudit.sources.subset import Subset
from curvaudit.training.batch_norm import calibrate
from curvaudit.training.device import choose_bf16, measuring_batch
from curvaudit.training.loop import build_optimizer, train
from curvaudit.training.measured import as_measured
from curvaudit.training.model import build_model, pixel_statistics
from curvaudit.training.presets import named
from curvaudit.training.recipe import Recipe

CPU = torch.device("cpu")
PROBES, STEP, RATE, WIDTH, TOP = 10, 1e-3, 0.05, 16, 100
MOST = 5  # probes of a sample in an epoch, of those that are dealt out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?")
    parser.add_argument("data_dir", nargs="?")
    parser.add_argument("--label-column")
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--precision", default="auto", help="of training and gradients, as for scan")
    parser.add_argument("--resolution", type=int, help="default: that of the pictures, 64 at most")
    parser.add_argument("--out", type=Path, default=Path("ranking.npz"))
    parser.add_argument("--read", type=Path, nargs="+", help="only compare what earlier calls wrote")
    parser.add_argument("--csv", type=Path, help="what is printed, as a table")
    options = parser.parse_args()
    if options.read is None and options.source is None:
        parser.error("give a source, or --read with files")
    rows = [row for file in options.read or [log(options)] for row in compare(file)]
    if options.csv is not None:
        with options.csv.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, rows[0], lineterminator="\n")
            table.writeheader()
            table.writerows(rows)


def log(options: argparse.Namespace) -> Path:
    """Train, and write planted (N,), loss and gradient (E, N) and curvature (E, probes, N)."""
    source = load(options.source, SourceOptions(data_dir=options.data_dir, label_column=options.label_column))
    # Evenly over its whole length: classes may lie in blocks.
    rows = np.arange(0, len(source.ids), max(1, len(source.ids) // options.samples))[: options.samples]
    stock = take(Subset(source, rows), 1, lambda done: None)
    side = options.resolution or min(64, int(np.median(stock.samples.width)))
    place = Place(options.out.with_suffix(".pixels"))
    pixels = torch.from_numpy(load_pixels(stock, side, place, 1, lambda done: None).values)
    planted = plant(stock.samples.labels, RATE, options.seed)
    labels = torch.from_numpy(planted.labels.astype(np.int64))
    recipe = named("fast", len(labels), pixels.shape[1])
    mean, std = pixel_statistics(pixels)
    model = build_model(
        classes=len(source.classes),
        channels=pixels.shape[1],
        resolution=side,
        width=WIDTH,
        mean=mean,
        std=std,
        seed=options.seed,
    )
    optimizer = build_optimizer(model, recipe, 0.0)
    scores = [score for score in build(ScoreSettings()) if score.needs != "probes"]
    scores += [one_probe(number, options.seed) for number in range(PROBES)]
    batch, bf16 = measuring_batch(side, WIDTH, CPU), choose_bf16(options.precision, CPU)
    epochs: list[dict[str, np.ndarray]] = []
    for epoch in train(
        model,
        optimizer,
        pixels,
        labels,
        recipe,
        seed=options.seed,
        first_epoch=1,
        device=CPU,
        bf16=bf16,
    ):
        calibrate(model, pixels, batch, CPU)
        network = as_measured(model, CPU, bf16=bf16, rounding=True)
        epochs.append(measure(network, pixels, labels, scores, epoch=epoch.number, batch_size=batch, device=CPU))
        print(f"epoch {epoch.number}: {epochs[-1]['correct'].mean():.2%} as labelled", flush=True)
        _save(options.out, planted.wrong, epochs, recipe.epochs, recipe.plain_epochs)
        if epoch.number >= recipe.epochs:
            return options.out
    raise AssertionError("a training has no end of its own")


def one_probe(number: int, seed: int) -> Score:
    """Equation 6 with the probe of this number alone."""

    def one(batch: Batch) -> Tensor:
        assert batch.gradient is not None
        v = rademacher(seed, batch.rows, batch.epoch, number, tuple(batch.images.shape[1:]))  # (B, C, H, W)
        moved = batch.input_gradient(batch.images + STEP * v, batch.labels)  # (B, C, H, W)
        return (moved - batch.gradient).square().flatten(1).sum(1)  # (B,)

    return Score(f"probe {number}", MeasureInfo("(nat/pixel)^2", "one probe", "high"), "probes", one, mean_over_epochs)


def _save(path: Path, wrong: np.ndarray, epochs: list[dict[str, np.ndarray]], planned: int, plain: int) -> None:
    partial = path.with_name(path.name + ".partial.npz")
    np.savez(
        partial,
        planted=wrong,
        schedule=np.array([planned, plain]),
        loss=np.stack([epoch["loss"] for epoch in epochs]),
        gradient=np.stack([epoch["gradient"] for epoch in epochs]),
        curvature=np.stack([[epoch[f"probe {number}"] for number in range(PROBES)] for epoch in epochs]),
    )
    os.replace(partial, path)


def dealt(gradient: np.ndarray, epochs: list[int], recipe: Recipe, seed: int) -> np.ndarray:
    """Probes of each sample in each measured epoch as `fast` deals them out, (E, N) of gradients -> (E, N)."""
    settings = ScoreSettings(probes=recipe.probes, probes_at_most=recipe.probes_at_most, seed=seed)
    found, none, rows = [], torch.zeros(gradient.shape[1]), torch.arange(gradient.shape[1])
    for done, (epoch, values) in enumerate(zip(epochs, gradient, strict=True)):
        total = gradient[:done].sum(0, dtype=np.float64)
        before = Before(total, done, float(gradient[done - 1].mean(dtype=np.float64))) if done else None
        # A picture of one pixel that has this gradient: its squared norm decides.
        picture = torch.from_numpy(values).sqrt()[:, None, None, None]
        batch = Batch(none, none, rows, epoch, none, none, picture, _no_gradient, 1, before)
        found.append(np.where(values > 0, dealing.counts(batch, settings), 0))
    return np.stack(found)


def _no_gradient(images: Tensor, labels: Tensor) -> Tensor:
    raise AssertionError("the number of probes follows from what is known")


def proportional(values: np.ndarray, usual: Callable[[np.ndarray], np.ndarray], first: int = 1) -> np.ndarray:
    """As many probes as `values` (E, N) are times `usual` of the epochs before, 1 to 5; `first` in the first one."""
    found = [np.full(values.shape[1], first)]
    for done in range(1, len(values)):
        found.append(np.clip(np.rint(values[done] / np.maximum(usual(values[:done]), 1e-12)), 1, MOST))
    return np.stack(found).astype(int)


def highest_so_far(curvature: np.ndarray) -> np.ndarray:
    """Three for the tenth of the samples that is highest so far, by what its own probes found, (E, probes, N)."""
    found, total = [], np.zeros(curvature.shape[2])
    for probes in curvature:
        counts = np.where(total >= np.quantile(total, 0.9), 3, 1) if found else np.ones(len(total), int)
        total += averaged(probes[None], counts[None])[0]
        found.append(counts)
    return np.stack(found)


def averaged(curvature: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mean of the first `counts` (E, N) probes of (E, probes, N) -> (E, N)."""
    taken = np.arange(curvature.shape[1])[:, None] < counts[:, None]  # (E, probes, N)
    found: np.ndarray = (curvature * taken).sum(1) / counts
    return found


def expected_elsewhere(curvature: np.ndarray, gradient: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The same, and what the gradient (E, N) makes expect where there is no probe, as a scan completes an epoch."""
    found, ratio = [], float("nan")
    for now, mean, probes in zip(gradient, averaged(curvature, np.maximum(counts, 1)), counts, strict=True):
        values = {"gradient": now, "curvature": np.where(probes > 0, mean, np.nan), dealing.NAME: probes}
        ratio = dealing.ratio(values, ratio)
        found.append(dealing.completed(values, ratio))
    return np.stack(found)


def ways(curvature: np.ndarray, gradient: np.ndarray, loss: np.ndarray) -> dict[str, np.ndarray]:
    """Name -> number of probes of each sample in each measured epoch, one at least, (E, N)."""
    same = np.ones(gradient.shape, int)
    whole = np.repeat(curvature[:, 0].mean(1, keepdims=True), gradient.shape[1], axis=1)
    return {
        "gradient over the mean of all so far, three in the first epoch": proportional(gradient, np.mean, 3),
        "one": same,
        "two": 2 * same,
        "three": 3 * same,
        "the same, two in the first epoch": proportional(gradient, np.mean, 2),
        "the same, one in the first epoch": proportional(gradient, np.mean),
        "gradient over its own mean so far": proportional(gradient, lambda before: before.mean(0)),
        "loss over its own mean so far": proportional(loss, lambda before: before.mean(0)),
        "mean curvature of the epoch over that so far, for all": proportional(whole, np.mean),
        "three for the tenth that is highest so far": highest_so_far(curvature),
    }


def compare(path: Path) -> list[dict[str, object]]:
    """Print how the ranking of each way to measure agrees with full ones; the same as rows."""
    with np.load(path, allow_pickle=False) as file:
        wrong, (planned, plain) = file["planted"], file["schedule"].tolist()
        loss, gradient = file["loss"], file["gradient"]  # (E, N) each
        curvature = file["curvature"].astype(float)  # (E, probes, N)
    recipe = named("fast", len(wrong), 3 if planned == named("fast", 1, 3).epochs else 1)
    numbers = range(1, len(curvature) + 1)
    chosen = [number - 1 for number in numbers if recipe.measures_curvature(number)]
    warmed = [number - 1 for number in numbers if number >= recipe.curvature_from]
    probed = loss[chosen] >= recipe.curvature_least_loss  # (E', N)
    full = {
        "ten probes, the same epochs": curvature[chosen].mean((0, 1)),
        "five other probes, the same epochs": curvature[chosen][:, MOST:].mean((0, 1)),
        "ten probes, without warm-up": curvature[warmed].mean((0, 1)),
        "ten probes, every epoch": curvature.mean((0, 1)),
    }
    print(f"{path}: {len(wrong)} samples, {wrong.sum()} planted, {len(numbers)} of {planned} epochs, {plain} plain")
    print(f"  of the probes in the epochs of fast {probed.mean():.1%} are above the bound")
    for name, values in full.items():
        print(f"  {name}: AUROC {roc_auc_score(wrong, values):.4f}")
    rows = []
    above = np.where(probed, gradient[chosen], 0)
    found = {
        name: (np.where(probed, averaged(curvature[chosen], counts), 0), counts)
        for name, counts in ways(curvature[chosen], above, loss[chosen]).items()
    }
    # As good a sequence as another: the file does not say its seed.
    counts = dealt(above, [place + 1 for place in chosen], recipe, seed=0)
    found = {"fast": (expected_elsewhere(curvature[chosen], above, counts), counts)} | found
    for name, (measured, counts) in found.items():
        values = measured.mean(0)
        row: dict[str, object] = {
            "run": path.stem,
            "samples": len(wrong),
            "probes of a picture": name,
            "on average": f"{counts[probed].mean():.3f}",
            "AUROC": f"{roc_auc_score(wrong, values):.4f}",
        }
        for other, reference in full.items():
            top = min(TOP, len(values))
            common = len(set(np.argsort(-values)[:top]) & set(np.argsort(-reference)[:top])) / top
            row[f"AUROC, {other}"] = f"{roc_auc_score(wrong, reference):.4f}"
            row[f"Spearman, {other}"] = f"{spearmanr(values, reference).statistic:.4f}"
            row[f"first {top} in common, {other}"] = f"{common:.2f}"
        print("  " + "; ".join(f"{key} {value}" for key, value in row.items() if key not in ("run", "samples")))
        rows.append(row)
    return rows


if __name__ == "__main__":
    main()
