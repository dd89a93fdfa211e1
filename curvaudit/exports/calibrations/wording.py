"""The words and tables that the page and the terminal share."""

from __future__ import annotations

from dataclasses import dataclass

from ...calibration.result import CURVATURE, SCAN, Calibration, Spread
from ...text.lists import in_words

MEASURES = (
    ("auroc", "AUROC"),
    ("average_precision", "average precision"),
    ("precision_at_planted", "precision = recall at n"),
)


@dataclass(frozen=True)
class Table:
    """One measure or question: a title, column heads, and rows whose first cell is a name."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def subject(result: Calibration) -> str:
    """What was calibrated."""
    done = "" if result.finished else f"; {len(result.trials)} of {len(result.rates) * result.repeats} trials finished"
    return f"{result.source}: {result.samples:,} pictures, {result.classes:,} classes{done}"


def sentences(result: Calibration) -> list[str]:
    """What to expect of the top of the ranking, for the best score and for curvature."""
    names = list(dict.fromkeys((result.best, CURVATURE)))
    known = [name for name in names if any(name in trial.qualities for trial in result.trials)]
    return [sentence(result, name) for name in known]


def sentence(result: Calibration, score: str) -> str:
    """ "Of the top 100 by loss, expect about 87 real label errors of this kind …"."""
    parts = []
    for rate in rates(result):
        share = result.quality(score, rate, "precision_at_top")
        parts.append(
            f"about {round(result.top * share.mean)} real label errors of this kind where {percent(rate)} of the "
            f"labels are wrong ({planted(result, rate)} here)"
        )
    best = ", the score with the best average precision here" if score == result.best else ""
    return f"Of the top {result.top} by {score}{best}, expect {in_words(parts, '; ', '; and ')}."


def rates(result: Calibration) -> list[float]:
    """Rates with a finished trial, ascending."""
    return [rate for rate in result.rates if result.at(rate)]


def planted(result: Calibration, rate: float) -> int:
    """Errors planted at one rate: the same number in each repeat, up to rounding."""
    return result.at(rate)[0].planted


def tables(result: Calibration) -> list[Table]:
    """A table a measure, methods down and rates across; then the flags."""
    heads = tuple(f"{percent(rate)} (n = {planted(result, rate)})" for rate in rates(result))
    found = [
        Table(
            title,
            ("", *heads, "cost"),
            tuple(
                (
                    method.name if method.kind == SCAN else f"{method.name} *",
                    *(shown(result.quality(method.name, rate, measure)) for rate in rates(result)),
                    cost(result.cost(method.name)),
                )
                for method in result.methods
            ),
            note,
        )
        for (measure, title), note in zip(MEASURES, _NOTES, strict=True)
    ]
    return [*found, _flags(result)]


_NOTES = (
    "1 is perfect, 0.5 is chance.",
    "1 is perfect, the share of wrong labels is chance. It shows what AUROC hides: how pure the top is.",
    "Of the first n pictures of the ranking, n the number of planted errors, the share that is planted.",
)


def _flags(result: Calibration) -> Table:
    rows = []
    for name in dict.fromkeys(name for trial in result.trials for name in trial.flags):
        for rate in rates(result):
            rows.append(
                (
                    f"{name}, {percent(rate)}",
                    shown(result.flags(name, rate, "flagged"), 0),
                    *(shown(result.flags(name, rate, field)) for field in ("precision", "recall", "suggestion_right")),
                )
            )
    return Table(
        "Flagged as wrong",
        ("", "flagged", "precision", "recall", "suggested label is the true one"),
        tuple(rows),
        "The last column is of the planted errors that were flagged.",
    )


def costs(result: Calibration) -> str:
    """How to read the column of costs."""
    text = (
        "Cost is measured time in trainings: 1 is the scan's own training with nothing measured. All scores of the "
        "scan come from one run and share its cost; * marks baselines; inconfidence needs only that training"
    )
    if result.folds is None:
        return f"{text}."
    return f"{text}, Confident Learning {result.folds} more trainings on {result.folds - 1}/{result.folds} of the data."


def shown(value: Spread, digits: int = 3) -> str:
    """Mean ± deviation; a dash where there is nothing."""
    if value.count == 0:
        return "–"
    mean = f"{value.mean:.{digits}f}"
    return mean if value.count == 1 else f"{mean} ± {value.deviation:.{digits}f}"


def cost(value: Spread) -> str:
    """Training-equivalents."""
    return "–" if value.count == 0 else f"{value.mean:.2f}"


def percent(rate: float) -> str:
    """A share in percent."""
    return f"{100 * rate:.3g} %"
