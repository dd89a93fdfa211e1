"""Pictures that stay decoded between reading and loading, so that hardly one is decoded twice."""

from __future__ import annotations

import numpy as np
from PIL.Image import Image, fromarray

from . import images, pixels

SMALL = 64  # px; up to here pictures are kept in their own size where nobody knows the side they will be scaled to
MEMORY_SHARE = 1 / 6  # of the free memory that they may take, half of what the pixels may
# Of each hundred one, and a hundred at least, are not kept but opened again and checked: a data set that draws its
# pictures anew each time must be noticed.
CHECKED = 100
_OVERHEAD = 250  # bytes of an array beside its pixels


class Decoded:
    """By index in the source. Safe to call from several threads.

    Parameters
    ----------
    count:
        Pictures of the source.
    side:
        All are kept, scaled to side × side where that is smaller; None: small ones are kept, in their own size.
    grey:
        Whether they will be made grey. Pictures in colour must be that before they are scaled.
    """

    def __init__(self, count: int, side: int | None, grey: bool = False) -> None:
        self.side = side
        self.grey = grey
        self._kept: dict[int, np.ndarray] = {}  # (H, W) or (H, W, 3) uint8
        self._room = int(pixels.free_memory() * MEMORY_SHARE)  # bytes
        self._checked_every = max(1, min(CHECKED, count // CHECKED))

    def keep(self, index: int, picture: Image) -> None:
        """Keep a picture, mode "L" or "RGB", if it is one to be kept and there is room."""
        if index % self._checked_every == 0 or self._room <= 0:
            return
        try:
            if self.grey:
                picture = picture.convert("L")
            if self.side is None:
                if max(picture.size) > SMALL:
                    return
            elif self.side**2 < picture.width * picture.height:
                picture = images.scaled(picture, self.side)
            values = np.array(picture)
        except MemoryError:  # says nothing of the picture
            self._room = 0
            return
        self._room -= values.nbytes + _OVERHEAD  # overdrawn by one picture a thread at most
        self._kept[index] = values

    def taken(self, index: int, side: int) -> Image | None:
        """A picture that is to be scaled to `side`, once; None where it must be decoded again."""
        values = self._kept.pop(index, None)
        if values is None or (self.side != side and values.shape[:2] == (self.side, self.side)):
            return None
        return fromarray(values)

    def forget(self, index: int) -> None:
        """Of a picture that is to become another one."""
        values = self._kept.pop(index, None)
        if values is not None:
            self._room += values.nbytes + _OVERHEAD

    def clear(self) -> None:
        """Give the memory back."""
        self._kept.clear()
