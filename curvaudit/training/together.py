"""Training by several processes: all of them, each on its part of every batch, or the first one for all.

To share a batch is to exchange sums in every layer, forward and backward. Between GPUs that pays in large batches.
Between processors it made training three to five times slower than on the same cores in one process
(docs/performance.md), and sums in another order give other scores: there the first one trains, on the cores of all on
its machine, and all measure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import count

import numpy as np
import torch
from torch import Tensor, nn

from .loop import TrainedEpoch, train
from .processes import ALONE, Processes
from .recipe import Recipe


def share_batches(device: torch.device, recipe: Recipe) -> bool:
    """Whether several processes train together."""
    return device.type != "cpu" and not recipe.small_batches


def trained(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    pixels: Tensor,
    labels: Tensor,
    recipe: Recipe,
    *,
    seed: int,
    first_epoch: int,
    device: torch.device,
    bf16: bool,
    processes: Processes,
    still_wrong: Callable[[], np.ndarray],
    on_batch: Callable[[int], None],
) -> Iterator[TrainedEpoch]:
    """What `train` does, in each process; after each epoch `model` is the same in all of them."""
    alone = processes.size == 1 or not share_batches(device, recipe)
    epochs = train(
        model,
        optimizer,
        pixels,
        labels,
        recipe,
        seed=seed,
        first_epoch=first_epoch,
        device=device,
        bf16=bf16,
        processes=ALONE if alone else processes,
        still_wrong=still_wrong,
        on_batch=on_batch,
    )
    if processes.size == 1 or not alone:
        yield from epochs
        return
    for _ in count(first_epoch):
        epoch = TrainedEpoch(**processes.told(lambda: asdict(next(epochs))))
        processes.spread(model)
        yield epoch
