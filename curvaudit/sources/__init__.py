"""Sources: one file each. To add one, write the file and name it in `load`."""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..errors import CurvauditError
from . import dataset, digits, folder, standard_sets
from .interface import Source, SourceOptions

__all__ = ["Source", "SourceOptions", "load"]

_NAMES = ("digits", *standard_sets.NAMES)


def load(spec: Any, options: SourceOptions) -> Source:
    """What the user named: a known set, a folder, or a torch data set.

    Names of known sets win over folders of the same name; write `./mnist` for the folder.

    Raises
    ------
    CurvauditError
        There is no such thing, or it holds nothing to audit.
    """
    if isinstance(spec, (str, os.PathLike)):
        text = os.fspath(spec)
        if text == "digits":
            return digits.load(options)
        if text in standard_sets.NAMES:
            return standard_sets.load(text, options)
        path = Path(text)
        if path.exists():
            return folder.load(path, options)
        close = get_close_matches(text.lower(), _NAMES, 1, 0.7)
        hint = f"Did you mean {close[0]!r}? " if close else ""
        raise CurvauditError(
            f"There is no folder {text!r}, nor a known set of that name.",
            f"{hint}Give a folder of classes (class/image.jpg) or one of {', '.join(_NAMES)}.",
        )
    if dataset.is_dataset(spec):
        return dataset.load(spec)
    raise CurvauditError(
        f"A source cannot be made of {type(spec).__name__}.",
        "Give a path, a name, or a data set of (image, label).",
    )
