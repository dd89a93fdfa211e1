"""Use case: does a report satisfy a policy?"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from .errors import CurvauditError
from .records import Finding, Report
from .rules import RULES


@dataclass(frozen=True)
class CheckResult:
    """The findings that violate the policy; none means passed."""

    violations: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        return not self.violations


def check(report: Report, fail_on: Collection[str] | None = None) -> CheckResult:
    """Hold a report against a policy.

    Parameters
    ----------
    fail_on:
        Rule ids that must not occur; None means every rule of severity error.

    Raises
    ------
    CurvauditError
        A rule id that does not exist: a policy with a typing error would pass for ever.
    """
    if fail_on is None:
        fail_on = {rule.id for rule in RULES.values() if rule.severity == "error"}
    unknown = sorted(set(fail_on) - set(RULES))
    if unknown:
        raise CurvauditError(f"There is no rule {unknown[0]!r}.", f"The rules are {', '.join(RULES)}.")
    return CheckResult(tuple(finding for finding in report.findings if finding.rule.id in fail_on))
