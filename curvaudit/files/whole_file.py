"""Files that appear complete or not at all, and the folders of results that they lie in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import CurvauditError


def write_whole(path: Path, content: bytes, hint: str) -> None:
    """Write a file under another name, then give it its own.

    A link stays a link, and what is no regular file (a pipe, `/dev/stdout`) is written to, not replaced.

    Raises
    ------
    CurvauditError
        It cannot be written; `hint` says what to do.
    """
    real = Path(os.path.realpath(path))
    temporary = real.with_name(f".{real.name}.{os.getpid()}.partial")
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            path.write_bytes(content)
        else:
            temporary.write_bytes(content)
            os.replace(temporary, real)
    except OSError as error:
        raise CurvauditError(f"{path} cannot be written: {error.strerror or error}.", hint) from error
    finally:
        with suppress(OSError):  # its folder may be what went wrong
            temporary.unlink(missing_ok=True)


@contextmanager
def changing(folder: Path, name: str = "folder") -> Iterator[None]:
    """Inside, a folder of results is made or cleared.

    Raises
    ------
    CurvauditError
        It cannot be changed.
    """
    try:
        yield
    except OSError as error:
        raise CurvauditError(
            f"The {name} {folder} cannot be written: {error.strerror or error}.", "Choose another folder with -o."
        ) from error
