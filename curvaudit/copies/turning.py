"""Lay a picture over one that was turned by a few degrees, as a page is in a scanner.

`registration` moves and scales rows and columns, which at 32 px covers such a turn, but not at 64 px. Here each
axis may also lean. It costs three times as much, so only pairs that do not agree otherwise come here.
"""

from __future__ import annotations

import numpy as np

from . import registration

_LEVELS = ((2.0, 4), (1.0, 3))  # (blur in px, steps): coarse first
_LARGEST = np.array([0.25, 8.0, 0.08] * 2, np.float32)  # scale, shift in px, lean: 0.08 is 4.6°
_LARGEST_STEP = np.array([0.06, 2.0, 0.06] * 2)


def laid_over(first: np.ndarray, second: np.ndarray, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each `second` as it lies over its `first`, and where it does.

    Parameters
    ----------
    first, second:
        (P, S, S) grey, 0 to 255.
    place:
        (P, 4) where to start, see `registration.registered`.

    Returns
    -------
    (P, S, S) grey and (P, S, S), 0 or 1
    """
    found = np.zeros((len(first), 6), np.float32)  # scale y, shift y, lean y, scale x, shift x, lean x
    found[:, [0, 1, 3, 4]] = place
    from_middle = np.arange(first.shape[-1], dtype=np.float32) - (first.shape[-1] - 1) / 2
    down, across = from_middle[:, None], from_middle
    for sigma, steps in _LEVELS:
        goal, blurred = registration.blur(first, sigma), registration.blur(second, sigma)
        slopes = np.gradient(blurred, axis=(1, 2))
        for _ in range(steps):
            (laid, slope_y, slope_x), inside = _sampled((blurred, *slopes), found)
            size = inside.sum(axis=(1, 2), keepdims=True)
            laid = laid - (laid * inside).sum(axis=(1, 2), keepdims=True) / size
            wanted = goal - (goal * inside).sum(axis=(1, 2), keepdims=True) / size
            gain = (wanted * laid * inside).sum(axis=(1, 2), keepdims=True) / np.maximum(
                (laid**2 * inside).sum(axis=(1, 2), keepdims=True), 1e-3
            )
            y, x = gain * slope_y, gain * slope_x
            unknowns = (y * down, y, y * across, x * across, x, x * down, laid, np.ones_like(laid))
            jacobian = (np.stack(unknowns, axis=1) * inside[:, None]).reshape(len(first), 8, -1)
            error = (wanted - gain * laid).reshape(len(first), -1, 1)
            normal = jacobian @ jacobian.transpose(0, 2, 1) + np.eye(8, dtype=np.float32) * 1e-2
            step = np.linalg.solve(normal.astype(np.float64), (jacobian @ error).astype(np.float64))[:, :6, 0]
            step = np.clip(step, -_LARGEST_STEP, _LARGEST_STEP)
            found = np.clip(found + step, -_LARGEST, _LARGEST).astype(np.float32)
    (laid,), inside = _sampled((second,), found)
    return laid, inside


def _sampled(pictures: tuple[np.ndarray, ...], place: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Pictures (P, S, S) bilinearly at the places (P, 6), and which of these lie in them, (P, S, S)."""
    count, side = pictures[0].shape[:2]
    middle = (side - 1) / 2
    from_middle = np.arange(side, dtype=np.float32) - middle
    down, across = from_middle[:, None], from_middle
    scale_y, shift_y, lean_y, scale_x, shift_x, lean_x = place.T[:, :, None, None]  # (P, 1, 1) each
    y = middle + (1 + scale_y) * down + shift_y + lean_y * across  # (P, S, S)
    x = middle + (1 + scale_x) * across + shift_x + lean_x * down
    inside = ((np.minimum(y, x) >= -0.25) & (np.maximum(y, x) <= side - 0.75)).astype(np.float32)
    y, x = (np.clip(position, 0, side - 1) for position in (y, x))
    above, left = (np.minimum(position.astype(np.int32), side - 2) for position in (y, x))
    lower, right = y - above, x - left
    corner = (above * side + left).reshape(count, -1)

    def at(picture: np.ndarray, offset: int) -> np.ndarray:
        found: np.ndarray = np.take_along_axis(picture.reshape(count, -1), corner + offset, 1)
        return found.reshape(picture.shape)

    return [
        (1 - lower) * ((1 - right) * at(picture, 0) + right * at(picture, 1))
        + lower * ((1 - right) * at(picture, side) + right * at(picture, side + 1))
        for picture in pictures
    ], inside
