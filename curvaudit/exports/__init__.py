"""Exports: one file each, pure functions Report -> bytes. To add one, name it here."""

from __future__ import annotations

from collections.abc import Callable

from ..records import Report
from . import findings_json, html, ranking_csv

Export = Callable[[Report], bytes]

# name -> (file name in the report folder, function)
EXPORTS: dict[str, tuple[str, Export]] = {
    "html": ("index.html", html.render),
    "csv": ("ranking.csv", ranking_csv.render),
    "json": ("findings.json", findings_json.render),
}


def render_all(report: Report) -> dict[str, bytes]:
    """Every file of the report folder: file name -> content."""
    return {filename: render(report) for filename, render in EXPORTS.values()}
