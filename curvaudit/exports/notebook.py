"""A report in a notebook: verdict, counts and a compact contact sheet, as HTML without script."""

from __future__ import annotations

from collections import Counter

from ..records import Report
from ..rules import RULES
from ..text.utf8 import valid
from .page_content.pages import environment
from .page_content.tiles import Tiles
from .page_content.verdict import verdict

_TILES = 24


def render(report: Report) -> str:
    """HTML for `Report._repr_html_`; every name is text."""
    counts = Counter(finding.rule.id for finding in report.findings)
    tiles = Tiles(report)
    made = [tiles.of(row) for row in tiles.sheet_rows()[:_TILES]]
    template = environment().get_template("notebook.html")
    text = template.render(
        report=report,
        verdict=verdict(report, counts),
        counts=[(RULES[id], f"{count:,}") for id, count in sorted(counts.items())],
        ranked=report.chosen_training is not None,
        tiles=[(tile, tiles.data_uri(tile.row)) for tile in made],
    )
    return valid(text.removesuffix("\n"))
