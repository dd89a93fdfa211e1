"""How the shown samples went through the epochs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from .. import store
from ..errors import CurvauditError
from ..records import Trajectories
from ..scores import dealing


def trajectories(run: store.Run, training: int, rows: Sequence[int]) -> Trajectories:
    """Curvature and prediction of `rows` in every epoch, and the median curvature of every class.

    Reads one epoch at a time: memory is bounded by one epoch of N values and the result.
    """
    info = run.training(training)
    chosen = np.asarray(rows, np.int64)
    labels, classes = run.samples.labels, len(run.samples.classes)
    curvature = np.full((info.epochs, len(chosen)), np.nan, np.float32)
    probed = np.ones(curvature.shape, bool)
    medians = np.full((info.epochs, classes), np.nan, np.float32)
    prediction = np.full((info.epochs, len(chosen)), -1, np.int32)

    def logged(name: str) -> Iterator[tuple[int, np.ndarray]]:
        return enumerate(run.measure_epochs(training, name) if name in info.measures else ())

    try:
        for epoch, values in logged("curvature"):
            curvature[epoch] = values[chosen]
            medians[epoch] = class_medians(values, labels, classes)
        for epoch, values in logged(dealing.NAME):
            probed[epoch] = values[chosen] > 0
    except CurvauditError:  # damage costs these curves only; the scores themselves answer for it
        curvature[:], medians[:] = np.nan, np.nan
    try:
        for epoch, values in logged("prediction"):
            found = values[chosen]
            prediction[epoch] = np.where((found >= 0) & (found < classes), found, -1)  # false for NaN
    except CurvauditError:
        prediction[:] = -1
    return Trajectories(chosen, info.curves.number, curvature, probed, medians, prediction)


def class_medians(values: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Median of the measured values of each class, (K,) float; NaN for a class without any.

    Parameters
    ----------
    values:
        (N,), NaN where not measured.
    labels:
        (N,) class indices.
    """
    measured = ~np.isnan(values)
    if not measured.any():
        return np.full(classes, np.nan)
    kept, of = values[measured].astype(np.float32), labels[measured]
    ascending = _sorted_within(kept, of)  # class after class, each ascending
    sizes = np.bincount(of, minlength=classes)  # (K,)
    first = np.cumsum(sizes) - sizes
    some = sizes > 0
    low, high = first + (sizes - 1) // 2, first + sizes // 2
    found = np.full(classes, np.nan)
    found[some] = (ascending[low[some]].astype(float) + ascending[high[some]]) / 2
    return found


def _sorted_within(values: np.ndarray, of: np.ndarray) -> np.ndarray:
    """float32 `values` (n,) class after class, each ascending, by one sort of integers: faster than `lexsort`."""
    bits = values.view(np.uint32)
    # Floats sort like these: negative ones with every bit turned, the others with the sign set.
    turned = np.where(bits >> 31 == 1, ~bits, bits | np.uint32(1 << 31))
    keys = np.sort((of.astype(np.uint64) << np.uint64(32)) | turned).astype(np.uint32)
    return np.where(keys >> 31 == 1, keys & np.uint32((1 << 31) - 1), ~keys).view(np.float32)
