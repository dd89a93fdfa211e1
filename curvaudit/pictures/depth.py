"""Grey of more than 8 bits becomes 8 bits by one scale for all pictures that are compared.

A scale that each picture chose for itself would give one tissue two brightnesses.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
from PIL import Image

_DEPTHS = (255, 4_095, 65_535)  # 8 and 12 bits stored in 16, and 16
_NARROW = 16  # a picture that uses less of the common range than one part in so many has 16 of 256 grey levels left
_FEW = 0.05  # share of the pictures that may not do that to the usual ones


@dataclass(frozen=True, slots=True)
class Scale:
    """The range that becomes black to white. Whole numbers that fit into 16 bits start at 0 and end at a depth."""

    low: float
    high: float
    whole: bool  # of whole numbers; false: of floating-point ones

    @property
    def _is_depth(self) -> bool:
        return self.whole and self.low == 0 and self.high in _DEPTHS

    def joined(self, other: Scale) -> Scale:
        """The scale of pictures of both."""
        return replace(self, low=min(self.low, other.low), high=max(self.high, other.high))

    def is_narrow_beside(self, common: Scale) -> bool:
        """Whether hardly anything is left of a picture of this scale that is scaled by another one."""
        return _NARROW * (self.high - self.low) <= common.high - common.low

    def applied(self, values: np.ndarray) -> np.ndarray:
        """(H, W) of any numbers to uint8."""
        if self._is_depth:
            # Cameras and microscopes store 12 bits in 16; taken for 16 they would be nearly black.
            # Shifts undo both ways of widening (× 256 and × 257, × 16 and × 16.06) exactly, so
            # a 16-bit copy hashes like its 8-bit original.
            shift = 4 * _DEPTHS.index(int(self.high))
            shifted: np.ndarray = np.clip(values, 0, self.high).astype(np.uint16) >> shift
            return shifted.astype(np.uint8)
        if not self.high > self.low:
            return np.zeros(values.shape, np.uint8)
        numbers = np.nan_to_num(values.astype(np.float64), nan=self.low, posinf=self.high, neginf=self.low)
        shares = (np.clip(numbers, self.low, self.high) - self.low) / (self.high - self.low)
        found: np.ndarray = np.rint(shares * 255).astype(np.uint8)
        return found


@dataclass(frozen=True, slots=True)
class Scales:
    """Those of many pictures: whole and floating-point numbers, which mean different things, each have one.

    A few pictures that go so far beyond the usual ones that hardly anything would be left of those keep scales of
    their own: one bright or broken pixel must not blacken a data set.
    """

    whole: Scale | None = None
    real: Scale | None = None

    def of(self, own: Scale) -> Scale:
        """By which a picture is scaled that a scale of its own would fit."""
        common = self.whole if own.whole else self.real
        return common if common is not None and self.cover(own) else own

    def cover(self, own: Scale) -> bool:
        """Whether such a picture is scaled as most are."""
        common = self.whole if own.whole else self.real
        return common is not None and common.joined(own) == common

    def covering(self, owns: Iterable[Scale]) -> Scales:
        """The scales of these pictures and of further ones."""
        owns = list(owns)
        whole = _covering(self.whole, [own for own in owns if own.whole])
        return Scales(whole, _covering(self.real, [own for own in owns if not own.whole]))


def _covering(common: Scale | None, owns: list[Scale]) -> Scale | None:
    if not owns:
        return common
    usual = common or sorted(owns, key=lambda own: own.high - own.low)[len(owns) // 2]
    near = [own for own in owns if not usual.is_narrow_beside(usual.joined(own))]
    few = len(owns) - len(near) <= _FEW * len(owns)
    return reduce(Scale.joined, near if few else owns, usual)


def own_scale(image: Image.Image) -> Scale | None:
    """The scale that fits one picture alone; None where it has 8 bits, or no number in it is one."""
    if not is_deep(image):
        return None
    values = np.asarray(image)
    if np.issubdtype(values.dtype, np.integer):
        low, high = int(values.min()), int(values.max())
        fitting = [depth for depth in _DEPTHS if low >= 0 and high <= depth]
        return Scale(0.0, float(fitting[0]), True) if fitting else Scale(float(low), float(high), True)
    finite = values[np.isfinite(values)]
    return Scale(float(finite.min()), float(finite.max()), False) if len(finite) else None


def is_deep(image: Image.Image) -> bool:
    """Whether a picture is grey of more than 8 bits."""
    return image.mode.startswith("I") or image.mode == "F"


def to_8_bit(image: Image.Image, scales: Scales) -> Image.Image:
    """A deep picture as "L", by its own scale where `scales` has none for it; any other as it is."""
    if not is_deep(image):
        return image
    own = own_scale(image)
    values = np.asarray(image)
    found = Image.fromarray(np.zeros(values.shape, np.uint8) if own is None else scales.of(own).applied(values))
    found.info.update(image.info)
    return found
