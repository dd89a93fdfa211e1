"""Margin of the given label; its mean over epochs is AUM (Pleiss et al., NeurIPS 2020)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..records import MeasureInfo
from .interface import Batch, Score, ScoreSettings, mean_over_epochs

if TYPE_CHECKING:
    from torch import Tensor


def _measure(batch: Batch) -> Tensor:
    given = batch.logits.gather(1, batch.labels[:, None])  # (B, 1)
    others = batch.logits.scatter(1, batch.labels[:, None], float("-inf"))  # (B, K)
    return given.squeeze(1) - others.amax(1)  # (B,)


def score(settings: ScoreSettings) -> Score:
    """Logit of the given label minus the largest other logit; low is suspicious."""
    return Score(
        name="margin",
        info=MeasureInfo("logit", "logit of the given label minus the largest other logit", "low"),
        needs="forward",
        measure=_measure,
        reduce=mean_over_epochs,
    )
