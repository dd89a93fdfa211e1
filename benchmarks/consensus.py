"""Which one number puts wrong labels first: candidates computed from the logged scores alone.

    python benchmarks/consensus.py SOURCE [--data-dir DIR] [--label-column NAME] [--samples 3000]
        [--rates 1,4,10] [--repeats 2] [--noise uniform,pairs] [--without-curvature] [-o FOLDER]

Plants label errors (`curvaudit calibrate --resume` without baselines: run files of the same settings that
stand in FOLDER are used again, others are refused), and prints for every candidate AUROC and average precision,
mean and standard deviation over the repeats.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

from curvaudit import sources, store
from curvaudit.calibration import calibrating, detection
from curvaudit.derived import ranking
from curvaudit.derived.memorization import memorizable
from curvaudit.derived.suggestion import judging_epochs
from curvaudit.records import EpochDone
from curvaudit.scores.consensus import NAME, PARTS, consensus, percentile
from curvaudit.scores.interface import mean_over_epochs
from curvaudit.sources.subset import draw

LOGGED = ("curvature", "gradient", "loss", "margin", "el2n", "correct")
LOW = ("margin", "correct")  # low is suspicious


def candidates(run: store.Run) -> dict[str, np.ndarray]:
    """name -> (N,), higher is more suspicious."""
    recipe = run.trainings[0].recipe
    share = ranking.memorized_share(run, 0, memorizable(run.samples))  # (E,)
    before = judging_epochs(share, recipe)
    planned = int(recipe["epochs"])
    found: dict[str, np.ndarray] = {}
    for name in LOGGED:
        values = run.measure(0, name).astype(np.float64)  # (E, N)
        if name in LOW:
            values = -values
        found[name] = mean_over_epochs(values)
        found[f"{name}, planned epochs"] = mean_over_epochs(values[:planned])
        if len(before):
            found[f"{name}, before memorization"] = mean_over_epochs(values[before])
        if name not in LOW:
            tiny = np.nanmin(values[values > 0])
            found[f"{name}, geometric"] = mean_over_epochs(np.log(np.maximum(values, tiny)))
            found[f"{name}, root"] = mean_over_epochs(np.sqrt(values))
        measured = ~np.isnan(values).all(axis=1)
        ranked = np.stack([percentile(row) for row in values[measured]])  # (M, N)
        found[f"{name}, percentiles"] = ranked.mean(axis=0)
    found["loss margin el2n"] = _together(found, "loss", "margin", "el2n")
    found["loss el2n"] = _together(found, "loss", "el2n")
    found["loss margin"] = _together(found, "loss", "margin")
    found["loss margin el2n gradient"] = _together(found, "loss", "margin", "el2n", "gradient")
    found["loss margin el2n geometric-gradient"] = _together(found, "loss", "margin", "el2n", "gradient, geometric")
    found["loss margin el2n root-curvature"] = _together(found, "loss", "margin", "el2n", "curvature, root")
    found["loss margin el2n geometric-loss"] = _together(found, "loss", "margin", "el2n", "loss, geometric")
    found["loss margin el2n correct"] = _together(found, "loss", "margin", "el2n", "correct")
    if len(before):
        early = [f"{name}, before memorization" for name in ("loss", "margin", "el2n")]
        found["before memorization: loss margin el2n"] = _together(found, *early)
        found["loss and before-memorization margin"] = _together(found, "loss", early[1])
    found[NAME] = consensus({name: found[name] for name in PARTS})
    for names in (PARTS, ("loss", "margin", "el2n"), ("loss", "margin")):
        parts = [_standard(found[name]) for name in names]
        found[f"largest standard score: {' '.join(names)}"] = np.max(parts, axis=0)
        found[f"sum of standard scores: {' '.join(names)}"] = np.sum(parts, axis=0)
        found[f"product of the shares: {' '.join(names)}"] = -np.sum([np.log(_share(found[n])) for n in names], axis=0)
    # Margins beyond memorization count for little in it, and negative ones as they are.
    found["softplus of margin"] = mean_over_epochs(np.logaddexp(0, -run.measure(0, "margin").astype(np.float64)))
    return found


def _share(values: np.ndarray) -> np.ndarray:
    """Of samples that are at least as suspicious, never below one of N."""
    return 1 - percentile(values) * (1 - 1 / len(values))


def _standard(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / values.std()


def _together(found: dict[str, np.ndarray], *names: str) -> np.ndarray:
    return np.mean([percentile(found[name]) for name in names], axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--data-dir")
    parser.add_argument("--label-column")
    parser.add_argument("--samples", type=int, default=3000)
    parser.add_argument("--rates", default="1,4,10")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--noise", default="uniform,pairs")
    parser.add_argument("-o", "--out", type=Path, default=Path("consensus"))
    parser.add_argument("--width", default="auto")
    parser.add_argument("--resolution", default="auto")
    parser.add_argument("--weight-decay", type=float, default=0.0)
    parser.add_argument("--without-curvature", action="store_true", help="measure it once: halves the time")
    options = parser.parse_args()
    source = sources.load(
        options.source, sources.SourceOptions(data_dir=options.data_dir, label_column=options.label_column)
    )
    subset = draw(source, options.samples, seed=0)
    settings = {"width": options.width, "resolution": options.resolution, "weight_decay": options.weight_decay}
    if options.without_curvature:
        settings["curvature_every"] = 10_000
    rates = [float(rate) / 100 for rate in options.rates.split(",")]
    rows = []
    for noise in options.noise.split(","):
        for rate in rates:
            folder = options.out / f"{noise}-{100 * rate:g}"
            calibrating.calibrate(
                subset, folder, rates=[rate], repeats=options.repeats, baselines=False, noise=noise,
                resume=True, on_event=_tell, **settings,
            )  # fmt: skip
            rows += _judge(folder, subset, noise, rate, options.repeats)
    with (options.out / "consensus.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["noise", "rate", "candidate", "auroc", "deviation", "average_precision", "deviation"])
        writer.writerows(rows)
    for noise, rate, name, auroc, one, precision, two in sorted(rows, key=lambda row: (*row[:2], -row[5])):
        print(f"{noise:8} {rate:5.1%} {name:45} AUROC {auroc:.4f} ± {one:.4f}  AP {precision:.3f} ± {two:.3f}")


def _judge(folder: Path, subset, noise: str, rate: float, repeats: int) -> list[tuple]:
    found: dict[str, list[tuple[float, float]]] = {}
    for path in sorted((folder / "runs").glob("*.h5"))[:repeats]:
        run = store.open_run(path)
        wrong = run.samples.labels != np.asarray(subset.labels)
        for name, values in candidates(run).items():
            quality = detection.quality(wrong, values, 100)
            found.setdefault(name, []).append((quality.auroc, quality.average_precision))
    rows = []
    for name, pairs in found.items():
        spread = np.std(pairs, axis=0, ddof=1) if len(pairs) > 1 else np.full(2, np.nan)
        rows.append((noise, rate, name, *np.stack([np.mean(pairs, axis=0), spread], axis=1).ravel()))
    return rows


def _tell(event: object) -> None:
    if isinstance(event, EpochDone) and event.epoch % 6 == 0:
        print(f"epoch {event.epoch}: memorized {event.memorized_share:.2%}, {event.seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
