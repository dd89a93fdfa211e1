"""A better label, from what the network predicted before it memorized the given one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import store
from ..scores.interface import mean_over_epochs
from ..training.recipe import WARM
from . import ranking
from .memorization import memorizable

# A sample counts as likely mislabelled when the network, before it memorized, chose one and the
# same other class in this share of the epochs …
RESISTED = 0.5
# … when this share of its contradictions named that one class …
AGREED = 0.75
# … and when its margin was on average below minus this: odds of 20 to 1 against the given label.
# In log-odds, not in ranks, so that a network which is unsure of everything accuses nobody.
ODDS = 3.0
# A schedule without plain epochs ends judging where this share is memorized.
_MEMORIZED = 0.99
_WARM_UP = 0.05  # share of the epochs, for schedules without plain ones


@dataclass(frozen=True)
class Suggestions:
    """What one training says of every label."""

    classes: np.ndarray  # (N,) int32, class index that the network preferred, -1 where there is none
    right: float  # share of the samples that it predicted as labelled, mean over the epochs that judge


def suggest(run: store.Run, training: int, eligible: np.ndarray) -> Suggestions | None:
    """The classes that the network preferred to the given ones. None: no epoch could judge.

    Parameters
    ----------
    eligible:
        (N,) bool, samples that may be judged.

    Notes
    -----
    Only epochs after the warm-up and before memorization count: earlier, predictions are noise;
    later, they repeat the given labels. docs/evidence.md has precision and recall.
    """
    info = run.training(training)
    if not {"prediction", "margin"} <= info.measures.keys() or info.epochs == 0:
        return None
    share = ranking.memorized_share(run, training, memorizable(run.samples))  # (E,)
    epochs = judging_epochs(share, info.recipe)  # (J,)
    if len(epochs) == 0:
        return None
    suggested = np.full(len(run.samples), -1, np.int32)
    blocks = zip(run.measure_blocks(training, "prediction"), run.measure_blocks(training, "margin"), strict=True)
    for (columns, predictions), (_, margins) in blocks:
        given = run.samples.labels[columns]  # (n,)
        better = preferred(predictions[epochs], given, len(run.samples.classes))  # (n,)
        sure = mean_over_epochs(margins[epochs]) < -ODDS  # (n,)
        suggested[columns] = np.where(sure, better, -1)
    suggested[~eligible] = -1
    return Suggestions(suggested, float(share[epochs].mean()))


def judging_epochs(share: np.ndarray, recipe: Mapping[str, Any]) -> np.ndarray:
    """Positions of the epochs that can judge a label, whichever of them curvature was measured in.

    Parameters
    ----------
    share:
        (E,) share of the memorizable samples that were right. Of all samples it would never
        reach 1 in a set with conflicting duplicates, and epochs that repeat the labels would count.
    recipe:
        Of the training, as the run file holds it.
    """
    planned = int(recipe.get("epochs", len(share)))
    plain = int(recipe.get("plain_epochs", 0))
    first = math.ceil(WARM * (planned - plain)) if plain else round(_WARM_UP * planned)
    memorized = np.flatnonzero(share >= (1.0 if plain else _MEMORIZED))
    end = min(planned - plain, *memorized[:1].tolist(), len(share))
    return np.arange(first, end) if end > first else np.zeros(0, np.int64)


def preferred(predictions: np.ndarray, given: np.ndarray, classes: int) -> np.ndarray:
    """The other class that dominated, (n,) int32, -1 where none did.

    Parameters
    ----------
    predictions:
        (J, n) class indices, NaN where not measured.
    given:
        (n,) label indices.
    """
    seen = (predictions >= 0) & (predictions < classes)  # (J, n) false for NaN
    votes = np.where(seen & (predictions != given), predictions, -1).astype(np.int32)  # (J, n)
    # Equal votes come to lie one after the other and are counted there: a table of all classes would take
    # n × K, which is 26 GB for 65,536 samples of 100,000 classes.
    votes.sort(axis=0)
    best = np.zeros(len(given), np.int32)
    count, streak = np.zeros_like(best), np.zeros_like(best)
    before = np.full_like(best, -1)
    for row in votes:
        streak = np.where(row < 0, 0, np.where(row == before, streak + 1, 1))
        better = streak > count  # of classes with as many votes the first
        best, count = np.where(better, row, best), np.where(better, streak, count)
        before = row
    strong = (
        (count >= RESISTED * np.maximum(seen.sum(axis=0), 1))
        & (count >= AGREED * (votes >= 0).sum(axis=0))
        & (count > 0)
    )
    return np.where(strong, best, -1).astype(np.int32)
