"""Batch normalization over a batch that several processes share."""

from __future__ import annotations

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


class SharedBatchNorm2d(nn.BatchNorm2d):
    """`BatchNorm2d` whose batch statistics in training are those of the whole batch.

    Torch's own `SyncBatchNorm` does the same on GPUs only. Sums are exchanged in float64, so that
    the variance is that of one process up to float32 rounding, however large the mean.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B / processes, C, H, W) -> the same shape, differentiable through the statistics."""
        if not self.training:
            return super().forward(x)
        values = x.float()
        count = values.new_tensor([values.numel() // values.shape[1]], dtype=torch.float64)
        if len(values):
            var, mean = torch.var_mean(values, (0, 2, 3), correction=0)
        else:
            var = mean = values.sum((0, 2, 3))
        var, mean = var.double(), mean.double()
        sums: Tensor = _Sum.apply(torch.cat([count, mean * count, (var + mean.square()) * count]))
        total = sums[0]
        mean, square = (sums[1:] / total).chunk(2)
        var = (square - mean.square()).clamp(min=0)
        self._remember(mean, var, total)
        scale = self.weight * torch.rsqrt(var + self.eps).float()  # (C,)
        shift = self.bias - mean.float() * scale
        return (values * scale[:, None, None] + shift[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, var: Tensor, total: Tensor) -> None:
        """Update the running statistics as `BatchNorm2d` does."""
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        weight = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        unbiased = var * total / (total - 1).clamp(min=1)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), weight)
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), weight)


def share_statistics(model: nn.Module) -> None:
    """Replace every `BatchNorm2d` in `model` by one over all processes; the parameters stay the same objects."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.BatchNorm2d:
                setattr(parent, name, _shared(child))


def _shared(layer: nn.BatchNorm2d) -> nn.BatchNorm2d:
    found = SharedBatchNorm2d(layer.num_features, layer.eps, layer.momentum, device=layer.weight.device)
    found.weight, found.bias = layer.weight, layer.bias
    found.running_mean, found.running_var = layer.running_mean, layer.running_var
    found.num_batches_tracked = layer.num_batches_tracked
    return found.train(layer.training)
