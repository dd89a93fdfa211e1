"""Arrays in HDF5, with its checksums: such as grow by an epoch, and such as are written once."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np

from .layout import COLUMNS


def growing(group: h5py.Group, name: str, shape: tuple[int, ...], kind: type) -> h5py.Dataset:
    """An empty data set of so many columns, to which `put` adds rows."""
    chunks = (256,) if len(shape) == 1 else (1, max(1, min(shape[1], COLUMNS)))
    return group.create_dataset(
        name,
        shape=shape,
        maxshape=(None, *shape[1:]),
        chunks=chunks,
        dtype=kind,
        fillvalue=0 if kind is np.int32 else np.nan,
        fletcher32=True,
        track_times=False,
    )


def put(data: h5py.Dataset, position: int, value: Any) -> None:
    """Write one row, which may be the next one."""
    if data.shape[0] <= position:
        data.resize(position + 1, axis=0)
    data[position] = value


def write_checked(group: h5py.Group, name: str, values: np.ndarray, compression: str | None = None) -> None:
    """Write an array with checksums."""
    # A checksum needs chunks, and chunks at least one value.
    filters = {"fletcher32": True, "chunks": (min(len(values), COLUMNS),), "compression": compression}
    group.create_dataset(name, data=values, track_times=False, **(filters if len(values) else {}))
