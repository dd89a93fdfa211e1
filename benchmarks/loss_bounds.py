"""Below which loss need curvature not be measured? Simulated on what `ranking.py` logged.

    python benchmarks/loss_bounds.py run.npz run-1.npz …

Every sample was measured with ten probes in every epoch; here those below a bound on the loss count 0, as `fast`
logs them. The bound is fixed, as in `fast`, or a share of the mean loss of all samples in the epochs measured before.
Prints, for each bound: the share of samples that is measured, and how the mean of ten probes agrees with that of all.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from curvaudit.training.presets import fast

TOP = 100
FIXED = 0.003  # nat
SHARES = (0.0, 0.05, 0.1, 0.2)  # of the usual loss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    print("| run | share of the usual loss | measured | Spearman | first 100 | AUROC |\n|---|---|---|---|---|---|")
    for file in parser.parse_args().runs:
        with np.load(file) as logged:
            epochs, plain = logged["schedule"].tolist()
            recipe = next(
                r for r in (fast(epochs, 1), fast(epochs, 3)) if (r.epochs, r.plain_epochs) == (epochs, plain)
            )
            chosen = [epoch for epoch in range(epochs) if recipe.measures_curvature(epoch + 1)]
            loss, curvature = logged["loss"][chosen], logged["curvature"][chosen].mean(1)  # (E, N)
            planted = logged["planted"]  # (N,)
        whole = (curvature * (loss >= FIXED)).mean(0)  # (N,)
        for share in SHARES:
            above = loss >= np.maximum(FIXED, share * usual(loss))[:, None]  # (E, N)
            found = (curvature * above).mean(0)  # (N,)
            common = len(set(np.argsort(-whole)[:TOP]) & set(np.argsort(-found)[:TOP]))
            print(
                f"| {file.stem} | {share:g} | {above.mean():.0%} | {spearmanr(found, whole).statistic:.4f} "
                f"| {common} | {roc_auc_score(planted, found):.4f} |"
            )


def usual(loss: np.ndarray) -> np.ndarray:
    """Mean loss of all samples in the measured epochs before each, (E, N) -> (E,); 0 in the first."""
    means = loss.mean(1, dtype=np.float64)
    return np.array([means[:done].mean() if done else 0.0 for done in range(len(means))])


if __name__ == "__main__":
    main()
