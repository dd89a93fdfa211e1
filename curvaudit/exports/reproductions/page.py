"""`index.html` of a reproduction: one self-contained page without scripts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from ...reproduction.result import Cell, Reproduction, Table
from ...text.utf8 import encoded
from ..page_content.pages import environment, part, policy
from ..page_content.settings import settings_in_words
from ..page_content.svg import number
from ..page_content.tiles import data_address


@dataclass(frozen=True)
class Shown:
    """A table with its cells as text; `numeric` tells which columns stand to the right."""

    table: Table
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]


def render(result: Reproduction, files: Mapping[str, bytes]) -> bytes:
    """The page. Every name in it is text; figures are embedded as PNG.

    Parameters
    ----------
    files:
        File name -> content of the figures.
    """
    style = part("style.css") + part("reproduction.css")
    outcome = result.outcome
    heads = list(dict.fromkeys(name for one in outcome.trainings for name in one))
    trainings = Table(
        "", "Trainings", tuple(heads), tuple(tuple(one.get(h) for h in heads) for one in outcome.trainings)
    )
    text = (
        environment()
        .get_template("reproduction.html")
        .render(
            style=Markup(style),
            policy=policy((style,)),
            result=result,
            outcome=outcome,
            tables=[shown(table) for table in outcome.tables],
            trainings=shown(trainings) if outcome.trainings else None,
            figures=[(figure, data_address(files[f"{figure.name}.png"])) for figure in outcome.figures],
            settings=settings_in_words(result.settings),
            environment=settings_in_words(result.environment),
            seconds=f"{result.seconds:,.0f}",
        )
    )
    return encoded(text)


def shown(table: Table) -> Shown:
    """Cells for people."""
    columns = list(zip(*table.rows, strict=True)) or [() for _ in table.heads]
    numeric = tuple(
        place > 0 and bool(column) and not any(isinstance(cell, str) for cell in column)
        for place, column in enumerate(columns)
    )
    return Shown(table, tuple(tuple(_text(cell) for cell in row) for row in table.rows), numeric)


def _text(cell: Cell) -> str:
    if cell is None or cell != cell:
        return "–"
    if isinstance(cell, float):
        # Shares and similarities: three places. Others as they are.
        return f"{cell:.3f}" if 0.01 <= abs(cell) < 2 else number(cell)
    return f"{cell:,}" if isinstance(cell, int) else cell
