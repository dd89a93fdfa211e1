"""What the formats say alike."""

from __future__ import annotations

from collections import Counter

from ...policy.outcome import CheckResult, Judged, Status
from ...records import Finding, SampleRef
from ...rules import RULES

_SHOWN = 5  # names of what is not there


def verdict(result: CheckResult) -> str:
    """The result in one line."""
    count = len(result.violations)
    violated = f"{count} finding{' violates' if count == 1 else 's violate'} the policy"
    if not result.complete:
        more = f", and {violated}" if count else ""
        return f"INCOMPLETE: not everything could be checked{more}."
    if count:
        return f"FAILED: {violated}."
    return "PASSED: nothing violates the policy."


def subject(result: CheckResult) -> str:
    """What was checked, against what."""
    report, policy = result.report, result.policy
    names = ", ".join(result.baseline)
    classes = "1 class" if len(report.samples.classes) == 1 else f"{len(report.samples.classes):,} classes"
    return (
        f"Checked {report.run.source}: {len(report.samples):,} pictures in {classes}. "
        f"Policy: {policy.origin or 'default'}, fails on {policy.fail_on}"
        f"{f'; baseline: {names}' if names else ''}."
    )


def by_rule(items: tuple[Judged, ...]) -> dict[str, list[Judged]]:
    """Rule id -> its findings, in the order of the rules."""
    found: dict[str, list[Judged]] = {}
    for item in sorted(items, key=lambda item: item.finding.rule.id):
        found.setdefault(item.finding.rule.id, []).append(item)
    return found


def pictures(finding: Finding, most: int) -> list[SampleRef]:
    """Up to so many samples of a finding, one of each label first: the copy under the other label is what matters."""
    first = {sample.label: place for place, sample in reversed(list(enumerate(finding.samples)))}.values()
    order = sorted(range(len(finding.samples)), key=lambda place: (place not in first, place))
    return [finding.samples[place] for place in sorted(order[:most])]


def asides(result: CheckResult) -> list[str]:
    """What did not decide the result, in sentences, so that nothing goes missing without a word."""
    lines = []
    if counted := _counted(result, "reported"):
        lines.append(f"Not a reason to fail: {counted}.")
    if allowed := by_rule(result.of("allowed")):
        said = [f"{rule} {len(items)} of {result.policy.allowance(rule)}" for rule, items in allowed.items()]
        lines.append(f"Allowed: {', '.join(said)}.")
    if counted := _counted(result, "known"):
        lines.append(f"Accepted before: {counted}.")
    if result.gone:
        lines.append(f"Accepted before and not there any more: {result.gone} (--update-baseline forgets them).")
    if result.strangers:
        pictures = "1 picture" if result.strangers == 1 else f"{result.strangers:,} pictures"
        lines.append(
            f"Decided about {pictures} that this data set does not hold with that label: mended since, or of another."
        )
    if counted := _counted(result, "ignored"):
        lines.append(f"Ignored by the policy: {counted}.")
    if result.unmatched:
        shown = ", ".join(repr(name) for name in result.unmatched[:_SHOWN])
        more = f" and {len(result.unmatched) - _SHOWN:,} more" if len(result.unmatched) > _SHOWN else ""
        lines.append(f"Ignored by the policy, but not in this data set: {shown}{more}.")
    if counted := _counted(result, "off"):
        lines.append(f"Switched off: {counted}.")
    if result.unchecked_rules:
        lines.append(f"Not checked: {', '.join(sorted(result.unchecked_rules))}.")
    gaps = {gap.message for gap in result.gaps}
    lines += [caveat.message for caveat in result.report.caveats if caveat.message not in gaps]
    return lines


def _counted(result: CheckResult, status: Status) -> str:
    counts = Counter(item.finding.rule.id for item in result.of(status))
    return ", ".join(f"{rule} {RULES[rule].name} {counts[rule]:,}" for rule in sorted(counts))
