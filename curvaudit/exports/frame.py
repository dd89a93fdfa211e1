"""A report as a pandas frame: `Report.to_pandas`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import CurvauditError
from ..records import Report

if TYPE_CHECKING:
    import pandas


def frame(report: Report) -> pandas.DataFrame:
    """See `Report.to_pandas`."""
    try:
        import pandas
    except ImportError as error:
        raise CurvauditError(
            "A pandas frame needs pandas, which is not installed.", "Install it with `pip install 'curvaudit[pandas]'`."
        ) from error
    order = report.order  # (N,)
    samples = report.samples
    suggested = report.suggested[order]
    unmeasured = np.full(len(samples), np.nan)
    table = {
        "rank": report.rank[order],
        "id": [samples.ids[row] for row in order.tolist()],
        "label": _classes(samples.classes, samples.labels[order]),
        "score": report.scores.get(report.rank_by, unmeasured)[order],
        "suggested_label": _classes(samples.classes, suggested),
        "rules": [" ".join(report.rules_of(row)) for row in order.tolist()],
        **{name: values[order] for name, values in report.scores.items()},
    }
    if report.stability is not None:
        table |= {"rank_best": report.stability.best[order], "rank_worst": report.stability.worst[order]}
    if report.neighbours is not None:
        near, labels = report.neighbours, samples.labels
        table["neighbours"] = [near.of(row) or None for row in order.tolist()]
        table["neighbours_alike"] = np.array([near.alike(row, labels) for row in order.tolist()], float)
    table |= {f"meta:{name}": [texts[row] for row in order.tolist()] for name, texts in samples.columns.items()}
    return pandas.DataFrame(table, index=pandas.Index(order, name="index"))


def _classes(classes: tuple[str, ...], numbers: np.ndarray) -> list[str | None]:
    return [classes[number] if number >= 0 else None for number in numbers.tolist()]
