"""CA202: memorized against the greatest resistance, without a better label."""

from __future__ import annotations

import math

import numpy as np

from ..records import Finding
from ..scores.consensus import NAME as CONSENSUS
from .interface import Evidence

SHARE = 0.01  # of the samples


def find(evidence: Evidence) -> list[Finding]:
    """The memorized samples that resisted most and that no conflict, better label or empty picture explains.

    By consensus, not by the score that the report ranks by: curvature is highest at wrong labels and conflicts,
    and rare pictures come far behind them (docs/evidence.md has the figures).
    """
    if evidence.training is None:
        return []
    resistance = evidence.scores.get(CONSENSUS, evidence.score)  # (N,)
    plain = evidence.final_correct & evidence.memorizable & (evidence.suggested < 0) & np.isfinite(resistance)
    plain &= evidence.has_content()  # CA302 says what is wrong with the others
    highest = evidence.most_resisted(np.flatnonzero(plain))[: max(1, math.ceil(SHARE * len(evidence.samples)))]
    return [
        evidence.finding(
            "CA202",
            f"{evidence.samples.ids[row]} ({evidence.label(row)}) was memorized on its own: "
            "rare, ambiguous, or showing several things.",
            [row],
        )
        for row in highest
    ]
