"""Use case: from a run file to a report, and from a report to files."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from . import exports, findings, gallery, ordering, store
from .anonymizing import anonymized
from .derived import ranking
from .derived.damage import ReadableParts
from .derived.memorization import memorizable
from .derived.neighbourhood import at_most
from .derived.stability import averaged, repeats, stability
from .derived.trajectory import trajectories
from .errors import CurvauditError, DamagedRun
from .findings.interface import Evidence
from .records import Advanced, Caveat, Event, Finding, PhaseStarted, Report, Stability, TrainingInfo
from .whole_file import write_whole

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
    if top < 1:
        raise CurvauditError(f"--top {top} is too small.", "Give a number from 1 up.")
    if not isinstance(run, store.Run):
        run = store.open_run(Path(run))
    chosen = _choose(run, training)
    if anonymize:
        run = anonymized(run)
    damage = ReadableParts(run)
    group = repeats(run, chosen) if training is None else (chosen,)
    on_event(PhaseStarted("reading scores", len(group), "trainings"))
    each = []
    for one in group:
        each.append(damage.reduced(one))
        on_event(Advanced(1))
    found = averaged(each)
    if rank_by in damage.scores:
        raise DamagedRun(
            f"The values of {rank_by} in {run.path} are damaged.",
            f"Restore it from a copy, or rank by a score that is whole: --rank-by {next(iter(found))}."
            if found
            else "Restore it from a copy, or scan again with --overwrite.",
        )
    values = ranking.pick(found, rank_by)
    if np.isnan(values).all():
        raise CurvauditError(
            f"{run.path}: {rank_by} was not measured, or was no number, in every finished epoch.",
            "Rank by another score (--rank-by loss), or resume the scan. Flat pictures have no curvature.",
        )
    order = ordering.order(ranking.suspicion(run, rank_by, values))
    rank = ordering.ranks(order)
    can = memorizable(run.samples)
    correct = np.stack([damage.correct(one) for one in group])  # (R, N)
    last = correct.mean(axis=0) > 0.5  # (N,)
    suggested = _agreed([damage.suggest(one, can & right) for one, right in zip(group, correct, strict=True)])
    stable = None
    if len(group) > 1:
        stable = stability(run, group, [one[rank_by] for one in each], rank_by, top)
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
        thumbnails=lambda rows: damage.pictures(run.thumbnails, rows),
        training=chosen,
        stability=stable,
    )
    on_event(PhaseStarted("looking for copies and wrong labels", 1, "search"))
    all_findings = findings.find_all(evidence)
    on_event(Advanced(1))
    spread = ranking.spread(order).tolist()
    extremes = ranking.extremes(order, run.samples.labels, gallery.EXTREMES).tolist()
    shown = {*order[:top].tolist(), *extremes, *spread}
    shown |= set(_found(all_findings))
    rows = sorted(shown)
    first = list(dict.fromkeys([*order[:top].tolist(), *_found(all_findings), *rows]))
    on_event(PhaseStarted("looking for neighbours", len(run.samples), "pictures"))
    queries = sorted(first[: at_most(len(run.samples))])
    near = damage.neighbours(chosen, queries, lambda done: on_event(Advanced(done)))
    beside = [] if near is None else near.nearest.ravel().tolist()
    pictures = damage.pictures(run.thumbnails, sorted({*rows, *beside})) if thumbnails else {}
    previews = damage.pictures(run.previews, rows) if thumbnails else {}
    caveats = _caveats(run, chosen, last, can, evidence) + _unscored(values, rank_by)
    if not thumbnails:
        caveats += (Caveat("note", "The pictures were left out of this report on request (--no-thumbnails)."),)
    return Report(
        run=run.info,
        run_path="" if anonymize else str(run.path),
        samples=run.samples,
        skipped=run.skipped,
        trainings=run.trainings,
        training=chosen.index,
        rank_by=rank_by,
        top=min(top, len(run.samples)),
        scores={**found, **_other_trainings(run, group, damage)},
        order=order,
        rank=rank,
        suggested=suggested,
        mean_curvature=damage.mean_curvature(chosen),
        memorized_share=damage.memorized_share(chosen, can),
        findings=all_findings,
        caveats=damage.caveats() + _seed_caveats(run, chosen, group, stable) + caveats,
        thumbnails=pictures,
        previews=previews,
        neighbours=near,
        trajectories=trajectories(run, chosen.index, rows),
        spread=tuple(spread),
        stability=stable,
    )


def _agreed(suggested: Sequence[np.ndarray]) -> np.ndarray:
    """The class that more than half of the trainings suggest, (N,) int32, -1 where there is none."""
    if len(suggested) == 1:
        return suggested[0]
    votes = np.stack(suggested)  # (R, N)
    agreed = np.full(votes.shape[1], -1, np.int32)
    for one in votes:
        many = (votes == one).sum(axis=0) * 2 > len(votes)
        agreed[many] = one[many]
    return agreed


def save(
    report: Report,
    folder: str | os.PathLike[str] = DEFAULT_FOLDER,
    formats: Sequence[str] = exports.DEFAULT_FORMATS,
) -> Path:
    """Write `index.html`, `ranking.csv` and `findings.json` into `folder`.

    Parameters
    ----------
    report:
        As `report` or `inspect` made it.
    folder:
        Made where it is missing; files of these names in it are replaced.
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
    target, hint = Path(folder), "Choose another folder with -o."
    files = exports.render_all(report, formats)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CurvauditError(
            f"The report folder {target} cannot be written: {error.strerror or error}.", hint
        ) from error
    for name, content in files.items():
        write_whole(target / name, content, hint)
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
    raise CurvauditError(f"{run.path} has no finished epoch yet.", _continue(run.path))


