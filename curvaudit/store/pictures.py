"""Encoded pictures: one block of bytes, and where each begins."""

from __future__ import annotations

import h5py
import numpy as np

from ..records import Thumbnails
from .arrays import write_checked
from .layout import COLUMNS


def write_pictures(file: h5py.File, group_name: str, pictures: Thumbnails) -> None:
    """A group with the pictures and the rows they belong to."""
    group = file.create_group(group_name)
    offsets = np.cumsum([0, *(len(image) for image in pictures.images)], dtype=np.int64)
    data = np.frombuffer(b"".join(pictures.images), np.uint8)
    for name, values in (("rows", pictures.rows.astype(np.int64)), ("offsets", offsets), ("data", data)):
        write_checked(group, name, values)


def size_of_pictures(pictures: Thumbnails) -> int:
    """Their bytes, and two numbers of 8 bytes each, in whole chunks."""
    count = len(pictures.images)
    return sum(map(len, pictures.images)) * 5 // 4 + 16 * (count + 1 + min(count + 1, COLUMNS)) + COLUMNS
