"""A source whose pictures are opened by number: what manifests, arrays, tables and archives become."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL.Image import Image

from ..records import Skipped
from .labelling import Labelling
from .naming import made_unique


@dataclass
class ListedSource:
    """See `Source`. `opener` gets the position in the list as it was read."""

    name: str
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    labels: np.ndarray  # (N,) int32
    skipped: tuple[Skipped, ...]
    positions: np.ndarray  # (N,) int64
    opener: Callable[[int], Image]
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # name -> N texts
    lines: np.ndarray | None = None  # (N,) int32

    def open(self, index: int) -> Image:
        """See `Source.open`."""
        return self.opener(int(self.positions[index]))


def listed(
    name: str,
    ids: Sequence[str],
    labelling: Labelling,
    opener: Callable[[int], Image],
    *,
    skipped: Sequence[Skipped] = (),
    columns: Mapping[str, Sequence[str]] | None = None,
    lines: Sequence[int] | None = None,
) -> ListedSource:
    """A source of everything that has a label; what has none is skipped, with the reason.

    Parameters
    ----------
    ids:
        N names; made unique here.
    opener:
        Decodes the picture at a position from 0 to N − 1; raises UnreadableImage. Called from
        several threads.
    """
    unique = made_unique(ids)
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
        columns={column: tuple(texts[i] for i in positions) for column, texts in (columns or {}).items()},
        lines=None if lines is None else np.asarray(lines, np.int32)[positions],
    )
