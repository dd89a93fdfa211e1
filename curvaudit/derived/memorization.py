"""Which samples can be memorized at all."""

from __future__ import annotations

import numpy as np

from ..records import Samples


def memorizable(samples: Samples) -> np.ndarray:
    """(N,) bool: False for pictures that stand under several labels with identical pixels.

    No function of the picture can give two answers, so full memorization is judged on the rest.
    """
    _, group = np.unique(samples.content_hash, return_inverse=True)  # (N,)
    low = np.full(group.max(initial=0) + 1, np.iinfo(np.int32).max, np.int32)
    high = np.full_like(low, -1)
    np.minimum.at(low, group, samples.labels)
    np.maximum.at(high, group, samples.labels)
    found: np.ndarray = low[group] == high[group]
    return found
