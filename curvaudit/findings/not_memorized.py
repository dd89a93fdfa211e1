"""CA203: still wrong at the end of training."""

from __future__ import annotations

import numpy as np

from ..records import Finding
from .interface import Evidence


def find(evidence: Evidence) -> list[Finding]:
    """One finding for each sample that could have been memorized and was not; none before training ended."""
    if evidence.training is None or not evidence.training.finished:
        return []
    when = f"after {evidence.training.epochs} epochs"
    if evidence.stability is not None:
        when = f"by at least half of {len(evidence.stability.seeds)} trainings"
    rows = np.flatnonzero(evidence.memorizable & ~evidence.final_correct)
    return [
        evidence.finding(
            "CA203",
            f"{evidence.samples.ids[row]} is still not classified as {evidence.label(row)} {when}.",
            [row],
        )
        for row in rows.tolist()
    ]
