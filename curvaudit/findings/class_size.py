"""CA501: classes too small or too unbalanced to audit."""

from __future__ import annotations

import numpy as np

from ..records import Finding
from ..rules import RULES
from .interface import Evidence, fingerprint

SMALLEST = 10  # samples; below, a rank inside the class means nothing
UNBALANCED = 20  # times smaller than the median class


def find(evidence: Evidence) -> list[Finding]:
    """One finding for each class that is empty, small, small but for copies, or far smaller than the others."""
    samples = evidence.samples
    classes = samples.classes
    counts = np.bincount(samples.labels, minlength=len(classes))
    labels, _ = np.unique(np.stack([samples.labels.astype(np.uint64), samples.content_hash], axis=1), axis=0).T
    different = np.bincount(labels.astype(np.int64), minlength=len(classes))  # (K,) contents
    median = float(np.median(counts[counts > 0]))
    found = []
    for name, count, once in zip(classes, counts.tolist(), different.tolist(), strict=True):
        if count == 0:
            kind, message = "empty", f"Class {name} holds no readable picture."
        elif count < SMALLEST:
            kind, message = "small", f"Class {name} holds only {count} of at least {SMALLEST} pictures."
        elif once < SMALLEST:
            # To training and ranks they are one picture, however often it stands there.
            kind, ones = "copies", "one" if once == 1 else "ones"
            message = f"Class {name} holds {count} pictures, but only {once} different {ones}, of at least {SMALLEST}."
        elif count * UNBALANCED < median:
            kind, message = "unbalanced", f"Class {name} holds {count} pictures, the median class {median:.0f}."
        else:
            continue
        found.append(
            # By kind: who accepts a small class has not accepted that it is empty one day.
            Finding(
                RULES["CA501"],
                message,
                fingerprint("CA501", [kind, name]),
                (),
                {"class": name, "count": count, **({"different": once} if kind == "copies" else {})},
            )
        )
    return found
