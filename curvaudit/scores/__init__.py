"""Scores: one file each. To add one, write the file and name it here."""

from __future__ import annotations

from ..records import MeasureInfo
from . import consensus, correct, curvature, dealing, el2n, gradient, late, loss, margin, prediction
from .interface import Score, ScoreSettings

__all__ = ["DERIVED", "Score", "ScoreSettings", "build"]

DERIVED: dict[str, MeasureInfo] = {late.NAME: late.INFO, consensus.NAME: consensus.INFO}  # by the report, never logged

_BUILDERS = (
    curvature.score,
    gradient.score,
    loss.score,
    margin.score,
    el2n.score,
    correct.score,
    prediction.score,
)


def build(settings: ScoreSettings | None = None) -> tuple[Score, ...]:
    """All scores that a scan logs, in the order in which they are shown."""
    settings = settings or ScoreSettings()
    dealt = () if settings.probes_at_most is None else (dealing.score,)  # else it is the same number everywhere
    return tuple(builder(settings) for builder in (*_BUILDERS, *dealt))
