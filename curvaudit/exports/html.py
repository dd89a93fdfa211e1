"""`index.html`: one self-contained page that opens from disk and loads nothing from outside."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from ..records import Finding, Report
from ..rules import RULES
from . import svg

EXTREMES = 10  # lowest and highest a class, as in the paper's figure 3
_LISTED = 200  # findings of one rule that the page shows; findings.json has all
_CLASSES = 200  # classes in the table of extremes
_SMALL = 64  # px; up to here pictures are scaled up without smoothing
_CONFLICTS = ("CA101", "CA102")


@dataclass(frozen=True)
class Tile:
    """One picture on the page."""

    row: int
    id: str
    label: str
    rank: int
    score: str
    suggested: str
    rules: tuple[str, ...]
    kept: bool  # a thumbnail is there
    crisp: bool
    twins: tuple[int, ...]  # rows of the same picture under another label
    twin_labels: tuple[str, ...]


@dataclass(frozen=True)
class RuleCount:
    """One line of the summary table."""

    id: str
    name: str
    severity: str
    meaning: str
    count: int


@dataclass(frozen=True)
class Section:
    """The findings of one rule."""

    rule: RuleCount
    findings: list[tuple[Finding, list[Tile]]]
    hidden: int


def render(report: Report) -> bytes:
    """The page. Every name in it is text; autoescaping is on and undefined names are errors."""
    page = files(__package__) / "page"
    style = (page / "style.css").read_text("utf-8")
    script = (page / "page.js").read_text("utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((page / "template.html").read_text("utf-8"))
    tiles = _Tiles(report)
    body = _context(report, tiles)
    pictures = tiles.style()
    text = template.render(
        style=Markup(style),
        pictures=Markup(pictures),
        script=Markup(script),
        csp=_policy(style, pictures, script),
        **body,
    )
    return text.encode("utf-8", "backslashreplace")


def _policy(style: str, pictures: str, script: str) -> str:
    """Nothing from outside, and no script or style but ours."""

    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; img-src data:; style-src {digest(style)} {digest(pictures)}; "
        f"script-src {digest(script)}; base-uri 'none'; form-action 'none'"
    )


class _Tiles:
    """Tiles by row, and the style sheet that holds each picture once."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.twins: dict[int, set[int]] = {}
        for finding in report.findings:
            if finding.rule.id in _CONFLICTS:
                for one in finding.samples:
                    for other in finding.samples:
                        if one.index is not None and other.index is not None and one.label != other.label:
                            self.twins.setdefault(one.index, set()).add(other.index)

    def of(self, row: int) -> Tile:
        report, samples = self.report, self.report.samples
        better = int(report.suggested[row])
        twins = sorted(self.twins.get(row, ()), key=lambda other: int(report.rank[other]))
        return Tile(
            row=int(row),
            id=samples.ids[row],
            label=report.label(row),
            rank=int(report.rank[row]),
            score=f"{report.scores[report.rank_by][row]:.3g}",
            suggested=samples.classes[better] if better >= 0 else "",
            rules=report.rules_of(int(row)),
            kept=int(row) in report.thumbnails,
            crisp=max(int(samples.width[row]), int(samples.height[row])) <= _SMALL,
            twins=tuple(twins),
            twin_labels=tuple(sorted({report.label(other) for other in twins})),
        )

    def style(self) -> str:
        """`.p7{background-image:…}`: a picture may be shown often, it is embedded once."""
        return "".join(
            f".p{row}{{background-image:url(data:{_kind(content)};base64,{base64.b64encode(content).decode()})}}\n"
            for row, content in sorted(self.report.thumbnails.items())
        )


def _kind(content: bytes) -> str:
    if content.startswith(b"\x89PNG"):
        return "image/png"
    return "image/jpeg" if content.startswith(b"\xff\xd8") else "image/webp"


