"""CA201: memorized, but the network kept preferring one other class before."""

from __future__ import annotations

import numpy as np

from ..records import Finding
from .interface import Evidence


def find(evidence: Evidence) -> list[Finding]:
    """One finding for each sample with a suggested label, the most resisted label first."""
    found = []
    for row in evidence.most_resisted(np.flatnonzero(evidence.suggested >= 0)):
        better = evidence.samples.classes[int(evidence.suggested[row])]
        found.append(
            evidence.finding(
                "CA201",
                f"{evidence.samples.ids[row]} is labelled {evidence.label(row)}; "
                f"until it was memorized the network saw {better}.",
                [row],
                {"suggested_label": better},
            )
        )
    return found
