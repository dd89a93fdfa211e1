"""Figures 6 and 8: loss and curvature in each epoch, of the training set, a second split, the most memorized."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import CurvauditError
from .. import plots
from ..result import Figure, Outcome, Table
from . import agreement, paper, runs
from .interface import SOURCES, Experiment, Settings
from .runs import Chosen
from .wording import beside

_SMALL, _EPOCHS = 2000, 40


@dataclass(frozen=True)
class Course:
    """One training, epoch by epoch, (E,) each; NaN where not measured."""

    chosen: Chosen
    of: str  # which samples count as the most memorized
    epochs: np.ndarray
    loss: np.ndarray
    held_out_loss: np.ndarray
    memorized_loss: np.ndarray  # of the most memorized tenth
    curvature: np.ndarray
    held_out: np.ndarray  # curvature
    memorized: np.ndarray  # curvature of the same tenth
    rest: np.ndarray  # curvature of the others
    share: np.ndarray  # of the samples that are right

    @property
    def peak(self) -> int:
        """Position of the highest mean curvature of the training set."""
        return int(np.nanargmax(self.curvature))

    @property
    def last(self) -> int:
        """Position of the last epoch with curvature."""
        return int(np.flatnonzero(np.isfinite(self.curvature))[-1])


def course(settings: Settings, chosen: Chosen) -> Course:
    """Read one training."""
    run, t = chosen.run, chosen.training
    if settings.scores is not None:
        reference = agreement.read(settings, chosen)
        top, of = reference.top, f"highest {reference.name}"
    else:
        # Not by curvature itself: that they are the highest would be no finding.
        total = sum(values.astype(np.float64) for values in run.measure_epochs(t.index, "loss"))
        top = np.zeros(len(run.samples), bool)
        top[np.argsort(-np.asarray(total), kind="stable")[: max(1, round(agreement.TOP * len(top)))]] = True
        of = "highest loss over all epochs"
    losses = [float(values[top].mean(dtype=np.float64)) for values in run.measure_epochs(t.index, "loss")]
    curvature, memorized, rest = ([] for _ in range(3))  # type: ignore[var-annotated]
    for values in run.measure_epochs(t.index, "curvature"):
        for kept, part in ((curvature, slice(None)), (memorized, top), (rest, ~top)):
            kept.append(float(values[part].mean(dtype=np.float64)))
    return Course(
        chosen, of, t.curves.number.astype(float), run.epoch_means(t.index, "loss"), t.curves.val_loss,
        np.array(losses), np.array(curvature), t.curves.val_curvature, np.array(memorized), np.array(rest),
        t.curves.train_accuracy,
    )  # fmt: skip


def run(settings: Settings) -> Outcome:
    """Read or train with the paper's kind of schedule: one that never rests, measured in every epoch."""
    if settings.mask is not None and settings.scores is None:
        raise CurvauditError("--mask says nothing without --scores.", "Give --scores FILE.npz:KEY, or leave it out.")
    if settings.from_runs:
        chosen = runs.opened(settings.from_runs)
    else:
        name = runs.only(settings, "mnist" if settings.small else "cifar100")
        data, split = runs.with_validation(settings, name, settings.count(_SMALL))
        told = {"probes": 1, "epochs": _EPOCHS} if settings.small else {}
        chosen = runs.trained(
            settings, data, "dynamics", validation=split, preset=paper.preset(name), curvature_every=1,
            weight_decay=0.0, seed=settings.seed, **told,
        )  # fmt: skip
    courses = [course(settings, one) for one in chosen]
    courses = [one for one in courses if np.isfinite(one.curvature).any()]
    if not courses:
        raise CurvauditError("Curvature was not measured in any finished epoch yet.", "Wait for the scan.")
    caveats = list(dict.fromkeys(text for one in chosen for text in one.caveats()))
    if settings.scores is None:
        caveats.append(
            "Without --scores the most memorized are taken to be the tenth with the highest loss over all epochs, of "
            "the same training; the paper takes Feldman and Zhang's scores."
        )
    if any(not np.isfinite(one.held_out).any() for one in courses):
        caveats.append("A run has no second split: scan with --validation to see its loss and curvature.")
    if any(np.isnan(one.curvature).any() for one in courses):
        caveats.append("Curvature was not measured in every epoch; --curvature-every 1 does.")
    return Outcome(
        tuple(text for one in courses for text in _sentences(one)),
        tuple(_table(one, number) for number, one in enumerate(courses)),
        tuple(_figure(one, number) for number, one in enumerate(courses)),
        tuple(caveats),
        tuple(one.described() for one in chosen),
    )


