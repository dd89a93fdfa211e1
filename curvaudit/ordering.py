"""From one number a sample to its place: what ranks a report, its columns and its page."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .records import TrainingInfo


def suspicion(trainings: Iterable[TrainingInfo], name: str, values: np.ndarray) -> np.ndarray:
    """`values` of the score `name` turned so that higher is more suspicious, (N,)."""
    for training in trainings:
        info = training.measures.get(name)
        if info is not None and info.direction == "low":
            return -values
    return values


def order(suspicious: np.ndarray) -> np.ndarray:
    """Rows from the most suspicious down, (N,); ties by row, unmeasured samples last."""
    return np.argsort(-np.nan_to_num(suspicious, nan=-np.inf), kind="stable")


def ranks(rows: np.ndarray) -> np.ndarray:
    """`ranks[row]` = place of the row in `rows`, counted from 1, (N,)."""
    rank = np.empty(len(rows), np.int64)
    rank[rows] = np.arange(1, len(rows) + 1)
    return rank
