"""`findings.json` with what the policy makes of it: schema curvaudit-findings/1, object "check" added."""

from __future__ import annotations

from ...policy.outcome import CheckResult, Places, Status
from ..findings_json import document, encode


def render(result: CheckResult, places: Places) -> bytes:
    """One JSON document. `check` names findings by fingerprint; their own severity stays as it is."""

    def named(status: Status) -> list[str]:
        return [item.finding.fingerprint for item in result.of(status)]

    policy = result.policy
    return encode(
        {
            **document(result.report),
            "check": {
                "passed": result.passed,
                "complete": result.complete,
                "exit_code": result.exit_code,
                "policy": policy.origin or None,
                "fail_on": str(policy.fail_on),
                "severities": {rule: own.severity for rule, own in policy.rules.items() if own.severity},
                "violations": named("violation"),
                "allowed": named("allowed"),
                "reported": named("reported"),
                "accepted": named("known"),
                "ignored": named("ignored"),
                "off": named("off"),
                "unmatched": result.unmatched,
                "gaps": [{"kind": gap.kind, "message": gap.message} for gap in result.gaps],
                "unchecked_rules": sorted(result.unchecked_rules),
                "baseline": {"files": result.baseline, "gone": result.gone, "strangers": result.strangers},
            },
        }
    )
