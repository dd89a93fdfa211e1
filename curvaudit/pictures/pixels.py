"""Pictures at training resolution, (N, C, R, R) uint8: in memory, or in a file that outlives a kill.

Such a file lies in the cache folder and is used again: by `--resume`, by a scan with other settings,
by other processes. It is named by what the pictures show, so that two versions of a data set, scanned at
once or one after a kill of the other, never write into one file. Each of its rows remembers the content
hash of its picture, so that a kill costs a block. Its layout is NumPy's `.npy`, and after it N uint64
hashes, 0 for a row that was not written.
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

from ..errors import CurvauditError
from ..files.home import expanded

MEMORY_SHARE = 1 / 3  # of the free memory that pixels may take
DISK_SHARE = 1 / 2  # of the space, free or taken by cached pixels, that cached pixels may take
_ABANDONED = 24 * 3600  # seconds after which a file that nobody finished is removed


@dataclass(frozen=True)
class Place:
    """Where pixels go that do not fit into memory."""

    scratch: Path  # a file that the caller removes in the end
    cache: Path | None = None  # a folder instead, where they stay for the next time
    always: bool = False  # also where they would fit: other processes read them


@dataclass(frozen=True)
class Buffer:
    """Room for the pixels, and what is in it already."""

    values: np.ndarray  # (N, C, R, R) uint8
    held: np.ndarray  # (N,) uint64, content hash of the picture in each row, 0 for none
    file: Path | None  # None: in memory

    def missing(self, content: np.ndarray) -> np.ndarray:
        """Rows that do not hold the pictures with these content hashes (N,), ascending."""
        return np.flatnonzero((self.held != content) | (content == 0))

    def keep(self, rows: np.ndarray, content: np.ndarray) -> None:
        """Make `rows` (n,) of `values` last; `content` are their hashes (n,). In this order on the disk, too."""
        if isinstance(self.values, np.memmap):
            self.values.flush()
        self.held[rows] = content
        if isinstance(self.held, np.memmap):
            self.held.flush()


def room_for(shape: tuple[int, int, int, int], content: np.ndarray, place: Place) -> Buffer:
    """Room for pixels of that shape: in memory up to a third of what is free, otherwise in a file.

    Parameters
    ----------
    content:
        Hashes of the N pictures, (N,) uint64: together with the shape they name the file in the cache.

    Raises
    ------
    CurvauditError
        There is no space for the file.
    """
    size = int(np.prod(shape, dtype=np.int64))
    if not place.always and size < free_memory() * MEMORY_SHARE:
        return Buffer(np.empty(shape, np.uint8), np.zeros(shape[0], np.uint64), None)
    file = place.scratch
    try:
        if place.cache is not None:
            folder = expanded(place.cache) / "pixels"
            folder.mkdir(parents=True, exist_ok=True)
            file = folder / f"{_key(content)}-{shape[1]}x{shape[2]}x{shape[3]}.npy"
            if (buffer := _existing(file, shape)) is not None:
                os.utime(file)  # used last: removed last
                return buffer
            _make_room(folder, size)
        _create(file, shape)
        buffer = _existing(file, shape)
        assert buffer is not None
        return buffer
    except OSError as error:
        raise CurvauditError(
            f"The pixels need {size / 2**30:.1f} GiB and find no room in {file}: {error.strerror or error}.",
            "Choose a smaller --resolution, or a place with more space with --cache or -o.",
        ) from error


def mapped(file: Path) -> np.memmap:
    """The pixels in a file that another process has filled, to be read.

    Raises
    ------
    OSError, ValueError
        It cannot be read.
    """
    return np.lib.format.open_memmap(file, "r")


def free_memory() -> int:
    """Free bytes; 4 GiB where the system does not say."""
    try:
        with open("/proc/meminfo") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 4 * 2**30


def _key(content: np.ndarray) -> str:
    return blake2b(content.astype("<u8").tobytes(), digest_size=12).hexdigest()


def _existing(file: Path, shape: tuple[int, int, int, int]) -> Buffer | None:
    """The buffer in a file; None where there is none, or another thing."""
    try:
        values = mapped(file)
        place = _place_of_hashes(values.offset, shape)
        # NumPy would lengthen a file that was cut.
        whole = file.stat().st_size == place + 8 * shape[0] and values.flags.c_contiguous
        if not whole or values.shape != shape or values.dtype != np.uint8:
            return None
        values = np.lib.format.open_memmap(file, "r+")
        held = np.memmap(file, "<u8", "r+", place, (shape[0],))
    except (OSError, ValueError):
        return None
    return Buffer(values, held, file)


def _place_of_hashes(offset: int, shape: tuple[int, int, int, int]) -> int:
    end = offset + int(np.prod(shape, dtype=np.int64))
    return -(-end // 8) * 8


def _create(file: Path, shape: tuple[int, int, int, int]) -> None:
    temporary = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        # They show the pictures: for this user only. NumPy empties the file and leaves its permissions alone.
        os.close(os.open(temporary, os.O_CREAT | os.O_WRONLY, 0o600))
        offset = np.lib.format.open_memmap(temporary, "w+", np.uint8, shape).offset
        length = _place_of_hashes(offset, shape) + 8 * shape[0]
        with temporary.open("r+b") as opened:
            opened.truncate(length)
            # Without space behind it, the first write to a page of a mapped file kills the process.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(opened.fileno(), 0, length)
        # Appears whole: two scans that make it at once must not write into each other's.
        os.replace(temporary, file)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _make_room(folder: Path, size: int) -> None:
    """Remove the pixels that were used longest ago, until `size` more take no more than their share of the disk."""
    for leftover in folder.glob(".*.partial"):
        with suppress(OSError):
            if time.time() - leftover.stat().st_mtime > _ABANDONED:
                leftover.unlink()
    kept = []
    for file in folder.glob("*.npy"):
        with suppress(OSError):  # another scan may remove it meanwhile
            kept.append((file.stat().st_mtime, file.stat().st_size, file))
    kept.sort()
    taken = sum(length for _, length, _ in kept)
    limit = DISK_SHARE * (shutil.disk_usage(folder).free + taken)
    for _, length, file in kept:
        if taken + size <= limit:
            break
        with suppress(OSError):
            file.unlink()
            taken -= length
