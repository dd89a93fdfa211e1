"""EL2N: length of the error vector (Paul, Ganguli and Dziugaite, NeurIPS 2021)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..records import MeasureInfo
from .interface import Batch, Score, ScoreSettings, mean_over_epochs

if TYPE_CHECKING:
    from torch import Tensor


def _measure(batch: Batch) -> Tensor:
    error = batch.logits.softmax(1)  # (B, K)
    error.scatter_add_(1, batch.labels[:, None], error.new_full((len(error), 1), -1.0))
    found: Tensor = error.norm(dim=1)  # (B,)
    return found


def score(settings: ScoreSettings) -> Score:
    """‖softmax(logits) − onehot(label)‖₂, between 0 and √2."""
    return Score(
        name="el2n",
        info=MeasureInfo("1", "||softmax(logits) - onehot(label)||_2", "high"),
        needs="forward",
        measure=_measure,
        reduce=mean_over_epochs,
    )
