"""Squared norm of the input gradient: comes free with the clean pass that curvature needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..records import MeasureInfo
from .interface import Batch, Score, ScoreSettings, mean_over_epochs

if TYPE_CHECKING:
    from torch import Tensor


def _measure(batch: Batch) -> Tensor:
    assert batch.gradient is not None
    return batch.gradient.square().flatten(1).sum(1)  # (B,)


def score(settings: ScoreSettings) -> Score:
    """‖∂L/∂x‖² in pixel space, compare with GraNd of Paul, Ganguli and Dziugaite (2021)."""
    return Score(
        name="gradient",
        info=MeasureInfo(
            "(nat/pixel)^2",
            "||grad_x L(x)||^2, pixels in [0, 1]",
            "high",
            parameters={"least_loss": settings.least_loss},
        ),
        needs="gradient",
        measure=_measure,
        reduce=mean_over_epochs,
        least_loss=settings.least_loss,
    )
