"""Charts as SVG text: no plotting library, no script, readable by screen readers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

_WIDTH, _HEIGHT = 420, 240  # user units; near the size on the page, so that text keeps its size
_LEFT, _RIGHT, _TOP, _BOTTOM = 72, 14, 14, 44
_BINS = 48
_SKEWED = 30  # times the median; beyond, linear bins put nearly everything into the first bar
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Axis:
    """One axis: its name with unit, and the values at its ends."""

    name: str
    low: float
    high: float
    log: bool = False

    def place(self, value: float) -> float:
        """0 at the low end, 1 at the high end."""
        if self.log:
            return math.log10(value / self.low) / math.log10(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Round values inside the axis, about five."""
        if not self.log:
            return _round_values(self.low, self.high)
        decades = _decades(self.low, self.high)
        if len(decades) >= 3:
            return decades
        steps = [k * decade for decade in _decades(self.low / 10, self.high) for k in (1, 2, 5)]
        inside = [value for value in steps if self.low <= value <= self.high]
        return inside if len(inside) >= 2 else _round_values(self.low, self.high)


def lines(
    title: str, x_name: str, y_name: str, x: np.ndarray, series: Sequence[tuple[str, np.ndarray]], *, log: bool = False
) -> str:
    """A line chart over whole numbers such as epochs; "" if there is nothing to draw.

    Parameters
    ----------
    x:
        (E,)
    series:
        (name, (E,)) each; points that are NaN are left out.
    log:
        Logarithmic y axis; values that are not positive are left out.
    """
    usable = []
    for name, y in series:
        good = np.isfinite(y) & ((y > 0) | (not log))
        if good.any():
            usable.append((name, x[good], np.asarray(y, float)[good]))
    if not usable:
        return ""
    x_axis = Axis(x_name, float(x.min()), float(max(x.max(), x.min() + 1)))
    y_axis = Axis(y_name, *_room(np.concatenate([y for _, _, y in usable]), log), log)
    told = "; ".join(
        f"{name}: {number(py[0])} at {x_name} {px[0]:g}, {number(py[-1])} at {x_name} {px[-1]:g}"
        for name, px, py in usable
    )
    parts = [_open(title, told), _axes(x_axis, y_axis, [t for t in x_axis.ticks() if t == int(t)])]
    for place, (_, px, py) in enumerate(usable):
        points = [(_x(a, x_axis), _y(b, y_axis)) for a, b in zip(px.tolist(), py.tolist(), strict=True)]
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        parts.append(f'<polyline class="line s{place}" points="{path}"/>')
        for a, b in points if len(points) <= 60 else points[-1:]:
            parts.append(f'<circle class="point s{place}" cx="{a:.1f}" cy="{b:.1f}" r="2"/>')
    return f"{''.join(parts)}</svg>"


def histogram(
    title: str,
    x_name: str,
    values: np.ndarray,
    mark: tuple[float, str] | None = None,
    *,
    log: bool = False,
    part: np.ndarray | None = None,
) -> str:
    """Counts of values (N,) on a logarithmic axis, so that single outliers stay visible; "" if empty.

    Parameters
    ----------
    mark:
        A value and the text at the line that marks it.
    log:
        Bins of equal width in the logarithm; values that are not positive are left out.
    part:
        (N,) bool, values whose counts are drawn once more, in a second colour in front of all.
    """
    values = np.asarray(values, float)
    shown = np.isfinite(values) & ((values > 0) | (not log))
    chosen = np.zeros(0) if part is None else values[shown & part]
    values = values[shown]
    if len(values) == 0:
        return ""
    low, high = float(values.min()), float(values.max())
    if high <= low:  # one value only: give its bar some room
        low, high = (low / 2, high * 2) if log else (low - _air(low), high + _air(high))
    x_axis = Axis(x_name, low, high, log)
    edges = np.geomspace(low, high, _BINS + 1) if log else np.linspace(low, high, _BINS + 1)
    edges[0], edges[-1] = low, high  # geomspace may miss the ends by rounding
    counts, _ = np.histogram(values, edges)
    y_axis = Axis("pictures (log scale)", 0.7, float(counts.max()) * 1.4, True)
    told = f"{len(values)} pictures from {number(low)} to {number(high)}, median {number(float(np.median(values)))}"
    # For the brush of the page: which bin lies where, and how many pictures are in it.
    bins = f' data-edges="{" ".join(f"{edge:.9g}" for edge in edges)}" data-counts="{" ".join(map(str, counts))}"'
    bins += f' data-left="{_LEFT}" data-right="{_WIDTH - _RIGHT}" data-top="{_TOP}" data-bottom="{_HEIGHT - _BOTTOM}"'
    parts = [_open(title, told, bins), _axes(x_axis, y_axis, x_axis.ticks(), _decades(0.7, y_axis.high))]
    parts += _bars("bar", counts, edges, x_axis, y_axis)
    if part is not None:
        parts += _bars("bar part", np.histogram(chosen, edges)[0], edges, x_axis, y_axis)
    if mark is not None and low <= mark[0] <= high:
        at = _x(mark[0], x_axis)
        anchor, shift = ("end", -5) if at > _WIDTH - _RIGHT - 60 else ("start", 5)
        parts.append(
            f'<line class="mark" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>'
            f'<text class="told" x="{at + shift:.1f}" y="{_TOP + 10}" text-anchor="{anchor}">{escape(mark[1])}</text>'
        )
    return f"{''.join(parts)}</svg>"


