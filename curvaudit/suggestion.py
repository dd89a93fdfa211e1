"""A better label, from what the network predicted before it memorized the given one."""

from __future__ import annotations

import numpy as np

from . import ranking, store
from .memorization import memorizable

# A sample counts as likely mislabelled when the network, once it knew the rest of the data,
# chose one and the same other class in this share of the epochs …
RESISTED = 0.5
# … and when this share of its contradictions named that one class.
AGREED = 0.75
# Epochs before the network knows this share of what it will know say little about a label.
KNOWS = 0.8


def suggest(run: store.Run, training: int, eligible: np.ndarray) -> np.ndarray:
    """Class index that the network preferred, (N,) int32; -1 where there is none.

    Parameters
    ----------
    eligible:
        (N,) bool, samples that may be judged: memorized in the end, and not contradicted by
        an identical picture.

    Notes
    -----
    Only epochs count in which the network was already good on the whole set and had not yet
    memorized it: before, predictions are noise; after, they repeat the given labels.
    """
    suggested = np.full(len(run.samples), -1, np.int32)
    info = next(t for t in run.trainings if t.index == training)
    if "prediction" not in info.measures or info.epochs == 0:
        return suggested
    epochs = judging_epochs(ranking.memorized_share(run, training, memorizable(run.samples)))  # (J,)
    if len(epochs) == 0:
        return suggested
    for columns, block in run.measure_blocks(training, "prediction"):
        given = run.samples.labels[columns]  # (n,)
        suggested[columns] = preferred(block[epochs], given, len(run.samples.classes))
    suggested[~eligible] = -1
    return suggested


def judging_epochs(share: np.ndarray) -> np.ndarray:
    """Positions of the epochs that can judge a label.

    Parameters
    ----------
    share:
        (E,) share of the memorizable samples that were right. Of all samples it would never
        reach 1 in a set with conflicting duplicates, and epochs that repeat the labels would count.
    """
    best = np.nanmax(share, initial=0.0)
    knows = share >= KNOWS * best
    contested = share < 1.0
    return np.flatnonzero(knows & contested)


def preferred(predictions: np.ndarray, given: np.ndarray, classes: int) -> np.ndarray:
    """The other class that dominated, (n,) int32, -1 where none did.

    Parameters
    ----------
    predictions:
        (J, n) class indices, NaN where not measured.
    given:
        (n,) label indices.
    """
    measured = (~np.isnan(predictions)).sum(axis=0)  # (n,)
    votes = np.zeros((len(given), classes), np.int32)
    for row in predictions:
        seen = np.flatnonzero(~np.isnan(row))
        votes[seen, row[seen].astype(np.int64)] += 1
    votes[np.arange(len(given)), given] = 0
    best = votes.argmax(axis=1)
    count = votes[np.arange(len(given)), best]
    strong = (count >= RESISTED * np.maximum(measured, 1)) & (count >= AGREED * votes.sum(axis=1)) & (count > 0)
    return np.where(strong, best, -1).astype(np.int32)
