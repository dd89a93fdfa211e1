"""Pictures and labels as NumPy arrays in one `.npz` file."""

from __future__ import annotations

import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL.Image import Image

from ..errors import CurvauditError
from ..pictures import images
from ..text.utf8 import valid
from . import splits
from .interface import SourceOptions
from .labelling import label_all
from .listed import ListedSource, listed
from .naming import as_text
from .stand_ins import instead

SUPPORTS = "an .npz file with the arrays images and labels"
TAKES_COLUMNS = True

_IMAGES = ("images", "x")
_LABELS = ("labels", "y")


def matches(spec: Any) -> bool:
    """A file called .npz."""
    if not isinstance(spec, (str, os.PathLike)):
        return False
    path = Path(spec).expanduser()
    return path.suffix.lower() == ".npz" and path.is_file()


def load(spec: str | Path, options: SourceOptions) -> ListedSource:
    """Arrays `images` (N, H, W) or (N, H, W, C), `labels` (N,), and if there `ids` (N,), `classes` (K,).

    Pictures are 0 to 255, or floats from 0 to 1; labels whole numbers or text; with `classes`,
    numbers are indices into them. Ids default to the position. Arrays may be divided into splits
    by name, `train_images` or `x_train` (as MedMNIST and Keras do); `options.split` chooses.
    `options.image_column` and `label_column` name other arrays.

    Nothing is unpickled: arrays of Python objects are refused.

    Raises
    ------
    CurvauditError
        No or a damaged archive, object arrays, arrays missing, of other shapes, or of lengths that differ.
    """
    path = Path(spec).expanduser()
    shown = as_text(str(spec))
    with _Archive(path, shown) as archive:
        image_name, split = archive.find(_IMAGES, options.image_column, options.split, "--image-column")
        label_name, _ = archive.find(_LABELS, options.label_column, split or options.split, "--label-column")
        pictures = archive.read(image_name)
        labels = archive.read(label_name)
        ids_name = f"{split}_ids" if split and f"{split}_ids" in archive.names else "ids"
        ids = archive.read(ids_name) if ids_name in archive.names else None
        classes = archive.read("classes") if "classes" in archive.names else None
    if pictures.ndim not in (3, 4) or (pictures.ndim == 4 and pictures.shape[3] > 4):
        raise CurvauditError(
            f"The array {image_name} of {shown} has the shape {pictures.shape}.",
            "Give pictures as (N, H, W) or (N, H, W, C) with at most 4 channels; "
            "of (N, C, H, W) take images.transpose(0, 2, 3, 1).",
        )
    if pictures.dtype.kind not in "buif":
        raise CurvauditError(
            f"The array {image_name} of {shown} holds {pictures.dtype}, not pixels.", "Give uint8 from 0 to 255."
        )
    labels = _column(
        labels, label_name, shown, "Give one label a picture, (N,); of one-hot rows take labels.argmax(1)."
    )
    if ids is not None:
        ids = _column(ids, ids_name, shown, "Give one id a picture, (N,).")
    if classes is not None:
        classes = _column(classes, "classes", shown, "Give one name a class, (K,).")
    for name, array in ((label_name, labels), (ids_name, ids)):
        if array is not None and len(array) != len(pictures):
            raise CurvauditError(
                f"{shown} holds {len(pictures)} {image_name} but {len(array)} {name}.", "Give one for each picture."
            )
    width = len(str(max(0, len(pictures) - 1)))
    prefix = f"{split}/" if split else ""
    names = [f"{prefix}{i:0{width}d}" for i in range(len(pictures))] if ids is None else _texts(ids)
    return listed(
        shown if split is None else f"{shown} ({split})",
        names,
        label_all(labels.tolist(), None if classes is None else _texts(classes)),
        opener=lambda position: _open(pictures, position),
    )


