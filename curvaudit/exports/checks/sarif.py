"""SARIF 2.1.0 within GitHub's limits.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/ and "SARIF support for code scanning" of GitHub:
relative URIs, a region and a fingerprint for every result, 5,000 results shown of 25,000 taken,
100 places shown for each.
"""

from __future__ import annotations

import json
from importlib import metadata
from typing import Any
from urllib.parse import quote

from ... import __version__
from ...policy.outcome import CheckResult, Judged, Places
from ...records import Rule
from ...rules import RULES
from ...text.printable import printable
from ...text.utf8 import encoded
from . import wording

MOST = 5_000  # results
MOST_PLACES = 100  # places of one result
SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_IDS = tuple(RULES)
_SEVERITY = {"error": 0, "warning": 1, "note": 2}


def render(result: CheckResult, places: Places) -> bytes:
    """Every finding that nobody has accepted, violations first. ASCII.

    Accepted and ignored findings are left out: GitHub would show them as open alerts.
    """
    shown = [*sorted(result.of("violation"), key=_place), *sorted(result.of("allowed", "reported"), key=_place)]
    notes = [_note("error", f"Not checked: {gap.message}") for gap in result.gaps]
    notes += [_note("note", line) for line in wording.asides(result)]
    if len(shown) > MOST:
        notes.append(_note("warning", f"{len(shown) - MOST:,} further findings are left out: GitHub shows {MOST:,}."))
    log = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": _driver(result)},
                "invocations": [
                    {
                        "executionSuccessful": result.complete,
                        "exitCode": result.exit_code,
                        "exitCodeDescription": wording.verdict(result),
                        "toolExecutionNotifications": notes,
                    }
                ],
                "results": [_result(item, result, places) for item in shown[:MOST]],
            }
        ],
    }
    return (json.dumps(log, indent=1, ensure_ascii=True) + "\n").encode()


def _place(item: Judged) -> tuple[int, str]:
    return _SEVERITY.get(item.severity, 3), item.finding.rule.id


def _driver(result: CheckResult) -> dict[str, Any]:
    documentation = _documentation()
    return {
        "name": "curvaudit",
        "version": __version__,
        "rules": [
            {
                "id": rule.id,
                "name": "".join(word.capitalize() for word in rule.name.split("-")),
                "shortDescription": {"text": rule.name.replace("-", " ")},
                "fullDescription": {"text": rule.meaning},
                "help": _help(rule),
                **({"helpUri": f"{documentation}/rules/{rule.id}.html"} if documentation else {}),
                "defaultConfiguration": _configuration(result.policy.severity(rule.id)),
            }
            for rule in RULES.values()
        ],
    }


def _help(rule: Rule) -> dict[str, str]:
    """GitHub shows the Markdown beside the alert."""
    sentence = f"{rule.meaning[0].upper()}{rule.meaning[1:]}."
    if not rule.reason:  # of a rule that is new: its name and meaning say enough to begin with
        return {"text": sentence, "markdown": f"**{sentence}**\n"}
    return {
        "text": f"{sentence} {rule.reason}\n\nWhat to do: {rule.remedy}".replace("`", "").replace("*", ""),
        "markdown": f"**{sentence}** {rule.reason}\n\n## What to do\n\n{rule.remedy}\n",
    }


def _documentation() -> str | None:
    """Where the pages of the rules lie, as the installed package says (project URL "Documentation")."""
    try:
        named = metadata.metadata("curvaudit").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        return None
    address = next((line.partition(",")[2].strip() for line in named if line.startswith("Documentation,")), "")
    address = address.rstrip("/")
    return address if address.startswith(("https://", "http://")) else None


def _configuration(severity: str) -> dict[str, Any]:
    return {"enabled": False} if severity == "off" else {"level": severity}


def _result(item: Judged, result: CheckResult, places: Places) -> dict[str, Any]:
    finding = item.finding
    first, *others = [_location(*place) for place in places.of(finding, result.report)[:MOST_PLACES]]
    return {
        "ruleId": finding.rule.id,
        "ruleIndex": _IDS.index(finding.rule.id),
        "level": item.severity,
        "message": {"text": _message(finding.message)},
        "locations": [first],
        **({"relatedLocations": others} if others else {}),
        # GitHub matches alerts by the first; the second is ours, for everybody else.
        "partialFingerprints": {
            "primaryLocationLineHash": finding.fingerprint,
            "curvauditFingerprint/v1": finding.fingerprint,
        },
        "properties": {"status": item.status, "samples": len(finding.samples)},
    }


def _location(path: str, line: int) -> dict[str, Any]:
    address = quote(encoded(path), safe="/")
    return {"physicalLocation": {"artifactLocation": {"uri": address}, "region": {"startLine": line}}}


def _note(level: str, text: str) -> dict[str, Any]:
    return {"level": level, "message": {"text": _message(text)}}


def _message(text: str) -> str:
    # SARIF takes "[words](target)" for a link, also in plain text.
    return printable(text).replace("](", "] (")
