"""Which pictures are nearly the same: candidates by signature, every one verified on pixels."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple, TypeVar

import numpy as np
from PIL import Image
from threadpoolctl import threadpool_limits

from ..records import Samples
from . import finer, hashing, registration, signatures
from .neighbours import Index
from .signatures import CHANGES, UPRIGHT, Change

FLAT = 0.005  # standard deviation below which a picture shows nothing (one or two grey levels)
SMALLEST = 16  # px; smaller pictures of different things look alike, only exact copies count
NEAR_RADIUS = 6  # bits of the perceptual hash, for runs that hold no signatures
# What a copy must satisfy after registration; benchmarks/planted_duplicates.py shows the margins.
LARGEST_DISTANCE = 0.2  # 1 − correlation of the RGB pixels
LEAST_DETAIL = 0.8  # correlation of the fine structure
LARGEST_DIFFERENCE = 8.0  # grey levels in the worst block: look-alikes differ somewhere
# Beyond, a copy is in other colours: planted copies stay below 7, the conflicts of CIFAR-100 below 2. The red
# car and the blue one may both be labelled rightly, so it counts only under one label.
RECOLOURED = 12.0  # grey levels
# Of two plain tones, such as a sign on its ground, a picture shows nothing but the form and the tones: a gain with an
# offset makes any two tones of any other two, the black triangle of the violet one. Under two labels the tones must
# agree, as RECOLOURED says of colours, beside a change of brightness, which multiplies both.
TWO_TONES = 0.9  # share of the variance that they explain: photographs of flowers have 0.73, one in a hundred 0.89
# A lone stroke on plain ground can be laid over any other: of 10,000 MNIST digits 160 ones "matched". Below
# this share of blocks that show something only exact copies count (ones at most 0.27, CIFAR-100 and flowers
# 0.42 and more in 99 of 100).
LEAST_STRUCTURE = 0.3
_SURELY_SAME = 1.5  # grey levels in the worst block: agrees so well that plainness does not matter
_LARGEST_OF_MANY = 4.0  # the same for a pair that does not stand out
# The same at 64 px, see `finer`: planted copies of photographs and pages stay below 0.65, other entries on a form begin
# at 0.87, other vessels of an eye at 0.75. docs/duplicates.md has the margins.
LARGEST_UNLIKE = 0.7
LARGEST_UNLIKE_OF_MANY = 0.4
_LARGEST_FINE_OF_MANY = 6.0  # grey levels in the worst block
_CROWD = 2  # partners at 32 px of both pictures of a pair that agree no better than that: they share a template
_LARGEST_CROP = 0.17  # scale; more is no slight crop, and lets simple shapes be laid over each other
_LARGEST_SHIFT = 1.6  # px of registration.SIDE
_NEIGHBOURS = 8  # of a picture that are compared on pixels
_RADIUS = 0.5  # of signatures; a crop by 2 of 32 px stays below
# A copy is nearer than what merely looks alike. In a set where everything looks alike (the ones of
# MNIST) the ninth neighbour is as near as the first; then only signatures this close are worth a
# comparison, and the pixels must agree better.
_STANDS_OUT = 0.8
_SURELY = 0.15
_CROPPED = 0.02  # of the side: scale or shift beyond is called a crop
_THUMBNAILS = ("PNG", "WEBP", "JPEG")
_LARGEST_THUMBNAIL = 512  # px, several times what a scan keeps
_BLOCK = 512  # pairs at once: 512 × 6 × 32 × 32 × 4 B = 13 MB
_FINE_BLOCK = 128  # 128 × 6 × 64 × 64 × 4 B = 13 MB
_LOOKED_UP = 1 << 16  # signatures at once
_THREADS = 8  # at most; each holds some tens of MB


_T = TypeVar("_T")
_R = TypeVar("_R")


@dataclass(frozen=True)
class NearPairs:
    """Near-identical pairs of distinct contents."""

    pairs: np.ndarray  # (P, 2) rows, first < second
    bits: np.ndarray  # (P,) Hamming distance of the perceptual hashes as the pictures stand
    distance: np.ndarray  # (P,) 1 − correlation of the registered pixels
    kinds: tuple[str, ...]  # P, what was done to one of the two
    unverified: int  # candidates whose pictures are not kept


@dataclass(frozen=True)
class Candidates:
    """Pairs that may be near-identical: `second` may be `first` after the change."""

    pairs: np.ndarray  # (P, 2) rows
    change: np.ndarray  # (P,) index into CHANGES
    distance: np.ndarray  # (P,) of the signatures; 0 where there are none
    stands_out: np.ndarray  # (P,) bool: nearer than what merely looks alike in this set


class _Matched(NamedTuple):
    """Pairs that agree at 32 px after one change."""

    pairs: np.ndarray  # (P, 2) rows
    change: Change
    fit: registration.Fit
    stands_out: np.ndarray  # (P,) bool, see `Candidates`


def is_telling(samples: Samples) -> np.ndarray:
    """(N,) bool: equal ones are copies, not just of one colour or a single line of pixels."""
    found: np.ndarray = (samples.contrast > 0) & (np.minimum(samples.width, samples.height) > 1)
    return found


def has_content(samples: Samples) -> np.ndarray:
    """(N,) bool: neither flat nor a single line of pixels."""
    found: np.ndarray = (samples.contrast >= FLAT) & (np.minimum(samples.width, samples.height) > 1)
    return found


def candidates(samples: Samples, audited: int | None = None) -> Candidates:
    """Pairs worth a comparison on pixels. One row stands for each content and label.

    Parameters
    ----------
    audited:
        Pairs of two rows from here on are left out: both lie in other splits.
    """
    able = np.flatnonzero(has_content(samples) & (np.minimum(samples.width, samples.height) >= SMALLEST))
    # Copies with different labels or in different splits need each its own near-duplicates.
    apart = 2 * samples.labels[able].astype(np.int64) + (able >= (len(samples) if audited is None else audited))
    key = np.stack([samples.content_hash[able], apart.astype(np.uint64)], 1)
    _, first = np.unique(key, axis=0, return_index=True)
    rows = able[np.sort(first)]
    if len(samples.signature):
        found = _by_signature(samples.signature, rows)
    else:
        pairs = hashing.neighbour_pairs(samples.phash[rows], NEAR_RADIUS)
        found = Candidates(pairs, np.zeros(len(pairs), np.int64), np.zeros(len(pairs)), np.ones(len(pairs), bool))
    pairs = rows[found.pairs]
    distinct = samples.content_hash[pairs[:, 0]] != samples.content_hash[pairs[:, 1]]
    if audited is not None:
        distinct &= pairs.min(axis=1, initial=len(samples)) < audited
    return Candidates(pairs[distinct], found.change[distinct], found.distance[distinct], found.stands_out[distinct])


def _by_signature(signature: np.ndarray, chosen: np.ndarray) -> Candidates:
    """Among the rows `chosen`, (C,); pairs are places in it."""
    none = np.zeros((0, 5))
    if len(chosen) < 2:
        return _tabled(none)
    blocks = [slice(start, start + _LOOKED_UP) for start in range(0, len(chosen), _LOOKED_UP)]

    def looks(block: slice, change: Change) -> np.ndarray:
        return signatures.vectors(signature[chosen[block]], change)

    index = Index.build(np.concatenate([looks(block, UPRIGHT) for block in blocks]))
    parts = [none]
    asked = list(product(enumerate(CHANGES), blocks))

    def search(item: tuple[tuple[int, Change], slice]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        (_, change), block = item
        return index.search(looks(block, change), _NEIGHBOURS + 1, _RADIUS, block.start)

    for ((number, change), _), (query, rows, distance) in zip(asked, _on_all_cores(search, asked), strict=True):
        near, beyond = distance[:, :_NEIGHBOURS], distance[:, _NEIGHBOURS:]
        i, j = np.nonzero((near <= _RADIUS) & ((near <= _STANDS_OUT * beyond) | (near <= _SURELY)))
        left, right = query[i], rows[i, j]
        if change.undoes_itself:
            left, right = np.minimum(left, right), np.maximum(left, right)
        stands_out = near[i, j] <= _STANDS_OUT * beyond[i, 0]
        parts.append(np.stack([left, right, np.full(len(left), number), near[i, j], ~stands_out], 1))
    table = np.concatenate(parts)
    table = table[np.argsort(table[:, 4], kind="stable")]  # seen from one of the two is enough
    _, first = np.unique(table[:, :3], axis=0, return_index=True)
    table = table[first]
    return _tabled(table)


def _tabled(table: np.ndarray) -> Candidates:
    """Rows of two rows, change, distance, and whether it is one of many."""
    return Candidates(table[:, :2].astype(np.int64), table[:, 2].astype(np.int64), table[:, 3], table[:, 4] == 0)


def near_pairs(
    samples: Samples, pictures: Callable[[Sequence[int]], Mapping[int, bytes]], audited: int | None = None
) -> NearPairs:
    """Near-identical pairs, verified on pixels.

    Parameters
    ----------
    pictures:
        Encoded thumbnails of the rows it is given, as far as they are kept.
    audited:
        See `candidates`.
    """
    found = candidates(samples, audited)
    encoded = pictures(np.unique(found.pairs).tolist())
    small = _small(encoded)
    known = np.array([i in small and j in small for i, j in found.pairs.tolist()], bool).reshape(-1)
    unverified = len(np.unique(np.sort(found.pairs[~known], axis=1), axis=0))
    pairs, change, stands_out = found.pairs[known], found.change[known], found.stands_out[known]
    fits: list[_Matched] = []
    for number, item in enumerate(CHANGES):
        mine = pairs[change == number]
        if len(mine):
            stand_out = stands_out[change == number]
            fit = _fit(samples, small, mine, item)
            one_label = samples.labels[mine[:, 0]] == samples.labels[mine[:, 1]]
            same = _same(fit) & (fit.worst <= np.where(stand_out, LARGEST_DIFFERENCE, _LARGEST_OF_MANY))
            same &= one_label | (fit.colour <= RECOLOURED)
            doubted = np.flatnonzero(same & ~one_label & _brightened(fit))
            same[doubted] = [not _of_other_tones(small[i], small[j]) for i, j in mine[doubted].tolist()]
            fits.append(_Matched(mine[same], item, _chosen(fit, same), stand_out[same]))
    del small
    best: dict[tuple[int, int], tuple[float, float, str]] = {}
    for (mine, item, fit, _), finer_same in zip(fits, _finer(fits, encoded), strict=True):
        for place in np.flatnonzero(finer_same).tolist():
            i, j = mine[place].tolist()
            kind = _kind(samples, i, j, item, fit, place)
            entry = (-float(fit.detail[place]), max(0.0, float(fit.distance[place])), kind)
            pair = (min(i, j), max(i, j))
            best[pair] = min(best.get(pair, entry), entry)
    ordered = sorted(best)
    phash = samples.phash
    return NearPairs(
        pairs=np.array(ordered, np.int64).reshape(-1, 2),
        bits=np.array([hashing.distance(phash[i], phash[j]) for i, j in ordered], int),
        distance=np.array([best[pair][1] for pair in ordered]),
        kinds=tuple(best[pair][2] for pair in ordered),
        unverified=unverified,
    )


def _same(fit: registration.Fit) -> np.ndarray:
    """(P,) bool"""
    found: np.ndarray = (
        (fit.distance <= LARGEST_DISTANCE)
        & (fit.detail >= LEAST_DETAIL)
        & (fit.worst <= LARGEST_DIFFERENCE)
        & (np.abs(np.log(fit.gain)) <= np.log(registration.LARGEST_GAIN))
        & ((fit.structure >= LEAST_STRUCTURE) | (fit.worst <= _SURELY_SAME))
        & (np.abs(fit.scale).max(axis=1) <= _LARGEST_CROP)
        & (np.abs(fit.shift).max(axis=1) <= _LARGEST_SHIFT)
    )
    return found


def _brightened(fit: registration.Fit) -> np.ndarray:
    """(P,) bool"""
    found: np.ndarray = np.abs(np.log(fit.gain)) > registration.BRIGHTER
    return found


def _of_other_tones(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether both show two plain tones only, and no change of brightness makes those of one of the other."""
    (dark, bright, plain), (other_dark, other_bright, other_plain) = (registration.tones(x) for x in (first, second))
    if min(plain, other_plain) < TWO_TONES:
        return False
    largest = max(bright, other_bright)  # the brighter of the two as it is, the other one brightened to it
    return abs(dark * largest / bright - other_dark * largest / other_bright) > RECOLOURED


