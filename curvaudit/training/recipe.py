"""How to train until everything is memorized: the presets and the learning-rate schedule."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

Augmentation = Literal["none", "crop", "crop-flip"]
Schedule = Literal["one-cycle", "steps"]

WARM = 0.2  # share of the augmented epochs in which the learning rate rises
SETTLING = 0.75  # share of the plain epochs in which it falls …
SETTLED = 0.05  # … to this share of `plain_rate`
MOPPING = 1 / 3  # for this share of the extension …
MOPPED = 0.1  # … the rate falls from `extension_rate` to this share of it; then the plain cycle comes once more
REHEARSED = 0.1  # share of an epoch that may be added for samples that are still wrong
SMALL = 64  # pictures in a batch, from which on training fills several cores, or a GPU, by itself (docs/performance.md)


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
    plain_rate: float  # learning rate where they begin ("one-cycle" only)
    extension_rate: float  # learning rate where the extension begins ("one-cycle" only)
    extension: int  # at most this many more epochs, without augmentation, while not memorized
    rehearsals: int  # in the extension a sample that is still wrong comes up to so many times more in an epoch
    probes: int
    curvature_every: int  # measured in every k-th epoch …
    curvature_every_augmented: int  # … but in every k-th of the epochs with augmentation …
    curvature_from: int  # … and not before this epoch
    curvature_least_loss: float = (
        0.0  # nat; below it a sample's curvature and gradient are not measured but logged as 0
    )
    probes_at_most: int | None = None  # from none up to so many, `probes` for a usual gradient; None: `probes` each

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def small_batches(self) -> bool:
        """Whether a batch is too small to be shared by cores or devices."""
        return self.batch_size < SMALL

    def augmentation_in(self, epoch: int) -> Augmentation:
        """Augmentation of one epoch: none in the last plain epochs and in the extension."""
        return self.augmentation if epoch <= self.epochs - self.plain_epochs else "none"

    def rehearsed(self, epoch: int, wrong: np.ndarray, samples: int) -> np.ndarray:
        """What comes on top of each sample once in one epoch: rows of `wrong` (W,), each equally often.

        A few samples that resist cost as many epochs as everything before when they come once an epoch; seen in
        many batches of one epoch they are memorized in a few. Only beyond the schedule: until then every sample
        is seen equally often, and scores compare.
        """
        if epoch <= self.epochs or len(wrong) == 0:
            return wrong[:0]
        return np.repeat(wrong, min(self.rehearsals, int(REHEARSED * samples / len(wrong))))

    def measures_curvature(self, epoch: int) -> bool:
        """Whether curvature is measured after this epoch; scores that cost no pass always are.

        Never beyond the schedule: there the last few samples are forced in, which for some epochs bends the
        network everywhere, and these epochs would outweigh the others in the mean.
        """
        if not self.curvature_from <= epoch <= self.epochs:
            return False
        plain = self.augmentation_in(epoch) == "none"
        every = self.curvature_every if plain else self.curvature_every_augmented
        # The first one always: an interrupted run then has something to rank by.
        return epoch == self.curvature_from or epoch % every == 0

    def learning_rate_at(self, progress: float) -> float:
        """Learning rate after `progress` epochs (0 at the start, fractions inside an epoch).

        A pure function of progress, so a resumed training needs no scheduler state. One-cycle
        (Smith 2018): linear up over the first fifth of the augmented epochs, cosine down to
        `plain_rate`. The plain epochs go on from there, cosine down to a twentieth, and stay: a
        network that has come to rest is flat around what it fits and bends only around what it
        cannot fit. The extension goes on at a moderate rate, which together with `rehearsed` picks up single
        samples, and falls again, so that those lost meanwhile come back. Where many still resist, the rest of it
        restarts the plain cycle (Loshchilov and Hutter 2017), which first loses much and in the end has learned more.
        """
        if self.schedule == "steps":
            passed = sum(progress >= milestone for milestone in self.milestones)
            return self.learning_rate * 0.1**passed
        cycle: float = self.epochs - self.plain_epochs
        warm = WARM * cycle
        if progress < warm:
            return self.learning_rate * max(0.02, progress / warm)
        if progress < cycle:
            return _cosine(self.learning_rate, self.plain_rate, (progress - warm) / (cycle - warm))
        start, length = cycle, float(self.plain_epochs)
        if progress >= self.epochs:
            mopping = MOPPING * self.extension
            start, length = self.epochs + mopping, self.extension - mopping
            if progress < start:
                share = (progress - self.epochs) / mopping
                return _cosine(self.extension_rate, MOPPED * self.extension_rate, share)
        share = (progress - start) / (SETTLING * length) if length else 1.0
        return _cosine(self.plain_rate, SETTLED * self.plain_rate, min(1.0, share))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * share))
