"""One ranking out of several: derived by the report, never logged."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..records import MeasureInfo

NAME = "consensus"
PARTS = ("loss", "margin", "el2n")
INFO = MeasureInfo(
    "percentile / 100",
    "loss, margin and EL2N together, each as the share of samples that are at least as suspicious",
    "high",
)


def consensus(suspicion: Mapping[str, np.ndarray]) -> np.ndarray:
    """Loss, margin and EL2N together, (N,) in [0, 1]; high is suspicious.

    For each of the three take the share of samples that are at least as suspicious, and multiply the shares, as
    Fisher ("Statistical Methods for Research Workers", 1925) combines tests. The score is the percentile of that.

    These three ask whether the label was resisted during training, which is what finds wrong
    labels; curvature also answers to rare and conflicting pictures and keeps its own ranking. Uniform errors
    are found best by loss, errors between look-alike classes by EL2N: together they lose little on either
    (docs/evidence.md).

    Parameters
    ----------
    suspicion:
        score -> (N,), higher is more suspicious.
    """
    parts = [percentile(suspicion[name]) for name in PARTS if name in suspicion]
    # The share is never below one of N, and its logarithm finite.
    shares = [1 - part * (1 - 1 / len(part)) for part in parts]
    # Rounded, so that equal products stay equal in whatever order they were multiplied.
    return percentile(np.round(-np.sum(np.log(shares), axis=0), 9))


def percentile(values: np.ndarray) -> np.ndarray:
    """Share of the samples with a lower value, (N,) in [0, 1]; equal values share one."""
    # Equal values share one percentile: otherwise the order of the files would decide.
    _, inverse, count = np.unique(values, return_inverse=True, return_counts=True)
    below = np.cumsum(count) - count
    return (below + (count - 1) / 2)[inverse] / max(1, len(values) - 1)
