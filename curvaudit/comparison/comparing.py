"""Use case: what has changed between two versions of a data set, or two runs on them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import ordering, sources, store
from ..arguments import text, whole
from ..errors import DamagedRun
from ..exports.comparisons import FORMATS
from ..files.home import expanded
from ..files.whole_file import write_whole
from ..inspecting import ALL_SPLITS
from ..records import Event, Finding, Report, of_kind
from ..rules import CONFLICTS
from ..targets import Target
from .matching import in_other_split, match
from .result import Comparison, Pair, Rise, Side


def compare(
    old: Any,
    new: Any,
    *,
    split: str | None = None,
    data_dir: str | None = None,
    download: bool = False,
    image_column: str | None = None,
    label_column: str | None = None,
    workers: int | None = None,
    max_pixels: int | None = None,
    rank_by: str = "curvature",
    top: int = 20,
    cache: str | os.PathLike[str] | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
) -> Comparison:
    """Compare two run files, two sources, or one of each. Nothing is trained.

    Pictures are the same where their content is (decoded pixels and size), whatever they are called;
    among copies, where id, split and label agree best. What is left is matched by id.

    Parameters
    ----------
    old, new:
        Run files or sources.
    split, data_dir, download, image_column, label_column, workers, max_pixels:
        How sources are read, see `inspecting.inspect`. Without `split`, two sources are compared with
        all their splits; beside a run, the split that was scanned.
    rank_by, top:
        For two runs: the score whose rankings are compared, and how many rises are listed at most.
    cache:
        The folder in which hashes of pictures are kept from run to run, see `pictures.hash_cache`; None: nowhere.
    on_event:
        Called with what is being done, see `records.Event`.

    Returns
    -------
    Comparison
        What was added, removed, changed, relabelled, moved and renamed, which conflicts are new, and for two runs
        which pictures rose furthest.

    Raises
    ------
    CurvauditError
        One of the two cannot be read, or a setting says nothing about either.
    """
    top = whole("--top", top, 1)
    text("--rank-by", rank_by)
    targets = [Target(one) for one in (old, new)]
    as_source = Target(
        None,
        split=split,
        data_dir=data_dir,
        download=download,
        workers=workers,
        image_column=image_column,
        label_column=label_column,
        max_pixels=max_pixels,
        cache=None if cache is None else expanded(cache),
    )
    for target in targets:
        target.require()
    ranked = all(target.is_run for target in targets)
    if ranked:
        reports = [replace(as_source, name=target.name).report(on_event, rank_by=rank_by) for target in targets]
    else:
        # A run would refuse what is said of the source beside it.
        runs = [target.report(on_event, rank_by=rank_by) if target.is_run else None for target in targets]
        scanned = next((run.run.config.get("split") for run in runs if run is not None), ALL_SPLITS)
        as_source = replace(as_source, split=split or scanned)
        reports = [
            run
            or replace(
                as_source, name=target.name, data_dir=sources.data_dir_of(target.name, data_dir, (old, new))
            ).report(on_event, every_thumbnail=True)
            for run, target in zip(runs, targets, strict=True)
        ]
    return _compared(targets, reports, rank_by if ranked else "", top)


def write(made: Comparison, format: str, file: Path) -> None:
    """Render one format into a file, which appears complete or not at all.

    Raises
    ------
    CurvauditError
        The file cannot be written.
    """
    write_whole(file, FORMATS[format](made), "Name another file with -o.")


def _compared(targets: Sequence[Target], reports: Sequence[Report], rank_by: str, top: int) -> Comparison:
    old, new = reports
    found = match(old, new)
    relabelled = [pair for pair in found.same if pair.old.label != pair.new.label]
    moved = [pair for pair in found.same if in_other_split(pair)]
    renamed = [
        pair
        for pair in found.same
        if pair.old.path != pair.new.path and pair.old.label == pair.new.label and not in_other_split(pair)
    ]
    conflicts = _new_conflicts(old, new)
    rises = _rises(old, new, found.same, rank_by)[:top] if rank_by else []
    old_rows = [picture.row for picture in found.removed]
    old_rows += [pair.old.row for pair in found.changed]
    new_rows = [picture.row for picture in found.added]
    new_rows += [pair.new.row for pair in (*found.changed, *relabelled, *moved, *(rise.pair for rise in rises))]
    new_rows += [row for finding in conflicts for row in finding.rows]
    return Comparison(
        old=_side(targets[0], old, old_rows),
        new=_side(targets[1], new, new_rows),
        added=tuple(found.added),
        removed=tuple(found.removed),
        changed=tuple(found.changed),
        relabelled=tuple(relabelled),
        moved=tuple(moved),
        renamed=tuple(renamed),
        conflicts=tuple(conflicts),
        rises=tuple(rises),
        rank_by=rank_by,
        gaps=(*_gaps("old", old, bool(rank_by)), *_gaps("new", new, bool(rank_by)), *_scaled_otherwise(old, new)),
    )


# --- findings and ranks --------------------------------------------------------------


def _new_conflicts(old: Report, new: Report) -> list[Finding]:
    """By fingerprint, as a baseline does: one more copy of a known conflict is a new one."""
    known = Counter(finding.fingerprint for finding in old.findings)
    found = []
    for finding in new.findings:
        if finding.rule.id not in CONFLICTS:
            continue
        if known[finding.fingerprint]:
            known[finding.fingerprint] -= 1
        else:
            found.append(finding)
    return found


def _rises(old: Report, new: Report, same: Sequence[Pair], rank_by: str) -> list[Rise]:
    """Pictures of both that stand nearer to the top than before, the furthest first."""
    (before, _), (_, after) = _shares_above(old, rank_by), _shares_above(new, rank_by)
    found = []
    for pair in same:
        shares = float(before[pair.old.row]), float(after[pair.new.row])
        if shares[1] < shares[0]:  # false for NaN
            found.append(Rise(pair, int(old.rank[pair.old.row]), int(new.rank[pair.new.row]), *shares))
    return sorted(found, key=lambda rise: (rise.new_share - rise.old_share, rise.new_rank))


def _shares_above(report: Report, rank_by: str) -> tuple[np.ndarray, np.ndarray]:
    """Share of the others that rank above each picture, at least and at most, (N,) each; NaN where not measured.

    They differ among equal scores. A picture rises only if it does in whatever order equal ones stand.
    """
    suspicious = ordering.suspicion(report.trainings, rank_by, report.scores[rank_by])
    measured = np.isfinite(suspicious)
    _, inverse, count = np.unique(suspicious[measured], return_inverse=True, return_counts=True)
    above = len(inverse) - np.cumsum(count)
    least, most = np.full(len(suspicious), np.nan), np.full(len(suspicious), np.nan)
    last = max(1, len(inverse) - 1)
    least[measured], most[measured] = above[inverse] / last, (above + count - 1)[inverse] / last
    return least, most


# --- the two sides -------------------------------------------------------------------


def _side(target: Target, report: Report, rows: Sequence[int]) -> Side:
    wanted = sorted(set(rows))
    pictures = {row: report.thumbnails[row] for row in wanted if row in report.thumbnails}
    if target.is_run:
        run = target.name if isinstance(target.name, store.Run) else store.open_run(target.name)
        with suppress(DamagedRun):  # a caveat of the report says so
            pictures = run.thumbnails(wanted)
    return Side(
        name=report.run_path or report.run.source,
        is_run=target.is_run,
        pictures=len(report.samples),
        unreadable=tuple(of_kind(report.skipped, "unreadable")),
        thumbnails=pictures,
    )


def _gaps(which: str, report: Report, ranked: bool) -> list[str]:
    """Why one side may hold more than was compared."""
    # An unfinished training says nothing about which pictures there are, and no suggested label is compared.
    beside = {"unjudged"} if ranked else {"unjudged", "unfinished"}
    return [
        f"{which}: {caveat.message}" for caveat in report.caveats if caveat.unchecked and caveat.unchecked not in beside
    ]


def _scaled_otherwise(old: Report, new: Report) -> list[str]:
    """Deep grey has one scale within a version. Where the other has another one, the same file is another picture."""
    told = [report.run.config.get("deep_grey") or {} for report in (old, new)]
    for kind in ("integers", "floats"):
        before, after = (one.get(kind) for one in told)
        if before and after and before != after:
            ranges = [f"{low:,g} to {high:,g}" for low, high in (before, after)]
            return [
                f"grey of more than 8 bits was scaled by {ranges[0]} in old and by {ranges[1]} in new: such pictures "
                "count as changed whether they are or not"
            ]
    return []
