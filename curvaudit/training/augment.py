"""Random crop and horizontal flip for a whole uint8 batch at once."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .recipe import Augmentation


def augment(
    pixels: Tensor,
    augmentation: Augmentation,
    seed: int,
    epoch: int,
    batch: int,
    *,
    part: slice = slice(None),
    whole: int | None = None,
) -> Tensor:
    """Crop (zero padding of an eighth of the side, as 4 px at 32) and flip.

    Draws depend on (seed, epoch, batch) alone: no generator state has to survive a resume.

    Parameters
    ----------
    pixels:
        (B, C, H, W) uint8.
    part, whole:
        Which part of a batch of `whole` pictures these are: each is treated as in the whole batch.
    """
    if augmentation == "none":
        return pixels
    # Torch takes 64 bits; a seed such as 20240101 would overflow them.
    generator = torch.Generator().manual_seed(((seed * 1_000_003 + epoch) * 1_000_003 + batch) % 2**63)
    height, width = pixels.shape[2:]
    size = len(pixels) if whole is None else whole
    pad = max(1, round(height / 8))
    top = torch.randint(0, 2 * pad + 1, (size, 1), generator=generator)
    left = torch.randint(0, 2 * pad + 1, (size, 1), generator=generator)
    rows = (top + torch.arange(height))[part]  # (B, H)
    columns = left + torch.arange(width)  # (whole, W)
    if augmentation == "crop-flip":
        flip = torch.rand(size, 1, generator=generator) < 0.5
        columns = torch.where(flip, columns.flip(1), columns)
    columns = columns[part]  # (B, W)
    device = pixels.device
    rows, columns = rows.to(device, non_blocking=True), columns.to(device, non_blocking=True)
    padded = F.pad(pixels, (pad, pad, pad, pad))  # (B, C, H + 2p, W + 2p)
    sample = torch.arange(len(pixels), device=device)[:, None, None]
    crops = padded[sample, :, rows[:, :, None], columns[:, None, :]]  # (B, H, W, C)
    return crops.permute(0, 3, 1, 2)  # (B, C, H, W)
