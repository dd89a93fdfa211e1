"""How far two pictures are apart on pixels, after alignment and normalization."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

SIDE = 32  # px at which pictures are compared
_SHIFTS = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
_BLOCK = 512  # pairs at once: a block stays in the cache
_LEAST = 1e-3  # grey levels; keeps flat pictures from dividing by zero
_ASPECT = 1.1  # pictures whose aspect ratios differ by more are not compared


@dataclass(frozen=True)
class PictureTable:
    """Small pictures by row, ready to be compared."""

    place: Mapping[int, int]  # row -> position
    pixels: np.ndarray  # (M, SIDE, SIDE, C) uint8, C = 1 where every picture is grey, else 3
    aspect: np.ndarray  # (M,) width / height

    @staticmethod
    def decode(encoded: Mapping[int, bytes]) -> PictureTable:
        """From encoded thumbnails."""
        pixels = np.zeros((len(encoded), SIDE, SIDE, 3), np.uint8)
        aspect = np.ones(len(encoded))
        for position, content in enumerate(encoded.values()):
            with Image.open(io.BytesIO(content)) as image:
                aspect[position] = image.width / image.height
                pixels[position] = np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR))
        if all((pixels[..., 0] == pixels[..., channel]).all() for channel in (1, 2)):
            pixels = pixels[..., :1].copy()  # the correlation is the same, and costs a third
        return PictureTable({row: position for position, row in enumerate(encoded)}, pixels, aspect)

    def distances(self, pairs: np.ndarray) -> np.ndarray:
        """1 − correlation of each pair, the least over shifts by one pixel.

        Brightness and contrast drop out; 0 is the same picture, 1 is unrelated.

        Parameters
        ----------
        pairs:
            (P, 2) rows.

        Returns
        -------
        (P,) float64, NaN where a picture is missing.
        """
        found = np.full(len(pairs), np.nan)
        place = np.array([[self.place.get(i, -1), self.place.get(j, -1)] for i, j in pairs.tolist()]).reshape(-1, 2)
        known = np.flatnonzero((place >= 0).all(axis=1))
        spread = self._spread()  # (shifts, M)
        for start in range(0, len(known), _BLOCK):
            block = known[start : start + _BLOCK]
            left, right = place[block, 0], place[block, 1]
            # Float32 of a block: 512 × 32 × 32 × 3 × 4 B = 6 MB a side.
            fixed = _standardized(self.pixels[left, 1:-1, 1:-1])  # (B, h, w, C)
            moving = self.pixels[right].astype(np.float32)  # (B, SIDE, SIDE, C)
            best = np.full(len(block), np.inf)
            for shift, window in enumerate(_windows(moving)):
                # `fixed` has mean 0, so the window's mean drops out of the product.
                product = np.einsum("bhwc,bhwc->b", fixed, window) / fixed[0].size
                best = np.minimum(best, 1 - product / spread[shift, right])
            ratio = self.aspect[left] / self.aspect[right]
            found[block] = np.where((ratio < _ASPECT) & (ratio > 1 / _ASPECT), np.maximum(best, 0), 1.0)
        return found

    def _spread(self) -> np.ndarray:
        """Standard deviation of every picture in every window, (shifts, M)."""
        spread = np.ones((len(_SHIFTS), len(self.pixels)), np.float32)
        for start in range(0, len(self.pixels), _BLOCK):
            block = self.pixels[start : start + _BLOCK].astype(np.float32)
            for shift, window in enumerate(_windows(block)):
                spread[shift, start : start + _BLOCK] = window.std(axis=(1, 2, 3))
        return np.maximum(spread, _LEAST)


def _windows(pixels: np.ndarray) -> Iterator[np.ndarray]:
    """(B, SIDE, SIDE, C) -> one view (B, SIDE - 2, SIDE - 2, C) for each shift."""
    for y, x in _SHIFTS:
        yield pixels[:, 1 + y : SIDE - 1 + y, 1 + x : SIDE - 1 + x]


def _standardized(pixels: np.ndarray) -> np.ndarray:
    """(B, h, w, C) with mean 0 and standard deviation 1 over each picture."""
    values = pixels.astype(np.float32)
    values -= values.mean(axis=(1, 2, 3), keepdims=True)
    return values / np.maximum(values.std(axis=(1, 2, 3), keepdims=True), _LEAST)
