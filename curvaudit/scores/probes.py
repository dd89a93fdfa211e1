"""Rademacher probes that depend on (seed, sample, epoch, probe) and on nothing else.

A counter-based generator: each 64-bit word is SplitMix64's output function (Steele, Lea and
Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014) of a key and a position.
There is no state, so batch size, order, workers and device cannot change a probe.
"""

from __future__ import annotations

import torch
from torch import Tensor

_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as int64
_MIX1 = -4658895280553007687  # 0xBF58476D1CE4E5B9
_MIX2 = -7723592293110705685  # 0x94D049BB133111EB


def _shift_right(x: Tensor, bits: int) -> Tensor:
    # int64 shifts carry the sign along; SplitMix64 wants zeros.
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _mix(x: Tensor) -> Tensor:
    x = (x ^ _shift_right(x, 30)) * _MIX1
    x = (x ^ _shift_right(x, 27)) * _MIX2
    return x ^ _shift_right(x, 31)


def uniform(seed: int, rows: Tensor) -> Tensor:
    """One number in [0, 1) for each sample row (B,), on a processor; (B,) float64."""
    key = _mix(_mix(torch.full_like(rows, seed) + _GOLDEN) * 3 + rows + _GOLDEN)
    return _shift_right(key, 11).double() * 2.0**-53


def rademacher(seed: int, rows: Tensor, epoch: int, probe: int | Tensor, shape: tuple[int, ...]) -> Tensor:
    """Draw ±1 with equal probability for each sample.

    Parameters
    ----------
    rows:
        (B,) int64 sample rows.
    probe:
        Number of the probe, one for all or (B,) int64.
    shape:
        Shape of one sample, for example (C, H, W).

    Returns
    -------
    (B, *shape) float32 of -1 and +1, on the device of `rows`.
    """
    key = torch.full_like(rows, seed)
    for part in (rows, epoch, probe):
        key = _mix(key * 3 + part + _GOLDEN)
    size = 1
    for length in shape:
        size *= length
    words = (size + 63) // 64
    position = torch.arange(1, words + 1, device=rows.device, dtype=torch.int64)
    bits = _mix(key[:, None] + position * _GOLDEN)  # (B, words)
    octets = bits.contiguous().view(torch.uint8)  # (B, 8 * words)
    places = torch.arange(8, device=rows.device, dtype=torch.uint8)
    flips = (octets[:, :, None] >> places) & 1  # (B, 8 * words, 8)
    signs = flips.reshape(len(rows), -1)[:, :size].to(torch.float32).mul_(2).sub_(1)
    return signs.reshape(len(rows), *shape)
