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
import os
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score
from torch import Tensor

from curvaudit.inventory import load_pixels, take
from curvaudit.pixels import Place
from curvaudit.records import MeasureInfo
from curvaudit.scores import ScoreSettings, build
from curvaudit.scores.curvature import probes_of
from curvaudit.scores.interface import Batch, Score, mean_over_epochs
from curvaudit.scores.measure import measure
from curvaudit.scores.probes import rademacher
from curvaudit.sources import SourceOptions, load
from curvaudit.training.batch_norm import calibrate
from curvaudit.training.device import choose_bf16, measuring_batch
from curvaudit.training.folding import folded
from curvaudit.training.loop import build_optimizer, train
from curvaudit.training.model import build_model, pixel_statistics
from curvaudit.training.presets import named
from curvaudit.training.recipe import Recipe
from curvaudit.trials.planting import plant

CPU = torch.device("cpu")
PROBES, STEP, RATE, WIDTH, TOP = 10, 1e-3, 0.05, 16, 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?")
    parser.add_argument("data_dir", nargs="?")
    parser.add_argument("--label-column")
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resolution", type=int, help="default: that of the pictures, 64 at most")
    parser.add_argument("--out", type=Path, default=Path("ranking.npz"))
    parser.add_argument("--read", type=Path, nargs="+", help="only compare what earlier calls wrote")
    options = parser.parse_args()
    if options.read is None and options.source is None:
        parser.error("give a source, or --read with files")
    for file in options.read or [log(options)]:
        compare(file)


def log(options: argparse.Namespace) -> Path:
    """Train, and write planted (N,), loss and gradient (E, N) and curvature (E, probes, N)."""
    source = load(options.source, SourceOptions(data_dir=options.data_dir, label_column=options.label_column))
    stock = take(First(source, options.samples), 1, lambda done: None)
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
    batch = measuring_batch(side, WIDTH, CPU)
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
        bf16=choose_bf16("auto", CPU),
    ):
        calibrate(model, pixels, batch, CPU)
        epochs.append(measure(folded(model), pixels, labels, scores, epoch=epoch.number, batch_size=batch, device=CPU))
        print(f"epoch {epoch.number}: {epochs[-1]['correct'].mean():.2%} as labelled", flush=True)
        _save(options.out, planted.wrong, epochs, recipe.epochs, recipe.plain_epochs)
        if epoch.number >= recipe.epochs:
            return options.out
    raise AssertionError("a training has no end of its own")


class First:
    """The first samples of a source, evenly over its whole length: classes may lie in blocks."""

    def __init__(self, source, samples: int) -> None:
        self.source, self.name, self.classes = source, source.name, source.classes
        self.rows = np.arange(0, len(source.ids), max(1, len(source.ids) // samples))[:samples]
        self.ids = tuple(source.ids[row] for row in self.rows)
        self.labels = np.asarray(source.labels)[self.rows]
        self.skipped = ()

    def open(self, index: int):
        return self.source.open(int(self.rows[index]))


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


def more_where_it_bends(means: list[float], at_most: int = 5) -> list[int]:
    """Probes of each epoch: as many as its mean curvature by the first one is times that of the epochs before it."""
    return [1] + [int(np.clip(round(m / np.mean(means[:i])), 1, at_most)) for i, m in enumerate(means) if i]


def dealt_by_gradient(gradient: np.ndarray, recipe: Recipe) -> np.ndarray:
    """Probes of each sample in each measured epoch as `fast` deals them out, (E, N) of gradients -> (E, N)."""
    settings = ScoreSettings(probes=recipe.probes, most_probes=recipe.most_probes)
    found = []
    for done, values in enumerate(gradient):
        usual = float(gradient[:done].mean(dtype=np.float64)) if done else None
        # A picture of one pixel that has this gradient: its squared norm decides.
        found.append(probes_of(torch.from_numpy(values).sqrt()[:, None, None, None], usual, settings).numpy())
    return np.stack(found)


def compare(path: Path) -> None:
    """Print how the ranking of each way to measure agrees with two full ones."""
    with np.load(path, allow_pickle=False) as file:
        wrong, (planned, plain) = file["planted"], file["schedule"].tolist()
        loss, gradient = file["loss"], file["gradient"]  # (E, N) each
        curvature = file["curvature"].astype(float)  # (E, probes, N)
    recipe = named("fast", len(wrong), 3 if planned == named("fast", 1, 3).epochs else 1)
    numbers = range(1, len(curvature) + 1)
    chosen = [number - 1 for number in numbers if recipe.measures_curvature(number)]
    warmed = [number - 1 for number in numbers if number >= recipe.curvature_from]
    bound = recipe.curvature_least_loss
    full = {
        "every epoch": curvature.mean((0, 1)),
        "without warm-up": curvature[warmed].mean((0, 1)),
        "the same epochs": curvature[chosen].mean((0, 1)),
    }
    probed = loss > bound
    dealt = dealt_by_gradient(np.where(probed, gradient, 0)[chosen], recipe)  # (E', N)
    spent = dealt[probed[chosen]].mean()
    first = np.arange(curvature.shape[1])[:, None] < dealt[:, None]  # (E', probes, N)
    numbers_of_probes = more_where_it_bends([curvature[epoch, 0].mean() for epoch in chosen])
    placed = [curvature[epoch, :n].mean(0) for epoch, n in zip(chosen, numbers_of_probes, strict=True)]
    ways = {
        "ten probes, without warm-up": full["without warm-up"],
        "ten probes, epochs of fast": full["the same epochs"],
        "one probe, epochs of fast": curvature[chosen, 0].mean(0),
        f"fast ({spent:.2f} probes, by the gradient, and bound on the loss)": np.where(
            probed[chosen], (curvature[chosen] * first).sum(1) / dealt, 0
        ).mean(0),
        "one probe, bound on the loss": np.where(probed, curvature[:, 0], 0)[chosen].mean(0),
        "two probes, bound on the loss": np.where(probed, curvature[:, :2].mean(1), 0)[chosen].mean(0),
        f"{np.mean(numbers_of_probes):.2f} probes, more where it bends, and bound": np.where(
            probed[chosen], placed, 0
        ).mean(0),
    }
    print(f"{path}: {len(wrong)} samples, {wrong.sum()} planted, {len(numbers)} of {planned} epochs, {plain} plain")
    print(f"  of the probes in the epochs of fast {probed[chosen].mean():.1%} are above the bound")
    for name, values in full.items():
        print(f"  ten probes, {name}: AUROC {roc_auc_score(wrong, values):.4f}")
    for name, values in ways.items():
        said = [f"AUROC {roc_auc_score(wrong, values):.4f}"]
        for other, reference in full.items():
            top = min(TOP, len(values))
            common = len(set(np.argsort(-values)[:top]) & set(np.argsort(-reference)[:top])) / top
            said.append(f"{other}: Spearman {spearmanr(values, reference).statistic:.3f}, top {top} {common:.2f}")
        print(f"  {name}: " + "; ".join(said))


if __name__ == "__main__":
    main()
