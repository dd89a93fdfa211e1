"""Pictures made for benchmarks: nothing is downloaded, and the schedule is that of photographs."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from curvaudit.sources import load

SIDE, CLASSES = 32, 10


class ColouredDigits:
    """The first `count` embedded digits, drawn at 32 px in a colour each; a torch data set."""

    def __init__(self, count: int) -> None:
        digits = load("digits")
        random = np.random.default_rng(0)
        self.classes, self.items = digits.classes, []
        for row in range(count):
            ink = np.asarray(digits.open(row).convert("L").resize((SIDE, SIDE), Image.Resampling.BICUBIC)) / 255
            front, ground = random.uniform(0, 255, (2, 3))
            drawn = ink[..., None] * front + (1 - ink[..., None]) * ground + random.normal(0, 12, (SIDE, SIDE, 3))
            self.items.append((Image.fromarray(drawn.clip(0, 255).astype(np.uint8)), int(digits.labels[row])))

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return self.items[index]

    def tensors(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(count, 3, H, W) uint8 and (count,) int64."""
        pixels = np.stack([np.asarray(image) for image, _ in self.items[:count]]).transpose(0, 3, 1, 2)
        labels = np.array([label for _, label in self.items[:count]])
        return torch.from_numpy(np.ascontiguousarray(pixels)), torch.from_numpy(labels)
