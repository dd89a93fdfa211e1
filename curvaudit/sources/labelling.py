"""From the labels that a file gives to class names and numbers, the same way for every format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..text.utf8 import valid
from .naming import made_unique


@dataclass(frozen=True)
class Labelling:
    """N labels as numbers, and why some have none."""

    classes: tuple[str, ...]
    rows: np.ndarray  # (N,) int32, index into classes, -1 where there is no usable label
    reasons: dict[int, str]  # position -> why it has none

    def only(self, positions: Sequence[int]) -> Labelling:
        """Of these positions, in this order; the classes stay all."""
        reasons = {new: self.reasons[old] for new, old in enumerate(positions) if old in self.reasons}
        return Labelling(self.classes, self.rows[np.asarray(positions, np.int64)], reasons)


def label_all(given: Sequence[Any], names: Sequence[str] | None = None) -> Labelling:
    """Number the labels.

    Parameters
    ----------
    given:
        N texts, whole numbers or truth values; None, empty text and anything else is no label.
    names:
        Class names in the order of the format, where it carries them: a number is then an index
        into them, a text one of them.

    Notes
    -----
    Without names the classes are the distinct labels: whole numbers by value, text by its
    characters, as torchvision and scikit-learn order them. Numbers beside text count as text. Truth values
    are the texts `false` and `true`; with names they are 0 and 1.
    """
    reasons: dict[int, str] = {}
    values: list[str | int | None] = []
    for position, item in enumerate(given):
        value, reason = _plain(item, named=names is not None)
        values.append(value)
        if reason:
            reasons[position] = reason
    if names is None:
        return _by_distinct(values, reasons)
    numbers = {name: number for number, name in reversed(list(enumerate(names)))}
    rows = np.full(len(values), -1, np.int32)
    for position, known in enumerate(values):
        if isinstance(known, int) and 0 <= known < len(names):
            rows[position] = known
        elif isinstance(known, str) and known in numbers:
            rows[position] = numbers[known]
        elif known is not None:
            reasons[position] = f"its label is not one of the {len(names)} classes: {known!r}"
    return Labelling(made_unique(names), rows, reasons)


def _by_distinct(values: Sequence[str | int | None], reasons: dict[int, str]) -> Labelling:
    there = {value for value in values if value is not None}
    if any(isinstance(value, str) for value in there):
        classes: list[Any] = sorted({str(value) for value in there})
        numbers = {name: number for number, name in enumerate(classes)}
        rows = [-1 if value is None else numbers[str(value)] for value in values]
    else:
        classes = sorted(there)
        numbers = {value: number for number, value in enumerate(classes)}
        rows = [-1 if value is None else numbers[value] for value in values]
    return Labelling(tuple(str(name) for name in classes), np.array(rows, np.int32), reasons)


def _plain(item: Any, named: bool) -> tuple[str | int | None, str]:
    """(label, why there is none)."""
    if isinstance(item, np.generic):
        item = item.item()
    if isinstance(item, bytes):
        item = item.decode("utf-8", "backslashreplace")
    if item is None or item == "" or item != item:  # NaN: a gap in a column of numbers
        return None, "it has no label"
    if isinstance(item, str):
        if "\0" in item:
            return None, "its label holds a NUL character"
        return valid(item), ""
    if isinstance(item, bool) and not named:
        return str(item).lower(), ""  # a bool is an int to Python, but nobody wrote 1 or 0
    if isinstance(item, float) and item.is_integer():
        return int(item), ""  # a column of whole numbers with gaps is often stored as floats
    if isinstance(item, int):
        return int(item), ""
    return None, f"its label is neither text nor a whole number, but {type(item).__name__}"
