"""`index.html`: one self-contained page that opens from disk and loads nothing from outside."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from ..records import EXTREMES, SEVERITIES, Finding, Report, Rule, of_kind
from ..rules import CONFLICTS, ORDER, RULES, unanswered
from ..scores import DERIVED
from ..text.utf8 import encoded
from .memorized import all_memorized, memorized_in_words
from .page_content.charts import charts, unit_of
from .page_content.class_view import class_rows, heat_map
from .page_content.page_data import page_data
from .page_content.pages import environment, part, policy
from .page_content.settings import command, settings_in_words
from .page_content.tiles import Tile, Tiles, distance_in_words
from .page_content.tiles import style as picture_style
from .page_content.verdict import verdict

_OPEN = 24  # findings of one rule that stand open; conflicts all do
_LISTED = 200  # findings of one rule on the page; findings.json has all
_GROUP = 24  # pictures of one finding on the page
_SKIPPED = 1000  # ignored files on the page
_CLASSES_OPEN = 20  # classes whose extremes stand open
_CLASSES = 100  # classes whose extremes are on the page


# Parts of the page's script, in the order in which they define what the next ones use.
_SCRIPTS = ("base.js", "decisions.js", "sheet.js", "picker.js", "detail.js", "brush.js", "page.js")


@dataclass(frozen=True)
class Shown:
    """One finding on the page."""

    finding: Finding
    tiles: list[Tile]
    hidden: int  # pictures of the finding left out
    distance: str


@dataclass(frozen=True)
class Section:
    """The findings of one rule."""

    rule: Rule
    count: int
    look: str  # "groups", "single" or "list": how its findings are laid out
    first: list[Shown]
    more: list[Shown]
    hidden: int


@dataclass(frozen=True)
class Extremes:
    """Lowest and highest of one class."""

    name: str
    count: int
    lowest: list[Tile]
    highest: list[Tile]


def render(report: Report) -> bytes:
    """The page. Every name in it is text, see `pages`."""
    style = part("style.css")
    script = "(() => {\n" + "".join(part(name) for name in _SCRIPTS) + "})();\n"
    tiles = Tiles(report)
    body = _context(report, tiles)
    embedded = tiles.pictures()
    data = page_data(report, tiles.made(), embedded)
    pictures = picture_style(embedded)
    text = (
        environment()
        .get_template("template.html")
        .render(
            style=Markup(style),
            pictures=Markup(pictures),
            data=Markup(data),
            script=Markup(script),
            policy=policy((style, pictures), (script,)),
            **body,
        )
    )
    return encoded(text)


def _context(report: Report, tiles: Tiles) -> dict[str, Any]:
    counts = Counter(finding.rule.id for finding in report.findings)
    # The sheet comes first: its anchors are where links to a picture lead.
    sheet = [tiles.of(row, "t") for row in tiles.sheet_rows()]
    sections = [_section(report, tiles, id) for id in ORDER if counts[id]]
    extremes = _extremes(report, tiles)
    for row in report.spread:
        tiles.of(row)
    ignored = of_kind(report.skipped, "ignored")
    training = report.chosen_training
    unseen = unanswered(report)
    info = training.measures.get(report.rank_by) if training else None
    return {
        "report": report,
        "training": training,
        "config": report.run.config,
        "verdict": verdict(report, counts),
        "counts": counts,
        "caveats": sorted(report.caveats, key=lambda caveat: SEVERITIES.index(caveat.severity)),
        "sections": sections,
        "clean": [RULES[id] for id in ORDER if not counts[id] and id not in unseen],
        "unseen": [RULES[id] for id in ORDER if id in unseen and not counts[id]],
        "sheet": sheet,
        "score_names": list(report.scores),
        "heat": heat_map(report),
        "class_rows": class_rows(report),
        "sheet_anchors": {tile.row: tile.anchor for tile in sheet},
        "sheet_rules": sorted({rule for tile in sheet for rule in tile.rules}),
        "sheet_labels": sorted({(tile.label, tile.label_number) for tile in sheet}),
        "link": tiles.link,
        "extremes": extremes[:_CLASSES_OPEN],
        "more_extremes": extremes[_CLASSES_OPEN:_CLASSES],
        "hidden_classes": max(0, len(extremes) - _CLASSES),
        "low_is_suspicious": info is not None and info.direction == "low",
        "unreadable": of_kind(report.skipped, "unreadable"),
        "ignored": ignored[:_SKIPPED],
        "ignored_count": len(ignored),
        "partial_count": len(of_kind(report.skipped, "partial")),
        "memorized": all_memorized(report),
        "memorized_in_words": memorized_in_words(report),
        "unit": unit_of(report, report.rank_by),
        "derived": DERIVED,
        "charts": charts(report),
        "command": command(report),
        "settings": settings_in_words(report.run.config),
        "environment": settings_in_words(report.run.environment),
    }


def _section(report: Report, tiles: Tiles, rule: str) -> Section:
    mine = [finding for finding in report.findings if finding.rule.id == rule]
    shown = [_shown(tiles, finding) for finding in mine[:_LISTED]]
    if not any(item.tiles for item in shown):
        look = "list"
    else:
        look = "single" if all(len(item.tiles) < 2 for item in shown) else "groups"
    first = _LISTED if rule in CONFLICTS else _OPEN
    return Section(mine[0].rule, len(mine), look, shown[:first], shown[first:], len(mine) - len(shown))


def _shown(tiles: Tiles, finding: Finding) -> Shown:
    named = [(sample.index, sample.label) for sample in finding.samples if sample.index is not None]
    rows = [row for row, _ in named]
    # Every label of a conflict is seen, however many copies carry another one.
    first = {label: row for row, label in reversed(named)}.values()
    chosen = set(sorted(rows, key=lambda row: row not in first)[:_GROUP])
    made = [tiles.of(row, f"{finding.rule.id}-") for row in rows if row in chosen]
    return Shown(finding, made, len(rows) - len(made), distance_in_words(finding))


def _extremes(report: Report, tiles: Tiles) -> list[Extremes]:
    """One row for each class that has ranked pictures. Beyond the limit without tiles."""
    scores = report.scores.get(report.rank_by)
    if scores is None:
        return []
    ranked = report.order[np.isfinite(scores[report.order])]
    by_class = ranked[np.argsort(report.samples.labels[ranked], kind="stable")]
    found: list[Extremes] = []
    sizes = np.bincount(report.samples.labels[ranked], minlength=len(report.samples.classes))
    for name, mine in zip(report.samples.classes, np.split(by_class, np.cumsum(sizes)[:-1]), strict=True):
        if len(mine) == 0:
            continue
        count = min(EXTREMES, max(1, len(mine) // 2)) if len(found) < _CLASSES else 0
        lowest = [tiles.of(row) for row in mine[::-1][:count].tolist()]
        highest = [tiles.of(row) for row in mine[:count].tolist()]
        found.append(Extremes(name, len(mine), lowest, highest if len(mine) > 1 else []))
    return found
