"""Whether a sample is classified as labelled: the test of memorization."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..records import MeasureInfo
from .interface import Batch, Score, ScoreSettings, mean_over_epochs

if TYPE_CHECKING:
    from torch import Tensor


def _measure(batch: Batch) -> Tensor:
    return (batch.logits.argmax(1) == batch.labels).float()  # (B,)


def score(settings: ScoreSettings) -> Score:
    """1 where the largest logit is the given label's, else 0; low is suspicious."""
    return Score(
        name="correct",
        info=MeasureInfo("1", "1 where the given label has the largest logit, else 0", "low"),
        needs="forward",
        measure=_measure,
        reduce=mean_over_epochs,
    )
