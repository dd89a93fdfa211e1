"""What the formats say alike."""

from __future__ import annotations

from dataclasses import dataclass

from ...comparison.result import Comparison, Pair, Picture, Side


@dataclass(frozen=True)
class Line:
    """One picture of a section: what is said about it, and where it stands on each side."""

    said: str
    old: Picture | None = None
    new: Picture | None = None


@dataclass(frozen=True)
class Section:
    """One kind of change."""

    name: str  # of the field of `Comparison`
    title: str
    severity: str  # "error", "warning", or "" for what is only told
    lines: tuple[Line, ...]


def verdict(made: Comparison) -> str:
    """The result in one line."""
    counts = [
        (len(made.conflicts), "newly conflicting"),
        (len(made.added), "added"),
        (len(made.removed), "removed"),
        (len(made.changed), "changed"),
        (len(made.relabelled), "relabelled"),
        (len(made.moved), "moved between splits"),
    ]
    said = ", ".join(f"{count:,} {what}" for count, what in counts if count)
    part = "" if made.complete else "INCOMPLETE: not everything could be compared. "
    names = " but names" if made.renamed else ""
    return f"{part}{said[:1].upper()}{said[1:]}." if said else f"{part}No changes{names}."


def subject(made: Comparison) -> str:
    """What was compared."""
    return f"Compared {_side(made.old)} with {_side(made.new)}."


def sections(made: Comparison) -> list[Section]:
    """Every kind of change that there is, what to look at first before the rest."""
    found = [
        Section("relabelled", "Relabelled", "warning", tuple(map(_pair, made.relabelled))),
        Section("moved", "Moved between splits", "warning", tuple(map(_pair, made.moved))),
        Section("changed", "Changed: the same id, other content", "warning", tuple(map(_pair, made.changed))),
        Section("added", "Added", "", tuple(Line(_picture(one), new=one) for one in made.added)),
        Section("removed", "Removed", "", tuple(Line(_picture(one), old=one) for one in made.removed)),
        Section("renamed", "Renamed, and nothing else", "", tuple(map(_pair, made.renamed))),
        Section(
            "rises",
            f"Rose furthest in the ranking by {made.rank_by}",
            "",
            tuple(
                Line(
                    f"rank {rise.old_rank:,} to {rise.new_rank:,} (top {rise.old_share:.1%} to {rise.new_share:.1%}): "
                    f"{_picture(rise.pair.new)}",
                    rise.pair.old,
                    rise.pair.new,
                )
                for rise in made.rises
            ),
        ),
    ]
    return [section for section in found if section.lines]


def unreadable(made: Comparison) -> list[str]:
    """Every file that could not be compared."""
    sides = (("old", made.old), ("new", made.new))
    return [f"{which}: {item.id}: {item.reason}" for which, side in sides for item in side.unreadable]


def _side(side: Side) -> str:
    return f"{'run ' if side.is_run else ''}{side.name} ({side.pictures:,} pictures)"


def _picture(one: Picture) -> str:
    return f"{one.shown} ({one.label})"


def _pair(pair: Pair) -> Line:
    old, new = pair.old, pair.new
    name = old.shown if old.shown == new.shown else f"{old.shown} → {new.shown}"
    label = old.label if old.label == new.label else f"{old.label} → {new.label}"
    return Line(f"{name} ({label})", old, new)
