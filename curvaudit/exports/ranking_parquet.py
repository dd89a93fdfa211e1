"""`ranking.parquet`: the table of `ranking.csv` with types."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from ..extras import need
from ..records import Report
from ..utf8 import valid


def render(report: Report) -> bytes:
    """One row per sample, from rank 1 down.

    Columns `rank`, `index` (int64), `id`, `label` (text), `score` (float32), `suggested_label`
    (text, null where there is none), `rules` (text, ids separated by spaces), one float32 column for
    each score (null where it was not measured), where several seeds were trained `rank_best` and `rank_worst`
    (int64), where the run holds features `neighbours` (list of int64) and `neighbours_alike` (float32), null
    where they were not looked for, and text columns `meta:NAME` for the further columns
    of a manifest. Names stand as they are, without the apostrophes that keep the CSV inert.

    Raises
    ------
    CurvauditError
        pyarrow is not installed.
    """
    pa = need("pyarrow", "parquet", "The format parquet")
    pq = need("pyarrow.parquet", "parquet", "The format parquet")
    order = report.order  # (N,) rows from rank 1 down
    samples = report.samples
    suggested = [int(row) for row in report.suggested[order]]
    unmeasured = np.full(len(samples), np.nan)

    def numbers(values: np.ndarray) -> object:
        return pa.array(np.asarray(values, np.float32)[order], from_pandas=True)  # NaN becomes null

    columns = {
        "rank": pa.array(np.asarray(report.rank, np.int64)[order]),
        "index": pa.array(np.asarray(order, np.int64)),
        "id": pa.array([valid(samples.ids[row]) for row in order], pa.string()),
        "label": pa.array([valid(report.label(row)) for row in order], pa.string()),
        "score": numbers(report.scores.get(report.rank_by, unmeasured)),
        "suggested_label": pa.array(
            [valid(samples.classes[row]) if row >= 0 else None for row in suggested], pa.string()
        ),
        "rules": pa.array([" ".join(report.rules_of(int(row))) for row in order], pa.string()),
        **{name: numbers(values) for name, values in report.scores.items()},
        **_spread(report, pa),
        **_neighbours(report, pa),
        **{
            f"meta:{name}": pa.array([valid(texts[row]) for row in order], pa.string())
            for name, texts in samples.columns.items()
        },
    }
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def _spread(report: Report, pa: Any) -> dict[str, Any]:
    stable = report.stability
    if stable is None:
        return {}
    each = (("rank_best", stable.best), ("rank_worst", stable.worst))
    return {name: pa.array(np.asarray(ranks, np.int64)[report.order]) for name, ranks in each}


def _neighbours(report: Report, pa: Any) -> dict[str, Any]:
    near, labels, rows = report.neighbours, report.samples.labels, report.order.tolist()
    if near is None:
        return {}
    return {
        "neighbours": pa.array([near.of(row) or None for row in rows], pa.list_(pa.int64())),
        "neighbours_alike": pa.array([near.alike(row, labels) for row in rows], pa.float32()),
    }
