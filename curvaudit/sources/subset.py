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


@dataclass
class Subset:
    """`rows` (n,) of `source`. The column `source_row` keeps where each came from, in the run file, too."""

    source: Source
    rows: np.ndarray  # (n,) int64, ascending
    splits: Mapping[str, Source] = field(default_factory=dict)  # other splits by name, see `opened`
    skipped: tuple[Skipped, ...] = ()
    name: str = field(init=False)
    classes: tuple[str, ...] = field(init=False)  # of the source, used here or not
    ids: tuple[str, ...] = field(init=False)
    labels: np.ndarray = field(init=False)  # (n,) int32
    columns: dict[str, tuple[str, ...]] = field(init=False)  # what the source says, and `source_row`

    def __post_init__(self) -> None:
        places = self.rows.tolist()
        self.name = f"{self.source.name} ({len(places)} of {len(self.source.ids)})"
        self.classes = tuple(self.source.classes)
        self.ids = tuple(self.source.ids[row] for row in places)
        self.labels = np.asarray(self.source.labels, np.int32)[self.rows]
        given = getattr(self.source, "columns", None) or {}
        self.columns = {name: tuple(texts[row] for row in places) for name, texts in given.items()}
        self.columns[ROW] = tuple(map(str, places))

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
