"""Figures with matplotlib, for `reproduce` alone: the report draws its own."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..extras import need

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EXTRA = "reproduce"
BLUE, ORANGE, RED, GREEN, GREY = "#2559b0", "#c8620d", "#d91f1f", "#1d6a40", "#8a93a3"
COLOURS = (BLUE, ORANGE, GREEN, "#7a3fa0", RED, GREY)
_DPI = 130
_SIDE = 0.62  # inches, of a picture in a sheet
# Same numbers, same file: names inside an SVG are hashed with this salt, and no date is written.
_STABLE: Any = {"svg.hashsalt": "curvaudit", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}


@dataclass(frozen=True)
class Line:
    """One curve; `y` (E,) may hold NaN where nothing was measured."""

    name: str
    x: np.ndarray  # (E,)
    y: np.ndarray  # (E,)
    style: str = "-"
    colour: str | None = None


@dataclass(frozen=True)
class Picture:
    """One picture of a sheet; None where it was not kept."""

    pixels: np.ndarray | None  # (H, W) or (H, W, 3) uint8
    text: str = ""
    mark: bool = False  # a red dot


def require() -> None:
    """Raises CurvauditError with the install command where matplotlib is missing."""
    need("matplotlib.figure", EXTRA, "Drawing figures")


def canvas(rows: int, columns: int, width: float, height: float, **options: Any) -> tuple[Figure, np.ndarray]:
    """An empty figure and its axes, (rows, columns); sizes in inches."""
    require()
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_STABLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, axes


def curves(axes: Axes, lines: Sequence[Line], x: str, y: str, *, log: bool = False) -> None:
    """Draw lines; values that a logarithmic axis cannot show are left out."""
    for place, line in enumerate(lines):
        values = np.asarray(line.y, float)
        good = np.isfinite(values) & ((values > 0) | (not log))
        axes.plot(
            line.x[good], values[good], line.style, label=line.name, linewidth=1.6,
            color=line.colour or COLOURS[place % len(COLOURS)], marker="." if good.sum() < 40 else None, markersize=4,
        )  # fmt: skip
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if log:
        axes.set_yscale("log")
    axes.grid(alpha=0.25)
    if len(lines) > 1:
        axes.legend(frameon=False, fontsize=8)


def planted_histogram(axes: Axes, values: np.ndarray, planted: np.ndarray, name: str) -> None:
    """Counts of `values` (N,) on logarithmic axes, those of the `planted` (N,) marked with crosses (figure 5).

    Values of 0 have no place on such an axis: below it stands how many there are.
    """
    values = np.asarray(values, float)
    positive = np.isfinite(values) & (values > 0)
    if not positive.any():
        return
    low, high = float(values[positive].min()), float(values[positive].max())
    edges = np.geomspace(low, max(high, low * 1.001), 60)
    counts, _, _ = axes.hist(values[positive], edges.tolist(), color=BLUE, label="all pictures")
    marked = values[positive & planted]
    place = np.clip(np.searchsorted(edges, marked, side="right") - 1, 0, len(counts) - 1)
    chance = np.random.default_rng(0)
    axes.plot(
        marked, np.maximum(counts[place], 1) * chance.uniform(0.75, 1.35, len(marked)), "x",
        color="black", markersize=4, label="planted errors",
    )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(name)
    axes.set_ylabel("pictures")
    axes.legend(frameon=False, fontsize=8)
    if (zero := values == 0).any():
        told = f"not drawn: {zero.sum():,} pictures at 0, {(zero & planted).sum():,} of them planted"
        axes.text(0.5, -0.24, told, transform=axes.transAxes, ha="center", va="top", fontsize=8)


def sheet(rows: Sequence[Sequence[Picture | None]], titles: Sequence[str] = ()) -> Figure:
    """Pictures in rows, each with its text above, None for an empty place; `titles` name the rows at their left.

    One pair of axes for all: hundreds of them would take a minute to lay out.
    """
    require()
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    wide = max(len(row) for row in rows)
    captioned = any(picture is not None and picture.text for row in rows for picture in row)
    across, down, left = 1.06, 1.48 if captioned else 1.06, 1.8 if titles else 0.06  # in sides
    width, height = left + wide * across, len(rows) * down + 0.06
    with rc_context(_STABLE):
        figure = Figure(figsize=(width * _SIDE, height * _SIDE))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        for number, row in enumerate(rows):
            top = number * down + (down - 1.0)
            for column, picture in enumerate(row):
                if picture is not None:
                    _show(axes, picture, left + column * across, top)
            if titles:
                axes.text(left - 0.1, top + 0.5, titles[number], ha="right", va="center", fontsize=8)
        axes.set_xlim(0, width)
        axes.set_ylim(height, 0)
    return figure


def _show(axes: Axes, picture: Picture, x: float, y: float) -> None:
    from matplotlib.patches import Rectangle

    if picture.pixels is None:
        axes.add_patch(Rectangle((x, y), 1, 1, color="#e4e7ec"))
    else:
        small = max(picture.pixels.shape[:2]) <= 64
        high, wide = picture.pixels.shape[:2]
        longest = max(high, wide)
        dx, dy = (1 - wide / longest) / 2, (1 - high / longest) / 2
        axes.imshow(
            picture.pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest" if small else "antialiased",
            extent=(x + dx, x + 1 - dx, y + 1 - dy, y + dy), aspect="auto",
        )  # fmt: skip
    if picture.text:
        axes.text(x + 0.5, y - 0.04, picture.text, ha="center", va="bottom", fontsize=5.5, linespacing=0.95)
    if picture.mark:
        axes.plot(x + 0.88, y + 0.12, "o", color=RED, markersize=6, markeredgecolor="white")


def svg(figure: Figure) -> bytes:
    """The figure as SVG, the same bytes each time."""
    return _saved(figure, "svg", metadata={"Date": None, "Creator": None})


def png(figure: Figure) -> bytes:
    """The figure as PNG."""
    return _saved(figure, "png", dpi=_DPI, metadata={"Software": None})


def _saved(figure: Figure, kind: str, **options: Any) -> bytes:
    from matplotlib import rc_context

    buffer = io.BytesIO()
    with rc_context(_STABLE):
        figure.savefig(buffer, format=kind, facecolor="white", **options)
    return buffer.getvalue()
