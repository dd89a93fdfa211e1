"""What every source of labelled pictures offers, whatever it is stored as."""

from __future__ import annotations

import os
from dataclasses import dataclass
from types import NoneType
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ..arguments import flag, require, text
from ..records import Skipped

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """The parts of the command line that concern where pictures come from.

    Raises
    ------
    CurvauditError
        One of them is of another type.
    """

    split: str | None = None  # None: the source's training split
    data_dir: str | None = None  # where torchvision's standard sets lie
    download: bool = False  # only ever True because the user asked
    image_column: str | None = None  # None: found by name or type
    label_column: str | None = None
    least_classes: int = 2  # copies can be looked for in one class, a training needs two

    def __post_init__(self) -> None:
        for name, value in (("--split", self.split), ("--image-column", self.image_column),
                            ("--label-column", self.label_column)):  # fmt: skip
            if value is not None:
                text(name, value)
        require("--data-dir", self.data_dir, (str, os.PathLike, NoneType), "Name a folder.")
        flag("--download", self.download)


@runtime_checkable
class Source(Protocol):
    """N labelled pictures. Opening is lazy and safe to call from several threads.

    A source that reads a manifest may offer two more: `columns`, what the manifest says beyond
    path, label and split (name -> N texts), and `lines`, (N,) int32, the 1-based line of the file.
    One whose pictures lie encoded may offer `encoded(index) -> bytes | Path | None`, what `images.decode`
    makes its picture of (raises as `open`): by these bytes a picture is known again without decoding it.
    """

    name: str  # shown to people and stored in the run
    classes: tuple[str, ...]  # K class names in the source's order
    ids: tuple[str, ...]  # N stable names, relative to the source's root, unique
    labels: np.ndarray  # (N,) int32
    skipped: tuple[Skipped, ...]  # what the listing already had to leave out

    def open(self, index: int) -> Image:
        """Decode one picture, upright, mode "L" or "RGB"; or grey of more than 8 bits, which is scaled once all
        are known (see `depth`).

        Raises `UnreadableImage` with the reason when it cannot be decoded completely.
        """
        ...
