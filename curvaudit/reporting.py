"""Use case: from a run file to a report, and from a report to files."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import exports, findings, ordering, store
from .anonymizing import anonymized
from .arguments import flag, require, text, whole
from .derived import caveats, ranking
from .derived.damage import ReadableParts
from .derived.judging import judge_labels
from .derived.neighbourhood import at_most
from .derived.stability import averaged, repeats, stability
from .derived.trajectory import trajectories
from .errors import CurvauditError, DamagedRun, nearest
from .files.home import expanded
from .files.whole_file import changing, write_whole
from .findings.interface import Evidence
from .records import (
    EXTREMES,
    SEVERITIES,
    Advanced,
    Caveat,
    Event,
    Finding,
    Neighbours,
    PhaseStarted,
    Report,
    TrainingInfo,
)

DEFAULT_FOLDER = "curvaudit-report"


def report(
    run: store.Run | str | os.PathLike[str],
    top: int = 100,
    rank_by: str = "curvature",
    training: int | None = None,
    thumbnails: bool = True,
    anonymize: bool = False,
    on_event: Callable[[Event], None] = lambda event: None,
) -> Report:
    """Rank the samples of a run and find what a person should look at.

    Needs neither torch nor the original pictures. Trainings of one weight decay with several
    seeds rank together, by the mean of each score: what depends on the seed averages out.

    Parameters
    ----------
    run:
        A run, or the path of a run file.
    top:
        Size of the contact sheet.
    rank_by:
        Any logged score, `late-curvature` or `consensus`.
    training:
        Which training of the run ranks, alone; None: the first one that has finished epochs,
        together with the finished trainings that differ from it only by the seed.
    thumbnails:
        False leaves the pictures out of the report (they are compared all the same).
    anonymize:
        Hash ids and contents, leave out what names the source; see `anonymizing`.
    on_event:
        Called with what is being done, see `records.Event`.

    Returns
    -------
    Report
        `order` and `rank`, (N,) int64, rank 1 is the most suspicious; `scores`, name -> (N,), means over the measured
        epochs: curvature in (nat/pixel)² (equation 6 of Garg, Ravikumar and Roy, ICML 2024), gradient in
        (nat/pixel)², loss in nat, margin in logits, EL2N as a length, correct and consensus as shares; `findings`
        and `caveats`.

    Raises
    ------
    CurvauditError
        The run cannot be read, has no finished epoch, or lacks the score.
    """
    top = whole("--top", top, 1)
    text("--rank-by", rank_by)
    training = None if training is None else whole("--training", training, 0)
    thumbnails, anonymize = flag("thumbnails", thumbnails), flag("anonymize", anonymize)
    run = store.opened(run)
    chosen = _choose(run, training)
    if anonymize:
        run = anonymized(run)
    readable = ReadableParts(run)
    group = repeats(run, chosen) if training is None else (chosen,)
    on_event(PhaseStarted("reading scores", len(group), "trainings"))
    each = []
    for one in group:
        each.append(readable.reduced(one))
        on_event(Advanced(1))
    found = averaged(each)
    values = _values(run, found, rank_by, readable)
    order = ordering.order_by(run.trainings, found, rank_by)
    rank = ordering.ranks(order)
    labels = judge_labels(run, group, readable)
    stable = stability(run, group, each, rank_by, top, labels.share) if len(group) > 1 else None
    evidence = Evidence(
        samples=run.samples,
        skipped=run.skipped,
        order=order,
        rank=rank,
        score=values,
        scores=found,
        suggested=labels.suggested,
        final_correct=labels.memorized,
        memorizable=labels.memorizable,
        thumbnails=lambda rows: readable.pictures(run.thumbnails, rows),
        training=chosen,
        stability=stable,
    )
    on_event(PhaseStarted("looking for copies and wrong labels", 1, "search"))
    all_findings = findings.find_all(evidence)
    on_event(Advanced(1))
    shown = _shown(run, chosen, order, [*order[:top].tolist(), *_found(all_findings)], thumbnails, readable, on_event)
    columns = {**found, **_other_trainings(run, group, readable)}
    all_caveats = (  # last, since what is damaged is known once everything was read
        *readable.caveats(),
        *(() if stable is None else (caveats.of_seeds(stable, len(run.samples)),)),
        *(() if labels.judged else caveats.of_unjudged(chosen)),
        *caveats.of_unsure(labels.right, any(finding.rule.id == "CA201" for finding in all_findings)),
        # The name alone: a report is passed on, and where it was made is nobody's business.
        *caveats.of_scan("RUN.h5" if anonymize else run.path.name, run, chosen, alone=training is not None),
        *caveats.of_training(chosen, labels.memorized, labels.memorizable, len(group)),
        *caveats.of_deep_grey(run.info.config.get("deep_grey")),
        *findings.limits(evidence),
        *caveats.of_unscored(found, rank_by),
        *caveats.of_equal(values, rank_by, order, top),
    )
    if not thumbnails:
        all_caveats += (Caveat("note", "The pictures were left out of this report on request (--no-thumbnails)."),)
    return Report(
        run=run.info,
        run_path="" if anonymize else str(run.path),
        samples=run.samples,
        skipped=run.skipped,
        trainings=run.trainings,
        training=chosen.index,
        rank_by=rank_by,
        top=min(top, len(run.samples)),
        scores=columns,
        order=order,
        rank=rank,
        suggested=labels.suggested,
        mean_curvature=readable.mean_curvature(chosen),
        memorized_share=readable.memorized_share(chosen, labels.memorizable),
        findings=all_findings,
        caveats=all_caveats,
        thumbnails=shown.thumbnails,
        previews=shown.previews,
        neighbours=shown.neighbours,
        trajectories=trajectories(run, chosen.index, shown.rows),
        spread=shown.spread,
        stability=stable,
    )


def _values(run: store.Run, found: dict[str, np.ndarray], rank_by: str, readable: ReadableParts) -> np.ndarray:
    """The score that ranks, (N,).

    Raises
    ------
    CurvauditError
        It is damaged, unknown, or was never measured.
    """
    if rank_by in readable.lost_scores:
        raise DamagedRun(
            f"The values of {rank_by} in {run.path} are damaged.",
            f"Restore it from a copy, or rank by a score that is whole: --rank-by {next(iter(found))}."
            if found
            else "Restore it from a copy, or scan again with --overwrite.",
        )
    if rank_by not in found:
        raise CurvauditError(f"{run.path} has no score {rank_by!r} to rank by.", nearest(rank_by, found))
    values = found[rank_by]
    if np.isnan(values).all():
        raise CurvauditError(
            f"{run.path}: {rank_by} was not measured, or was no number, in any finished epoch.",
            "Resume the scan, or look at it by another score: "
            f"`curvaudit report {shlex.quote(str(run.path))} --rank-by loss`.",
        )
    return values


@dataclass(frozen=True)
class _Shown:
    """What a page may show."""

    rows: list[int]  # ascending
    spread: tuple[int, ...]  # those of them that lie evenly over the ranking
    neighbours: Neighbours | None
    thumbnails: Mapping[int, bytes]  # of these rows and their neighbours
    previews: Mapping[int, bytes]


def _shown(
    run: store.Run,
    chosen: TrainingInfo,
    order: np.ndarray,
    first: Sequence[int],
    thumbnails: bool,
    readable: ReadableParts,
    on_event: Callable[[Event], None],
) -> _Shown:
    """`first` are the rows that are looked at first: neighbours of others are looked for as far as time allows."""
    spread = ranking.spread(order).tolist()
    extremes = ranking.extremes(order, run.samples.labels, EXTREMES).tolist()
    rows = sorted({*first, *extremes, *spread})
    on_event(PhaseStarted("looking for neighbours", len(run.samples), "pictures"))
    queries = sorted(list(dict.fromkeys([*first, *rows]))[: at_most(len(run.samples))])
    near = readable.neighbours(chosen, queries, lambda done: on_event(Advanced(done)))
    beside = [] if near is None else near.nearest.ravel().tolist()
    return _Shown(
        rows=rows,
        spread=tuple(spread),
        neighbours=near,
        thumbnails=readable.pictures(run.thumbnails, sorted({*rows, *beside})) if thumbnails else {},
        previews=readable.pictures(run.previews, rows) if thumbnails else {},
    )


def save(
    report: Report,
    folder: str | os.PathLike[str] = DEFAULT_FOLDER,
    formats: str | Iterable[str] = exports.DEFAULT_FORMATS,
) -> Path:
    """Write `index.html`, `ranking.csv` and `findings.json` into `folder`.

    Parameters
    ----------
    report:
        As `report` or `inspect` made it.
    folder:
        Made where it is missing; files of these names in it are replaced.
    formats:
        One or several of html, csv, json and parquet (`ranking.parquet`: the table of the CSV with types).

    Returns
    -------
    The path of the page; of the first file where no page was asked for.

    Raises
    ------
    CurvauditError
        The folder cannot be written, there is no such format, or parquet needs pyarrow.
    """
    require("report", report, Report, "Give what `report` or `inspect` returns.")
    target = expanded(folder)
    files = exports.render_all(report, formats)
    with changing(target, "report folder"):
        target.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_whole(target / name, content, "Choose another folder with -o.")
    return target / ("index.html" if "index.html" in files else next(iter(files)))


def _choose(run: store.Run, wanted: int | None) -> TrainingInfo:
    if wanted is not None:
        for training in run.trainings:
            if training.index == wanted and training.epochs:
                return training
        raise CurvauditError(
            f"{run.path} has no training {wanted} with a finished epoch.",
            f"Choose from {', '.join(str(t.index) for t in run.trainings if t.epochs) or 'none'}.",
        )
    for training in run.trainings:
        if training.epochs:
            return training
    raise CurvauditError(f"{run.path} has no finished epoch yet.", caveats.how_to_continue(run.path))


def _found(all_findings: Sequence[Finding]) -> list[int]:
    """Rows that findings name, those of conflicts and warnings first."""
    by_weight = sorted(all_findings, key=lambda finding: SEVERITIES.index(finding.rule.severity))
    return [row for finding in by_weight for row in finding.rows]


def _other_trainings(run: store.Run, group: Sequence[TrainingInfo], readable: ReadableParts) -> dict[str, np.ndarray]:
    """Scores of trainings that do not rank, as extra columns: `curvature@wd=0.0001`."""
    used = {training.index for training in group}
    columns: dict[str, np.ndarray] = {}
    for training in run.trainings:
        if training.index in used or not training.epochs:
            continue
        if training.weight_decay == group[0].weight_decay:
            together: tuple[TrainingInfo, ...] = (training,)
            mark = f"seed={training.seed}"
        else:
            together, mark = repeats(run, training), f"wd={training.weight_decay:g}"
        used |= {one.index for one in together}
        for name, values in averaged([readable.reduced(one) for one in together]).items():
            columns.setdefault(f"{name}@{mark}", values)
    return columns
