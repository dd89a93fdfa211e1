"""What an experiment is, and what it is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...records import Event
from ..result import Outcome

Scale = Literal["small", "full"]
SCALES: tuple[Scale, ...] = ("small", "full")


@dataclass(frozen=True)
class Settings:
    """Everything an experiment can be told. None: what the experiment takes at its scale."""

    out: Path
    scale: Scale = "small"
    source: tuple[str, ...] = ()  # data sets as `scan` takes them
    from_runs: tuple[str, ...] = ()  # run files to read instead of training
    data_dir: str | None = None
    download: bool = False
    split: str | None = None
    validation: str | None = None  # the second split; None: a fifth of the pictures is held out
    image_column: str | None = None
    label_column: str | None = None
    scores: str | None = None  # FILE.npz:KEY, memorization scores to compare with
    mask: str | None = None  # KEY in the same file, (N,) bool; False: leave out
    samples: int | None = None
    rates: tuple[float, ...] | None = None  # shares of planted errors
    noise: tuple[str, ...] = ("uniform",)
    seed: int = 0
    seeds: int | None = None  # repeats, seeded seed, seed + 1, …
    folds: int = 4  # the paper: "4 sets of cross-validation experiments"
    baselines: bool | None = None
    epochs: int | None = None
    width: str | None = None
    resolution: str | None = None
    device: str = "auto"
    workers: int | None = None
    on_event: Callable[[Event], None] = lambda event: None

    @property
    def small(self) -> bool:
        """Whether the experiment must run on two cores in minutes."""
        return self.scale == "small"

    def count(self, small: int) -> int | None:
        """How many samples to take: those asked for, at small scale `small`, otherwise all."""
        return self.samples or (small if self.small else None)


@dataclass(frozen=True)
class Experiment:
    """One table or figure of the paper."""

    name: str
    title: str
    paper: str  # what the paper says, where, with its numbers
    takes: frozenset[str]  # the settings that mean something to it, besides `ALWAYS`
    run: Callable[[Settings], Outcome]


ALWAYS = frozenset({"out", "scale", "seed", "on_event"})
SOURCES = frozenset(
    {"source", "data_dir", "download", "split", "image_column", "label_column", "samples", "epochs", "width",
     "resolution", "device", "workers"}
)  # fmt: skip
