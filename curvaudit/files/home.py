"""The paths that users name: every one goes through here, be it of a source, an output or a cache."""

from __future__ import annotations

import os
from pathlib import Path

from ..arguments import require
from ..errors import CurvauditError


def expanded(path: str | os.PathLike[str]) -> Path:
    """The path with `~` and `~somebody` as their home folders.

    Raises
    ------
    CurvauditError
        It is no path, or no file can have that name; there is nobody of that name, or no home folder.
    """
    require("A path", path, (str, os.PathLike), "Give a text or a pathlib.Path.")
    if "\0" in os.fspath(path):
        raise CurvauditError(f"{os.fspath(path)!r} is no path: it holds a NUL character.", "Give another name.")
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise CurvauditError(
            f"{os.fspath(path)} names a home folder that is not known.", "Write the path out, or ./~ for that name."
        ) from error