def other_splits(spec: str | Path, options: SourceOptions) -> tuple[str, ...]:
    """The other splits that arrays are named for; none where the pictures are one array."""
    if options.image_column is not None or options.label_column is not None:
        return ()  # an array that is named belongs to no split, and is the same for each
    path, shown = Path(spec).expanduser(), as_text(str(spec))
    with _Archive(path, shown) as archive:
        divided = {} if set(_IMAGES) & set(archive.names) else archive.divided(_IMAGES)
    return splits.others(divided, options.split, shown)


def _open(pictures: np.ndarray, position: int) -> Image:
    return images.from_anything(pictures[position])


def _column(array: np.ndarray, name: str, shown: str, hint: str) -> np.ndarray:
    """(N,) of (N,) or (N, 1): row after row, more columns would give each picture a name of another."""
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise CurvauditError(f"The array {name} of {shown} has the shape {array.shape}.", hint)
    return array


def _texts(array: np.ndarray) -> list[str]:
    found = []
    for item in array.tolist():
        text = item.decode("utf-8", "backslashreplace") if isinstance(item, bytes) else str(item)
        found.append(valid(text))
    return found


class _Archive:
    """An open .npz whose every failure is told with the file's name."""

    def __init__(self, path: Path, shown: str) -> None:
        self.path = path
        self.shown = shown

    def __enter__(self) -> _Archive:
        try:
            found = np.load(self.path, allow_pickle=False)
        except _DAMAGE as error:
            raise self._damaged(error) from error
        if not isinstance(found, np.lib.npyio.NpzFile):
            raise CurvauditError(f"{self.shown} is a single array, not an archive.", "Write it with np.savez.")
        self._file = found
        self.names = tuple(found.files)
        return self

    def __exit__(self, *ignored: object) -> None:
        self._file.close()

    def find(
        self, usual: tuple[str, ...], named: str | None, wanted: str | None, option: str
    ) -> tuple[str, str | None]:
        """(name of an array, its split or None)."""
        if named is not None:
            if named not in self.names:
                raise CurvauditError(f"{self.shown} has no array {named!r}.", f"It has {', '.join(self.names)}.")
            return named, None
        for name in usual:
            if name in self.names:
                splits.refuse(wanted, self.shown, "name the arrays train_images, test_images and so on")
                return name, None
        divided = self.divided(usual)
        if divided:
            split = splits.choose(divided, wanted, self.shown)
            return divided[split], split
        raise CurvauditError(
            f"{self.shown} has no array called {usual[0]}; it has {', '.join(self.names) or 'none'}.",
            f"Name it with {option}.",
        )

    def divided(self, usual: tuple[str, ...]) -> dict[str, str]:
        """split -> name of its array."""
        return {
            split: name
            for name in self.names
            for split in splits.SPLITS
            for stem in usual
            if name in (f"{split}_{stem}", f"{stem}_{split}")
        }

    def read(self, name: str) -> np.ndarray:
        """One array.

        Raises
        ------
        CurvauditError
            Damaged, of Python objects, or larger than the memory.
        """
        try:
            return np.asarray(self._file[name])
        except _DAMAGE as error:
            if "allow_pickle" in str(error):
                raise CurvauditError(
                    f"The array {name} of {self.shown} holds Python objects, which are not loaded: "
                    "such files can run programs.",
                    "Write text with np.array(labels, dtype=str), and pictures as one uint8 array.",
                ) from error
            raise self._damaged(error) from error

    def _damaged(self, error: BaseException) -> CurvauditError:
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        if "pickle" in reason:  # numpy's last guess at what is neither a zip archive nor an array
            if other := instead(self.path):
                return CurvauditError(f"{self.shown} is no .npz file, but {other}.", "Give the file itself.")
            reason = "it is neither a zip archive nor an array"
        return CurvauditError(f"{self.shown} cannot be read: {reason.rstrip('.')}.", "Write it anew with np.savez.")


_DAMAGE = (OSError, ValueError, EOFError, KeyError, RuntimeError, MemoryError, NotImplementedError,
           zipfile.BadZipFile, zlib.error)  # fmt: skip
