"""The predicted class in each epoch: evidence for a suggested label, no ranking of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..records import MeasureInfo
from .interface import Batch, Score, ScoreSettings

if TYPE_CHECKING:
    from torch import Tensor


def _measure(batch: Batch) -> Tensor:
    return batch.logits.argmax(1).float()  # (B,); float32 holds every class index below 2^24


def score(settings: ScoreSettings) -> Score:
    """Index of the class with the largest logit."""
    return Score(
        name="prediction",
        info=MeasureInfo("class index", "class with the largest logit, eval mode", "high"),
        needs="forward",
        measure=_measure,
        reduce=None,
    )
