"""Any torch-style data set of (PIL image or tensor, int)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL.Image import Image

from .. import images
from ..errors import CurvauditError
from ..records import Skipped


@dataclass(frozen=True)
class DatasetSource:
    """A map-style data set: `len(data)` and `data[i] -> (image, label)`."""

    name: str
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    labels: np.ndarray  # (N,) int32
    data: Any
    skipped: tuple[Skipped, ...] = ()

    def open(self, index: int) -> Image:
        """See `Source.open`."""
        return images.from_anything(self.data[index][0])


def is_dataset(value: Any) -> bool:
    """Whether it looks like a map-style data set."""
    return hasattr(value, "__getitem__") and hasattr(value, "__len__") and not isinstance(value, (str, bytes))


def load(data: Any, name: str | None = None) -> DatasetSource:
    """Wrap a data set; labels come from `.targets` where it has them, else from one pass.

    Raises
    ------
    CurvauditError
        Empty, or items that are not (image, integer label).
    """
    name = name or type(data).__name__
    if len(data) == 0:
        raise CurvauditError(f"The data set {name} is empty.", "Give one with at least two classes of pictures.")
    given = getattr(data, "targets", None)
    if given is None or len(given) != len(data):
        given = [_label(data, index, name) for index in range(len(data))]
    raw = np.asarray([int(label) for label in given], np.int64)
    names = getattr(data, "classes", None)
    if names is None or raw.min() < 0 or raw.max() >= len(names):
        values, labels = np.unique(raw, return_inverse=True)
        names = [str(value) for value in values]
    else:
        labels = raw
    digits = len(str(len(data) - 1))
    return DatasetSource(
        name=name,
        classes=tuple(str(item) for item in names),
        ids=tuple(f"{index:0{digits}d}" for index in range(len(data))),
        labels=labels.astype(np.int32),
        data=data,
    )


def _label(data: Any, index: int, name: str) -> int:
    try:
        _, label = data[index]
        return int(label)
    except (TypeError, ValueError) as error:
        raise CurvauditError(
            f"Item {index} of the data set {name} is not (image, integer label): {error}.",
            "Wrap the data set so that it gives (PIL image or tensor, int).",
        ) from error
