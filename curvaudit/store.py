"""The run file: the only module that knows HDF5. docs/format.md is its specification.

Every write opens, appends, flushes and closes, so that a killed process leaves a readable file.
An epoch counts once its row in `number` is written, which happens last.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from . import signatures
from .errors import CurvauditError
from .records import (
    EpochRow,
    MeasureInfo,
    RunInfo,
    Samples,
    Skipped,
    Thumbnails,
    TrainingCurves,
    TrainingInfo,
)

FORMAT = "curvaudit-run"
VERSION = "1.0"
_MAJOR = 1
_COLUMNS = 65536  # samples a chunk: an epoch is a few chunks, a block of samples one chunk an epoch
_CURVES = ("train_loss", "train_accuracy", "val_loss", "val_curvature", "learning_rate", "seconds")
_TEXT = h5py.string_dtype("utf-8")

# --- writing -------------------------------------------------------------------------


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
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with h5py.File(temporary, "x") as file:
            _write_root(file, info, len(samples), len(samples.classes))
            _write_samples(file, samples)
            group = file.create_group("skipped")
            _texts(group, "id", [item.id for item in skipped])
            _texts(group, "reason", [item.reason for item in skipped])
            _texts(group, "kind", [item.kind for item in skipped])
            _write_thumbnails(file, thumbnails)
            file.create_group("trainings")
            file.flush()
        _sync(temporary)
        if overwrite:
            os.replace(temporary, path)
        else:
            _place(temporary, path)
    except OSError as error:
        raise CurvauditError(
            f"The run file {path} cannot be written: {error.strerror or error}.", "Choose another place with -o."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _place(temporary: Path, path: Path) -> None:
    """Give the file its name unless somebody else has it: a hard link never replaces."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise CurvauditError(
            f"The run file {path} exists already.",
            "Use --resume to continue it, --overwrite to start anew, or -o for another file.",
        ) from None
    except OSError:
        # No hard links on this file system.
        if path.exists():
            raise
        os.rename(temporary, path)


def add_training(
    path: Path,
    index: int,
    weight_decay: float,
    seed: int,
    recipe: Mapping[str, Any],
    measures: Mapping[str, MeasureInfo],
) -> None:
    """Add training `index` without epochs."""
    with _writing(path) as file:
        # Assembled under another name: a kill in between leaves nothing that looks like a training.
        partial = f"partial-{index}"
        if partial in file:
            del file[partial]
        group = file.create_group(partial)
        group.attrs.update(weight_decay=weight_decay, seed=seed, recipe=_json(recipe), finished=False, memorized=False)
        count = int(file.attrs["n_samples"])
        for name in _CURVES:
            _growing(group, name, (0,), np.float64)
        parent = group.create_group("measures")
        for name, measure in measures.items():
            data = _growing(parent, name, (0, count), np.float32)
            data.attrs.update(
                unit=measure.unit,
                definition=measure.definition,
                direction=measure.direction,
                parameters=_json(measure.parameters),
            )
        _growing(group, "number", (0,), np.int32)
        file.flush()
        file.move(partial, f"trainings/{index}")


def append_epoch(path: Path, training: int, row: EpochRow) -> None:
    """Append one epoch, durable when this returns.

    Rows that a killed attempt left behind the last counted epoch are overwritten.
    """
    with _writing(path) as file:
        group = file[f"trainings/{training}"]
        position = len(group["number"])
        for name in _CURVES:
            _put(group[name], position, getattr(row, name))
        for name, data in group["measures"].items():
            _put(data, position, row.measures.get(name, np.nan))
        file.flush()
        _put(group["number"], position, row.number)
        file.flush()
    _sync(path)


def finish_training(path: Path, training: int, memorized: bool) -> None:
    """Mark a training as ended."""
    with _writing(path) as file:
        file[f"trainings/{training}"].attrs.update(finished=True, memorized=memorized)
    _sync(path)


def set_thumbnails(path: Path, thumbnails: Thumbnails) -> None:
    """Replace the kept thumbnails."""
    with _writing(path) as file:
        if "thumbnails" in file:
            del file["thumbnails"]
        _write_thumbnails(file, thumbnails)
    _sync(path)


@contextmanager
def _writing(path: Path) -> Iterator[h5py.File]:
    try:
        with h5py.File(path, "r+") as file:
            yield file
            file.flush()
    except OSError as error:
        raise CurvauditError(
            f"The run file {path} cannot be written: {error.strerror or error}.",
            "Finished epochs are kept; mend the cause (space, permissions, another process), then use --resume.",
        ) from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _put(data: h5py.Dataset, position: int, value: Any) -> None:
    if data.shape[0] <= position:
        data.resize(position + 1, axis=0)
    data[position] = value


