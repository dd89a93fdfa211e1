"""A convolution with fixed weights and the gradient to its input, each by the way that is fastest on processors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_input

from . import winograd


@dataclass(frozen=True)
class Convolution:
    """Tensors are laid out as the layer's weights are; gradients come and go in `backward_weight`'s arithmetic."""

    weight: Tensor  # (K, C, k, k)
    bias: Tensor | None  # (K,)
    stride: tuple[int, int]
    padding: tuple[int, int]
    backward_weight: Tensor  # (K, C, k, k), bf16 or float32
    winograd: Tensor | None  # (36, C, K); None: not worth it, or not possible
    backward_winograd: Tensor | None  # (36, K, C)

    @classmethod
    def of(cls, layer: nn.Conv2d, *, bf16: bool) -> Convolution:
        """Raises ValueError for what no ResNet has: groups, dilation, padding that is not zeros."""
        if layer.groups != 1 or layer.dilation != (1, 1) or layer.padding_mode != "zeros":
            raise ValueError(f"not a plain convolution: {layer}")
        weight = layer.weight.detach()
        wide = (
            (layer.kernel_size, layer.stride, layer.padding) == ((3, 3), (1, 1), (1, 1))
            and min(weight.shape[:2]) >= winograd.LEAST_CHANNELS
        )  # fmt: skip
        turned = weight.flip(2, 3).transpose(0, 1)  # (C, K, 3, 3)
        return cls(
            weight=weight,
            bias=None if layer.bias is None else layer.bias.detach(),
            stride=layer.stride,  # type: ignore[arg-type]
            padding=layer.padding,  # type: ignore[arg-type]
            backward_weight=weight.bfloat16() if bf16 else weight,
            winograd=winograd.transformed(weight) if wide else None,
            backward_winograd=winograd.transformed(turned) if wide and not bf16 else None,
        )

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, K, H', W')."""
        if self.winograd is None:
            return F.conv2d(images, self.weight, self.bias, self.stride, self.padding)
        found = winograd.convolved(images, self.winograd)
        return found if self.bias is None else found.add_(self.bias.view(1, -1, 1, 1))

    def backward(self, gradient: Tensor, shape: torch.Size) -> Tensor:
        """(B, K, H', W') -> gradient to the input, of `shape` (B, C, H, W)."""
        if self.backward_winograd is not None:
            return winograd.convolved(gradient, self.backward_winograd)
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
