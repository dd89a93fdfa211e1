"""From one number a sample to its place: what ranks a report, its columns and its page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from .records import TrainingInfo


def suspicion(trainings: Iterable[TrainingInfo], name: str, values: np.ndarray) -> np.ndarray:
    """`values` of the score `name` turned so that higher is more suspicious, (N,)."""
    for training in trainings:
        info = training.measures.get(name)
        if info is not None and info.direction == "low":
            return -values
    return values


def order(suspicious: np.ndarray, then: np.ndarray | None = None) -> np.ndarray:
    """Rows from the most suspicious down, (N,), unmeasured samples last; equal ones by `then` (N,), then by row."""
    keys = [-np.nan_to_num(values, nan=-np.inf) for values in (then, suspicious) if values is not None]
    return np.lexsort(keys)


def order_by(trainings: Iterable[TrainingInfo], scores: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """Rows from the most suspicious down by one of `scores`, (N,).

    Where the loss is below its bound curvature is 0 without being measured. Of equal samples, that with the larger loss
    comes first: the order of files must not decide.
    """
    infos = tuple(trainings)
    # A column of another training, `curvature@wd=0.0001`, has the direction of its score.
    score, *training = name.split("@")
    loss = scores.get("@".join(["loss", *training]))
    then = None if loss is None else suspicion(infos, "loss", loss)
    return order(suspicion(infos, score, scores[name]), then)


def ranks(rows: np.ndarray) -> np.ndarray:
    """`ranks[row]` = place of the row in `rows`, counted from 1, (N,)."""
    rank = np.empty(len(rows), np.int64)
    rank[rows] = np.arange(1, len(rows) + 1)
    return rank
