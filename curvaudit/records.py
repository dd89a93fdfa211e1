"""What the stages hand to each other: plain frozen dataclasses. Imports nothing of ours.

Everywhere N is the number of audited samples, K the number of classes, E the number of
finished epochs; row `i` is sample `i`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

if TYPE_CHECKING:
    import pandas

PATHS = "(path)"  # the column of paths as written, where ids differ from them; no further column has this name
_NUMBERED = re.compile(r"(?: \(\d+\))?")

# --- what a source holds -------------------------------------------------------------


SkippedKind = Literal["unreadable", "ignored", "doubtful", "partial"]
SKIPPED_KINDS: tuple[SkippedKind, ...] = get_args(SkippedKind)


@dataclass(frozen=True, slots=True)
class Skipped:
    """One thing in the source that is not audited, and why.

    `unreadable` becomes finding CA301; `ignored` (operating-system clutter, files outside
    any class folder) is only listed, so that nothing goes missing without a word. `doubtful` may have been meant
    otherwise than it was taken, which a person must say: data in no split, a split that was taken for a class.
    `partial` is audited, but not all of it: frames or pages of a file behind the first, further pictures of one
    sample.
    """

    id: str
    reason: str
    kind: SkippedKind = "unreadable"


def of_kind(skipped: Iterable[Skipped], kind: SkippedKind) -> list[Skipped]:
    """Those of one kind, in their order."""
    return [item for item in skipped if item.kind == kind]


@dataclass(frozen=True)
class Samples:
    """Facts about every audited sample, in row order. All arrays have length N."""

    ids: tuple[str, ...]
    labels: np.ndarray  # (N,) int32, index into classes
    classes: tuple[str, ...]  # K names, in the source's order
    content_hash: np.ndarray  # (N,) uint64, hash of the decoded RGB pixels and their size
    phash: np.ndarray  # (N,) uint64, 64-bit perceptual hash
    width: np.ndarray  # (N,) uint16, pixels
    height: np.ndarray  # (N,) uint16, pixels
    contrast: np.ndarray  # (N,) float32, standard deviation of the pixels in [0, 1]
    # What a manifest says beyond path, label and split: column name -> N texts, in its order; perhaps PATHS
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    # (N,) int32, 1-based line of the manifest, 0 where there is none; empty without a manifest
    lines: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    # (N, 99) int8, see copies/signatures.py; empty in runs of earlier versions
    signature: np.ndarray = field(default_factory=lambda: np.zeros((0, 99), np.int8))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def paths(self) -> tuple[str, ...]:
        """Where each picture lies, as the source says; the ids, unless a manifest names one path twice."""
        return self.ids if self._paths_column is None else self.columns[self._paths_column]

    @property
    def further(self) -> dict[str, tuple[str, ...]]:
        """`columns` without the paths."""
        return {name: texts for name, texts in self.columns.items() if name != self._paths_column}

    @cached_property
    def _paths_column(self) -> str | None:
        if PATHS in self.columns:
            return PATHS
        # Earlier versions called it `path`, as a manifest may call another column: theirs is what ids are made of.
        texts = self.columns.get("path", self.ids)
        made = texts != self.ids and all(
            identity.startswith(path) and _NUMBERED.fullmatch(identity, len(path))
            for identity, path in zip(self.ids, texts, strict=True)
        )
        return "path" if made else None


@dataclass(frozen=True)
class Thumbnails:
    """Encoded small pictures (PNG or WebP), kept for the rows the report may show.

    Pictures up to 64 px are stored losslessly at their own size, so they are exact.
    """

    rows: np.ndarray  # (M,) int64, ascending sample rows
    images: tuple[bytes, ...]  # M encoded pictures


# --- what a run file holds -----------------------------------------------------------


@dataclass(frozen=True)
class RunInfo:
    """The root attributes of a run file."""

    source: str  # what the user named, as shown to people
    source_fingerprint: str  # hash of ids, labels and contents: a changed source shows
    config: Mapping[str, Any]  # every resolved setting of the scan
    environment: Mapping[str, Any]  # versions, device, platform
    created_by: str
    created_utc: str
    format_version: str = "1.0"


@dataclass(frozen=True)
class MeasureInfo:
    """Attributes of `measures/<score>`."""

    unit: str
    definition: str
    direction: Literal["high", "low"]  # which end is suspicious
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class EpochRow:
    """Everything one finished epoch adds to the run file."""

    number: int  # 1-based
    train_loss: float  # mean over the epoch's batches, as trained (augmented)
    train_accuracy: float  # share of samples right in eval mode without augmentation; NaN if not measured
    val_loss: float  # NaN without a validation split
    val_curvature: float  # NaN without a validation split
    learning_rate: float  # of the epoch's last step
    seconds: float
    measures: Mapping[str, np.ndarray]  # score -> (N,) float32; missing scores become NaN
    features: np.ndarray | None = None  # (N, D) float16, in one epoch of a training


@dataclass(frozen=True)
class TrainingCurves:
    """One training's per-epoch numbers, each (E,)."""

    number: np.ndarray
    train_loss: np.ndarray
    train_accuracy: np.ndarray
    val_loss: np.ndarray
    val_curvature: np.ndarray
    learning_rate: np.ndarray
    seconds: np.ndarray


