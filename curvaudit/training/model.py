"""ResNet18, normalization included, so that its input is always pixels in [0, 1]."""

from __future__ import annotations

import math
import threading

import torch
from torch import Tensor, nn
from torchvision.models import resnet18
from torchvision.models.resnet import BasicBlock

_DRAWING = threading.Lock()
SMALL_INPUT = 64  # px; up to here the 3×3-stem variant that the paper uses on CIFAR and MNIST


class Normalized(nn.Module):
    """`network` behind (x − mean) / std, so that perturbations are made in pixel space."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Tensor, std: Tensor, layout: torch.memory_format) -> None:
        super().__init__()
        self.network = network.to(memory_format=layout)
        self.layout = layout
        self.register_buffer("mean", mean.reshape(1, -1, 1, 1))  # (1, C, 1, 1)
        self.register_buffer("std", std.reshape(1, -1, 1, 1))  # (1, C, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        normalized = (images - self.mean) / self.std  # (B, C, H, W)
        # Not `contiguous`: of one channel, pictures laid out channels last pass for both layouts.
        found: Tensor = self.network(normalized.clone(memory_format=self.layout))  # (B, K)
        return found


class ResNet18(nn.Module):
    """ResNet18 (He et al., CVPR 2016) of any width, from torchvision's basic blocks.

    `small_stem` is the CIFAR variant: a 3×3 convolution of stride 1 and no pooling. With
    width 64 and the large stem it is torchvision's `resnet18`, parameter for parameter.
    """

    def __init__(self, classes: int, channels: int, width: int, small_stem: bool) -> None:
        super().__init__()
        kernel, stride = (3, 1) if small_stem else (7, 2)
        self.conv1 = nn.Conv2d(channels, width, kernel, stride, kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.Identity() if small_stem else nn.MaxPool2d(3, 2, 1)
        self.layer1 = _stage(width, width, 1)
        self.layer2 = _stage(width, 2 * width, 2)
        self.layer3 = _stage(2 * width, 4 * width, 2)
        self.layer4 = _stage(4 * width, 8 * width, 2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8 * width, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))  # (B, width, H', W')
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))  # (B, 8 width, h, w)
        found: Tensor = self.fc(self.avgpool(x).flatten(1))  # (B, K)
        return found


def _stage(inputs: int, planes: int, stride: int) -> nn.Sequential:
    shortcut = None
    if stride != 1 or inputs != planes:
        shortcut = nn.Sequential(nn.Conv2d(inputs, planes, 1, stride, bias=False), nn.BatchNorm2d(planes))
    return nn.Sequential(BasicBlock(inputs, planes, stride, shortcut), BasicBlock(planes, planes))


def build_model(
    *, classes: int, channels: int, resolution: int, width: int, mean: Tensor, std: Tensor, seed: int
) -> Normalized:
    """The network for one training, initialized from `seed` alone.

    Parameters
    ----------
    mean, std:
        (C,) of the pixels in [0, 1].
    """
    # The generator is the whole program's: of two scans in threads each would draw from the other's.
    with _DRAWING, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if resolution > SMALL_INPUT and width == 64 and channels == 3:
            network: nn.Module = resnet18(weights=None, num_classes=classes)
        else:
            network = ResNet18(classes, channels, width, small_stem=resolution <= SMALL_INPUT)
    # Channels last is up to 1.4 times faster, but with fewer than 16 channels torch 2.15's CPU
    # convolutions corrupt memory in it (width 8, 64 px, batch 64: "double free").
    layout = torch.channels_last if width % 16 == 0 else torch.contiguous_format
    return Normalized(network, mean, std, layout)


def pixel_statistics(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation a channel, (C,) each, in [0, 1]; from at most 10,000 pictures.

    Parameters
    ----------
    pixels:
        (N, C, H, W) uint8.
    """
    every = -(-len(pixels) // 10_000)
    found = []
    for channel in range(pixels.shape[1]):
        # By histogram: exact, and without a copy of many large pictures in float64.
        counts = torch.zeros(256, dtype=torch.int64)
        for start in range(0, len(pixels), 64 * every):
            part = pixels[start : start + 64 * every : every, channel]
            counts += torch.bincount(part.flatten(), minlength=256).cpu()
        number = int(counts.sum())
        total = sum(value * count for value, count in enumerate(counts.tolist()))
        squares = sum(value * value * count for value, count in enumerate(counts.tolist()))
        variance = (number * squares - total * total) / (number * max(1, number - 1))
        found.append((total / number / 255, math.sqrt(variance) / 255))
    mean, std = torch.tensor(found, dtype=torch.float64).unbind(1)  # (C,)
    return mean.float(), torch.clamp(std.float(), min=1e-3)
