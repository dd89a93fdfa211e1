"""Charts as SVG text: no plotting library, no script, readable by screen readers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np

_WIDTH, _HEIGHT = 420, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 12, 12, 40


def lines(
    title: str, x_label: str, y_label: str, x: np.ndarray, series: Sequence[tuple[str, np.ndarray]],
    *, log: bool = False,
) -> str:
    """A line chart.

    Parameters
    ----------
    x:
        (E,)
    series:
        (name, (E,)) each; NaN points are left out.
    log:
        Logarithmic y axis; values that are not positive are left out.
    """
    usable = [(name, x[_usable(y, log)], y[_usable(y, log)]) for name, y in series]
    usable = [(name, px, py) for name, px, py in usable if len(px)]
    if not usable:
        return ""
    values = np.concatenate([py for _, _, py in usable])
    low, high = _span(values, log)
    left, right = float(x.min()), float(max(x.max(), x.min() + 1))
    parts = [_frame(title, x_label, y_label, _integers(left, right), _ticks(low, high, log), left, right, low, high, log)]
    for number, (_, px, py) in enumerate(usable):
        points = " ".join(
            f"{_x(a, left, right):.1f},{_y(b, low, high, log):.1f}" for a, b in zip(px, py, strict=True)
        )
        parts.append(f'<polyline class="line s{number}" points="{points}"/>')
        if len(px) == 1:
            cx, cy = points.split(",")
            parts.append(f'<circle class="dot s{number}" cx="{cx}" cy="{cy}" r="3"/>')
    legend = "" if len(usable) < 2 else _legend([name for name, _, _ in usable])
    return f"{''.join(parts)}</svg>{legend}"


def histogram(title: str, x_label: str, values: np.ndarray, threshold: float | None, threshold_label: str) -> str:
    """Counts (log axis) of values (N,); logarithmic bins where the values are positive and skewed."""
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return ""
    positive = values[values > 0]
    skewed = len(positive) >= 0.9 * len(values) and positive.max() > 100 * np.median(positive)
    data = np.log10(positive) if skewed else values
    low, high = float(data.min()), float(data.max())
    if high <= low:
        high = low + 1
    counts, edges = np.histogram(data, bins=50, range=(low, high))
    top = float(max(counts.max(), 1)) * 1.3
    ticks = [
        (position, f"1e{position:.0f}" if skewed else f"{position:.3g}")
        for position in (_decades(low, high) if skewed else _nice(low, high))
    ]
    parts = [_frame(title, x_label, "pictures", ticks, _ticks(0.8, top, True), low, high, 0.8, top, True)]
    for count, a, b in zip(counts.tolist(), edges[:-1], edges[1:], strict=True):
        if count:
            x0, x1, y = _x(a, low, high), _x(b, low, high), _y(count, 0.8, top, True)
            parts.append(
                f'<rect class="bar" x="{x0:.1f}" y="{y:.1f}" width="{max(x1 - x0 - 0.7, 0.7):.1f}" '
                f'height="{_HEIGHT - _BOTTOM - y:.1f}"><title>{count}</title></rect>'
            )
    if threshold is not None and (threshold > 0 or not skewed):
        at = _x(min(max(math.log10(threshold) if skewed else threshold, low), high), low, high)
        anchor, shift = ("end", -4) if at > _WIDTH * 0.6 else ("start", 4)
        parts.append(
            f'<line class="mark" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>'
            f'<text class="tick" x="{at + shift:.1f}" y="{_TOP + 10}" text-anchor="{anchor}">{escape(threshold_label)}</text>'
        )
    return f"{''.join(parts)}</svg>"


def _usable(y: np.ndarray, log: bool) -> np.ndarray:
    return np.isfinite(y) & (y > 0) if log else np.isfinite(y)


def _span(values: np.ndarray, log: bool) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if log:
        return low / 1.2, high * 1.2
    room = 0.05 * (high - low) or 0.5
    return low - room, high + room


def _x(value: float, low: float, high: float) -> float:
    return _LEFT + (value - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)


def _y(value: float, low: float, high: float, log: bool) -> float:
    if log:
        value, low, high = math.log10(value), math.log10(low), math.log10(high)
    return _HEIGHT - _BOTTOM - (value - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)


def _nice(low: float, high: float, count: int = 5) -> list[float]:
    rough = (high - low) / count
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * m for m in (1, 2, 5, 10) if unit * m >= rough)
    first = math.ceil(low / step)
    return [round(k * step, 12) for k in range(first, math.floor(high / step) + 1)]


def _decades(low: float, high: float) -> list[float]:
    every = max(1, round((high - low) / 6))
    return [float(k) for k in range(math.ceil(low), math.floor(high) + 1, every)]


def _ticks(low: float, high: float, log: bool) -> list[tuple[float, str]]:
    if not log:
        return [(value, f"{value:.4g}") for value in _nice(low, high)]
    decades = [10.0**k for k in _decades(math.log10(low), math.log10(high))]
    if len(decades) < 2:
        decades = [value for value in _nice(low, high, 4) if value > 0]
    return [(value, f"{value:.3g}") for value in decades]


def _integers(low: float, high: float) -> list[tuple[float, str]]:
    step = max(1, math.ceil((high - low) / 8))
    return [(float(k), str(k)) for k in range(math.ceil(low), math.floor(high) + 1, step)]


def _frame(
    title: str, x_label: str, y_label: str, x_ticks: list[tuple[float, str]], y_ticks: list[tuple[float, str]],
    left: float, right: float, low: float, high: float, log: bool,
) -> str:
    bottom = _HEIGHT - _BOTTOM
    parts = [
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">'
        f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{bottom}" y2="{bottom}"/>'
    ]
    for value, text in x_ticks:
        parts.append(f'<text class="tick" x="{_x(value, left, right):.1f}" y="{bottom + 15}" text-anchor="middle">{text}</text>')
    for value, text in y_ticks:
        y = _y(value, low, high, log)
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'
        )
    middle = (_TOP + bottom) / 2
    parts.append(
        f'<text class="name" x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(x_label)}</text>'
        f'<text class="name" transform="translate(12 {middle}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text>'
    )
    return "".join(parts)


def _legend(names: Sequence[str]) -> str:
    items = "".join(f'<span><i class="key s{n}"></i>{escape(name)}</span>' for n, name in enumerate(names))
    return f'<p class="legend">{items}</p>'
