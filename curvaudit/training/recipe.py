"""How to train until everything is memorized: the presets and the learning-rate schedule."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

Augmentation = Literal["none", "crop", "crop-flip"]
Schedule = Literal["one-cycle", "steps"]


@dataclass(frozen=True)
class Recipe:
    """One training schedule. Epochs are counted from 1."""

    preset: str
    epochs: int
    schedule: Schedule
    learning_rate: float  # peak for one-cycle, initial for steps
    milestones: tuple[int, ...]  # learning rate × 0.1 after these epochs ("steps" only)
    batch_size: int
    momentum: float
    nesterov: bool
    augmentation: Augmentation
    plain_epochs: int  # the last epochs of the schedule run without augmentation
    extension: int  # at most this many more epochs, without augmentation, while not memorized
    probes: int
    curvature_every: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def augmentation_in(self, epoch: int) -> Augmentation:
        """Augmentation of one epoch: none in the last plain epochs and in the extension."""
        return self.augmentation if epoch <= self.epochs - self.plain_epochs else "none"

    def learning_rate_at(self, progress: float) -> float:
        """Learning rate after `progress` epochs (0 at the start, fractions inside an epoch).

        A pure function of progress, so a resumed training needs no scheduler state. One-cycle
        (Smith 2018): linear up over the first fifth, cosine down to a fiftieth of the peak.
        The extension goes on at a tenth of the peak, falling to a hundredth.
        """
        if self.schedule == "steps":
            passed = sum(progress >= milestone for milestone in self.milestones)
            return self.learning_rate * 0.1**passed
        if progress >= self.epochs:
            share = min(1.0, (progress - self.epochs) / max(1, self.extension))
            return self.learning_rate * (0.1 - 0.09 * share)
        warm = 0.2 * self.epochs
        if progress < warm:
            return self.learning_rate * max(0.02, progress / warm)
        share = (progress - warm) / (self.epochs - warm)
        return self.learning_rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share)))
