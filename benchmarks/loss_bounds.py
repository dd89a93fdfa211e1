"""Below which loss need curvature not be measured? Simulated on what `ranking.py` logged.

    python benchmarks/loss_bounds.py run.npz run-1.npz …

Every sample was measured with ten probes in every epoch; here those below a bound on the loss count 0, as `fast`
logs them. The bound is fixed, as in `fast`, or a share of a mean loss of all samples, where that is more: of the epochs
measured before, or of the last of them. Prints, for each bound: the share of samples that is measured, and how
`curvature` and `late-curvature`, of ten probes, agree with those under the fixed bound.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from curvaudit.scores import late
from curvaudit.training.presets import fast

TOP = 100
FIXED = 0.003  # nat
SHARES = (0.02, 0.05, 0.1, 0.2)  # of a mean loss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    columns = [f"{kind}: Spearman, first {TOP}, AUROC gains" for kind in ("curvature", late.NAME)]
    print("| run | share | of the mean loss of | measured | " + " | ".join(columns) + " |\n|---|---|---|---|---|---|")
    for file in parser.parse_args().runs:
        for row in simulated(file):
            print(f"| {file.stem} | {row} |")


def simulated(file: Path) -> Iterator[str]:
    """One row for each bound."""
    with np.load(file) as logged:
        epochs, plain = logged["schedule"].tolist()
        recipe = next(r for r in (fast(epochs, 1), fast(epochs, 3)) if (r.epochs, r.plain_epochs) == (epochs, plain))
        chosen = np.array([epoch for epoch in range(epochs) if recipe.measures_curvature(epoch + 1)])
        loss, curvature = logged["loss"][chosen], logged["curvature"][chosen].mean(1)  # (E, N)
        planted = logged["planted"]  # (N,)
    rankings = (slice(None), chosen >= late.rows(epochs, epochs).start)  # of all epochs, of the last ones
    kept = curvature * (loss >= FIXED)  # (E, N)

    def row(share: float, name: str, usual: np.ndarray) -> str:
        above = loss >= np.maximum(FIXED, share * usual)[:, None]  # (E, N)
        found = curvature * above  # (E, N)
        agreeing = (agreement(found[rows].mean(0), kept[rows].mean(0), planted) for rows in rankings)
        return " | ".join((f"{share:g}", name, f"{above.mean():.0%}", *agreeing))

    means = loss.mean(1, dtype=np.float64)  # (E,)
    yield row(0, "", means)
    for name, usual in (("the epochs before", before(means)), ("the last one", np.append(0, means[:-1]))):
        for share in SHARES:
            yield row(share, name, usual)


def before(means: np.ndarray) -> np.ndarray:
    """Mean of those before each, (E,) -> (E,); 0 for the first."""
    return np.append(0, np.cumsum(means)[:-1] / np.arange(1, len(means)))


def agreement(found: np.ndarray, whole: np.ndarray, planted: np.ndarray) -> str:
    """Of two rankings, (N,) each."""
    common = len(set(np.argsort(-whole)[:TOP]) & set(np.argsort(-found)[:TOP]))
    gain = roc_auc_score(planted, found) - roc_auc_score(planted, whole)
    return f"{spearmanr(found, whole).statistic:.4f}, {common}, {gain:+.3f}"


if __name__ == "__main__":
    main()
