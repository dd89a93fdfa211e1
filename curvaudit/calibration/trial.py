"""One trial of a calibration: scan labels with planted errors, judge every method, keep what was found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from .. import clock, inventory, ordering, reporting, store
from ..derived import ranking
from ..engine.settings import ScanSettings
from ..errors import CurvauditError
from ..pictures.pixels import Place
from ..records import Advanced, EpochDone, Event, MeasureInfo, PhaseStarted, Skipped
from ..scanning import scan
from ..scores import DERIVED
from ..sources import SourceOptions
from ..training.surroundings import as_torch_starts
from . import confident, detection, planting, record
from .result import BASELINE, SCAN, Distribution, Method, Trial

RUNS = "runs"  # folder of the run files
TOP = 100
_SETTINGS = {field.name for field in fields(ScanSettings)}
SOURCE_SETTINGS = tuple(field.name for field in fields(SourceOptions) if field.name in _SETTINGS)
# Settings that say where pictures come from or how fast it goes, and those that each trial has its own of.
_NO_MATTER = (*SOURCE_SETTINGS, "validation", "workers", "max_pixels", "seed", "repeats")
_INCONFIDENCE, _CONFIDENT, _CA201 = "inconfidence", "confident-learning", "CA201"


@dataclass(frozen=True)
class Relabelled:
    """The readable pictures of a source with other labels; the source keeps its own."""

    stock: inventory.Inventory
    labels: np.ndarray  # (N,) int32
    skipped: tuple[Skipped, ...] = ()

    @property
    def name(self) -> str:
        """As the source is shown to people, and that its labels are not these."""
        return f"{self.stock.source.name} (labels with planted errors)"

    @property
    def classes(self) -> tuple[str, ...]:
        """Of the source."""
        return self.stock.samples.classes

    @property
    def ids(self) -> tuple[str, ...]:
        """Of its readable pictures."""
        return self.stock.samples.ids

    def open(self, index: int) -> Any:
        """See `Source.open`."""
        return self.stock.source.open(int(self.stock.source_index[index]))


@dataclass(frozen=True)
class Done:
    """A finished trial, and what the calibration shows of it."""

    trial: Trial
    methods: tuple[Method, ...]
    distributions: tuple[Distribution, ...]
    run: store.Run


class _Stopwatch:
    """Passes events on and adds up the time spent in training, without measuring."""

    def __init__(self, on_event: Callable[[Event], None]) -> None:
        self.on_event = on_event
        self.training = 0.0
        self.epochs = 0  # finished while it ran
        self._since: float | None = None
        self._trained = False  # whether the training of the epoch that is being measured was watched

    def __call__(self, event: Event) -> None:
        if isinstance(event, PhaseStarted):
            now = clock.seconds()
            if self._since is not None:
                self.training += now - self._since
            self._since = now if event.of_epoch == "training" else None
            self._trained |= self._since is not None
        if isinstance(event, EpochDone):
            # A scan that was killed while it measured goes on with the measuring.
            self.epochs += self._trained
            self._trained = False
        self.on_event(event)


@dataclass
class Trials:
    """Runs one trial after the other; what they share is read once."""

    folder: Path
    stock: inventory.Inventory
    wanted: ScanSettings
    given: Mapping[str, Any]  # those of the settings that were given, less those of the source
    folds: int | None  # of the cross-validation; None: without Confident Learning
    on_event: Callable[[Event], None]
    _pixels: np.ndarray | None = None

    @property
    def _scratch(self) -> Path:
        return self.folder / RUNS / ".pixels"

    def clean(self) -> None:
        """Remove what only the trials needed."""
        self._pixels = None
        with suppress(OSError):
            self._scratch.unlink(missing_ok=True)

    def found(self, rate: float, seed: int, errors: planting.Planted) -> Done | None:
        """The trial as an earlier calibration finished it; None if there is none.

        Raises
        ------
        CurvauditError
            It was done with other settings, labels or pictures.
        """
        path = run_path(self.folder, rate, seed)
        trial = record.read(record.path_for(path), self._asked())
        if trial is None or not path.exists():
            return None
        run = store.open_run(path)
        if not self._same_pictures(run):
            raise CurvauditError(f"{path} was scanned from other pictures than these.", record.HINT)
        if not np.array_equal(run.samples.labels, errors.labels):
            raise CurvauditError(f"{path} holds other planted errors than these.", record.HINT)
        return self._done(trial, run, errors)

    def run(self, rate: float, seed: int, errors: planting.Planted) -> Done:
        """Scan the labels with errors, or go on with their scan, and measure what found them."""
        from ..training.aside import in_turn

        watch = _Stopwatch(self.on_event)
        path = run_path(self.folder, rate, seed)
        with in_turn():
            run = scan(
                Relabelled(self.stock, errors.labels), path, resume=path.exists(), on_event=watch,
                **{**self.given, "seed": seed},
            )  # fmt: skip
        if not self._same_pictures(run):
            raise CurvauditError(
                f"The pictures of {self.stock.source.name} changed while it was calibrated.",
                "Leave the source alone meanwhile, then start again with --overwrite.",
            )
        training = run.trainings[0]
        # Of a scan that was resumed only the rest was watched.
        watched = training.curves.seconds[training.epochs - watch.epochs :]  # (E,)
        unit = watch.training / watch.epochs * training.epochs if watch.training else float("nan")  # s
        each = float(watched.sum()) / watch.training if watch.training else float("nan")
        true = self.stock.samples.labels
        suspicions = {name: ordering.suspicion(run.trainings, name, values) for name, values in _reduced(run).items()}
        costs = dict.fromkeys(suspicions, each)
        # 1 − exp(−loss) is 1 − the probability of the given label.
        suspicions[_INCONFIDENCE] = -np.expm1(-run.last(0, "loss").astype(np.float64))
        costs[_INCONFIDENCE] = 1.0 if watch.training else float("nan")
        suggested = reporting.report(run, thumbnails=False).suggested
        flags = {_CA201: detection.flags(errors.wrong, true, suggested >= 0, suggested)}
        if self.folds is not None:
            with as_torch_starts():
                judged, seconds = self._confident(run, errors.labels, seed)
            suspicions[_CONFIDENT] = judged.suspicion
            costs[_CONFIDENT] = seconds / unit
            flags[_CONFIDENT] = detection.flags(errors.wrong, true, judged.flagged, judged.suggested)
        top = min(TOP, len(run.samples))
        trial = Trial(
            rate=rate,
            seed=seed,
            planted=int(errors.wrong.sum()),
            epochs=training.epochs,
            memorized=training.memorized,
            run=f"{RUNS}/{path.name}",
            training_seconds=unit,
            qualities={name: detection.quality(errors.wrong, values, top) for name, values in suspicions.items()},
            flags=flags,
            costs=costs,
        )
        record.write(record.path_for(path), trial, self._asked())
        return self._done(trial, run, errors)

    def _done(self, trial: Trial, run: store.Run, errors: planting.Planted) -> Done:
        measures = run.trainings[0].measures
        methods = [_BASELINES.get(name) or _described(measures, name) for name in trial.qualities]
        kept = (
            Distribution(trial.rate, trial.seed, name, _unit(measures, name), values, errors.wrong)
            for name, values in _reduced(run).items()
            if trial.seed == self.wanted.seed  # of the first repeat alone
        )
        return Done(trial, tuple(methods), tuple(kept), run)

    def _asked(self) -> dict[str, Any]:
        """What a trial depends on, besides its rate, its seed and its pictures."""
        return {name: value for name, value in asdict(self.wanted).items() if name not in _NO_MATTER} | {
            "folds": self.folds
        }

    def _same_pictures(self, run: store.Run) -> bool:
        samples = self.stock.samples
        return run.samples.ids == samples.ids and np.array_equal(run.samples.content_hash, samples.content_hash)

    def _confident(self, run: store.Run, labels: np.ndarray, seed: int) -> tuple[confident.Judged, float]:
        """Confident Learning with the network and schedule of the scan, and the seconds it took."""
        import torch

        from ..training.cross_validation import cross_validate
        from ..training.device import choose_device
        from ..training.recipe import Recipe

        assert self.folds is not None
        config = run.info.config
        recipe = Recipe(**{**config["recipe"], "milestones": tuple(config["recipe"]["milestones"])})
        pixels = torch.from_numpy(self._load(int(config["resolution"])))
        begun = clock.seconds()
        probabilities = cross_validate(
            pixels,
            labels,
            recipe,
            folds=self.folds,
            classes=len(run.samples.classes),
            width=int(config["width"]),
            weight_decay=self.wanted.weight_decay[0],
            seed=seed,
            device=choose_device(self.wanted.device),
            bf16=config["precision"] == "bf16",
            on_fold=lambda fold: self.on_event(
                PhaseStarted(f"Confident Learning, fold {fold}/{self.folds}", recipe.epochs, "epochs")
            ),
            on_epoch=lambda: self.on_event(Advanced(1)),
        )
        judged = confident.judge(labels, probabilities)
        return judged, clock.seconds() - begun

    def _load(self, resolution: int) -> np.ndarray:
        if self._pixels is None:
            self.on_event(PhaseStarted("loading pixels", len(self.stock.samples), "pictures"))
            self._pixels = inventory.load_pixels(
                self.stock,
                resolution,
                Place(self._scratch),
                inventory.threads(self.wanted.workers),
                lambda done: self.on_event(Advanced(done)),
            ).values
        return self._pixels


def run_path(folder: Path, rate: float, seed: int) -> Path:
    """Where the run file of a trial lies."""
    return folder / RUNS / f"rate-{100 * rate:g}-seed-{seed}.h5"


def _reduced(run: store.Run) -> dict[str, np.ndarray]:
    """Every score that was measured, (N,) each."""
    return {name: values for name, values in ranking.reduced(run, 0).items() if not np.isnan(values).all()}


_BASELINES = {
    _INCONFIDENCE: Method(
        _INCONFIDENCE, BASELINE, "1 − probability of the given label after the last epoch of the scan's training"
    ),
    _CONFIDENT: Method(_CONFIDENT, BASELINE, confident.DEFINITION),
}


def _described(measures: Mapping[str, MeasureInfo], name: str) -> Method:
    return Method(name, SCAN, {**DERIVED, **measures}[name].definition)


def _unit(measures: Mapping[str, MeasureInfo], name: str) -> str:
    return {**DERIVED, **measures}[name].unit
