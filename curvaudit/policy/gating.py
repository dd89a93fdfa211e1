"""Use case: does a report satisfy a policy?"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from fnmatch import fnmatchcase
from types import NoneType

from ..arguments import require
from ..records import Finding, Report, of_kind
from ..rules import NEEDS_COMPARISON, NEEDS_TRAINING, unanswered
from . import baseline as baselines
from .baseline import Baseline
from .definition import Ignored, Policy
from .outcome import CheckResult, Gap, Judged, Status
from .settings import parse


def check(
    report: Report,
    fail_on: str | Collection[str] | None = None,
    policy: Policy | None = None,
    baseline: Baseline | str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
) -> CheckResult:
    """Hold a report against a policy.

    Parameters
    ----------
    report:
        As `report` or `inspect` made it.
    fail_on:
        What violates the policy: rules (ids or names), or a severity from which on all do, or
        `none`. None: what `policy` says, which is every rule of severity error by default. An empty
        collection is an error, as on the command line.
    policy:
        See `read_policy`; None: the default. Unlike the command, this looks for no file.
    baseline:
        Accepted findings: a file or several, see `policy.baseline.read`. None: those that `policy` names.

    Returns
    -------
    CheckResult
        `passed` says that nothing violates the policy, `complete` that everything was checked,
        `clean` both.

    Raises
    ------
    CurvauditError
        A rule that does not exist, or that `policy` switches off: such a policy would pass for ever.
        A baseline that cannot be read.
    """
    require("report", report, Report, "Give what `report` or `inspect` returns.")
    require("policy", policy, (Policy, NoneType), "Give what `read_policy` returns.")
    # By the one reader of policies, without fail_on too: a policy made by hand may contradict itself as well.
    named = list(fail_on) if isinstance(fail_on, Collection) and not isinstance(fail_on, str) else fail_on
    told = {} if named is None else {"fail-on": named}
    policy = parse(told, "check()", policy)
    known = _known(policy.baseline if baseline is None else baseline)
    known = known.revealed(report.samples, report.run.source_fingerprint)
    judged, gone = _judge(report, policy, known)
    unchecked = unanswered(report)
    return CheckResult(
        report=report,
        policy=policy,
        judged=judged,
        gaps=_gaps(report, policy, unchecked),
        unchecked_rules=unchecked,
        baseline=known.files,
        gone=gone,
        strangers=known.strangers(report.samples),
        unmatched=_unmatched(report, policy),
    )


def _known(given: Baseline | str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> Baseline:
    if isinstance(given, Baseline):
        return given
    return baselines.read_all(given if isinstance(given, Iterable) and not isinstance(given, str) else (given,))


def _judge(report: Report, policy: Policy, known: Baseline) -> tuple[tuple[Judged, ...], int]:
    """Every finding with its status, and how many accepted ones are gone."""
    left = Counter(known.fingerprints)

    def first(finding: Finding) -> Status:
        rule = finding.rule.id
        accepted = left[finding.fingerprint] > 0
        if accepted:
            left[finding.fingerprint] -= 1
        if policy.severity(rule) == "off":
            return "off"
        if policy.ignores(finding):
            return "ignored"
        if accepted or known.decided(finding, report.samples):
            return "known"
        return "violation" if policy.fails(rule) else "reported"

    statuses = [first(finding) for finding in report.findings]
    new = Counter(
        finding.rule.id
        for finding, status in zip(report.findings, statuses, strict=True)
        if status in ("violation", "reported")
    )
    judged = []
    for finding, status in zip(report.findings, statuses, strict=True):
        rule = finding.rule.id
        if status == "violation" and policy.allowance(rule).permits(new[rule], len(report.samples)):
            status = "allowed"
        judged.append(Judged(finding, policy.severity(rule), status))
    return tuple(judged), sum((+left).values())


def _unmatched(report: Report, policy: Policy) -> tuple[str, ...]:
    """Ids, labels and patterns that the policy ignores and the data set does not have."""
    ignored = [one for one in (policy.ignore, *(rule.ignore for rule in policy.rules.values())) if one != Ignored()]
    if not ignored:
        return ()  # a million names need not be gathered for it
    # Findings name more than the audited pictures: unreadable files, and pictures of other splits.
    ids = set(report.samples.ids) | {item.id for item in report.skipped}
    ids |= {sample.id for finding in report.findings for sample in finding.samples}
    labels = {*report.samples.classes, *(sample.label for one in report.findings for sample in one.samples)}
    found = [name for one in ignored for name in sorted(one.ids - ids)]
    found += [name for one in ignored for name in sorted(one.labels - labels)]
    patterns = (pattern for one in ignored for pattern in one.paths)
    found += [pattern for pattern in patterns if not any(fnmatchcase(known, pattern) for known in ids)]
    return tuple(dict.fromkeys(found))


def _gaps(report: Report, policy: Policy, unchecked: frozenset[str]) -> tuple[Gap, ...]:
    """Why a clean result would say too much."""
    asked_for = policy.demanded()
    found = [
        Gap(caveat.unchecked, caveat.message)
        for caveat in report.caveats
        if caveat.unchecked and (caveat.unchecked != "unjudged" or caveat.unanswered & asked_for)
    ]
    unreadable = len(of_kind(report.skipped, "unreadable"))
    if unreadable and not any(gap.kind == "unreadable" for gap in found):
        found.append(Gap("unreadable", f"{unreadable} files could not be read and audited."))
    if not report.trainings and (asked := sorted(NEEDS_TRAINING & asked_for)):
        takes = "takes" if len(asked) == 1 else "take"
        message = f"{', '.join(asked)} {takes} a training. Scan, then check the run file."
        found.append(Gap("untrained", message))
    if asked := sorted(NEEDS_COMPARISON & unchecked & asked_for):
        message = f"{', '.join(asked)}: there was no other split or data set to compare with."
        found.append(Gap("uncompared", message))
    return tuple(gap for gap in found if gap.kind not in policy.accept_incomplete)
