"""Batch-normalization statistics of the network as it stands ("precise BN").

Running averages trail weights that still move fast: after the first epochs the network in
eval mode is another one than the network just trained, and its curvature is noise that can
outweigh all later epochs in the mean. Wu and Johnson, "Rethinking Batch in BatchNorm" (2021).
"""

from __future__ import annotations

import copy
import threading

import torch
from torch import Tensor, nn

from ..scores.measure import as_images
from ..scores.threads import Gate, side_by_side
from .processes import ALONE, Processes

_PICTURES = 1024  # enough for stable statistics, a fraction of an epoch's cost


@torch.no_grad()
def calibrate(
    model: nn.Module,
    pixels: Tensor,
    batch_size: int,
    device: torch.device,
    processes: Processes = ALONE,
    *,
    gate: Gate | None = None,
) -> None:
    """Replace the running statistics by averages over evenly spread, unaugmented pictures.

    Training is not affected: it never reads running statistics.

    Parameters
    ----------
    pixels:
        (N, C, H, W) uint8.
    """
    # A stride over the whole set, then every batch a stride over those: classes lie in blocks.
    chosen = torch.arange(0, len(pixels), max(1, len(pixels) // _PICTURES))
    batches = range(max(1, round(len(chosen) / batch_size)))

    own = threading.local()  # a copy of the network for each thread

    @torch.no_grad()
    def statistics_of(number: int) -> list[tuple[Tensor, Tensor]]:
        batch = chosen[number :: len(batches)]
        if not hasattr(own, "network"):
            own.network = copy.deepcopy(model).train()
            for layer in _layers(own.network):
                layer.momentum = 1.0  # nothing is left of the batches before
        own.network(as_images(pixels[batch[processes.share(len(batch))]], device))
        return [(mean.clone(), var.clone()) for mean, var in map(_statistics, _layers(own.network))]

    if processes.size > 1:  # who exchange sums, and must do so in the same order
        found = [statistics_of(number) for number in batches]
    else:
        found = side_by_side(statistics_of, batches, device, gate=gate)
    for layer, by_batch in zip(_layers(model), zip(*found, strict=True), strict=True):
        for kept, values in zip(_statistics(layer), zip(*by_batch, strict=True), strict=True):
            kept.copy_(torch.stack(values).mean(0))  # (C,)
    model.eval()


def _layers(model: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


def _statistics(layer: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Mean and variance, (C,) each."""
    assert layer.running_mean is not None and layer.running_var is not None
    return layer.running_mean, layer.running_var
