"""The run file: the only module that knows HDF5. docs/format.md is its specification.

HDF5 changes a file in place by many writes, and a file cut between two of them may be lost. So
every change is made on a copy beside the run file, which then takes its name: whoever opens the
run, at whatever moment, sees it before or after an epoch, never within. docs/durability.md says
what was tried. An epoch counts once its row in `number` is written.

Copying a large file for every epoch would cost more than the epoch. There an epoch first becomes a
file of its own beside the run, and those are taken in together once they are as large as the run:
what is written stays within a few times the final size. Readers see both as one.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import h5py
import numpy as np

from .copies import signatures
from .errors import CurvauditError, DamagedRun
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
_MAJOR = 1
_COLUMNS = 65536  # samples a chunk: an epoch is a few chunks, a block of samples one chunk an epoch
_CURVES = ("train_loss", "train_accuracy", "val_loss", "val_curvature", "learning_rate", "seconds")
_TEXTS = 4096  # texts a chunk, at most
_TEXT_BYTES = 16 << 20  # of a chunk of texts, at most
_LONG = 4096  # bytes; a column with a longer text may lie in `long_columns`
_FEATURES = 4096  # rows of features a chunk, and a block
_TEXT_DIGEST = "text_digest"
# With checksums on everything that is not data: a flipped byte is an error, not another number.
_LIBRARY = ("v110", "v110")
_COPIED = 64 << 20  # bytes; up to here the run file is copied for every epoch
_SIGNATURE = b"\x89HDF\r\n\x1a\n"  # the first bytes of an HDF5 file
_WAITING = ".epoch-"  # between the name of the run file and training and number of an epoch beside it
_ATTEMPTS = 5  # to read a run that is being written
_SLACK = 1 << 20  # bytes that HDF5 may need beside the data of an epoch
_DEPTH = 5  # groups within groups
_SPARE = 64 << 20  # bytes that an array may claim beyond what the file could hold
_PACKED = 1100  # times its size that deflate can unpack to, at most
# What h5py raises on damaged files, now at opening, now at reading; MemoryError for sizes made up by damage.
_DAMAGE = (OSError, LookupError, ValueError, RuntimeError, TypeError, AttributeError, ArithmeticError, MemoryError)

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
    temporary = _partial(path)
    try:
        temporary.unlink(missing_ok=True)  # of a killed scan
        temporary.write_bytes(_empty())
        _reserve(temporary, _size(samples, skipped, thumbnails) + _SLACK)
        with h5py.File(temporary, "r+", libver=_LIBRARY) as file:
            _write_root(file, info, len(samples), len(samples.classes))
            _write_samples(file, samples)
            group = file.create_group("skipped")
            _texts(group, "id", [item.id for item in skipped])
            _texts(group, "reason", [item.reason for item in skipped])
            _texts(group, "kind", [item.kind for item in skipped])
            _describe(group, digest=_digest(group))
            _write_pictures(file, "thumbnails", thumbnails)
            file.create_group("trainings")
        _sync(temporary)
        for leftover in _waiting(path):  # of a run that had this name
            leftover.file.unlink()
        if overwrite:
            os.replace(temporary, _real(path))
        else:
            _place(temporary, path)
        _sync_folder(temporary.parent)
    except (OSError, RuntimeError) as error:
        raise CurvauditError(
            f"The run file {path} cannot be written: {_reason(error)}.", "Choose another place with -o."
        ) from error
    finally:
        _discard(temporary)


def looks_like_run(path: Path) -> bool:
    """Whether a file is a run file, damaged or not, as far as its first bytes tell; an empty one may have been."""
    if not path.is_file():  # a pipe would never say
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(_SIGNATURE)) in (_SIGNATURE, b"")
    except OSError:
        return False


def _empty() -> bytes:
    """A run file with nothing in it, made in memory: HDF5 must not meet a full disk, see `_reserve`."""
    with h5py.File("empty", "w", driver="core", backing_store=False, libver=_LIBRARY) as file:
        file.flush()
        return bytes(file.id.get_file_image())


def _size(samples: Samples, skipped: Sequence[Skipped], thumbnails: Thumbnails) -> int:
    """Bytes that a new run file takes at most, about: nothing is counted on to compress, but for padding."""
    left_out = ([item.id for item in skipped], [item.reason for item in skipped], [item.kind for item in skipped])
    columns = (samples.ids, samples.classes, *samples.columns.values(), *left_out)
    numbers = sum(values.nbytes for values in _numbers(samples).values())
    return sum(map(_size_of_texts, columns)) + numbers + _size_of_pictures(thumbnails)


def _size_of_texts(texts: Sequence[str]) -> int:
    lengths = [len(text.encode("utf-8", "backslashreplace")) + 4 for text in texts]
    return _TEXTS + 2 * sum(lengths) + max(lengths, default=0) * len(texts) // 500  # zeros are packed to a thousandth


def _size_of_pictures(pictures: Thumbnails) -> int:
    """Their bytes, and two numbers of 8 bytes each, in whole chunks."""
    count = len(pictures.images)
    return sum(map(len, pictures.images)) * 5 // 4 + 16 * (count + 1 + min(count + 1, _COLUMNS)) + _COLUMNS


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


def _real(path: Path) -> Path:
    """Where a link leads: replacing the link itself would leave the old file behind it."""
    return Path(os.path.realpath(path))


def _partial(path: Path) -> Path:
    """The copy under construction, one for each run file; `locking` keeps a second scan out."""
    path = _real(path)
    return path.with_name(f".{path.name}.partial")


def _discard(temporary: Path) -> None:
    with suppress(OSError):  # its folder may be what went wrong; the next write takes the name again
        temporary.unlink(missing_ok=True)


def _reason(error: BaseException) -> str:
    said = getattr(error, "strerror", None) or str(error)
    return (said.splitlines() or [type(error).__name__])[0]


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
        group = file.create_group(f"trainings/{index}")
        _describe(group, weight_decay=weight_decay, seed=seed, recipe=_json(recipe), finished=False, memorized=False)
        count = int(file.attrs["n_samples"])
        for name in _CURVES:
            _growing(group, name, (0,), np.float64)
        parent = group.create_group("measures")
        for name, measure in measures.items():
            data = _growing(parent, name, (0, count), np.float32)
            _describe(
                data,
                unit=measure.unit,
                definition=measure.definition,
                direction=measure.direction,
                parameters=_json(measure.parameters),
            )
        _growing(group, "number", (0,), np.int32)


def append_epoch(path: Path, training: int, row: EpochRow) -> None:
    """Append one epoch, durable when this returns."""
    real = _real(path)
    try:
        size = real.stat().st_size
    except OSError:
        size = 0  # `_writing` says what is wrong
    if size <= _COPIED:
        with _writing(path, _room(row)) as file:
            _append(file[f"trainings/{training}"], row)
        return
    _write_beside(path, training, row)
    if _enough(sum(one.file.stat().st_size for one in _waiting(path)), size):
        with _writing(path):
            pass  # takes them in


def _enough(waiting: int, size: int) -> bool:
    """Whether to take in `waiting` bytes beside a run file of `size`: so often that it is copied a few times in all."""
    return waiting >= size


def _append(group: h5py.Group, row: EpochRow) -> None:
    position = _committed(group)
    for name in _CURVES:
        _put(group[name], position, getattr(row, name))
    for name, data in group["measures"].items():
        _put(data, position, row.measures.get(name, np.nan))
    if row.features is not None:
        _put_features(group, row.features, row.number)
    _put(group["number"], position, row.number)


@dataclass(frozen=True, order=True)
class _Waiting:
    """An epoch in a file of its own, not yet taken into the run file."""

    training: int
    number: int
    file: Path


def _waiting(path: Path) -> list[_Waiting]:
    """The epochs beside a run file, in order; also such as it has taken in already."""
    real = _real(path)
    prefix, found = real.name + _WAITING, []
    with suppress(OSError), os.scandir(real.parent) as entries:
        for entry in entries:
            training, _, number = entry.name.removeprefix(prefix).partition("-")
            if entry.name.startswith(prefix) and training.isdecimal() and number.isdecimal():
                found.append(_Waiting(int(training), int(number), real.parent / entry.name))
    return sorted(found)


def _beside(path: Path, training: int, number: int) -> Path:
    real = _real(path)
    return real.with_name(f"{real.name}{_WAITING}{training}-{number}")


def _write_beside(path: Path, training: int, row: EpochRow) -> None:
    """Write an epoch as a file laid out like the run, with one row in every dataset."""
    temporary = _partial(path)
    try:
        with _reading(path) as run:
            measures = run[f"trainings/{training}/measures"]
            names, columns = list(measures), int(run.attrs["n_samples"])
        temporary.unlink(missing_ok=True)
        temporary.write_bytes(_empty())
        _reserve(temporary, _room(row) + _SLACK)
        with h5py.File(temporary, "r+", libver=_LIBRARY) as file:
            group = file.create_group(f"trainings/{training}")
            for name in _CURVES:
                _growing(group, name, (0,), np.float64)
            for name in names:
                _growing(group, f"measures/{name}", (0, columns), np.float32)
            _growing(group, "number", (0,), np.int32)
            _append(group, row)
        _sync(temporary)
        os.replace(temporary, _beside(path, training, row.number))
        _sync_folder(temporary.parent)
    except (OSError, RuntimeError, LookupError, ValueError) as error:
        raise _unwritten(path, error) from error
    finally:
        _discard(temporary)


def _take_in(file: h5py.File, waiting: Sequence[_Waiting]) -> None:
    for one in waiting:
        group = file[f"trainings/{one.training}"] if str(one.training) in file["trainings"] else None
        if group is None or one.number != _committed(group) + 1:
            continue  # of an epoch that is in the run already
        with h5py.File(one.file, "r") as beside:
            rows = beside[f"trainings/{one.training}"]
            curves = {name: float(rows[name][0]) for name in _CURVES}
            measures = {name: data[0] for name, data in rows["measures"].items()}
            features = rows["features"][()] if "features" in rows else None
            _append(group, EpochRow(number=one.number, measures=measures, features=features, **curves))


def _room(row: EpochRow) -> int:
    """Bytes of an epoch: whole chunks of every measure."""
    columns = max((len(values) for values in row.measures.values()), default=0)
    chunk = max(1, min(columns, _COLUMNS))
    # A measure that is not taken in this epoch fills its chunks with NaN all the same.
    room = 4 * chunk * -(-columns // chunk) * 2 * max(1, len(row.measures))
    return room + (0 if row.features is None else 2 * row.features.nbytes)


def finish_training(path: Path, training: int, memorized: bool) -> None:
    """Mark a training as ended."""
    with _writing(path) as file:
        file[f"trainings/{training}"].attrs.update(finished=True, memorized=memorized)


def set_thumbnails(path: Path, thumbnails: Thumbnails) -> None:
    """Replace the kept thumbnails."""
    _set_pictures(path, "thumbnails", thumbnails)


def set_previews(path: Path, previews: Thumbnails) -> None:
    """Replace the kept larger pictures."""
    _set_pictures(path, "previews", previews)


def _set_pictures(path: Path, name: str, pictures: Thumbnails) -> None:
    with _writing(path, _size_of_pictures(pictures)) as file:
        if name in file:
            del file[name]
        _write_pictures(file, name, pictures)


@contextmanager
def _writing(path: Path, room: int = 0) -> Iterator[h5py.File]:
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
    real, temporary = _real(path), _partial(path)
    try:
        waiting = _waiting(path)
        room += sum(one.file.stat().st_size for one in waiting)
        temporary.unlink(missing_ok=True)
        shutil.copyfile(real, temporary)
        shutil.copymode(real, temporary)
        _reserve(temporary, room + _SLACK)
        with h5py.File(temporary, "r+", libver=_LIBRARY) as file:
            _take_in(file, waiting)
            yield file
        _sync(temporary)
        os.replace(temporary, real)
        _sync_folder(real.parent)
        for one in waiting:
            one.file.unlink()
    except (OSError, RuntimeError, LookupError, ValueError) as error:
        raise _unwritten(path, error) from error
    finally:
        _discard(temporary)


def _unwritten(path: Path, error: BaseException) -> CurvauditError:
    return CurvauditError(
        f"The run file {path} cannot be written: {_reason(error)}.",
        "Finished epochs are kept; mend the cause (space, permissions, a folder that is gone), then use --resume.",
    )


def _reserve(path: Path, room: int) -> None:
    """Make sure of the space now: a disk that is full halfway leaves HDF5 in a state in which it crashes.

    Raises
    ------
    OSError
        There is not enough.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.posix_fallocate(descriptor, os.fstat(descriptor).st_size, room)
    except OSError as error:
        # Some file systems cannot reserve; HDF5 then runs into a full disk itself.
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
    finally:
        os.close(descriptor)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(path: Path) -> None:
    """Make a new name last; not every system can, and the file is in place all the same."""
    with suppress(OSError):
        _sync(path)


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
    _describe(
        file,
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


def _write_samples(file: h5py.File, samples: Samples) -> None:
    group = file.create_group("samples")
    _texts(group, "id", samples.ids)
    _texts(group, "classes", samples.classes)
    for name, values in _numbers(samples).items():
        group.create_dataset(name, data=values, track_times=False)
    if samples.columns:
        columns = group.create_group("columns", track_order=True)  # the manifest's order, not the alphabet's
        for position, (name, texts) in enumerate(samples.columns.items()):
            if _is_long(texts):
                _long_texts(group.require_group("long_columns"), _link_name(name), texts, position)
            else:
                _texts(columns, _link_name(name), texts)
    _describe(group, digest=_digest(group))


def _digest(group: h5py.Group) -> str:
    """Of all names and values in a group: HDF5 keeps no checksum of texts and of plain arrays."""
    digest = blake2b(digest_size=16)
    for name in sorted(group):
        item = group[name]
        digest.update(name.encode() + b"\0")
        if isinstance(item, h5py.Group):
            digest.update(_digest(item).encode())
        elif h5py.check_string_dtype(item.dtype):
            digest.update("\0".join(_strings(item)).encode())
        else:
            digest.update(item[:].tobytes())
    return digest.hexdigest()


def _link_name(text: str) -> str:
    """A column name as HDF5 can hold it: `/` would open a group, and `.` is the group itself."""
    name = _clean(text).replace("%", "%25").replace("/", "%2F")
    return "%2E" if name == "." else name


def _put_features(group: h5py.Group, values: np.ndarray, epoch: int) -> None:
    if "features" in group:
        del group["features"]
    data = group.create_dataset(
        "features",
        data=np.asarray(values, np.float16),
        chunks=(min(len(values), _FEATURES), values.shape[1]),
        fletcher32=True,
        track_times=False,
    )
    data.attrs["epoch"] = epoch


def _write_pictures(file: h5py.File, group_name: str, pictures: Thumbnails) -> None:
    group = file.create_group(group_name)
    offsets = np.cumsum([0, *(len(image) for image in pictures.images)], dtype=np.int64)
    data = np.frombuffer(b"".join(pictures.images), np.uint8)
    for name, values in (("rows", pictures.rows.astype(np.int64)), ("offsets", offsets), ("data", data)):
        _checked(group, name, values)


def _checked(group: h5py.Group, name: str, values: np.ndarray, compression: str | None = None) -> None:
    # A checksum needs chunks, and chunks at least one value.
    filters = {"fletcher32": True, "chunks": (min(len(values), _COLUMNS),), "compression": compression}
    group.create_dataset(name, data=values, track_times=False, **(filters if len(values) else {}))


# Data sets of texts have a fixed length: HDF5 keeps others in heaps without checksums, and can hang on a
# damaged one.


def _describe(item: h5py.Group | h5py.Dataset, **values: Any) -> None:
    """Texts in attributes have a variable length: other programs get them as text, not as bytes.

    HDF5 keeps no checksum of those, so we do: as a number, of which it does.
    """
    for name, value in values.items():
        item.attrs[name] = _clean(value) if isinstance(value, str) else value
    item.attrs[_TEXT_DIGEST] = _text_digest(item)


def _text_digest(item: h5py.Group | h5py.Dataset) -> np.uint64:
    """Of all text attributes of a group or data set."""
    digest = blake2b(digest_size=8)
    for name in sorted(item.attrs):
        value = item.attrs[name]
        if isinstance(value, str):
            digest.update(f"{name}\0{value}\0".encode("utf-8", "surrogateescape"))
    return np.uint64(int.from_bytes(digest.digest(), "big"))


def _texts(group: h5py.Group, name: str, values: Sequence[str]) -> None:
    encoded = [_clean(value).encode() for value in values]
    longest = max(map(len, encoded), default=1) or 1
    at_once = _texts_at_once(longest)
    # Compressed: one long name must not cost its length for every other.
    checked = {"fletcher32": True, "compression": "gzip", "chunks": (min(len(values), at_once),)} if values else {}
    kind = h5py.string_dtype("utf-8", longest)
    data = group.create_dataset(name, shape=(len(values),), dtype=kind, track_times=False, **checked)
    for start in range(0, len(values), at_once):
        data[start : start + at_once] = np.array(encoded[start : start + at_once], dtype=kind)


def _texts_at_once(length: int) -> int:
    return max(1, min(_TEXTS, _TEXT_BYTES // length))


def _is_long(texts: Sequence[str]) -> bool:
    """Whether to fill all up to the longest would cost gigabytes of nothing: one list of polygons is enough."""
    lengths = [len(text.encode("utf-8", "backslashreplace")) for text in texts]
    longest = max(lengths, default=0)
    return longest > _LONG and longest * len(texts) > _TEXT_BYTES + 4 * sum(lengths)


def _long_texts(parent: h5py.Group, name: str, values: Sequence[str], position: int) -> None:
    """A column as one block of bytes, as pictures lie."""
    group = parent.create_group(name)
    group.attrs["position"] = position
    encoded = [_clean(value).encode() for value in values]
    _checked(group, "offsets", np.cumsum([0, *map(len, encoded)], dtype=np.int64))
    _checked(group, "data", np.frombuffer(b"".join(encoded), np.uint8), "gzip")


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
        """All logged values of a score, (E, N) float32. Raises `DamagedRun`, as all that follow."""
        return self._rows(training, name, 0, self._epochs(training), slice(None))

    def _rows(self, training: int, name: str, first: int, last: int, columns: slice) -> np.ndarray:
        """Rows `first` to `last` of a score, (last − first, n) float32, from the run file and what waits beside it."""
        place = f"trainings/{training}/measures/{name}"
        for attempt in range(_ATTEMPTS):
            with _reading(self.path) as file:
                inside = _committed(file[f"trainings/{training}"])
                if inside >= last:
                    found: np.ndarray = file[place][first:last, columns]
                    return found
                parts = [file[place][first : max(first, inside), columns]]
            for epoch in range(max(first, inside), last):
                beside = _beside(self.path, training, epoch + 1)
                if not beside.exists() and attempt + 1 < _ATTEMPTS:
                    break  # it has been taken in meanwhile
                with _reading(beside) as file:
                    parts.append(file[place][:, columns])
            else:
                return np.concatenate(parts)
        raise AssertionError

    def measure_blocks(self, training: int, name: str) -> Iterator[tuple[slice, np.ndarray]]:
        """(columns, values (E, n)) block after block of samples: memory stays bounded."""
        for start in range(0, len(self.samples), _COLUMNS):
            columns = slice(start, min(start + _COLUMNS, len(self.samples)))
            yield columns, self._rows(training, name, 0, self._epochs(training), columns)

    def measure_epochs(self, training: int, name: str) -> Iterator[np.ndarray]:
        """One finished epoch after another, (N,) float32 each: memory stays bounded."""
        for epoch in range(self._epochs(training)):
            yield self._rows(training, name, epoch, epoch + 1, slice(None))[0]

    def last(self, training: int, name: str) -> np.ndarray:
        """The last finished epoch of a score, (N,) float32."""
        epochs = self._epochs(training)
        found: np.ndarray = self._rows(training, name, epochs - 1, epochs, slice(None))[0]
        return found

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

    def _features_file(self, training: int) -> Path:
        """Where features are to be looked for: the last epoch beside the run file that brings some, or the run file."""
        group = f"trainings/{training}"
        for attempt in range(_ATTEMPTS):
            with _reading(self.path) as file:
                inside = _committed(file[group])
            for number in range(self._epochs(training), inside, -1):
                beside = _beside(self.path, training, number)
                if not beside.exists() and attempt + 1 < _ATTEMPTS:
                    break  # it has been taken in meanwhile
                with _reading(beside) as file:
                    if "features" in file[group]:
                        return beside
            else:
                return self.path
        raise AssertionError

    def features_epoch(self, training: int) -> int | None:
        """The epoch whose features are kept, None where there are none."""
        with _reading(self._features_file(training)) as file:
            group = file[f"trainings/{training}"]
            if "features" not in group:
                return None
            data = group["features"]
            if data.ndim != 2 or len(data) != len(self.samples):
                raise ValueError(f"the features of training {training} do not fit")
            return int(data.attrs["epoch"])

    def feature_rows(self, training: int, rows: np.ndarray) -> np.ndarray:
        """Features of `rows` (M,), which ascend; (M, D) float32."""
        blocks = self.features(training)
        return np.concatenate([block[rows[(rows >= at.start) & (rows < at.stop)] - at.start] for at, block in blocks])

    def features(self, training: int) -> Iterator[tuple[slice, np.ndarray]]:
        """(rows, features (n, D) float32) block after block of samples: memory stays bounded."""
        place = self._features_file(training)
        for start in range(0, len(self.samples), _FEATURES):
            rows = slice(start, min(start + _FEATURES, len(self.samples)))
            if not place.exists():  # its epoch has been taken in meanwhile
                place = self._features_file(training)
            with _reading(place) as file:
                block = file[f"trainings/{training}/features"][rows].astype(np.float32)
            if not np.isfinite(block).all():
                raise DamagedRun(f"{self.path} holds features that are no numbers.", "Scan again with --overwrite.")
            yield rows, block

    def thumbnails(self, rows: Sequence[int]) -> dict[int, bytes]:
        """Encoded pictures of those `rows` whose picture is kept."""
        return self._pictures("thumbnails", rows)

    def previews(self, rows: Sequence[int]) -> dict[int, bytes]:
        """Larger pictures of those `rows` for which one is kept."""
        return self._pictures("previews", rows)

    def _pictures(self, name: str, rows: Sequence[int]) -> dict[int, bytes]:
        with _reading(self.path) as file:
            if name not in file or len(rows) == 0:
                return {}
            group = file[name]
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
    for _ in range(_ATTEMPTS):
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
    with _reading(path) as file:
        if "format" not in file.attrs or _said(file, "format") != FORMAT:
            raise CurvauditError(
                f"{path} is an HDF5 file, but not of curvaudit.", "Name the file that `curvaudit scan` wrote."
            )
        version = _said(file, "format_version")
        if not version.split(".")[0].isdecimal() or int(version.split(".")[0]) > _MAJOR:
            raise CurvauditError(
                f"{path} has format {version}; this curvaudit reads format {_MAJOR}.", "Install a newer curvaudit."
            )
        _check_parts(file, os.path.getsize(path))
        _check_texts(file)
        trainings = file["trainings"]
        samples = _read_samples(file["samples"])
        _check_samples(samples, int(file.attrs["n_samples"]), int(file.attrs["n_classes"]))
        return Run(
            path=path,
            info=RunInfo(
                source=_said(file, "source"),
                source_fingerprint=_said(file, "source_fingerprint"),
                config=dict(json.loads(_said(file, "config"))),
                environment=dict(json.loads(_said(file, "environment"))),
                created_by=_said(file, "created_by"),
                created_utc=_said(file, "created_utc"),
                format_version=version,
            ),
            samples=samples,
            skipped=_read_skipped(file),
            trainings=tuple(
                _with_waiting(path, _read_training(trainings[key], int(key), len(samples)))
                for key in sorted(trainings, key=int)
            ),
        )


@contextmanager
def _reading(path: Path) -> Iterator[h5py.File]:
    try:
        with h5py.File(path, "r") as file:
            yield file
    except CurvauditError:
        raise
    except PermissionError as error:
        raise CurvauditError(
            f"{path} may not be read: {_reason(error)}.", "Check its permissions, or name another run file."
        ) from error
    except _DAMAGE as error:
        raise DamagedRun(
            f"{path} is damaged or no run file: {_reason(error)}.",
            "Restore it from a copy, or scan again with --overwrite."
            if looks_like_run(path)
            else "Name a run file, as `curvaudit scan` writes it.",
        ) from error


def _committed(group: h5py.Group) -> int:
    """Finished epochs of a training. A 0 is the fill value: the row was made room for, not written."""
    number = group["number"][:]
    unwritten = np.flatnonzero(number == 0)
    return int(unwritten[0]) if len(unwritten) else len(number)


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


def _check_texts(item: h5py.Group | h5py.Dataset) -> None:
    if _TEXT_DIGEST in item.attrs and item.attrs[_TEXT_DIGEST] != _text_digest(item):
        raise ValueError(f"the checksum of the texts of {item.name} does not fit")


def _said(item: h5py.Group | h5py.Dataset, name: str) -> str:
    """A text attribute; of fixed length, or of variable length as the first versions wrote them."""
    value = item.attrs[name]
    return value.decode() if isinstance(value, bytes) else str(value)


def _strings(data: h5py.Dataset) -> tuple[str, ...]:
    chunk = data.chunks[0] if data.chunks else 1  # the first files had longer ones than are written today
    step = max(_texts_at_once(data.dtype.itemsize), min(_TEXTS, chunk))
    return tuple(text for start in range(0, len(data), step) for text in data.asstr()[start : start + step])


def _long_strings(group: h5py.Group) -> tuple[str, ...]:
    offsets, data = group["offsets"][:].tolist(), group["data"][:].tobytes()
    if offsets[0] != 0 or offsets[-1] != len(data) or any(start > end for start, end in pairwise(offsets)):
        raise ValueError(f"the offsets of {group.name} do not fit")
    return tuple(data[start:end].decode() for start, end in pairwise(offsets))


def _read_columns(group: h5py.Group) -> dict[str, tuple[str, ...]]:
    """In the manifest's order."""
    found = [(name, _strings(texts)) for name, texts in group["columns"].items()] if "columns" in group else []
    long = group["long_columns"].items() if "long_columns" in group else ()
    for name, texts in sorted(long, key=lambda item: int(item[1].attrs["position"])):
        found.insert(int(texts.attrs["position"]), (name, _long_strings(texts)))
    return {unquote(name): texts for name, texts in found}


def _check_digest(group: h5py.Group) -> None:
    if "digest" in group.attrs and _said(group, "digest") != _digest(group):
        raise ValueError(f"the checksum of {group.name} does not fit")


def _check_samples(samples: Samples, count: int, classes: int) -> None:
    for name in ("ids", "labels", "content_hash", "phash", "width", "height", "contrast"):
        if np.shape(getattr(samples, name)) != (count,):
            raise ValueError(f"{name} should have {count} values")
    if len(samples.classes) != classes or (count and not 0 <= samples.labels.min() <= samples.labels.max() < classes):
        raise ValueError("labels and classes do not fit")
    if len(samples.lines) not in (0, count) or any(len(texts) != count for texts in samples.columns.values()):
        raise ValueError("the manifest's columns do not fit")


def _read_samples(group: h5py.Group) -> Samples:
    _check_digest(group)
    return Samples(
        ids=_strings(group["id"]),
        labels=group["label"][:],
        classes=_strings(group["classes"]),
        content_hash=group["content_hash"][:],
        phash=group["phash"][:],
        width=group["width"][:],
        height=group["height"][:],
        contrast=group["contrast"][:],
        columns=_read_columns(group),
        lines=group["line"][:] if "line" in group else np.zeros(0, np.int32),
        signature=group["signature"][:] if "signature" in group else np.zeros((0, signatures.LENGTH), np.int8),
    )


def _with_waiting(path: Path, training: TrainingInfo) -> TrainingInfo:
    """The training with the epochs that lie beside the run file."""
    curves = {name: [getattr(training.curves, name)] for name in (*_CURVES, "number")}
    for one in _waiting(path):
        if one.training != training.index or one.number <= training.epochs:
            continue
        with _reading(one.file) as file:
            for name, parts in curves.items():
                parts.append(file[f"trainings/{one.training}/{name}"][:1])
    joined = {name: np.concatenate(parts) for name, parts in curves.items()}
    if not np.array_equal(joined["number"], np.arange(1, len(joined["number"]) + 1)):
        raise DamagedRun(
            f"{path} is damaged: an epoch of training {training.index} that lay beside it is missing.",
            f"Restore the files {path.name}{_WAITING}*, or scan again with --overwrite.",
        )
    return replace(training, curves=TrainingCurves(**joined))


def _read_skipped(file: h5py.File) -> tuple[Skipped, ...]:
    group = file["skipped"]
    _check_digest(group)
    columns = (_strings(group["id"]), _strings(group["reason"]), _strings(group["kind"]))
    return tuple(
        Skipped(identity, reason, "ignored" if kind == "ignored" else "unreadable")
        for identity, reason, kind in zip(*columns, strict=True)
    )


def _read_training(group: h5py.Group, index: int, samples: int) -> TrainingInfo:
    _check_texts(group)
    epochs = _committed(group)
    number = group["number"][:epochs]
    if not np.array_equal(number, np.arange(1, epochs + 1)):
        raise ValueError(f"the epochs of training {index} are not numbered 1 to {epochs}")
    for name, data in group["measures"].items():
        _check_texts(data)
        if data.ndim != 2 or data.shape[0] < epochs or data.shape[1] != samples:
            raise ValueError(f"{name} of training {index} should have {epochs} × {samples} values")
    return TrainingInfo(
        index=index,
        weight_decay=float(group.attrs["weight_decay"]),
        seed=int(group.attrs["seed"]),
        recipe=json.loads(_said(group, "recipe")),
        finished=bool(group.attrs["finished"]),
        memorized=bool(group.attrs["memorized"]),
        curves=TrainingCurves(number=number, **{name: group[name][:epochs] for name in _CURVES}),
        measures={
            name: MeasureInfo(
                unit=_said(data, "unit"),
                definition=_said(data, "definition"),
                direction="low" if _said(data, "direction") == "low" else "high",
                parameters=json.loads(_said(data, "parameters")),
            )
            for name, data in group["measures"].items()
        },
    )
