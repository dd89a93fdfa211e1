"""Hashes of a picture's content and look, and the search for neighbours among them."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b

import imagehash
import numpy as np
from PIL import Image

LARGEST_RADIUS = 7  # four bands: within 7 bits at least one band differs in at most one
_GROUP = 200  # rows of one hash that are paired each with each; beyond, with the first only
_CHUNK = 1 << 21  # pairs held at once


def content_hash(image: Image.Image) -> int:
    """64-bit hash of size and RGB pixels: equal for grey stored as L and as RGB."""
    digest = blake2b(f"{image.width}x{image.height}:".encode(), digest_size=8)
    digest.update(image.convert("RGB").tobytes())
    return int.from_bytes(digest.digest(), "big")


def perceptual_hash(image: Image.Image) -> int:
    """64-bit pHash (low frequencies of the discrete cosine transform against their median)."""
    bits = imagehash.phash(image).hash.flatten()  # (64,) bool
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def neighbour_pairs(hashes: np.ndarray, radius: int) -> np.ndarray:
    """All pairs of rows whose hashes differ in at most `radius` bits, (P, 2) int64, i < j.

    Exact and near-linear: in 64 bits of four bands, hashes within 7 bits share a band up to
    one bit, so each band is joined with itself and its sixteen one-bit neighbours. Of more
    than 200 rows with one and the same hash, each is paired with the first only.

    Raises
    ------
    ValueError
        `radius` is above 7.
    """
    if not 0 <= radius <= LARGEST_RADIUS:
        raise ValueError(f"radius {radius} is not from 0 to {LARGEST_RADIUS}")
    unique, group = np.unique(np.asarray(hashes, np.uint64), return_inverse=True)
    by_group = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[by_group], np.arange(len(unique) + 1))
    members = [by_group[a:b] for a, b in zip(starts[:-1], starts[1:], strict=True)]
    found = [_within(rows) for rows in members if len(rows) > 1]
    found += [_across(members[a], members[b]) for a, b in _unique_pairs(unique, radius)]
    if not found:
        return np.zeros((0, 2), np.int64)
    return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)


def distance(a: int, b: int) -> int:
    """Hamming distance of two hashes in bits."""
    return (int(a) ^ int(b)).bit_count()


def _within(rows: np.ndarray) -> np.ndarray:
    if len(rows) > _GROUP:
        return np.stack([np.full(len(rows) - 1, rows[0]), rows[1:]], axis=1)
    i, j = np.triu_indices(len(rows), 1)
    return np.stack([rows[i], rows[j]], axis=1)


def _across(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    if len(left) * len(right) > _GROUP * _GROUP:
        left, right = left[:1], right[:1]
    return np.stack([np.repeat(left, len(right)), np.tile(right, len(left))], axis=1)


def _unique_pairs(unique: np.ndarray, radius: int) -> np.ndarray:
    """Positions (P, 2) of distinct hashes within the radius."""
    found = [np.zeros((0, 2), np.int64)]
    for band in range(4):
        keys = ((unique >> np.uint64(16 * band)) & np.uint64(0xFFFF)).astype(np.int64)
        order = np.argsort(keys, kind="stable")
        sorted_keys = keys[order]
        for flip in (0, *(1 << bit for bit in range(16))):
            wanted = keys ^ flip
            low = np.searchsorted(sorted_keys, wanted, "left")
            count = np.searchsorted(sorted_keys, wanted, "right") - low
            for i, j in _joined(low, count, order):
                keep = i < j
                i, j = i[keep], j[keep]
                near = _popcount(unique[i] ^ unique[j]) <= radius
                found.append(np.stack([i[near], j[near]], axis=1))
    return np.unique(np.concatenate(found), axis=0)


def _joined(low: np.ndarray, count: np.ndarray, order: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The rows of a sort-join, in chunks of bounded size."""
    total = np.cumsum(count)
    start = 0
    while start < len(count):
        done = total[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(total, done + _CHUNK, "right")))
        n = count[start:stop]
        i = np.repeat(np.arange(start, stop), n)
        offset = np.arange(len(i)) - np.repeat(np.cumsum(n) - n, n)
        yield i, order[np.repeat(low[start:stop], n) + offset]
        start = stop


_BITS = np.array([value.bit_count() for value in range(256)], np.uint8)


def _popcount(values: np.ndarray) -> np.ndarray:
    return _BITS[np.ascontiguousarray(values).view(np.uint8).reshape(-1, 8)].sum(axis=1)
