"""What the trainings that rank together say of every label: by majority, where there are several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .. import store
from ..records import TrainingInfo
from .damage import ReadableParts
from .memorization import memorizable

_NEARLY_ALL = 0.95  # share of the samples that could be memorized


@dataclass(frozen=True)
class Labels:
    """What the trainings that rank together say of every label."""

    memorizable: np.ndarray  # (N,) bool
    memorized: np.ndarray  # (N,) bool, with more than half of the seeds
    share: float  # memorized, of the memorizable; NaN where it is damaged
    suggested: np.ndarray  # (N,) int32, class index, -1 where there is none
    judged: bool  # whether any epoch could suggest one
    right: float  # share of the samples predicted as labelled in the epochs that judge; NaN where there are none


def judge_labels(run: store.Run, group: Sequence[TrainingInfo], readable: ReadableParts) -> Labels:
    """Ask every training of the group; more than half must agree."""
    can = memorizable(run.samples)
    correct = np.stack([readable.correct(one) for one in group])  # (R, N)
    found = [readable.suggest(one, _may_be_judged(can, right)) for one, right in zip(group, correct, strict=True)]
    nothing = np.full(len(can), -1, np.int32)
    suggested = _agreed([nothing if one is None else one.classes for one in found])
    right = [one.right for one in found if one is not None]
    memorized = correct.mean(axis=0) > 0.5
    share = np.nan if "CA203" in readable.unanswered else float(memorized[can].mean()) if can.any() else 1.0
    return Labels(can, memorized, share, suggested, bool(right), float(np.mean(right)) if right else np.nan)


def _may_be_judged(can: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Samples (N,) of which a training may doubt the label: all it memorized, and the rest where that is nearly all.

    What resists to the end while everything else is learned is the likeliest wrong label of all; a network that has
    learned little to the end resists much.
    """
    nearly_all = can.any() and right[can].mean() >= _NEARLY_ALL
    return can if nearly_all else can & right


def _agreed(suggested: Sequence[np.ndarray]) -> np.ndarray:
    """The class that more than half of the trainings suggest, (N,) int32, -1 where there is none."""
    if len(suggested) == 1:
        return suggested[0]
    votes = np.stack(suggested)  # (R, N)
    agreed = np.full(votes.shape[1], -1, np.int32)
    for one in votes:
        many = (votes == one).sum(axis=0) * 2 > len(votes)
        agreed[many] = one[many]
    return agreed
