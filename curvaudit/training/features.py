"""What the network makes of a picture before it names a class: the input of its last layer.

Pictures that lie close in it look alike to the network, whatever their labels say.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor, nn

from ..scores.measure import as_images
from ..scores.probes import rademacher
from ..scores.threads import Gate, side_by_side
from .recipe import WARM, Recipe

DIMENSIONS = 64  # of what is kept; docs/evidence.md has what fewer and more would give
_KEY = 0  # of the projection: one for all runs, so that it never has to be stored
_LARGEST = float(np.finfo(np.float16).max)


def logged_in(recipe: Recipe) -> int:
    """The epoch whose features are kept.

    Once a wrong label is memorized, its picture lies among the pictures of the wrong class. So: the last epoch
    with augmentation, before the plain epochs in which everything is memorized. A schedule without plain epochs
    says nothing about when it memorizes: there, the end of what would be the warm-up.
    """
    if recipe.plain_epochs:
        return max(1, recipe.epochs - recipe.plain_epochs)
    return max(1, round(WARM * recipe.epochs))


def features(
    model: nn.Module,
    pixels: Tensor,
    *,
    batch_size: int,
    device: torch.device,
    gate: Gate | None = None,
) -> np.ndarray:
    """Input of the last linear layer, (N, D) float16, D at most 64.

    Wider ones are multiplied by a fixed random matrix of ±1/√D, which keeps distances and angles nearly
    (Johnson and Lindenstrauss 1984).

    Parameters
    ----------
    model:
        In eval mode; maps images in [0, 1] to logits.
    pixels:
        (N, C, H, W) uint8.
    """
    name, last = [named for named in model.named_modules() if isinstance(named[1], nn.Linear)][-1]
    size = min(DIMENSIONS, last.in_features)
    projection = None
    if size < last.in_features:
        rows = torch.arange(last.in_features)
        projection = (rademacher(_KEY, rows, 0, 0, (size,)) / size**0.5).to(device)  # (F, D)
    body = copy.deepcopy(model)
    body.set_submodule(name, nn.Identity())

    @torch.no_grad()
    def of(part: Tensor) -> np.ndarray:
        values = body(as_images(part, device)).float()  # (B, F)
        if projection is not None:
            values = values @ projection  # (B, D)
        found: np.ndarray = values.clamp(-_LARGEST, _LARGEST).cpu().numpy()
        return found

    parts = side_by_side(of, torch.split(pixels, batch_size), device, gate=gate)
    return np.concatenate(parts).astype(np.float16)
