"""Folders that were taken for classes and may have been meant otherwise.

A guess would be wrong for somebody, silence would let a conflict pass: it is read as the plain rule says, and named.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from ..records import Skipped
from . import splits

_FOLD = re.compile(r"(fold|split|part|batch|chunk)[-_ ]?\d+", re.IGNORECASE)
# Folders that hold all pictures, or the next thousand of them; what they show is then said elsewhere.
_PICTURES = re.compile(r"images?|imgs?|pictures?|pics?|photos?", re.IGNORECASE)
_SOME_PICTURES = re.compile(rf".*(fold|part|batch|chunk|{_PICTURES.pattern})[-_ ]?\d+", re.IGNORECASE)
# What belongs to a picture and is none to be classified.
_BESIDE_PICTURES = {"mask", "masks", "segmentation", "segmentations", "annotations", "labels", "ground_truth", "gt"}
_SHOWN = 3  # names
_DOMAINS = 3  # folders that all classes hold; years, sites or sides are fewer than the classes


def doubts(inside: Mapping[str, Sequence[str]], lists: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(folder, why it may be meant otherwise), at most one for each folder.

    Parameters
    ----------
    inside:
        Each folder that is taken for a class -> names of the folders in it.
    lists:
        Files beside them that could name pictures and labels.
    """
    elsewhere = bool(lists) and (len(inside) == 1 or all(map(_SOME_PICTURES.fullmatch, inside)))
    pictures = any(map(_PICTURES.fullmatch, inside))
    called = _called_like_splits(inside)
    everywhere = set.intersection(*map(set, inside.values())) if len(inside) > 1 else set()
    alike = bool(everywhere) and all(len(inner) == len(everywhere) for inner in inside.values())
    folds = alike and len(everywhere) > 1 and all(_FOLD.fullmatch(name) for name in inside)
    above = folds or (alike and len(everywhere) > max(len(inside), _DOMAINS - 1))
    for name, inner in inside.items():
        holds = f"taken for a class, but it holds {some(sorted(inner))}"
        same = sorted(set(inner) & (set(inside) - {name}))
        if elsewhere:
            yield name, f"taken for a class, but the labels may stand in {lists[0]}"
        elif pictures and name.lower() in _BESIDE_PICTURES:
            yield name, "taken for a class, but it is called as something that belongs to pictures is"
        elif folds:
            yield name, f"{holds}, as a fold does"
        elif above:
            yield name, f"{holds}, as all classes do: are those the classes?"
        elif name in called and inner:
            yield name, f"{holds}, as a split does"
        elif name in called:
            yield name, f"taken for a class, but it is called as a split is, beside {some(called[name])}"
        elif len(inner) > 1 and name.lower() in splits.SPLITS:
            yield name, f"{holds}, as a split does"
        elif len(same) > 1:
            yield name, f"{holds}, which are classes beside it"
    yield from _within(inside)


def of_columns(columns: Mapping[str, Sequence[str]], rule: str) -> Iterator[Skipped]:
    """Columns that hold splits, in a table of which all rows were taken by the `rule`."""
    for name, texts in columns.items():
        values = sorted({text.strip() for text in texts} - {""})
        if len({splits.meaning(value) for value in values}) > 1 and all(
            value.lower() in splits.SPLITS for value in values
        ):
            yield Skipped(f"column {name}", f"it holds {', '.join(values)}, but {rule}", "doubtful")


def _called_like_splits(names: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Names that differ in nothing but which split they name (`seg_train`, `seg_test`), each with the others."""
    by_rest: dict[str, dict[str, str]] = defaultdict(dict)  # what is left of the name -> name -> split
    for name in names:
        found = splits.in_folder_name(name)
        if found is not None:
            split, rest = found
            by_rest[rest][name] = split
    groups = [list(named) for named in by_rest.values() if len(set(named.values())) > 1]
    return {name: [other for other in group if other != name] for group in groups for name in group}


def _within(inside: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    """Folders of one name in several classes, said once: splits, or what only belongs to a picture."""
    times: dict[str, list[str]] = defaultdict(list)  # folder -> classes that hold it
    for name, inner in inside.items():
        for folder in inner:
            times[folder].append(name)
    inner_splits = {folder: splits.meaning(folder) for folder in times if folder.lower() in splits.SPLITS}
    if len(set(inner_splits.values())) < 2 or any(name.lower() in splits.SPLITS for name in inside):
        inner_splits = {}
    pictures = {folder for folder in times if folder.lower() in _BESIDE_PICTURES}
    for folder in sorted(chain(inner_splits, pictures)):
        first, *more = times[folder]
        also = f" (so do {len(more)} other classes)" if len(more) > 1 else f" (so does {more[0]})" if more else ""
        what = "a split" if folder in inner_splits else "something that belongs to pictures"
        yield f"{first}/{folder}", f"audited with its class{also}, but it is called as {what} is"


def some(names: Sequence[str]) -> str:
    """Names of folders for a sentence."""
    shown = ", ".join(names[:_SHOWN])
    return f"the folders {shown}{', …' if len(names) > _SHOWN else ''}" if len(names) > 1 else f"the folder {shown}"
