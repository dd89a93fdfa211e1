"""Which charts the page shows, from a report's numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from ...records import Report
from ...scores import DERIVED
from . import svg


@dataclass(frozen=True)
class Chart:
    """One chart with its caption."""

    caption: str
    drawing: Markup
    legend: tuple[str, ...]  # names of the lines, in the order s0, s1; empty for one line
    note: str = ""
    brush: bool = False  # a histogram of the ranking score, whose pictures can be seen


def charts(report: Report) -> list[Chart]:
    """Histogram of the ranking score (figure 2 of the paper), then the training (figure 6)."""
    return [*_histograms(report), *_training(report)]


def unit_of(report: Report, score: str) -> str:
    """Unit of a score as logged or derived, "" where the run does not say."""
    training = report.chosen_training
    info = {**DERIVED, **training.measures}.get(score) if training else None
    return info.unit.replace("^2", "²") if info else ""


def _histograms(report: Report) -> list[Chart]:
    values = report.scores.get(report.rank_by)
    if values is None:
        return []
    values = np.asarray(values, float)
    unit = unit_of(report, report.rank_by)
    name = f"{report.rank_by}, {unit}" if unit else report.rank_by
    mark = None
    if 0 < report.top < len(report.order):
        mark = (float(values[report.order[report.top - 1]]), f"top {report.top}")
    found = [
        Chart(
            f"Distribution of {report.rank_by}",
            Markup(svg.histogram(f"Histogram of {report.rank_by}", name, values, mark)),
            (),
            brush=True,
        )
    ]
    positive = values[np.isfinite(values) & (values > 0)]
    if len(positive) > 0.5 * len(values) and svg.skewed(positive):
        left_out = int(np.isfinite(values).sum()) - len(positive)
        scale = f"log scale; {left_out:,} of 0 or less left out" if left_out else "log scale"
        drawing = svg.histogram(
            f"Histogram of {report.rank_by}, logarithmic", f"{name} ({scale})", positive, mark, log=True
        )
        found.append(Chart(f"The same, {report.rank_by} on a logarithmic scale", Markup(drawing), (), brush=True))
    return [chart for chart in found if chart.drawing]


def _training(report: Report) -> list[Chart]:
    training = report.chosen_training
    if training is None or training.epochs == 0:
        return []
    curves = training.curves
    curvature = unit_of(report, "curvature")
    plans: list[tuple[str, str, bool, list[tuple[str, np.ndarray]]]] = [
        (
            "Loss",
            "mean loss, nat (log scale)",
            True,
            [("training", curves.train_loss), ("validation", curves.val_loss)],
        ),
        (
            "Accuracy, memorized share",
            "share of pictures, %",
            False,
            [
                ("classified as labelled", 100 * curves.train_accuracy),
                ("memorized, of those that can be", 100 * report.memorized_share),
            ],
        ),
        (
            "Mean curvature",
            f"curvature, {curvature}" if curvature else "curvature",
            True,
            [("training", report.mean_curvature), ("validation", curves.val_curvature)],
        ),
    ]
    stable = report.stability
    note = f"Of the training with seed {training.seed}, one of {len(stable.seeds)}." if stable else ""
    found = []
    for caption, y_name, log, series in plans:
        drawn = [(name, y) for name, y in series if len(y) == training.epochs and np.isfinite(y).any()]
        text = svg.lines(f"{caption} over epochs", "epoch", y_name, curves.number, drawn, log=log)
        if text:
            legend = tuple(name for name, _ in drawn)
            found.append(Chart(f"{caption} over epochs", Markup(text), legend, note))
    return found
