"""Lay one small picture over another and say how far they are apart.

Registration is Gauss-Newton on the squared difference (Lucas and Kanade, IJCAI 1981) over the four
parameters of a crop, scale and shift of each axis, with gain and offset of the brightness free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SIDE = 32  # px at which pictures are compared
_LEVELS = ((1.5, 5), (0.6, 4))  # (blur in px, steps): coarse first
_LARGEST_SCALE, _LARGEST_SHIFT = 0.25, 4.0  # px
_PLAIN = 4.0  # grey levels
LARGEST_GAIN = 2.2  # of the brightness, either way; more lets patterns of two plain colours be laid over others
BRIGHTER = 0.06  # logarithm of the gain; beyond is a change of brightness
_CUT_OFF = 0.05  # share of a picture
_COLOURLESS = 2.0  # grey levels of colour beside the grey


@dataclass(frozen=True)
class Fit:
    """How the second picture of each pair lies over the first. All arrays (P,)."""

    distance: np.ndarray  # 1 − correlation where they overlap, of the RGB pixels or, `in_grey`, of the grey ones
    detail: np.ndarray  # correlation of the fine structure there: 1 is the same picture
    worst: np.ndarray  # largest root mean square difference in a block of 8 × 8 px, grey levels of 255
    scale: np.ndarray  # (P, 2) y and x, 0 is none
    shift: np.ndarray  # (P, 2) y and x, px of SIDE
    gain: np.ndarray  # brightness ratio, 1 is none
    structure: np.ndarray  # share of the blocks of 4 × 4 px that are not plain, in the plainer of the two
    colour: np.ndarray  # root mean square difference of the colours, grey levels; 0 where one of the two is in grey
    in_grey: np.ndarray  # bool: one of the two has no colours and the other has


def fit(first: np.ndarray, second: np.ndarray, scale: np.ndarray, coarse: np.ndarray) -> Fit:
    """Register each `second` to its `first`.

    Parameters
    ----------
    first, second:
        (P, SIDE, SIDE, 3) RGB, 0 to 255.
    scale:
        (P,) where to start: −0.125 if `first` shows the middle 28 of 32 px of `second`.
    coarse:
        (P,) bool: one of the two has fewer pixels than SIDE, so the finest structure says nothing.
    """
    start = np.zeros((len(first), 4), np.float32)
    start[:, 0] = start[:, 2] = scale
    first, second = (x.transpose(3, 0, 1, 2).astype(np.float32) for x in (first, second))  # (3, P, SIDE, SIDE)
    moved = registered(grey(first), grey(second), start)
    fits = [_compare(first, second, start, coarse), _compare(first, second, moved, coarse)]
    better = fits[1].distance < fits[0].distance  # Gauss-Newton may run away

    def pick(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.where(better.reshape(-1, *[1] * (a.ndim - 1)), b, a)

    return Fit(*(pick(getattr(fits[0], name), getattr(fits[1], name)) for name in Fit.__dataclass_fields__))


def registered(
    first: np.ndarray, second: np.ndarray, start: np.ndarray, levels: Sequence[tuple[float, int]] = _LEVELS
) -> np.ndarray:
    """Scale y, shift y, scale x, shift x such that `second`, so sampled, is nearest to `first`, (P, 4).

    Parameters
    ----------
    first, second:
        (P, S, S) grey, 0 to 255.
    start:
        (P, 4) where to begin; shifts in px of S.
    levels:
        (blur in px, steps) one after another, coarse first.
    """
    count, found, from_middle = len(first), start.copy(), _from_middle(first.shape[-1])
    largest = np.array([_LARGEST_SCALE, _LARGEST_SHIFT * first.shape[-1] / SIDE] * 2, np.float32)
    for sigma, steps in levels:
        goal, blurred = blur(first, sigma), blur(second, sigma)
        slope_y, slope_x = np.gradient(blurred, axis=1), np.gradient(blurred, axis=2)
        for _ in range(steps):
            rows, columns, inside = sampling(found, first.shape[-1])
            size = inside.sum(axis=(1, 2), keepdims=True)
            laid = rows @ blurred @ columns
            laid -= (laid * inside).sum(axis=(1, 2), keepdims=True) / size
            wanted = goal - (goal * inside).sum(axis=(1, 2), keepdims=True) / size
            gain = (wanted * laid * inside).sum(axis=(1, 2), keepdims=True) / np.maximum(
                (laid**2 * inside).sum(axis=(1, 2), keepdims=True), 1e-3
            )
            down, across = gain * (rows @ slope_y @ columns), gain * (rows @ slope_x @ columns)
            unknowns = (down * from_middle[:, None], down, across * from_middle, across, laid, np.ones_like(laid))
            jacobian = (np.stack(unknowns, axis=1) * inside[:, None]).reshape(count, 6, -1)
            error = (wanted - gain * laid).reshape(count, -1, 1)
            normal = jacobian @ jacobian.transpose(0, 2, 1) + np.eye(6, dtype=np.float32) * 1e-2
            step = np.linalg.solve(normal.astype(np.float64), (jacobian @ error).astype(np.float64))[:, :4, 0]
            found = np.clip(found + np.clip(step, -largest / 4, largest / 4), -largest, largest).astype(np.float32)
    return found


def grey(pictures: np.ndarray) -> np.ndarray:
    """(3, P, S, S) -> (P, S, S)"""
    return np.tensordot(np.array([0.299, 0.587, 0.114], np.float32), pictures, 1)


def _compare(first: np.ndarray, second: np.ndarray, place: np.ndarray, coarse: np.ndarray) -> Fit:
    rows, columns, inside = sampling(place, SIDE)
    laid = rows @ second @ columns
    side_by_side = [np.concatenate(list(x), axis=2) for x in (first, laid)]  # colours count as much as shapes
    alike, _ = correlation(side_by_side[0], side_by_side[1], np.tile(inside, 3))
    coloured = first, laid
    strength = np.sort([_colours(x) for x in coloured], axis=0)  # (2, P)
    in_grey = (strength[0] < _COLOURLESS) & (strength[1] >= 2 * _COLOURLESS)  # JPEG takes the faintest ones, too
    first, laid = grey(first), grey(laid)
    alike = np.where(in_grey, correlation(first, laid, inside)[0], alike)  # a copy has lost only the colours
    detail = np.empty(len(first))
    for which, (narrow, wide) in ((~coarse, (0.5, 2.0)), (coarse, (1.0, 3.0))):
        one, two = (blur(x[which], narrow) - blur(x[which], wide) for x in (first, laid))
        detail[which] = correlation(one, two, inside[which])[0]
    foretold, seen, gain = explained(first, laid, inside)
    worst = _worst(foretold - seen, inside, coarse)
    colour = _colour_difference(*coloured, gain, inside)
    brighter, bright, factor = lightened(*coloured, inside)
    by_light = _worst(grey(brighter) - grey(bright), inside, coarse)
    change = np.abs(np.log(factor))
    # Where nothing was brightened, or nothing is cut off, this would be but one more way to be alike.
    cut_off = ((brighter.max(axis=0) >= 255) * inside).mean(axis=(1, 2)) > _CUT_OFF
    better = (by_light < worst) & cut_off & (change > BRIGHTER) & (change <= np.log(LARGEST_GAIN))
    worst, gain = np.where(better, by_light, worst), np.where(better, factor, gain)
    colour = np.where(better & (colour > 0), _colour_apart(brighter, bright, inside), colour)
    structure = np.minimum(_structure(first), _structure(laid))
    return Fit(1 - alike, detail, worst, place[:, [0, 2]], place[:, [1, 3]], gain, structure, colour, in_grey)


def _worst(difference: np.ndarray, inside: np.ndarray, coarse: np.ndarray) -> np.ndarray:
    """Largest root mean square of a block of 8 × 8 px, (P, SIDE, SIDE) -> (P,)."""
    difference = np.where(coarse[:, None, None], blur(difference, 2.0), blur(difference, 1.0)) * inside
    blocks = (difference**2).reshape(len(difference), SIDE // 8, 8, SIDE // 8, 8).mean(axis=(2, 4))
    found: np.ndarray = np.sqrt(blocks.max(axis=(1, 2)))
    return found


def lightened(first: np.ndarray, laid: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The brighter picture as the darker one foretells it, as it is, and the factor from `first` to `laid`.

    A change of brightness multiplies each channel and cuts it off at white, that of a strong colour early and the
    ground of a drawing at once; a gain with an offset of the grey, as in `explained`, cannot say that.

    Parameters
    ----------
    first, laid:
        (3, P, S, S) RGB, 0 to 255.
    inside:
        (P, S, S) where they overlap.

    Returns
    -------
    (3, P, S, S) twice and (P,)
    """
    from_first = ((laid - first).sum(axis=0) * inside).sum(axis=(1, 2)) > 0
    which = from_first[:, None, None]
    dark, bright = np.where(which, first, laid), np.where(which, laid, first)
    factor = np.ones(dark.shape[1], np.float32)
    for _ in range(3):  # beside what is cut off at white a pixel of a thumbnail holds some of it
        free = inside * (bright < 250) * (factor[:, None, None] * dark < 225)
        both, alone = (free * dark * bright).sum(axis=(0, 2, 3)), (free * dark**2).sum(axis=(0, 2, 3))
        factor = np.maximum(both / np.maximum(alone, 1), 1)
    brighter = np.minimum(factor[:, None, None] * dark, 255)
    return brighter, bright, np.where(from_first, factor, 1 / factor)


