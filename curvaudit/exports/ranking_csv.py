"""`ranking.csv`: one row per sample, from rank 1 down."""

from __future__ import annotations

import io

import numpy as np

from ..records import Report
from ..text.csv_rows import Rows
from ..text.spreadsheet import inert
from ..text.utf8 import encoded
from .ranking_columns import Column, columns

_BLOCK = 10_000  # rows that are text at the same time


def render(report: Report) -> bytes:
    """The columns of `ranking_columns.columns`.

    UTF-8, lines end in `\\n`, an unmeasured score is an empty field, numbers are the shortest
    text that gives the same float32 back. `rules` and `neighbours` are separated by spaces.

    A spreadsheet runs text that starts with `=`, `+`, `-`, `@`, a tab or a line break as a formula.
    Ids and class names come from whoever named the files, so such text gets an apostrophe in front:
    strip one leading apostrophe before comparing ids with file names.
    """
    buffer = io.StringIO()
    writer = Rows(buffer)
    table = list(columns(report))
    writer.writerow([inert(column.name) for column in table])
    for start in range(0, len(report.order), _BLOCK):
        for row in zip(*(_texts(column, slice(start, start + _BLOCK)) for column in table), strict=True):
            writer.writerow(row)
    return encoded(buffer.getvalue())


def _texts(column: Column, rows: slice) -> list[str]:
    values = column.values[rows]
    if column.kind == "text":
        return ["" if value is None else inert(value) for value in values]
    if column.kind == "rows":
        return ["" if value is None else " ".join(map(str, value)) for value in values]
    if column.kind == "whole":
        return [str(value) for value in values]
    with np.errstate(over="ignore"):  # scores are logged in float32, more digits would be invented
        texts: list[str] = np.asarray(values, np.float32).astype(str).tolist()
    return ["" if text == "nan" else text for text in texts]
