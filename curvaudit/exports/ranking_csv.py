"""`ranking.csv`: one row per sample, from rank 1 down."""

from __future__ import annotations

import io

import numpy as np

from ..records import Neighbours, Report
from ..spreadsheet import inert
from ..utf8 import encoded
from .rows import Rows

_COLUMNS = ("rank", "index", "id", "label", "score", "suggested_label", "rules")
_BLOCK = 10_000  # rows whose numbers are formatted together


def render(report: Report) -> bytes:
    """Columns `rank,index,id,label,score,suggested_label,rules`, one per score, `rank_best,rank_worst`
    where several seeds were trained, `neighbours,neighbours_alike` where the run holds features, and
    `meta:NAME` for each further column of the manifest.

    `neighbours` are the indices of the pictures that lie nearest to the network, nearest first, of the samples
    that the report shows; `neighbours_alike` is the share of them that carries the sample's own label.

    UTF-8, lines end in `\\n`, an unmeasured score is an empty field, numbers are the shortest
    text that gives the same float32 back. `rules` are ids separated by spaces.

    A spreadsheet runs text that starts with `=`, `+`, `-`, `@`, a tab or a line break as a formula.
    Ids and class names come from whoever named the files, so such text gets an apostrophe in front:
    strip one leading apostrophe before comparing ids with file names.
    """
    buffer = io.StringIO()
    writer = Rows(buffer)
    names = list(report.scores)
    further = report.samples.columns
    stable = report.stability
    spread = [] if stable is None else [("rank_best", stable.best), ("rank_worst", stable.worst)]
    scored = [*(inert(name) for name in names), *(name for name, _ in spread)]
    near = report.neighbours
    beside = () if near is None else ("neighbours", "neighbours_alike")
    writer.writerow([*_COLUMNS, *scored, *beside, *(f"meta:{name}" for name in further)])
    unmeasured = np.full(len(report.samples), np.nan)
    columns = [report.scores.get(report.rank_by, unmeasured), *(report.scores[name] for name in names)]
    classes = [inert(name) for name in report.samples.classes]
    for start in range(0, len(report.order), _BLOCK):
        rows = report.order[start : start + _BLOCK]
        numbers = zip(*(_numbers(column[rows]) for column in columns), strict=True)
        for row, (score, *scores) in zip(rows.tolist(), numbers, strict=True):
            better = int(report.suggested[row])
            writer.writerow(
                [
                    int(report.rank[row]),
                    row,
                    inert(report.samples.ids[row]),
                    classes[int(report.samples.labels[row])],
                    score,
                    classes[better] if better >= 0 else "",
                    " ".join(report.rules_of(row)),
                    *scores,
                    *(int(ranks[row]) for _, ranks in spread),
                    *(() if near is None else _beside(near, report.samples.labels, row)),
                    *(inert(texts[row]) for texts in further.values()),
                ]
            )
    return encoded(buffer.getvalue())


def _beside(near: Neighbours, labels: np.ndarray, row: int) -> tuple[str, str]:
    """The two columns on neighbours; empty where they were not looked for."""
    alike = near.alike(row, labels)
    return ("", "") if alike is None else (" ".join(map(str, near.of(row))), f"{alike:.4g}")


def _numbers(values: np.ndarray) -> list[str]:
    """(n,) as text: scores are logged in float32, more digits would be invented."""
    with np.errstate(over="ignore"):
        texts = np.asarray(values, np.float32).astype(str).tolist()
    return ["" if text == "nan" else text for text in texts]
