"""A run file of ImageNet's size, made by our own store: what its commits, `report`, `check` and `compare` cost.

    python benchmarks/report_at_scale.py make FOLDER --samples 1281167 --epochs 200
    python benchmarks/report_at_scale.py stream FOLDER      what every command reads of the epochs
    python benchmarks/report_at_scale.py report FOLDER      (also: check, compare)

Scores are drawn at random, pictures have no near-copies and no thumbnails are kept: what is measured
is the way through the run file, not the search for copies (benchmarks/planted_duplicates.py).
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from curvaudit import store
from curvaudit.derived import ranking
from curvaudit.derived.memorization import memorizable
from curvaudit.derived.suggestion import suggest
from curvaudit.derived.trajectory import trajectories
from curvaudit.records import EpochRow, RunInfo, Samples, Thumbnails
from curvaudit.scores import build
from curvaudit.training import presets


def samples(count: int, classes: int, chance: np.random.Generator) -> Samples:
    labels = np.sort(chance.integers(0, classes, count)).astype(np.int32)
    return Samples(
        ids=tuple(f"n{label:08d}/n{label:08d}_{row}.JPEG" for row, label in enumerate(labels)),
        labels=labels,
        classes=tuple(f"n{label:08d}" for label in range(classes)),
        content_hash=chance.integers(1, 2**63, count).astype(np.uint64),
        phash=chance.integers(1, 2**63, count).astype(np.uint64),
        width=np.full(count, 500, np.uint16),
        height=np.full(count, 375, np.uint16),
        contrast=np.full(count, 0.25, np.float32),
        signature=chance.integers(-127, 128, (count, 99)).astype(np.int8),
    )


def make(folder: Path, count: int, classes: int, epochs: int) -> None:
    chance = np.random.default_rng(0)
    path = folder / "run.h5"
    info = RunInfo("imagenet", "00" * 16, {}, {}, "benchmark", "2026-01-01T00:00:00Z")
    started = time.monotonic()
    known = samples(count, classes, chance)
    store.create(path, info, known, (), Thumbnails(np.zeros(0, np.int64), ()), overwrite=True)
    print(f"without epochs: {path.stat().st_size / 1e6:.0f} MB in {time.monotonic() - started:.1f} s", flush=True)
    recipe = presets.named("paper-imagenet", count, 3)
    measures = {score.name: score.info for score in build()}
    store.add_training(path, 0, 0.0, 0, recipe.as_dict(), measures)
    base = chance.gamma(0.5, 1, count).astype(np.float32)  # (N,)
    seconds, largest = [], 0
    for number in range(1, epochs + 1):
        noise = chance.random(count, np.float32)  # (N,)
        right = noise + 0.8 * number / epochs > 0.5
        right |= number == epochs
        values = {
            "loss": base * noise,
            "margin": np.where(right, noise, -noise) * 5,
            "el2n": np.where(right, noise / 2, noise),
            "correct": right.astype(np.float32),
            "prediction": np.where(right, known.labels, (known.labels + 1) % classes).astype(np.float32),
        }
        if recipe.measures_curvature(number):
            values |= {"curvature": base * (0.5 + noise), "gradient": base + noise}
        before = time.monotonic()
        store.append_epoch(path, 0, EpochRow(number, 1.0, float(right.mean()), np.nan, np.nan, 0.1, 1.0, values))
        seconds.append(time.monotonic() - before)
        largest = max(largest, sum(file.stat().st_size for file in folder.iterdir()))
    before = time.monotonic()
    store.finish_training(path, 0, True)
    print(
        f"{path.stat().st_size / 1e9:.2f} GB after {epochs} epochs; most on disk between commits {largest / 1e9:.2f} GB"
    )
    print(
        f"commits: median {np.median(seconds):.2f} s, largest {max(seconds):.1f} s, sum {sum(seconds):.0f} s; "
        f"end of the training {time.monotonic() - before:.1f} s"
    )
    print(f"written: {_written() / 1e9:.1f} GB")


def _written() -> int:
    with open("/proc/self/io") as counters:
        return next(int(line.split()[1]) for line in counters if line.startswith("write_bytes"))


def stream(folder: Path) -> None:
    started = time.monotonic()
    run = store.open_run(folder / "run.h5")
    can = memorizable(run.samples)
    rows = list(range(0, len(run.samples), max(1, len(run.samples) // 5000)))
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"samples: {time.monotonic() - started:.1f} s, {base / 2**20:.2f} GiB")
    for name, part in (
        ("scores reduced over epochs", lambda: ranking.reduced(run, 0)),
        ("share memorized in each epoch", lambda: ranking.memorized_share(run, 0, can)),
        ("suggested labels", lambda: suggest(run, 0, can)),
        ("mean curvature in each epoch", lambda: run.epoch_means(0, "curvature")),
        ("curves of 5,000 pictures, medians of classes", lambda: trajectories(run, 0, rows)),
    ):
        before = time.monotonic()
        part()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(f"{name}: {time.monotonic() - before:.1f} s, peak so far {peak / 2**20:.2f} GiB", flush=True)
    print(f"all: {time.monotonic() - started:.0f} s")


def command(folder: Path, name: str) -> None:
    run = str(folder / "run.h5")
    arguments = {
        "report": ["report", run, "-o", str(folder / "report"), "-q"],
        "check": ["check", run],
        "compare": ["compare", run, run],
    }[name]
    started = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-m", "curvaudit", *arguments], env=os.environ, capture_output=True, text=True, check=False
    )
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"{name}: exit {ended.returncode}, {time.monotonic() - started:.0f} s "
        f"({usage.ru_utime + usage.ru_stime:.0f} s of computing), peak {usage.ru_maxrss / 2**20:.2f} GiB"
    )
    if ended.returncode not in (0, 1, 2) or "Traceback" in ended.stderr:
        print(ended.stderr[-2000:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=["make", "stream", "report", "check", "compare"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--samples", type=int, default=1_281_167)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=200)
    given = parser.parse_args()
    if given.step == "make":
        given.folder.mkdir(parents=True, exist_ok=True)
        make(given.folder, given.samples, given.classes, given.epochs)
    elif given.step == "stream":
        stream(given.folder)
    else:
        command(given.folder, given.step)


if __name__ == "__main__":
    main()
