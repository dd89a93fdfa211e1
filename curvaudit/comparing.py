"""Use case: what has changed between two versions of a data set, or two runs on them."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from . import ordering, store
from .arguments import text, whole
from .comparison import Comparison, Pair, Picture, Rise, Side
from .errors import DamagedRun
from .exports.comparisons import FORMATS
from .files.home import expanded
from .files.whole_file import write_whole
from .inspecting import ALL_SPLITS
from .records import Event, Finding, Report, of_kind
from .rules import CONFLICTS
from .sources.splits import SPLITS, meaning
from .targets import Target


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
    ranked = all(target.is_run for target in targets)
    if ranked:
        reports = [replace(as_source, name=target.name).report(on_event, rank_by=rank_by) for target in targets]
    else:
        # A run would refuse what is said of the source beside it.
        runs = [target.report(on_event, rank_by=rank_by) if target.is_run else None for target in targets]
        scanned = next((run.run.config.get("split") for run in runs if run is not None), ALL_SPLITS)
        as_source = replace(as_source, split=split or scanned)
        reports = [
            run or replace(as_source, name=target.name).report(on_event, every_thumbnail=True)
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
    before, after = _pictures(old), _pictures(new)
    same, lost, fresh = _by_content(before, after, old.samples.content_hash, new.samples.content_hash)
    told = all(any(picture.split for picture in side) for side in (before, after))

    def place(picture: Picture) -> tuple[str, str]:
        # Where only one side tells splits, the id alone has to do.
        return picture.id, meaning(picture.split) if told else ""

    pairs, lost, fresh = _matched(lost, fresh, place)
    unread_before, unread_after = (_unreadable_places(report, place) for report in reports)
    gone = [picture for picture in lost if place(picture) not in unread_after]
    come = [picture for picture in fresh if place(picture) not in unread_before]
    relabelled = [pair for pair in same if pair.old.label != pair.new.label]
    moved = [pair for pair in same if _moved(pair)]
    renamed = [
        pair
        for pair in same
        if pair.old.path != pair.new.path and pair.old.label == pair.new.label and not _moved(pair)
    ]
    conflicts = _new_conflicts(old, new)
    rises = _rises(old, new, same, rank_by)[:top] if rank_by else []
    old_rows = [picture.row for picture in gone]
    old_rows += [pair.old.row for pair in pairs]
    new_rows = [picture.row for picture in come]
    new_rows += [pair.new.row for pair in (*pairs, *relabelled, *moved, *(rise.pair for rise in rises))]
    new_rows += [row for finding in conflicts for row in finding.rows]
    return Comparison(
        old=_side(targets[0], old, old_rows),
        new=_side(targets[1], new, new_rows),
        added=tuple(come),
        removed=tuple(gone),
        changed=tuple(pairs),
        relabelled=tuple(relabelled),
        moved=tuple(moved),
        renamed=tuple(renamed),
        conflicts=tuple(conflicts),
        rises=tuple(rises),
        rank_by=rank_by,
        gaps=(*_gaps("old", old, bool(rank_by)), *_gaps("new", new, bool(rank_by)), *_scaled_otherwise(old, new)),
    )


# --- pictures ------------------------------------------------------------------------


def _pictures(report: Report) -> list[Picture]:
    named = report.samples.columns.get("split")
    found = []
    for row, (identity, path) in enumerate(zip(report.samples.ids, report.samples.paths, strict=True)):
        label = report.label(row)
        split = named[row] if named else _chosen_split(report) or _split_in(identity, label)
        prefix = f"{split}: "
        found.append(Picture(row, identity.removeprefix(prefix), label, split, path.removeprefix(prefix)))
    return found


def _chosen_split(report: Report) -> str:
    """The one split that was asked for, if one was."""
    split = report.run.config.get("split")
    return split if isinstance(split, str) and split != ALL_SPLITS else ""


def _split_in(identity: str, label: str) -> str:
    """The split that an id names as a folder; a class may be called "test"."""
    folders = identity.split("/")[:-1]
    return next((part for part in folders if part.lower() in SPLITS and part != label), "")


def _unreadable_places(report: Report, place: Callable[[Picture], tuple[str, str]]) -> frozenset[tuple[str, str]]:
    """Where files lie that could not be read: what stands there in the other version is not new, and not gone."""
    splits = set(report.samples.columns.get("split", ()))
    found = set()
    for item in of_kind(report.skipped, "unreadable"):
        split = next((name for name in splits if item.id.startswith(f"{name}: ")), "")
        identity = item.id.removeprefix(f"{split}: ")
        found.add(place(Picture(-1, identity, "", split or _chosen_split(report) or _split_in(identity, ""))))
    return frozenset(found)


def _moved(pair: Pair) -> bool:
    known = pair.old.split and pair.new.split
    return bool(known) and meaning(pair.old.split) != meaning(pair.new.split)


def _by_content(
    old: Sequence[Picture], new: Sequence[Picture], old_content: np.ndarray, new_content: np.ndarray
) -> tuple[list[Pair], list[Picture], list[Picture]]:
    """(the same on both sides, left on the old, left on the new); among copies those that agree best."""
    before = dict(zip((picture.row for picture in old), old_content.tolist(), strict=True))
    after = dict(zip((picture.row for picture in new), new_content.tolist(), strict=True))
    agreements: tuple[Callable[[Picture], Hashable], ...] = (
        lambda picture: (picture.path, meaning(picture.split), picture.label),
        lambda picture: (picture.path, meaning(picture.split)),
        lambda picture: (picture.path, picture.label),
        lambda picture: (meaning(picture.split), picture.label),
        lambda picture: picture.label,
        lambda picture: meaning(picture.split),
        lambda picture: None,
    )
    pairs: list[Pair] = []
    lost, fresh = list(old), list(new)
    for agreement in agreements:
        found, lost, fresh = _matched(
            lost,
            fresh,
            lambda picture, agreement=agreement: (before[picture.row], agreement(picture)),  # type: ignore[misc]
            lambda picture, agreement=agreement: (after[picture.row], agreement(picture)),  # type: ignore[misc]
        )
        pairs += found
    return sorted(pairs, key=lambda pair: pair.new.row), lost, fresh


def _matched(
    old: Sequence[Picture],
    new: Sequence[Picture],
    old_key: Callable[[Picture], Hashable],
    new_key: Callable[[Picture], Hashable] | None = None,
) -> tuple[list[Pair], list[Picture], list[Picture]]:
    """Pairs with equal keys, each picture once, and what is left of both."""
    waiting: dict[Hashable, deque[Picture]] = {}
    for picture in old:
        waiting.setdefault(old_key(picture), deque()).append(picture)
    pairs, fresh = [], []
    for picture in new:
        others = waiting.get((new_key or old_key)(picture))
        if others:
            pairs.append(Pair(others.popleft(), picture))
        else:
            fresh.append(picture)
    taken = {pair.old.row for pair in pairs}
    return pairs, [picture for picture in old if picture.row not in taken], fresh


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
