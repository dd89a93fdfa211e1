"""CA302: a picture without content."""

from __future__ import annotations

import numpy as np

from ..copies.matching import FLAT
from ..records import Finding
from .interface import Evidence


def find(evidence: Evidence) -> list[Finding]:
    """Flat pictures and single lines of pixels."""
    found = []
    samples = evidence.samples
    for row in np.flatnonzero(~evidence.has_content()).tolist():
        size = f"{samples.width[row]}×{samples.height[row]}"
        flat = samples.contrast[row] < FLAT
        nearly = "nearly " if samples.contrast[row] > 0 else ""
        why = f"is {nearly}one flat colour ({size} px)" if flat else f"is only {size} px"
        found.append(
            evidence.finding(
                "CA302",
                f"{samples.ids[row]} ({evidence.label(row)}) {why}.",
                [row],
                {"contrast": float(samples.contrast[row])},
            )
        )
    return found
