"""An image folder: `class/image.ext`, nested files included, or splits above the classes."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL.Image import Image

from ..errors import CurvauditError
from ..pictures import images
from ..records import Skipped
from . import splits
from .companions import companions
from .doubts import doubts, some
from .interface import SourceOptions
from .leftovers import is_output
from .naming import as_text, made_unique
from .standard_layouts import standard_sets_in

SUPPORTS = "a folder with one folder for each class (class/image.jpg)"

LAST = True
IDS_ARE_PATHS = True

_CLUTTER = {
    "thumbs.db": "Windows thumbnail cache, not an image",
    "desktop.ini": "Windows folder settings, not an image",
    ".ds_store": "macOS folder settings, not an image",
}
_CLUTTER_FOLDERS = {
    "__macosx": "macOS metadata folder",
    ".ipynb_checkpoints": "Jupyter's copies",
    "@eadir": "Synology thumbnail folder",
    "$recycle.bin": "Windows recycle bin",
    "system volume information": "Windows system folder",
}
_LISTS = {".csv", ".tsv", ".jsonl", ".parquet"}
_HINT = (
    "Labels come from folder names: put the pictures into class/image.jpg, or list them in a .csv with the columns "
    "path and label."
)


@dataclass
class FolderSource:
    """Files on disk. Ids are paths relative to the folder that holds the classes."""

    name: str
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    labels: np.ndarray  # (N,) int32
    skipped: tuple[Skipped, ...]
    paths: tuple[Path, ...]

    def open(self, index: int) -> Image:
        """See `Source.open`."""
        return images.decode(self.paths[index])

    def encoded(self, index: int) -> Path:
        """See `Source`."""
        return self.paths[index]


@dataclass
class _Listing:
    """What a walk has come by so far."""

    ids: list[str]
    labels: list[int]
    paths: list[Path]
    skipped: list[Skipped]

    def ignore(self, identity: str, reason: str) -> None:
        self.skipped.append(Skipped(identity, reason, "ignored"))

    def doubt(self, identity: str, reason: str) -> None:
        self.skipped.append(Skipped(identity, reason, "doubtful"))

    def leave(self, identity: str, path: str, reason: str) -> None:
        """What is no folder where folders are expected; one that cannot be reached may have been a class or a split."""
        name = Path(identity).name
        if os.path.islink(path) and not os.path.exists(path) and not name.startswith("."):
            self.skipped.append(Skipped(identity, "broken symbolic link"))
        else:
            self.ignore(identity, _CLUTTER.get(name.lower(), reason))


def matches(spec: Any) -> bool:
    """Any folder."""
    return isinstance(spec, (str, os.PathLike)) and bool(os.fspath(spec)) and Path(spec).expanduser().is_dir()


def load(spec: str | Path, options: SourceOptions) -> FolderSource:
    """List an image folder; no picture is opened yet.

    Every regular file below a class folder is taken for a picture, whatever its extension, but for texts that are
    named after a picture beside them or after their class; what is left out is in `skipped`. Ids are relative to the
    folder that holds the classes, thus `rose/a.jpg` also with splits above, so that moving a split does not
    rename its samples.
    Empty classes stay in `classes`. Links are followed, no folder twice within a class.

    Raises
    ------
    CurvauditError
        Unreadable, empty, without class folders, with only one, no such split, a standard set in torchvision's layout.
    """
    given = Path(spec).expanduser()
    listing = _Listing([], [], [], [])
    split, root = _choose_split(given, options.split, listing)
    _refuse_standard_sets(root)
    folders: list[os.DirEntry[str]] = []
    for entry in _entries(root):
        name = as_text(entry.name)
        if not os.path.isdir(entry.path):
            listing.leave(name, entry.path, "not inside a class folder, so it has no label")
        elif _is_no_class(name):
            listing.ignore(name, _CLUTTER_FOLDERS.get(name.lower(), "hidden folder, not taken for a class"))
        elif is_output(Path(entry.path)):
            listing.ignore(name, "written by curvaudit, not taken for a class")
        else:
            folders.append(entry)
    lists = [item.id for item in listing.skipped if Path(item.id).suffix.lower() in _LISTS]
    _require_classes(root, folders, bool(listing.skipped), lists, options.least_classes)
    inside = {as_text(entry.name): [as_text(name) for name in _folders(Path(entry.path))] for entry in folders}
    for name, why in doubts(inside, lists):
        listing.doubt(name, why)
    classes = made_unique([as_text(folder.name) for folder in folders])
    for label, (name, folder) in enumerate(zip(classes, folders, strict=True)):
        _list_class(Path(folder.path), name, label, listing, alone=len(folders) == 1)
    if not listing.ids:
        raise CurvauditError(f"The class folders in {as_text(str(root))} hold no files.", _HINT)
    shown = as_text(str(spec))
    return FolderSource(
        name=shown if split is None else f"{shown} ({split})",
        classes=classes,
        ids=made_unique(listing.ids),
        labels=np.array(listing.labels, np.int32),
        skipped=tuple(listing.skipped),
        paths=tuple(listing.paths),
    )


def other_splits(spec: str | Path, options: SourceOptions) -> tuple[str, ...]:
    """Names of the split folders that were not chosen; empty where the classes stand at the top."""
    given = Path(spec).expanduser()
    mine, root = _choose_split(given, options.split, _Listing([], [], [], []))
    if mine is None:
        return ()
    folders = [entry.name for entry in _entries(given) if os.path.isdir(entry.path)]
    named = (name for name in folders if name.lower() in splits.SPLITS and name != root.name)
    return tuple(name for name in named if not _is_bare(given / name))


def _is_bare(folder: Path) -> bool:
    """Whether a folder holds nothing at any depth: no file but hidden ones, no link, all of it open to a look."""
    unknown: list[OSError] = []
    for where, folders, names in os.walk(folder, onerror=unknown.append):
        # Links are not followed, for they may lead in circles: where there is one, loading will tell.
        if any(os.path.islink(os.path.join(where, name)) for name in folders):
            return False
        if any(name.lower() not in _CLUTTER and not name.startswith(".") for name in names):
            return False
    return not unknown


def _choose_split(given: Path, wanted: str | None, listing: _Listing) -> tuple[str | None, Path]:
    """The split and the folder that holds the classes; what lies beside the splits is listed."""
    entries, shown = _entries(given), as_text(str(given))
    folders = [
        entry.name
        for entry in entries
        if os.path.isdir(entry.path) and not _is_no_class(entry.name) and not is_output(Path(entry.path))
    ]
    named = [name for name in folders if name.lower() in splits.SPLITS]
    divided = {splits.meaning(name) for name in named if _folders(given / name)}
    # A class may be called "test" or "train". Splits are splits where they hold folders and
    # nothing but splits is there, or at least two of them.
    if not divided or (len(named) < len(folders) and len(divided) < 2):
        splits.refuse(wanted, shown, "give a folder with train/ val/ test/ above the classes")
        return None, given
    chosen = splits.choose(named, wanted, shown)
    classes = set().union(*(_folders(given / name) for name in named))
    for entry in entries:
        if entry.name in named:
            continue
        identity = f"../{as_text(entry.name)}"
        if entry.name in folders and (same := sorted(map(as_text, _folders(given / entry.name) & classes))):
            listing.doubt(identity, f"no split is called so, but it holds {some(same)}: it was not searched")
        else:
            listing.leave(identity, entry.path, "beside the splits, not inside a class folder")
    return chosen, given / chosen


def _is_no_class(name: str) -> bool:
    return name.startswith(".") or name.lower() in _CLUTTER_FOLDERS


def _folders(folder: Path) -> set[str]:
    """Names of the folders in a folder that may be classes; none where that cannot be seen."""
    try:
        return {entry.name for entry in _entries(folder) if os.path.isdir(entry.path) and not _is_no_class(entry.name)}
    except CurvauditError:
        return set()


def _refuse_standard_sets(root: Path) -> None:
    """Their files are no pictures: each would be an unreadable one, and their folders would be classes."""
    if found := standard_sets_in(root):
        them = "; or ".join(f"`{name} --data-dir {shlex.quote(as_text(where))}`" for name, where in found)
        names = ", ".join(name for name, _ in found)
        raise CurvauditError(
            f"{as_text(str(root))} holds {names} in torchvision's layout, not pictures in class folders.",
            f"Give its name instead: {them}.",
        )


def _require_classes(root: Path, folders: list[os.DirEntry[str]], files: bool, lists: list[str], least: int) -> None:
    shown = as_text(str(root))
    other = ""
    if lists:
        file = os.path.normpath(f"{shown}/{lists[0]}")
        other = f" If {Path(file).name} names pictures and labels, give {file} instead."
    if not folders:
        if not files:
            raise CurvauditError(f"The folder {shown} is empty.", _HINT)
        raise CurvauditError(f"{shown} holds files, but no class folders.", _HINT + other)
    if len(folders) == 1:
        only = as_text(folders[0].name)
        inner = bool(_folders(Path(folders[0].path)))
        if least < 2 and not inner:
            return
        hint = f"Did you mean {shown}/{only}?" if inner else "An audit compares classes: give at least two."
        raise CurvauditError(f"{shown} holds only one class folder, {only!r}.", hint + other)


def _list_class(top: Path, name: str, label: int, listing: _Listing, alone: bool) -> None:
    real_top = os.path.realpath(top)
    visited: set[str] = set()
    found: list[tuple[str, Path]] = []
    links: list[tuple[str, Path]] = []
    # Links wait until all real folders are listed, so that files keep their shortest names
    # and each folder is visited once, however the links cross.
    waiting = [(name, top)]
    while waiting or links:
        identity, folder = waiting.pop() if waiting else links.pop(0)
        real = os.path.realpath(folder)
        if folder != top and (real_top == real or real_top.startswith(real.rstrip(os.sep) + os.sep)):
            listing.ignore(identity, "link to a folder above it")
            continue
        if real in visited:
            listing.ignore(identity, "link to a folder that is listed already")
            continue
        visited.add(real)
        try:
            entries = _entries(folder)
        except CurvauditError as error:
            listing.skipped.append(Skipped(identity, f"it cannot be listed: {error.message.rstrip('.')}"))
            continue
        here: list[tuple[str, Path]] = []
        for entry in entries:
            text = as_text(entry.name)
            inner = (f"{identity}/{text}", Path(entry.path))
            # os.path answers where DirEntry raises: links that lead to themselves, no permission.
            if os.path.isdir(entry.path):
                if _is_no_class(text):
                    listing.ignore(inner[0], _CLUTTER_FOLDERS.get(text.lower(), "hidden folder"))
                else:
                    (links if os.path.islink(entry.path) else waiting).append(inner)
            elif reason := _CLUTTER.get(text.lower()):
                listing.ignore(inner[0], reason)
            elif os.path.exists(entry.path) and not os.path.isfile(entry.path):
                listing.ignore(inner[0], "neither a file nor a folder")  # a pipe would block for ever
            elif entry.name.startswith("._") and _is_apple_double(entry.path):
                listing.ignore(inner[0], "metadata that macOS left beside a file")
            else:
                here.append(inner)
        # Of a lone folder such a text may be the list of its labels.
        texts = companions([path for _, path in here], top.name if folder == top and not alone else None)
        for position, inner in enumerate(here):
            if position in texts:
                listing.ignore(inner[0], f"text of {as_text(texts[position])}, not taken for a picture")
            else:
                found.append(inner)
    for identity, path in sorted(found, key=lambda item: item[0]):
        listing.ids.append(identity)
        listing.labels.append(label)
        listing.paths.append(path)


def _is_apple_double(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(4) in images.APPLE_DOUBLE
    except OSError:
        return False


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        raise CurvauditError(
            f"The folder {as_text(str(folder))} cannot be listed: {error.strerror or error}.",
            "Check its permissions.",
        ) from error
