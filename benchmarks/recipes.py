"""Which way of training puts wrong labels first? Recipes beside the one of `fast`, all of as many epochs and batches.

    python benchmarks/recipes.py SOURCE [--data-dir DIR] [--label-column NAME] [--samples 2000] [--resolution 16]
        [--rate 4] [--seeds 3] [--recipes fast,plain,…] [-o FOLDER]

Plants RATE percent of uniform label errors, scans them with each recipe (width 16, no epochs beyond the schedule), and
prints AUROC and average precision of the scores, mean and standard deviation over the seeds (of labels and training
both), and how much each recipe had memorized. A run file that stands in FOLDER is read again, so a stopped benchmark
goes on; `recipes.csv` there has every run.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import curvaudit
from curvaudit import ordering, sources
from curvaudit.calibration import detection
from curvaudit.calibration.calibrating import plant_all
from curvaudit.calibration.trial import Relabelled
from curvaudit.derived import ranking
from curvaudit.inventory import take
from curvaudit.sources.subset import draw
from curvaudit.training import presets
from curvaudit.training.recipe import Recipe

SCORES = ("consensus", "loss", "margin", "el2n", "curvature")


def augmented(share: float) -> Callable[[Recipe], Recipe]:
    """As many epochs, another share of them with augmentation."""

    def changed(recipe: Recipe) -> Recipe:
        count = round(share * recipe.epochs)
        return replace(recipe, plain_epochs=recipe.epochs - count, curvature_from=1 + -(-count // 5))

    return changed


RECIPES: dict[str, Callable[[Recipe], Recipe]] = {
    "fast": lambda recipe: recipe,
    "no augmentation": lambda recipe: replace(recipe, augmentation="none"),
    "a sixth augmented": augmented(1 / 6),
    "half augmented": augmented(1 / 2),
    "two thirds augmented": augmented(2 / 3),
    "all augmented": augmented(1),
    "peak 0.02": lambda recipe: replace(recipe, learning_rate=0.02),
    "peak 0.1": lambda recipe: replace(recipe, learning_rate=0.1),
    "plain from 0.05": lambda recipe: replace(recipe, plain_rate=0.05),
    "plain from 0.01": lambda recipe: replace(recipe, plain_rate=0.01),
    "plain from 0.002": lambda recipe: replace(recipe, plain_rate=0.002),
}


@dataclass(frozen=True)
class Judged:
    """One scan."""

    recipe: str
    seed: int
    memorized: float  # share of the samples after the schedule
    quality: dict[str, detection.Quality]  # score -> quality


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--data-dir")
    parser.add_argument("--label-column")
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--resolution", default="auto")
    parser.add_argument("--rate", type=float, default=4.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--recipes", default=",".join(RECIPES))
    parser.add_argument("-o", "--out", type=Path, default=Path("recipes"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    told = sources.SourceOptions(data_dir=options.data_dir, label_column=options.label_column)
    drawn = draw(sources.load(options.source, told), options.samples, 0)
    found: list[Judged] = []
    # Seeds outside: a stopped benchmark has as many runs of each recipe.
    for seed in range(options.seeds):
        for name in options.recipes.split(","):
            found.append(one(drawn, name, seed, options))
            print(f"{name}, seed {seed}: {line([found[-1]])}", flush=True)
    write(found, options.out / "recipes.csv")
    print(f"\n| recipe | memorized | {' | '.join(f'{score}: AUROC, average precision' for score in SCORES)} |")
    for name in options.recipes.split(","):
        print(f"| {name} | {line([each for each in found if each.recipe == name])} |")


def one(drawn, name: str, seed: int, options: argparse.Namespace) -> Judged:
    stock = take(drawn, 1, lambda done: None)
    errors = plant_all(stock.samples, [(options.rate / 100, seed)], "uniform")[0]
    path = options.out / f"{name.replace(' ', '-')}-{seed}.h5"
    kept = presets.named
    # A preset cannot be told all of this from outside, and need not.
    presets.named = lambda *given: replace(RECIPES[name](kept(*given)), extension=0)
    try:
        run = curvaudit.scan(
            Relabelled(stock, errors.labels), path, resume=path.exists(), seed=seed, width=16, device="cpu",
            resolution=options.resolution, workers=1,
        )  # fmt: skip
    finally:
        presets.named = kept
    reduced = ranking.reduced(run, 0)
    judged = {
        score: detection.quality(errors.wrong, ordering.suspicion(run.trainings, score, reduced[score]), 100)
        for score in SCORES
    }
    return Judged(name, seed, float(run.trainings[0].curves.train_accuracy[-1]), judged)


def line(found: list[Judged]) -> str:
    cells = [f"{100 * np.mean([each.memorized for each in found]):.1f} %"]
    for score in SCORES:
        told = [
            spread([getattr(each.quality[score], measure) for each in found])
            for measure in ("auroc", "average_precision")
        ]
        cells.append(", ".join(told))
    return " | ".join(cells)


def spread(values: list[float]) -> str:
    return f"{np.mean(values):.3f}" + (f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else "")


def write(found: list[Judged], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["recipe", "seed", "memorized", *(f"{score}, {m}" for score in SCORES for m in ("AUROC", "AP"))])
        for each in found:
            values = [q for score in SCORES for q in (each.quality[score].auroc, each.quality[score].average_precision)]
            table.writerow([each.recipe, each.seed, f"{each.memorized:.4f}", *(f"{value:.4f}" for value in values)])


if __name__ == "__main__":
    main()
