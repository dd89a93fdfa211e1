"""Which pictures look alike to the network: nearest neighbours of the samples that a report shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .. import store
from ..records import Neighbours

NEAREST = 8  # of each sample
_QUERIES = 1024  # samples compared with a block of all at once: 16 MB of similarities
_PRODUCTS = 4_000_000_000  # pairs compared at most: 3,000 of 1.28 million take about 11 s on one core


def at_most(samples: int) -> int:
    """For how many samples neighbours are looked for in a set of `samples`; all of them up to 60,000."""
    return max(1, _PRODUCTS // max(1, samples))


def neighbours(
    run: store.Run,
    training: int,
    rows: Sequence[int],
    nearest: int = NEAREST,
    on_done: Callable[[int], None] = lambda done: None,
) -> Neighbours | None:
    """The `nearest` most similar of all other samples, for each of `rows`; None where the run holds no features.

    Similar is a large cosine between features less their mean over all samples. Each block of samples is
    compared with all queries, which keep their best: memory is bounded by the features of the queries.

    Parameters
    ----------
    rows:
        Sample rows, ascending.
    on_done:
        Called with the number of samples finished.

    Raises
    ------
    DamagedRun
        The features cannot be read.
    """
    epoch = run.features_epoch(training)
    chosen = np.asarray(rows, np.int64)  # (M,)
    count = min(nearest, len(run.samples) - 1)
    if epoch is None or len(chosen) == 0 or count < 1:
        return None
    mean = sum(block.sum(axis=0, dtype=np.float64) for _, block in run.features(training)) / len(run.samples)
    queries = _directions(run.feature_rows(training, chosen), mean)  # (M, D)
    best = np.full((len(chosen), count), -np.inf, np.float32)
    found = np.full((len(chosen), count), -1, np.int64)
    for at, block in run.features(training):
        others = _directions(block, mean)  # (n, D)
        numbers = np.arange(at.start, at.stop)
        for start in range(0, len(chosen), _QUERIES):
            part = slice(start, start + _QUERIES)
            similar = queries[part] @ others.T  # (m, n)
            similar[chosen[part][:, None] == numbers] = -np.inf  # a sample is no neighbour of itself
            closer = np.flatnonzero(similar.max(axis=1) > best[part, -1])  # few, once some blocks are seen
            if len(closer):
                better = start + closer
                values = np.concatenate([best[better], similar[closer]], axis=1)
                known = np.concatenate([found[better], np.broadcast_to(numbers, (len(closer), len(numbers)))], axis=1)
                best[better], found[better] = _largest(values, known, count)
        on_done(len(numbers))
    return Neighbours(chosen, found, best, epoch)


def _directions(features: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Unit vectors of (n, D), zero where there is no direction."""
    centred = (features - mean).astype(np.float32)
    found: np.ndarray = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    return found


def _largest(values: np.ndarray, known: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The `count` largest of each line and what they belong to, largest first, (m, count) each."""
    kept = np.argpartition(-values, count - 1, axis=1)[:, :count]
    values, known = np.take_along_axis(values, kept, axis=1), np.take_along_axis(known, kept, axis=1)
    order = np.lexsort((known, -values), axis=1)
    return np.take_along_axis(values, order, axis=1), np.take_along_axis(known, order, axis=1)
