"""Batch-normalization statistics of the network as it stands ("precise BN").

Running averages trail weights that still move fast: after the first epochs the network in
eval mode is another one than the network just trained, and its curvature is noise that can
outweigh all later epochs in the mean. Wu and Johnson, "Rethinking Batch in BatchNorm" (2021).
"""

from __future__ import annotations

import copy
import threading

import numpy as np
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
    count = max(1, round(len(chosen) / batch_size))
    mine = processes.share(count)

    own = threading.local()  # a copy of the network for each thread

    @torch.no_grad()
    def statistics_of(number: int) -> Tensor:
        if not hasattr(own, "network"):
            own.network = copy.deepcopy(model).train()
            for layer in _layers(own.network):
                layer.momentum = 1.0  # nothing is left of the batches before
        own.network(as_images(pixels[chosen[number::count]], device))
        return torch.cat(_statistics(own.network))  # (S,)

    found = side_by_side(statistics_of, range(count)[mine], device, gate=gate)
    kept = _statistics(model)
    empty = np.zeros((0, sum(map(len, kept))), np.float32)
    by_batch = np.concatenate([empty, *(one.cpu().numpy()[None] for one in found)])  # (batches of mine, S)
    mean = processes.merged({"": by_batch}, mine, count)[""].mean(0, dtype=np.float64)  # (S,)
    for values in kept:
        values.copy_(torch.from_numpy(mean[: len(values)]))  # (C,)
        mean = mean[len(values) :]
    model.eval()


def _layers(model: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


def _statistics(model: nn.Module) -> list[Tensor]:
    """Mean and variance of each layer, (C,) each."""
    found: list[Tensor] = []
    for layer in _layers(model):
        assert layer.running_mean is not None and layer.running_var is not None
        found += [layer.running_mean, layer.running_var]
    return found
