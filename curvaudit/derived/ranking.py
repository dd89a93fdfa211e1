"""From logged values to one number a sample, and the rows that stand out by it."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from .. import ordering, scores, store
from ..errors import DamagedRun
from ..scores import late
from ..scores.consensus import NAME as CONSENSUS
from ..scores.consensus import PARTS, consensus
from ..scores.interface import mean_over_epochs

_SPREAD = 200  # pictures that show what any range of scores looks like


def reduced(run: store.Run, training: int) -> dict[str, np.ndarray]:
    """Every ranking score of one training, reduced over its epochs, and those derived from them: name -> (N,) float64.

    Streams the run file by blocks of samples: memory is bounded by one block, not by E x N.
    A score whose values are damaged is left out.
    """
    chosen = run.training(training)
    logged = chosen.measures
    end = late.rows(int(chosen.recipe.get("epochs", 0)), chosen.epochs)
    found: dict[str, np.ndarray] = {}
    at_the_end = np.full(len(run.samples), np.nan)
    for score in scores.build():
        if score.reduce is None or score.name not in logged:
            continue
        values = np.full(len(run.samples), np.nan)
        with suppress(DamagedRun):
            for columns, block in run.measure_blocks(training, score.name):
                values[columns] = score.reduce(block)
                if score.name == late.OF:
                    at_the_end[columns] = mean_over_epochs(block[end])
            found[score.name] = values
    if late.OF in found and not np.isnan(at_the_end).all():
        found[late.NAME] = at_the_end
    if any(name in found for name in PARTS):
        found[CONSENSUS] = consensus(
            {name: ordering.suspicion(run.trainings, name, values) for name, values in found.items()}
        )
    return found


def memorized_share(run: store.Run, training: int, memorizable: np.ndarray) -> np.ndarray:
    """Share of the `memorizable` samples (N,) that are classified as labelled in each epoch, (E,)."""
    total: np.ndarray | float = 0.0
    for columns, block in run.measure_blocks(training, "correct"):
        total = total + (block * memorizable[columns]).sum(axis=1, dtype=np.float64)
    return np.asarray(total) / max(1, int(memorizable.sum()))


def spread(order: np.ndarray) -> np.ndarray:
    """Rows spread evenly over an order from its first to its last, at most 200, (S,)."""
    return order[np.linspace(0, len(order) - 1, min(_SPREAD, len(order))).astype(np.int64)]


def extremes(order: np.ndarray, labels: np.ndarray, each: int) -> np.ndarray:
    """Rows of the `each` first and last of every class in an order, class after class, none twice, (M,).

    One sort, not one pass for each class: there may be 100,000 of them.

    Parameters
    ----------
    labels:
        (N,) class indices, by row.
    """
    mine = labels[order]  # (N,)
    grouped = np.argsort(mine, kind="stable")
    sizes = np.bincount(mine)  # (K,)
    size = np.repeat(sizes, sizes)  # (N,) of the own class
    place = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)  # (N,) within the own class
    return order[grouped[(place < each) | (place >= size - each)]]


def orders(run: store.Run, training: int) -> dict[str, np.ndarray]:
    """Rows from the most suspicious down for every score, name -> (N,)."""
    found = reduced(run, training)
    return {name: ordering.order_by(run.trainings, found, name) for name in found}
