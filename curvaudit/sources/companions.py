"""Texts named after a picture beside them, or after their class: annotations, captions, places on a map.

They are no broken pictures.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from ..pictures import images
from .stand_ins import instead

_DRAWINGS = {".svg"}  # a text, and a picture all the same; Pillow knows the others


def companions(paths: Sequence[str | os.PathLike[str]], owner: str | None) -> Mapping[int, str]:
    """Of the files in one folder those that accompany a picture or their class: position -> what it accompanies.

    Such a file has no ending of a picture and holds text or nothing. It is called like a picture but for its ending
    (`a.json` or `a.jpg.json` beside `a.jpg`), or its name begins with that of its `owner` (`rose_boxes.txt` in `rose`).
    A picture under any other ending is never taken for one.
    """
    names = [os.path.basename(path) for path in paths]
    endings = Image.registered_extensions().keys() | _DRAWINGS
    pictures = {}
    others = []
    for position, name in enumerate(names):
        stem, ending = os.path.splitext(name)
        if ending.lower() in endings:
            pictures[stem] = pictures[name] = name
        elif ending and not name.startswith("."):
            others.append(position)
    named = ((position, _called_like(names[position], pictures, owner)) for position in others)
    return {position: what for position, what in named if what and _is_text(paths[position])}


def _called_like(name: str, pictures: Mapping[str, str], owner: str | None) -> str | None:
    shorter = name
    while (stem := os.path.splitext(shorter)[0]) != shorter:
        if stem in pictures:
            return pictures[stem]
        shorter = stem
    return owner if owner is not None and re.match(rf"{re.escape(owner)}[-_ .]", name) else None


def _is_text(path: str | os.PathLike[str]) -> bool:
    try:
        with open(path, "rb") as file:
            head = file.read(images.HEAD)
    except OSError:
        return False
    return (not head or images.is_text(head)) and instead(Path(path)) is None  # a Git LFS pointer may be a picture's
