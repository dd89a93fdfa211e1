"""Data sets in several files of one kind: a file, a pattern, or a folder of nothing else."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Sequence
from fnmatch import fnmatch
from glob import glob, has_magic
from pathlib import Path
from typing import Any

from ..errors import CurvauditError
from ..records import Skipped
from . import splits
from .naming import as_text

_DEPTH = 3  # folders below the named one that are searched
_MOST = 100_000  # files that a pattern may name
_SERIES = re.compile(r"(?P<before>.*\D|)(?P<number>\d+)-of-(?P<total>\d{1,9})(?!\d)[^/]*")
# What lies beside the files of a published data set and holds no pictures.
_BESIDE = (".md", ".json", ".txt", ".yaml", ".yml", ".py")
_NAMED_BESIDE = ("readme", "license", "citation")


def named(spec: Any, ending: str) -> bool:
    """Whether `spec` is a file, a pattern or a folder of files with this ending."""
    if not isinstance(spec, (str, os.PathLike)):
        return False
    text = os.fspath(spec)
    path = Path(text).expanduser()
    if path.is_dir():
        return bool(_below(path, ending))
    if not text.lower().endswith(ending):
        return False
    return path.is_file() or _is_pattern(text)


def find(spec: str | Path, ending: str, wanted: str | None) -> tuple[list[tuple[str, Path]], str | None, list[Skipped]]:
    """The files of the chosen split, by name.

    A split is the beginning of a file's name (`train-00000-of-00002.parquet`) or a folder above
    it (`train/0000.parquet`). A single file or a pattern is read as it is, unless a split is
    wanted. Of a folder the training split is the default, if any file is of a split.

    Returns
    -------
    (name as shown, path) of each file, the split or None, files left out or missing.

    Raises
    ------
    CurvauditError
        The pattern matches nothing, or there is no such split.
    """
    shown = as_text(os.fspath(spec))
    files = _files(spec, ending, shown)
    if not _divided(spec, wanted):
        return files, None, _missing(spec, files, ending)
    divided = [_split_of(name) for name, _ in files]
    present = [split for split in divided if split is not None]
    if not present:
        splits.refuse(wanted, shown, f"name the files train-….{ending[1:]}, test-….{ending[1:]} and so on")
        return files, None, _missing(spec, files, ending)
    chosen = splits.choose(present, wanted, shown)
    same = [split is not None and splits.meaning(split) == splits.meaning(chosen) for split in divided]
    left_out = [
        Skipped(name, "its name begins with no split, so that it was not searched", "doubtful")
        for (name, _), split in zip(files, divided, strict=True)
        if split is None
    ]
    of_split = [file for file, wanted_ in zip(files, same, strict=True) if wanted_]
    return of_split, chosen, left_out + _missing(spec, of_split, ending)


def gaps(folder: Path, chosen: str | None) -> list[Skipped]:
    """What is missing of files of any kind that somebody else reads from a folder: of the chosen split, or of all."""
    by_ending: dict[str, list[tuple[str, Path]]] = defaultdict(list)
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (Path(where, name) for name in sorted(names)):
            name = path.relative_to(folder).as_posix()
            split = _split_of(name)
            if chosen is None or split is None or splits.meaning(split) == splits.meaning(chosen):
                by_ending[path.suffix].append((name, path))
    return [gap for ending, files in sorted(by_ending.items()) for gap in _missing(folder, files, ending)]


def other_splits(spec: str | Path, ending: str, chosen: str | None) -> tuple[str, ...]:
    """The other splits of what `find` reads."""
    if not _divided(spec, chosen):
        return ()
    shown = as_text(os.fspath(spec))
    return splits.others((_split_of(name) or "" for name, _ in _files(spec, ending, shown)), chosen, shown)


def _divided(spec: str | Path, wanted: str | None) -> bool:
    """Whether splits matter: a single file or a pattern is read as it is unless one is wanted."""
    return wanted is not None or Path(spec).expanduser().is_dir()


def _files(spec: str | Path, ending: str, shown: str) -> list[tuple[str, Path]]:
    """(name as shown, path) of every file."""
    text = os.fspath(spec)
    path = Path(text).expanduser()
    if path.is_dir():
        paths = _below(path, ending)
        names = [path_.relative_to(path).as_posix() for path_ in paths]
    else:
        paths = [path] if path.is_file() else _matching(text, shown)
        common = os.path.commonpath([p.parent for p in paths])
        names = [Path(os.path.relpath(p, common)).as_posix() for p in paths]
    return [(as_text(name), p) for name, p in zip(names, paths, strict=True)]


def _missing(spec: str | Path, files: Sequence[tuple[str, Path]], ending: str) -> list[Skipped]:
    """The first file of each series (`x-00000-of-00003`) that the names count, `spec` means, and nobody sees."""
    series: dict[tuple[str, int, str, Path], dict[int, str]] = defaultdict(dict)  # -> number -> rest of the name
    for name, path in files:
        found = _SERIES.match(name)
        if found and int(found["total"]) <= _MOST:
            place = found["before"], len(found["number"]), found["total"], path.parent
            series[place][int(found["number"])] = name[found.end("total") :]
    meant = _patterns_of_names(os.fspath(spec))
    gaps = []
    for (before, digits, total, _), there in series.items():
        first = 1 if int(total) in there else 0  # some count from one
        rest = next(iter(there.values()))  # the own hash of each file, perhaps
        names = (f"{before}{n:0{digits}d}-of-{total}" for n in range(first, first + int(total)) if n not in there)
        lost = [
            name
            for name in names
            if meant is None or any(fnmatch(os.path.basename(name) + rest, pattern) for pattern in meant)
        ]
        if lost:
            what = f"it and {len(lost) - 1} more are" if len(lost) > 1 else "it is"
            gaps.append(
                Skipped(f"{lost[0]}{ending}", f"{what} not there, but the names of the files count {int(total)}")
            )
    return gaps


def _patterns_of_names(text: str) -> set[str] | None:
    """What a pattern says of names, without folders, which may be written in many ways (`./`); None for a folder.

    Names without signs are left out: files called by name are there, or were asked for already.
    """
    if Path(text).expanduser().is_dir():
        return None
    names = {os.path.basename(pattern) for pattern in _without_braces(text, as_text(text))}
    return {name for name in names if has_magic(name)}


def _split_of(name: str) -> str | None:
    path = Path(name)
    above = [part.lower() for part in reversed(path.parts[:-1]) if part.lower() in splits.SPLITS]
    return splits.in_file_name(path.stem) or next(iter(above), None)


def _below(folder: Path, ending: str) -> list[Path]:
    """Files with the ending, sorted; none if there is anything else that could hold pictures."""
    found: list[Path] = []
    waiting = [(folder, 0)]
    while waiting:
        current, depth = waiting.pop()
        try:
            with os.scandir(current) as entries:
                for entry in entries:
                    suffix = Path(entry.name).suffix.lower()
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir():
                        if depth == _DEPTH:
                            return []
                        waiting.append((Path(entry.path), depth + 1))
                    elif suffix == ending:
                        found.append(Path(entry.path))
                    elif suffix not in _BESIDE and entry.name.lower() not in _NAMED_BESIDE:
                        return []
        except OSError:
            return []
    return sorted(found, key=lambda path: path.as_posix())


def _is_pattern(text: str) -> bool:
    return any(sign in text for sign in "*?[{")


def _matching(text: str, shown: str) -> list[Path]:
    found: dict[str, None] = {}
    for pattern in _without_braces(text, shown):
        paths = sorted(glob(os.path.expanduser(pattern), recursive=True))
        if not paths and pattern != text:
            # A range promises that each of its files is there: a gap must not pass unnoticed.
            raise CurvauditError(f"There is no file {pattern}, which {shown} names.", "Check the range.")
        found.update(dict.fromkeys(path for path in paths if os.path.isfile(path)))
    if not found:
        raise CurvauditError(f"No file matches {shown}.", "Check the pattern; quote it in a shell.")
    return [Path(path) for path in found]


def _without_braces(text: str, shown: str) -> list[str]:
    """`{000..003}` and `{a,b}` written out, as WebDataset and shells do."""
    brace = re.search(r"\{([^{}]*)\}", text)
    if brace is None:
        return [text]
    inner = brace.group(1)
    numbers = re.fullmatch(r"(\d{1,9})\.\.(\d{1,9})", inner)
    if numbers:
        first, last = numbers.groups()
        if int(last) - int(first) >= _MOST:
            raise CurvauditError(f"{shown} names {int(last) - int(first) + 1:,} files.", f"At most {_MOST:,}.")
        choices = [f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1)]
    else:
        choices = inner.split(",")
    endings = _without_braces(text[brace.end() :], shown)
    if len(choices) * len(endings) > _MOST:
        raise CurvauditError(f"{shown} names {len(choices) * len(endings):,} files.", f"At most {_MOST:,}.")
    return [text[: brace.start()] + choice + ending for choice in choices for ending in endings]
