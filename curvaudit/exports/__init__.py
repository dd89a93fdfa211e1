"""Exports: one file each, pure functions Report -> bytes. To add one, name it here."""

from __future__ import annotations

from collections.abc import Callable

from ..records import Report
from . import findings_json, html, ranking_csv

EXPORTS: dict[str, Callable[[Report], bytes]] = {
    "index.html": html.render,
    "ranking.csv": ranking_csv.render,
    "findings.json": findings_json.render,
}


def render_all(report: Report) -> dict[str, bytes]:
    """Every file of the report folder: name -> content."""
    return {name: render(report) for name, render in EXPORTS.items()}
