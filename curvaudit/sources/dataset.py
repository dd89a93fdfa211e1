"""Any torch-style data set of (PIL image or tensor, label)."""

from __future__ import annotations

import operator
import os
import threading
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL.Image import Image

from ..errors import CurvauditError, UnreadableImage
from ..pictures import images
from ..records import Skipped
from .interface import SourceOptions
from .naming import as_text, made_unique

SUPPORTS = "from Python, a data set of (image, label) with a length"

_TRIED = 8  # pictures opened twice to see whether the data set is random


@dataclass
class DatasetSource:
    """A map-style data set: `len(data)` and `data[i] -> (image, label)`."""

    name: str
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    labels: np.ndarray  # (N,) int32
    skipped: tuple[Skipped, ...]
    data: Any
    positions: np.ndarray  # (N,) int64, where row i lies in `data`
    # Data sets of others may share one file handle between threads.
    lock: AbstractContextManager[Any] = field(default_factory=threading.Lock)

    def open(self, index: int) -> Image:
        """See `Source.open`."""
        try:
            with self.lock:
                picture = self.data[int(self.positions[index])][0]
        except Exception as error:  # whatever the user's code raises for one item concerns that item
            raise UnreadableImage(_said(error)) from error
        return images.from_anything(picture)


def matches(spec: Any) -> bool:
    """Anything with a length and items that is not a path."""
    items = hasattr(spec, "__getitem__") and hasattr(spec, "__len__")
    return items and not isinstance(spec, (str, bytes, os.PathLike, dict))


def load(spec: Any, options: SourceOptions) -> DatasetSource:
    """Wrap a data set. Its labels cost one pass over it; items that raise are skipped and named.

    Labels are whole numbers; `.classes` names them where it is there. Without it, or where it
    does not fit, the classes are the distinct labels in order; labels may then be text, too. Ids are positions; of a
    torchvision `ImageFolder` the paths below its root, as of the folder.

    Raises
    ------
    CurvauditError
        Empty, a split asked for, items that are not (image, label), only one class, or
        pictures that differ each time they are opened (augmentation).
    """
    name = type(spec).__name__
    if options.split is not None:
        raise CurvauditError("A split cannot be chosen from a data set.", "Give the data set of that split.")
    source = wrap(spec, name=name, names=_paths(spec) or numbered(spec), least_classes=options.least_classes)
    _refuse_random(source)
    return source


def _paths(data: Any) -> Sequence[str] | None:
    """The path of each item below the root of a torchvision `ImageFolder`; None of what has no such paths."""
    samples, root = getattr(data, "samples", None), getattr(data, "root", None)
    if not (isinstance(samples, list) and len(samples) == len(data) and isinstance(root, (str, os.PathLike))):
        return None
    try:
        return made_unique([as_text(Path(path).relative_to(root).as_posix()) for path, _ in samples])
    except (TypeError, ValueError):  # something else of that name
        return None


def numbered(data: Any, prefix: str = "") -> list[str]:
    """An id for each item, by its position."""
    width = len(str(len(data) - 1))
    return [f"{prefix}{index:0{width}d}" for index in range(len(data))]


def wrap(
    data: Any,
    name: str,
    names: Sequence[str],
    labels: Sequence[Any] | None = None,
    thread_safe: bool = False,
    least_classes: int = 2,
) -> DatasetSource:
    """A source of `data`.

    Parameters
    ----------
    names:
        The id of each item.
    labels:
        One for each item, where they are known without opening anything.
    thread_safe:
        Whether several threads may ask for items at once.
    least_classes:
        Fewer are refused.

    Raises
    ------
    CurvauditError
        As `load`, less the last reason.
    """
    if len(data) == 0:
        raise CurvauditError(f"The data set {name} is empty.", "Give one with at least two classes.")
    positions = list(range(len(data)))
    skipped: list[Skipped] = []
    if labels is None:
        positions, labels, skipped = _one_pass(data, name, names)
    classes, rows = _classes_of(data, labels)
    if len(classes) < least_classes:
        raise CurvauditError(
            f"The data set {name} has only one class, {classes[0]!r}.",
            "An audit compares classes: give at least two.",
        )
    return DatasetSource(
        name=name,
        classes=classes,
        ids=tuple(names[position] for position in positions),
        labels=rows,
        skipped=tuple(skipped),
        data=data,
        positions=np.array(positions, np.int64),
        lock=nullcontext() if thread_safe else threading.Lock(),
    )


def _one_pass(data: Any, name: str, names: Sequence[str]) -> tuple[list[int], list[Any], list[Skipped]]:
    positions: list[int] = []
    labels: list[Any] = []
    skipped: list[Skipped] = []
    for index in range(len(data)):
        try:
            item = data[index]
        except Exception as error:  # one broken file must not end the audit
            skipped.append(Skipped(names[index], _said(error)))
            continue
        if isinstance(item, Mapping):  # unpacked, it would give its keys
            keys = ", ".join(map(str, list(item)[:5]))
            raise CurvauditError(
                f"The items of the data set {name} are dicts ({keys}), not (image, label).",
                "Wrap it so that it gives (PIL image or tensor, int). Of a Hugging Face data set call "
                "save_to_disk(FOLDER), and give FOLDER.",
            )
        try:
            _, label = item
            labels.append(label if isinstance(label, str) else operator.index(label))
        except (TypeError, ValueError) as error:
            raise CurvauditError(
                f"Item {index} of the data set {name} is not (image, whole number): {error}.",
                "Wrap the data set so that it gives (PIL image or tensor, int).",
            ) from error
        positions.append(index)
    if not positions:
        raise CurvauditError(
            f"No item of the data set {name} can be opened; the first: {skipped[0].reason}.",
            "Check that the data set works on its own.",
        )
    if len({isinstance(label, str) for label in labels}) > 1:
        raise CurvauditError(f"The labels of the data set {name} are partly text.", "Use one kind of label.")
    return positions, labels, skipped


def _classes_of(data: Any, labels: Sequence[Any]) -> tuple[tuple[str, ...], np.ndarray]:
    given = getattr(data, "classes", None)
    raw = np.asarray(labels)
    numbers = np.issubdtype(raw.dtype, np.integer)
    if isinstance(given, Collection) and numbers and raw.min() >= 0 and raw.max() < len(given):
        names = [str(item[0] if isinstance(item, tuple) else item) for item in given]
        return made_unique(names), raw.astype(np.int32)
    values, rows = np.unique(raw, return_inverse=True)
    return tuple(str(value) for value in values), rows.astype(np.int32)


def _refuse_random(source: DatasetSource) -> None:
    for index in range(min(_TRIED, len(source.ids))):
        try:
            once, again = source.open(index), source.open(index)
        except UnreadableImage:
            continue
        if once.size != again.size or once.tobytes() != again.tobytes():
            raise CurvauditError(
                f"Item {index} of the data set {source.name} is another picture each time it is opened.",
                "Give the data set without random transforms; curvaudit augments by itself.",
            )


def _said(error: Exception) -> str:
    reason = (str(error).splitlines() or [""])[0].strip()
    return f"the data set raised {type(error).__name__}" + (f": {reason}" if reason else "")
