"""One self-contained page that opens from disk and loads nothing from outside. It runs no script."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from ...comparison.result import Comparison, Picture
from ...text.utf8 import encoded
from ..page_content.pages import environment, part, policy
from ..page_content.tiles import data_address
from . import wording

MOST = 500  # pictures of one kind of change on the page
_WITHOUT_PICTURES = ("renamed",)  # nothing to see


@dataclass(frozen=True)
class _Tile:
    """One picture of one side."""

    mark: str  # class of the style sheet that draws it, "" where it is not kept
    crisp: bool
    label: str
    id: str


@dataclass(frozen=True)
class _Entry:
    said: str
    tiles: tuple[_Tile, ...]


@dataclass(frozen=True)
class _Shown:
    """One kind of change on the page."""

    name: str
    title: str
    severity: str
    count: int
    entries: tuple[_Entry, ...]
    pictures: bool


def render(made: Comparison) -> bytes:
    """The page. Every name in it is text, see `pages`."""
    drawn = _Drawn(made)
    shown = [_section(section, drawn) for section in wording.sections(made)]
    if made.conflicts:
        shown.insert(0, _conflicts(made, drawn))
    style, pictures = part("style.css"), drawn.style()
    text = environment().get_template("comparison.html").render(
        style=Markup(style),
        pictures=Markup(pictures),
        policy=policy((style, pictures)),
        made=made,
        verdict=wording.verdict(made),
        severity="error" if made.conflicts or not made.complete else "note" if made.same else "warning",
        subject=wording.subject(made),
        sections=shown,
        unreadable=wording.unreadable(made)[:MOST],
        hidden=max(0, len(wording.unreadable(made)) - MOST),
    )  # fmt: skip
    return encoded(text)


class _Drawn:
    """Makes tiles and remembers which pictures the page needs."""

    def __init__(self, made: Comparison) -> None:
        self._sides = {"old": made.old.thumbnails, "new": made.new.thumbnails}
        self._used: dict[str, bytes] = {}

    def tile(self, side: str, one: Picture) -> _Tile:
        content = self._sides[side].get(one.row)
        if content is None:
            return _Tile("", False, one.label, one.shown)
        mark = f"{side}{one.row}"
        self._used[mark] = content
        # Small pictures are kept without loss, as PNG, and are scaled up without smoothing.
        return _Tile(mark, content.startswith(b"\x89PNG"), one.label, one.shown)

    def style(self) -> str:
        """Each picture once."""
        return "".join(
            f".{mark}{{background-image:url({data_address(content)})}}\n" for mark, content in self._used.items()
        )


def _section(section: wording.Section, drawn: _Drawn) -> _Shown:
    pictures = section.name not in _WITHOUT_PICTURES
    entries = []
    for line in section.lines[:MOST]:
        tiles = []
        if pictures and line.old is not None and (line.new is None or section.name == "changed"):
            tiles.append(drawn.tile("old", line.old))
        if pictures and line.new is not None:
            tiles.append(drawn.tile("new", line.new))
        entries.append(_Entry(line.said, tuple(tiles)))
    return _Shown(section.name, section.title, section.severity, len(section.lines), tuple(entries), pictures)


def _conflicts(made: Comparison, drawn: _Drawn) -> _Shown:
    entries = []
    for finding in made.conflicts[:MOST]:
        named = [
            Picture(sample.index, sample.id, sample.label or "", "")
            for sample in finding.samples
            if sample.index is not None
        ]
        entries.append(
            _Entry(f"{finding.rule.id} {finding.message}", tuple(drawn.tile("new", one) for one in named[:24]))
        )
    return _Shown("conflicts", "Newly conflicting", "error", len(made.conflicts), tuple(entries), True)
