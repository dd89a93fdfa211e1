"""What the ranking and AUROC lose by another step, fewer probes, rarer measuring, fewer epochs, a narrower network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import ordering, store
from ...calibration import detection
from ...calibration.calibrating import plant_all
from ...calibration.trial import Relabelled
from ...clock import seconds
from ...derived import ranking
from ...engine.settings import require_seeds
from ...errors import CurvauditError
from ...inventory import take, threads
from ...scanning import scan
from ...scores.interface import mean_over_epochs
from ...sources.subset import draw
from ...training import limits
from .. import plots
from ..result import Cell, Figure, Outcome, Table
from . import paper, runs
from .agreement import rank_correlation
from .interface import SOURCES, Experiment, Settings

_SMALL, _SMALL_EPOCHS = 1000, 20
_RATE = 0.04
STEPS = (1e-2, 1e-4)  # appendix B tunes h between these
EVERY = (2, 4, 8)
_ENDING = {2: "nd", 3: "rd"}


@dataclass(frozen=True)
class Variant:
    """One setting changed against the base."""

    name: str
    values: np.ndarray  # (N,) curvature, mean over the measured epochs
    seconds: float  # NaN where nothing was trained for it


def variants(base: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Name -> settings of `scan`; the base itself first."""
    epochs, width, probes = int(base["epochs"]), int(base["width"]), int(base["probes"])
    found: dict[str, dict[str, Any]] = {f"base: h = 0.001, n = {probes}, {epochs} epochs, width {width}": {}}
    found |= {f"h = {step:g}": {"step": step} for step in STEPS}
    found |= {f"n = {count}": {"probes": count} for count in (1, 3) if count < probes}
    found |= {f"{epochs // 2} epochs": {"epochs": epochs // 2}} if epochs > 1 else {}
    found |= {f"width {width // 2}": {"width": width // 2}} if width > 4 else {}
    return found | {"another seed": {"seed": int(base["seed"]) + 1}}


def run(settings: Settings) -> Outcome:
    """Plant errors once, scan the same labels with each variant."""
    if settings.rates and len(settings.rates) > 1:
        raise CurvauditError("sensitivity takes one of --rates.", "Run it once for each.")
    require_seeds(settings.seed, 2)  # the base and another seed
    name = runs.only(settings, "mnist" if settings.small else "cifar100")
    data = draw(runs.source(settings, name), settings.count(_SMALL), settings.seed)
    stock = take(data, threads(settings.workers), lambda done: None)
    rate = settings.rates[0] if settings.rates else _RATE
    errors = plant_all(stock.samples, [(rate, settings.seed)], "uniform")[0]
    base: dict[str, Any] = {
        "preset": paper.preset(name), "curvature_every": 1, "weight_decay": 1e-4, "seed": settings.seed,
        "probes": 5 if settings.small else 10,
        "epochs": settings.epochs or (_SMALL_EPOCHS if settings.small else 300),
        "width": limits.width(str(settings.width or "auto")) or (16 if settings.small else 64),
        "device": settings.device, "workers": settings.workers, "resolution": settings.resolution or "auto",
    }  # fmt: skip
    found: list[Variant] = []
    described = []
    labelled = Relabelled(stock, errors.labels)
    folder = settings.out / runs.RUNS
    folder.mkdir(parents=True, exist_ok=True)
    for number, (told, changes) in enumerate(variants(base).items()):
        path = folder / f"sensitivity-{number}.h5"
        begun = seconds()
        again = path.exists()
        made = scan(labelled, path, resume=again, on_event=settings.on_event, **{**base, **changes})
        values = made.measure(0, "curvature")
        found.append(Variant(told, mean_over_epochs(values), float("nan") if again else seconds() - begun))
        described.append(runs.Chosen(made, made.trainings[0]).described() | {"variant": told})
        if number == 0:
            found += [
                Variant(f"every {k}{_ENDING.get(k, 'th')} epoch measured", _every(values, k), float("nan"))
                for k in EVERY
            ]
            found += [
                Variant(
                    "geometric mean over epochs", mean_over_epochs(np.log(np.maximum(values, _tiny(values)))), np.nan
                ),
                Variant("norm, not squared", mean_over_epochs(np.sqrt(values)), float("nan")),
            ]
            others = _others(made, errors.wrong)
    table, sentences = _table(found, errors.wrong, others)
    caveats = (
        f"One set of planted errors ({int(errors.wrong.sum())} of {len(errors.wrong)}), one training each: differences "
        "as small as those to another seed mean nothing.",
    )
    return Outcome(sentences, (table,), (_figure(found, errors.wrong),), caveats, tuple(described))


def _tiny(values: np.ndarray) -> float:
    positive = values[values > 0]
    return float(positive.min()) if len(positive) else 1.0


def _every(values: np.ndarray, k: int) -> np.ndarray:
    """As `--curvature-every k` measures: the first epoch, then every k-th."""
    numbers = np.arange(1, len(values) + 1)
    return mean_over_epochs(values[(numbers == 1) | (numbers % k == 0)])


def _others(run: store.Run, wrong: np.ndarray) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    for name, values in ranking.reduced(run, 0).items():
        if name != "curvature":
            quality = detection.quality(wrong, ordering.suspicion(run.trainings, name, values), min(100, len(wrong)))
            rows.append((f"base run, {name} instead", None, quality.auroc, None, quality.average_precision, None))
    return rows


def _table(found: list[Variant], wrong: np.ndarray, others: list[tuple[Cell, ...]]) -> tuple[Table, tuple[str, ...]]:
    base = found[0]
    qualities = [detection.quality(wrong, one.values, min(100, len(wrong))) for one in found]
    rows: list[tuple[Cell, ...]] = []
    for one, quality in zip(found, qualities, strict=True):
        likeness = rank_correlation(base.values, one.values)
        rows.append(
            (one.name, likeness, quality.auroc, quality.auroc - qualities[0].auroc, quality.average_precision,
             None if one.seconds != one.seconds else round(one.seconds, 1))
        )  # fmt: skip
    chance = next(row for row in rows if row[0] == "another seed")
    changed = [row for row in rows[1:] if row is not chance]
    least = changed[int(np.argmin([float(row[2] or 0) for row in changed]))]
    sentences = (
        f"Base: AUROC {qualities[0].auroc:.3f}, average precision {qualities[0].average_precision:.3f}. Another seed "
        f"alone changes AUROC by {chance[3]:+.3f} and ranks to a Spearman correlation of {chance[1]:.2f}.",
        f"The variant that loses most is {least[0]}: AUROC {least[2]:.3f} ({least[3]:+.3f}), Spearman {least[1]:.2f}.",
    )
    return (
        Table(
            "sensitivity",
            "What each change costs",
            ("", "Spearman with the base", "AUROC", "change", "average precision", "seconds"),
            tuple(rows + others),
            "Curvature, planted errors. Rarer measuring (--curvature-every) and other means come from the base run. "
            "The paper (appendix B) found h = 0.001 and n = 10 best by its cosine with Feldman and Zhang's scores and "
            "gives no figures.",
        ),
        sentences,
    )


def _figure(found: list[Variant], wrong: np.ndarray) -> Figure:
    figure, axes = plots.canvas(1, 1, 7.5, 0.32 * len(found) + 0.9)
    aurocs = [detection.quality(wrong, one.values, min(100, len(wrong))).auroc for one in found]
    place = np.arange(len(found))[::-1]
    spot = axes[0, 0]
    spot.axvline(aurocs[0], color=plots.GREY, linewidth=0.9)
    spot.plot(aurocs, place, "o", color=plots.BLUE)
    spot.set_yticks(place, [one.name for one in found])
    spot.set_xlabel("AUROC of curvature for planted errors")
    spot.grid(alpha=0.25)
    return Figure(
        "sensitivity", "AUROC of each variant; the line is the base.",
        "; ".join(f"{one.name} {auroc:.3f}" for one, auroc in zip(found, aurocs, strict=True)) + ".", figure,
    )  # fmt: skip


EXPERIMENT = Experiment(
    name="sensitivity",
    title="How much the settings of equation 6 matter",
    paper='Appendix B: h was tuned between 1e-2 and 1e-4, best at 1e-3; n = 10, "a larger n gives very slightly better '
    'results"; section 3.2: "curvature could be estimated every few epochs".',
    takes=SOURCES | {"rates"},
    run=run,
)
