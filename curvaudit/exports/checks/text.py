"""For people, in a terminal or a log."""

from __future__ import annotations

from ...policy.outcome import CheckResult, Places
from ...records import Finding, of_kind
from ...text.printable import printable
from . import wording

MOST = 50  # findings of one rule that are written out; the others are counted
MOST_PICTURES = 20  # pictures of one finding


def render(result: CheckResult, places: Places) -> bytes:
    """Every new finding that violates the policy, what else there is, and the verdict."""
    return "".join(f"{line}\n" for _, line in lines(result)).encode()


def lines(result: CheckResult) -> list[tuple[str, str]]:
    """(severity or "", line): the severity may give the line a colour."""
    found = [("", wording.subject(result))]
    for rule, items in wording.by_rule(result.of("violation")).items():
        severity = items[0].severity
        found.append((severity, f"{severity}: {rule} {items[0].finding.rule.name}, {len(items):,} new"))
        for item in items[:MOST]:
            found += [("", line) for line in _finding(item.finding)]
        if len(items) > MOST:
            found.append(("", f"  … and {len(items) - MOST:,} more; --format json names all."))
    found += [("note", line) for line in wording.asides(result)]
    for gap in result.gaps:
        found.append(("error", f"not checked: {gap.message}"))
        if gap.kind == "unreadable" and "CA301" not in wording.by_rule(result.of("violation")):
            found += [("", line) for line in _unreadable(result)]
    found.append(("" if result.clean else "error", wording.verdict(result)))
    return [(severity, printable(line)) for severity, line in found]


def _finding(finding: Finding) -> list[str]:
    # A mark before each name: a log of GitHub obeys lines that begin with `::`, spaces or not.
    said = [f"  - {finding.message} [{finding.fingerprint}]"]
    if len(finding.samples) > 1:
        for sample in wording.pictures(finding, MOST_PICTURES):
            said.append(f"    · {sample.id}{f' ({sample.label})' if sample.label is not None else ''}")
        if len(finding.samples) > MOST_PICTURES:
            said.append(f"    … and {len(finding.samples) - MOST_PICTURES:,} more")
    return said


def _unreadable(result: CheckResult) -> list[str]:
    names = of_kind(result.report.skipped, "unreadable")
    said = [f"    · {item.id}: {item.reason}" for item in names[:MOST_PICTURES]]
    return [*said, f"    … and {len(names) - MOST_PICTURES:,} more"] if len(names) > MOST_PICTURES else said
