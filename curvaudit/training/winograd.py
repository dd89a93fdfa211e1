"""3×3 convolutions of stride 1 with a quarter of the multiplications, for processors.

Winograd's minimal filtering F(4×4, 3×3), as in Lavin and Gray, "Fast Algorithms for Convolutional Neural
Networks" (CVPR 2016): Y = Aᵀ [(G w Gᵀ) ∘ (Bᵀ x B)] A for each tile of 4×4 results from 6×6 inputs, with the
products summed over channels, which makes 36 matrix products of all tiles. Torch's own convolutions for processors
do not use it. Rounding is some ten times that of a direct convolution, 10⁻⁵ of a standard deviation.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# With fewer, moving tiles costs more than the products saved (docs/performance.md).
LEAST_CHANNELS = 128
_MOST_PADDING = 4 / 3  # of whole tiles to the picture that they cover
_TILE = 4
_WINDOW = _TILE + 2
_TILES_AT_ONCE = 128  # more would leave the cache, fewer would read the weights too often

_INPUT = torch.tensor(  # Bᵀ (6, 6)
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    dtype=torch.float64,
)
_WEIGHT = torch.tensor(  # G (6, 3)
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ],
    dtype=torch.float64,
)
_OUTPUT = torch.tensor(  # Aᵀ (4, 6)
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
    dtype=torch.float64,
)
# Both sides of a tile at once, as one matrix product: on a processor faster than two of a sixth of the size.
_INPUT_BOTH = torch.kron(_INPUT, _INPUT).float()  # (36, 36)
_OUTPUT_BOTH = torch.kron(_OUTPUT, _OUTPUT).float()  # (16, 36)
_WEIGHT_BOTH = torch.kron(_WEIGHT, _WEIGHT).float()  # (36, 9)


def pays(height: int, width: int) -> bool:
    """Whether pictures of this size are mostly whole tiles: of 5×5 px four tiles of 4×4 would be computed."""
    down, across = -(-height // _TILE), -(-width // _TILE)
    return _TILE**2 * down * across <= _MOST_PADDING * height * width


def transformed(weight: Tensor) -> Tensor:
    """G w Gᵀ of the weights of a convolution, (K, C, 3, 3) -> (36, C, K) float32."""
    outputs, inputs = weight.shape[:2]
    products = _WEIGHT_BOTH @ weight.reshape(outputs * inputs, 9).T  # (36, K * C)
    return products.view(_WINDOW**2, outputs, inputs).transpose(1, 2).contiguous()


def convolved(images: Tensor, weight: Tensor) -> Tensor:
    """The convolution with stride 1 and one pixel of padding.

    Parameters
    ----------
    images:
        (B, C, H, W) float32, best laid out channels last.
    weight:
        (36, C, K), `transformed`.

    Returns
    -------
    (B, K, H, W), laid out channels last.
    """
    count, _, height, width = images.shape
    down, across = -(-height // _TILE), -(-width // _TILE)
    at_once = max(1, _TILES_AT_ONCE // (down * across))
    found = images.new_empty((count, height, width, weight.shape[2]))  # (B, H, W, K)
    for start in range(0, count, at_once):
        part = images[start : start + at_once].permute(0, 2, 3, 1)  # (P, H, W, C)
        found[start : start + at_once] = _tiles(part, weight, down, across)[:, :height, :width]
    return found.permute(0, 3, 1, 2)


def _tiles(images: Tensor, weight: Tensor, down: int, across: int) -> Tensor:
    """(P, H, W, C) -> (P, 4 down, 4 across, K)."""
    count, height, width, channels = images.shape
    padded = F.pad(images, (0, 0, 1, 1 + _TILE * across - width, 1, 1 + _TILE * down - height))
    picture, row, column, channel = padded.stride()
    windows = padded.as_strided(
        (_WINDOW, _WINDOW, count, down, across, channels),
        (row, column, picture, _TILE * row, _TILE * column, channel),
    )
    inputs = _INPUT_BOTH @ windows.reshape(_WINDOW**2, -1)  # (36, P * tiles * C)
    products = inputs.view(_WINDOW**2, -1, channels) @ weight  # (36, P * tiles, K)
    results = _OUTPUT_BOTH @ products.flatten(1)  # (16, P * tiles * K)
    tiles = results.view(_TILE, _TILE, count, down, across, -1)  # (4, 4, P, down, across, K)
    return tiles.permute(2, 3, 0, 4, 1, 5).reshape(count, _TILE * down, _TILE * across, -1)
