"""One scan at a time on one run file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import CurvauditError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Hold `<run>.lock`. The system frees it with the process, however that ends.

    Without locks (Windows, some network file systems) nothing is held: there two scans on one
    file are for the user to avoid.

    Raises
    ------
    CurvauditError
        Another scan holds it, or the file cannot be made.
    """
    path = Path(os.path.realpath(run))
    path = path.with_name(path.name + ".lock")
    try:
        descriptor = _take(path)
    except BlockingIOError:
        raise CurvauditError(
            f"Another scan is writing {run}{_holder(path)}.", "Wait for its end, or use -o for another file."
        ) from None
    except OSError as error:
        raise CurvauditError(
            f"The file {path} cannot be made: {error.strerror or error}.", "Choose another place with -o."
        ) from error
    try:
        yield
    finally:
        # Removed while it is held: whoever opened it meanwhile sees that it has lost its name.
        with suppress(OSError):
            path.unlink()
        os.close(descriptor)


def _take(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if fcntl is not None:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise
                except OSError:
                    pass  # a file system without locks
            if _is_still(path, descriptor):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"{os.getpid()}\n".encode())
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_still(path: Path, descriptor: int) -> bool:
    """Whether `path` still names the open file: the last holder may have removed it."""
    with suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    return False


def _holder(path: Path) -> str:
    with suppress(OSError, ValueError):
        return f" (process {int(path.read_text())})"
    return ""