def _growing(group: h5py.Group, name: str, shape: tuple[int, ...], kind: type) -> h5py.Dataset:
    chunks = (256,) if len(shape) == 1 else (1, max(1, min(shape[1], _COLUMNS)))
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


def _write_root(file: h5py.File, info: RunInfo, samples: int, classes: int) -> None:
    file.attrs.update(
        format=FORMAT,
        format_version=info.format_version,
        created_by=info.created_by,
        created_utc=info.created_utc,
        config=_json(info.config),
        source=_clean(info.source),
        source_fingerprint=info.source_fingerprint,
        n_samples=samples,
        n_classes=classes,
        environment=_json(info.environment),
    )


def _write_samples(file: h5py.File, samples: Samples) -> None:
    group = file.create_group("samples")
    _texts(group, "id", samples.ids)
    _texts(group, "classes", samples.classes)
    for name, values, kind in (
        ("label", samples.labels, np.int32),
        ("content_hash", samples.content_hash, np.uint64),
        ("phash", samples.phash, np.uint64),
        ("width", samples.width, np.uint16),
        ("height", samples.height, np.uint16),
        ("contrast", samples.contrast, np.float32),
        ("signature", samples.signature, np.int8),
    ):
        group.create_dataset(name, data=np.asarray(values, kind), track_times=False)


def _write_thumbnails(file: h5py.File, thumbnails: Thumbnails) -> None:
    group = file.create_group("thumbnails")
    offsets = np.cumsum([0, *(len(image) for image in thumbnails.images)], dtype=np.int64)
    data = np.frombuffer(b"".join(thumbnails.images), np.uint8)
    for name, values in (("rows", thumbnails.rows.astype(np.int64)), ("offsets", offsets), ("data", data)):
        group.create_dataset(name, data=values, track_times=False)


def _texts(group: h5py.Group, name: str, values: Sequence[str]) -> None:
    data = group.create_dataset(name, shape=(len(values),), dtype=_TEXT, track_times=False)
    if values:
        data[:] = np.array([_clean(value) for value in values], dtype=object)


