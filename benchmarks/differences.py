"""Curvature without subtracting two nearly equal gradients: the difference itself passes through the network.

A ResNet in eval mode is piecewise linear. Beside each activation z goes what the probe adds to it, d; beside each
gradient g of the clean pass what the probe adds to that, e. Through convolutions both are linear; a ReLU passes
max(z + d, 0) − max(z, 0) on, which is max(d, −z) − max(−z, 0), and backward e where it is open afterwards, and g
where it opens or (negative) closes. No step cancels, so rounding stays relative to d and e, whatever their size.
A prototype for `accelerator.py`, of ResNets with folded batch normalization; curvaudit itself subtracts.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Pair:
    """Clean values, and what the probe adds to them."""

    clean: Tensor
    added: Tensor

    def __add__(self, other: Pair) -> Pair:
        return Pair(self.clean + other.clean, self.added + other.added)


@dataclass(frozen=True)
class Gate:
    """Where a ReLU was open, and where it is with the probe."""

    clean: Tensor  # bool, shape of the activation
    moved: Tensor


def curvature_by_difference(
    network: nn.Module, images: Tensor, labels: Tensor, step: Tensor, dtype: torch.dtype = torch.float32
) -> Tensor:
    """‖∂(L(x + step) − L(x))/∂x‖², (B,).

    Parameters
    ----------
    network:
        `Normalized`, with batch normalization folded; its first convolution has a small stem (no pooling).
    images, step:
        (B, C, H, W) in [0, 1].
    labels:
        (B,).
    dtype:
        Of the activations, and of the network's convolutions.
    """
    with torch.no_grad():
        inner = network.network
        mean, std = network.mean.float(), network.std.float()
        start = Pair((images - mean) / std, step / std)
        start = Pair(
            *(part.to(dtype).contiguous(memory_format=torch.channels_last) for part in (start.clean, start.added))
        )
        gates: list[Gate] = []
        x = _open(_convolved(inner.conv1, start), gates)
        stem = x.clean.shape
        blocks = [block for stage in (inner.layer1, inner.layer2, inner.layer3, inner.layer4) for block in stage]
        shapes = []
        for block in blocks:
            shapes.append(x.clean.shape)
            within = _open(_convolved(block.conv1, x), gates)
            shortcut = x if block.downsample is None else _convolved(block.downsample[0], x)
            x = _open(_convolved(block.conv2, within) + shortcut, gates)
        last = x.clean.shape
        logits = F.linear(x.clean.mean((2, 3)).float(), inner.fc.weight, inner.fc.bias)  # (B, K)
        moved = F.linear(x.added.mean((2, 3)).float(), inner.fc.weight)  # (B, K)
        share = logits.softmax(1)
        # softmax(z + d) − softmax(z), without subtracting.
        grown = torch.expm1(moved - (share * moved.exp()).sum(1, keepdim=True).log())
        gradient = Pair(share - F.one_hot(labels, share.shape[1]), share * grown)
        weight, pixels = inner.fc.weight, last[2] * last[3]
        gradient = Pair(
            *(
                (part @ weight / pixels).to(dtype)[:, :, None, None].expand(last)
                for part in (gradient.clean, gradient.added)
            )
        )
        for block, shape in zip(reversed(blocks), reversed(shapes), strict=True):
            outer = _closed(gradient, gates.pop())
            inside = gates.pop()
            within = _closed(_turned(block.conv2, outer, inside.clean.shape), inside)
            shortcut = outer if block.downsample is None else _turned(block.downsample[0], outer, shape)
            gradient = _turned(block.conv1, within, shape) + shortcut
        assert gradient.clean.shape == stem
        found = _turned(inner.conv1, _closed(gradient, gates.pop()), images.shape)
        return (found.added.float() / std).square().flatten(1).sum(1)


def _convolved(layer: nn.Conv2d, x: Pair) -> Pair:
    joined = F.conv2d(torch.cat([x.clean, x.added]), layer.weight, None, layer.stride, layer.padding)
    clean, added = joined.chunk(2)
    return Pair(clean + layer.bias[:, None, None], added)


def _turned(layer: nn.Conv2d, gradient: Pair, shape: torch.Size) -> Pair:
    """Back through a convolution to its input of this shape."""
    joined = torch.cat([gradient.clean, gradient.added]).contiguous(memory_format=torch.channels_last)
    like = joined.new_empty((2 * shape[0], *shape[1:])).contiguous(memory_format=torch.channels_last)
    found = torch.ops.aten.convolution_backward(
        joined, like, layer.weight, None, layer.stride, layer.padding, layer.dilation, False, [0, 0], 1,
        [True, False, False],
    )[0]  # fmt: skip
    return Pair(*found.chunk(2))


def _open(x: Pair, gates: list[Gate]) -> Pair:
    gates.append(Gate(x.clean > 0, x.added > -x.clean))
    below = -x.clean
    return Pair(x.clean.clamp_min(0), torch.maximum(x.added, below) - below.clamp_min(0))


def _closed(gradient: Pair, gate: Gate) -> Pair:
    clean = gradient.clean * gate.clean
    return Pair(clean, gradient.added * gate.moved + gradient.clean * gate.moved - clean)
