"""Cross-entropy loss; summed over epochs it is the "cumulative sample loss"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..records import MeasureInfo
from .interface import Batch, Score, ScoreSettings, mean_over_epochs

if TYPE_CHECKING:
    from torch import Tensor


def _measure(batch: Batch) -> Tensor:
    return batch.loss  # (B,)


def score(settings: ScoreSettings) -> Score:
    """Loss of each sample; the mean over epochs ranks as the sum does."""
    return Score(
        name="loss",
        info=MeasureInfo("nat", "cross-entropy of the given label, eval mode", "high"),
        needs="forward",
        measure=_measure,
        reduce=mean_over_epochs,
    )