def _sentences(one: Course) -> list[str]:
    if not (one.curvature > 0).any():
        return [f"{one.chosen.name}: the mean curvature of the training set is 0 wherever it was measured."]
    peak, last = one.peak, one.last
    measured = one.memorized + one.rest > 0  # neither NaN, nor zeros, which are not above each other
    above = int((one.memorized[measured] > one.rest[measured]).sum())
    # The least before the peak: a network close to its random start may be curved everywhere.
    low = int(np.nanargmin(one.curvature[: peak + 1]))
    if low == peak:
        turn = "falls from the start"
    elif one.curvature[peak] < 2 * one.curvature[low]:
        turn = "hardly rises"
    elif one.curvature[last] < one.curvature[peak] / 2:
        turn = "rises and then falls"
    else:
        turn = "rises and still stands near its peak"
    points = " → ".join(
        f"{one.curvature[place]:.3g} (epoch {one.epochs[place]:.0f})" for place in sorted({low, peak, last})
    )
    said = [
        f"{one.chosen.name}: the mean curvature of the training set {turn}: {points}; {100 * one.share[-1]:.1f} % "
        "are memorized in the end.",
        f"{one.chosen.name}: the most memorized tenth is more sharply curved than the rest in {above} of "
        f"{int(measured.sum())} epochs with a curvature above 0 (paper: in each).",
    ]
    if (one.held_out > 0).any():
        end = np.flatnonzero(np.isfinite(one.held_out))[-1]
        said.append(
            f"{one.chosen.name}: the mean curvature of pictures that were not trained on ends at "
            f"{beside(one.held_out[end], one.curvature[end], 'that of the training set')}; that is "
            f"{one.held_out[end] / np.nanmax(one.held_out):.2f} of its own peak (paper: it keeps "
            "rising)."
        )
    return said


def _table(one: Course, number: int) -> Table:
    columns = (
        one.loss, one.held_out_loss, one.memorized_loss, one.curvature, one.held_out, one.memorized, one.rest,
        one.share,
    )  # fmt: skip
    return Table(
        f"dynamics-{number}",
        f"Every epoch, {one.chosen.name}",
        ("epoch", "loss", "loss, second split", "loss, most memorized", "curvature", "curvature, second split",
         "curvature, most memorized", "curvature, the others", "share memorized"),
        tuple((int(epoch), *map(float, values)) for epoch, *values in zip(one.epochs, *columns, strict=True)),
        f"Means over pictures, evaluation mode. Most memorized: the tenth with the {one.of}.",
        long=len(one.epochs) > 60,
    )  # fmt: skip


def _figure(one: Course, number: int) -> Figure:
    figure, axes = plots.canvas(1, 2, 9.5, 3.4)
    sides = (
        ("loss, nat", one.loss, one.held_out_loss, one.memorized_loss),
        ("curvature (equation 6)", one.curvature, one.held_out, one.memorized),
    )
    for side, (name, trained, held_out, memorized) in zip(axes[0], sides, strict=True):
        lines = [
            plots.Line("training set", one.epochs, trained),
            plots.Line("second split", one.epochs, held_out),
            plots.Line("most memorized tenth", one.epochs, memorized, colour=plots.RED),
        ]
        plots.curves(side, [line for line in lines if np.isfinite(line.y).any()], "epoch", name, log=True)
    return Figure(
        f"dynamics-{number}",
        f"Figures 6 and 8: loss and curvature in each epoch, {one.chosen.run.info.source}, {one.chosen.name}. Most "
        f"memorized: the tenth with the {one.of}.",
        f"Curvature of the training set is {one.curvature[one.peak]:.3g} at its peak in epoch "
        f"{one.epochs[one.peak]:.0f} and {one.curvature[one.last]:.3g} at the end.",
        figure,
    )


EXPERIMENT = Experiment(
    name="dynamics",
    title="Loss and curvature during training",
    paper="Figures 6 and 8: on CIFAR-100 and ImageNet the curvature of the training set grows until the network "
    "overfits (about epoch 20 of 300) and then falls; that of the 5,000 most memorized pictures stays above the mean "
    "in every epoch; that of the validation set keeps rising.",
    takes=SOURCES | {"from_runs", "validation", "scores", "mask"},
    run=run,
)
