"""Curvature of the loss around a sample: equation 6 of Garg, Ravikumar and Roy (ICML 2024).

    Curv(x) = 1/n Σ_i ‖∂(L(x + h v_i) − L(x))/∂x‖²        one epoch; the report averages epochs

exactly as printed: squared norm, summed loss, v Rademacher, perturbation in [0, 1] pixel
space, divided by neither h nor anything else. All probes share one clean gradient, so n
probes cost n + 1 passes, not 2n.

A sample whose loss is below `least_loss` is not probed; 0 stands for it. Where the label is certain
the whole gradient vanishes with the loss, so that such an epoch adds nothing to a sample's mean that
could move its rank (docs/performance.md has the figures).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..records import MeasureInfo
from .interface import Batch, Score, ScoreSettings, mean_over_epochs

if TYPE_CHECKING:
    from torch import Tensor


def score(settings: ScoreSettings) -> Score:
    """Equation 6 with `settings.probes` probes of size `settings.step`."""

    def measure(batch: Batch) -> Tensor:
        import torch

        from .probes import rademacher

        assert batch.gradient is not None
        total = torch.zeros_like(batch.loss)  # (B,)
        # Not `>`: without a bound every sample is probed, one whose loss is 0 or NaN, too.
        probed = (~(batch.loss < settings.least_loss)).nonzero().squeeze(1)  # (P,)
        if len(probed) == 0:
            return total
        images, labels, rows = batch.images[probed], batch.labels[probed], batch.rows[probed]
        clean = batch.gradient[probed]  # (P, C, H, W)
        for probe in range(settings.probes):
            v = rademacher(settings.seed, rows, batch.epoch, probe, tuple(images.shape[1:]))  # (P, C, H, W)
            moved = batch.input_gradient(images + settings.step * v, labels)  # (P, C, H, W)
            total[probed] += (moved - clean).square().flatten(1).sum(1)  # (P,)
        return total / settings.probes

    return Score(
        name="curvature",
        info=MeasureInfo(
            unit="(nat/pixel)^2",
            definition="1/n sum_i ||grad L(x + h v_i) - grad L(x)||^2, equation 6, pixels in [0, 1]",
            direction="high",
            parameters={
                "n": settings.probes,
                "h": settings.step,
                "seed": settings.seed,
                "least_loss": settings.least_loss,
            },
        ),
        needs="probes",
        measure=measure,
        reduce=mean_over_epochs,
    )
