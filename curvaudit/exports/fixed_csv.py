"""`fixed.csv`: the data set as a manifest, with a reviewer's decisions applied."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass

from ..decisions import Decision
from ..records import Samples
from .rows import Rows


@dataclass(frozen=True)
class Fixed:
    """The manifest, and what was changed in it."""

    content: bytes
    kept: int  # rows that are written
    dropped: int
    relabelled: int
    unsolved: tuple[str, ...]  # ids with a wrong label whose right one was not named; left as they are
    new_classes: tuple[str, ...]  # labels that no picture of the data set had


def render(samples: Samples, decisions: Mapping[int, Decision]) -> Fixed:
    """Columns `path,label` and the further columns of the manifest that was scanned, in its order.

    Paths and labels stand verbatim, since the file is for programs: `curvaudit scan` reads it, where
    paths are relative to its folder. Rows without a decision, and those decided fine or ambiguous,
    are unchanged.
    """
    buffer = io.StringIO()
    writer = Rows(buffer)
    # Where a manifest named one path twice, ids are not paths and the paths are a column.
    paths = samples.columns.get("path", samples.ids)
    further = {name: texts for name, texts in samples.columns.items() if name not in ("path", "label")}
    writer.writerow(["path", "label", *further])
    kept = dropped = relabelled = 0
    unsolved: list[str] = []
    new_classes: dict[str, None] = {}
    for row, path in enumerate(paths):
        label = samples.classes[int(samples.labels[row])]
        decision = decisions.get(row)
        if decision is not None and decision.decision == "drop":
            dropped += 1
            continue
        if decision is not None and decision.decision == "wrong-label":
            if decision.new_label is None:
                unsolved.append(samples.ids[row])
            elif decision.new_label != label:
                relabelled += 1
                label = decision.new_label
                if label not in samples.classes:
                    new_classes[label] = None
        kept += 1
        writer.writerow([path, label, *(texts[row] for texts in further.values())])
    return Fixed(
        buffer.getvalue().encode("utf-8", "backslashreplace"),
        kept,
        dropped,
        relabelled,
        tuple(unsolved),
        tuple(new_classes),
    )
