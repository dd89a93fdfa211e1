"""Files that appear complete or not at all, and last: the copy under construction, its space, its name."""

from __future__ import annotations

import errno
import io
import os
from contextlib import suppress
from pathlib import Path

import h5py

from ..errors import CurvauditError
from .layout import LIBRARY

SLACK = 1 << 20  # bytes that HDF5 may need beside the data of an epoch


def real_path(path: Path) -> Path:
    """Where a link leads: replacing the link itself would leave the old file behind it."""
    return Path(os.path.realpath(path))


def partial_path(path: Path) -> Path:
    """The copy under construction, one for each run file; `locking` keeps a second scan out."""
    path = real_path(path)
    return path.with_name(f".{path.name}.partial")


def discard(temporary: Path) -> None:
    """Take the copy under construction away, if it is still there."""
    with suppress(OSError):  # its folder may be what went wrong; the next write takes the name again
        temporary.unlink(missing_ok=True)


def reason(error: BaseException) -> str:
    """What went wrong, in one line."""
    said = getattr(error, "strerror", None) or str(error)
    return (said.splitlines() or [type(error).__name__])[0]


def empty_file() -> bytes:
    """A run file with nothing in it, made in memory: HDF5 must not meet a full disk, see `reserve`."""
    content = io.BytesIO()  # not HDF5's own files in memory: two of one name cannot be open at once, in two threads
    with h5py.File(content, "w", libver=LIBRARY):
        pass
    return content.getvalue()


def reserve(path: Path, room: int) -> None:
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


def sync(path: Path) -> None:
    """Wait until a file is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Make a new name last; not every system can, and the file is in place all the same."""
    with suppress(OSError):
        sync(path)


def place_new(temporary: Path, path: Path) -> None:
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


def unwritten(path: Path, error: BaseException) -> CurvauditError:
    """The error for a change that failed; the run file is as it was."""
    return CurvauditError(
        f"The run file {path} cannot be written: {reason(error)}.",
        "Finished epochs are kept; mend the cause (space, permissions, a folder that is gone), then use --resume.",
    )
