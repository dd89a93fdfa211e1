"""What an experiment of the paper gave here: tables, figures, sentences. Imports nothing of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

Cell = str | int | float | None  # None and NaN: not there


@dataclass(frozen=True)
class Table:
    """Numbers for the page and, under `name`, for a CSV file. The paper's stand in columns of their own."""

    name: str  # file name without its ending
    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]  # the first cell names the row
    note: str = ""
    long: bool = False  # folded away on the page


@dataclass(frozen=True)
class Figure:
    """One drawing, written as SVG and PNG under `name`."""

    name: str  # file name without its ending
    caption: str
    told: str  # what it shows, for those who do not see it
    drawing: Drawing


@dataclass(frozen=True)
class Outcome:
    """What one run of an experiment found."""

    sentences: tuple[str, ...]  # what holds and what does not, figures included
    tables: tuple[Table, ...]
    figures: tuple[Figure, ...]
    caveats: tuple[str, ...] = ()
    trainings: tuple[Mapping[str, Any], ...] = ()  # what was trained or read: file, seed, schedule, memorized, …


@dataclass(frozen=True)
class Reproduction:
    """An outcome with everything that it takes to get it again."""

    experiment: str
    title: str
    paper: str  # what the paper says
    scale: str
    command: str
    settings: Mapping[str, Any]
    environment: Mapping[str, Any]
    seconds: float
    created_by: str
    created_utc: str
    outcome: Outcome = field(repr=False)
