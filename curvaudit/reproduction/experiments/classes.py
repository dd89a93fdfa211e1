"""Figures 3, 9, 10, 12, 16 and 17: the pictures of each class with the lowest and the highest curvature."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import CurvauditError
from ...records import Report
from ...reporting import report
from .. import plots
from ..result import Cell, Figure, Outcome, Table
from . import paper, runs
from .interface import SOURCES, Experiment, Settings
from .runs import Chosen
from .wording import beside

EACH = 10  # lowest and highest of a class
CLASSES = 10  # that a figure shows; the table has all
_SMALL = 2000


@dataclass(frozen=True)
class Extremes:
    """Of one class, by curvature: rows from the lowest up, and from the highest down."""

    label: int
    count: int
    lowest: np.ndarray  # (m,) m = min(EACH, half of the class)
    highest: np.ndarray  # (m,)


def extremes(made: Report) -> list[Extremes]:
    """Every class that has at least two samples.

    Many easy pictures have a curvature of 0, as `fast` does not probe where the loss is below its bound; a report puts
    them in the order of their loss.
    """
    found = []
    for label in np.unique(made.samples.labels).tolist():
        mine = made.order[made.samples.labels[made.order] == label]  # from the highest down
        some = min(EACH, len(mine) // 2)
        if some:
            found.append(Extremes(label, len(mine), mine[::-1][:some], mine[:some]))
    return found


def run(settings: Settings) -> Outcome:
    """Read or train: the training split, and a second split with a network of its own (appendix E)."""
    if settings.from_runs:
        chosen = runs.opened(settings.from_runs)
    else:
        name = runs.only(settings, "mnist")
        count = settings.count(_SMALL)
        first, split = runs.with_validation(settings, name, count)
        for labels, title in ((first.labels, first.name), (first.splits[split].labels, f"{name}, {split}")):
            _require_pairs(labels, title)  # before hours of training, though what cannot be read is not known yet
        told = {} if settings.small else {"preset": paper.preset(name)}
        chosen = runs.trained(settings, first, "classes", weight_decay=0.0, seed=settings.seed, **told)
        second = first.splits[split]
        chosen += runs.trained(settings, second, f"classes-{split}", weight_decay=0.0, seed=settings.seed, **told)
    tables, figures, sentences = [], [], []
    for number, one in enumerate(chosen):
        made = report(one.run, training=one.training.index)
        title = f"{one.run.info.source}, {one.name}"
        _require_pairs(made.samples.labels, title)
        found = extremes(made)
        tables.append(_table(made, found, title, number))
        figures.append(_figure(settings, one, made, found, title, number))
        sentences.append(_sentence(made, found, title))
    caveats = tuple(dict.fromkeys(text for one in chosen for text in one.caveats()))
    return Outcome(tuple(sentences), tuple(tables), tuple(figures), caveats, tuple(one.described() for one in chosen))


def _require_pairs(labels: np.ndarray, title: str) -> None:
    """Raise CurvauditError unless a class has a picture for each of its two ends."""
    if np.bincount(labels).max(initial=0) < 2:
        raise CurvauditError(
            f"{title}: no class has two pictures, the flattest and the most sharply curved one.",
            "Give more --samples, or a --validation SPLIT or run files (--from) that have more.",
        )


def _flagged(made: Report, rows: np.ndarray) -> int:
    return int((made.suggested[rows] >= 0).sum())


def _sentence(made: Report, found: list[Extremes], title: str) -> str:
    highest, lowest = (np.concatenate([getattr(one, end) for one in found]) for end in ("highest", "lowest"))
    values = made.scores["curvature"]
    if not (values[highest] > 0).any():
        return f"{title}: the curvature of every picture is 0; those at the right have the largest loss."
    high, low = float(np.median(values[highest])), float(np.median(values[lowest]))
    flagged = int((made.suggested >= 0).sum())
    return (
        f"{title}: the median curvature of the {EACH} highest of each class is "
        f"{beside(high, low, f'that of the {EACH} lowest')}; of the {flagged} pictures with a likelier label (CA201) "
        f"{_flagged(made, highest)} are among the highest and {_flagged(made, lowest)} among the lowest."
    )


def _table(made: Report, found: list[Extremes], title: str, number: int) -> Table:
    values, samples = made.scores["curvature"], made.samples
    rows: list[tuple[Cell, ...]] = [
        (
            samples.classes[one.label], one.count,
            float(np.median(values[samples.labels == one.label])),
            float(np.median(values[one.lowest])), float(np.median(values[one.highest])), _flagged(made, one.highest),
            " ".join(str(row) for row in one.highest.tolist()), " ".join(str(row) for row in one.lowest.tolist()),
        )
        for one in found
    ]  # fmt: skip
    return Table(
        f"classes-{number}",
        f"{title}: each class",
        ("", "pictures", "median curvature", f"median of the {EACH} lowest", f"median of the {EACH} highest",
         "of these CA201", "rows of the highest", "rows of the lowest"),
        tuple(rows),
        "The paper shows these pictures and gives no numbers.",
        long=len(rows) > 12,
    )  # fmt: skip


def _figure(settings: Settings, one: Chosen, made: Report, found: list[Extremes], title: str, number: int) -> Figure:
    found = found[:CLASSES]
    rows = [row for one in found for row in (*one.lowest.tolist(), *one.highest.tolist())]
    told = {row: plots.Picture(None, "", int(made.suggested[row]) >= 0) for row in rows}
    shown = dict(zip(rows, runs.pictures(settings, one.run, rows, told), strict=True))
    sheet = []
    for each in found:
        low, high = ([shown[row] for row in part.tolist()] for part in (each.lowest, each.highest))
        fill: list[plots.Picture | None] = [None] * (EACH - len(low))
        sheet.append([*low, *fill, None, *high, *fill])
    figure = plots.sheet(sheet, [made.samples.classes[each.label] for each in found])
    return Figure(
        f"classes-{number}",
        f"Figures 3, 9, 10, 12, 16 and 17: lowest curvature at the left, highest at the right, {title}. A red dot: the "
        "network preferred another label (CA201).",
        f"{sum(_flagged(made, each.highest) for each in found)} of the pictures at the right have a red dot.",
        figure,
    )


EXPERIMENT = Experiment(
    name="classes",
    title="The flattest and the most sharply curved pictures of each class",
    paper="Figures 3, 9, 10, 12, 16 and 17: in each class the pictures of lowest curvature are typical, those of "
    "highest curvature rare, ambiguous or mislabelled; in training sets and, with a network of their own, in "
    "validation sets.",
    takes=SOURCES | {"from_runs", "validation"},
    run=run,
)
