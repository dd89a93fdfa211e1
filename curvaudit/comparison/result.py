"""What two versions of a data set differ in: plain records, shared by the use case and what it writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..records import Finding, Skipped


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture on one side."""

    row: int
    id: str  # within its split
    label: str
    split: str  # as the source spells it, "" where nothing tells
    path: str = ""  # the id, but where a manifest names one path twice: their ids are numbered by the order of rows

    @property
    def shown(self) -> str:
        """Id with the split, where one is known and the id does not begin with it."""
        known = not self.split or self.id.split("/", 1)[0] == self.split
        return self.id if known else f"{self.split}: {self.id}"


@dataclass(frozen=True, slots=True)
class Pair:
    """One picture on both sides."""

    old: Picture
    new: Picture


@dataclass(frozen=True, slots=True)
class Rise:
    """A picture that is more suspicious than it was. Shares: 0 is the top of a ranking, 1 its end."""

    pair: Pair
    old_rank: int
    new_rank: int
    old_share: float
    new_share: float


@dataclass(frozen=True)
class Side:
    """One of the two versions."""

    name: str
    is_run: bool
    pictures: int
    unreadable: tuple[Skipped, ...]
    thumbnails: Mapping[int, bytes]  # row -> encoded picture, of the rows that the comparison names


@dataclass(frozen=True)
class Comparison:
    """What has changed from `old` to `new`. Each list is in the order of the new rows (removed: old)."""

    old: Side
    new: Side
    added: tuple[Picture, ...]  # content and id that the old version does not have
    removed: tuple[Picture, ...]
    changed: tuple[Pair, ...]  # the same id, other content
    relabelled: tuple[Pair, ...]  # the same picture under another label
    moved: tuple[Pair, ...]  # the same picture in another split
    renamed: tuple[Pair, ...]  # the same picture under another id, and nothing else about it
    conflicts: tuple[Finding, ...]  # CA101 and CA102 of the new version that the old one does not have
    rises: tuple[Rise, ...]  # the furthest first; empty unless both are runs
    rank_by: str  # "" unless both are runs
    gaps: tuple[str, ...]  # why the comparison is not a whole one

    def __repr__(self) -> str:
        # As of a `Report`: both sides hold pictures.
        kinds = ("added", "removed", "changed", "relabelled", "moved", "renamed", "conflicts")
        counts = ", ".join(f"{kind} {len(getattr(self, kind))}" for kind in kinds)
        return f"<Comparison of {self.old.name!r} with {self.new.name!r}: {counts}>"

    @property
    def same(self) -> bool:
        """True where nothing differs but names and order."""
        return not (self.added or self.removed or self.changed or self.relabelled or self.moved)

    @property
    def complete(self) -> bool:
        """True where both sides could be read as a whole."""
        return not self.gaps

    @property
    def exit_code(self) -> int:
        """0 compared, whatever has changed; 2 compared in part only."""
        return 0 if self.complete else 2
