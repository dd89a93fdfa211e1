"""Texts named after a picture beside them: annotations, captions, places on a map. They are no broken pictures."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from PIL import Image

from ..pictures import images

_DRAWINGS = {".svg"}  # a text, and a picture all the same; Pillow knows the others


def companions(paths: Sequence[str | os.PathLike[str]]) -> Mapping[int, str]:
    """Of the files in one folder those that accompany a picture: position -> name of that picture.

    Such a file has no ending of a picture, is called like one but for its ending (`a.json` or `a.jpg.json` beside
    `a.jpg`), and holds text or nothing. A picture under any other ending is never taken for one.
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
    named = ((position, _called_like(names[position], pictures)) for position in others)
    return {position: picture for position, picture in named if picture and _is_text(paths[position])}


def _called_like(name: str, pictures: Mapping[str, str]) -> str | None:
    while (shorter := os.path.splitext(name)[0]) != name:
        if shorter in pictures:
            return pictures[shorter]
        name = shorter
    return None


def _is_text(path: str | os.PathLike[str]) -> bool:
    try:
        with open(path, "rb") as file:
            head = file.read(images.HEAD)
    except OSError:
        return False
    return not head or images.is_text(head)
