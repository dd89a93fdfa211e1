"""All splits of a source as one: no source of its own, but what `sources.load_all` makes of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL.Image import Image

from ..records import Skipped
from .interface import Source


@dataclass
class JoinedSource:
    """See `Source`. Ids begin with the split, `test: rose/a.jpg`; the column `split` names it too."""

    name: str
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    labels: np.ndarray  # (N,) int32
    skipped: tuple[Skipped, ...]
    parts: tuple[Source, ...]
    starts: np.ndarray  # (S,) int64, first row of each part
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def open(self, index: int) -> Image:
        """See `Source.open`."""
        part, row = self._place(index)
        return part.open(row)

    def encoded(self, index: int) -> bytes | Path | None:
        """See `Source`."""
        part, row = self._place(index)
        read = getattr(part, "encoded", None)
        return read(row) if read is not None else None

    def _place(self, index: int) -> tuple[Source, int]:
        part = int(np.searchsorted(self.starts, index, side="right")) - 1
        return self.parts[part], index - int(self.starts[part])


def join(name: str, parts: Sequence[tuple[str, Source]]) -> JoinedSource:
    """(split, source) as one source; classes are the same where their names are."""
    classes = tuple(dict.fromkeys(label for _, part in parts for label in part.classes))
    number = {label: place for place, label in enumerate(classes)}
    labels = [np.array([number[label] for label in part.classes], np.int32)[part.labels] for _, part in parts]
    sizes = [len(part.ids) for _, part in parts]
    return JoinedSource(
        name=name,
        classes=classes,
        ids=tuple(f"{split}: {identity}" for split, part in parts for identity in part.ids),
        labels=np.concatenate(labels),
        skipped=tuple(replace(item, id=f"{split}: {item.id}") for split, part in parts for item in part.skipped),
        parts=tuple(part for _, part in parts),
        starts=np.cumsum([0, *sizes[:-1]], dtype=np.int64),
        columns={"split": tuple(split for split, part in parts for _ in part.ids)},
    )
