"""A new run file, without trainings."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from ..errors import CurvauditError
from ..records import RunInfo, Samples, Skipped, Thumbnails
from .beside import waiting_epochs
from .commit import SLACK, discard, empty_file, partial_path, place_new, real_path, reason, reserve, sync, sync_folder
from .layout import FORMAT, LIBRARY
from .pictures import size_of_pictures, write_pictures
from .texts import clean, describe, digest_of, is_long, size_of_texts, to_json, write_long_texts, write_texts


def create(
    path: Path,
    info: RunInfo,
    samples: Samples,
    skipped: Sequence[Skipped],
    thumbnails: Thumbnails,
    *,
    overwrite: bool = False,
) -> None:
    """Write a run file without trainings; it appears under its name complete or not at all.

    Raises
    ------
    CurvauditError
        A file is there already (and `overwrite` is False), or the folder cannot be written.
    """
    temporary = partial_path(path)
    try:
        temporary.unlink(missing_ok=True)  # of a killed scan
        temporary.write_bytes(empty_file())
        reserve(temporary, _size(samples, skipped, thumbnails) + SLACK)
        with h5py.File(temporary, "r+", libver=LIBRARY) as file:
            _write_root(file, info, len(samples), len(samples.classes))
            _write_samples(file, samples)
            group = file.create_group("skipped")
            write_texts(group, "id", [item.id for item in skipped])
            write_texts(group, "reason", [item.reason for item in skipped])
            write_texts(group, "kind", [item.kind for item in skipped])
            describe(group, digest=digest_of(group))
            write_pictures(file, "thumbnails", thumbnails)
            file.create_group("trainings")
        sync(temporary)
        for leftover in waiting_epochs(path):  # of a run that had this name
            leftover.file.unlink()
        if overwrite:
            os.replace(temporary, real_path(path))
        else:
            place_new(temporary, path)
        sync_folder(temporary.parent)
    except (OSError, RuntimeError) as error:
        raise CurvauditError(
            f"The run file {path} cannot be written: {reason(error)}.", "Choose another place with -o."
        ) from error
    finally:
        discard(temporary)


def _size(samples: Samples, skipped: Sequence[Skipped], thumbnails: Thumbnails) -> int:
    """Bytes that a new run file takes at most, about: nothing is counted on to compress, but for padding."""
    left_out = ([item.id for item in skipped], [item.reason for item in skipped], [item.kind for item in skipped])
    columns = (samples.ids, samples.classes, *samples.columns.values(), *left_out)
    numbers = sum(values.nbytes for values in _numbers(samples).values())
    return sum(map(size_of_texts, columns)) + numbers + size_of_pictures(thumbnails)


def _numbers(samples: Samples) -> dict[str, np.ndarray]:
    """All of `/samples` that is no text, as it is stored."""
    found: dict[str, np.ndarray] = {
        "label": np.asarray(samples.labels, np.int32),
        "content_hash": np.asarray(samples.content_hash, np.uint64),
        "phash": np.asarray(samples.phash, np.uint64),
        "width": np.asarray(samples.width, np.uint16),
        "height": np.asarray(samples.height, np.uint16),
        "contrast": np.asarray(samples.contrast, np.float32),
        "signature": np.asarray(samples.signature, np.int8),
    }
    if len(samples.lines):
        found["line"] = np.asarray(samples.lines, np.int32)
    return found


def _write_root(file: h5py.File, info: RunInfo, samples: int, classes: int) -> None:
    describe(
        file,
        format=FORMAT,
        format_version=info.format_version,
        created_by=info.created_by,
        created_utc=info.created_utc,
        config=to_json(info.config),
        source=clean(info.source),
        source_fingerprint=info.source_fingerprint,
        n_samples=samples,
        n_classes=classes,
        environment=to_json(info.environment),
    )


def _write_samples(file: h5py.File, samples: Samples) -> None:
    group = file.create_group("samples")
    write_texts(group, "id", samples.ids)
    write_texts(group, "classes", samples.classes)
    for name, values in _numbers(samples).items():
        group.create_dataset(name, data=values, track_times=False)
    if samples.columns:
        columns = group.create_group("columns", track_order=True)  # the manifest's order, not the alphabet's
        for position, (name, texts) in enumerate(samples.columns.items()):
            if is_long(texts):
                write_long_texts(group.require_group("long_columns"), _link_name(name), texts, position)
            else:
                write_texts(columns, _link_name(name), texts)
    describe(group, digest=digest_of(group))


def _link_name(text: str) -> str:
    """A column name as HDF5 can hold it: `/` would open a group, and `.` is the group itself."""
    name = clean(text).replace("%", "%25").replace("/", "%2F")
    return "%2E" if name == "." else name
