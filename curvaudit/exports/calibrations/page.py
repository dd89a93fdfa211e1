"""`index.html` of a calibration: one self-contained page without scripts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from ...calibration.result import CURVATURE, Calibration, Distribution
from ...text.utf8 import encoded
from ..page_content import svg
from ..page_content.pages import environment, part, policy
from ..page_content.settings import settings_in_words
from . import wording


@dataclass(frozen=True)
class Figure:
    """One histogram with its caption."""

    caption: str
    drawing: Markup


def render(result: Calibration) -> bytes:
    """The page. Every name in it is text."""
    style = part("style.css")
    text = (
        environment()
        .get_template("calibration.html")
        .render(
            style=Markup(style),
            policy=policy((style,)),
            result=result,
            subject=wording.subject(result),
            sentences=wording.sentences(result),
            tables=wording.tables(result),
            costs=wording.costs(result),
            figures=_figures(result),
            settings=settings_in_words(result.settings),
            environment=settings_in_words(result.environment),
        )
    )
    return encoded(text)


def _figures(result: Calibration) -> list[Figure]:
    wanted = (CURVATURE, result.best)
    return [figure(one) for name in dict.fromkeys(wanted) for one in result.distributions if one.score == name]


def figure(one: Distribution) -> Figure:
    """Figure 5 of the paper for one score of one trial."""
    values = np.asarray(one.values, float)
    positive = values[np.isfinite(values) & (values > 0)]
    # A value of 0 (`fast` does not probe where the loss is next to nothing) has no place on such an axis, and must not
    # press all others into one bar.
    log = not (values < 0).any() and svg.skewed(positive)
    zero = values == 0
    title = f"{one.score}, {wording.percent(one.rate)} planted errors"
    drawing = svg.histogram(
        f"Histogram of {title}",
        f"{one.score}, {one.unit}{' (log scale)' if log else ''}",
        values,
        log=log,
        part=one.planted,
    )
    left_out = ""
    if log and zero.any():
        planted = int((zero & np.asarray(one.planted)).sum())
        left_out = f"; not drawn: {int(zero.sum()):,} pictures at 0, {planted:,} of them planted"
    return Figure(f"{title}, seed {one.seed}{left_out}", Markup(drawing))
