"""One ranking out of several: derived by the report, never logged."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

NAME = "consensus"
PARTS = ("loss", "margin", "el2n")


def consensus(suspicion: Mapping[str, np.ndarray]) -> np.ndarray:
    """Mean percentile of loss, margin and EL2N, (N,) in [0, 1]; high is suspicious.

    These three ask whether the label was resisted during training, which is what finds wrong
    labels; curvature also answers to rare and conflicting pictures and keeps its own ranking.

    Parameters
    ----------
    suspicion:
        score -> (N,), higher is more suspicious.
    """
    parts = [percentile(suspicion[name]) for name in PARTS if name in suspicion]
    found: np.ndarray = np.mean(parts, axis=0)
    return found


def percentile(values: np.ndarray) -> np.ndarray:
    """Share of the samples with a lower value, (N,) in [0, 1]; equal values share one."""
    # Equal values share one percentile: otherwise the order of the files would decide.
    _, inverse, count = np.unique(values, return_inverse=True, return_counts=True)
    below = np.cumsum(count) - count
    return (below + (count - 1) / 2)[inverse] / max(1, len(values) - 1)