@dataclass(frozen=True)
class TrainingInfo:
    """One training in a run: its settings and whether it is finished and memorized."""

    index: int
    weight_decay: float
    seed: int
    recipe: Mapping[str, Any]
    finished: bool
    memorized: bool
    curves: TrainingCurves
    measures: Mapping[str, MeasureInfo]

    @property
    def epochs(self) -> int:
        return len(self.curves.number)


# --- what a report holds -------------------------------------------------------------

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)  # the gravest first
EXTREMES = 10  # lowest and highest of a class that a page shows, as in the paper's figure 3


@dataclass(frozen=True)
class Rule:
    """A stable rule id, what it means (the table in the README and docs), and how it is spoken of where it is shown."""

    id: str
    name: str
    severity: Severity
    meaning: str
    reason: str = ""  # Markdown without links: why it matters …
    remedy: str = ""  # … and what to do, for readers without the documentation
    counted: tuple[str, str] | None = None  # what follows a count of one, and of several, in a sentence
    next_step: str = ""  # one sentence
    needs: Literal["pictures", "training", "comparison"] = "pictures"  # without it the rule is not checked
    conflict: bool = False  # one look under several labels
    most_resisted_first: bool = False  # its findings come in the finder's order, others by their best rank


@dataclass(frozen=True, slots=True)
class SampleRef:
    """One sample inside a finding. `index`, `label`, `rank` and `score` are None for a file
    that could not be read and therefore is no sample; `rank` and `score` also where nothing
    was trained; `index` for a picture of another split or data set, which `id` then names."""

    id: str
    index: int | None = None
    label: str | None = None
    rank: int | None = None  # 1 = most suspicious by the ranking score
    score: float | None = None


@dataclass(frozen=True)
class Finding:
    """One thing a person should look at."""

    rule: Rule
    message: str
    fingerprint: str  # from content hashes and labels: survives renames and reordering
    samples: tuple[SampleRef, ...]
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> list[int]:
        """Rows of its samples, in their order, without what is no sample of the audited set."""
        return [sample.index for sample in self.samples if sample.index is not None]


# Why an audit may have missed something: files that cannot be read, parts of a run file that are damaged,
# a training that is not over, candidate pairs whose pictures are not kept, scores that are no numbers, no epoch that
# could judge labels; no training, nothing to compare with.
Unchecked = Literal[
    "unreadable", "damaged", "unfinished", "unverified", "unscored", "unjudged", "untrained", "uncompared", "layout"
]


