"""Figures with matplotlib, for `reproduce` alone: the report draws its own."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .extras import need

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EXTRA = "reproduce"
BLUE, ORANGE, RED, GREEN, GREY = "#2559b0", "#c8620d", "#d91f1f", "#1d6a40", "#8a93a3"
COLOURS = (BLUE, ORANGE, GREEN, "#7a3fa0", RED, GREY)
_DPI = 130
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
    """Counts of `values` (N,) on logarithmic axes, those of the `planted` (N,) marked with crosses (figure 5)."""
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


def sheet(rows: Sequence[Sequence[Picture | None]], titles: Sequence[str] = (), *, side: float = 0.62) -> Figure:
    """Pictures in rows, each with its text above, None for an empty place; `titles` name the rows at their left."""
    wide = max(len(row) for row in rows)
    captioned = any(picture is not None and picture.text for row in rows for picture in row)
    figure, axes = canvas(
        len(rows), wide, wide * side * (1.35 if captioned else 1) + (0.9 if titles else 0.1),
        len(rows) * side * (1.75 if captioned else 1.05),
    )  # fmt: skip
    figure.set_layout_engine("constrained", w_pad=0.01, h_pad=0.01, wspace=0.03, hspace=0.03)
    for place, row in enumerate(rows):
        for column in range(wide):
            spot = axes[place, column]
            spot.set_xticks([])
            spot.set_yticks([])
            for spine in spot.spines.values():
                spine.set_visible(False)
            picture = row[column] if column < len(row) else None
            if picture is not None:
                _show(spot, picture)
        if titles:
            axes[place, 0].set_ylabel(titles[place], rotation=0, ha="right", va="center", fontsize=8)
    return figure


def _show(spot: Axes, picture: Picture) -> None:
    if picture.pixels is None:
        spot.set_facecolor("#e4e7ec")
        spot.set_box_aspect(1)
    else:
        small = max(picture.pixels.shape[:2]) <= 64
        spot.imshow(picture.pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest" if small else "antialiased")
    if picture.text:
        spot.set_title(picture.text, fontsize=5.5, pad=2)
    if picture.mark:
        spot.plot(0.9, 0.9, "o", color=RED, markersize=6, markeredgecolor="white", transform=spot.transAxes)


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
