"""Epochs that wait beside a run file, each a file of its own.

Copying a large run file for every epoch would cost more than the epoch. There an epoch first becomes a file beside
it, and those are taken in together once they are as large as the run: what is written stays within a few times the
final size. Readers see both as one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from ..errors import CurvauditError
from ..records import EpochRow
from .access import reading
from .arrays import growing
from .commit import SLACK, discard, empty_file, partial_path, real_path, reserve, sync, sync_folder, unwritten
from .epochs import append_row, committed, room_of
from .layout import CURVES, LIBRARY, WAITING
from .texts import describe, said

_KNOWN_BY = ("source_fingerprint", "created_utc")  # of a run, as its epochs say whose they are


@dataclass(frozen=True, order=True)
class Waiting:
    """An epoch in a file of its own, not yet taken into the run file."""

    training: int
    number: int
    file: Path


def waiting_epochs(path: Path) -> list[Waiting]:
    """The epochs beside a run file, in order; also such as it has taken in already."""
    real = real_path(path)
    prefix, found = real.name + WAITING, []
    with suppress(OSError), os.scandir(real.parent) as entries:
        for entry in entries:
            training, _, number = entry.name.removeprefix(prefix).partition("-")
            if entry.name.startswith(prefix) and training.isdecimal() and number.isdecimal():
                found.append(Waiting(int(training), int(number), real.parent / entry.name))
    return sorted(found)


def place_beside(path: Path, training: int, number: int) -> Path:
    """Where an epoch waits."""
    real = real_path(path)
    return real.with_name(f"{real.name}{WAITING}{training}-{number}")


def write_beside(path: Path, training: int, row: EpochRow) -> None:
    """Write an epoch as a file laid out like the run, with one row in every dataset."""
    temporary = partial_path(path)
    try:
        with reading(path) as run:
            measures = run[f"trainings/{training}/measures"]
            names, columns = list(measures), int(run.attrs["n_samples"])
            known_by = {name: said(run, name) for name in _KNOWN_BY}
        temporary.unlink(missing_ok=True)
        temporary.write_bytes(empty_file())
        reserve(temporary, room_of(row) + SLACK)
        with h5py.File(temporary, "r+", libver=LIBRARY) as file:
            describe(file, **known_by)
            group = file.create_group(f"trainings/{training}")
            for name in CURVES:
                growing(group, name, (0,), np.float64)
            for name in names:
                growing(group, f"measures/{name}", (0, columns), np.float32)
            growing(group, "number", (0,), np.int32)
            append_row(group, row)
        sync(temporary)
        os.replace(temporary, place_beside(path, training, row.number))
        sync_folder(temporary.parent)
    except (OSError, RuntimeError, LookupError, ValueError) as error:
        raise unwritten(path, error) from error
    finally:
        discard(temporary)


def check_belongs(beside: h5py.File, run: h5py.File) -> None:
    """Tell an epoch from one of another run, whose file was moved or replaced by hand.

    Raises
    ------
    CurvauditError
        It is of another run. The first versions did not say of which.
    """
    if any(name in beside.attrs and said(beside, name) != said(run, name) for name in _KNOWN_BY):
        raise CurvauditError(
            f"{beside.filename} is an epoch of another run than the one that it lies beside.",
            "Move it to the run that it belongs to, or delete it.",
        )


def take_in(file: h5py.File, waiting: Sequence[Waiting]) -> None:
    """Add the waiting epochs to a run file that is open for writing; those it has already are left alone."""
    for one in waiting:
        group = file[f"trainings/{one.training}"] if str(one.training) in file["trainings"] else None
        with h5py.File(one.file, "r") as beside:
            check_belongs(beside, file)
            if group is None or one.number != committed(group) + 1:
                continue  # of an epoch that is in the run already
            rows = beside[f"trainings/{one.training}"]
            curves = {name: float(rows[name][0]) for name in CURVES}
            measures = {name: data[0] for name, data in rows["measures"].items()}
            features = rows["features"][()] if "features" in rows else None
            append_row(group, EpochRow(number=one.number, measures=measures, features=features, **curves))
