"""Table 1, figures 14 and 15: cosine similarity of curvature with memorization scores of another kind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from ...errors import CurvauditError
from ...files.home import expanded
from ...records import Notice
from ...sources.subset import ROW, draw
from .. import plots
from ..result import Cell, Figure, Outcome, Table
from . import runs
from .interface import SOURCES, Experiment, Settings
from .paper import data_set
from .runs import Chosen

PAPER = {1e-4: (0.82, 0.90), 0.0: (0.73, 0.82)}  # of CIFAR-100: weight decay -> all, top 5,000
TOP = 0.1  # share: the top 5,000 of 50,000
_DECAYS = (0.0, 1e-4)
_SMALL = 5000
# Logged each epoch and never negative, as the scores of Feldman and Zhang nearly are.
_MEASURES = ("curvature", "gradient", "loss", "el2n")
_ROOT = "norm"


@dataclass(frozen=True)
class Reference:
    """Memorization scores of the samples of a run."""

    name: str
    values: np.ndarray  # (N,)
    usable: np.ndarray  # (N,) bool
    top: np.ndarray  # (N,) bool, usable and among the highest `TOP`


@dataclass(frozen=True)
class Agreement:
    """Cosine similarity of one measure of one training with the reference, for all samples and its top."""

    chosen: Chosen
    measure: str
    epochs: np.ndarray  # (E,) measured epochs
    each: np.ndarray  # (2, E) of one epoch alone: all, top
    cumulative: np.ndarray  # (2, E) of the mean over the epochs so far
    spearman: float  # of the mean over all epochs, all samples


def read(settings: Settings, chosen: Chosen) -> Reference:
    """The scores of `--scores FILE:KEY`, matched to the rows of the run.

    Raises
    ------
    CurvauditError
        No file, no such array, no numbers, or not one score for each picture of the source.
    """
    assert settings.scores is not None
    file, _, key = settings.scores.rpartition(":")
    if not file or not key:
        raise CurvauditError(
            f"--scores {settings.scores!r} names no array.", "Give FILE.npz:KEY, for example scores.npz:memorization."
        )
    values = _array(file, key).astype(np.float64)
    usable = np.isfinite(values)
    if settings.mask is not None:
        mask = _array(file, settings.mask)
        if mask.shape != values.shape:
            raise CurvauditError(f"{file}: {settings.mask} and {key} differ in shape.", "Give one value a picture.")
        usable &= mask.astype(bool)
    run = chosen.run
    rows = runs.source_rows(run)
    noted = ROW in run.samples.columns
    if values.ndim != 1 or (len(values) != len(rows) and not noted) or rows.max() >= len(values):
        raise CurvauditError(
            f"{file}: {key} has {values.shape} values, and {run.path} {len(rows)} pictures.",
            "Give one score for each picture of the source, in its order.",
        )
    values, usable = values[rows], usable[rows]
    count = max(1, round(TOP * len(rows)))
    if usable.sum() <= count:
        raise CurvauditError(f"{file}: {key} has too few usable scores.", "Look at --mask, and at NaN values.")
    cut = np.sort(values[usable])[-count]
    return Reference(key, values, usable, usable & (values >= cut))


def _array(file: str, key: str) -> np.ndarray:
    try:
        with np.load(expanded(file), allow_pickle=False) as held:
            if not hasattr(held, "files"):
                raise ValueError("not an .npz file")
            if key not in held.files:
                raise CurvauditError(f"{file} has no array {key!r}.", f"It has {', '.join(held.files)}.")
            values = np.asarray(held[key])
    except CurvauditError:
        raise
    except Exception as error:  # OSError, ValueError, EOFError, and zipfile has types of its own
        raise CurvauditError(f"{file} cannot be read as .npz: {error}.", "Give FILE.npz:KEY.") from error
    if values.dtype.kind not in "buif":
        raise CurvauditError(f"{file}: {key} holds {values.dtype}, not numbers.", "Give one number a picture.")
    return values


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """a · b / (|a| |b|), not centred, as in table 1; NaN where one is zero."""
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / length if length else float("nan")


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's; NaN where one is the same for all, which has no ranks, or was never measured."""
    return float(spearmanr(a, b).statistic) if len(a) and np.ptp(a) and np.ptp(b) else float("nan")


