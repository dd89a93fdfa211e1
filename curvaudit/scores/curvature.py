"""Curvature of the loss around a sample: equation 6 of Garg, Ravikumar and Roy (ICML 2024).

    Curv(x) = 1/n Σ_i ‖∂(L(x + h v_i) − L(x))/∂x‖²        one epoch; the report averages epochs

exactly as printed: squared norm, summed loss, v Rademacher, perturbation in [0, 1] pixel
space, divided by neither h nor anything else. All probes share one clean gradient, so n
probes cost n + 1 passes, not 2n.

A sample whose loss is below `least_loss` is not measured; 0 stands for it. Where the label is certain
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
        for probe in range(settings.probes):
            v = rademacher(settings.seed, batch.rows, batch.epoch, probe, tuple(batch.images.shape[1:]))
            moved = batch.input_gradient(batch.images + settings.step * v, batch.labels)  # (B, C, H, W)
            total += (moved - batch.gradient).square().flatten(1).sum(1)  # (B,)
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
        least_loss=settings.least_loss,
    )
