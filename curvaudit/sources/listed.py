"""A source whose pictures are opened by number: what manifests, arrays, tables and archives become."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL.Image import Image

from ..pictures import images
from ..records import PATHS, Skipped
from .labelling import Labelling
from .naming import made_unique

Encoded = bytes | Path


@dataclass
class ListedSource:
    """See `Source`. `opener` and `reader` get the position in the list as it was read."""

    name: str
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    labels: np.ndarray  # (N,) int32
    skipped: tuple[Skipped, ...]
    positions: np.ndarray  # (N,) int64
    opener: Callable[[int], Image]
    reader: Callable[[int], Encoded] | None  # None: the pictures lie as pixels
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # name -> N texts
    lines: np.ndarray | None = None  # (N,) int32

    def open(self, index: int) -> Image:
        """See `Source.open`."""
        return self.opener(int(self.positions[index]))

    def encoded(self, index: int) -> Encoded | None:
        """See `Source`."""
        return None if self.reader is None else self.reader(int(self.positions[index]))


def listed(
    name: str,
    ids: Sequence[str],
    labelling: Labelling,
    opener: Callable[[int], Image] | None = None,
    *,
    reader: Callable[[int], Encoded] | None = None,
    skipped: Sequence[Skipped] = (),
    columns: Mapping[str, Sequence[str]] | None = None,
    lines: Sequence[int] | None = None,
    ids_are_paths: bool = False,
) -> ListedSource:
    """A source of everything that has a label; what has none is skipped, with the reason.

    Parameters
    ----------
    ids:
        N names; made unique here.
    opener, reader:
        One of them: the picture at a position from 0 to N − 1, or what it is encoded in (bytes, or their
        file); raises UnreadableImage. Called from several threads.
    ids_are_paths:
        Those that are made unique are kept as they were, too: in the column `PATHS`, whose name no other has.
    """
    if opener is None:
        read = reader
        assert read is not None, "a source without a way to its pictures"

        def opener(position: int) -> Image:
            return images.decode(read(position))

    unique = made_unique(ids)
    heads = made_unique([PATHS, *(columns or {})])[1:]
    kept = dict(zip(heads, (columns or {}).values(), strict=True))
    if ids_are_paths and unique != tuple(ids):
        kept = {PATHS: ids, **kept}
    positions = np.flatnonzero(labelling.rows >= 0).tolist()
    left_out = [Skipped(unique[position], reason) for position, reason in sorted(labelling.reasons.items())]
    return ListedSource(
        name=name,
        classes=labelling.classes,
        ids=tuple(unique[i] for i in positions),
        labels=labelling.rows[positions],
        skipped=(*skipped, *left_out),
        positions=np.array(positions, np.int64),
        opener=opener,
        reader=reader,
        columns={column: tuple(texts[i] for i in positions) for column, texts in kept.items()},
        lines=None if lines is None else np.asarray(lines, np.int32)[positions],
    )