@dataclass(frozen=True)
class Caveat:
    """Something the reader must know before trusting the ranking."""

    severity: Severity
    message: str
    unchecked: Unchecked | None = None  # set where a part of the data was left unchecked
    unanswered: frozenset[str] = frozenset()  # rules that nothing can be said about because of this


@dataclass(frozen=True)
class Trajectories:
    """How some samples (M) went through the epochs, beside the middle of their classes."""

    rows: np.ndarray  # (M,) int64, ascending sample rows
    epochs: np.ndarray  # (E,) int32, 1-based
    curvature: np.ndarray  # (E, M) float32, NaN where not measured
    probed: np.ndarray  # (E, M) bool, false where curvature is 0 or expected from the gradient, without a probe
    class_median: np.ndarray  # (E, K) float32, median curvature of each class, NaN where not measured
    prediction: np.ndarray  # (E, M) int32, class index, -1 where not logged


@dataclass(frozen=True)
class Neighbours:
    """For some samples (M), the k others that lie nearest in the network's feature space."""

    rows: np.ndarray  # (M,) int64, ascending sample rows
    nearest: np.ndarray  # (M, k) int64, sample rows, nearest first
    similarity: np.ndarray  # (M, k) float32, cosine, 1 is the same direction
    epoch: int  # 1-based, whose features these are

    def of(self, row: int) -> list[int]:
        """Rows of the nearest, nearest first; empty where they were not looked for."""
        place = self._places.get(row)
        return [] if place is None else self.nearest[place].tolist()

    def alike(self, row: int, labels: np.ndarray) -> float | None:
        """Share of the nearest with the label of the row itself; None where they were not looked for."""
        rows = self.of(row)
        return float((labels[rows] == labels[row]).mean()) if rows else None

    def similarity_of(self, row: int) -> list[float]:
        """Cosines in the order of `of`."""
        place = self._places.get(row)
        return [] if place is None else self.similarity[place].tolist()

    @cached_property
    def _places(self) -> dict[int, int]:
        return {row: place for place, row in enumerate(self.rows.tolist())}


@dataclass(frozen=True)
class Stability:
    """How far ranks depend on the seed, from trainings that differ in nothing else."""

    seeds: tuple[int, ...]
    spearman: float  # rank correlation, mean over all pairs of seeds
    top: int
    overlap: float  # share of the top that two seeds have in common, mean over all pairs
    best: np.ndarray  # (N,) int64, best rank with any seed
    worst: np.ndarray  # (N,) int64
    memorized: float = float("nan")  # share of the memorizable samples that more than half have right at the end


