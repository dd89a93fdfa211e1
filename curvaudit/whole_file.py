"""Files that appear complete or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from mimetypes import guess_type
from pathlib import Path

from .errors import CurvauditError


def keep_apart(outputs: Iterable[Path | None], inputs: Iterable[str | os.PathLike[str] | None]) -> None:
    """Say, before any work, that an output would replace what is read.

    Raises
    ------
    CurvauditError
        One of `outputs` is the same file as one of `inputs`, or a picture, which may be one of the data set; None and
        what is no file stand for nothing.
    """
    read = [given for given in inputs if given is not None and os.path.isfile(given)]
    for output in outputs:
        if output is not None and output.is_file() and any(os.path.samefile(output, given) for given in read):
            raise CurvauditError(f"{output} is read here: it is not replaced.", "Name another file to write.")
        if output is not None and output.is_file() and (guess_type(output.name)[0] or "").startswith("image/"):
            raise CurvauditError(f"{output} is a picture: it is not replaced.", "Name another file to write.")


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
