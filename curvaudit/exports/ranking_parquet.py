"""`ranking.parquet`: the table of `ranking.csv` with types."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from ..extras import need
from ..records import Report
from ..text.utf8 import valid
from .ranking_columns import Column, columns


def render(report: Report) -> bytes:
    """One row per sample, from rank 1 down.

    The columns of `ranking_columns.columns`: ranks and `index` as int64, scores and `neighbours_alike` as float32,
    `neighbours` as list of int64, all else as text; null where there is no value. Names stand as they are, without
    the apostrophes that keep the CSV inert.

    Raises
    ------
    CurvauditError
        pyarrow is not installed.
    """
    pa = need("pyarrow", "parquet", "The format parquet")
    pq = need("pyarrow.parquet", "parquet", "The format parquet")
    buffer = io.BytesIO()
    pq.write_table(pa.table({column.name: _array(pa, column) for column in columns(report)}), buffer)
    return buffer.getvalue()


def _array(pa: Any, column: Column) -> Any:
    if column.kind == "text":
        return pa.array([None if text is None else valid(text) for text in column.values], pa.string())
    if column.kind == "rows":
        return pa.array(column.values, pa.list_(pa.int64()))
    if column.kind == "whole":
        return pa.array(np.asarray(column.values, np.int64))
    return pa.array(np.asarray(column.values, np.float32), from_pandas=True)  # NaN becomes null
