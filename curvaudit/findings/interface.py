"""What a finder gets, and how it names what it found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from ..records import Finding, SampleRef, Samples, Skipped, Stability, TrainingInfo
from ..rules import RULES

FLAT = 0.005  # standard deviation below which a picture shows nothing (one or two grey levels)


@dataclass(frozen=True)
class Evidence:
    """Everything a report has worked out. Rows are sample rows.

    Without a training there is nothing to rank by: `training` is None, `order` is the order of
    the rows, `score` is NaN, nothing is suggested or was memorized, and findings name no rank.
    """

    samples: Samples
    skipped: tuple[Skipped, ...]
    order: np.ndarray  # (N,) rows from rank 1 down
    rank: np.ndarray  # (N,) 1 = most suspicious
    score: np.ndarray  # (N,) the value ranked by
    scores: Mapping[str, np.ndarray]  # name -> (N,)
    suggested: np.ndarray  # (N,) class index, -1 where none
    final_correct: np.ndarray  # (N,) bool
    memorizable: np.ndarray  # (N,) bool
    thumbnails: Callable[[Sequence[int]], dict[int, bytes]]
    training: TrainingInfo | None
    stability: Stability | None = None  # None: one seed only

    def label(self, row: int) -> str:
        """Class name of a row."""
        return self.samples.classes[int(self.samples.labels[row])]

    def reference(self, row: int) -> SampleRef:
        """One row as findings name it."""
        if self.training is None:
            return SampleRef(self.samples.ids[row], int(row), self.label(row))
        return SampleRef(self.samples.ids[row], int(row), self.label(row), int(self.rank[row]), float(self.score[row]))

    def has_content(self) -> np.ndarray:
        """(N,) bool: neither flat nor a single line of pixels."""
        samples = self.samples
        return (samples.contrast >= FLAT) & (np.minimum(samples.width, samples.height) > 1)

    def finding(
        self, rule: str, message: str, rows: Iterable[int], evidence: Mapping[str, Any] | None = None
    ) -> Finding:
        """A finding about sample rows, listed by rank."""
        ordered = sorted((int(row) for row in rows), key=lambda row: int(self.rank[row]))
        parts = [f"{int(self.samples.content_hash[row]):016x}:{self.label(row)}" for row in ordered]
        told = dict(evidence or {})
        if self.stability is not None:
            best, worst = self.stability.best, self.stability.worst
            told["rank_range"] = [[int(best[row]), int(worst[row])] for row in ordered]
        return Finding(
            rule=RULES[rule],
            message=message,
            fingerprint=fingerprint(rule, parts),
            samples=tuple(self.reference(row) for row in ordered),
            evidence=told,
        )


def fingerprint(rule: str, parts: Iterable[str]) -> str:
    """16 hex digits of rule and contents: renaming and reordering change nothing."""
    text = "\n".join([rule, *sorted(parts)])
    return blake2b(text.encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()
