"""Use case: from a run file to a report, and from a report to files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from . import exports, findings, gallery, ranking, store
from .errors import CurvauditError
from .findings.interface import Evidence
from .memorization import memorizable
from .records import Caveat, Report, TrainingInfo
from .suggestion import suggest
from .trajectory import trajectories

DEFAULT_FOLDER = "curvaudit-report"


def report(
    run: store.Run | str | os.PathLike[str],
    top: int = 100,
    rank_by: str = "curvature",
    training: int | None = None,
) -> Report:
    """Rank the samples of a run and find what a person should look at.

    Needs neither torch nor the original pictures.

    Parameters
    ----------
    run:
        A run, or the path of a run file.
    top:
        Size of the contact sheet.
    rank_by:
        Any logged score, or `consensus`.
    training:
        Which training of the run ranks; None: the first one that has finished epochs.

    Raises
    ------
    CurvauditError
        The run cannot be read, has no finished epoch, or lacks the score.
    """
    if top < 1:
        raise CurvauditError(f"--top {top} is too small.", "Give a number from 1 up.")
    if not isinstance(run, store.Run):
        run = store.open_run(Path(run))
    chosen = _choose(run, training)
    found = ranking.reduced(run, chosen.index)
    values = ranking.pick(found, rank_by)
    if np.isnan(values).all():
        raise CurvauditError(
            f"{run.path}: {rank_by} was not measured in any finished epoch.",
            "Rank by another score, or resume the scan.",
        )
    order = ranking.order(ranking.suspicion(run, rank_by, values))
    rank = ranking.ranks(order)
    can = memorizable(run.samples)
    last = run.last(chosen.index, "correct") > 0  # (N,)
    suggested = suggest(run, chosen.index, can & last)
    evidence = Evidence(
        samples=run.samples,
        skipped=run.skipped,
        order=order,
        rank=rank,
        score=values,
        scores=found,
        suggested=suggested,
        final_correct=last,
        memorizable=can,
        thumbnails=run.thumbnails,
        training=chosen,
    )
    all_findings = findings.find_all(evidence)
    spread = ranking.spread(order).tolist()
    shown = {int(row) for row in order[:top]} | _extreme_rows(run, order) | set(spread)
    for finding in all_findings:
        shown |= {sample.index for sample in finding.samples if sample.index is not None}
    rows = sorted(shown)
    return Report(
        run=run.info,
        run_path=str(run.path),
        samples=run.samples,
        skipped=run.skipped,
        trainings=run.trainings,
        training=chosen.index,
        rank_by=rank_by,
        top=min(top, len(run.samples)),
        scores={**found, **_other_trainings(run, chosen.index)},
        order=order,
        rank=rank,
        suggested=suggested,
        mean_curvature=run.epoch_means(chosen.index, "curvature"),
        memorized_share=ranking.memorized_share(run, chosen.index, can),
        findings=all_findings,
        caveats=_caveats(run, chosen, last, can, evidence),
        thumbnails=run.thumbnails(rows),
        trajectories=trajectories(run, chosen.index, rows),
        spread=tuple(spread),
    )


def save(
    report: Report,
    folder: str | os.PathLike[str] = DEFAULT_FOLDER,
    formats: Sequence[str] = exports.DEFAULT_FORMATS,
) -> Path:
    """Write `index.html`, `ranking.csv` and `findings.json` into `folder`.

    Parameters
    ----------
    formats:
        Which of html, csv, json and parquet (`ranking.parquet`: the table of the CSV with types).

    Returns
    -------
    The path of the page; of the first file where no page was asked for.

    Raises
    ------
    CurvauditError
        The folder cannot be written, there is no such format, or parquet needs pyarrow.
    """
    target = Path(folder)
    files = exports.render_all(report, formats)
    try:
        target.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            temporary = target / f".{name}.partial"
            temporary.write_bytes(content)
            os.replace(temporary, target / name)
    except OSError as error:
        raise CurvauditError(
            f"The report folder {target} cannot be written: {error.strerror or error}.",
            "Choose another folder with -o.",
        ) from error
    return target / ("index.html" if "index.html" in files else next(iter(files)))


def _choose(run: store.Run, wanted: int | None) -> TrainingInfo:
    if wanted is not None:
        for training in run.trainings:
            if training.index == wanted and training.epochs:
                return training
        raise CurvauditError(
            f"{run.path} has no training {wanted} with a finished epoch.",
            f"It has {', '.join(str(t.index) for t in run.trainings if t.epochs) or 'none'}.",
        )
    for training in run.trainings:
        if training.epochs:
            return training
    raise CurvauditError(f"{run.path} has no finished epoch yet.", "Continue it with `curvaudit scan SOURCE --resume`.")


def _extreme_rows(run: store.Run, order: np.ndarray) -> set[int]:
    labels = run.samples.labels[order]  # (N,)
    rows: set[int] = set()
    for label in range(len(run.samples.classes)):
        mine = order[labels == label]
        rows |= {int(row) for row in (*mine[: gallery.EXTREMES], *mine[-gallery.EXTREMES :])}
    return rows


def _other_trainings(run: store.Run, chosen: int) -> dict[str, np.ndarray]:
    """Scores of the run's other trainings, as extra columns: `curvature@wd=0.0001`."""
    columns = {}
    for training in run.trainings:
        if training.index == chosen or not training.epochs:
            continue
        for name, values in ranking.reduced(run, training.index).items():
            columns[f"{name}@wd={training.weight_decay:g}"] = values
    return columns


SMALLEST_SET = 500


def _caveats(
    run: store.Run, chosen: TrainingInfo, last: np.ndarray, can: np.ndarray, evidence: Evidence
) -> tuple[Caveat, ...]:
    caveats = []
    if not chosen.finished:
        caveats.append(
            Caveat(
                "warning",
                f"The scan was interrupted after {chosen.epochs} finished epochs: the ranking is provisional. "
                "Continue it with `curvaudit scan SOURCE --resume`.",
                "unfinished",
            )
        )
    elif not chosen.memorized:
        left = int((~last & can).sum())
        caveats.append(
            Caveat(
                "warning",
                f"Training ended before everything was memorized: {left} of {len(last)} samples are still "
                "classified wrongly (CA203). Their rank means less; scan again with more --epochs.",
            )
        )
    unreadable = sum(item.kind == "unreadable" for item in run.skipped)
    if unreadable:
        caveats.append(
            Caveat(
                "error",
                f"{unreadable} files could not be read and were not audited (CA301 names them).",
                "unreadable",
            )
        )
    if len(run.samples) < SMALLEST_SET:
        caveats.append(
            Caveat(
                "warning",
                f"{len(run.samples)} pictures are few: below about {SMALLEST_SET} a rank depends much on chance. "
                "Duplicates and unreadable files are found all the same.",
            )
        )
    unverified = findings.unverified(evidence)
    if unverified:
        caveats.append(
            Caveat(
                "warning",
                f"{unverified} candidate pairs for near-duplicates were not compared on pixels: "
                "their pictures are not kept in the run.",
                "unverified",
            )
        )
    return tuple(caveats)
