"""Table 2, figure 5: how well each score finds labels that were made wrong."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...calibration.calibrating import calibrate
from ...calibration.result import BASELINE, CURVATURE, Calibration, Spread
from ...scores.consensus import NAME as CONSENSUS
from ...sources.subset import draw
from .. import plots
from ..result import Cell, Figure, Outcome, Table
from . import runs
from .interface import SOURCES, Experiment, Settings
from .paper import data_set, preset
from .wording import beside

RATES = (0.01, 0.02, 0.04, 0.06, 0.08, 0.10)
# Table 2, AUROC in percent at RATES: inconfidence, Confident Learning, curvature.
PAPER: dict[str, dict[str, tuple[float, ...]]] = {
    "mnist": {
        "inconfidence": (99.4, 99.0, 98.4, 97.7, 97.1, 96.1),
        "confident-learning": (99.7, 99.3, 99.1, 98.9, 98.9, 98.9),
        "curvature": (100.0, 100.0, 99.9, 99.9, 99.9, 99.9),
    },
    "cifar10": {
        "inconfidence": (84.2, 82.5, 81.8, 81.6, 81.5, 81.5),
        "confident-learning": (92.4, 93.1, 93.4, 93.4, 93.5, 93.4),
        "curvature": (97.4, 96.6, 95.5, 94.4, 94.1, 92.9),
    },
    "cifar100": {
        "inconfidence": (85.0, 84.0, 83.5, 83.6, 83.6, 83.4),
        "confident-learning": (83.1, 84.2, 85.3, 86.3, 84.3, 84.6),
        "curvature": (90.9, 89.6, 88.3, 86.8, 85.7, 84.3),
    },
}
_DECAY = 1e-4  # "we use a weight decay of 10^-4 for all models for these experiments"
_SMALL, _SMALL_RATES = 3000, (0.01, 0.04, 0.10)


def run(settings: Settings) -> Outcome:
    """A calibration for each data set and kind of noise."""
    names = settings.source or (("mnist",) if settings.small else ("mnist", "cifar10", "cifar100"))
    rates = settings.rates or (_SMALL_RATES if settings.small else RATES)
    tables: list[Table] = []
    figures: list[Figure] = []
    sentences: list[str] = []
    caveats: list[str] = []
    trainings: list[dict[str, Cell]] = []
    for number, name in enumerate(names):
        data = runs.source(settings, name)
        drawn = draw(data, settings.count(_SMALL), settings.seed)
        for noise in settings.noise:
            file = f"corruption-{number}-{noise}"
            told: dict[str, Any] = {"device": settings.device, "workers": settings.workers, "epochs": settings.epochs}
            chosen = {"width": settings.width, "resolution": settings.resolution}
            told |= {name: value for name, value in chosen.items() if value is not None}
            if not settings.small:
                told["preset"] = preset(name)
            result = calibrate(
                drawn, settings.out / file, rates=rates, repeats=settings.seeds or (1 if settings.small else 3),
                folds=settings.folds, baselines=settings.baselines, noise=noise, resume=True,  # type: ignore[arg-type]
                on_event=settings.on_event, seed=settings.seed, weight_decay=_DECAY, **told,
            )  # fmt: skip
            title = f"{result.source}, {noise} noise"
            known = PAPER.get(data_set(name) or "") if noise == "uniform" else None
            tables += [*_measures(result, title, file, known), _suggested(result, title, file)]
            figures.append(_figure(result, title, file))
            sentences += _sentences(result, title)
            # The option has another name here.
            caveats += [text.replace("--repeats", "--seeds") for text in result.caveats]
            trainings += [
                {
                    "run": f"{file}/{trial.run}", "rate": trial.rate, "seed": trial.seed, "planted": trial.planted,
                    "epochs": trial.epochs, "memorized": "yes" if trial.memorized else "no",
                    **{name: result.settings.get(name) for name in ("width", "resolution", "preset")},
                }
                for trial in result.trials
            ]  # fmt: skip
    if settings.small:
        caveats.append(
            "Subsets, a narrow network and the preset fast; the paper trains on all pictures for 200 to 300 epochs."
        )
    return Outcome(tuple(sentences), tuple(tables), tuple(figures), tuple(dict.fromkeys(caveats)), tuple(trainings))


def _measures(result: Calibration, title: str, file: str, known: dict[str, tuple[float, ...]] | None) -> list[Table]:
    made = []
    for measure, told in (("auroc", "AUROC"), ("average_precision", "average precision")):
        heads = [""]
        beside = known is not None and measure == "auroc"
        spread = ["±"] if result.repeats > 1 else []
        for rate in result.rates:
            heads += [f"{100 * rate:g} %", *spread, *([f"paper, {100 * rate:g} %"] if beside else [])]
        rows: list[tuple[Cell, ...]] = []
        for method in result.methods:
            cells: list[Cell] = [f"{method.name} *" if method.kind == BASELINE else method.name]
            for rate in result.rates:
                found = result.quality(method.name, rate, measure)
                cells.append(_or_none(found.mean))
                if spread:
                    cells.append(_or_none(found.deviation))
                if beside:
                    assert known is not None
                    place = RATES.index(rate) if rate in RATES else None
                    row = known.get(method.name)
                    cells.append(row[place] / 100 if row is not None and place is not None else None)
            rows.append((*cells, round(result.cost(method.name).mean, 2)))
        made.append(
            Table(
                f"{file}-{measure.replace('_', '-')}",
                f"Table 2: {told}, {title}",
                (*heads, "cost"),
                tuple(rows),
                (f"Mean and standard deviation over {result.repeats} seeds. " if spread else "One seed. ")
                + "* baselines. Cost in trainings. "
                + ("The paper gives AUROC alone, for the whole data set." if beside else ""),
            )
        )
    return made


def _suggested(result: Calibration, title: str, file: str) -> Table:
    """Of all planted errors the share whose true class is suggested: flagged, and rightly named."""
    names = list(dict.fromkeys(name for trial in result.trials for name in trial.flags))
    rows: list[tuple[Cell, ...]] = []
    for name in names:
        for rate in result.rates:
            fields = ("named", "recall", "precision", "suggestion_right")
            rows.append((f"{name}, {100 * rate:g} %", *(result.flags(name, rate, field).mean for field in fields)))
    return Table(
        f"{file}-suggested",
        f"Suggested label, {title}",
        ("", "planted errors whose true class is suggested", "planted errors flagged", "flags that are planted",
         "right where flagged"),
        tuple(rows),
        "CA201 is ours, confident-learning cleanlab's. The paper suggests no labels.",
    )  # fmt: skip


def _or_none(value: float) -> float | None:
    return None if value != value else value


def _sentences(result: Calibration, title: str) -> list[str]:
    said = []
    singles = [method.name for method in result.methods if method.kind != BASELINE and method.name != CONSENSUS]
    baselines = [method.name for method in result.methods if method.kind == BASELINE]
    for rate in result.rates:
        measured = {name: result.quality(name, rate, "auroc") for name in (*singles, *baselines, CONSENSUS)}
        best = max(singles, key=lambda name, m=measured: m[name].mean)  # type: ignore[misc]
        curvature = measured[CURVATURE]
        ahead = all(curvature.mean > measured[name].mean for name in baselines)
        beside = ", ".join(f"{name} {_said(measured[name])}" for name in baselines)
        said.append(
            f"{title}, {100 * rate:g} %: AUROC of curvature {_said(curvature)}, "
            f"{'ahead of' if ahead else 'NOT ahead of all of'} {beside}; best single score {best} "
            f"{_said(measured[best])}; "
            f"consensus {_said(measured[CONSENSUS])}."
        )
    both = [
        sum(_keeps_up(result, rate, measure, singles) for rate in result.rates)
        for measure in ("auroc", "average_precision")
    ]
    within = "within one standard deviation" if result.repeats > 1 else "one seed, no spread"
    said.append(
        f"{title}: consensus is at least as good as the best single score ({within}) at {both[0]} of "
        f"{len(result.rates)} rates in AUROC and at {both[1]} in average precision."
    )
    return said


def _keeps_up(result: Calibration, rate: float, measure: str, singles: list[str]) -> bool:
    """Whether consensus reaches the best single score of this rate, less the larger of their deviations."""
    best = max((result.quality(name, rate, measure) for name in singles), key=lambda one: one.mean)
    own = result.quality(CONSENSUS, rate, measure)
    known = [one.deviation for one in (own, best) if one.count > 1]
    return own.mean >= best.mean - max(known, default=0.0)


def _said(spread: Spread) -> str:
    return f"{spread.mean:.3f}" if spread.count < 2 else f"{spread.mean:.3f} ± {spread.deviation:.3f}"


def _figure(result: Calibration, title: str, file: str) -> Figure:
    shown = [one for one in result.distributions if one.score == CURVATURE]
    figure, axes = plots.canvas(1, len(shown), 4.2 * len(shown), 3.3)
    for spot, one in zip(axes[0], shown, strict=True):
        plots.planted_histogram(spot, one.values, one.planted, f"curvature, {one.unit}")
        spot.set_title(f"{100 * one.rate:g} % planted, seed {one.seed}", fontsize=9)
    higher = []
    for one in shown:
        planted, others = (float(np.median(one.values[rows])) for rows in (one.planted, ~one.planted))
        higher.append(f"{100 * one.rate:g} %: median {beside(planted, others, 'that of the others')}")
    return Figure(
        file, f"Figure 5: histogram of curvature, planted errors marked with crosses, {title}.",
        f"Curvature of planted errors, {'; '.join(higher)}.", figure,
    )  # fmt: skip


EXPERIMENT = Experiment(
    name="corruption",
    title="Finding labels that were made wrong",
    paper="Table 2 and figure 5: with 1 to 10 % of the labels flipped uniformly, curvature has an AUROC of 0.999 to "
    "1.000 on MNIST, 0.929 to 0.974 on CIFAR-10 and 0.843 to 0.909 on CIFAR-100, mostly ahead of inconfidence and of "
    "Confident Learning; at 10 % on CIFAR-10 and CIFAR-100 Confident Learning is ahead.",
    takes=SOURCES | {"rates", "noise", "seeds", "folds", "baselines"},
    run=run,
)
