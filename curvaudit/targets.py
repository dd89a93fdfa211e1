"""What a command is pointed at: a run file, or a source, which is then read without training."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import sources, store
from .errors import CurvauditError
from .files.home import expanded
from .inspecting import inspect
from .pictures import images
from .records import Event, Report
from .reporting import report

_RUN_SUFFIXES = (".h5", ".hdf5")


@dataclass(frozen=True)
class Target:
    """A run file or a source, and how a source is read. See `inspecting.inspect`."""

    name: Any
    split: str | None = None
    data_dir: str | None = None
    download: bool = False
    workers: int | None = None
    training: int | None = None  # of a run: which one ranks
    against: Any = None
    image_column: str | None = None
    label_column: str | None = None
    max_pixels: int | None = None
    cache: Path | None = None  # of a source: where hashes are kept from run to run

    @property
    def is_run(self) -> bool:
        """True for a file that is HDF5, or that is named like one: a missing run is no data set."""
        if isinstance(self.name, store.Run):
            return True
        if not isinstance(self.name, (str, os.PathLike)):
            return False
        path = expanded(self.name)
        if os.path.isdir(path):
            return False
        return path.suffix.lower() in _RUN_SUFFIXES or store.looks_like_run(path, empty=False)

    def require(self) -> None:
        """Refuse what is not there, before anything else is read.

        Raises
        ------
        CurvauditError
            There is no such run or source, or the run cannot be read.
        """
        if self.is_run:
            store.opened(self.name)
        else:
            sources.require(self.name)

    def report(
        self,
        on_event: Callable[[Event], None] = lambda event: None,
        *,
        top: int = 100,
        rank_by: str = "curvature",
        every_thumbnail: bool = False,
    ) -> Report:
        """What is known about it.

        Parameters
        ----------
        top, rank_by:
            Of a run, see `reporting.report`.
        every_thumbnail:
            Of a source, see `inspecting.inspect`.

        Raises
        ------
        CurvauditError
            It cannot be read, or a setting says nothing about it.
        """
        if self.is_run:
            self._refuse(
                "is for sources", "a run file", "name the source",
                {"--split": self.split, "--data-dir": self.data_dir, "--download": self.download or None,
                 "--against": self.against, "--image-column": self.image_column,
                 "--label-column": self.label_column, "--max-pixels": self.max_pixels},
            )  # fmt: skip
            return report(self.name, top=top, rank_by=rank_by, training=self.training, on_event=on_event)
        self._refuse("is for run files", "a source", "scan the source first", {"--training": self.training})
        return inspect(
            self.name,
            split=self.split,
            data_dir=self.data_dir,
            download=self.download,
            image_column=self.image_column,
            label_column=self.label_column,
            against=self.against,
            workers=self.workers,
            max_pixels=images.MAX_PIXELS if self.max_pixels is None else self.max_pixels,
            every_thumbnail=every_thumbnail,
            cache=self.cache,
            on_event=on_event,
        )

    def _refuse(self, meant: str, kind: str, instead: str, given: dict[str, Any]) -> None:
        for flag, value in given.items():
            if value is not None:
                raise CurvauditError(f"{flag} {meant}; {self.name} is {kind}.", f"Leave it out, or {instead}.")
