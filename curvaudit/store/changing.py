"""Changes of a run file: a training, an epoch, the kept pictures."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..records import EpochRow, MeasureInfo, Thumbnails
from .arrays import growing
from .beside import take_in, waiting_epochs, write_beside
from .commit import SLACK, discard, partial_path, real_path, reserve, sync, sync_folder, unwritten
from .epochs import append_row, room_of
from .layout import CURVES, LIBRARY
from .pictures import size_of_pictures, write_pictures
from .texts import describe, to_json

_COPIED = 64 << 20  # bytes; up to here the run file is copied for every epoch


def add_training(
    path: Path,
    index: int,
    weight_decay: float,
    seed: int,
    recipe: Mapping[str, Any],
    measures: Mapping[str, MeasureInfo],
) -> None:
    """Add training `index` without epochs."""
    with writing(path) as file:
        group = file.create_group(f"trainings/{index}")
        describe(group, weight_decay=weight_decay, seed=seed, recipe=to_json(recipe), finished=False, memorized=False)
        count = int(file.attrs["n_samples"])
        for name in CURVES:
            growing(group, name, (0,), np.float64)
        parent = group.create_group("measures")
        for name, measure in measures.items():
            data = growing(parent, name, (0, count), np.float32)
            describe(
                data,
                unit=measure.unit,
                definition=measure.definition,
                direction=measure.direction,
                parameters=to_json(measure.parameters),
            )
        growing(group, "number", (0,), np.int32)


def append_epoch(path: Path, training: int, row: EpochRow) -> None:
    """Append one epoch, durable when this returns."""
    real = real_path(path)
    try:
        size = real.stat().st_size
    except OSError:
        size = 0  # `writing` says what is wrong
    if size <= _COPIED:
        with writing(path, room_of(row)) as file:
            append_row(file[f"trainings/{training}"], row)
        return
    write_beside(path, training, row)
    if _enough(sum(one.file.stat().st_size for one in waiting_epochs(path)), size):
        with writing(path):
            pass  # takes them in


def _enough(waiting: int, size: int) -> bool:
    """Whether to take in `waiting` bytes beside a run file of `size`: so often that it is copied a few times in all."""
    return waiting >= size


def finish_training(path: Path, training: int, memorized: bool) -> None:
    """Mark a training as ended."""
    with writing(path) as file:
        file[f"trainings/{training}"].attrs.update(finished=True, memorized=memorized)


def set_thumbnails(path: Path, thumbnails: Thumbnails) -> None:
    """Replace the kept thumbnails."""
    _set_pictures(path, "thumbnails", thumbnails)


def set_previews(path: Path, previews: Thumbnails) -> None:
    """Replace the kept larger pictures."""
    _set_pictures(path, "previews", previews)


def _set_pictures(path: Path, name: str, pictures: Thumbnails) -> None:
    with writing(path, size_of_pictures(pictures)) as file:
        if name in file:
            del file[name]
        write_pictures(file, name, pictures)


@contextmanager
def writing(path: Path, room: int = 0) -> Iterator[h5py.File]:
    """The run file, to be changed: what is done takes effect as a whole at the end, or not at all.

    Epochs that wait beside it are in it.

    Parameters
    ----------
    room:
        Bytes that will be added.

    Raises
    ------
    CurvauditError
        It cannot be read or written; it is then as it was.
    """
    real, temporary = real_path(path), partial_path(path)
    try:
        waiting = waiting_epochs(path)
        room += sum(one.file.stat().st_size for one in waiting)
        temporary.unlink(missing_ok=True)
        shutil.copyfile(real, temporary)
        shutil.copymode(real, temporary)
        reserve(temporary, room + SLACK)
        with h5py.File(temporary, "r+", libver=LIBRARY) as file:
            take_in(file, waiting)
            yield file
        sync(temporary)
        os.replace(temporary, real)
        sync_folder(real.parent)
        for one in waiting:
            one.file.unlink()
    except (OSError, RuntimeError, LookupError, ValueError) as error:
        raise unwritten(path, error) from error
    finally:
        discard(temporary)
