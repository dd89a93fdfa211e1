"""CA201: the network kept preferring one other class, until it memorized the sample or to the end."""

from __future__ import annotations

import numpy as np

from ..records import Finding
from .interface import Evidence


def find(evidence: Evidence) -> list[Finding]:
    """One finding for each sample with a suggested label, the most resisted label first."""
    found = []
    for row in evidence.most_resisted(np.flatnonzero(evidence.suggested >= 0)):
        better = evidence.samples.classes[int(evidence.suggested[row])]
        until = "until it was memorized" if evidence.final_correct[row] else "to the end"
        found.append(
            evidence.finding(
                "CA201",
                f"{evidence.samples.ids[row]} is labelled {evidence.label(row)}; {until} the network saw {better}.",
                [row],
                {"suggested_label": better},
            )
        )
    return found