def agreement(chosen: Chosen, measure: str, reference: Reference) -> Agreement:
    """One pass over the epochs.

    Parameters
    ----------
    measure:
        A logged score; `norm`: curvature without the square, as the paper's public code averages it.
    """
    run, training = chosen.run, chosen.training
    total = np.zeros(len(run.samples))
    epochs, each, cumulative = [], [], []
    logged = "curvature" if measure == _ROOT else measure
    for epoch, values in enumerate(run.measure_epochs(training.index, logged), 1):
        if np.isnan(values).all():
            continue
        now = values.astype(np.float64)
        now = np.sqrt(now) if measure == _ROOT else now
        if bad := int((~np.isfinite(now[reference.usable])).sum()):
            raise CurvauditError(
                f"{run.path}: {logged} of {bad} {'picture' if bad == 1 else 'pictures'} is no finite number in epoch "
                f"{epoch}.",
                "Leave them out with --mask, or scan again.",
            )
        total += now
        epochs.append(epoch)
        each.append([cosine(now[part], reference.values[part]) for part in (reference.usable, reference.top)])
        cumulative.append([cosine(total[part], reference.values[part]) for part in (reference.usable, reference.top)])
    usable = total[reference.usable]
    return Agreement(
        chosen, measure, np.array(epochs), np.array(each).reshape(-1, 2).T, np.array(cumulative).reshape(-1, 2).T,
        rank_correlation(usable, reference.values[reference.usable]),
    )  # fmt: skip


def run(settings: Settings) -> Outcome:
    """Read or train, then compare."""
    if settings.scores is None:
        raise CurvauditError(
            "agreement needs memorization scores to compare with.",
            "Give --scores FILE.npz:KEY, one score for each picture; docs/reproduce.md says where they come from.",
        )
    if settings.from_runs:
        chosen = runs.opened(settings.from_runs)
    else:
        data = runs.source(settings, runs.only(settings, "cifar100"))
        count = settings.count(_SMALL)
        told = {} if settings.small else {"preset": "paper-cifar"}
        drawn = draw(data, count, settings.seed)
        chosen = runs.trained(
            settings, drawn, "agreement", weight_decay=_DECAYS, seed=settings.seed, repeats=settings.seeds, **told
        )
    found: list[Agreement] = []
    references: dict[str, Reference] = {}  # run -> scores of its samples, the same for all its trainings
    for one in chosen:
        reference = references.setdefault(str(one.run.path), read(settings, one))
        names = [name for name in _MEASURES if name in one.training.measures]
        found += [agreement(one, name, reference) for name in (names[0], _ROOT, *names[1:])]
    found = [one for one in found if len(one.epochs)]
    if not any(one.measure == "curvature" for one in found):
        raise CurvauditError("Curvature was not measured in any finished epoch yet.", "Wait for the scan.")
    caveats = tuple(dict.fromkeys(text for one in chosen for text in one.caveats()))
    for path, reference in references.items():
        name = f"{Path(path).name}: " if len(references) > 1 else ""
        settings.on_event(Notice(f"{name}compared with {reference.name}: {int(reference.usable.sum())} scores"))
        if left := int((~reference.usable).sum()):
            caveats += (f"{name}{left} pictures are left out: no usable score.",)
    tables = (_table(found, references), _epochs(found))
    return Outcome(_sentences(found), tables, _figures(found), caveats, tuple(one.described() for one in chosen))


def _paper(one: Agreement) -> tuple[float, float] | None:
    """What table 1 has for this training; None for another score, data set or weight decay."""
    if one.measure != "curvature" or data_set(one.chosen.run.info.source) != "cifar100":
        return None
    return PAPER.get(one.chosen.training.weight_decay)


