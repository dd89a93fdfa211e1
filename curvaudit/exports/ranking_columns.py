"""The ranking as a table: what `ranking.csv`, `ranking.parquet` and `Report.to_pandas` have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..records import Report

Kind = Literal["whole", "number", "text", "rows"]


@dataclass(frozen=True)
class Column:
    """One value for each sample, from rank 1 down."""

    name: str
    kind: Kind
    values: np.ndarray | Sequence[Any]  # (N,); where there is none, a number is NaN, a text or a list of rows None


def columns(report: Report) -> Iterator[Column]:
    """`rank,index,id,label,score,suggested_label,rules`, then one for each score, `rank_best,rank_worst` where several
    seeds were trained, `neighbours,neighbours_alike` where the run holds features, and `meta:NAME` for each further
    column of the manifest.

    `neighbours` are the rows that lie nearest to the network, nearest first, of the samples that the report
    shows; `neighbours_alike` is the share of them that carries the sample's own label.
    """
    order, samples, labels = report.order, report.samples, report.samples.labels
    rows = order.tolist()
    yield Column("rank", "whole", report.rank[order])
    yield Column("index", "whole", order)
    yield Column("id", "text", [samples.ids[row] for row in rows])
    yield Column("label", "text", _classes(samples.classes, labels[order]))
    yield Column("score", "number", report.score[order])
    yield Column("suggested_label", "text", _classes(samples.classes, report.suggested[order]))
    yield Column("rules", "text", [" ".join(report.rules_of(row)) for row in rows])
    for name, values in report.scores.items():
        yield Column(name, "number", values[order])
    if report.stability is not None:
        yield Column("rank_best", "whole", report.stability.best[order])
        yield Column("rank_worst", "whole", report.stability.worst[order])
    if (near := report.neighbours) is not None:
        yield Column("neighbours", "rows", [report.near(row) or None for row in rows])
        yield Column("neighbours_alike", "number", np.array([near.alike(row, labels) for row in rows], float))
    for name, texts in samples.columns.items():
        yield Column(f"meta:{name}", "text", [texts[row] for row in rows])


def _classes(classes: Sequence[str], numbers: np.ndarray) -> list[str | None]:
    return [classes[number] if number >= 0 else None for number in numbers.tolist()]
