"""CA101, CA102, CA111, CA112: the same picture, or nearly, under different labels or one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from ..copies.matching import NearPairs, is_telling
from ..records import Finding
from ..text.lists import in_words
from .interface import Evidence

_LARGE = 10  # a group of at least this part of its class is told as a part of it
_NAMED = 3  # kinds of copies that a sentence lists


def find(evidence: Evidence) -> list[Finding]:
    """Groups of equal pictures, then groups linked by near-identical pairs."""
    sizes = np.bincount(evidence.samples.labels)  # (K,) pictures of each class
    found = [
        _exact_finding(evidence, rows, int(sizes[evidence.samples.labels[rows[0]]])) for rows in exact_groups(evidence)
    ]
    within = np.flatnonzero(evidence.near.pairs.max(axis=1, initial=-1) < len(evidence.samples))
    for rows, members in connected(evidence.near, within):
        found.append(_near_finding(evidence, rows, members))
    return found


def exact_groups(evidence: Evidence) -> list[np.ndarray]:
    """Rows of each content that occurs more than once; pictures of one colour left out."""
    rows = np.flatnonzero(is_telling(evidence.samples))
    return [rows[group] for group in equal(evidence.samples.content_hash[rows])]


def equal(contents: np.ndarray) -> list[np.ndarray]:
    """Positions of each value that occurs more than once, ascending in each group."""
    order = np.argsort(contents, kind="stable")
    cuts = np.flatnonzero(np.diff(contents[order])) + 1
    return [group for group in np.split(order, cuts) if len(group) > 1]


def connected(near: NearPairs, positions: Iterable[int]) -> list[tuple[np.ndarray, np.ndarray]]:
    """(rows, positions of their pairs) of each group that the pairs at `positions` link."""
    parent: dict[int, int] = {}

    def root(row: int) -> int:
        while parent.setdefault(row, row) != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    chosen = np.asarray(list(positions), np.int64)
    for i, j in near.pairs[chosen].tolist():
        parent[root(j)] = root(i)
    groups: dict[int, list[int]] = {}
    for position, (i, _) in zip(chosen.tolist(), near.pairs[chosen].tolist(), strict=True):
        groups.setdefault(root(i), []).append(position)
    return [(np.unique(near.pairs[members]), np.array(members)) for members in groups.values()]


def kinds(near: NearPairs, members: np.ndarray) -> str:
    """What was done to the copies of a group, in words: the commonest three."""
    counted = Counter(near.kinds[member] for member in members.tolist())
    ordered = sorted(counted, key=lambda kind: (-counted[kind], kind))
    return "; ".join([*ordered[:_NAMED], *["…"] * (len(ordered) > _NAMED)])


def every_pair(rows: np.ndarray, members: np.ndarray, contents: np.ndarray) -> bool:
    """Whether each picture of a group is near-identical to each other one, not only linked through others."""
    _, sizes = np.unique(contents[rows], return_counts=True)
    same = int((sizes * (sizes - 1) // 2).sum())  # equal contents are no near-identical pair, but the same picture
    return len(members) + same == len(rows) * (len(rows) - 1) // 2


def measured(near: NearPairs, members: np.ndarray) -> dict[str, str | int | float]:
    """The evidence of a near-identical group: the worst of its pairs."""
    return {
        "kind": kinds(near, members),
        "hash_distance": int(near.bits[members].max()),
        "pixel_distance": round(float(near.distance[members].max()), 5),
    }


def _share(count: int, of: int) -> str:
    """How much of a class of `of` pictures, where it is much: a count of findings does not tell it."""
    if count == of:
        return ", the whole class"
    return f", {count:,} of the {of:,} pictures of the class" if count * _LARGE >= of else ""


def _exact_finding(evidence: Evidence, rows: np.ndarray, of: int) -> Finding:
    labels = sorted({evidence.label(int(row)) for row in rows})
    if len(labels) > 1:
        message = f"The same picture stands {len(rows)} times, under the labels {in_words(labels)}."
        rule = "CA101"
    else:
        message = f"The same picture stands {len(rows)} times under {labels[0]}{_share(len(rows), of)}."
        rule = "CA111"
    return evidence.finding(
        rule, message, [int(r) for r in rows], {"kind": "exact", "hash_distance": 0, "pixel_distance": 0.0}
    )


def _near_finding(evidence: Evidence, rows: np.ndarray, members: np.ndarray) -> Finding:
    labels = sorted({evidence.label(int(row)) for row in rows})
    conflict = len(labels) > 1
    where = f"under the labels {in_words(labels)}" if conflict else f"all under {labels[0]}"
    # Frames of a slow film are a chain: each like the next, the first not like the last.
    whole = every_pair(rows, members, evidence.samples.content_hash)
    many = f"{len(rows)} near-identical pictures" if whole else f"{len(rows)} pictures linked by near-identical pairs"
    return evidence.finding(
        "CA102" if conflict else "CA112",
        f"{many} ({kinds(evidence.near, members)}), {where}.",
        [int(row) for row in rows],
        measured(evidence.near, members),
    )
