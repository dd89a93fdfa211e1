"""What is left of a run file that is damaged: a report on the rest says what is missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .. import scores, store
from ..errors import DamagedRun
from ..records import Caveat, Neighbours, TrainingInfo
from . import ranking
from .neighbourhood import neighbours
from .suggestion import Suggestions, suggest


class ReadableParts:
    """Reads a run part by part, and keeps what could not be read."""

    def __init__(self, run: store.Run) -> None:
        self.run = run
        self.lost_scores: set[str] = set()
        self.lost_parts: set[str] = set()
        self.unanswered: set[str] = set()  # rules

    def reduced(self, training: TrainingInfo) -> dict[str, np.ndarray]:
        """As `ranking.reduced`."""
        found = ranking.reduced(self.run, training.index)
        lost = {score.name for score in scores.build() if score.reduce and score.name in training.measures} - set(found)
        self.lost_scores |= lost
        return found

    def correct(self, training: TrainingInfo) -> np.ndarray:
        """Whether each sample was classified as labelled in the last epoch, (N,) bool; True where that is damaged."""
        try:
            return self.run.last(training.index, "correct") > 0
        except DamagedRun:
            self._lose("whether pictures are memorized", "CA203")
            return np.ones(len(self.run.samples), bool)

    def memorized_share(self, training: TrainingInfo, eligible: np.ndarray) -> np.ndarray:
        """As `ranking.memorized_share`; NaN where it is damaged."""
        try:
            return ranking.memorized_share(self.run, training.index, eligible)
        except DamagedRun:
            return np.full(training.epochs, np.nan)

    def suggest(self, training: TrainingInfo, eligible: np.ndarray) -> Suggestions | None:
        """As `suggestion.suggest`; no suggestion where the predictions are damaged."""
        try:
            return suggest(self.run, training.index, eligible)
        except DamagedRun:
            self._lose("the predictions", "CA201")
            return Suggestions(np.full(len(eligible), -1, np.int32), np.nan)

    def _lose(self, part: str, rule: str) -> None:
        self.lost_parts.add(f"{part} ({rule} was not checked)")
        self.unanswered.add(rule)

    def pictures(self, read: Callable[[Sequence[int]], dict[int, bytes]], rows: Sequence[int]) -> dict[int, bytes]:
        """As `Run.thumbnails` or `Run.previews`; none where they are damaged."""
        try:
            return read(rows)
        except DamagedRun:
            self.lost_parts.add("the pictures")
            return {}

    def neighbours(
        self, training: TrainingInfo, rows: Sequence[int], on_done: Callable[[int], None]
    ) -> Neighbours | None:
        """As `neighbourhood.neighbours`; None where the features are damaged."""
        try:
            return neighbours(self.run, training.index, rows, on_done=on_done)
        except DamagedRun:
            self.lost_parts.add("the features (no nearest neighbours)")
            return None

    def mean_curvature(self, training: TrainingInfo) -> np.ndarray:
        """(E,), NaN where it cannot be read."""
        try:
            return self.run.epoch_means(training.index, "curvature")
        except DamagedRun:
            return np.full(training.epochs, np.nan)

    def caveats(self) -> tuple[Caveat, ...]:
        """One if anything was damaged."""
        lost = [*(f"the score {name}" for name in sorted(self.lost_scores)), *sorted(self.lost_parts)]
        if not lost:
            return ()
        return (
            Caveat(
                "error",
                f"The run file is damaged. Left out: {', '.join(lost)}. Restore it from a copy, or scan again.",
                "damaged",
                frozenset(self.unanswered),
            ),
        )