def _colours(pictures: np.ndarray) -> np.ndarray:
    """Root mean square of what is beside the grey, (3, P, S, S) -> (P,)."""
    found: np.ndarray = np.sqrt(((pictures - grey(pictures)) ** 2).mean(axis=(0, 2, 3)))
    return found


def _colour_difference(first: np.ndarray, laid: np.ndarray, gain: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """How far the colours beside the grey are apart, (3, P, SIDE, SIDE) twice -> (P,), see `Fit.colour`.

    A change of brightness multiplies them as it does the grey. They are blurred, for JPEG keeps few of them;
    where a channel is cut off at white nothing can be told.
    """
    free = inside * (np.maximum(first, laid).max(axis=0) < 250)
    free = np.where(free.mean(axis=(1, 2), keepdims=True) > 0.2, free, inside)
    size = 3 * free.sum(axis=(1, 2))
    one, two = (np.stack([blur(channel, 2.0) for channel in x - grey(x)]) for x in (first, laid))

    def strength(colours: np.ndarray) -> np.ndarray:
        found: np.ndarray = np.sqrt((colours**2 * free).sum(axis=(0, 2, 3)) / size)
        return found

    factor = gain[:, None, None]
    found = strength(two - factor * one) / np.maximum(gain, 1)
    return np.where(np.minimum(strength(one), strength(two)) < _COLOURLESS, 0, found)


def _colour_apart(brighter: np.ndarray, bright: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The same of a picture as it is foretold, see `lightened`, and as it is."""
    apart = np.stack([blur(channel, 2.0) for channel in (brighter - grey(brighter)) - (bright - grey(bright))])
    found: np.ndarray = np.sqrt((apart**2 * inside).sum(axis=(0, 2, 3)) / (3 * inside.sum(axis=(1, 2))))
    return found


def _structure(pictures: np.ndarray) -> np.ndarray:
    """Share of blocks with more than _PLAIN grey levels of standard deviation, (P, SIDE, SIDE) -> (P,)."""
    spread = pictures.reshape(len(pictures), SIDE // 4, 4, SIDE // 4, 4).std(axis=(2, 4))
    found: np.ndarray = (spread > _PLAIN).mean(axis=(1, 2))
    return found


def tones(picture: np.ndarray) -> tuple[float, float, float]:
    """The two grey tones that explain most of (SIDE, SIDE, 3) pixels, darker first, and the share of the variance."""
    values = np.sort(grey(picture.transpose(2, 0, 1)[:, None].astype(np.float32)).ravel().astype(np.float64))
    count, total = len(values), np.cumsum(values)
    dark = np.arange(1, count)  # pixels
    darker, brighter = total[:-1] / dark, (total[-1] - total[:-1]) / (count - dark)
    between = dark / count * (1 - dark / count) * (brighter - darker) ** 2
    best = int(np.argmax(between))
    return float(darker[best]), float(brighter[best]), float(between[best] / max(values.var(), 1e-6))


def explained(first: np.ndarray, laid: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The brighter picture as gain and offset foretell it from the darker one, as it is, and the gain.

    A brightened picture is cut off at white, and nothing can be foretold from there.

    Parameters
    ----------
    first, laid, inside:
        (P, S, S) grey, 0 to 255, and where they overlap.

    Returns
    -------
    (P, S, S) twice and (P,)
    """
    free = inside * (np.maximum(first, laid) < 250)
    free = np.where(free.mean(axis=(1, 2), keepdims=True) > 0.2, free, inside)
    size = free.sum(axis=(1, 2), keepdims=True)
    middle, centre = ((x * free).sum(axis=(1, 2), keepdims=True) / size for x in (first, laid))
    _, ratio = correlation(blur(first, 1.5), blur(laid, 1.5), free)  # resizing takes contrast from the finest
    gain = ratio[:, None, None]  # laid = gain × first + …
    there = np.clip(centre + gain * (first - middle), 0, 255)
    here = np.clip(middle + (laid - centre) / gain, 0, 255)
    return np.where(gain > 1, there, here), np.where(gain > 1, laid, first), ratio


def correlation(one: np.ndarray, two: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Correlation where `inside`, and the ratio of the standard deviations, both (P,)."""
    size = inside.sum(axis=(1, 2), keepdims=True)
    one, two = ((x - (x * inside).sum(axis=(1, 2), keepdims=True) / size) * inside for x in (one, two))
    left, right = (one**2).sum(axis=(1, 2)), (two**2).sum(axis=(1, 2))
    return (one * two).sum(axis=(1, 2)) / np.sqrt(np.maximum(left * right, 1e-6)), np.sqrt(
        np.maximum(right, 1e-6) / np.maximum(left, 1e-6)
    )


def sampling(place: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Matrices that sample rows and columns, (P, side, side) each, and what they find inside, (P, side, side).

    Parameters
    ----------
    place:
        (P, 4), see `registered`.
    """
    rows, inside_y = _interpolation(place[:, 0], place[:, 1], side)
    columns, inside_x = _interpolation(place[:, 2], place[:, 3], side)
    inside = (inside_y[:, :, None] & inside_x[:, None, :]).astype(np.float32)
    return rows, columns.transpose(0, 2, 1), inside


def _from_middle(side: int) -> np.ndarray:
    return (np.arange(side) - (side - 1) / 2).astype(np.float32)


def _interpolation(scale: np.ndarray, shift: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    position = (side - 1) / 2 + (1 + scale)[:, None] * _from_middle(side) + shift[:, None]  # (P, side)
    inside = (position >= -0.25) & (position <= side - 0.75)
    position = np.clip(position, 0, side - 1)
    lower = np.minimum(position.astype(np.int64), side - 2)
    share = (position - lower).astype(np.float32)[..., None]
    matrix = np.zeros((*position.shape, side), np.float32)
    np.put_along_axis(matrix, lower[..., None], 1 - share, -1)
    np.put_along_axis(matrix, lower[..., None] + 1, share, -1)
    return matrix, inside


def blur(pictures: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of (P, S, S), borders repeated: one small matrix for both axes."""
    side = pictures.shape[-1]
    reach = np.arange(-side, side + 1)
    kernel = np.exp(-(reach**2) / (2 * sigma**2))
    matrix = np.zeros((side, side), np.float32)
    for row in range(side):
        np.add.at(matrix[row], np.clip(row + reach, 0, side - 1), (kernel / kernel.sum()).astype(np.float32))
    found: np.ndarray = matrix @ pictures @ matrix.T
    return found
