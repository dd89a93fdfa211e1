"""The 1,797 handwritten digits that scikit-learn carries: real data without a download."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from ..errors import CurvauditError
from ..records import Skipped
from .interface import SourceOptions

NAMES = ("digits",)
SUPPORTS = "digits (embedded)"


@dataclass
class ArraySource:
    """Grey pictures in memory."""

    name: str
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    labels: np.ndarray  # (N,) int32
    pixels: np.ndarray  # (N, H, W) uint8
    skipped: tuple[Skipped, ...] = ()

    def open(self, index: int) -> Image.Image:
        """See `Source.open`."""
        return Image.fromarray(self.pixels[index])


def matches(spec: Any) -> bool:
    """Only the name itself."""
    return isinstance(spec, str) and spec in NAMES


def load(spec: str, options: SourceOptions) -> ArraySource:
    """8×8 grey pictures, 0 to 16 scaled to 0 to 255.

    Raises
    ------
    CurvauditError
        A split other than train was asked for: there is one only.
    """
    if options.split not in (None, "train"):
        raise CurvauditError(f"digits has no split {options.split!r}.", "It has only train.")
    from sklearn.datasets import load_digits

    data = load_digits()
    return ArraySource(
        name=spec,
        classes=tuple(str(digit) for digit in range(10)),
        ids=tuple(f"digits/{index:04d}" for index in range(len(data.target))),
        labels=data.target.astype(np.int32),
        pixels=np.rint(data.images * (255 / 16)).astype(np.uint8),
    )
