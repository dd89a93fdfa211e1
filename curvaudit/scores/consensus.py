"""One ranking out of several: derived by the report, never logged."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..records import MeasureInfo

NAME = "consensus"
PARTS = ("loss", "el2n")
INFO = MeasureInfo(
    "percentile / 100",
    "percentile of the standard deviations above the mean, by loss or by EL2N, whichever is more",
    "high",
)


def consensus(suspicion: Mapping[str, np.ndarray]) -> np.ndarray:
    """Loss and EL2N together, (N,) in [0, 1]; high is suspicious.

    For each of the two: how many standard deviations a sample lies above the mean of all samples. The larger one
    counts, and the score is the percentile of that.

    Both ask whether the label was resisted during training, which is what finds wrong labels; curvature also answers
    to rare and conflicting pictures and keeps its own ranking. Loss tells best what comes first, EL2N what stands in
    the middle, and errors between classes that look alike. Ranks would flatten what stands out, and margins go on
    growing at random after memorization (docs/evidence.md has what was tried).

    Parameters
    ----------
    suspicion:
        score -> (N,), higher is more suspicious.
    """
    parts = [_standard(suspicion[name]) for name in PARTS if name in suspicion]
    # Rounded, so that samples that are alike stay so in whatever order they were added up.
    largest: np.ndarray = np.maximum.reduce(parts)  # keeps NaN, which counts as highest
    return percentile(largest.round(9))


def _standard(values: np.ndarray) -> np.ndarray:
    """Standard deviations above the mean, (N,), both of the finite values alone."""
    finite = values[np.isfinite(values)]
    # Not by the deviation: of equal values rounding may leave one above 0.
    spread = finite.std() if len(finite) and finite.min() < finite.max() else 0.0
    found: np.ndarray = (values - finite.mean()) / spread if spread > 0 else np.where(np.isfinite(values), 0.0, values)
    return found


def percentile(values: np.ndarray) -> np.ndarray:
    """Share of the samples with a lower value, (N,) in [0, 1]; equal values share one."""
    # Equal values share one percentile: otherwise the order of the files would decide.
    _, inverse, count = np.unique(values, return_inverse=True, return_counts=True)
    below = np.cumsum(count) - count
    return (below + (count - 1) / 2)[inverse] / max(1, len(values) - 1)
