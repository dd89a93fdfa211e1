"""Some rows of a source, as a source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..records import Skipped
from .interface import Source

if TYPE_CHECKING:
    from PIL.Image import Image

ROW = "source_row"  # further column: the row in the source that a sample came from


@dataclass(frozen=True)
class Subset:
    """`rows` (n,) of `source`. The column `source_row` keeps where each came from, in the run file, too."""

    source: Source
    rows: np.ndarray  # (n,) int64, ascending
    splits: Mapping[str, Source] = field(default_factory=dict)  # other splits by name, see `opened`
    skipped: tuple[Skipped, ...] = ()

    @property
    def name(self) -> str:
        """As the source is shown, and how much of it this is."""
        return f"{self.source.name} ({len(self.rows)} of {len(self.source.ids)})"

    @property
    def classes(self) -> tuple[str, ...]:
        """Of the source, used here or not."""
        return self.source.classes

    @property
    def ids(self) -> tuple[str, ...]:
        """Of the rows."""
        return tuple(self.source.ids[row] for row in self.rows.tolist())

    @property
    def labels(self) -> np.ndarray:
        """(n,) int32"""
        return np.asarray(self.source.labels, np.int32)[self.rows]

    @property
    def columns(self) -> dict[str, tuple[str, ...]]:
        """What the source says, and `source_row`."""
        given = getattr(self.source, "columns", None) or {}
        kept = {name: tuple(texts[row] for row in self.rows.tolist()) for name, texts in given.items()}
        return {**kept, ROW: tuple(str(row) for row in self.rows.tolist())}

    def open(self, index: int) -> Image:
        """See `Source.open`."""
        return self.source.open(int(self.rows[index]))


def draw(source: Source, count: int | None, seed: int, splits: Mapping[str, Source] | None = None) -> Subset:
    """`count` rows by lot, the same share of each class as far as it goes; all of them for None.

    By lot, not the first ones: a folder lists one class after the other.
    """
    labels = np.asarray(source.labels)
    total = len(labels)
    if count is None or count >= total:
        return Subset(source, np.arange(total), splits or {}, source.skipped)
    random = np.random.default_rng([seed, count])
    shuffled = random.permutation(total)
    # Place of each row inside its class as a share of the class: the smallest shares are an equal part of each.
    place = np.empty(total)
    for label in np.unique(labels):
        mine = shuffled[labels[shuffled] == label]
        place[mine] = (np.arange(len(mine)) + random.random()) / len(mine)
    return Subset(source, np.sort(np.argsort(place, kind="stable")[:count]), splits or {})
