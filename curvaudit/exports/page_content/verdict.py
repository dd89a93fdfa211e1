"""The first sentence of the page: is the data set fine?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...records import Report, Rule, Severity
from ...rules import ORDER, RULES
from ...text.lists import in_words


@dataclass(frozen=True)
class Verdict:
    """One sentence, what to do next, and the severity that colours both."""

    sentence: str
    next_step: str
    severity: Severity
    further: str = ""  # what else was found, of less weight


def verdict(report: Report, counts: Mapping[str, int]) -> Verdict:
    """The verdict on `report`; `counts` is rule id -> number of findings."""
    found = [RULES[id] for id in ORDER if counts.get(id, 0)]
    for severity in ("error", "warning"):
        mine = [rule for rule in found if rule.severity == severity]
        if mine:
            start = "Not fine yet" if severity == "error" else "No conflict and no unreadable file, but look again"
            others = [rule for rule in found if severity == "error" and rule.severity == "warning"]
            further = f"Then: {_joined(others, counts)}." if others else ""
            return Verdict(
                f"{start}: {_joined(mine, counts)}.", mine[0].next_step or "Look at these first.", severity, further
            )
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


def _joined(rules: Sequence[Rule], counts: Mapping[str, int]) -> str:
    return in_words([f"{counts[rule.id]:,} {_counted(rule, counts[rule.id])}" for rule in rules])


def _counted(rule: Rule, count: int) -> str:
    one, several = rule.counted or (f"finding of {rule.name}", f"findings of {rule.name}")
    return one if count == 1 else several
