"""The network as it is measured, on each device, and in what arithmetic its gradients are taken."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from .device import multiplies_bf16
from .folding import folded
from .frozen import freeze

Arithmetic = Literal["float32", "tf32", "bf16"]


def gradient_arithmetic(device: torch.device, *, bf16: bool, rounding: bool) -> Arithmetic:
    """Of backward passes; forward passes are float32.

    Parameters
    ----------
    bf16:
        Whether the network is trained in bf16.
    rounding:
        Whether the scores bear it (`scores.measure.bears_rounding`).
    """
    if not rounding:
        return "float32"
    if device.type == "cuda":
        return "tf32"
    return "bf16" if bf16 and device.type == "cpu" and multiplies_bf16(device) else "float32"


def as_measured(model: nn.Module, device: torch.device, *, bf16: bool, rounding: bool) -> nn.Module:
    """A copy of a network in training, without batch normalization; parameters as of `gradient_arithmetic`."""
    light = folded(model)
    # Winograd's algorithm rounds, too.
    if device.type != "cpu" or not rounding:
        return light
    return freeze(light, bf16=gradient_arithmetic(device, bf16=bf16, rounding=rounding) == "bf16")
