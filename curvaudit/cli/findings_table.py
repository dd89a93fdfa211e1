"""The findings of a report, as a table for people."""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..records import Caveat, Report
from ..rules import RULES
from .text import safe

STYLE = {"error": "bold red", "warning": "yellow", "note": "dim"}


def print_warnings(report: Report) -> None:
    """What is to be said where nothing else is: warnings and errors, among them why a check is not complete."""
    console = Console(highlight=False, soft_wrap=True, stderr=True)
    for caveat in report.caveats:
        if caveat.severity != "note" or caveat.unchecked:
            _print_caveat(console, caveat)


def print_findings(console: Console, report: Report) -> None:
    """What must be known first, then the number of findings of each rule."""
    for caveat in report.caveats:
        _print_caveat(console, caveat)
    counts = Counter(finding.rule.id for finding in report.findings)
    if counts:
        table = Table(box=None, pad_edge=False)
        for heading in ("rule", "severity", "count", "meaning"):
            table.add_column(heading, justify="right" if heading == "count" else "left")
        for rule in RULES.values():
            if counts[rule.id]:
                style = STYLE[rule.severity]
                table.add_row(
                    Text(f"{rule.id} {rule.name}"),
                    Text(rule.severity, style),
                    Text(str(counts[rule.id])),
                    Text(rule.meaning),
                )
        console.print(table)
    else:
        console.print("No findings.")


def _print_caveat(console: Console, caveat: Caveat) -> None:
    console.print(Text(f"{caveat.severity}: {safe(caveat.message)}", STYLE[caveat.severity]))


_NAMED = ("CA301", "CA101", "CA102", "CA401", "CA302", "CA501", "CA111", "CA112")
_LISTED = 50  # findings of one rule; findings.json has all


def print_groups(console: Console, report: Report) -> None:
    """By name what a table alone would only count: what could not be read, conflicts and leaks, then the rest."""
    for rule in _NAMED:
        mine = [finding for finding in report.findings if finding.rule.id == rule]
        for finding in mine[:_LISTED]:
            console.print(Text(f"{rule} {safe(finding.message)}", STYLE[finding.rule.severity]))
            for sample in finding.samples if len(finding.samples) > 1 else ():
                console.print(Text(f"    {safe(sample.id)} ({safe(sample.label or '')})"))
        if len(mine) > _LISTED:
            console.print(Text(f"{rule}: {len(mine) - _LISTED} more; --format json or -o names all."))
