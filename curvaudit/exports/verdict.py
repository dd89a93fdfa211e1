"""The first sentence of the page: is the data set fine?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..records import Report, Severity
from ..rules import RULES

# What a rule's count means in a sentence: one, many.
_SAID = {
    "CA101": ("picture stands under different labels", "pictures stand under different labels"),
    "CA102": ("near-identical group has different labels", "near-identical groups have different labels"),
    "CA401": ("picture leaks from another split", "pictures leak from another split"),
    "CA301": ("file could not be read", "files could not be read"),
    "CA201": ("picture probably carries a wrong label", "pictures probably carry a wrong label"),
    "CA203": ("picture was not memorized", "pictures were not memorized"),
    "CA302": ("picture shows nothing", "pictures show nothing"),
    "CA501": ("class is too small to audit", "classes are too small to audit"),
}
_NEXT = {
    "CA101": "Fix these first: decide which label is right, and drop the other copy.",
    "CA102": "Fix these first: decide which label is right, and drop the other copy.",
    "CA401": "Remove the copies from one of the splits: they make test results too good.",
    "CA301": "Restore or remove the unreadable files, then scan again.",
    "CA201": "Look at these first: each shows the label that the network kept seeing instead.",
    "CA203": "Look at these, then scan again with more epochs.",
    "CA302": "Look at these and remove what does not belong.",
    "CA501": "Add pictures to these classes, or read their ranks with care.",
}


@dataclass(frozen=True)
class Verdict:
    """One sentence, what to do next, and the severity that colours both."""

    sentence: str
    next_step: str
    severity: Severity
    further: str = ""  # what else was found, of less weight


def verdict(report: Report, counts: Mapping[str, int]) -> Verdict:
    """The verdict on `report`; `counts` is rule id -> number of findings."""
    for severity in ("error", "warning"):
        ids = [id for id in _SAID if RULES[id].severity == severity and counts.get(id, 0)]
        if ids:
            said = _joined([f"{counts[id]:,} {_SAID[id][counts[id] > 1]}" for id in ids])
            start = "Not fine yet" if severity == "error" else "No conflict and no unreadable file, but look again"
            others = [id for id in _SAID if severity == "error" != RULES[id].severity and counts.get(id, 0)]
            further = _joined([f"{counts[id]:,} {_SAID[id][counts[id] > 1]}" for id in others]) if others else ""
            return Verdict(f"{start}: {said}.", _NEXT[ids[0]], severity, f"Then: {further}." if further else "")
    if any(caveat.severity != "note" for caveat in report.caveats):
        return Verdict(
            "Nothing found so far, but this audit has limits.", "Read them below before you rely on it.", "warning"
        )
    if not report.trainings:
        return Verdict(
            "No conflict, no unreadable file: nothing stands in the way of a scan.",
            "Wrong labels show only in training: `curvaudit scan` looks for them.",
            "note",
        )
    return Verdict(
        "Looks fine: no conflict, no unreadable file, no likely wrong label.",
        "The contact sheet shows the pictures that the network had to learn by heart: rare and ambiguous ones.",
        "note",
    )


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
