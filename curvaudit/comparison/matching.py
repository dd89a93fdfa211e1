"""Which pictures of two versions are the same: by content, among copies by where they lie, then by id."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from ..inspecting import ALL_SPLITS
from ..records import Report, of_kind
from ..sources.splits import SPLITS, meaning
from .result import Pair, Picture


@dataclass(frozen=True)
class Matches:
    """Pictures of two versions, each once: in a pair, or on one side alone."""

    same: list[Pair]  # equal content
    changed: list[Pair]  # equal place, other content
    removed: list[Picture]
    added: list[Picture]


def match(old: Report, new: Report) -> Matches:
    """Pair the pictures of two versions. What stands where the other version has an unreadable file is on no side."""
    before, after = _pictures(old), _pictures(new)
    same, lost, fresh = _by_content(before, after, old.samples.content_hash, new.samples.content_hash)
    told = all(any(picture.split for picture in side) for side in (before, after))

    def place(picture: Picture) -> tuple[str, str]:
        # Where only one side tells splits, the id alone has to do.
        return picture.id, meaning(picture.split) if told else ""

    changed, lost, fresh = _matched(lost, fresh, place)
    unread_before, unread_after = (_unreadable_places(report, place) for report in (old, new))
    gone = [picture for picture in lost if place(picture) not in unread_after]
    come = [picture for picture in fresh if place(picture) not in unread_before]
    return Matches(same, changed, gone, come)


def in_other_split(pair: Pair) -> bool:
    """Whether both sides tell splits, and not the same one."""
    known = pair.old.split and pair.new.split
    return bool(known) and meaning(pair.old.split) != meaning(pair.new.split)


def _pictures(report: Report) -> list[Picture]:
    named = report.samples.columns.get("split")
    found = []
    for row, (identity, path) in enumerate(zip(report.samples.ids, report.samples.paths, strict=True)):
        label = report.label(row)
        split = named[row] if named else _chosen_split(report) or _split_in(identity, label)
        prefix = f"{split}: "
        found.append(Picture(row, identity.removeprefix(prefix), label, split, path.removeprefix(prefix)))
    return found


def _chosen_split(report: Report) -> str:
    """The one split that was asked for, if one was."""
    split = report.run.config.get("split")
    return split if isinstance(split, str) and split != ALL_SPLITS else ""


def _split_in(identity: str, label: str) -> str:
    """The split that an id names as a folder; a class may be called "test"."""
    folders = identity.split("/")[:-1]
    return next((part for part in folders if part.lower() in SPLITS and part != label), "")


def _unreadable_places(report: Report, place: Callable[[Picture], tuple[str, str]]) -> frozenset[tuple[str, str]]:
    """Where files lie that could not be read: what stands there in the other version is not new, and not gone."""
    splits = set(report.samples.columns.get("split", ()))
    found = set()
    for item in of_kind(report.skipped, "unreadable"):
        split = next((name for name in splits if item.id.startswith(f"{name}: ")), "")
        identity = item.id.removeprefix(f"{split}: ")
        found.add(place(Picture(-1, identity, "", split or _chosen_split(report) or _split_in(identity, ""))))
    return frozenset(found)


def _by_content(
    old: Sequence[Picture], new: Sequence[Picture], old_content: np.ndarray, new_content: np.ndarray
) -> tuple[list[Pair], list[Picture], list[Picture]]:
    """(the same on both sides, left on the old, left on the new); among copies those that agree best."""
    before = dict(zip((picture.row for picture in old), old_content.tolist(), strict=True))
    after = dict(zip((picture.row for picture in new), new_content.tolist(), strict=True))
    agreements: tuple[Callable[[Picture], Hashable], ...] = (
        lambda picture: (picture.path, meaning(picture.split), picture.label),
        lambda picture: (picture.path, meaning(picture.split)),
        lambda picture: (picture.path, picture.label),
        lambda picture: (meaning(picture.split), picture.label),
        lambda picture: picture.label,
        lambda picture: meaning(picture.split),
        lambda picture: None,
    )
    pairs: list[Pair] = []
    lost, fresh = list(old), list(new)
    for agreement in agreements:
        found, lost, fresh = _matched(
            lost,
            fresh,
            lambda picture, agreement=agreement: (before[picture.row], agreement(picture)),  # type: ignore[misc]
            lambda picture, agreement=agreement: (after[picture.row], agreement(picture)),  # type: ignore[misc]
        )
        pairs += found
    return sorted(pairs, key=lambda pair: pair.new.row), lost, fresh


def _matched(
    old: Sequence[Picture],
    new: Sequence[Picture],
    old_key: Callable[[Picture], Hashable],
    new_key: Callable[[Picture], Hashable] | None = None,
) -> tuple[list[Pair], list[Picture], list[Picture]]:
    """Pairs with equal keys, each picture once, and what is left of both."""
    waiting: dict[Hashable, deque[Picture]] = {}
    for picture in old:
        waiting.setdefault(old_key(picture), deque()).append(picture)
    pairs, fresh = [], []
    for picture in new:
        others = waiting.get((new_key or old_key)(picture))
        if others:
            pairs.append(Pair(others.popleft(), picture))
        else:
            fresh.append(picture)
    taken = {pair.old.row for pair in pairs}
    return pairs, [picture for picture in old if picture.row not in taken], fresh
