"""Findings: one file each. To add one, write the file and name it here."""

from __future__ import annotations

from ..records import Finding
from . import atypical, class_size, degenerate, duplicates, leakage, mislabelled, not_memorized, unreadable
from .interface import Evidence
from .limits import limits as limits

_FINDERS = (
    duplicates.find,
    leakage.find,
    mislabelled.find,
    atypical.find,
    not_memorized.find,
    unreadable.find,
    degenerate.find,
    class_size.find,
)


def find_all(evidence: Evidence) -> tuple[Finding, ...]:
    """Every finding, by rule id and then by the best rank in it, or the first row if nothing is ranked.

    Where the rule says so they stay in the order of their finder instead (`Evidence.most_resisted`).
    """
    found = [finding for finder in _FINDERS for finding in finder(evidence)]

    def place(finding: Finding) -> tuple[str, int]:
        best = min((int(evidence.rank[row]) for row in finding.rows), default=0)
        return finding.rule.id, 0 if finding.rule.most_resisted_first else best

    return tuple(sorted(found, key=place))
