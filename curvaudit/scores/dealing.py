"""How many probes a sample gets in an epoch, and what stands for its curvature where it gets none.

A single probe is noisy, and where a sample's gradient is large, so is its curvature: the noise of a mean over epochs is
that of a few of its epochs. So probes go where the clean gradient is large (Neyman's allocation of 1934: samples in
proportion to the deviation): half of them to the epochs of a sample, by its own mean so far, and half to the samples of
an epoch, by the mean of all. A sample whose gradient is small for now goes without. A probe never decides.

Without a probe, curvature is taken for the gradient times the ratio of both among the samples that were probed in this
epoch: the ratio estimator of survey sampling (Cochran, Sampling Techniques, 1977, chapter 6). Which values those are is
logged as `probes`; docs/performance.md has what it costs and gains.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ..records import MeasureInfo
from .interface import Batch, Score, ScoreSettings

if TYPE_CHECKING:
    from torch import Tensor

NAME = "probes"
ASKED = ("gradient", "curvature", NAME)  # what an epoch leaves that the next one asks for
_OWN = 0.5  # probes for each time that the gradient is the sample's own mean so far …
_OF_ALL = 0.5  # … and for each time that it is the mean of all in the epoch before
_TURN = 0.6180339887498949  # golden ratio: its multiples fill [0, 1) evenly, however many there are


def score(settings: ScoreSettings) -> Score:
    """Number of probes that curvature is of; 0 where it was expected from the gradient, or the loss was too small."""

    def measure(batch: Batch) -> Tensor:
        import torch

        return torch.from_numpy(counts(batch, settings)).to(batch.loss.device)

    return Score(
        name=NAME,
        info=MeasureInfo("probes", "n of equation 6; 0: curvature is expected from the gradient", "high"),
        needs="probes",
        measure=measure,
        reduce=None,
        least_loss=settings.least_loss,
    )


def counts(batch: Batch, settings: ScoreSettings) -> np.ndarray:
    """How many probes each sample gets in this epoch.

    Returns
    -------
    (B,) int64: `settings.probes`, or from 0 to `settings.probes_at_most`. In the first epoch that is measured, of which
    nothing is known, a number in between for each.
    """
    least, most = settings.probes, settings.probes_at_most
    if most is None:
        return np.full(len(batch.rows), least)
    before = batch.before
    if before is None:
        return np.full(len(batch.rows), (least + most) // 2)
    assert batch.gradient is not None
    now = batch.gradient.square().flatten(1).sum(1).double().cpu().numpy()  # (B,)
    tiny = np.finfo(np.float64).tiny  # nothing ever had a gradient
    with np.errstate(invalid="ignore", over="ignore"):
        own = now / np.maximum((before.total + now) / (before.epochs + 1), tiny)  # (B,)
        wanted = np.minimum(least * (_OWN * own + _OF_ALL * now / max(before.usual, tiny)), most)
    # A gradient that is no number says nothing: measured, so that this is seen.
    found: np.ndarray = np.floor(np.nan_to_num(wanted, nan=least) + _rounding(batch, settings.seed))
    return found.astype(np.int64)


def _rounding(batch: Batch, seed: int) -> np.ndarray:
    """What is added before rounding down, (B,) in [0, 1): by chance in a sample, evenly over its epochs."""
    from .probes import uniform

    found: np.ndarray = (uniform(seed, batch.rows.cpu()).numpy() + batch.epoch * _TURN) % 1
    return found


def ratio(values: Mapping[str, np.ndarray], before: float) -> float:
    """Curvature of the samples that were probed in an epoch over their gradient.

    Parameters
    ----------
    values:
        (N,) of all samples: `curvature`, `gradient` and `probes`.
    before:
        That of the epoch before, which holds on in one that probed nothing.
    """
    curvature, gradient = values["curvature"], values["gradient"]
    probed = (values[NAME] > 0) & np.isfinite(curvature) & np.isfinite(gradient)
    total = gradient[probed].sum(dtype=np.float64)
    return float(curvature[probed].sum(dtype=np.float64) / total) if total > 0 else before


def completed(values: Mapping[str, np.ndarray], ratio: float) -> np.ndarray:
    """Curvature of all samples, (N,) float32: `ratio` times the gradient where there was no probe."""
    curvature = values["curvature"]
    waits = (values[NAME] == 0) & np.isnan(curvature)
    return np.where(waits, (values["gradient"] * ratio).astype(np.float32), curvature)
