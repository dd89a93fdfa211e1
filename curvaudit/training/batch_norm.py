"""Batch-normalization statistics of the network as it stands ("precise BN").

Running averages trail weights that still move fast: after the first epochs the network in
eval mode is another one than the network just trained, and its curvature is noise that can
outweigh all later epochs in the mean. Wu and Johnson, "Rethinking Batch in BatchNorm" (2021).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..scores.measure import as_images
from .processes import ALONE, Processes

_PICTURES = 1024  # enough for stable statistics, a fraction of an epoch's cost


@torch.no_grad()
def calibrate(
    model: nn.Module, pixels: Tensor, batch_size: int, device: torch.device, processes: Processes = ALONE
) -> None:
    """Replace the running statistics by averages over evenly spread, unaugmented pictures.

    Training is not affected: it never reads running statistics.

    Parameters
    ----------
    pixels:
        (N, C, H, W) uint8.
    """
    layers = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # cumulative average
    # A stride over the whole set, then every batch a stride over those: classes lie in blocks.
    chosen = torch.arange(0, len(pixels), max(1, len(pixels) // _PICTURES))
    batches = max(1, round(len(chosen) / batch_size))
    model.train()
    for number in range(batches):
        batch = chosen[number::batches]
        model(as_images(pixels[batch[processes.share(len(batch))]], device))
    model.eval()
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
