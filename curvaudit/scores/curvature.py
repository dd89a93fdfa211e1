"""Curvature of the loss around a sample: equation 6 of Garg, Ravikumar and Roy (ICML 2024).

    Curv(x) = 1/n Σ_i ‖∂(L(x + h v_i) − L(x))/∂x‖²        one epoch; the report averages epochs

exactly as printed: squared norm, summed loss, v Rademacher, perturbation in [0, 1] pixel
space, divided by neither h nor anything else. All probes share one clean gradient, so n
probes cost n + 1 passes, not 2n.

One probe is noisy, and where a sample's gradient is large, so is its curvature: most of the noise of a mean over epochs
is that of a few of its epochs. With `most_probes` a sample gets in each epoch as many probes as its ‖∂L/∂x‖² is times
the usual one, `probes` at least. The clean gradient decides, never a probe, so the expectation stays that of equation 6
(Neyman's allocation of 1934: samples in proportion to the deviation). docs/performance.md has what it gains.

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
    """Equation 6 with `settings.probes` probes of size `settings.step`, or more (`settings.most_probes`)."""

    def measure(batch: Batch) -> Tensor:
        import torch

        from .probes import rademacher

        assert batch.gradient is not None
        counts = probes_of(batch.gradient, batch.usual_gradient, settings)  # (B,)
        numbers = torch.arange(int(counts.max()), device=counts.device)  # (n,)
        # Not added up on the spot: on a GPU that has no fixed order.
        squares = torch.zeros(len(numbers), len(counts), device=counts.device)  # (n, B)
        wanted = (numbers[:, None] < counts).nonzero()  # (P, 2), probe and place in the batch
        for part in torch.split(wanted, batch.at_once):  # (Q, 2)
            probe, place = part.unbind(1)
            v = rademacher(settings.seed, batch.rows[place], batch.epoch, probe, tuple(batch.images.shape[1:]))
            moved = batch.input_gradient(batch.images[place] + settings.step * v, batch.labels[place])  # (Q, C, H, W)
            squares[probe, place] = (moved - batch.gradient[place]).square().flatten(1).sum(1)
        return squares.sum(0) / counts

    return Score(
        name="curvature",
        info=MeasureInfo(
            unit="(nat/pixel)^2",
            definition="1/n sum_i ||grad L(x + h v_i) - grad L(x)||^2, equation 6, pixels in [0, 1]",
            direction="high",
            parameters={
                "n": settings.probes,
                "n_most": settings.most_probes or settings.probes,
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


def probes_of(gradient: Tensor, usual: float | None, settings: ScoreSettings) -> Tensor:
    """How many probes each sample gets in this epoch.

    Parameters
    ----------
    gradient:
        (B, C, H, W), clean.
    usual:
        Mean squared norm of all samples in the epochs measured before; None in the first of them, which gives each
        sample a number in between.

    Returns
    -------
    (B,) int64, from `settings.probes` to `settings.most_probes`.
    """
    import torch

    least, most = settings.probes, settings.most_probes or settings.probes
    if least == most or usual is None:
        return torch.full((len(gradient),), (least + most) // 2, device=gradient.device)
    wanted = least * gradient.square().flatten(1).sum(1) / usual  # (B,), 0/0 where nothing ever had a gradient
    return wanted.nan_to_num(nan=least).round().clamp(least, most).long()
