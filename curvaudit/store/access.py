"""A run file open for reading; whatever damage makes h5py raise is told as damage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from ..errors import CurvauditError, DamagedRun
from .commit import reason
from .layout import looks_like_run

# What h5py raises on damaged files, now at opening, now at reading; MemoryError for sizes made up by damage.
_DAMAGE = (OSError, LookupError, ValueError, RuntimeError, TypeError, AttributeError, ArithmeticError, MemoryError)


@contextmanager
def reading(path: Path) -> Iterator[h5py.File]:
    """The open file.

    Raises
    ------
    CurvauditError
        It may not be read; `DamagedRun`: it is damaged or no run file.
    """
    try:
        with h5py.File(path, "r") as file:
            yield file
    except CurvauditError:
        raise
    except PermissionError as error:
        raise CurvauditError(
            f"{path} may not be read: {reason(error)}.", "Check its permissions, or name another run file."
        ) from error
    except _DAMAGE as error:
        raise DamagedRun(
            f"{path} is damaged or no run file: {reason(error)}.",
            "Restore it from a copy, or scan again with --overwrite."
            if looks_like_run(path)
            else "Name a run file, as `curvaudit scan` writes it.",
        ) from error
