"""Curvature of the loss around a sample: equation 6 of Garg, Ravikumar and Roy (ICML 2024).

    Curv(x) = 1/n Σ_i ‖∂(L(x + h v_i) − L(x))/∂x‖²        one epoch; the report averages epochs

exactly as printed: squared norm, summed loss, v Rademacher, perturbation in [0, 1] pixel
space, divided by neither h nor anything else. All probes share one clean gradient, so n
probes cost n + 1 passes, not 2n.

With `probes_at_most` a sample gets in each epoch as many probes as its clean gradient asks for (`dealing.py`), and NaN
where that is none, until the epoch is complete.

A sample whose loss is below `least_loss` is not measured; 0 stands for it. Where the label is certain
the whole gradient vanishes with the loss, so that such an epoch adds nothing to a sample's mean that
could move its rank (docs/performance.md has the figures).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..records import MeasureInfo
from . import dealing
from .interface import Batch, Score, ScoreSettings, mean_over_epochs

if TYPE_CHECKING:
    from torch import Tensor

_REST = 0.25  # of a part that goes along with the others


def score(settings: ScoreSettings) -> Score:
    """Equation 6 with probes of size `settings.step`: `settings.probes` of them, or those dealt out."""

    def measure(batch: Batch) -> Tensor:
        import torch

        from .probes import rademacher

        assert batch.gradient is not None
        counts = torch.from_numpy(dealing.counts(batch, settings))  # (B,)
        numbers = torch.arange(int(counts.max()))  # (n,)
        wanted = (numbers[:, None] < counts).nonzero().to(batch.images.device)  # (P, 2), probe and place in the batch
        # Not added up on the spot: on a GPU that has no fixed order.
        squares = torch.zeros(len(numbers), len(counts), device=wanted.device)  # (n, B)
        # Parts alike: with one probe for each sample on average, one of a few samples would often be left over.
        parts = max(1, math.ceil(len(wanted) / batch.at_once - _REST))
        for part in wanted.tensor_split(parts) if len(wanted) else ():
            probe, place = part.unbind(1)  # (Q,)
            v = rademacher(settings.seed, batch.rows[place], batch.epoch, probe, tuple(batch.images.shape[1:]))
            moved = batch.input_gradient(batch.images[place] + settings.step * v, batch.labels[place])  # (Q, C, H, W)
            squares[probe, place] = (moved - batch.gradient[place]).square().flatten(1).sum(1)
        return squares.sum(0) / counts.to(wanted.device)  # 0 / 0 where there was no probe

    return Score(
        name="curvature",
        info=MeasureInfo(
            unit="(nat/pixel)^2",
            definition="1/n sum_i ||grad L(x + h v_i) - grad L(x)||^2, equation 6, pixels in [0, 1]",
            direction="high",
            parameters={
                "n": settings.probes if settings.probes_at_most is None else 0,
                "n_most": settings.probes_at_most or settings.probes,
                "h": settings.step,
                "seed": settings.seed,
                "least_loss": settings.least_loss,
            },
        ),
        needs="probes",
        measure=measure,
        reduce=mean_over_epochs,
        least_loss=settings.least_loss,
    )
