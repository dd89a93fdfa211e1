"""The network as processors measure it: parameters fixed, gradients to the input alone.

Torch's own way would do as well and is what GPUs take. Here the residual stages of a folded ResNet
(`training/folding.py`) are one step of autograd with a backward pass written out, because then

* backward products may be bf16 where the processor multiplies it in hardware, twice as fast as float32. Given which
  ReLUs are open, a gradient is linear, and rounding it moves no rank (docs/performance.md); which are open is decided
  in the forward pass, and that is float32 always;
* each convolution goes the way that is fastest for its size (`training/convolution.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torchvision.models.resnet import BasicBlock

from .convolution import Convolution


def freeze(network: nn.Module, *, bf16: bool) -> nn.Module:
    """Make the neighbouring basic blocks of a folded network one step of autograd, in place.

    Parameters
    ----------
    network:
        As `folding.folded` returns it. What holds no basic blocks stays as it is.
    bf16:
        Whether backward products of the blocks are rounded to bf16.
    """
    for module in list(network.modules()):
        run: list[str] = []  # names of stages that follow each other
        for name, child in [*module.named_children(), ("", nn.Identity())]:
            if _is_stage(child):
                run.append(name)
                continue
            blocks = [_Block.of(block, bf16) for stage in run for block in module.get_submodule(stage).children()]
            for place, stage in enumerate(run):
                setattr(module, stage, nn.Identity() if place else _Stages(blocks, bf16))
            run = []
    return network


def _is_stage(module: nn.Module) -> bool:
    return (
        isinstance(module, nn.Sequential) and len(module) > 0 and all(isinstance(block, BasicBlock) for block in module)
    )


@dataclass(frozen=True)
class _Block:
    """relu(conv2(relu(conv1(x))) + shortcut(x)), a basic block whose normalization is folded away."""

    first: Convolution
    second: Convolution
    shortcut: Convolution | None

    @classmethod
    def of(cls, block: Any, bf16: bool) -> _Block:
        shortcut = None if block.downsample is None else Convolution.of(block.downsample[0], bf16=bf16)
        return cls(Convolution.of(block.conv1, bf16=bf16), Convolution.of(block.conv2, bf16=bf16), shortcut)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What is behind the inner and the outer ReLU."""
        inner = self.first.forward(images).relu_()
        outer = self.second.forward(inner)
        outer += images if self.shortcut is None else self.shortcut.forward(images)
        return inner, outer.relu_()

    def backward(self, gradient: Tensor, inner: Tensor, outer: Tensor, shape: torch.Size) -> Tensor:
        """Overwrites `gradient`: tensors of this size, if made anew each time, cost more than what is done to them."""
        _through_relu(gradient, outer)
        inside = _through_relu(self.second.backward(gradient, inner.shape), inner)
        found = self.first.backward(inside, shape)
        if self.shortcut is None:
            return found.add_(gradient)
        return self.shortcut.add_backward(gradient, found)


def _through_relu(gradient: Tensor, result: Tensor) -> Tensor:
    found: Tensor = torch.ops.aten.threshold_backward.grad_input(gradient, result, 0, grad_input=gradient)
    return found


class _Stages(nn.Module):
    def __init__(self, blocks: Sequence[_Block], bf16: bool) -> None:
        super().__init__()
        self.blocks = blocks
        self.kept = torch.bfloat16 if bf16 else torch.float32

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = _Pass.apply(images, self.blocks, self.kept)
        return found


class _Pass(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, blocks: Sequence[_Block], kept: torch.dtype) -> Tensor:
        ctx.blocks, ctx.kept = blocks, kept
        # Not `save_for_backward`, which holds all of them to the end: memory given back early stays in the cache. So
        # there is one backward pass for each forward pass.
        ctx.results = []
        for block in blocks:
            shape = images.shape
            inner, images = block.forward(images)
            if ctx.needs_input_grad[0]:
                # All that backward asks of them is which are positive, and that bf16 keeps: its exponent is float32's.
                ctx.results.append((inner.to(kept), images.detach().to(kept), shape))
        return images

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        gradient = gradient.to(ctx.kept, copy=True)  # autograd's own must not be overwritten
        for block in reversed(ctx.blocks):
            gradient = block.backward(gradient, *ctx.results.pop())
        return gradient.float(), None, None
