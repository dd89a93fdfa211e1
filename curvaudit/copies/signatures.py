"""A picture's coarse look in 99 bytes, from which the looks of its changed copies can be computed.

The low frequencies of the cosine transform turn flips, quarter turns and crops of the picture into
linear maps. One signature a picture is therefore enough to look for mirrored, turned and cropped
copies, and a run file that keeps the signatures needs no second look at the pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

SIDE = 32  # px of the grey copy that is transformed
LENGTH = 99  # bytes
_KEPT = 10  # frequencies an axis: two more than are compared, since a crop brings them down
_COMPARED = 6.0  # radius of the frequencies that are compared; JPEG and resizing change them little


@dataclass(frozen=True)
class Change:
    """What may have been done to a picture: first turned over, then cropped.

    `transpose`, `flip_y`, `flip_x` are applied in this order to the rows and columns;
    `crop` is the share of the side that was cut away on each of the four sides.
    """

    name: str
    crop: float = 0.0
    transpose: bool = False
    flip_y: bool = False
    flip_x: bool = False

    @property
    def undoes_itself(self) -> bool:
        """All but a crop and the quarter turn: the roles of the two pictures do not matter."""
        return not self.crop and (not self.transpose or self.flip_y == self.flip_x)

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """Turned over, but not cropped: (P, H, W) -> (P, H, W) or (P, W, H)."""
        if self.transpose:
            pixels = pixels.swapaxes(1, 2)
        if self.flip_y:
            pixels = pixels[:, ::-1]
        return pixels[:, :, ::-1] if self.flip_x else pixels


UPRIGHT = Change("")
# The quarter turn to the other side is found with the roles of the two pictures exchanged.
CHANGES = (
    UPRIGHT,
    Change("cropped", crop=1 / 32),
    Change("cropped", crop=2 / 32),
    Change("mirrored", flip_x=True),
    Change("upside down", flip_y=True),
    Change("rotated 180", flip_y=True, flip_x=True),
    Change("rotated 90", transpose=True, flip_y=True),
    Change("mirrored diagonally", transpose=True),
    Change("mirrored diagonally", transpose=True, flip_y=True, flip_x=True),
)


def _cosines(positions: np.ndarray) -> np.ndarray:
    """(M,) positions in [0, 1] -> (M, _KEPT) values of the cosines of unit norm."""
    order = np.arange(_KEPT)
    found: np.ndarray = np.cos(np.pi * order * positions[:, None]) * np.where(order == 0, 1, np.sqrt(2))
    return found


def _centres(count: int) -> np.ndarray:
    return (np.arange(count) + 0.5) / count


_FREQUENCY = np.hypot(*np.meshgrid(np.arange(_KEPT), np.arange(_KEPT)))  # (_KEPT, _KEPT)
_WEIGHT = np.where(_FREQUENCY == 0, 1, _FREQUENCY)  # evens out the spectrum of natural pictures
_FORWARD = (_cosines(_centres(SIDE)) / SIDE).T.astype(np.float32)  # (_KEPT, SIDE)


def reduced(grey: Image.Image) -> np.ndarray:
    """What a signature looks at, (32, 32) uint8, of a picture of mode "L", squeezed to a square."""
    return np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def signatures(grey: np.ndarray) -> np.ndarray:
    """(B, 99) int8: low frequencies of grey pictures, mean left out, the largest scaled to ±127.

    Brightness and contrast drop out.

    Parameters
    ----------
    grey:
        (B, 32, 32) uint8, see `reduced`.
    """
    waves = (_FORWARD @ grey.astype(np.float32) @ _FORWARD.T * _WEIGHT).reshape(len(grey), -1)[:, 1:]  # (B, 99)
    largest = np.abs(waves).max(axis=1, keepdims=True)
    found: np.ndarray = np.rint(waves * (127 / np.maximum(largest, 1e-6))).astype(np.int8)
    return found


def vectors(signatures: np.ndarray, change: Change) -> np.ndarray:
    """Looks after a change, (N, D) float32 of norm 1: nearly equal for copies.

    Parameters
    ----------
    signatures:
        (N, 99) int8.
    """
    looks = signatures.astype(np.float32) @ _matrix(change)
    found: np.ndarray = looks / np.maximum(np.linalg.norm(looks, axis=1, keepdims=True), 1e-6)
    return found


def _matrix(change: Change) -> np.ndarray:
    """(99, D): a signature times this is the unscaled look after the change."""
    basis = np.eye(_KEPT * _KEPT).reshape(-1, _KEPT, _KEPT)[1:] / _WEIGHT  # (99, _KEPT, _KEPT)
    sign = (-1.0) ** np.arange(_KEPT)
    if change.transpose:
        basis = basis.swapaxes(1, 2)
    if change.flip_y:
        basis = basis * sign[:, None]
    if change.flip_x:
        basis = basis * sign
    if change.crop:
        fine = _centres(8 * _KEPT)
        inside = change.crop + (1 - 2 * change.crop) * fine
        zoom = _cosines(fine).T @ _cosines(inside) / len(fine)  # (_KEPT, _KEPT)
        basis = zoom @ basis @ zoom.T
    compared = (_FREQUENCY > 0) & (_FREQUENCY <= _COMPARED)
    return (basis * _WEIGHT)[:, compared].astype(np.float32)
