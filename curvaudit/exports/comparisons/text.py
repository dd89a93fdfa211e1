"""For people, in a terminal or a log."""

from __future__ import annotations

from ...comparison.result import Comparison
from ...text.printable import printable
from . import wording

MOST = 50  # pictures of one kind of change that are written out; the others are counted
MOST_PICTURES = 20  # pictures of one conflict


def render(made: Comparison) -> bytes:
    """Conflicts first, then every kind of change, what could not be compared, and the verdict."""
    return "".join(f"{line}\n" for _, line in lines(made)).encode()


def lines(made: Comparison) -> list[tuple[str, str]]:
    """(severity or "", line): the severity may give the line a colour."""
    found = [("", wording.subject(made))]
    if made.conflicts:
        found.append(("error", f"Newly conflicting: {len(made.conflicts):,}"))
        for finding in made.conflicts[:MOST]:
            found.append(("", f"  - {finding.rule.id} {finding.message} [{finding.fingerprint}]"))
            found += [("", f"    · {sample.id} ({sample.label})") for sample in finding.samples[:MOST_PICTURES]]
            found += _more(len(finding.samples) - MOST_PICTURES, "    ")
        found += _more(len(made.conflicts) - MOST)
    for section in wording.sections(made):
        found.append((section.severity, f"{section.title}: {len(section.lines):,}"))
        found += [("", f"  - {line.said}") for line in section.lines[:MOST]]
        found += _more(len(section.lines) - MOST)
    found += [("error", f"not compared: {gap}") for gap in made.gaps]
    unreadable = wording.unreadable(made)
    found += [("", f"  - {said}") for said in unreadable[:MOST]]
    found += _more(len(unreadable) - MOST)
    found.append(("" if made.complete else "error", wording.verdict(made)))
    return [(severity, printable(line)) for severity, line in found]


def _more(count: int, indent: str = "  ") -> list[tuple[str, str]]:
    return [("", f"{indent}… and {count:,} more; --format json names all.")] if count > 0 else []
