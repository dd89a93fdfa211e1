"""Hashes of a picture's content and look, and the search for neighbours among them."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b

import numpy as np
from PIL import Image

LARGEST_RADIUS = 7  # bits; within 7, one of four bands differs in at most one
LARGEST_GROUP = 200  # rows of one hash that are paired each with each
_SIDE, _KEPT = 32, 8  # px that a perceptual hash looks at, frequencies of an axis that it keeps
_BANDS = 4
_WIDTH = 16  # bits a band
_CHUNK = 1 << 20  # candidate pairs held at once: about 50 MB
_LARGEST_FLIPLESS_RADIUS = _BANDS - 1  # within 3 bits one of four bands is the same


def content_hash(image: Image.Image) -> int:
    """64-bit hash of size and RGB pixels: equal for grey stored as "L" and as "RGB"."""
    digest = blake2b(f"{image.width}x{image.height}:".encode(), digest_size=8)
    digest.update(image.convert("RGB").tobytes())
    return int.from_bytes(digest.digest(), "big")


def reduced(grey: Image.Image) -> np.ndarray:
    """What a perceptual hash looks at, (32, 32) uint8, of a picture of mode "L"."""
    return np.asarray(grey.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS))


def perceptual_hashes(grey: np.ndarray) -> np.ndarray:
    """64-bit pHash: the low frequencies of the cosine transform against their median, first bit highest.

    Bit for bit those of `imagehash.phash`, which transforms each picture by itself and all of it.

    Parameters
    ----------
    grey:
        (B, 32, 32) uint8, see `reduced`.

    Returns
    -------
    (B,) uint64
    """
    from scipy.fftpack import dct  # only those who hash pay for it

    low = dct(dct(grey, axis=1)[:, :_KEPT], axis=2)[:, :, :_KEPT].reshape(len(grey), -1)  # (B, 64)
    bits = low > np.median(low, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(">u8")[:, 0].astype(np.uint64)


def distance(a: int, b: int) -> int:
    """Hamming distance of two hashes in bits."""
    return (int(a) ^ int(b)).bit_count()


def neighbour_pairs(hashes: np.ndarray, radius: int) -> np.ndarray:
    """All pairs of rows whose hashes differ in at most `radius` bits.

    Exact, and near-linear for hashes that spread: of four 16-bit bands at least one differs in
    at most one bit, so each band is joined with itself and with its sixteen one-bit neighbours.
    Equal hashes are joined once and expanded afterwards.

    Bound: of more than 200 rows with one and the same hash (flat or blank pictures), each is
    paired with the group's first row only, and that row alone stands for the group towards
    other hashes. Such groups stay connected, but not every pair is listed.

    Parameters
    ----------
    hashes:
        (N,) uint64.
    radius:
        Bits, 0 to 7.

    Returns
    -------
    (P, 2) int64 rows of `hashes`, i < j, each pair once, sorted.

    Raises
    ------
    ValueError
        `radius` is not from 0 to 7.
    """
    if not 0 <= radius <= LARGEST_RADIUS:
        raise ValueError(f"radius {radius} is not from 0 to {LARGEST_RADIUS}")
    values = np.asarray(hashes, np.uint64)
    unique, group = np.unique(values, return_inverse=True)
    members = np.argsort(group, kind="stable")  # (N,) rows, those of group 0 first
    sizes = np.bincount(group, minlength=len(unique))
    starts = np.cumsum(sizes) - sizes
    found = [np.zeros((0, 2), np.int64), *_within(members, starts, sizes)]
    if radius:
        speaking = np.where(sizes > LARGEST_GROUP, 1, sizes)
        found += [_across(a, b, members, starts, speaking) for a, b in _unique_pairs(unique, radius)]
    pairs = np.sort(np.concatenate(found), axis=1)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def _within(members: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> Iterator[np.ndarray]:
    """Pairs (P, 2) of rows with the same hash, all groups of one size at once."""
    for size in np.unique(sizes[sizes > 1]):
        table = members[starts[sizes == size][:, None] + np.arange(size)]  # (groups, size)
        if size > LARGEST_GROUP:
            i, j = np.zeros(size - 1, np.int64), np.arange(1, size)
        else:
            i, j = np.triu_indices(size, 1)
        yield np.stack([table[:, i].ravel(), table[:, j].ravel()], axis=1)


def _across(
    left: np.ndarray, right: np.ndarray, members: np.ndarray, starts: np.ndarray, sizes: np.ndarray
) -> np.ndarray:
    """Each row of group left[p] with each of group right[p], (P', 2)."""
    count = sizes[left] * sizes[right]
    pair, offset = _expanded(count)
    i = members[starts[left[pair]] + offset // sizes[right[pair]]]
    j = members[starts[right[pair]] + offset % sizes[right[pair]]]
    return np.stack([i, j], axis=1)


def _unique_pairs(unique: np.ndarray, radius: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Positions of distinct hashes within the radius, each pair once."""
    flips = [0]
    if radius > _LARGEST_FLIPLESS_RADIUS:
        flips += [1 << bit for bit in range(_WIDTH)]
    for band in range(_BANDS):
        keys = _band(unique, band)
        order = np.argsort(keys, kind="stable")
        ascending = keys[order]
        for flip in flips:
            # Of the two ends of a pair only the one without the flipped bit looks for the other.
            seekers = order[(ascending & flip) == 0]
            low = np.searchsorted(ascending, keys[seekers] ^ flip, "left")
            high = np.searchsorted(ascending, keys[seekers] ^ flip, "right")
            if flip == 0:
                low = np.arange(1, len(order) + 1)  # in its own band, those behind it
            for seeker, place in _joined(low, high - low):
                i, j = seekers[seeker], order[place]
                different = unique[i] ^ unique[j]
                near = _popcount(different) <= radius
                for earlier in range(band):  # an earlier band has found this pair already
                    bits = _popcount(_band(different, earlier).astype(np.uint64))
                    near &= bits > (1 if len(flips) > 1 else 0)
                yield i[near], j[near]


def _band(values: np.ndarray, band: int) -> np.ndarray:
    return ((values >> np.uint64(_WIDTH * band)) & np.uint64(0xFFFF)).astype(np.int64)


def _joined(low: np.ndarray, count: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Every position p with each of low[p] … low[p] + count[p] − 1, in chunks of bounded size."""
    total = np.cumsum(count)
    start = 0
    while start < len(count):
        done = total[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(total, done + _CHUNK, "right")))
        position, offset = _expanded(count[start:stop])
        yield position + start, low[start:stop][position] + offset
        start = stop


def _expanded(count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[2, 0, 3] -> positions [0, 0, 2, 2, 2] and offsets [0, 1, 0, 1, 2]."""
    position = np.repeat(np.arange(len(count)), count)
    offset = np.arange(len(position)) - np.repeat(np.cumsum(count) - count, count)
    return position, offset


_BITS_OF_BYTE = np.array([value.bit_count() for value in range(256)], np.uint8)


def _popcount_by_table(values: np.ndarray) -> np.ndarray:
    """(P,) uint64 -> (P,) number of set bits."""
    octets = np.ascontiguousarray(values).view(np.uint8).reshape(-1, 8)
    found: np.ndarray = _BITS_OF_BYTE[octets].sum(axis=1, dtype=np.uint8)
    return found


_popcount = getattr(np, "bitwise_count", _popcount_by_table)  # numpy 2 has its own
