"""Annotations in a GitHub workflow: `::error file=…,line=…,title=…::message`.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

from ...policy.outcome import CheckResult, Judged, Places
from ...text.printable import printable
from . import wording

MOST = 10  # annotations of each level that GitHub shows for one step


def render(result: CheckResult, places: Places) -> bytes:
    """An error for everything that makes the check fail, a warning for other errors and warnings."""
    others = tuple(item for item in result.of("allowed", "reported") if item.severity in ("error", "warning"))
    gaps = [_line("error", "curvaudit: not checked", gap.message) for gap in result.gaps]
    lines = [
        *gaps,
        *_annotations("error", result.of("violation"), MOST - len(gaps), result, places),
        *_annotations("warning", others, MOST, result, places),
        printable(f"curvaudit: {wording.verdict(result)}"),
    ]
    return "".join(f"{line}\n" for line in lines).encode()


def _annotations(level: str, items: tuple[Judged, ...], most: int, result: CheckResult, places: Places) -> list[str]:
    lines = []
    for item in items[:most]:
        finding = item.finding
        path, line = places.of(finding, result.report)[0]
        others = "" if len(finding.samples) < 2 else f" ({', '.join(sample.id for sample in finding.samples[:5])})"
        lines.append(
            _line(level, f"{finding.rule.id} {finding.rule.name}", finding.message + others, file=path, line=str(line))
        )
    if len(items) > most:
        lines.append(printable(f"curvaudit: {len(items) - most:,} more findings like these, not shown as annotations."))
    return lines


def _line(level: str, title: str, message: str, **properties: str) -> str:
    given = ",".join(f"{name}={_property(value)}" for name, value in {**properties, "title": title}.items())
    return f"::{level} {given}::{_data(message)}"


def _data(text: str) -> str:
    # printable() leaves no line ends, so that a name cannot start a command of its own.
    return printable(text).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
