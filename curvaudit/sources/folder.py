"""An image folder: `class/image.ext`, nested files included, or splits above the classes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL.Image import Image

from .. import images
from ..errors import CurvauditError
from ..records import Skipped
from .interface import SourceOptions

_SPLITS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
_SPLIT_NAMES = {name for names in _SPLITS.values() for name in names}
_CLUTTER = {
    "thumbs.db": "Windows thumbnail cache, not an image",
    "desktop.ini": "Windows folder settings, not an image",
    ".ds_store": "macOS folder settings, not an image",
}


@dataclass(frozen=True)
class FolderSource:
    """Ids are paths relative to the folder that holds the classes."""

    name: str
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    labels: np.ndarray  # (N,) int32
    skipped: tuple[Skipped, ...]
    paths: tuple[Path, ...]

    def open(self, index: int) -> Image:
        """See `Source.open`."""
        return images.decode(self.paths[index])


def load(path: Path, options: SourceOptions) -> FolderSource:
    """List an image folder; nothing is opened yet.

    Raises
    ------
    CurvauditError
        Missing, not a folder, no classes, one class, no such split.
    """
    if not path.is_dir():
        raise CurvauditError(
            f"{path} is a file, not a folder of classes.",
            "Give a folder that holds one folder for each class: class/image.jpg.",
        )
    root = _choose_split(path, options.split)
    entries = _entries(root)
    skipped = [
        Skipped(_text(entry.name), _ignored(entry.name) or "not inside a class folder, so it has no label", "ignored")
        for entry in entries
        if not entry.is_dir()
    ]
    folders = [entry for entry in entries if entry.is_dir()]
    if not folders:
        what = "holds pictures or files but no class folders" if entries else "is empty"
        raise CurvauditError(
            f"{root} {what}.", "Labels come from folder names: put the pictures into class/image.jpg."
        )
    if len(folders) == 1:
        raise CurvauditError(
            f"{root} holds only one class folder ({_text(folders[0].name)!r}).",
            "An audit compares classes: give a folder with at least two.",
        )
    ids: list[str] = []
    labels: list[int] = []
    paths: list[Path] = []
    for label, folder in enumerate(folders):
        files: list[tuple[str, Path]] = []
        _walk(Path(folder.path), _text(folder.name), {os.path.realpath(folder.path)}, files, skipped)
        for identity, file in files:
            ids.append(identity)
            labels.append(label)
            paths.append(file)
    return FolderSource(
        name=str(path) if options.split is None else f"{path} ({options.split})",
        classes=tuple(_text(folder.name) for folder in folders),
        ids=tuple(ids),
        labels=np.array(labels, np.int32),
        skipped=tuple(skipped),
        paths=tuple(paths),
    )


def _choose_split(path: Path, wanted: str | None) -> Path:
    folders = [entry.name for entry in _entries(path) if entry.is_dir()]
    splits = {name.lower(): name for name in folders if name.lower() in _SPLIT_NAMES}
    # `test` may be a class among others: splits are splits only where nothing else stands beside.
    if not splits or len(splits) < len(folders):
        if wanted is not None:
            raise CurvauditError(
                f"{path} has no splits, but --split {wanted} was asked for.",
                "Give a folder with train/ val/ test/ above the classes, or leave out --split.",
            )
        return path
    asked = wanted or "train"
    for name in (asked, *_SPLITS.get(asked, ())):
        if name.lower() in splits:
            return path / splits[name.lower()]
    raise CurvauditError(
        f"{path} has no split {asked!r}.", f"Choose one with --split: {', '.join(sorted(splits.values()))}."
    )


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        raise CurvauditError(
            f"The folder {folder} cannot be listed: {error.strerror or error}.", "Check its permissions."
        ) from error


def _walk(
    folder: Path, prefix: str, above: set[str], files: list[tuple[str, Path]], skipped: list[Skipped]
) -> None:
    try:
        entries = _entries(folder)
    except CurvauditError as error:
        skipped.append(Skipped(prefix, f"folder cannot be listed: {error.message}"))
        return
    for entry in entries:
        identity = f"{prefix}/{_text(entry.name)}"
        path = Path(entry.path)
        if entry.is_dir():
            real = os.path.realpath(path)
            # A link to a folder above would go round for ever.
            if real in above:
                skipped.append(Skipped(identity, "link to a folder above it", "ignored"))
            else:
                _walk(path, identity, above | {real}, files, skipped)
        elif reason := _ignored(entry.name):
            skipped.append(Skipped(identity, reason, "ignored"))
        elif path.is_file() or path.is_symlink():
            files.append((identity, path))
        else:
            skipped.append(Skipped(identity, "neither a file nor a folder", "ignored"))


def _ignored(name: str) -> str | None:
    return _CLUTTER.get(name.lower())


def _text(name: str) -> str:
    """A file name as valid text: bytes that are no UTF-8 are shown as escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
