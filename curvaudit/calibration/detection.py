"""How well a ranking, or a yes or no, finds known label errors."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import average_precision_score, precision_score, recall_score, roc_auc_score

from .. import ordering
from .result import Flags, Quality


def quality(wrong: np.ndarray, suspicion: np.ndarray, top: int) -> Quality:
    """How well `suspicion` puts the wrong labels first.

    Parameters
    ----------
    wrong:
        (N,) bool, at least one of either kind.
    suspicion:
        (N,), higher is more suspicious; NaN where not measured, which counts as least suspicious.
    top:
        Places for `precision_at_top`, at most N.
    """
    # Ranks instead of values, equal ones equal: the metrics know neither NaN nor infinity.
    _, level = np.unique(np.where(np.isnan(suspicion), -np.inf, suspicion), return_inverse=True)  # (N,)
    first = wrong[ordering.order(level)]  # (N,) in the order of suspicion
    planted = int(wrong.sum())
    found = int(first[:planted].sum())
    return Quality(
        auroc=float(roc_auc_score(wrong, level)),
        average_precision=float(average_precision_score(wrong, level)),
        precision_at_planted=found / planted,
        recall_at_planted=found / planted,
        precision_at_top=float(first[:top].mean()),
    )


def flags(wrong: np.ndarray, true: np.ndarray, flagged: np.ndarray, suggested: np.ndarray) -> Flags:
    """How well `flagged` finds the wrong labels, and `suggested` the true ones.

    Parameters
    ----------
    wrong, flagged:
        (N,) bool.
    true, suggested:
        (N,) class indices.
    """
    both = wrong & flagged
    right = float((suggested[both] == true[both]).mean()) if both.any() else float("nan")
    return Flags(
        flagged=int(flagged.sum()),
        precision=float(precision_score(wrong, flagged, zero_division=np.nan)),
        recall=float(recall_score(wrong, flagged, zero_division=np.nan)),
        suggestion_right=right,
    )
