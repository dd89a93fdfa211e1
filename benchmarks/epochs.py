"""Which epochs carry the ranking by curvature? Leaves epochs of finished runs out.

    python benchmarks/epochs.py RUN.h5 …

Nothing is trained: scores are logged epoch by epoch, so a run that measured fewer of them is computed from one that
measured more. Prints for each way to measure fewer how many epochs it takes, and Spearman's correlation and the first
100 in common with the ranking of all measured epochs.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from curvaudit import store
from curvaudit.scores.interface import mean_over_epochs

TOP = 100
KEPT = 0.98  # of the first 100 that must stay when an epoch is added …
STREAK = 2  # … so many times in a row, until the ranking counts as settled


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN.h5")
    for path in parser.parse_args().runs:
        run = store.open_run(path)
        curvature = run.measure(0, "curvature").astype(np.float64)  # (E, N)
        recipe = run.trainings[0].recipe
        measured = np.flatnonzero(~np.isnan(curvature).all(axis=1))
        measured = measured[measured < recipe["epochs"]]
        warm = recipe["epochs"] - recipe["plain_epochs"]  # epochs with augmentation
        augmented, plain = measured[measured < warm], measured[measured >= warm]
        full = mean_over_epochs(curvature[measured])
        print(f"{path}: {len(run.samples)} samples, {len(measured)} epochs measured")
        for name, chosen in _ways(curvature, augmented, plain).items():
            values = mean_over_epochs(curvature[chosen])
            print(
                f"  {name:32}{len(chosen):3} epochs  Spearman {spearmanr(values, full).statistic:.3f}  "
                f"first {TOP} in common {_common(values, full):.2f}"
            )


def _ways(curvature: np.ndarray, augmented: np.ndarray, plain: np.ndarray) -> dict[str, np.ndarray]:
    """name -> epochs; those with augmentation are few and always among them."""
    count = len(plain)
    spaced = np.unique(np.geomspace(1, count, 8).round().astype(int))  # 1 is the first
    chosen = {
        "every 2nd plain epoch": plain[1::2],
        "log-spaced plain epochs": plain[spaced - 1],
        "the same from the end": plain[count - spaced],
        "first half of the plain epochs": plain[: count // 2],
        "last half": plain[count // 2 :],
    }
    ways = {name: np.union1d(augmented, epochs) for name, epochs in chosen.items()}
    return ways | {f"until the first {TOP} have settled": _until_settled(curvature, [*augmented, *plain], plain[0])}


def _until_settled(curvature: np.ndarray, measured: Sequence[int], first: int) -> np.ndarray:
    before, streak = None, 0
    for number, epoch in enumerate(measured, 1):
        now = mean_over_epochs(curvature[list(measured[:number])])
        if before is not None and epoch >= first:
            streak = streak + 1 if _common(before, now) >= KEPT else 0
            if streak == STREAK:
                return np.array(measured[:number])
        before = now
    return np.array(measured)


def _common(one: np.ndarray, other: np.ndarray) -> float:
    return len(set(np.argsort(-one)[:TOP]) & set(np.argsort(-other)[:TOP])) / TOP


if __name__ == "__main__":
    main()
