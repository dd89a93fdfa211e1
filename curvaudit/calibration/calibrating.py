"""Use case: plant known label errors in a copy of the labels, and see what finds them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import arguments, clock, inventory, provenance, sources
from ..engine.settings import ScanSettings, require_seeds, settings_from
from ..errors import CurvauditError
from ..exports import calibrations
from ..files.home import expanded
from ..files.whole_file import changing, write_whole
from ..pictures import images
from ..records import Event, Notice, Samples, of_kind
from . import confident, planting, record
from .result import Calibration
from .trial import RUNS, SOURCE_SETTINGS, TOP, Done, Trials, run_path

DEFAULT_FOLDER = "curvaudit-calibration"
DEFAULT_RATES = (0.01, 0.02, 0.04, 0.06, 0.08, 0.10)  # of the paper's table 2
_FEW = 500  # pictures below which chance decides much


def calibrate(
    source: Any,
    out: str | os.PathLike[str] = DEFAULT_FOLDER,
    *,
    rates: float | Iterable[float] = DEFAULT_RATES,
    repeats: int = 1,
    folds: int = 3,
    baselines: bool | None = None,
    noise: planting.Noise = "uniform",
    resume: bool = False,
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
        Folder for `index.html`, `calibration.csv`, `calibration.json`, the run files and what each of them
        showed. It is written after each finished trial, so an interrupt keeps the finished ones.
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
    resume:
        Use the finished trials in `out` and go on with a scan that was interrupted. Pictures, settings, folds
        and noise must be the same; rates and repeats may be others, so that more can be asked for later.
    overwrite:
        Replace an earlier calibration in `out`.
    settings:
        The fields of `ScanSettings` but `validation` and `repeats`; `weight_decay` is one value.
    on_event:
        Called with what happens, see `records.Event`.

    Returns
    -------
    Calibration
        For each method and rate AUROC and average precision (shares, mean and standard deviation over the repeats),
        precision and recall at the number of planted errors, and the cost in trainings.

    Raises
    ------
    CurvauditError
        Bad settings, a rate that plants no error, whatever `scan` raises, an earlier calibration in
        `out` (when resuming: one of other settings or pictures), or cleanlab is missing and was asked for.
    """
    rates = arguments.numbers("--rates", rates)
    repeats, folds = arguments.whole("--repeats", repeats, 1), arguments.whole("--folds", folds, 2)
    resume, overwrite = arguments.flag("resume", resume), arguments.flag("overwrite", overwrite)
    wanted = _check(settings, rates, repeats)
    if resume and overwrite:
        raise CurvauditError("--resume and --overwrite exclude each other.", "Give one of them.")
    if noise not in planting.NOISES:
        raise CurvauditError(f"--noise {noise!r} is not known.", f"Choose one of {', '.join(planting.NOISES)}.")
    folder = expanded(out)
    if baselines is None:
        baselines = _installed(on_event)
    elif arguments.flag("baselines", baselines):
        confident.require()
    plans = [(rate, wanted.seed + number) for number in range(repeats) for rate in sorted(rates)]
    _make_room(folder, plans, resume, overwrite)
    with images.pixel_limit(wanted.max_pixels):
        loaded = sources.load(source, wanted.source_options())
        stock = inventory.take(loaded, inventory.threads(wanted.workers), on_event)
        planted = plant_all(stock.samples, plans, noise)
        _check_planted(planted, plans, folds if baselines else None)
        result = _empty(loaded.name, stock, rates, repeats, folds if baselines else None, noise)
        given = {name: getattr(wanted, name) for name in settings if name not in SOURCE_SETTINGS}
        trials = Trials(folder, stock, wanted, given, folds if baselines else None, on_event)
        try:
            for number, ((rate, seed), errors) in enumerate(zip(plans, planted, strict=True), 1):
                plan = f"trial {number}/{len(plans)}: {100 * rate:.3g} % of the labels flipped, seed {seed}"
                done = trials.found(rate, seed, errors) if resume else None
                on_event(Notice(f"{plan}{', done already' if done else ''}"))
                if done is None:
                    done = trials.run(rate, seed, errors)
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


def _check(settings: Mapping[str, Any], rates: Sequence[float], repeats: int) -> ScanSettings:
    if settings.get("validation") is not None:
        raise CurvauditError("A calibration has no validation split.", "Leave out validation.")
    wanted = settings_from(settings)
    if len(wanted.weight_decay) != 1:
        raise CurvauditError("A calibration takes one --weight-decay.", "Give one value.")
    if not rates or any(not 0 < rate <= 0.5 for rate in rates):
        given = ",".join(f"{100 * rate:g}" for rate in rates)
        raise CurvauditError(
            f"--rates {given!r}: not all are above 0 and up to 50 percent.",
            "For example --rates 2,10; in Python they are shares, rates=(0.02, 0.1).",
        )
    if len(set(rates)) < len(rates):
        raise CurvauditError("--rates names one rate twice.", "Give each rate once.")
    require_seeds(wanted.seed, repeats)
    return wanted


def _installed(on_event: Callable[[Event], None]) -> bool:
    try:
        confident.require()
    except CurvauditError as error:
        on_event(Notice(f"{error.message} It is left out. {error.hint}", "warning"))
        return False
    return True


def _make_room(folder: Path, plans: Sequence[tuple[float, int]], resume: bool, overwrite: bool) -> None:
    """Say what is wrong with the output before hours of work, not after."""
    results = [folder / name for name in calibrations.FILES]
    runs = [run_path(folder, *plan) for plan in plans]
    taken = [path for path in (*results, *runs) if path.exists()]
    if taken and not resume and not overwrite:
        raise CurvauditError(
            f"{folder} holds an earlier calibration ({taken[0].name}).",
            "Use --resume to go on with it, --overwrite to replace it, or -o for another folder.",
        )
    with changing(folder):
        (folder / RUNS).mkdir(parents=True, exist_ok=True)
        # Figures of an earlier one beside the new run files would mislead.
        for path in results if resume else (*results, *map(record.path_for, runs), *runs):
            path.unlink(missing_ok=True)


def _check_planted(planted: Sequence[planting.Planted], plans: Sequence[tuple[float, int]], folds: int | None) -> None:
    """Before the first training: every trial has errors to find, and pictures for every fold."""
    for errors, (rate, _) in zip(planted, plans, strict=True):
        if not errors.wrong.any():
            raise CurvauditError(
                f"{100 * rate:g} % of {len(errors.wrong)} labels plants no error.",
                f"Leave out rates below {100 / len(errors.wrong):.2g}, and give classes more than one picture.",
            )
    if folds is not None:
        from ..training.cross_validation import check_folds

        for errors in planted:
            check_folds(errors.labels, folds)


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
    unreadable = len(of_kind(stock.skipped, "unreadable"))
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
        top=min(TOP, count),
        settings={},
        environment={},
        created_by=provenance.CREATED_BY,
        created_utc=clock.now_utc(),
        methods=(),
        trials=(),
        distributions=(),
        caveats=tuple(caveats),
    )


def _with(result: Calibration, done: Done) -> Calibration:
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
