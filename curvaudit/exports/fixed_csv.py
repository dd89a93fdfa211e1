"""`fixed.csv`: the data set as a manifest, with a reviewer's decisions applied."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..decisions import Decision
from ..records import Samples
from ..text.csv_rows import Rows
from ..text.utf8 import encoded

_HEADS = ("path", "label", "split")  # what a manifest is read by
_ESCAPE = re.compile(r"\\x[89a-f][0-9a-f]")  # what a source makes of a byte that is not UTF-8


@dataclass(frozen=True)
class Fixed:
    """The manifest, and what was changed in it."""

    content: bytes
    kept: int  # rows that are written
    dropped: int
    relabelled: int
    unsolved: tuple[str, ...]  # ids with a wrong label whose right one was not named; left as they are
    new_classes: tuple[str, ...]  # labels that no picture of the data set had
    escaped: tuple[str, ...]  # written paths that hold `\\xff`: of files in a folder, names that are not UTF-8


def render(samples: Samples, decisions: Mapping[int, Decision]) -> Fixed:
    """Columns `path,label` and the further columns of the manifest that was scanned, in its order.

    Paths and labels stand verbatim, since the file is for programs: `curvaudit scan` reads it, where
    paths are relative to its folder. Rows without a decision, and those decided fine or ambiguous,
    are unchanged. A further column called `path`, `label` or `split` becomes `meta:path` and so on, as in
    `ranking.csv`: a scan would take it for the one that it goes by.
    """
    buffer = io.StringIO()
    writer = Rows(buffer)
    further = samples.further
    writer.write_exactly([*_HEADS[:2], *_further_heads(list(further))])
    kept = dropped = relabelled = 0
    unsolved: list[str] = []
    escaped: list[str] = []
    new_classes: dict[str, None] = {}
    for row, path in enumerate(samples.paths):
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
        if _ESCAPE.search(path):
            escaped.append(path)
        writer.write_exactly([path, label, *(texts[row] for texts in further.values())])
    return Fixed(
        encoded(buffer.getvalue()),
        kept,
        dropped,
        relabelled,
        tuple(unsolved),
        tuple(new_classes),
        tuple(escaped),
    )


def _further_heads(names: list[str]) -> list[str]:
    """The names, with `meta:` in front as often as it takes to be no head of ours and no other's."""
    heads: list[str] = []
    for place, name in enumerate(names):
        others = [*_HEADS, *heads, *(other.strip() for other in names[place + 1 :])]
        head = name.strip()  # as a scan reads it
        while head in others or head.lower() in _HEADS:
            head = f"meta:{head}"
        heads.append(head)
    return heads
