"""How far ranks depend on the seed: trainings that differ in nothing else are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from .. import ordering, store
from ..records import Stability, TrainingInfo
from ..scores.consensus import percentile


def repeats(run: store.Run, chosen: TrainingInfo) -> tuple[TrainingInfo, ...]:
    """`chosen` and the other finished trainings of its weight decay; it alone while it is unfinished.

    A training that is not finished has seen fewer epochs: its scores have another scale.
    """
    if not chosen.finished:
        return (chosen,)
    others = [t for t in run.trainings if t.finished and t.weight_decay == chosen.weight_decay]
    return (chosen, *(t for t in others if t.index != chosen.index))


def averaged(scores: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Mean over trainings of every score that all of them have, name -> (N,)."""
    names = [name for name in scores[0] if all(name in one for one in scores)]
    return {name: np.mean([one[name] for one in scores], axis=0) for name in names}


def stability(
    run: store.Run,
    trainings: Sequence[TrainingInfo],
    scores: Sequence[Mapping[str, np.ndarray]],
    rank_by: str,
    top: int,
    memorized: float,
) -> Stability:
    """Compare the rankings of several seeds.

    Parameters
    ----------
    trainings:
        At least two.
    scores:
        Name -> (N,), for each training.
    rank_by:
        The score that ranks.
    top:
        Length of the head of the ranking whose overlap is told; shorter where it would end among equal samples.
    memorized:
        Share of the memorizable samples that more than half of the trainings memorized.
    """
    orders = [ordering.order_by(run.trainings, one, rank_by) for one in scores]
    places = [percentile(one[rank_by]) for one in scores]  # (N,) each; equal samples share one
    ranks = np.stack([ordering.ranks(order) for order in orders])  # (R, N)
    pairs = list(combinations(range(len(ranks)), 2))
    length = min(_apart(one[rank_by][order], top) for one, order in zip(scores, orders, strict=True))
    heads = [set(order[:length].tolist()) for order in orders]
    return Stability(
        seeds=tuple(training.seed for training in trainings),
        spearman=float(np.mean([_correlation(places[a], places[b]) for a, b in pairs])),
        top=length,
        overlap=float(np.mean([len(heads[a] & heads[b]) / length for a, b in pairs])) if length else float("nan"),
        best=ranks.min(axis=0),
        worst=ranks.max(axis=0),
        memorized=memorized,
    )


def _apart(ranked: np.ndarray, top: int) -> int:
    """How many of the first `top` values (N,), best first, end before a group of equals that goes on behind them."""
    if top >= len(ranked) or ranked[top] != ranked[top - 1]:
        return min(top, len(ranked))
    return int(np.flatnonzero(ranked == ranked[top])[0])


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """NaN where all samples are alike to one of them."""
    return float(np.corrcoef(one, other)[0, 1]) if np.ptp(one) and np.ptp(other) else float("nan")
