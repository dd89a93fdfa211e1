"""What a finder gets, and how it names what it found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any

import numpy as np

from ..copies import matching
from ..records import Finding, SampleRef, Samples, Skipped, Stability, TrainingInfo
from ..rules import RULES
from ..scores.consensus import NAME as CONSENSUS
from ..text.utf8 import encoded


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
    # Pictures of other splits or data sets; more classes may follow those of `samples`.
    elsewhere: Samples | None = None
    pictures_elsewhere: Callable[[Sequence[int]], dict[int, bytes]] = lambda rows: {}

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
        return matching.has_content(self.samples)

    @cached_property
    def pool(self) -> Samples:
        """All pictures that are compared: the audited ones, then, from row N on, those elsewhere."""
        return self.samples if self.elsewhere is None else joined(self.samples, self.elsewhere)

    @cached_property
    def near(self) -> matching.NearPairs:
        """Near-identical pairs, rows of `pool`."""

        def pictures(rows: Sequence[int]) -> dict[int, bytes]:
            count = len(self.samples)
            other = self.pictures_elsewhere([row - count for row in rows if row >= count])
            return {
                **self.thumbnails([row for row in rows if row < count]),
                **{row + count: content for row, content in other.items()},
            }

        return matching.near_pairs(self.pool, pictures, audited=len(self.samples))

    def most_resisted(self, rows: np.ndarray) -> list[int]:
        """`rows` (M,) by consensus, the highest first; where that is equal or was not logged, by rank.

        Curvature, by which a report ranks, answers to all that bends the loss; among wrong labels and rare pictures
        it hardly tells which are meant (docs/evidence.md has the figures).
        """
        resistance = self.scores.get(CONSENSUS)
        order = np.lexsort((self.rank[rows], *(() if resistance is None else (-resistance[rows],))))
        found: list[int] = rows[order].tolist()
        return found

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


def joined(one: Samples, other: Samples) -> Samples:
    """The rows of both, one after the other; `other` may know more classes behind those of `one`."""

    def both(name: str) -> np.ndarray:
        return np.concatenate([getattr(one, name), getattr(other, name)])

    return Samples(
        ids=one.ids + other.ids,
        labels=both("labels"),
        classes=other.classes if len(other.classes) > len(one.classes) else one.classes,
        content_hash=both("content_hash"),
        phash=both("phash"),
        width=both("width"),
        height=both("height"),
        contrast=both("contrast"),
        signature=both("signature"),
    )


def fingerprint(rule: str, parts: Iterable[str]) -> str:
    """16 hex digits of rule and contents: renaming and reordering change nothing."""
    text = "\n".join([rule, *sorted(parts)])
    return blake2b(encoded(text), digest_size=8).hexdigest()
