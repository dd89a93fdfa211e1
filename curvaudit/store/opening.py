"""Open a run file and refuse what is damaged, foreign or newer."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import h5py
import numpy as np

from ..copies import signatures
from ..errors import CurvauditError, DamagedRun
from ..files.home import expanded
from ..records import (
    SKIPPED_KINDS,
    MeasureInfo,
    RunInfo,
    Samples,
    Skipped,
    TrainingCurves,
    TrainingInfo,
)
from .access import reading
from .beside import check_belongs, waiting_epochs
from .epochs import committed
from .layout import ATTEMPTS, CURVES, FORMAT, MAJOR, TYPES, WAITING
from .run import Run
from .texts import check_digest, check_texts, read_long_texts, read_texts, said

_DEPTH = 5  # groups within groups
_SPARE = 64 << 20  # bytes that an array may claim beyond what the file could hold
_PACKED = 1100  # times its size that deflate can unpack to, at most


def open_run(path: str | os.PathLike[str]) -> Run:
    """Read everything but the measures of a run file.

    Raises
    ------
    CurvauditError
        Missing, damaged, another program's file, or written by a newer curvaudit.
    """
    path = expanded(path)
    for _ in range(ATTEMPTS):
        before = _identity(path)
        try:
            run = _open_run(path)
        except DamagedRun:
            if _identity(path) == before:
                raise
        else:
            if _identity(path) == before:
                return run
        # Epochs beside it may have been taken in meanwhile.
    return _open_run(path)


def opened(run: Run | str | os.PathLike[str]) -> Run:
    """A run as it is, or `open_run` of its path."""
    return run if isinstance(run, Run) else open_run(run)


def _identity(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_ino, found.st_mtime_ns


def _open_run(path: Path) -> Run:
    if not path.exists():
        raise CurvauditError(f"There is no run file {path}.", "Make one with `curvaudit scan SOURCE`, or name it.")
    if path.is_dir():
        raise CurvauditError(f"{path} is a folder, not a run file.", "Name the .h5 file that `curvaudit scan` wrote.")
    if not path.is_file():  # a pipe would block for ever, a device never end
        raise CurvauditError(
            f"{path} is no file and thus no run file.", "Name the .h5 file that `curvaudit scan` wrote."
        )
    with reading(path) as file:
        if "format" not in file.attrs or said(file, "format") != FORMAT:
            raise CurvauditError(
                f"{path} is an HDF5 file, but not of curvaudit.", "Name the file that `curvaudit scan` wrote."
            )
        version = said(file, "format_version")
        if not version.split(".")[0].isdecimal() or int(version.split(".")[0]) > MAJOR:
            raise CurvauditError(
                f"{path} has format {version}; this curvaudit reads format {MAJOR}.", "Install a newer curvaudit."
            )
        _check_parts(file, os.path.getsize(path))
        _check_types(file)
        check_texts(file)
        trainings = file["trainings"]
        samples = _read_samples(file["samples"])
        _check_samples(samples, int(file.attrs["n_samples"]), int(file.attrs["n_classes"]))
        return Run(
            path=path,
            file=Path(os.path.abspath(path)),
            info=RunInfo(
                source=said(file, "source"),
                source_fingerprint=said(file, "source_fingerprint"),
                config=_settings(file, "config", text=("source", "split")),
                environment=_settings(file, "environment"),
                created_by=said(file, "created_by"),
                created_utc=said(file, "created_utc"),
                format_version=version,
            ),
            samples=samples,
            skipped=_read_skipped(file),
            trainings=tuple(
                _with_waiting(path, file, _read_training(trainings[key], int(key), len(samples)))
                for key in sorted(trainings, key=int)
            ),
        )


def _check_parts(group: h5py.Group, stored: int, depth: int = 0) -> None:
    """Refuse what no scan writes: parts that lie in other files, and arrays far larger than the file.

    HDF5 would follow a link, or an array kept elsewhere, to whatever file of this machine it names.
    """
    if depth > _DEPTH:
        raise ValueError(f"{group.name} lies too deep")
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"{name} is a link to another place")
        item = group[name]
        if isinstance(item, h5py.Group):
            _check_parts(item, stored, depth + 1)
        elif isinstance(item, h5py.Dataset):
            if item.external or item.is_virtual:
                raise ValueError(f"the values of {item.name} lie in another file")
            if item.nbytes > _SPARE + stored * (_PACKED if item.compression else 2):
                raise ValueError(f"{item.name} claims {item.nbytes:,} bytes in a file of {stored:,}")


def _check_types(file: h5py.File) -> None:
    """Refuse numbers of another type than the format has: whatever reads them would fail, or read something else."""
    for group in (file["samples"], *(file[name] for name in ("thumbnails", "previews") if name in file)):
        _check_arrays(group)
    for training in file["trainings"].values():
        _check_training_types(training)


def _check_training_types(group: h5py.Group) -> None:
    _check_arrays(group)
    for data in group["measures"].values():
        _check_type(data, np.float32)


def _check_arrays(group: h5py.Group) -> None:
    for name, kind in TYPES.items():
        if name in group:
            _check_type(group[name], kind)


def _check_type(data: h5py.Dataset, kind: type) -> None:
    if not isinstance(data, h5py.Dataset):
        raise ValueError(f"{data.name} is no array")
    if data.dtype.newbyteorder("=") != kind:
        raise ValueError(f"{data.name} holds {data.dtype}, not {np.dtype(kind)}")


def _settings(
    item: h5py.Group | h5py.Dataset, name: str, text: tuple[str, ...] = (), whole: tuple[str, ...] = ()
) -> dict[str, Any]:
    """A JSON object; what is read of it later is of the type that it is taken for, where it is there."""
    found = json.loads(said(item, name))
    if not isinstance(found, dict):
        raise ValueError(f"{name} is no JSON object")
    if wrong := [key for key in text if not isinstance(found.get(key), str | None)]:
        raise ValueError(f"{name}: {wrong[0]} is no text")
    if wrong := [key for key in whole if not isinstance(found.get(key, 0), int)]:
        raise ValueError(f"{name}: {wrong[0]} is no whole number")
    return found


def _read_columns(group: h5py.Group) -> dict[str, tuple[str, ...]]:
    """In the manifest's order."""
    found = [(name, read_texts(texts)) for name, texts in group["columns"].items()] if "columns" in group else []
    long = group["long_columns"].items() if "long_columns" in group else ()
    for name, texts in sorted(long, key=lambda item: int(item[1].attrs["position"])):
        found.insert(int(texts.attrs["position"]), (name, read_long_texts(texts)))
    return {unquote(name): texts for name, texts in found}