def _finer(fits: Sequence[_Matched], encoded: Mapping[int, bytes]) -> list[np.ndarray]:
    """(P,) bool of each: agree in what is small, too, or are too small themselves for a second look."""
    if not fits:
        return []
    pairs = np.concatenate([one.pairs for one in fits])  # (all P, 2)
    change = np.repeat(np.arange(len(fits)), [len(one.pairs) for one in fits])
    place = np.concatenate([np.stack([one.fit.scale, one.fit.shift], 2).reshape(-1, 4) for one in fits])

    def part(start: int) -> np.ndarray:
        """(2, block) unlike and worst; 0 where there is nothing finer to see."""
        block = slice(start, start + _FINE_BLOCK)
        seen = {row: _in_grey(encoded[row]) for row in np.unique(pairs[block]).tolist()}
        asked = np.array([all(finer.enough(seen[row].size) for row in pair) for pair in pairs[block].tolist()], bool)
        measured = np.zeros((2, len(asked)))
        if asked.any():
            first, second = ([seen[row] for row in side] for side in pairs[block][asked][:, ::-1].T.tolist())
            changes = [fits[number].change for number in change[block][asked]]
            found = finer.look(first, second, changes, place[block][asked])
            measured[:, asked] = found.unlike, found.worst
        return measured

    parts = list(_on_all_cores(part, range(0, len(pairs), _FINE_BLOCK)))
    unlike, worst = np.concatenate([np.zeros((2, 0)), *parts], axis=1)
    # Among forms, or scans of one organ, many are the same at 32 px. Then only what agrees much better is a copy.
    alike = np.unique(np.sort(pairs[unlike > LARGEST_UNLIKE_OF_MANY], axis=1), axis=0)
    partners = np.bincount(alike.ravel(), minlength=pairs.max(initial=0) + 1)
    many = ~np.concatenate([one.stands_out for one in fits]) | (partners[pairs].min(axis=1) > _CROWD)
    agreed = (unlike <= LARGEST_UNLIKE_OF_MANY) & (worst <= _LARGEST_FINE_OF_MANY)
    agreed |= ~many & (unlike <= LARGEST_UNLIKE)
    return np.split(agreed, np.cumsum([len(one.pairs) for one in fits])[:-1])