def _clean(text: str) -> str:
    """HDF5 strings end at NUL, and UTF-8 knows no lone surrogates: both become escapes."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, default=_plain)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else list(value)


# --- reading -------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """A run file as it stood when it was opened; the file itself is not held open."""

    path: Path
    info: RunInfo
    samples: Samples
    skipped: tuple[Skipped, ...]
    trainings: tuple[TrainingInfo, ...]

    def _epochs(self, training: int) -> int:
        return next(t.epochs for t in self.trainings if t.index == training)

    def measure(self, training: int, name: str) -> np.ndarray:
        """All logged values of a score, (E, N) float32."""
        with _reading(self.path) as file:
            return file[f"trainings/{training}/measures/{name}"][: self._epochs(training)]

    def measure_blocks(self, training: int, name: str) -> Iterator[tuple[slice, np.ndarray]]:
        """(columns, values (E, n)) block after block of samples: memory stays bounded."""
        for start in range(0, len(self.samples), _COLUMNS):
            columns = slice(start, min(start + _COLUMNS, len(self.samples)))
            with _reading(self.path) as file:
                data = file[f"trainings/{training}/measures/{name}"]
                block = data[: self._epochs(training), columns]
            yield columns, block

    def last(self, training: int, name: str) -> np.ndarray:
        """The last finished epoch of a score, (N,) float32."""
        with _reading(self.path) as file:
            return file[f"trainings/{training}/measures/{name}"][self._epochs(training) - 1]

    def epoch_means(self, training: int, name: str) -> np.ndarray:
        """Mean over the samples in each epoch, (E,) float64; NaN where it was not measured."""
        total = np.zeros(self._epochs(training))
        for _, block in self.measure_blocks(training, name):
            total += block.sum(axis=1, dtype=np.float64)
        return total / max(1, len(self.samples))

    def thumbnail_rows(self) -> np.ndarray:
        """Rows with a kept picture, ascending, (M,) int64."""
        with _reading(self.path) as file:
            return file["thumbnails/rows"][:] if "thumbnails" in file else np.zeros(0, np.int64)

    def thumbnails(self, rows: Sequence[int]) -> dict[int, bytes]:
        """Encoded pictures of those `rows` whose picture is kept."""
        with _reading(self.path) as file:
            if "thumbnails" not in file or len(rows) == 0:
                return {}
            group = file["thumbnails"]
            kept, offsets, data = group["rows"][:], group["offsets"][:], group["data"]
            place = np.searchsorted(kept, rows)
            found = {}
            for row, position in zip(rows, place, strict=True):
                if position < len(kept) and kept[position] == row:
                    found[int(row)] = data[offsets[position] : offsets[position + 1]].tobytes()
            return found


def open_run(path: str | os.PathLike[str]) -> Run:
    """Read everything but the measures of a run file.

    Raises
    ------
    CurvauditError
        Missing, damaged, another program's file, or written by a newer curvaudit.
    """
    path = Path(path)
    if not path.exists():
        raise CurvauditError(f"There is no run file {path}.", "Make one with `curvaudit scan SOURCE`, or name it.")
    if path.is_dir():
        raise CurvauditError(f"{path} is a folder, not a run file.", "Name the .h5 file that `curvaudit scan` wrote.")
    with _reading(path) as file:
        if _attribute(file, "format") != FORMAT:
            raise CurvauditError(
                f"{path} is an HDF5 file, but not of curvaudit.", "Name the file that `curvaudit scan` wrote."
            )
        version = str(_attribute(file, "format_version"))
        if not version.split(".")[0].isdecimal() or int(version.split(".")[0]) > _MAJOR:
            raise CurvauditError(
                f"{path} has format {version}; this curvaudit reads format {_MAJOR}.", "Install a newer curvaudit."
            )
        trainings = file["trainings"]
        return Run(
            path=path,
            info=RunInfo(
                source=str(file.attrs["source"]),
                source_fingerprint=str(file.attrs["source_fingerprint"]),
                config=json.loads(file.attrs["config"]),
                environment=json.loads(file.attrs["environment"]),
                created_by=str(file.attrs["created_by"]),
                created_utc=str(file.attrs["created_utc"]),
                format_version=version,
            ),
            samples=_read_samples(file["samples"]),
            skipped=_read_skipped(file),
            trainings=tuple(_read_training(trainings[key], int(key)) for key in sorted(trainings, key=int)),
        )


@contextmanager
def _reading(path: Path) -> Iterator[h5py.File]:
    try:
        with h5py.File(path, "r") as file:
            yield file
    except CurvauditError:
        raise
    except (OSError, KeyError, ValueError, RuntimeError, TypeError, AttributeError, OverflowError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CurvauditError(
            f"{path} is damaged or no run file: {reason}.",
            "Restore it from a copy, or scan again with --overwrite.",
        ) from error


def _attribute(file: h5py.File, name: str) -> Any:
    return file.attrs.get(name)


def _strings(data: h5py.Dataset) -> tuple[str, ...]:
    return tuple(data.asstr()[:]) if len(data) else ()


def _read_samples(group: h5py.Group) -> Samples:
    return Samples(
        ids=_strings(group["id"]),
        labels=group["label"][:],
        classes=_strings(group["classes"]),
        content_hash=group["content_hash"][:],
        phash=group["phash"][:],
        width=group["width"][:],
        height=group["height"][:],
        contrast=group["contrast"][:],
        signature=group["signature"][:] if "signature" in group else np.zeros((0, signatures.LENGTH), np.int8),
    )


def _read_skipped(file: h5py.File) -> tuple[Skipped, ...]:
    group = file["skipped"]
    columns = (_strings(group["id"]), _strings(group["reason"]), _strings(group["kind"]))
    return tuple(
        Skipped(identity, reason, "ignored" if kind == "ignored" else "unreadable")
        for identity, reason, kind in zip(*columns, strict=True)
    )


def _read_training(group: h5py.Group, index: int) -> TrainingInfo:
    epochs = len(group["number"])
    return TrainingInfo(
        index=index,
        weight_decay=float(group.attrs["weight_decay"]),
        seed=int(group.attrs["seed"]),
        recipe=json.loads(group.attrs["recipe"]),
        finished=bool(group.attrs["finished"]),
        memorized=bool(group.attrs["memorized"]),
        curves=TrainingCurves(number=group["number"][:epochs], **{name: group[name][:epochs] for name in _CURVES}),
        measures={
            name: MeasureInfo(
                unit=str(data.attrs["unit"]),
                definition=str(data.attrs["definition"]),
                direction="low" if data.attrs["direction"] == "low" else "high",
                parameters=json.loads(data.attrs["parameters"]),
            )
            for name, data in group["measures"].items()
        },
    )
