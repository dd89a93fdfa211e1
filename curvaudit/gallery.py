"""Which pictures a report may show, and their thumbnails."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from PIL.Image import Image

from . import images, matching, ranking, store
from .records import Thumbnails

TOP = 1000  # as many tiles as a contact sheet is made for
EXTREMES = 10  # lowest and highest a class
_PAIRS = 20_000  # candidates for near-duplicates whose pictures are kept


def rows_worth_showing(run: store.Run) -> np.ndarray:
    """Rows, ascending, whose pictures a report on `run` may need: highest by any score, extremes
    of each class, copies and candidates for near-duplicates, samples not memorized.

    Only asked when a set is too large to keep every thumbnail.
    """
    samples = run.samples
    chosen: list[Iterable[int]] = []
    for training in run.trainings:
        for name, order in ranking.orders(run, training.index).items():
            chosen.append(order[:TOP])
            if name == "curvature":
                chosen.extend(_extremes(order, samples.labels, len(samples.classes)))
        if training.epochs:
            wrong = run.measure(training.index, "correct")[-1] == 0  # (N,)
            chosen.append(np.flatnonzero(wrong)[:TOP])
    _, group, size = np.unique(samples.content_hash, return_inverse=True, return_counts=True)
    chosen.append(np.flatnonzero(size[group] > 1))
    near = matching.candidates(samples)
    chosen.append(np.unique(near.pairs[np.argsort(near.distance, kind="stable")[:_PAIRS]]))
    return np.unique(np.concatenate([np.asarray(rows, np.int64) for rows in chosen]))


def _extremes(order: np.ndarray, labels: np.ndarray, classes: int) -> list[np.ndarray]:
    found = []
    for label in range(classes):
        mine = order[labels[order] == label]
        found += [mine[:EXTREMES], mine[-EXTREMES:]]
    return found


def draw(open_row: Callable[[int], Image], rows: np.ndarray) -> Thumbnails:
    """Thumbnails of `rows`, (M,) ascending."""
    return Thumbnails(rows, tuple(images.thumbnail(open_row(int(row))) for row in rows))