@dataclass(frozen=True, eq=False)  # arrays have no truth: a report equals itself alone
class Report:
    """The whole audit, ready to be exported. No torch, no open files."""

    run: RunInfo
    run_path: str
    samples: Samples
    skipped: tuple[Skipped, ...]
    trainings: tuple[TrainingInfo, ...]
    training: int  # index of the training that gives ranking and curves; -1: none, nothing is ranked
    rank_by: str  # "" where nothing is ranked; then order is that of the rows
    top: int
    scores: Mapping[str, np.ndarray]  # score -> (N,) float, reduced over epochs
    order: np.ndarray  # (N,) int64, rows from rank 1 down
    rank: np.ndarray  # (N,) int64, rank[row], 1 = most suspicious
    suggested: np.ndarray  # (N,) int32, class index, -1 where there is none
    mean_curvature: np.ndarray  # (E,) mean curvature over samples, NaN where not measured
    memorized_share: np.ndarray  # (E,) share of memorizable samples right, NaN where not measured
    findings: tuple[Finding, ...]
    caveats: tuple[Caveat, ...]
    thumbnails: Mapping[int, bytes]  # row -> encoded picture (PNG, WebP)
    previews: Mapping[int, bytes] = field(default_factory=dict)  # row -> the same, larger, where it was kept
    neighbours: Neighbours | None = None  # None: the run holds no features
    trajectories: Trajectories | None = None  # of the rows that a page may show
    spread: tuple[int, ...] = ()  # rows spread evenly over the ranking, to show what any range of scores looks like
    stability: Stability | None = None  # None: one seed only
    compared_with: tuple[str, ...] = ()  # other splits and data sets that were searched for copies

    @property
    def chosen_training(self) -> TrainingInfo | None:
        """The training that gives ranking and curves; None where nothing was trained."""
        return next((one for one in self.trainings if one.index == self.training), None)

    @property
    def score(self) -> np.ndarray:
        """The values that rank, (N,) float; NaN where nothing is ranked."""
        return self.scores.get(self.rank_by, np.full(len(self.samples), np.nan))

    def label(self, row: int) -> str:
        """Class name of one row."""
        return self.samples.classes[int(self.samples.labels[row])]

    def suggested_label(self, row: int) -> str | None:
        """Class name that is suggested for one row; None where there is none."""
        better = int(self.suggested[row])
        return self.samples.classes[better] if better >= 0 else None

    def near(self, row: int) -> list[int]:
        """The rows that lie nearest to the network, nearest first; empty where they were not looked for."""
        return [] if self.neighbours is None else self.neighbours.of(row)

    def rules_of(self, row: int) -> tuple[str, ...]:
        """Ids of the rules that name this row, in id order."""
        return self._rules.get(row, ())

    def to_pandas(self) -> pandas.DataFrame:
        """One row per sample, from rank 1 down, with the columns of `ranking.csv`.

        `index` is the frame's index. Unmeasured scores and labels without a suggestion are missing values.

        Raises
        ------
        CurvauditError
            pandas is not installed.
        """
        return _export("ranking_frame").frame(self)

    def __repr__(self) -> str:
        # Of all fields it would be megabytes, which a prompt prints and a notebook keeps beside the HTML.
        ranked = f", ranked by {self.rank_by}" if self.rank_by else ""
        return f"<Report of {self.run.source!r}: pictures {len(self.samples)}, findings {len(self.findings)}{ranked}>"

    def _repr_html_(self) -> str:
        """A compact contact sheet for notebooks."""
        found: str = _export("notebook").render(self)
        return found

    @property
    def _rules(self) -> Mapping[int, tuple[str, ...]]:
        cached = self.__dict__.get("_rules_by_row")
        if cached is None:
            found: dict[int, set[str]] = {}
            for finding in self.findings:
                for row in finding.rows:
                    found.setdefault(row, set()).add(finding.rule.id)
            cached = {row: tuple(sorted(ids)) for row, ids in found.items()}
            object.__setattr__(self, "_rules_by_row", cached)
        return cached


def _export(name: str) -> Any:
    """An export by name when it is asked for: records lie below the exports and must not import them."""
    return import_module(f".exports.{name}", __package__)


# --- what a running scan says --------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PhaseStarted:
    """A phase with a known number of steps began ("reading", "training", …)."""

    phase: str
    total: int
    unit: str
    of_epoch: Literal["training", "measuring"] | None = None  # what is done for an epoch; None: nothing of that kind


@dataclass(frozen=True, slots=True)
class Advanced:
    """`done` steps of the current phase are finished."""

    done: int


@dataclass(frozen=True, slots=True)
class Notice:
    """A choice or warning the user should see."""

    message: str
    severity: Severity = "note"


@dataclass(frozen=True, slots=True)
class EpochDone:
    """An epoch is durable in the run file."""

    training: int
    trainings: int
    weight_decay: float
    epoch: int
    planned: int
    train_loss: float
    train_accuracy: float
    memorized_share: float
    curvature: float | None  # mean over the samples; None: not measured in this epoch
    seconds: float
    seconds_left: float


Event = PhaseStarted | Advanced | Notice | EpochDone
