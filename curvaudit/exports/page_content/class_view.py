"""How the classes fare: which look badly annotated, and which are taken for which."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from ...records import Report
from ...rules import CONFLICTS
from . import svg

_LARGEST = 16  # rows and columns of the heat map
_LISTED = 200  # classes in the table
_MANY = 3  # suspicious pictures; fewer may be chance
_TIMES = 2.0  # the share of the whole set; above it a class looks badly annotated
_FEW = 0.5  # times the pictures of the median class
_HARD = 0.4  # the middle picture of the class ranks in this share of all
_SHADES = 5


@dataclass(frozen=True)
class ClassRow:
    """One class in the table."""

    name: str
    count: int
    better: int  # pictures with a suggested label
    conflicts: int  # pictures that stand under another label too
    missed: int  # pictures still wrong at the end
    share: float  # of pictures with a better label or a conflict
    bad: bool  # looks badly annotated
    few: bool  # looks under-sampled
    spread: Markup  # distribution of the ranking score


@dataclass(frozen=True)
class Cell:
    """Pictures labelled one way and taken for another."""

    count: int
    shade: int  # 0 to 5


@dataclass(frozen=True)
class HeatMap:
    """Given labels (rows) against suggested ones (columns)."""

    given: list[str]
    suggested: list[str]
    cells: list[list[Cell]]
    left_out: int  # pictures of pairs beyond its size


def heat_map(report: Report) -> HeatMap | None:
    """Only classes that take part in a suggestion, most frequent first; None without any.

    Bounded to 16 classes.
    """
    rows = np.flatnonzero(report.suggested >= 0)
    if len(rows) == 0:
        return None
    pairs = Counter(zip(report.samples.labels[rows].tolist(), report.suggested[rows].tolist(), strict=True))
    involved = Counter(report.samples.labels[rows].tolist()) + Counter(report.suggested[rows].tolist())
    largest = [label for label, _ in involved.most_common(_LARGEST)]
    # One order for both, so that a confusion and its reverse mirror each other.
    given = [a for a in largest if any(pairs[a, b] for b in largest)]
    suggested = [b for b in largest if any(pairs[a, b] for a in largest)]
    most = max(pairs.values())
    cells = [[_cell(pairs[a, b], most) for b in suggested] for a in given]
    inside = sum(cell.count for line in cells for cell in line)
    names = report.samples.classes
    return HeatMap([names[a] for a in given], [names[b] for b in suggested], cells, len(rows) - inside)


def class_rows(report: Report) -> list[ClassRow]:
    """Every class with pictures, the most suspicious share first."""
    classes = report.samples.classes
    labels = report.samples.labels
    counts = np.bincount(labels, minlength=len(classes))
    better = report.suggested >= 0
    conflict = _named(report, CONFLICTS)
    missed = _named(report, ("CA203",))
    suspicious = np.bincount(labels[better | conflict], minlength=len(classes))
    overall = suspicious.sum() / max(1, len(labels))
    values = np.asarray(report.score, float)
    few = _under_sampled(report, counts)
    order = np.argsort(-suspicious / np.maximum(counts, 1), kind="stable")
    order = order[counts[order] > 0][:_LISTED]
    found = []
    for label, drawing in zip(order.tolist(), _spreads(values, labels, order), strict=True):
        mine = labels == label
        share = float(suspicious[label] / counts[label])
        found.append(
            ClassRow(
                name=classes[label],
                count=int(counts[label]),
                better=int((mine & better).sum()),
                conflicts=int((mine & conflict).sum()),
                missed=int((mine & missed).sum()),
                share=share,
                few=bool(few[label]),
                bad=bool(suspicious[label] >= _MANY and share >= _TIMES * overall),
                spread=Markup(drawing),
            )
        )
    return found


def _under_sampled(report: Report, counts: np.ndarray) -> np.ndarray:
    """(K,) bool: few pictures, and most of them rank above the middle, or a finding says so."""
    small = {finding.evidence.get("class") for finding in report.findings if finding.rule.id == "CA501"}
    few = np.array([name in small for name in report.samples.classes])
    if report.chosen_training is None or not counts.any():
        return few
    middle = np.median(counts[counts > 0])
    for label in np.flatnonzero((counts > 0) & (counts <= _FEW * middle)).tolist():
        few[label] |= np.median(report.rank[report.samples.labels == label]) < _HARD * len(report.rank)
    return few


def _named(report: Report, rules: tuple[str, ...]) -> np.ndarray:
    """(N,) bool: samples that a finding of one of the rules names."""
    found = np.zeros(len(report.samples), bool)
    for finding in report.findings:
        if finding.rule.id in rules:
            found[finding.rows] = True
    return found


def _spreads(values: np.ndarray, labels: np.ndarray, order: np.ndarray) -> list[str]:
    """One small drawing a class, all on the same axis."""
    usable = values[np.isfinite(values)]
    if len(usable) == 0:
        return [""] * len(order)
    log = bool((usable >= 0).all() and (usable > 0).mean() > 0.5)
    if log:  # a logarithm has no place for what was never probed: to the left end
        least = usable[usable > 0].min()
        values, usable = np.maximum(values, least), np.maximum(usable, least)
    low, high = np.percentile(usable, [1, 99]).tolist()  # single outliers would leave the rest no room
    axis = (low, high)
    return [svg.spread(values[labels == label], axis, log) for label in order.tolist()]


def _cell(count: int, most: int) -> Cell:
    return Cell(count, 0 if count == 0 else max(1, round(_SHADES * count / most)))
