"""Use case: plant known label errors in a copy of the labels, and see what finds them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from . import __version__, clock, images, inventory, reporting, sources, store
from .calibration import BASELINE, SCAN, Calibration, Distribution, Method, Trial
from .derived import ranking
from .errors import CurvauditError
from .exports import calibrations
from .pixels import Place
from .records import Advanced, Event, MeasureInfo, Notice, PhaseStarted, Samples, Skipped
from .scan_settings import ScanSettings, settings_from
from .scanning import scan
from .trials import confident, detection, planting
from .whole_file import write_whole

DEFAULT_FOLDER = "curvaudit-calibration"
DEFAULT_RATES = (0.01, 0.02, 0.04, 0.06, 0.08, 0.10)  # of the paper's table 2
RUNS = "runs"  # folder of the run files
_TOP = 100
_FEW = 500  # pictures below which chance decides much
_INCONFIDENCE, _CONFIDENT, _CA201 = "inconfidence", "confident-learning", "CA201"
_SOURCE_SETTINGS = ("split", "data_dir", "download", "image_column", "label_column")


def calibrate(
    source: Any,
    out: str | os.PathLike[str] = DEFAULT_FOLDER,
    *,
    rates: Sequence[float] = DEFAULT_RATES,
    repeats: int = 1,
    folds: int = 3,
    baselines: bool | None = None,
    noise: planting.Noise = "uniform",
    overwrite: bool = False,
    on_event: Callable[[Event], None] = lambda event: None,
    **settings: Any,
) -> Calibration:
    """Plant label errors in a copy of the labels, scan it, and measure how well each score finds them.

    The source is never changed. For each rate and repeat the same share of the labels of each class
    is flipped to another class (`planting.plant`), and the result is scanned as `scan` would. Beside
    the scores of the scan stand the baselines of table 2 of Garg, Ravikumar and Roy (ICML 2024):
    inconfidence, 1 − the probability of the given label after the last epoch of the same training;
    and Confident Learning, cross-validated with the same network and schedule.

    Parameters
    ----------
    source:
        Whatever `scan` takes.
    out:
        Folder for `index.html`, `calibration.csv`, `calibration.json` and the run files. It is
        written after each finished trial, so an interrupt keeps the finished ones.
    rates:
        Shares of the labels to flip, above 0 and up to 0.5.
    repeats:
        Trials for each rate; each has its own errors and its own training, seeded `seed`, `seed` + 1, …
    folds:
        Of the cross-validation; it costs `folds` trainings a trial.
    baselines:
        Whether Confident Learning is run; None: if cleanlab is installed.
    noise:
        `uniform`: to any other class. `pairs`: to the class that looks most alike (`planting.lookalikes`),
        as people err; it is harder to find.
    overwrite:
        Replace an earlier calibration in `out`.
    settings:
        The fields of `ScanSettings` but `validation` and `repeats`; `weight_decay` is one value.

    Raises
    ------
    CurvauditError
        Bad settings, a rate that plants no error, whatever `scan` raises, an earlier calibration in
        `out`, or cleanlab is missing and was asked for.
    """
    wanted = _check(settings, rates, repeats, folds)
    if noise not in planting.NOISES:
        raise CurvauditError(f"--noise {noise!r} is not known.", f"Choose one of {', '.join(planting.NOISES)}.")
    folder = Path(out)
    if baselines is None:
        baselines = _installed(on_event)
    elif baselines:
        confident.require()
    plans = [(rate, wanted.seed + number) for number in range(repeats) for rate in sorted(rates)]
    _make_room(folder, plans, overwrite)
    workers = wanted.workers or min(8, os.cpu_count() or 1)
    with images.pixel_limit(wanted.max_pixels):
        loaded = sources.load(source, wanted.source_options())
        on_event(PhaseStarted("reading pictures", len(loaded.ids), "pictures"))
        stock = inventory.take(loaded, workers, lambda done: on_event(Advanced(done)))
        planted = plant_all(stock.samples, plans, noise)
        _check_planted(planted, plans, folds if baselines else None)
        result = _empty(loaded.name, stock, rates, repeats, folds if baselines else None, noise)
        given = {name: value for name, value in settings.items() if name not in _SOURCE_SETTINGS}
        trials = _Trials(folder, stock, wanted, given, folds if baselines else None, workers, on_event)
        try:
            for number, ((rate, seed), errors) in enumerate(zip(plans, planted, strict=True), 1):
                on_event(Notice(f"trial {number}/{len(plans)}: {100 * rate:.3g} % of the labels flipped, seed {seed}"))
                done = trials.run(rate, seed, errors, keep_values=seed == wanted.seed)
                result = _with(result, done)
                _save(result, folder)
        finally:
            trials.clean()
    return result


def plant_all(samples: Samples, plans: Sequence[tuple[float, int]], noise: planting.Noise) -> list[planting.Planted]:
    """The errors that a calibration plants, one for each (rate, seed)."""
    partner = None
    if noise == "pairs":
        partner = planting.lookalikes(samples.labels, samples.signature, len(samples.classes))
    return [planting.plant(samples.labels, rate, seed, partner) for rate, seed in plans]


def _check(settings: Mapping[str, Any], rates: Sequence[float], repeats: int, folds: int) -> ScanSettings:
    if settings.get("validation") is not None:
        raise CurvauditError("A calibration has no validation split.", "Leave out validation.")
    wanted = settings_from(settings)
    if len(wanted.weight_decay) != 1:
        raise CurvauditError("A calibration takes one --weight-decay.", "Give one value.")
    if not rates or any(not 0 < rate <= 0.5 for rate in rates):
        given = ",".join(f"{100 * rate:g}" for rate in rates)
        raise CurvauditError(
            f"--rates {given!r}: not all are above 0 and up to 50 percent.", "For example --rates 2,10."
        )
    if len(set(rates)) < len(rates):
        raise CurvauditError("--rates names one rate twice.", "Give each rate once.")
    for name, value, low in (("--repeats", repeats, 1), ("--folds", folds, 2)):
        if value < low:
            raise CurvauditError(f"{name} {value} is too small.", f"The least is {low}.")
    return wanted


def _installed(on_event: Callable[[Event], None]) -> bool:
    try:
        confident.require()
    except CurvauditError as error:
        on_event(Notice(f"{error.message} It is left out. {error.hint}", "warning"))
        return False
    return True


def _run_path(folder: Path, rate: float, seed: int) -> Path:
    return folder / RUNS / f"rate-{100 * rate:g}-seed-{seed}.h5"


def _make_room(folder: Path, plans: Sequence[tuple[float, int]], overwrite: bool) -> None:
    """Say what is wrong with the output before hours of work, not after."""
    results = [folder / name for name in calibrations.FILES]
    taken = [path for path in (*results, *(_run_path(folder, *plan) for plan in plans)) if path.exists()]
    if taken and not overwrite:
        raise CurvauditError(
            f"{folder} holds an earlier calibration ({taken[0].name}).",
            "Use --overwrite to replace it, or -o for another folder.",
        )
    try:
        (folder / RUNS).mkdir(parents=True, exist_ok=True)
        for path in results:
            path.unlink(missing_ok=True)  # figures of an earlier one beside the new run files would mislead
    except OSError as error:
        raise CurvauditError(
            f"The folder {folder} cannot be written: {error.strerror or error}.", "Choose another folder with -o."
        ) from error


def _check_planted(planted: Sequence[planting.Planted], plans: Sequence[tuple[float, int]], folds: int | None) -> None:
    """Before the first training: every trial has errors to find, and pictures for every fold."""
    for errors, (rate, _) in zip(planted, plans, strict=True):
        if not errors.wrong.any():
            raise CurvauditError(
                f"{100 * rate:g} % of {len(errors.wrong)} labels plants no error.",
                f"Leave out rates below {100 / len(errors.wrong):.2g}, and give classes more than one picture.",
            )
    if folds is not None:
        from .training.cross_validation import check_folds

        for errors in planted:
            check_folds(errors.labels, folds)


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
class _Done:
    trial: Trial
    methods: tuple[Method, ...]
    distributions: tuple[Distribution, ...]
    run: store.Run


class _Stopwatch:
    """Passes events on and adds up the time spent in training, without measuring."""

    def __init__(self, on_event: Callable[[Event], None]) -> None:
        self.on_event = on_event
        self.training = 0.0
        self._since: float | None = None

    def __call__(self, event: Event) -> None:
        if isinstance(event, PhaseStarted):
            now = clock.seconds()
            if self._since is not None:
                self.training += now - self._since
            self._since = now if event.phase.startswith("training epoch") else None
        self.on_event(event)


class _Trials:
    """Runs one trial after the other; what they share is read once."""

    def __init__(
        self,
        folder: Path,
        stock: inventory.Inventory,
        wanted: ScanSettings,
        given: Mapping[str, Any],
        folds: int | None,
        workers: int,
        on_event: Callable[[Event], None],
    ) -> None:
        self.folder = folder
        self.stock = stock
        self.wanted = wanted
        self.given = given
        self.folds = folds
        self.workers = workers
        self.on_event = on_event
        self._pixels: np.ndarray | None = None
        self._scratch = folder / RUNS / ".pixels"

    def clean(self) -> None:
        """Remove what only the trials needed."""
        self._pixels = None
        with suppress(OSError):
            self._scratch.unlink(missing_ok=True)

    def run(self, rate: float, seed: int, errors: planting.Planted, keep_values: bool) -> _Done:
        """Scan the labels with errors and measure what found them."""
        watch = _Stopwatch(self.on_event)
        path = _run_path(self.folder, rate, seed)
        run = scan(
            Relabelled(self.stock, errors.labels), path, overwrite=True, on_event=watch, **{**self.given, "seed": seed}
        )
        if run.samples.ids != self.stock.samples.ids or not np.array_equal(
            run.samples.content_hash, self.stock.samples.content_hash
        ):
            raise CurvauditError(
                f"The pictures of {self.stock.source.name} changed while it was calibrated.",
                "Leave the source alone meanwhile, then start again.",
            )
        training = run.trainings[0]
        top = min(_TOP, len(run.samples))
        reduced = {name: values for name, values in ranking.reduced(run, 0).items() if not np.isnan(values).all()}
        true = self.stock.samples.labels
        suspicions = {name: ranking.suspicion(run, name, values) for name, values in reduced.items()}
        methods = [_described(training.measures, name) for name in reduced]
        each = float(training.curves.seconds.sum()) / watch.training if watch.training else float("nan")
        costs = dict.fromkeys(reduced, each)
        # 1 − exp(−loss) is 1 − the probability of the given label.
        suspicions[_INCONFIDENCE] = -np.expm1(-run.last(0, "loss").astype(np.float64))
        methods.append(_BASELINES[_INCONFIDENCE])
        costs[_INCONFIDENCE] = 1.0 if watch.training else float("nan")
        suggested = reporting.report(run, thumbnails=False).suggested
        flags = {_CA201: detection.flags(errors.wrong, true, suggested >= 0, suggested)}
        if self.folds is not None:
            judged, seconds = self._confident(run, errors.labels, seed)
            suspicions[_CONFIDENT] = judged.suspicion
            methods.append(_BASELINES[_CONFIDENT])
            costs[_CONFIDENT] = seconds / watch.training if watch.training else float("nan")
            flags[_CONFIDENT] = detection.flags(errors.wrong, true, judged.flagged, judged.suggested)
        trial = Trial(
            rate=rate,
            seed=seed,
            planted=int(errors.wrong.sum()),
            epochs=training.epochs,
            memorized=training.memorized,
            run=f"{RUNS}/{path.name}",
            training_seconds=watch.training or float("nan"),
            qualities={name: detection.quality(errors.wrong, values, top) for name, values in suspicions.items()},
            flags=flags,
            costs=costs,
        )
        kept = tuple(
            Distribution(rate, seed, name, _unit(training.measures, name), values, errors.wrong)
            for name, values in reduced.items()
            if keep_values
        )
        return _Done(trial, tuple(methods), kept, run)

    def _confident(self, run: store.Run, labels: np.ndarray, seed: int) -> tuple[confident.Judged, float]:
        """Confident Learning with the network and schedule of the scan, and the seconds it took."""
        import torch

        from .training.cross_validation import cross_validate
        from .training.device import choose_device
        from .training.recipe import Recipe

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
                self.workers,
                lambda done: self.on_event(Advanced(done)),
            ).values
        return self._pixels


_BASELINES = {
    _INCONFIDENCE: Method(
        _INCONFIDENCE, BASELINE, "1 − probability of the given label after the last epoch of the scan's training"
    ),
    _CONFIDENT: Method(_CONFIDENT, BASELINE, confident.DEFINITION),
}


def _described(measures: Mapping[str, MeasureInfo], name: str) -> Method:
    if name in measures:
        return Method(name, SCAN, measures[name].definition)
    return Method(name, SCAN, "mean percentile of loss, margin and EL2N")


def _unit(measures: Mapping[str, MeasureInfo], name: str) -> str:
    return measures[name].unit if name in measures else "percentile / 100"


_ABOUT_NOISE: dict[planting.Noise, str] = {
    "uniform": "Planted errors are uniform: any other class with equal chance. Errors between classes that look alike "
    "are harder to find (--noise pairs).",
    "pairs": "Planted errors are pairs: each class is mistaken for the one other class whose mean picture is most "
    "alike, always the same.",
}


def _empty(
    name: str,
    stock: inventory.Inventory,
    rates: Sequence[float],
    repeats: int,
    folds: int | None,
    noise: planting.Noise,
) -> Calibration:
    count = len(stock.samples)
    unreadable = sum(item.kind == "unreadable" for item in stock.skipped)
    caveats = [
        "Label errors that the data set already has count as false alarms here, and none of them is planted: "
        "what is said of precision is a lower bound, the more so the smaller the rate.",
        _ABOUT_NOISE[noise],
    ]
    if repeats == 1:
        caveats.append("One repeat: there is no spread, and chance may decide small differences (--repeats 3).")
    if count < _FEW:
        caveats.append(f"{count} pictures are few: below about {_FEW} chance decides much.")
    if unreadable:
        caveats.append(f"{unreadable} files could not be read and are no part of this.")
    if folds is None:
        caveats.append("Confident Learning was left out (it needs the package cleanlab, and --baselines).")
    return Calibration(
        source=name,
        samples=count,
        classes=len(np.unique(stock.samples.labels)),
        rates=tuple(sorted(rates)),
        repeats=repeats,
        folds=folds,
        noise=noise,
        top=min(_TOP, count),
        settings={},
        environment={},
        created_by=f"curvaudit {__version__}",
        created_utc=clock.now_utc(),
        methods=(),
        trials=(),
        distributions=(),
        caveats=tuple(caveats),
    )


def _with(result: Calibration, done: _Done) -> Calibration:
    known = {method.name for method in result.methods}
    caveats = result.caveats
    if not done.trial.memorized:
        caveats += (
            f"At {100 * done.trial.rate:g} %, seed {done.trial.seed}, not everything was memorized "
            f"after {done.trial.epochs} epochs.",
        )
    return replace(
        result,
        settings={
            name: value for name, value in done.run.info.config.items() if name not in ("source", "seed", "repeats")
        },
        environment=done.run.info.environment,
        methods=result.methods + tuple(method for method in done.methods if method.name not in known),
        trials=(*result.trials, done.trial),
        distributions=result.distributions + done.distributions,
        caveats=caveats,
    )


def _save(result: Calibration, folder: Path) -> None:
    for name, content in calibrations.render_all(result).items():
        write_whole(folder / name, content, "Choose another folder with -o.")
