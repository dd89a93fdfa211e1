"""The rows that one epoch adds to a training."""

from __future__ import annotations

import h5py
import numpy as np

from ..records import EpochRow
from .arrays import put
from .layout import COLUMNS, CURVES, FEATURES


def append_row(group: h5py.Group, row: EpochRow) -> None:
    """Write the next epoch; `number` last, for it makes the epoch count."""
    position = committed(group)
    for name in CURVES:
        put(group[name], position, getattr(row, name))
    for name, data in group["measures"].items():
        put(data, position, row.measures.get(name, np.nan))
    if row.features is not None:
        put_features(group, row.features, row.number)
    put(group["number"], position, row.number)


def committed(group: h5py.Group) -> int:
    """Finished epochs of a training. A 0 is the fill value: the row was made room for, not written."""
    number = group["number"][:]
    unwritten = np.flatnonzero(number == 0)
    return int(unwritten[0]) if len(unwritten) else len(number)


def put_features(group: h5py.Group, values: np.ndarray, epoch: int) -> None:
    """Keep features, (N, D), instead of those of an earlier epoch."""
    if "features" in group:
        del group["features"]
    data = group.create_dataset(
        "features",
        data=np.asarray(values, np.float16),
        chunks=(min(len(values), FEATURES), values.shape[1]),
        fletcher32=True,
        track_times=False,
    )
    data.attrs["epoch"] = epoch


def room_of(row: EpochRow) -> int:
    """Bytes of an epoch: whole chunks of every measure."""
    columns = max((len(values) for values in row.measures.values()), default=0)
    chunk = max(1, min(columns, COLUMNS))
    # A measure that is not taken in this epoch fills its chunks with NaN all the same.
    room = 4 * chunk * -(-columns // chunk) * 2 * max(1, len(row.measures))
    return room + (0 if row.features is None else 2 * row.features.nbytes)
