"""What a calibration found: planted errors, and how each method ranked them. Imports nothing of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Kind = Literal["scan", "baseline"]
SCAN: Kind = "scan"
BASELINE: Kind = "baseline"
CURVATURE = "curvature"


@dataclass(frozen=True, slots=True)
class Quality:
    """How well one ranking finds P planted errors among N samples."""

    auroc: float
    average_precision: float
    # Of the P most suspicious samples the share that is planted, and of the planted the share that is
    # among them: with as many places as errors the two are one number.
    precision_at_planted: float
    recall_at_planted: float
    precision_at_top: float  # of the `Calibration.top` most suspicious samples the share that is planted


@dataclass(frozen=True, slots=True)
class Flags:
    """How well a yes or no finds them. Shares of nothing are NaN."""

    flagged: int
    precision: float  # of the flagged the share that is planted
    recall: float  # of the planted the share that is flagged
    suggestion_right: float  # of the planted among the flagged the share whose suggested label is the true one

    @property
    def named(self) -> float:
        """Of the planted the share that is flagged with its true label."""
        return self.recall * self.suggestion_right if self.recall else 0.0


@dataclass(frozen=True, slots=True)
class Method:
    """Something that ranks samples by suspicion."""

    name: str
    kind: Kind  # logged by the scan, or what the paper's table 2 compares with
    definition: str


@dataclass(frozen=True)
class Trial:
    """One copy of the labels with planted errors, scanned."""

    rate: float  # share asked for
    seed: int
    planted: int
    epochs: int
    memorized: bool
    run: str  # path of the run file
    training_seconds: float  # of one training without measuring: the unit of `costs`; NaN if the clock stands
    qualities: Mapping[str, Quality]  # method -> quality
    flags: Mapping[str, Flags]  # CA201 and, with baselines, confident-learning
    costs: Mapping[str, float]  # method -> measured seconds / training_seconds


@dataclass(frozen=True)
class Distribution:
    """One score of one trial, for its histogram."""

    rate: float
    seed: int
    score: str
    unit: str
    values: np.ndarray  # (N,) as logged and reduced
    planted: np.ndarray  # (N,) bool


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and standard deviation (n - 1) over repeats; deviation NaN for one repeat."""

    mean: float
    deviation: float
    count: int


@dataclass(frozen=True)
class Calibration:
    """How well each score finds planted label errors on one data set."""

    source: str
    samples: int
    classes: int
    rates: tuple[float, ...]  # shares, ascending
    repeats: int
    folds: int | None  # None: Confident Learning was left out
    noise: str  # uniform or pairs, see `planting`
    top: int  # 100, or all samples where there are fewer
    settings: Mapping[str, Any]  # of the scans, resolved
    environment: Mapping[str, Any]
    created_by: str
    created_utc: str
    methods: tuple[Method, ...]
    trials: tuple[Trial, ...]  # those that are finished
    distributions: tuple[Distribution, ...]  # of the first repeat of each rate
    caveats: tuple[str, ...]

    @property
    def finished(self) -> bool:
        """Whether every trial that was asked for is there."""
        return len(self.trials) == len(self.rates) * self.repeats

    def at(self, rate: float) -> tuple[Trial, ...]:
        """The finished trials of one rate."""
        return tuple(trial for trial in self.trials if trial.rate == rate)

    def quality(self, method: str, rate: float, measure: str) -> Spread:
        """One field of `Quality` over the repeats of one rate."""
        found = [getattr(t.qualities[method], measure) for t in self.at(rate) if method in t.qualities]
        return spread(found)

    def flags(self, method: str, rate: float, measure: str) -> Spread:
        """One field of `Flags` over the repeats of one rate, repeats without a value left out."""
        found = [getattr(t.flags[method], measure) for t in self.at(rate) if method in t.flags]
        return spread(found)

    def cost(self, method: str) -> Spread:
        """Training-equivalents over all trials."""
        return spread([trial.costs[method] for trial in self.trials if method in trial.costs])

    @property
    def best(self) -> str:
        """The score of the scan with the highest average precision, mean over all trials."""
        scores = [method.name for method in self.methods if method.kind == SCAN]
        return max(scores, key=lambda name: _mean_ap(self.trials, name))


def spread(values: list[float]) -> Spread:
    """Mean and deviation of the values that are not NaN."""
    known = np.array([value for value in values if value == value], float)
    if len(known) == 0:
        return Spread(float("nan"), float("nan"), 0)
    deviation = float(known.std(ddof=1)) if len(known) > 1 else float("nan")
    return Spread(float(known.mean()), deviation, len(known))


def _mean_ap(trials: tuple[Trial, ...], name: str) -> float:
    found = spread([trial.qualities[name].average_precision for trial in trials if name in trial.qualities])
    return found.mean if found.count else -1.0