def _table(found: list[Agreement], references: dict[str, Reference]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for one in found:
        paper = _paper(one)
        rows.append(
            (
                f"{one.chosen.name}: {_told(one.measure)}",
                float(one.cumulative[0, -1]),
                paper[0] if paper else None,
                float(one.cumulative[1, -1]),
                paper[1] if paper else None,
                one.spearman,
                len(one.epochs),
            )
        )
    for path, reference in references.items():
        usable, top = reference.values[reference.usable], reference.values[reference.top]
        name = f"{Path(path).name}: " if len(references) > 1 else ""
        constant = (cosine(np.ones(len(usable)), usable), None, cosine(np.ones(len(top)), top))
        rows.append((f"{name}the same value for every picture", *constant, None, None, None))
    counts = " or ".join(dict.fromkeys(f"{int(each.top.sum()):,}" for each in references.values()))
    return Table(
        "agreement",
        f"Table 1: cosine similarity with {next(iter(references.values())).name}",
        ("", "all", "paper, all", f"top {counts}", "paper, top 5,000", "Spearman, all", "epochs measured"),
        tuple(rows),
        "Of the mean over all measured epochs. The top are the pictures with the highest reference scores. The cosine "
        "is not centred: the last row is what it gives to a score that says nothing, and over the top, where reference "
        "scores hardly differ, it is high for everything that differs little. Spearman does not have this. The paper's "
        "figures are for all 50,000 pictures of CIFAR-100, a network of width 64, 300 epochs and ten probes.",
    )  # fmt: skip


def _told(measure: str) -> str:
    return {"curvature": "curvature (equation 6)", _ROOT: "curvature, norm not squared"}.get(measure, measure)


def _epochs(found: list[Agreement]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for one in found:
        for place, epoch in enumerate(one.epochs.tolist()):
            now, so_far = one.each[:, place].tolist(), one.cumulative[:, place].tolist()
            rows.append((f"{one.chosen.name}: {_told(one.measure)}", epoch, *now, *so_far))
    return Table(
        "agreement-epochs",
        "Every epoch",
        ("", "epoch", "this epoch, all", "this epoch, top", "mean so far, all", "mean so far, top"),
        tuple(rows),
        long=True,
    )


def _sentences(found: list[Agreement]) -> tuple[str, ...]:
    main = [one for one in found if one.measure == "curvature"]
    said = []
    for one in main:
        everything, top = one.cumulative[0, -1], one.cumulative[1, -1]
        if not np.isfinite(everything):
            said.append(f"{one.chosen.name}: curvature is 0 for every picture, which agrees with nothing.")
            continue
        paper = _paper(one)
        beside = f" (paper: {paper[0]:.2f} and {paper[1]:.2f})" if paper else ""
        order = "higher, as in the paper" if top > everything else "NOT higher; on CIFAR-100 in the paper it is"
        said.append(
            f"{one.chosen.name}: cosine {everything:.3f} for all, {top:.3f} for the most memorized{beside}; "
            f"the latter is {order}."
        )
    told = [one for one in main if np.isfinite(one.cumulative[0, -1])]
    with_decay = [one.cumulative[0, -1] for one in told if one.chosen.training.weight_decay > 0]
    without = [one.cumulative[0, -1] for one in told if one.chosen.training.weight_decay == 0]
    if with_decay and without:
        more = np.mean(with_decay) - np.mean(without)
        said.append(
            f"With weight decay the cosine is {abs(more):.3f} {'higher' if more > 0 else 'lower'} than without; "
            "the paper finds it 0.09 higher on CIFAR-100."
        )
    return tuple(said)


def _figures(found: list[Agreement]) -> tuple[Figure, ...]:
    made = []
    for part, name, of in ((0, "agreement", "all pictures"), (1, "agreement-top", "the most memorized tenth")):
        figure, axes = plots.canvas(1, 2, 9.5, 3.4, sharey=True)
        for spot, measure in zip(axes[0], ("curvature", _ROOT), strict=True):
            lines = []
            for place, one in enumerate(one for one in found if one.measure == measure):
                colour = plots.COLOURS[place % len(plots.COLOURS)]
                lines += [
                    plots.Line(f"{one.chosen.name}, mean so far", one.epochs, one.cumulative[part], "-", colour),
                    plots.Line(f"{one.chosen.name}, each epoch", one.epochs, one.each[part], ":", colour),
                ]
            plots.curves(spot, lines, "epoch", "cosine similarity")
            spot.set_title(_told(measure), fontsize=9)
        ends = "; ".join(
            f"{one.chosen.name} {one.cumulative[part, -1]:.3f}" for one in found if one.measure == "curvature"
        )
        made.append(
            Figure(
                name,
                f"{'Figure 14b' if part == 0 else 'As figure 15'}: cosine similarity with memorization scores, {of}.",
                f"At the end, equation 6: {ends}.",
                figure,
            )
        )
    return tuple(made)


EXPERIMENT = Experiment(
    name="agreement",
    title="Agreement of curvature with memorization scores",
    paper="Table 1 and figure 14b (figures 14a and 15 are the same of ImageNet): cosine similarity of curvature with "
    "the memorization scores of Feldman and Zhang on CIFAR-100 is 0.82 with weight decay 1e-4 and 0.73 without, on the "
    "5,000 most memorized 0.90 and 0.82.",
    takes=SOURCES | {"from_runs", "scores", "mask", "seeds"},
    run=run,
)
