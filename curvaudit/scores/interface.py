"""What a score is: measured on one batch in each epoch, reduced over epochs much later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..records import MeasureInfo

if TYPE_CHECKING:
    from torch import Tensor

Needs = Literal["forward", "gradient", "probes"]


@dataclass(frozen=True, slots=True)
class ScoreSettings:
    """Settings a score may read when it is built."""

    probes: int = 1  # n of equation 6
    probes_at_most: int | None = None  # from none up to so many, by the gradient (`dealing.py`); None: n for each
    step: float = 1e-3  # h of equation 6, in pixels of [0, 1]
    seed: int = 0  # first key of the probe generator
    least_loss: float = 0.0  # nat; below it a sample's gradients are not taken and logged as 0


@dataclass(frozen=True)
class Before:
    """What the epochs say in which ‖∂L/∂x‖² was measured before."""

    total: np.ndarray  # (B,) float64, its sum over these epochs
    epochs: int
    usual: float  # its mean over all samples of the data set in the last of them

    def part(self, chosen: np.ndarray | slice) -> Before:
        """Some of the samples."""
        return replace(self, total=self.total[chosen])


@dataclass(frozen=True)
class Batch:
    """One batch in eval mode without augmentation, float32, with what all scores share.

    `gradient` is ∂(Σ loss)/∂images: in eval mode samples do not see each other, so row b is
    the gradient of sample b's own loss whatever the batch. None where no score needs it.
    """

    images: Tensor  # (B, C, H, W) in [0, 1], before normalization
    labels: Tensor  # (B,) int64
    rows: Tensor  # (B,) int64, sample rows
    epoch: int
    logits: Tensor  # (B, K)
    loss: Tensor  # (B,)
    gradient: Tensor | None  # (B, C, H, W)
    input_gradient: Callable[[Tensor, Tensor], Tensor]  # images (P, C, H, W), labels (P,) -> gradient (P, C, H, W)
    at_once: int  # how large P should be at most, and is best
    before: Before | None = None  # what the epochs say in which gradients were measured; None: no such

    def part(self, chosen: Tensor) -> Batch:
        """Some samples of the batch, (P,) int64."""
        if len(chosen) == len(self.labels):
            return self
        return replace(
            self,
            images=self.images[chosen],
            labels=self.labels[chosen],
            rows=self.rows[chosen],
            logits=self.logits[chosen],
            loss=self.loss[chosen],
            gradient=None if self.gradient is None else self.gradient[chosen],
            before=None if self.before is None else self.before.part(chosen.cpu().numpy()),
        )


@dataclass(frozen=True)
class Score:
    """A score that is logged raw each epoch.

    `needs` says what it costs: a forward pass, the clean input gradient, or probes of its
    own. `reduce` turns logged values (E, n) into one value a sample (n,), NaN epochs left
    out; None for a measure that is evidence and no ranking. A score that needs more than a forward pass
    is not measured where the loss is below `least_loss`; 0 stands for it.
    """

    name: str
    info: MeasureInfo
    needs: Needs
    measure: Callable[[Batch], Tensor]  # -> (B,)
    reduce: Callable[[np.ndarray], np.ndarray] | None
    least_loss: float = 0.0  # nat


def mean_over_epochs(values: np.ndarray) -> np.ndarray:
    """Mean over the measured epochs, (E, n) -> (n,) float64; NaN where none was measured."""
    measured = ~np.isnan(values)
    count = measured.sum(axis=0)
    total = np.where(measured, values, 0.0).sum(axis=0, dtype=np.float64)
    found: np.ndarray = np.divide(total, count, out=np.full(values.shape[1], np.nan), where=count > 0)
    return found
