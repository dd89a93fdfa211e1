"""Training by several processes: all of them, each on its part of every batch, or the first one for all.

To share a batch is to exchange sums in every layer, forward and backward. Between GPUs that pays in large batches.
Between processors it made training three to five times slower than on the same cores in one process
(docs/performance.md), and sums in another order give other scores: there the first one trains, on the cores of all on
its machine, and all measure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import torch
from torch import nn

from .loop import TrainedEpoch
from .processes import ALONE, Processes
from .recipe import Recipe


def share_batches(device: torch.device, recipe: Recipe) -> bool:
    """Whether several processes train together."""
    return device.type != "cpu" and not recipe.small_batches


def sharing(device: torch.device, recipe: Recipe, processes: Processes) -> Processes:
    """Those that share each batch; `ALONE` where the first one trains for all."""
    return processes if share_batches(device, recipe) else ALONE


def followed(epochs: Iterator[TrainedEpoch], model: nn.Module, processes: Processes) -> Iterator[TrainedEpoch]:
    """The epochs that the first process trains, in all of them; after each `model` is the same everywhere."""
    while True:
        epoch = TrainedEpoch(**processes.told(lambda: asdict(next(epochs))))
        processes.spread(model)
        yield epoch
