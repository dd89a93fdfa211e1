"""`ranking.csv`: one row per sample, from rank 1 down."""

from __future__ import annotations

import csv
import io

import numpy as np

from ..records import Report

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def render(report: Report) -> bytes:
    """Columns `rank,index,id,label,score,suggested_label,rules` and one per score, UTF-8.

    Text that a spreadsheet would run as a formula gets an apostrophe in front.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    names = list(report.scores)
    writer.writerow(["rank", "index", "id", "label", "score", "suggested_label", "rules", *names])
    ranked = report.scores[report.rank_by]
    for place, row in enumerate(report.order.tolist(), 1):
        better = int(report.suggested[row])
        writer.writerow(
            [
                place,
                row,
                _inert(report.samples.ids[row]),
                _inert(report.label(row)),
                _number(ranked[row]),
                _inert(report.samples.classes[better]) if better >= 0 else "",
                " ".join(report.rules_of(row)),
                *(_number(report.scores[name][row]) for name in names),
            ]
        )
    return buffer.getvalue().encode("utf-8", "backslashreplace")


def _inert(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.9g}"