def _in_grey(content: bytes) -> Image.Image:
    with Image.open(io.BytesIO(content), formats=_THUMBNAILS) as image:
        return image.convert("L")


def _chosen(fit: registration.Fit, which: np.ndarray) -> registration.Fit:
    return registration.Fit(*(getattr(fit, name)[which] for name in registration.Fit.__dataclass_fields__))


def _small(encoded: Mapping[int, bytes]) -> dict[int, np.ndarray]:
    """row -> (SIDE, SIDE, 3) uint8."""
    side, found = registration.SIDE, {}
    for row, content in encoded.items():
        # They come from a run file, perhaps of somebody else: what is no small picture counts as not kept.
        with suppress(Exception), Image.open(io.BytesIO(content), formats=_THUMBNAILS) as image:
            if max(image.size) <= _LARGEST_THUMBNAIL:
                found[row] = np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.BILINEAR))
    return found


def _fit(samples: Samples, small: Mapping[int, np.ndarray], pairs: np.ndarray, change: Change) -> registration.Fit:
    sizes = np.stack([samples.width, samples.height], 1).astype(np.int64)

    def part(start: int) -> registration.Fit:
        block = pairs[start : start + _BLOCK]
        changed, copy = (np.stack([small[int(row)] for row in side]) for side in block.T)
        left, right = sizes[block[:, 0]], sizes[block[:, 1]]
        left = left[:, ::-1] if change.transpose else left
        # Fine structure that one of the two has lost in resizing says nothing.
        coarse = (left != right).any(axis=1) | (np.minimum(left, right).min(axis=1) < registration.SIDE - 4)
        changed = np.ascontiguousarray(np.stack([change.apply(changed[..., c]) for c in range(3)], -1))
        for place in np.flatnonzero((left != right).any(axis=1)).tolist():
            size = tuple(np.minimum(left[place], right[place]).tolist())
            changed[place], copy[place] = _lowered(changed[place], size), _lowered(copy[place], size)
        scale = np.full(len(block), -2 * change.crop, np.float32)
        return registration.fit(copy, changed, scale, coarse)

    parts = list(_on_all_cores(part, range(0, len(pairs), _BLOCK)))
    names = registration.Fit.__dataclass_fields__
    return registration.Fit(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _on_all_cores(function: Callable[[_T], _R], items: Sequence[_T]) -> Iterator[_R]:
    """As `map`. numpy lets go of the interpreter in what takes long.

    Its matrix products would each use all cores as well, and the threads wait for each other: on two cores
    50,000 pictures of 32 × 32 px took 29 s instead of 13.
    """
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        yield from pool.map(function, items)


def _lowered(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """As it looks after having been stored at `size`, if that is less than it has."""
    side = registration.SIDE
    if min(size) >= side:
        return pixels
    lower = Image.fromarray(pixels).resize((min(size[0], side), min(size[1], side)), Image.Resampling.BICUBIC)
    return np.asarray(lower.resize((side, side), Image.Resampling.BILINEAR))


def _kind(samples: Samples, i: int, j: int, change: Change, fit: registration.Fit, place: int) -> str:
    """What was done to one of the two, in words."""
    said = [change.name] if change.name and not change.crop else []
    moved = np.abs(fit.shift[place]) / registration.SIDE
    if max(np.abs(fit.scale[place]).max(), moved.max()) > _CROPPED:
        said.append("cropped")
    elif (samples.width[i], samples.height[i]) != (samples.width[j], samples.height[j]) and not change.transpose:
        said.append("resized")
    if _brightened(fit)[place]:
        said.append("brightness")
    if fit.in_grey[place]:
        said.append("in grey")
    if fit.colour[place] > RECOLOURED:
        said.append("recoloured")
    return ", ".join(said) or "slightly changed"
