"""Pictures on the page: what stands under each, and the style sheet that embeds each once."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ...records import SEVERITIES, Finding, Report, Samples
from ...rules import CONFLICTS, ORDER
from .embedded import embedded
from .svg import number

_UNRANKED = 500  # pictures on a contact sheet without a ranking
_FIRST = 100  # tiles of the sheet whose pictures come before those of the findings
_SMALL = 64  # px; up to here a picture is scaled up without smoothing


@dataclass(frozen=True)
class Tile:
    """One picture on the page."""

    row: int
    id: str
    label: str
    label_number: int
    rank: int
    score: str
    suggested: str
    rules: tuple[str, ...]
    kept: bool  # a thumbnail is there
    crisp: bool
    twin: int | None  # best-ranked copy under another label
    twin_labels: tuple[str, ...]
    looks_like: str  # label of most of its neighbours, where that is another one
    looks_count: str  # "7 of 8"
    anchor: str = ""  # id of this place on the page, "" where another place has it


class Tiles:
    """Makes tiles and remembers which pictures the page needs."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._twins = _twins(report)
        self._scores = report.score
        self._made: dict[int, Tile] = {}
        self._anchors: set[str] = set()

    def sheet_rows(self) -> list[int]:
        """Rows of the contact sheet: the top of the ranking; without a ranking, the pictures of the findings."""
        report = self._report
        if report.chosen_training is not None:
            ranked: list[int] = report.order[: report.top].tolist()
            return ranked
        place = {rule: number for number, rule in enumerate(ORDER)}
        found = sorted(report.findings, key=lambda finding: place.get(finding.rule.id, len(place)))
        rows = [row for finding in found for row in finding.rows]
        return list(dict.fromkeys(rows))[:_UNRANKED]

    def of(self, row: int, place: str = "") -> Tile:
        """The tile of one row.

        Parameters
        ----------
        place:
            Prefix of the anchor, such as `t`; only the first tile of a row and prefix gets it.
        """
        tile = self._made.get(row)
        if tile is None:
            tile = self._made[row] = self._make(row)
        anchor = f"{place}{row}"
        if not place or anchor in self._anchors:
            return tile
        self._anchors.add(anchor)
        return replace(tile, anchor=anchor)

    def link(self, row: int) -> str:
        """Anchor of a row: on the contact sheet, else in a conflict, else the conflicts."""
        for prefix in ("t", *(f"{rule}-" for rule in CONFLICTS)):
            if f"{prefix}{row}" in self._anchors:
                return f"{prefix}{row}"
        return next((rule for rule in CONFLICTS if rule in self._report.rules_of(row)), "findings")

    def made(self) -> list[Tile]:
        """Every picture on the page, by row."""
        return [self._made[row] for row in sorted(self._made)]

    def pictures(self) -> dict[int, bytes]:
        """Row -> encoded picture, for the page with the tiles made so far."""
        sheet = self.sheet_rows()
        found = sorted(self._report.findings, key=lambda finding: SEVERITIES.index(finding.rule.severity))
        named = [row for finding in found for row in finding.rows if row in self._made]
        first = dict.fromkeys((*sheet[:_FIRST], *named, *sheet, *self._made))
        return embedded(self._report, sorted(self._made), list(first))

    def data_uri(self, row: int) -> str:
        """The picture itself as a `data:` address, "" if it is not kept."""
        return data_address(self._report.thumbnails[row]) if row in self._report.thumbnails else ""

    def _make(self, row: int) -> Tile:
        report, samples = self._report, self._report.samples
        twins = self._twins.get(row, {})
        score = float(self._scores[row])
        looks_like, looks_count = self._looks(row)
        return Tile(
            row=row,
            id=samples.ids[row],
            label=report.label(row),
            label_number=int(samples.labels[row]),
            rank=int(report.rank[row]),
            score=number(score) if np.isfinite(score) else "not measured",
            suggested=report.suggested_label(row) or "",
            rules=report.rules_of(row),
            kept=row in report.thumbnails,
            crisp=crisp(samples, row),
            twin=min(twins.values(), key=lambda other: int(report.rank[other])) if twins else None,
            twin_labels=tuple(sorted(twins)),
            looks_like=looks_like,
            looks_count=looks_count,
        )

    def _looks(self, row: int) -> tuple[str, str]:
        """The other label that more than half of the neighbours carry, and how many do."""
        report = self._report
        near = report.near(row)
        if not near:
            return "", ""
        label, count = Counter(report.samples.labels[near].tolist()).most_common(1)[0]
        if 2 * count <= len(near) or label == int(report.samples.labels[row]):
            return "", ""
        return report.samples.classes[label], f"{count} of {len(near)}"


def style(pictures: Mapping[int, bytes]) -> str:
    """`.p7{background-image:…}` for every picture: shown often, embedded once."""
    return "".join(
        f".p{row}{{background-image:url({data_address(content)})}}\n" for row, content in sorted(pictures.items())
    )


def crisp(samples: Samples, row: int) -> bool:
    """Whether a picture is so small that it is scaled up without smoothing."""
    return max(int(samples.width[row]), int(samples.height[row])) <= _SMALL


def distance_in_words(finding: Finding) -> str:
    """How alike the pictures of a finding are, in words; "" if the finding does not say."""
    bits, pixels = finding.evidence.get("hash_distance"), finding.evidence.get("pixel_distance")
    if bits == 0 and pixels == 0:
        return "identical in every pixel"
    parts = []
    if bits is not None:
        parts.append(f"hash distance {bits} of 64 bits")
    if pixels is not None:
        parts.append(f"pixel distance {float(pixels):.4g} (0 is identical)")
    return ", ".join(parts)


def _twins(report: Report) -> dict[int, dict[str, int]]:
    """row -> other label -> its best-ranked copy there."""
    found: dict[int, dict[str, int]] = {}
    for finding in report.findings:
        if finding.rule.id not in CONFLICTS:
            continue
        rows = sorted(finding.rows, key=lambda row: int(report.rank[row]))
        best: dict[str, int] = {}
        for row in rows:
            best.setdefault(report.label(row), row)
        for row in rows:
            others = {label: other for label, other in best.items() if label != report.label(row)}
            if others:
                found.setdefault(row, {}).update(others)
    return found


def data_address(content: bytes) -> str:
    """An encoded picture as a `data:` address."""
    return f"data:{_mime(content)};base64,{base64.b64encode(content).decode()}"


def _mime(content: bytes) -> str:
    if content.startswith(b"\x89PNG"):
        return "image/png"
    return "image/jpeg" if content.startswith(b"\xff\xd8") else "image/webp"
