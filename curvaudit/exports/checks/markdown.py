"""A summary for pull requests and for $GITHUB_STEP_SUMMARY (GitHub-flavoured Markdown)."""

from __future__ import annotations

import re

from ...policy.outcome import CheckResult, Judged, Places
from ...rules import RULES
from ...text.printable import printable
from . import wording

MOST = 20  # findings of one rule that are written out
MOST_PICTURES = 5  # pictures of one finding
LONGEST = 400  # characters of a message; a step summary holds 1 MiB
_SIGN = {0: "✅", 1: "❌", 2: "⚠️"}


def render(result: CheckResult, places: Places) -> bytes:
    """The verdict, a table of the rules, and the findings that violate the policy."""
    lines = [f"### {_SIGN[result.exit_code]} curvaudit", "", _text(wording.verdict(result)), ""]
    lines += [_text(wording.subject(result)), ""]
    lines += [f"- **Not checked:** {_text(gap.message)}" for gap in result.gaps]
    if result.gaps:
        lines.append("")
    violations = wording.by_rule(result.of("violation"))
    if violations:
        lines += ["| rule | severity | new | meaning |", "| --- | --- | ---: | --- |"]
        for rule, items in violations.items():
            meaning = _text(RULES[rule].meaning)
            lines.append(f"| {rule} {RULES[rule].name} | {items[0].severity} | {len(items):,} | {meaning} |")
        lines.append("")
        for rule, items in violations.items():
            lines += _section(rule, items)
    lines += [f"- {_text(line)}" for line in wording.asides(result)]
    return ("\n".join(lines).rstrip() + "\n").encode()


def _section(rule: str, items: list[Judged]) -> list[str]:
    lines = [f"<details open><summary>{rule} {RULES[rule].name}</summary>", ""]
    for item in items[:MOST]:
        names = ", ".join(_code(sample.id) for sample in wording.pictures(item.finding, MOST_PICTURES))
        more = len(item.finding.samples) - MOST_PICTURES
        said = f" ({names}{f' and {more:,} more' if more > 0 else ''})" if len(item.finding.samples) > 1 else ""
        lines.append(f"- {_text(item.finding.message)}{said} {_code(item.finding.fingerprint)}")
    if len(items) > MOST:
        lines.append(f"- and {len(items) - MOST:,} more")
    return [*lines, "", "</details>", ""]


def _text(text: str) -> str:
    """Text that stays text: neither Markdown nor HTML, no link, no mention.

    Character references are never taken for Markdown. A zero-width space parts `@` from a name,
    or the page would notify the person of that name.
    """
    shown = printable(text)
    if len(shown) > LONGEST:
        shown = shown[:LONGEST] + "…"
    return re.sub(_ACTIVE, lambda found: f"&#{ord(found[0])};", shown).replace("&#64;", "&#64;&#8203;")


# What Markdown or GitHub may act upon; `:` unless a space follows, `.` after digits (lists) and www, `-` in front.
_ACTIVE = re.compile(r"[\\`*_{}\[\]<>&#+!|~@$^=]|:(?=\S)|(?<=[0-9wW])\.|^-")


def _code(text: str) -> str:
    return f"<code>{_text(text)}</code>"
