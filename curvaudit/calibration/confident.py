"""The baseline Confident Learning (Northcutt, Jiang and Chuang, JAIR 2021), through cleanlab."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..extras import need

EXTRA = "cleanlab"
DEFINITION = (
    "Confident Learning (cleanlab): probability that networks trained on the other folds give to the label, "
    "minus the mean of that over the class"
)


@dataclass(frozen=True)
class Judged:
    """What Confident Learning says about N labels."""

    suspicion: np.ndarray  # (N,) for every sample, higher is more suspicious
    flagged: np.ndarray  # (N,) bool, label issues (pruned by noise rate, the default of cleanlab)
    suggested: np.ndarray  # (N,) class index, the most probable class


def require() -> None:
    """Raises CurvauditError with the install command where cleanlab is missing."""
    need("cleanlab", EXTRA, "The baseline Confident Learning")


def judge(labels: np.ndarray, probabilities: np.ndarray) -> Judged:
    """Judge labels by out-of-sample probabilities.

    Every sample gets a soft score, flagged or not: the self-confidence after the thresholds of the
    classes are subtracted, the comparison at the heart of Confident Learning.

    Parameters
    ----------
    labels:
        (N,) class indices.
    probabilities:
        (N, K), each row from a network that has not seen the sample.

    Raises
    ------
    CurvauditError
        cleanlab is not installed.
    """
    require()
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    # Classes without a sample have no threshold.
    present, given = np.unique(labels, return_inverse=True)
    known = np.asarray(probabilities, np.float64)[:, present]  # (N, P)
    known /= np.maximum(known.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    health = get_label_quality_scores(given, known, method="self_confidence", adjust_pred_probs=True)  # (N,)
    flagged = find_label_issues(given, known, n_jobs=1)
    return Judged(-np.asarray(health), np.asarray(flagged, bool), present[known.argmax(axis=1)])
