"""Use case: from a run file to a file for another program, or to a mended manifest."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from . import decisions as decided
from . import exports, sources, store
from .arguments import flag, text
from .errors import CurvauditError, nearest
from .exports import fixed_csv
from .files.home import expanded
from .files.whole_file import write_whole
from .records import of_kind
from .replacing import keep_apart
from .reporting import report as make_report

FIXED = "csv-fixed"
_SHOWS_FILES = "fiftyone"
TARGETS = {**{name: file for name, (file, _) in exports.OTHER_PROGRAMS.items()}, FIXED: "fixed.csv"}


@dataclass(frozen=True)
class Exported:
    """The file that was written, and sentences on what is in it."""

    path: Path
    notes: tuple[str, ...]


def export(
    run: store.Run | str | os.PathLike[str],
    to: str,
    out: str | os.PathLike[str] | None = None,
    *,
    decisions: str | os.PathLike[str] | None = None,
    rank_by: str = "curvature",
    training: int | None = None,
    overwrite: bool = False,
) -> Exported:
    """Write the audit for another program.

    Parameters
    ----------
    run:
        A run, or the path of a run file.
    to:
        `cleanlab` (CSV), `fiftyone` (JSON for `Dataset.from_json`), or `csv-fixed` (a manifest
        with the decisions applied).
    out:
        The file to write; default `cleanlab.csv`, `fiftyone.json` or `fixed.csv`.
    decisions:
        For csv-fixed: the decisions that the report page saved, JSON or CSV.
    rank_by, training:
        As for `report`.
    overwrite:
        Replace an existing file.

    Returns
    -------
    Exported
        The file, and what is to be known about it, in sentences.

    Raises
    ------
    CurvauditError
        No such target, the run or the decisions cannot be read, decisions of another data set, or
        the file exists or cannot be written.
    """
    text("--to", to)
    overwrite = flag("overwrite", overwrite)
    if to not in TARGETS:
        raise CurvauditError(f"curvaudit does not export to {to!r}.", nearest(to, TARGETS))
    if (decisions is not None) != (to == FIXED):
        raise CurvauditError(
            f"--to {FIXED} and --decisions belong together.",
            f"Write: curvaudit export RUN.h5 --to {FIXED} --decisions decisions.json",
        )
    path = expanded(TARGETS[to] if out is None else out)
    if path.exists() and not overwrite:
        raise CurvauditError(f"{path} exists already.", "Use --overwrite to replace it, or -o for another file.")
    opened = store.opened(run)
    keep_apart([path], [opened.file, decisions])
    if decisions is not None:
        samples = opened.samples
        made = decided.revealed(decided.read(decisions), samples, opened.info.source_fingerprint)
        fixed = fixed_csv.render(samples, decided.by_row(made, samples, decisions))
        content, notes = fixed.content, _fixed_notes(fixed, _of_files(opened), bool(len(samples.lines)), _lost(opened))
    else:
        report = make_report(opened, rank_by=rank_by, training=training)
        content, notes = exports.OTHER_PROGRAMS[to][1](report), _other_notes(to, opened)
    write_whole(path, content, "Choose another place with -o.")
    return Exported(path, notes)


def _of_files(run: store.Run) -> bool:
    """Whether what stands in the column `path` leads to files.

    The run may have come here without its source, or another folder may lie in that place. A manifest shows in the
    lines that it has, a folder in ids that begin with the class.
    """
    samples = run.samples
    if len(samples.lines):
        return True
    heads = [f"{name}/" for name in samples.classes]
    below = all(path.startswith(heads[label]) for path, label in zip(samples.ids, samples.labels.tolist(), strict=True))
    return below and sources.ids_are_paths(run.info.config.get("source")) is not False


def _other_notes(to: str, run: store.Run) -> tuple[str, ...]:
    notes = [f"{len(run.samples)} pictures.", *_lost(run)]
    if to == _SHOWS_FILES:
        notes.append(
            "Its paths begin at the class folders, or at the scanned manifest: give that folder as rel_dir."
            if _of_files(run)
            else "The pictures are no files of their own: its paths are the source's ids, and lead nowhere."
        )
    return tuple(notes)


def _lost(run: store.Run) -> tuple[str, ...]:
    """What is missing from every file: rows counted in another program would be off by as many."""
    lost = len(of_kind(run.skipped, "unreadable"))
    return (f"{lost} more could not be read, and {'is' if lost == 1 else 'are'} not among them.",) if lost else ()


def _fixed_notes(fixed: fixed_csv.Fixed, of_files: bool, of_manifest: bool, lost: tuple[str, ...]) -> tuple[str, ...]:
    notes = [
        f"{fixed.kept} pictures kept, {fixed.dropped} dropped, {fixed.relabelled} relabelled.",
        *lost,
        "Put the file beside the class folders, or beside the scanned manifest: its paths begin there."
        if of_files
        else "The first column holds the source's ids, not paths of files: the file cannot be scanned as it is.",
    ]
    if not fixed.kept:
        notes.append("Nothing is left: every picture was dropped, and the file cannot be scanned.")
    if of_files and not of_manifest and fixed.escaped:  # a manifest had no other bytes to begin with
        count = len(fixed.escaped)
        # The run does not tell a byte from a name that is spelt so.
        notes.append(
            f"{count} {'path stands' if count == 1 else 'paths stand'} there with escapes such as \\xff "
            f"({_listed(fixed.escaped)}): where those are bytes that are not UTF-8, no manifest can name the file. "
            "Rename it and scan again."
        )
    if fixed.unsolved:
        count = len(fixed.unsolved)
        left = (
            "1 wrong label without a right one is left as it is"
            if count == 1
            else (f"{count} wrong labels without a right one are left as they are")
        )
        notes.append(f"{left}: {_listed(fixed.unsolved)}.")
    if fixed.new_classes:
        notes.append(f"Classes that the data set did not have: {_listed(fixed.new_classes)}.")
    return tuple(notes)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
