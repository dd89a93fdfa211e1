"""What a data set must satisfy: the policy of `curvaudit check`, as frozen dataclasses.

docs/check.md describes every setting. `settings.py` reads it from TOML and flags.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Literal

from ..records import Finding, SampleRef, Severity, Unchecked
from ..rules import RULES

Level = Literal["error", "warning", "note", "off"]  # what a rule counts as; off: not at all
_ORDER: Mapping[str, int] = {"off": 0, "note": 1, "warning": 2, "error": 3}


@dataclass(frozen=True)
class FailOn:
    """Which findings violate the policy: from a severity up, and by rule."""

    severity: Severity | None = "error"  # None: no severity as such
    rules: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return ", ".join([*([self.severity] if self.severity else []), *sorted(self.rules)]) or "none"


@dataclass(frozen=True)
class Allowance:
    """How many new findings of one rule may stay: a count, or a share of the audited pictures."""

    count: int | None = None
    share: Fraction | None = None

    def permits(self, findings: int, pictures: int) -> bool:
        """True where so many findings in so many pictures are within the allowance."""
        if self.share is not None:
            return findings <= self.share * pictures
        return findings <= (self.count or 0)

    def __str__(self) -> str:
        return f"{float(self.share * 100):g}%" if self.share is not None else str(self.count)


@dataclass(frozen=True)
class Ignored:
    """Pictures that a rule leaves alone."""

    ids: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()
    paths: tuple[str, ...] = ()  # glob patterns for ids; `*` also matches `/`

    def covers(self, finding: Finding) -> bool:
        """True where every picture of the finding, or the class it is about, is ignored.

        A conflict between an ignored picture and another one stays: it is about the other one too.
        """
        if finding.samples:
            return all(self._covers(sample) for sample in finding.samples)
        return finding.evidence.get("class") in self.labels

    def _covers(self, sample: SampleRef) -> bool:
        return (
            sample.id in self.ids
            or sample.label in self.labels
            or any(fnmatchcase(sample.id, pattern) for pattern in self.paths)
        )


@dataclass(frozen=True)
class RulePolicy:
    """What is set for one rule."""

    severity: Level | None = None  # None: the rule's own
    allow: Allowance = Allowance()
    ignore: Ignored = Ignored()


@dataclass(frozen=True)
class Policy:
    """The whole policy. The default: every rule counts as the rules table says, errors fail."""

    fail_on: FailOn = FailOn()
    accept_incomplete: frozenset[Unchecked] = frozenset()
    baseline: tuple[str, ...] = ()  # files with accepted findings
    rules: Mapping[str, RulePolicy] = field(default_factory=dict)  # rule id -> what is set for it
    ignore: Ignored = Ignored()  # for all rules
    origin: str = ""  # the file it comes from, for people

    def severity(self, rule: str) -> Level:
        """What a rule counts as."""
        return self._of(rule).severity or RULES[rule].severity

    def allowance(self, rule: str) -> Allowance:
        """How many new findings of a rule may stay."""
        return self._of(rule).allow

    def ignores(self, finding: Finding) -> bool:
        """True where the policy leaves a finding alone."""
        return self.ignore.covers(finding) or self._of(finding.rule.id).ignore.covers(finding)

    def fails(self, rule: str) -> bool:
        """True where findings of a rule violate the policy, unless they are allowed."""
        severity = self.severity(rule)
        if severity == "off":
            return False
        least = self.fail_on.severity
        return rule in self.fail_on.rules or (least is not None and _ORDER[severity] >= _ORDER[least])

    def demanded(self) -> frozenset[str]:
        """Rules that must have been checked: those the policy itself makes a reason to fail."""
        named = {rule for rule, own in self.rules.items() if own.severity is not None}
        return frozenset(rule for rule in named | self.fail_on.rules if self.fails(rule))

    def _of(self, rule: str) -> RulePolicy:
        return self.rules.get(rule, _NOTHING)


_NOTHING = RulePolicy()
