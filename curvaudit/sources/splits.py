"""Names of splits: the spellings that mean the same, and the choice of one."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..errors import CurvauditError

SPLITS = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
    "dev": "dev", "development": "dev",
    "eval": "eval", "evaluation": "eval",
    "holdout": "holdout",
}  # fmt: skip


def choose(present: Iterable[str], wanted: str | None, where: str) -> str:
    """The one of the split names `present` that `wanted` means; without a wish, the training split.

    The exact name wins over another case of it, and that over another spelling.

    Raises
    ------
    CurvauditError
        There is no such split; `where` is the source as shown to people.
    """
    names = list(dict.fromkeys(present))
    asked = wanted or "train"
    same = [name for name in names if meaning(name) == meaning(asked)]
    if not same:
        raise CurvauditError(f"{where} has no split {asked!r}.", f"Choose one with --split: {', '.join(names)}.")
    return max(same, key=lambda name: (name == asked, name.lower() == asked.lower()))


def others(present: Iterable[str], wanted: str | None, where: str) -> tuple[str, ...]:
    """One spelling of each split in `present` but the chosen one, see `choose`; none where there are no splits."""
    names = [name for name in present if name]
    if not names:
        return ()
    mine = meaning(choose(names, wanted, where))
    first = {meaning(name): name for name in reversed(names)}
    return tuple(name for same, name in sorted(first.items()) if same != mine)


def refuse(wanted: str | None, where: str, how: str) -> None:
    """Raise CurvauditError if a split is wanted of a source without any; `how` says how it could have some."""
    if wanted is not None:
        raise CurvauditError(
            f"{where} has no splits, but the split {wanted!r} was asked for.", f"Leave out --split, or {how}."
        )


def meaning(name: str) -> str:
    """One spelling for all that mean the same split."""
    lower = name.strip().lower()
    return SPLITS.get(lower, lower)


def in_folder_name(name: str) -> tuple[str, str] | None:
    """(split, what is left of the name) of a folder called like one, as `seg_train` or `Test Set`; None of others."""
    for word in re.finditer(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name):
        said = word.group().lower().removesuffix("set")
        if said in SPLITS:
            rest = name[: word.start()] + name[word.end() :]
            return SPLITS[said], re.sub(r"[\W_]+", " ", rest).strip().lower()
    return None


def in_file_name(stem: str) -> str | None:
    """The split that a file's name begins with, as in `train-00000-of-00002`; None if with none."""
    first = re.split(r"[-_.]", stem, maxsplit=1)[0].lower()
    return first if first in SPLITS else None
