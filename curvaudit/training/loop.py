"""Training, one epoch at a time, as a generator without files, clocks or screens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ..scores.measure import as_images
from .augment import augment
from .processes import ALONE, Processes
from .recipe import Recipe
from .steps import steps


@dataclass(frozen=True, slots=True)
class TrainedEpoch:
    """One epoch of training is over; the model and optimizer are changed in place."""

    number: int  # 1-based
    train_loss: float  # mean over what was seen, as trained
    learning_rate: float  # of the last step


def build_optimizer(model: nn.Module, recipe: Recipe, weight_decay: float) -> torch.optim.SGD:
    """SGD as in the paper; the learning rate is set before every step."""
    return torch.optim.SGD(
        model.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=weight_decay,
        fused=next(model.parameters()).is_cuda,  # one kernel for all parameters
    )


def train(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    pixels: Tensor,
    labels: Tensor,
    recipe: Recipe,
    *,
    seed: int,
    first_epoch: int,
    device: torch.device,
    bf16: bool = False,
    processes: Processes = ALONE,
    still_wrong: Callable[[], np.ndarray] = lambda: np.zeros(0, np.int64),
    on_batch: Callable[[int], None] | None = None,
) -> Iterator[TrainedEpoch]:
    """Train epoch after epoch, for as long as the caller asks for more.

    All randomness is a function of (seed, epoch), so starting at `first_epoch` with restored
    weights, and the same samples still wrong, continues exactly as if nothing had happened.

    Parameters
    ----------
    pixels, labels:
        (N, C, H, W) uint8 and (N,) int64.
    processes:
        Each trains on its part of every batch; the gradient is that of the whole batch.
    still_wrong:
        Rows (W,) that were not classified as labelled lately, asked for before each epoch; `Recipe.rehearsed` says what
        comes of it.
    on_batch:
        Called with the number of samples finished.

    Raises
    ------
    CurvauditError
        There are more processes than samples in a batch.
    """
    epoch = first_epoch
    step = steps(processes.parallel(model), device, bf16, processes.size)
    labels = labels.to(device)
    while True:
        model.train()
        once = np.arange(len(labels))
        seen = np.concatenate([once, recipe.rehearsed(epoch, still_wrong(), len(once))])  # rows, some several times
        order = np.random.default_rng([seed, epoch]).permutation(seen)
        # Nearly equal batches of at least two: one sample alone would break batch normalization.
        count = min(round(len(order) / recipe.batch_size), len(order) // 2)
        batches = np.array_split(order, max(1, count))
        processes.check_batches(len(batches[-1]))
        losses: list[Tensor] = []  # left on the device: asking for one would wait for it
        counts: list[int] = []
        rate = 0.0
        for number, chosen in enumerate(batches):
            part = processes.share(len(chosen))
            rows = torch.from_numpy(chosen[part])  # (B,)
            # Where pixels lie on the device nothing here waits for it: one step runs while the next is prepared.
            raw = augment(
                pixels[rows.to(pixels.device, non_blocking=True)],
                recipe.augmentation_in(epoch),
                seed,
                epoch,
                number,
                part=part,
                whole=len(chosen),
            )
            images = as_images(raw, device)  # (B, C, H, W)
            given = labels[rows.to(device, non_blocking=True)]  # (B,)
            rate = recipe.learning_rate_at(epoch - 1 + number / len(batches))
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad(set_to_none=True)
            # Gradients are averaged over the processes: each counts by its share of the batch.
            losses.append(step(images, given, processes.size * len(rows) / len(chosen)))
            optimizer.step()
            counts.append(len(rows))
            if on_batch is not None:
                on_batch(len(chosen))
        # Moved first: not every device has float64.
        total = torch.stack(losses).cpu().double() @ torch.tensor(counts, dtype=torch.float64)
        yield TrainedEpoch(epoch, float(processes.total(total)) / len(order), rate)
        epoch += 1
