"""CA101, CA102, CA111, CA112: the same picture, or nearly, under different labels or one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .. import hashing
from ..pixel_distance import PictureTable
from ..records import Finding
from .interface import Evidence

NEAR_RADIUS = 6  # bits of the perceptual hash; beyond, candidates are mostly chance
SMALLEST = 16  # px; smaller pictures of different things look alike, only exact copies count
NEAR_DISTANCE = 0.02  # 1 − correlation of the pixels: JPEG and resizing stay below, see pixel_distance


@dataclass(frozen=True)
class NearPairs:
    """Near-identical pairs of distinct contents, and how many could not be compared."""

    pairs: np.ndarray  # (P, 2) rows
    bits: np.ndarray  # (P,) Hamming distance
    distance: np.ndarray  # (P,) 1 − correlation
    unverified: int


def find(evidence: Evidence) -> list[Finding]:
    """Groups of equal pictures, then groups linked by near-identical pairs."""
    exact = exact_groups(evidence)
    found = [_exact_finding(evidence, rows) for rows in exact]
    near = near_pairs(evidence)
    for rows, members in _connected(near):
        found.append(_near_finding(evidence, rows, near, members))
    return found


def unverified(evidence: Evidence) -> int:
    """Candidate pairs whose pictures are not kept with the run."""
    return near_pairs(evidence).unverified


def exact_groups(evidence: Evidence) -> list[np.ndarray]:
    """Rows of each content that occurs more than once; flat pictures left out."""
    rows = np.flatnonzero(evidence.has_content())
    contents = evidence.samples.content_hash[rows]
    order = np.argsort(contents, kind="stable")
    cuts = np.flatnonzero(np.diff(contents[order])) + 1
    return [rows[group] for group in np.split(order, cuts) if len(group) > 1]


def near_pairs(evidence: Evidence) -> NearPairs:
    """Candidates by perceptual hash, verified on pixels. One row stands for each content.

    Worked out once: findings and caveats both ask, and in a large set it takes minutes.
    """
    known: NearPairs | None = evidence.__dict__.get("_near_pairs")
    if known is None:
        known = _near_pairs(evidence)
        object.__setattr__(evidence, "_near_pairs", known)
    return known


def _near_pairs(evidence: Evidence) -> NearPairs:
    large_enough = np.minimum(evidence.samples.width, evidence.samples.height) >= SMALLEST
    candidates = np.flatnonzero(evidence.has_content() & large_enough)
    # Copies with different labels need each its own near-duplicates: one row a content and label.
    key = np.stack(
        [evidence.samples.content_hash[candidates], evidence.samples.labels[candidates].astype(np.uint64)], 1
    )
    _, first = np.unique(key, axis=0, return_index=True)
    rows = candidates[np.sort(first)]
    hashes = evidence.samples.phash[rows]
    pairs = rows[hashing.neighbour_pairs(hashes, NEAR_RADIUS)]  # (P, 2)
    contents = evidence.samples.content_hash
    pairs = pairs[contents[pairs[:, 0]] != contents[pairs[:, 1]]]
    if len(pairs) == 0:
        return NearPairs(pairs, np.zeros(0, int), np.zeros(0), 0)
    table = PictureTable.decode(evidence.thumbnails(np.unique(pairs).tolist()))
    distance = table.distances(pairs)  # (P,) NaN where a picture is missing
    same = distance <= NEAR_DISTANCE
    phash = evidence.samples.phash
    bits = np.array([hashing.distance(phash[i], phash[j]) for i, j in pairs[same]], int)
    return NearPairs(pairs[same], bits, distance[same], int(np.isnan(distance).sum()))


def _exact_finding(evidence: Evidence, rows: Sequence[int] | np.ndarray) -> Finding:
    labels = sorted({evidence.label(int(row)) for row in rows})
    if len(labels) > 1:
        message = f"The same picture stands {len(rows)} times, under the labels {_listed(labels)}."
        rule = "CA101"
    else:
        message = f"The same picture stands {len(rows)} times under {labels[0]}."
        rule = "CA111"
    return evidence.finding(
        rule, message, [int(r) for r in rows], {"kind": "exact", "hash_distance": 0, "pixel_distance": 0.0}
    )


def _near_finding(evidence: Evidence, rows: np.ndarray, near: NearPairs, members: np.ndarray) -> Finding:
    labels = sorted({evidence.label(int(row)) for row in rows})
    conflict = len(labels) > 1
    where = f"under the labels {_listed(labels)}" if conflict else f"all under {labels[0]}"
    return evidence.finding(
        "CA102" if conflict else "CA112",
        f"{len(rows)} near-identical pictures, {where}.",
        [int(row) for row in rows],
        {
            "kind": "near",
            "hash_distance": int(near.bits[members].max()),
            "pixel_distance": round(float(near.distance[members].max()), 5),
        },
    )


def _connected(near: NearPairs) -> list[tuple[np.ndarray, np.ndarray]]:
    """(rows, positions of their pairs) of each group that near-identical pairs link."""
    parent: dict[int, int] = {}

    def root(row: int) -> int:
        while parent.setdefault(row, row) != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for i, j in near.pairs.tolist():
        parent[root(j)] = root(i)
    groups: dict[int, list[int]] = {}
    for position, (i, _) in enumerate(near.pairs.tolist()):
        groups.setdefault(root(i), []).append(position)
    return [(np.unique(near.pairs[members]), np.array(members)) for members in groups.values()]


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