def _continue(path: Path | str) -> str:
    return f"Continue it with `curvaudit scan SOURCE --resume -o {shlex.quote(str(path))}`."


def _found(all_findings: Sequence[Finding]) -> list[int]:
    """Rows that findings name, those of conflicts and warnings first."""
    by_weight = sorted(all_findings, key=lambda finding: ("error", "warning", "note").index(finding.rule.severity))
    return [sample.index for finding in by_weight for sample in finding.samples if sample.index is not None]


def _other_trainings(run: store.Run, group: Sequence[TrainingInfo], damage: ReadableParts) -> dict[str, np.ndarray]:
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
        for name, values in averaged([damage.reduced(one) for one in together]).items():
            columns.setdefault(f"{name}@{mark}", values)
    return columns


SMALLEST_SET = 500
# Below these, two seeds tell different stories. For orientation: two rankings that have nothing to do
# with each other share as much of the top as it is of the whole set, and correlate at 0.
AGREE_SPEARMAN = 0.6
AGREE_OVERLAP = 0.5


def _seed_caveats(
    run: store.Run, chosen: TrainingInfo, group: Sequence[TrainingInfo], stable: Stability | None
) -> tuple[Caveat, ...]:
    caveats = []
    if stable is not None:
        strong = stable.spearman < AGREE_SPEARMAN or stable.overlap < AGREE_OVERLAP
        figures = f"rank correlation (Spearman) {stable.spearman:.2f}"
        if stable.top < len(run.samples):  # all have all in common
            figures += f", {stable.overlap:.0%} of the top {stable.top} in common"
        if strong:
            caveats.append(
                Caveat(
                    "warning",
                    f"The {len(stable.seeds)} seeds disagree strongly: {figures}. Trust the mean ranking of this "
                    "report more than any single one, and a single rank only within rank_best to rank_worst.",
                )
            )
        else:
            caveats.append(Caveat("note", f"Ranks are the mean of {len(stable.seeds)} seeds, which agree: {figures}."))
    left = [t.seed for t in run.trainings if t.weight_decay == chosen.weight_decay and not t.finished and t.epochs]
    if len(group) > 1 and left:
        caveats.append(
            Caveat("note", f"Not finished and not part of the ranking: seed {', '.join(str(seed) for seed in left)}.")
        )
    return tuple(caveats)


def _unscored(values: np.ndarray, rank_by: str) -> tuple[Caveat, ...]:
    """Samples that cannot be ranked must not look harmless at the end of the ranking."""
    count = int((~np.isfinite(values)).sum())
    if not count:
        return ()
    pictures = "1 picture" if count == 1 else f"{count} pictures"
    message = f"{pictures} of {len(values)}: {rank_by} is no finite number, so that the rank means nothing."
    return (Caveat("error", message, "unscored"),)


def _caveats(
    run: store.Run, chosen: TrainingInfo, last: np.ndarray, can: np.ndarray, evidence: Evidence
) -> tuple[Caveat, ...]:
    caveats = []
    if not chosen.finished:
        caveats.append(
            Caveat(
                "warning",
                f"The scan was interrupted after {chosen.epochs} finished epochs: the ranking is provisional. "
                # The name alone: a report is passed on, and where it was made is nobody's business.
                f"{_continue(run.path.name)}",
                "unfinished",
            )
        )
    elif not chosen.memorized:
        left = int((~last & can).sum())
        of = f"{len(last)} samples" if can.all() else f"the {int(can.sum())} samples that can be memorized"
        caveats.append(
            Caveat(
                "warning",
                f"Training ended before everything was memorized: {left} of {of} {'is' if left == 1 else 'are'} still "
                "classified wrongly (CA203). Their rank means less; scan again with more --epochs.",
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
    return (*caveats, *findings.limits(evidence))
