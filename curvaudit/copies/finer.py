"""A second look at pairs that agree at 32 px, at twice that: pictures on a shared template differ in what is small.

Two fundus photographs, two forms or two screenshots are the same at 32 px: their vessels, letters and entries
are lost there. What tells them apart is the worst block again, now as a share of the structure that it shows:
in another word everything differs, in a copy little does, however strong or faint the print.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from . import registration, turning
from .signatures import Change

SIDE = 64  # px
LEAST = 44  # px of the smaller side of a thumbnail; below there is nothing finer to see than at 32 px …
# … but along the longer one, where that has a pixel for each of SIDE: lines of text, 15 times as long as high, are all
# the same at 32 px. Less than that costs copies of small pictures that JPEG has spoilt.
_LEAST_ALONG = SIDE
_LEVELS = ((2.0, 2), (1.0, 3))  # (blur in px, steps): from the place that was found at 32 px
_BAND = (1.0, 3.0)  # px of blur between which structure counts; finer is noise and what WebP left of it
_FAINT = 4.0  # grey levels; noise, JPEG and the thumbnails' WebP change a block by this much
_NOISE = 0.7  # px of blur that takes off single noisy pixels
_BLOCK = 8  # px
_SURELY = 0.4  # unlike; agrees so well that it need not be turned
_LEAST_COMMON = 0.6  # share of a picture that the other must cover


@dataclass(frozen=True)
class Agreement:
    """How far the worst block of each pair is apart. Both arrays (P,)."""

    unlike: np.ndarray  # share of its structure: 0 is the same, 1 half of it, 1.4 what two other letters reach
    worst: np.ndarray  # root mean square difference, grey levels of 255


def enough(size: tuple[int, int]) -> bool:
    """Whether a thumbnail of that size, px, shows more than the first look saw."""
    return min(size) >= LEAST or max(size) >= _LEAST_ALONG


def look(
    first: Sequence[Image.Image], second: Sequence[Image.Image], changes: Sequence[Change], place: np.ndarray
) -> Agreement:
    """Compare each `second`, after its change, with its `first`.

    Parameters
    ----------
    first, second:
        P thumbnails of mode "L", each `enough`.
    changes:
        P, what is done to the second ones.
    place:
        (P, 4) where the second lies over the first at 32 px: scale y, shift y, scale x, shift x.
    """
    prepared = [_prepared(*item) for item in zip(first, second, changes, strict=True)]
    one, two = (np.stack(side).astype(np.float32) for side in zip(*prepared, strict=True))  # (P, SIDE, SIDE)
    start = place.astype(np.float32) * np.array([1, SIDE / registration.SIDE] * 2, np.float32)
    moved = registration.registered(one, two, start, _LEVELS)
    found = _compared(one, two, start)
    found = _better(found, _compared(one, two, moved))
    apart = np.flatnonzero(found.unlike > _SURELY)
    if len(apart):
        laid, inside = turning.laid_over(one[apart], two[apart], start[apart])
        enough_left = inside.mean(axis=(1, 2)) > _LEAST_COMMON
        turned = _agreement(one[apart], laid, inside)
        turned = Agreement(np.where(enough_left, turned.unlike, np.inf), turned.worst)
        both = _better(Agreement(found.unlike[apart], found.worst[apart]), turned)
        found.unlike[apart], found.worst[apart] = both.unlike, both.worst
    return found


def _better(one: Agreement, other: Agreement) -> Agreement:
    """The one that agrees more, pair for pair: Gauss-Newton may run away."""
    which = other.unlike < one.unlike
    return Agreement(np.where(which, other.unlike, one.unlike), np.where(which, other.worst, one.worst))


def _prepared(first: Image.Image, second: Image.Image, change: Change) -> tuple[np.ndarray, np.ndarray]:
    """Both at SIDE and as coarse as the coarser one, (SIDE, SIDE) uint8 each."""
    turned = Image.fromarray(np.ascontiguousarray(change.apply(np.asarray(second)[None])[0]))
    size = min(first.width, turned.width), min(first.height, turned.height)
    return _lowered(first, size), _lowered(turned, size)


def _lowered(image: Image.Image, size: tuple[int, int]) -> np.ndarray:
    if min(size) < SIDE and size != image.size:
        image = image.resize(size, Image.Resampling.BICUBIC)
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def _compared(first: np.ndarray, second: np.ndarray, place: np.ndarray) -> Agreement:
    rows, columns, inside = registration.sampling(place, SIDE)
    return _agreement(first, rows @ second @ columns, inside)


def _agreement(first: np.ndarray, laid: np.ndarray, inside: np.ndarray) -> Agreement:
    inside = _without_edge(inside)
    foretold, seen, _ = registration.explained(first, laid, inside)
    # Where they do not overlap there is no difference, and none bleeds in from there.
    foretold = inside * foretold + (1 - inside) * seen
    one, two = (registration.blur(x, _BAND[0]) - registration.blur(x, _BAND[1]) for x in (foretold, seen))
    structure = (_mean_square(one) + _mean_square(two)) / 2
    share = _mean_square(one - two) / (structure + _FAINT**2)
    worst = _mean_square(registration.blur(foretold - seen, _NOISE))
    return Agreement(np.sqrt(share.max(axis=(1, 2))), np.sqrt(worst.max(axis=(1, 2))))


def _without_edge(inside: np.ndarray) -> np.ndarray:
    """One px less on each side, (P, SIDE, SIDE): a border or a crop leaves half a pixel of something else there."""
    found = np.zeros_like(inside)
    middle = slice(1, -1)
    across = inside[:, middle, :-2] * inside[:, middle, 2:]
    found[:, middle, middle] = inside[:, :-2, middle] * inside[:, 2:, middle] * across
    return found


def _mean_square(pictures: np.ndarray) -> np.ndarray:
    """(P, SIDE, SIDE) -> (P, SIDE / _BLOCK, SIDE / _BLOCK)"""
    count = SIDE // _BLOCK
    found: np.ndarray = (pictures**2).reshape(len(pictures), count, _BLOCK, count, _BLOCK).mean(axis=(2, 4))
    return found
