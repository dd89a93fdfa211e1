"""Known label errors in a copy of the labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Noise = Literal["uniform", "pairs"]
NOISES: tuple[Noise, ...] = ("uniform", "pairs")


@dataclass(frozen=True)
class Planted:
    """Labels with errors in them, and where the errors are."""

    labels: np.ndarray  # (N,) int32, the new labels
    wrong: np.ndarray  # (N,) bool, those that were changed


def plant(labels: np.ndarray, rate: float, seed: int, partner: np.ndarray | None = None) -> Planted:
    """Flip the same share of labels in each class, each to one of the other classes with equal chance,
    or to the `partner` of its class.

    Only classes that `labels` uses are flipped to, and each keeps at least one of its own samples, so
    no class appears or vanishes; a class of one sample is left alone. Where the share of a class is no
    whole number it is rounded down or up, so that the number of errors over all classes is `rate * N`
    to the nearest whole (fewer only where classes of one sample stand in the way).

    Parameters
    ----------
    labels:
        (N,) class indices; not changed.
    rate:
        Share of the labels, from 0 to below 1.
    seed:
        Decides which samples and which classes.
    partner:
        (K,) the class that each class is mistaken for, see `lookalikes`; None: any other class.
    """
    random = np.random.default_rng([seed, round(rate * 1e6)])
    given = np.asarray(labels, np.int32)
    present, sizes = np.unique(given, return_counts=True)  # (P,) each
    planted = given.copy()
    if len(present) < 2:
        return Planted(planted, np.zeros(len(given), bool))
    members = np.split(np.argsort(given, kind="stable"), np.cumsum(sizes)[:-1])  # rows of each class, ascending
    for place, count in enumerate(_counts(sizes, rate, random).tolist()):
        rows = random.choice(members[place], count, replace=False)
        # A step of 1 to P - 1 around the circle of classes is each other class once.
        steps = random.integers(1, len(present), count)
        planted[rows] = present[(place + steps) % len(present)] if partner is None else partner[present[place]]
    return Planted(planted, planted != given)


def _counts(sizes: np.ndarray, rate: float, random: np.random.Generator) -> np.ndarray:
    """How many to flip in each class, (P,): the largest remainders are rounded up, equal ones by lot."""
    exact = np.round(sizes * rate, 9)  # 0.29 * 100 is 28.999999999999996
    counts = np.floor(exact).astype(np.int64)
    most = np.maximum(sizes - 1, 0)
    missing = round(float(exact.sum())) - int(counts.sum())
    for place in np.lexsort((random.random(len(sizes)), -np.round(exact - counts, 9))).tolist():
        if missing > 0 and counts[place] < most[place] and exact[place] > counts[place]:
            counts[place] += 1
            missing -= 1
    found: np.ndarray = np.minimum(counts, most)
    return found


def lookalikes(labels: np.ndarray, looks: np.ndarray, classes: int) -> np.ndarray:
    """For each class the other class with the most similar mean look, (K,); -1 for a class without samples.

    People confuse classes that look alike. Which those are is taken from the pictures alone, not from a
    network: its confusions would favour the scores of that very network.

    Parameters
    ----------
    labels:
        (N,) class indices.
    looks:
        (N, D) a coarse description of each picture, such as `Samples.signature`.
    """
    present = np.unique(labels)
    partner = np.full(classes, -1, np.int32)
    if len(present) < 2:
        return partner
    means = np.stack([looks[labels == one].mean(axis=0, dtype=np.float64) for one in present])  # (P, D)
    squares = (means**2).sum(axis=1)
    distance = squares[:, None] + squares - 2 * means @ means.T  # (P, P)
    np.fill_diagonal(distance, np.inf)
    partner[present] = present[distance.argmin(axis=1)]
    return partner