def _check_samples(samples: Samples, count: int, classes: int) -> None:
    for name in ("ids", "labels", "content_hash", "phash", "width", "height", "contrast"):
        if np.shape(getattr(samples, name)) != (count,):
            raise ValueError(f"{name} should have {count} values")
    if len(samples.classes) != classes or (count and not 0 <= samples.labels.min() <= samples.labels.max() < classes):
        raise ValueError("labels and classes do not fit")
    if samples.signature.ndim != 2 or samples.signature.shape not in (
        (0, signatures.LENGTH),
        (count, signatures.LENGTH),
    ):
        raise ValueError(f"signature should have {count} × {signatures.LENGTH} values")
    if len(samples.lines) not in (0, count) or any(len(texts) != count for texts in samples.columns.values()):
        raise ValueError("the manifest's columns do not fit")


def _read_samples(group: h5py.Group) -> Samples:
    check_digest(group)
    return Samples(
        ids=read_texts(group["id"]),
        labels=group["label"][:],
        classes=read_texts(group["classes"]),
        content_hash=group["content_hash"][:],
        phash=group["phash"][:],
        width=group["width"][:],
        height=group["height"][:],
        contrast=group["contrast"][:],
        columns=_read_columns(group),
        lines=group["line"][:] if "line" in group else np.zeros(0, np.int32),
        signature=group["signature"][:] if "signature" in group else np.zeros((0, signatures.LENGTH), np.int8),
    )


def _with_waiting(path: Path, run: h5py.File, training: TrainingInfo) -> TrainingInfo:
    """The training with the epochs that lie beside the run file."""
    curves = {name: [getattr(training.curves, name)] for name in (*CURVES, "number")}
    for one in waiting_epochs(path):
        if one.training != training.index or one.number <= training.epochs:
            continue
        with reading(one.file) as file:
            check_texts(file)
            check_belongs(file, run)
            _check_training_types(file[f"trainings/{one.training}"])
            for name, parts in curves.items():
                parts.append(file[f"trainings/{one.training}/{name}"][:1])
    joined = {name: np.concatenate(parts) for name, parts in curves.items()}
    if not np.array_equal(joined["number"], np.arange(1, len(joined["number"]) + 1)):
        raise DamagedRun(
            f"{path} is damaged: an epoch of training {training.index} that lay beside it is missing.",
            f"Restore the files {path.name}{WAITING}*, or scan again with --overwrite.",
        )
    return replace(training, curves=TrainingCurves(**joined))


def _read_skipped(file: h5py.File) -> tuple[Skipped, ...]:
    group = file["skipped"]
    check_digest(group)
    columns = (read_texts(group["id"]), read_texts(group["reason"]), read_texts(group["kind"]))
    return tuple(
        Skipped(identity, reason, kind if kind in SKIPPED_KINDS else "unreadable")
        for identity, reason, kind in zip(*columns, strict=True)
    )


def _read_training(group: h5py.Group, index: int, samples: int) -> TrainingInfo:
    check_texts(group)
    epochs = committed(group)
    number = group["number"][:epochs]
    if not np.array_equal(number, np.arange(1, epochs + 1)):
        raise ValueError(f"the epochs of training {index} are not numbered 1 to {epochs}")
    curves = {name: group[name][:epochs] for name in CURVES}
    for name, values in curves.items():
        if np.shape(values) != (epochs,):
            raise ValueError(f"{name} of training {index} should have {epochs} values")
    for name, data in group["measures"].items():
        check_texts(data)
        if data.ndim != 2 or data.shape[0] < epochs or data.shape[1] != samples:
            raise ValueError(f"{name} of training {index} should have {epochs} × {samples} values")
    return TrainingInfo(
        index=index,
        weight_decay=float(group.attrs["weight_decay"]),
        seed=int(group.attrs["seed"]),
        recipe=_settings(group, "recipe", whole=("epochs", "plain_epochs")),
        finished=bool(group.attrs["finished"]),
        memorized=bool(group.attrs["memorized"]),
        curves=TrainingCurves(number=number, **curves),
        measures={
            name: MeasureInfo(
                unit=said(data, "unit"),
                definition=said(data, "definition"),
                direction="low" if said(data, "direction") == "low" else "high",
                parameters=_settings(data, "parameters"),
            )
            for name, data in group["measures"].items()
        },
    )
