"""CA202: memorized and among the highest scores, without a better label."""

from __future__ import annotations

import math

import numpy as np

from ..records import Finding
from .interface import Evidence

SHARE = 0.01  # of the samples, from rank 1 down


def find(evidence: Evidence) -> list[Finding]:
    """Memorized samples in the top 1 % that neither a conflict nor a better label explains."""
    if evidence.training is None:
        return []
    highest = evidence.order[: max(1, math.ceil(SHARE * len(evidence.samples)))]
    plain = evidence.final_correct & evidence.memorizable & (evidence.suggested < 0)
    return [
        evidence.finding(
            "CA202",
            f"{evidence.samples.ids[row]} ({evidence.label(row)}) was memorized on its own: "
            "rare, ambiguous, or showing several things.",
            [row],
        )
        for row in highest[plain[highest] & np.isfinite(evidence.score[highest])].tolist()
    ]
