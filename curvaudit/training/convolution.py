"""A convolution with fixed weights and the gradient to its input, each by the way that is fastest on processors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_input

from . import winograd


@dataclass(frozen=True)
class Convolution:
    """Gradients come and go in the arithmetic of `backward_weight`. Winograd's results are laid out channels last."""

    weight: Tensor  # (K, C, k, k)
    bias: Tensor | None  # (K,)
    stride: tuple[int, int]
    padding: tuple[int, int]
    backward_weight: Tensor  # (K, C, k, k), bf16 or float32

    @classmethod
    def of(cls, layer: nn.Conv2d, *, bf16: bool) -> Convolution:
        """Raises ValueError for what no ResNet has: groups, dilation, padding that is not so many zeros."""
        plain = layer.groups == 1 and layer.dilation == (1, 1) and layer.padding_mode == "zeros"
        if not plain or isinstance(layer.padding, str):
            raise ValueError(f"not a plain convolution: {layer}")
        weight = layer.weight.detach()
        return cls(
            weight=weight,
            bias=None if layer.bias is None else layer.bias.detach(),
            stride=layer.stride,  # type: ignore[arg-type]
            padding=layer.padding,  # type: ignore[arg-type]
            backward_weight=weight.bfloat16() if bf16 else weight,
        )

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, K, H', W')."""
        if not self._by_winograd(images.shape):
            return F.conv2d(images, self.weight, self.bias, self.stride, self.padding)
        found = winograd.convolved(images, self._transformed)
        return found if self.bias is None else found.add_(self.bias.view(1, -1, 1, 1))

    def backward(self, gradient: Tensor, shape: torch.Size) -> Tensor:
        """(B, K, H', W') -> gradient to the input, of `shape` (B, C, H, W)."""
        if gradient.dtype == torch.float32 and self._by_winograd(shape):
            return winograd.convolved(gradient, self._turned)
        found: Tensor = conv2d_input(  # type: ignore[no-untyped-call]
            shape, self.backward_weight, gradient, self.stride, self.padding
        )
        return found

    def add_backward(self, gradient: Tensor, total: Tensor) -> Tensor:
        """`total` (B, C, H, W), to which the gradient to the input is added in place."""
        if self.weight.shape[2:] != (1, 1) or self.padding != (0, 0):
            return total.add_(self.backward(gradient, total.shape))
        # Only every stride-th pixel has one. Torch goes through those between them, too, which takes ten times as long.
        reached = total.permute(0, 2, 3, 1)[:, :: self.stride[0], :: self.stride[1]]  # (B, H', W', C)
        reached += gradient.permute(0, 2, 3, 1) @ self.backward_weight.flatten(1)
        return total

    def _by_winograd(self, shape: torch.Size) -> bool:
        return (
            (self.weight.shape[2:], self.stride, self.padding) == ((3, 3), (1, 1), (1, 1))
            and min(self.weight.shape[:2]) >= winograd.LEAST_CHANNELS
            and winograd.pays(*shape[2:])
        )  # fmt: skip

    @cached_property
    def _transformed(self) -> Tensor:
        return winograd.transformed(self.weight)  # (36, C, K)

    @cached_property
    def _turned(self) -> Tensor:
        """The gradient to the input is a convolution, too, with weights turned round and channels exchanged."""
        return winograd.transformed(self.weight.flip(2, 3).transpose(0, 1))  # (36, K, C)
