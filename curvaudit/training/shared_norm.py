"""Batch normalization over a batch that several processes share."""

from __future__ import annotations

import copy
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


class _Sum(torch.autograd.Function):
    """Sum over the processes; so is its gradient, since the loss is a sum over them, too."""

    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:
        values = values.clone()
        dist.all_reduce(values)
        return values

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        summed = gradients[0].contiguous().clone()
        dist.all_reduce(summed)
        return summed


class SharedBatchNorm2d(nn.Module):
    """What `layer` does in training, with the statistics of the whole batch; its running ones stay as they are.

    Torch's own `SyncBatchNorm` does the same on GPUs only. Sums are exchanged in float64, so that
    the variance is that of one process up to float32 rounding, however large the mean.
    """

    def __init__(self, layer: nn.BatchNorm2d) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = layer.weight, layer.bias, layer.eps

    def forward(self, x: Tensor) -> Tensor:
        """(B / processes, C, H, W) -> the same shape, differentiable through the statistics."""
        values = x.float()
        count = values.new_tensor([values.numel() // values.shape[1]], dtype=torch.float64)
        if len(values):
            var, mean = torch.var_mean(values, (0, 2, 3), correction=0)
        else:
            var = mean = values.sum((0, 2, 3))
        var, mean = var.double(), mean.double()
        sums: Tensor = _Sum.apply(torch.cat([count, mean * count, (var + mean.square()) * count]))
        mean, square = (sums[1:] / sums[0]).chunk(2)
        var = (square - mean.square()).clamp(min=0)
        scale = self.weight * torch.rsqrt(var + self.eps).float()  # (C,)
        shift = self.bias - mean.float() * scale
        return (values * scale[:, None, None] + shift[:, None, None]).to(x.dtype)


def with_shared_statistics(model: nn.Module) -> nn.Module:
    """The same network, of the same parameters, to train with batches that all processes share."""
    kept = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    found = copy.deepcopy(model, kept).train()  # a deep copy takes what it is told for copied already
    for parent in list(found.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, SharedBatchNorm2d(child))
    return found
