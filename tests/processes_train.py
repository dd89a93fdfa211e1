"""One process of a training in which all share every batch: `processes_train.py FILE`, for the weights of the first."""

import copy
import sys
from dataclasses import replace

import torch

from curvaudit.training.loop import build_optimizer, train
from curvaudit.training.model import build_model
from curvaudit.training.presets import named
from curvaudit.training.processes import joined

CPU = torch.device("cpu")


def trained(processes, epochs=1):
    """The network before and after steps in batches of 15, and the losses."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (60, 3, 16, 16), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, 3, (60,), generator=generator)
    half = torch.full((3,), 0.5)
    model = build_model(classes=3, channels=3, resolution=16, width=16, mean=half, std=half, seed=0)
    # A low rate: at the usual one, a few steps make of rounding a difference of several percent (docs/scale.md).
    recipe = replace(named("fast", len(labels), 3), learning_rate=1e-3)
    start = copy.deepcopy(model)
    optimizer = build_optimizer(model, recipe, 1e-3)
    losses = []
    for epoch in train(
        model, optimizer, pixels, labels, recipe, seed=0, first_epoch=1, device=CPU, processes=processes
    ):
        losses.append(epoch.train_loss)
        if epoch.number == epochs:
            return start, model, losses
    raise AssertionError("a training has no end of its own")


if __name__ == "__main__":
    with joined("cpu") as together:
        _, model, losses = trained(together)
        if together.first:
            torch.save((model.state_dict(), losses), sys.argv[1])
