"""How far two pictures are apart on pixels, after alignment and normalization."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

SIDE = 32  # px at which pictures are compared
_SHIFTS = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
_BLOCK = 2048  # pairs at once
_ASPECT = 1.1  # pictures whose aspect ratios differ by more are not compared


@dataclass(frozen=True)
class PictureTable:
    """Small pictures by row, ready to be compared."""

    place: Mapping[int, int]  # row -> position
    pixels: np.ndarray  # (M, SIDE, SIDE, 3) uint8
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
        place = np.array([[self.place.get(int(r), -1) for r in pair] for pair in pairs]).reshape(-1, 2)
        known = np.flatnonzero((place >= 0).all(axis=1))
        for start in range(0, len(known), _BLOCK):
            block = known[start : start + _BLOCK]
            left, right = place[block, 0], place[block, 1]
            # Float32 of a block: 2048 × 32 × 32 × 3 × 4 B = 25 MB a side.
            fixed = _standardized(self.pixels[left, 1:-1, 1:-1])
            best = np.full(len(block), np.inf)
            for y, x in _SHIFTS:
                window = self.pixels[right, 1 + y : SIDE - 1 + y, 1 + x : SIDE - 1 + x]
                best = np.minimum(best, 1 - (fixed * _standardized(window)).mean(axis=1))
            ratio = self.aspect[left] / self.aspect[right]
            found[block] = np.where((ratio < _ASPECT) & (ratio > 1 / _ASPECT), np.maximum(best, 0), 1.0)
        return found


def _standardized(pixels: np.ndarray) -> np.ndarray:
    """(P, h, w, 3) -> (P, 3hw) with mean 0 and standard deviation 1."""
    flat = pixels.reshape(len(pixels), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    return flat / np.maximum(flat.std(axis=1, keepdims=True), 1e-3)