def skewed(positive: np.ndarray) -> bool:
    """Whether values (n,) above 0 need a histogram with a logarithmic axis."""
    return len(positive) > 0 and bool(positive.max() > _SKEWED * np.median(positive))


def _bars(kind: str, counts: np.ndarray, edges: np.ndarray, x_axis: Axis, y_axis: Axis) -> list[str]:
    parts = []
    for count, a, b in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if count:
            left, right, top = _x(a, x_axis), _x(b, x_axis), _y(count, y_axis)
            parts.append(
                f'<rect class="{kind}" x="{left:.1f}" y="{top:.1f}" width="{max(right - left - 0.8, 0.8):.1f}" '
                f'height="{_HEIGHT - _BOTTOM - top:.1f}"><title>{count} from {number(a)} to {number(b)}</title></rect>'
            )
    return parts


def spread(values: np.ndarray, ends: tuple[float, float], log: bool) -> str:
    """A small strip: 5 % to 95 % of the values (n,) as a line, the middle half as a box, the median; "" if empty."""
    values = values[np.isfinite(values) & ((values > 0) | (not log))]
    low, high = ends
    if len(values) == 0 or high <= low:
        return ""
    axis = Axis("", low, high, log)
    levels = np.percentile(values, [5, 25, 50, 75, 95]).tolist()
    a, b, c, d, e = (2 + 156 * min(max(axis.place(level), 0), 1) for level in levels)
    told = f"median {number(levels[2])}, 5 to 95 %: {number(levels[0])} to {number(levels[4])}"
    return (
        f'<svg class="spread" viewBox="0 0 160 16" role="img" aria-label="{told}"><title>{told}</title>'
        f'<line x1="{a:.1f}" x2="{e:.1f}" y1="8" y2="8"/>'
        f'<rect x="{b:.1f}" y="3" width="{max(d - b, 1):.1f}" height="10"/>'
        f'<line class="middle" x1="{c:.1f}" x2="{c:.1f}" y1="1" y2="15"/></svg>'
    )


def number(value: float) -> str:
    """A number for people: 0.25, 1,200, 3×10⁻⁵."""
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e5:
        return f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:.3g}"
    mantissa, exponent = f"{value:.2e}".split("e")
    mantissa = mantissa.rstrip("0").rstrip(".")
    power = f"10{str(int(exponent)).translate(_SUPERSCRIPT)}"
    return {"1": power, "-1": f"-{power}"}.get(mantissa, f"{mantissa}×{power}")


def _room(values: np.ndarray, log: bool) -> tuple[float, float]:
    """Ends of an axis that leave some air around the values."""
    low, high = float(values.min()), float(values.max())
    if log:
        return low / 1.3, high * 1.3
    room = 0.05 * (high - low) or _air(high)
    return low - room, high + room


def _air(value: float) -> float:
    """On either side of a value that is the only one; 0.5 beside 1e17 would be nothing."""
    return max(0.5, 1e-6 * abs(value))


def _round_values(low: float, high: float) -> list[float]:
    rough = (high - low) / 5
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * m for m in (1, 2, 5, 10) if unit * m >= rough * 0.999)
    # Multiplying by the whole number, not adding steps, keeps 0.3 from becoming 0.30000000000000004.
    return [float(f"{k * step:.9g}") for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _decades(low: float, high: float) -> list[float]:
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    return [10.0**k for k in range(first, last + 1, max(1, round((last - first) / 6)))]


def _x(value: float, axis: Axis) -> float:
    return _LEFT + axis.place(value) * (_WIDTH - _LEFT - _RIGHT)


def _y(value: float, axis: Axis) -> float:
    return _HEIGHT - _BOTTOM - axis.place(value) * (_HEIGHT - _TOP - _BOTTOM)


def _open(title: str, told: str, more: str = "") -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(title)}. {escape(told)}"{more}>'
        f"<desc>{escape(told)}</desc>"
    )


def _axes(x_axis: Axis, y_axis: Axis, x_ticks: list[float], y_ticks: list[float] | None = None) -> str:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = []
    for value in y_axis.ticks() if y_ticks is None else y_ticks:
        y = _y(value, y_axis)
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{_LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{number(value)}</text>'
        )
    for value in x_ticks:
        x = _x(value, x_axis)
        parts.append(
            f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 4}"/>'
            f'<text x="{x:.1f}" y="{bottom + 17}" text-anchor="middle">{number(value)}</text>'
        )
    middle = (_TOP + bottom) / 2
    parts.append(
        f'<line class="axis" x1="{_LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}"/>'
        f'<text class="name" x="{(_LEFT + right) / 2}" y="{_HEIGHT - 7}" text-anchor="middle">'
        f"{escape(x_axis.name)}</text>"
        f'<text class="name" transform="translate(13 {middle}) rotate(-90)" text-anchor="middle">'
        f"{escape(y_axis.name)}</text>"
    )
    return "".join(parts)
