"""Folders that curvaudit itself wrote beside the class folders: a report is no class."""

from __future__ import annotations

import os
from pathlib import Path

# What a report, a calibration and a reproduction have in common: a JSON document that says whose it is.
_DOCUMENTS = ("findings.json", "calibration.json", "reproduction.json")
_MARK = b'"schema": "curvaudit-'
_FIGURE, _DRAWN = ".png", ".svg"  # each figure is written as both
_WRITTEN = {".html", ".json", ".csv", ".parquet", ".h5", ".checkpoint", _DRAWN}


def is_output(folder: Path) -> bool:
    """Whether curvaudit wrote this folder, and nothing that may be a picture of the data set lies in it.

    A report that was written into a class folder leaves that folder a class: to leave it out would hide its pictures.
    """
    if not any(_is_marked(folder / name) for name in _DOCUMENTS):
        return False
    unknown: list[OSError] = []
    for where, folders, names in os.walk(folder, onerror=unknown.append):
        if any(os.path.islink(os.path.join(where, name)) for name in folders):
            return False
        if not all(_is_written(name, names) for name in names):
            return False
    return not unknown


def _is_marked(document: Path) -> bool:
    try:
        with document.open("rb") as file:
            return _MARK in file.read(100)
    except OSError:
        return False


def _is_written(name: str, beside: list[str]) -> bool:
    stem, suffix = os.path.splitext(name)
    killed = name.startswith(".") and suffix == ".partial"  # while it was being written, see `whole_file`
    return killed or suffix in _WRITTEN or (suffix == _FIGURE and stem + _DRAWN in beside)
