"""`~` in the paths that users name."""

from __future__ import annotations

import os
from pathlib import Path

from .errors import CurvauditError


def expanded(path: str | os.PathLike[str]) -> Path:
    """The path with `~` and `~somebody` as their home folders.

    Raises
    ------
    CurvauditError
        There is nobody of that name, or no home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise CurvauditError(
            f"{os.fspath(path)} names a home folder that is not known.", "Write the path out, or ./~ for that name."
        ) from error
