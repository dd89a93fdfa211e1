"""Names that people and files can hold: valid text, and no two alike."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence


def as_text(name: str) -> str:
    """A file name as valid text: bytes that are not UTF-8 are shown as escapes (`\\xff`)."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def made_unique(names: Sequence[str]) -> tuple[str, ...]:
    """The same names; the second, third, … of equal ones get ` (2)`, ` (3)`, ….

    Needed since the byte ff and the four letters `\\xff` are written alike.
    """
    if len(set(names)) == len(names):
        return tuple(names)
    taken = set(names)
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        unique = name
        while seen[name] > 1 and unique in taken:
            unique = f"{name} ({seen[name]})"
            seen[name] += unique in taken
        taken.add(unique)
        found.append(unique)
    return tuple(found)
