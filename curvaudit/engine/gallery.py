"""Which pictures a report may show, and their thumbnails."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

import numpy as np
from PIL.Image import Image

from .. import ordering, store
from ..copies import matching
from ..derived import ranking
from ..derived.memorization import memorizable
from ..errors import CurvauditError
from ..pictures import images
from ..records import EXTREMES, Thumbnails

TOP = 1000  # as many tiles as a contact sheet is made for
PREVIEWS = 2000  # pictures kept larger than a thumbnail
_PAIRS = 20_000  # candidates for near-duplicates whose pictures are kept


def rows_worth_showing(run: store.Run) -> np.ndarray:
    """Rows, ascending, whose pictures a report on `run` may need: highest by any score, extremes
    of each class, a spread over the ranking, copies and candidates for near-duplicates, samples not memorized.

    Only asked when a set is too large to keep every thumbnail.
    """
    samples = run.samples
    chosen: list[Iterable[int]] = []
    for training in run.trainings:
        for name, order in ranking.orders(run, training.index).items():
            chosen.append(order[:TOP])
            if name == "curvature":
                chosen.append(ranking.spread(order))
                chosen.append(ranking.extremes(order, samples.labels, EXTREMES))
        if training.epochs:
            wrong = run.last(training.index, "correct") == 0  # (N,)
            chosen.append(np.flatnonzero(wrong)[:TOP])
    _, group, size = np.unique(samples.content_hash, return_inverse=True, return_counts=True)
    chosen.append(np.flatnonzero(size[group] > 1))
    near = matching.candidates(samples)
    chosen.append(np.unique(near.pairs[np.argsort(near.distance, kind="stable")[:_PAIRS]]))
    return np.unique(np.concatenate([np.asarray(rows, np.int64) for rows in chosen]))


def rows_worth_a_preview(run: store.Run) -> np.ndarray:
    """Rows, ascending, whose pictures are kept larger: at most 2,000, the highest by any score first.

    Of each conflict both pictures are among them as long as these are fewer than half.
    """
    samples = run.samples
    best = np.full(len(samples), len(samples), np.int64)  # (N,) best rank by any score
    for training in run.trainings:
        for order in ranking.orders(run, training.index).values():
            best = np.minimum(best, ordering.ranks(order))
    conflicts = np.flatnonzero(~memorizable(samples))[: PREVIEWS // 2]
    best[conflicts] = 0
    return np.sort(np.argsort(best, kind="stable")[:PREVIEWS])


def draw(
    open_row: Callable[[int], Image],
    rows: np.ndarray,
    encode: Callable[[Image], bytes | None] = images.thumbnail,
    on_done: Callable[[int], None] = lambda done: None,
) -> Thumbnails:
    """Thumbnails of `rows`, (M,) ascending, less those whose picture has changed or gone.

    Parameters
    ----------
    encode:
        Makes a file of a picture, or None where it need not be kept.
    on_done:
        Called with the number of pictures finished.
    """
    drawn: dict[int, bytes] = {}
    for row in rows.tolist():
        # The training is over: a picture that cannot be shown is no reason to lose it.
        with suppress(CurvauditError):
            made = encode(open_row(row))
            if made is not None:
                drawn[row] = made
        on_done(1)
    return Thumbnails(np.array(list(drawn), np.int64), tuple(drawn.values()))