def _context(report: Report, tiles: _Tiles) -> dict[str, Any]:
    training = next(t for t in report.trainings if t.index == report.training)
    sheet = [tiles.of(row) for row in report.order[: report.top].tolist()]
    counts = Counter(finding.rule.id for finding in report.findings)
    rules = [
        RuleCount(rule.id, rule.name, rule.severity, rule.meaning, counts[rule.id])
        for rule in RULES.values()
        if counts[rule.id]
    ]
    verdict, tone = _verdict(report, counts)
    curves = training.curves
    in_sheet = {tile.row for tile in sheet}
    return {
        "report": report,
        "training": training,
        "config": report.run.config,
        "verdict": verdict,
        "tone": tone,
        "rules": rules,
        "next_step": _next_step(counts),
        "sections": [_section(report, tiles, rule) for rule in rules],
        "sheet": sheet,
        "in_sheet": in_sheet,
        "sheet_rules": sorted({rule for tile in sheet for rule in tile.rules}),
        "sheet_labels": sorted({tile.label for tile in sheet}),
        "extremes": _extremes(report, tiles),
        "class_limit": _CLASSES,
        "unreadable": [item for item in report.skipped if item.kind == "unreadable"],
        "ignored": [item for item in report.skipped if item.kind == "ignored"],
        "histogram": Markup(_histogram(report)),
        "charts": [
            (name, Markup(chart))
            for name, chart in (
                ("Loss", svg.lines("Loss over epochs", "epoch", "loss (nat)", curves.number,
                                   [("training (as trained)", curves.train_loss), ("validation", curves.val_loss)], log=True)),
                ("Accuracy", svg.lines("Accuracy over epochs", "epoch", "share", curves.number,
                                       [("accuracy", curves.train_accuracy), ("memorized", report.memorized_share)])),
                ("Mean curvature", svg.lines("Mean curvature over epochs", "epoch", "curvature", curves.number,
                                             [("training", report.mean_curvature), ("validation", curves.val_curvature)], log=True)),
            )
            if chart
        ],
    }


def _verdict(report: Report, counts: Counter[str]) -> tuple[str, str]:
    """One sentence that answers "is my data set fine?", and the severity that colours it."""
    pieces = []
    for rules, one, many in (
        (("CA101",), "picture stands", "pictures stand"),
        (("CA102",), "near-identical group stands", "near-identical groups stand"),
    ):
        count = sum(counts[rule] for rule in rules)
        if count:
            pieces.append(f"{count} {one if count == 1 else many} under different labels")
    if counts["CA301"]:
        pieces.append(f"{counts['CA301']} {'file' if counts['CA301'] == 1 else 'files'} could not be read")
    if counts["CA401"]:
        pieces.append(f"{counts['CA401']} pictures leak between splits")
    if pieces:
        return f"Not fine yet: {_joined(pieces)}.", "error"
    warnings = []
    for rule, text in (
        ("CA201", "likely wrong labels"), ("CA203", "pictures the network could not fit"),
        ("CA302", "pictures without content"), ("CA501", "classes of doubtful size"),
    ):
        if counts[rule]:
            warnings.append(f"{counts[rule]} {text}")
    if any(caveat.severity == "warning" for caveat in report.caveats) and not warnings:
        return "No errors found, but read the caveats below before trusting that.", "warning"
    if warnings:
        return f"No conflicting copies and no unreadable files, but look at {_joined(warnings)}.", "warning"
    return "Looks fine: no conflicting copies, no unreadable files, no likely wrong labels.", "note"


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _next_step(counts: Counter[str]) -> str:
    if counts["CA101"] or counts["CA102"]:
        return "Decide which label of each conflicting picture is right, and drop the other copy."
    if counts["CA301"]:
        return "Restore or remove the unreadable files, then scan again."
    if counts["CA201"]:
        return "Look at the likely wrong labels first; each shows the label that the network preferred."
    return "Look through the contact sheet: the first pictures are those that the network had to learn by heart."


def _section(report: Report, tiles: _Tiles, rule: RuleCount) -> Section:
    mine = [finding for finding in report.findings if finding.rule.id == rule.id]
    shown = [
        (finding, [tiles.of(sample.index) for sample in finding.samples if sample.index is not None])
        for finding in mine[:_LISTED]
    ]
    return Section(rule, shown, len(mine) - len(shown))


def _extremes(report: Report, tiles: _Tiles) -> list[tuple[str, int, list[Tile], list[Tile]]]:
    """(class, size, lowest, highest) for each class that has pictures."""
    labels = report.samples.labels[report.order]
    rows = []
    for label, name in enumerate(report.samples.classes[:_CLASSES]):
        mine = report.order[labels == label]
        if len(mine):
            count = min(EXTREMES, max(1, len(mine) // 2))
            lowest = [tiles.of(int(row)) for row in mine[::-1][:count]]
            highest = [tiles.of(int(row)) for row in mine[:count]]
            rows.append((name, len(mine), lowest, highest))
    return rows


def _histogram(report: Report) -> str:
    values = np.asarray(report.scores[report.rank_by], np.float64)
    threshold = float(values[report.order[report.top - 1]]) if report.top < len(values) else None
    return svg.histogram(
        f"Histogram of {report.rank_by} over all pictures", report.rank_by, values, threshold, f"top {report.top}"
    )
