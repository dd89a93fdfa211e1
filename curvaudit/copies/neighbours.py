"""Nearest neighbours among many unit vectors without comparing all with all.

An inverted file: the points are divided into about √N cells around k-means centres, and a query
is compared with the members of the few cells nearest to it, N·√N comparisons instead of N².
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_PROBED = 6  # cells a query looks into; copies lie so near that they share one of them
_SAMPLED = 64  # points a cell that k-means sees
_ROUNDS = 6
_BLOCK = 1 << 15  # queries at once
_PRODUCTS = 1 << 22  # similarities at once: bounds memory to tens of MB, also where one cell holds everything
_SMALL = 2048  # points below which one cell is faster


@dataclass(frozen=True)
class Index:
    """Points, sorted by cell."""

    points: np.ndarray  # (N, D) float32 of norm 1
    centres: np.ndarray  # (C, D)
    members: np.ndarray  # (N,) rows of points, those of cell 0 first
    starts: np.ndarray  # (C + 1,) where each cell begins in members

    @staticmethod
    def build(points: np.ndarray) -> Index:
        """Divide `points`, (N, D) float32; the same every time."""
        count = 1 if len(points) < _SMALL else int(np.sqrt(len(points)))
        centres = _centres(points, count)
        cell = _nearest(points, centres, 1)[:, 0]
        sizes = np.bincount(cell, minlength=count)
        return Index(points, centres, np.argsort(cell, kind="stable"), np.concatenate([[0], np.cumsum(sizes)]))

    def search(
        self, queries: np.ndarray, k: int, radius: float, first: int = 0
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The `k` nearest points of each query that has one within `radius`, nearest first.

        Query i is not compared with point `first` + i, so the points themselves can be asked. Approximate:
        neighbours are missed in cells that are not probed, or hold nothing within the radius.

        Returns
        -------
        query (H,) int64, counted from `first`, rows (H, k) int64, -1 where there are fewer than k,
        and Euclidean distances (H, k) float32, inf there.
        """
        least = 1 - radius**2 / 2
        blocks = [
            self._search(queries[s : s + _BLOCK], first + s, k, least) for s in range(0, max(1, len(queries)), _BLOCK)
        ]
        query, rows, similar = (np.concatenate(part) for part in zip(*blocks, strict=True))
        distance = np.sqrt(np.maximum(2 - 2 * similar, 0))
        return query, rows, np.where(rows < 0, np.inf, distance).astype(np.float32)

    def _search(
        self, queries: np.ndarray, first: int, k: int, least: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        probed = min(_PROBED, len(self.centres))
        cells = _nearest(queries, self.centres, probed)  # (Q, probed)
        rows = np.full((len(queries), probed, k), -1, np.int64)
        similar = np.full((len(queries), probed, k), -np.inf, np.float32)
        order = np.argsort(cells, axis=None, kind="stable")
        bounds = np.searchsorted(cells.ravel()[order], np.arange(len(self.centres) + 1))
        for cell in np.flatnonzero(np.diff(bounds)):
            mine = self.members[self.starts[cell] : self.starts[cell + 1]]
            if len(mine) == 0:
                continue
            asked = order[bounds[cell] : bounds[cell + 1]]
            for part in np.split(asked, range(step := max(1, _PRODUCTS // len(mine)), len(asked), step)):
                query, place = np.divmod(part, probed)
                alike = queries[query] @ self.points[mine].T  # (q, members)
                column = np.minimum(np.searchsorted(mine, first + query), len(mine) - 1)  # members of a cell ascend
                itself = np.flatnonzero(mine[column] == first + query)
                alike[itself, column[itself]] = -2
                hit = np.flatnonzero(alike.max(axis=1) >= least)
                kept = min(k, len(mine))
                best = np.argpartition(alike[hit], len(mine) - kept, axis=1)[:, len(mine) - kept :]
                found = np.take_along_axis(alike[hit], best, 1)
                rows[query[hit], place[hit], :kept] = np.where(found > -2, mine[best], -1)
                similar[query[hit], place[hit], :kept] = np.where(found > -2, found, -np.inf)
        hits = np.flatnonzero(similar.max(axis=(1, 2)) >= least)
        width = probed * k
        flat_rows, flat_similar = rows[hits].reshape(-1, width), similar[hits].reshape(-1, width)
        best = np.argsort(-flat_similar, axis=1, kind="stable")[:, :k]
        return first + hits, np.take_along_axis(flat_rows, best, 1), np.take_along_axis(flat_similar, best, 1)


def _nearest(points: np.ndarray, centres: np.ndarray, count: int) -> np.ndarray:
    """The `count` nearest centres, (P, count), in no order."""
    found = np.empty((len(points), count), np.int64)
    half_square = (centres**2).sum(axis=1) / 2
    step = max(1, _PRODUCTS // len(centres))
    for start in range(0, len(points), step):
        block = slice(start, start + step)
        distant = half_square - points[block] @ centres.T
        if count == 1:
            found[block, 0] = distant.argmin(axis=1)
        else:
            found[block] = np.argpartition(distant, count - 1, axis=1)[:, :count]
    return found


def _centres(points: np.ndarray, count: int) -> np.ndarray:
    if count == 1:
        return points[:1]
    random = np.random.default_rng(0)
    sample = points[random.permutation(len(points))[: count * _SAMPLED]]
    centres = sample[:count].copy()
    for _ in range(_ROUNDS):
        cell = _nearest(sample, centres, 1)[:, 0]
        total = np.zeros_like(centres)
        np.add.at(total, cell, sample)
        size = np.bincount(cell, minlength=count)
        centres = np.where(size[:, None] > 0, total / np.maximum(size, 1)[:, None], centres)
    return centres
