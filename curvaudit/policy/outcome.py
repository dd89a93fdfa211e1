"""What a check has decided: plain records, shared by the gate and by what prints and writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Literal

from ..records import Finding, Report, SampleRef, Unchecked
from .definition import Level, Policy

# violation: new, and a reason to fail · allowed: new, within the rule's allowance · reported: new, not
# a reason to fail · known: accepted by a baseline · ignored: left alone by the policy · off: its rule is
Status = Literal["violation", "allowed", "reported", "known", "ignored", "off"]


@dataclass(frozen=True)
class Judged:
    """One finding and what the policy makes of it."""

    finding: Finding
    severity: Level  # by the policy, not the rule's own
    status: Status


@dataclass(frozen=True)
class Gap:
    """Something that was not checked although the policy wants it checked."""

    kind: Unchecked
    message: str


@dataclass(frozen=True)
class CheckResult:
    """A report held against a policy."""

    report: Report
    policy: Policy
    judged: tuple[Judged, ...]  # every finding of the report, in its order
    gaps: tuple[Gap, ...]
    unchecked_rules: frozenset[str]  # rules that this report cannot answer
    baseline: tuple[str, ...]  # files that accept findings
    gone: int  # accepted findings that are not there any more
    strangers: int = 0  # pictures that were decided about and are not in the data set with that label
    unmatched: tuple[str, ...] = ()  # what the policy ignores and the data set does not have: a typing error, or gone

    def __repr__(self) -> str:
        # As of a `Report`: what a failed assertion shows must be readable.
        said = f"passed={self.passed}, complete={self.complete}, violations {len(self.violations)}"
        return f"<CheckResult of {self.report.run.source!r}: {said}>"

    @property
    def violations(self) -> tuple[Finding, ...]:
        """The findings that violate the policy."""
        return tuple(item.finding for item in self.of("violation"))

    @property
    def passed(self) -> bool:
        """True where no finding violates the policy. Says nothing about what could not be checked."""
        return not self.violations

    @property
    def complete(self) -> bool:
        """True where everything was checked that the policy wants checked."""
        return not self.gaps

    @property
    def clean(self) -> bool:
        """True where everything was checked and nothing violates the policy: exit code 0."""
        return self.passed and self.complete

    @property
    def exit_code(self) -> int:
        """0 clean, 1 the policy is violated, 2 not everything was checked, whether violated or not."""
        return 2 if self.gaps else int(bool(self.violations))

    def of(self, *statuses: Status) -> tuple[Judged, ...]:
        """What was judged so, in the report's order."""
        return tuple(item for item in self.judged if item.status in statuses)


@dataclass(frozen=True)
class Places:
    """Where the pictures lie, for formats that point at files. Paths are relative, with `/`."""

    root: str = ""  # the folder that ids are relative to; "" for the folder everything is relative to
    file: str = ""  # the one file that lists or holds all pictures, if there is one
    beside: Mapping[str, Places] = field(default_factory=dict)  # the same of each other split or source, by its name

    def of(self, finding: Finding, report: Report) -> list[tuple[str, int]]:
        """(path, line) of each picture of a finding, or of its class; never empty. Line 1 where there is none."""
        if not finding.samples:
            return [(self.file or self._below(str(finding.evidence.get("class", ""))), 1)]
        return [self._one(sample, report) for sample in finding.samples]

    def _one(self, sample: SampleRef, report: Report) -> tuple[str, int]:
        if sample.index is None:
            for name, places in self.beside.items():
                if sample.id.startswith(f"{name}: "):
                    inner = sample.id.removeprefix(f"{name}: ")
                    return places.file or places._below(inner), 1
        if not self.file:
            return self._below(sample.id), 1
        lines = report.samples.lines
        line = int(lines[sample.index]) if sample.index is not None and len(lines) else 0
        return self.file, max(1, line)

    def _below(self, name: str) -> str:
        parts = [part for part in PurePosixPath(self.root, name.lstrip("/")).parts if part not in ("/", ".")]
        kept: list[str] = []
        for part in parts:
            if part != "..":
                kept.append(part)
            elif kept:
                kept.pop()
        return "/".join(kept) or "."
