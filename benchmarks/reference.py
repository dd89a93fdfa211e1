"""The reference way to measure curvature, written from its description, as the benchmarks' yardstick.

For each probe two forward passes and two backward passes to the input, of the clean and of the moved
batch; nothing is shared between probes, parameters require gradients, batch normalization stays a layer,
tensors are laid out contiguously, all is float32.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from curvaudit.scores.probes import rademacher


def reference_network(model: nn.Module) -> nn.Module:
    """A copy in eval mode and contiguous layout, batch normalization and gradients as in training."""
    copied = copy.deepcopy(model).eval()
    copied.layout = torch.contiguous_format
    return copied.to(memory_format=torch.contiguous_format)


def reference_curvature(
    network: nn.Module, images: Tensor, labels: Tensor, *, epoch: int, probes: int, step: float, seed: int
) -> Tensor:
    """Equation 6 of one batch (B, C, H, W) in [0, 1], (B,); with the probes that curvaudit draws for it."""
    rows = torch.arange(len(images), device=images.device)
    total = torch.zeros(len(images), device=images.device)
    for probe in range(probes):
        v = rademacher(seed, rows, epoch, probe, tuple(images.shape[1:]))  # (B, C, H, W)
        clean = _input_gradient(network, images, labels)
        moved = _input_gradient(network, images + step * v, labels)
        total += (moved - clean).square().flatten(1).sum(1)
    return total / probes


def _input_gradient(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    images = images.detach().requires_grad_()
    loss = F.cross_entropy(network(images), labels, reduction="sum")
    return torch.autograd.grad(loss, images)[0]  # (B, C, H, W)
