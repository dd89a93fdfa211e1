"""CA401: the same or a near-identical picture in another split or data set."""

from __future__ import annotations

import numpy as np

from ..copies.matching import is_telling
from ..records import Finding, SampleRef
from ..rules import RULES
from ..text.lists import in_words
from .duplicates import connected, equal, measured
from .interface import Evidence, fingerprint


def find(evidence: Evidence) -> list[Finding]:
    """One finding for each picture that lies on both sides; the audited side is named first."""
    if evidence.elsewhere is None:
        return []
    audited, near = len(evidence.samples), evidence.near
    content = np.flatnonzero(is_telling(evidence.pool))
    found = []
    for group in equal(evidence.pool.content_hash[content]):
        rows = content[group]
        if rows.min() < audited <= rows.max():
            found.append(_finding(evidence, rows, {"kind": "exact", "hash_distance": 0, "pixel_distance": 0.0}))
    across = np.flatnonzero(near.pairs.max(axis=1, initial=-1) >= audited)
    for rows, members in connected(near, across):
        found.append(_finding(evidence, rows, measured(near, members)))
    return found


def _finding(evidence: Evidence, rows: np.ndarray, measures: dict[str, str | int | float]) -> Finding:
    pool, audited = evidence.pool, len(evidence.samples)
    here, there = rows[rows < audited].tolist(), rows[rows >= audited].tolist()
    labels = sorted({pool.classes[int(label)] for label in pool.labels[rows]})
    exact = measures["kind"] == "exact"
    alike = "The same picture as" if exact else f"A picture near-identical ({measures['kind']}) to"
    labelled = f"labelled {labels[0]}" if len(labels) == 1 else f"under the labels {in_words(labels)}"
    here.sort(key=lambda row: int(evidence.rank[row]))
    parts = [f"{int(pool.content_hash[row]):016x}:{pool.classes[int(pool.labels[row])]}" for row in rows.tolist()]
    return Finding(
        rule=RULES["CA401"],
        message=f"{alike} {pool.ids[here[0]]} is in {pool.ids[there[0]]}, {labelled}.",
        fingerprint=fingerprint("CA401", parts),
        samples=(
            *(evidence.reference(row) for row in here),
            *(SampleRef(pool.ids[row], None, pool.classes[int(pool.labels[row])]) for row in there),
        ),
        evidence={**measures, "labels": labels},
    )
