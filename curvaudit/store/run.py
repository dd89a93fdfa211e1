"""An opened run: what it says, and its scores, features and pictures on demand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from ..errors import CurvauditError, DamagedRun
from ..records import RunInfo, Samples, Skipped, TrainingInfo
from .access import reading
from .beside import place_beside
from .epochs import committed
from .layout import ATTEMPTS, COLUMNS, FEATURES


@dataclass(frozen=True, eq=False)  # as a `Report`
class Run:
    """A run file as it stood when it was opened; the file itself is not held open."""

    path: Path  # as it was named; `file` is where it lies, wherever the program goes meanwhile
    file: Path
    info: RunInfo
    samples: Samples
    skipped: tuple[Skipped, ...]
    trainings: tuple[TrainingInfo, ...]

    def __repr__(self) -> str:
        # As of a `Report`: all fields are as long as the data set.
        trained = f"pictures {len(self.samples)}, trainings {len(self.trainings)}"
        return f"<Run {str(self.path)!r} of {self.info.source!r}: {trained}>"

    @property
    def missing(self) -> int:
        """How many of the trainings that the scan was to do are not finished."""
        decays, repeats = self.info.config.get("weight_decay"), self.info.config.get("repeats")
        planned = len(self.trainings)
        if isinstance(decays, list) and isinstance(repeats, int):  # other programs may write other settings
            planned = max(planned, len(decays) * repeats)
        return planned - sum(training.finished for training in self.trainings)

    def training(self, index: int) -> TrainingInfo:
        """One of `trainings`.

        Raises
        ------
        CurvauditError
            There is no such training.
        """
        for one in self.trainings:
            if one.index == index:
                return one
        known = ", ".join(str(one.index) for one in self.trainings) or "none"
        raise CurvauditError(f"{self.path} has no training {index}.", f"It has {known}.")

    def measure(self, training: int, name: str) -> np.ndarray:
        """All logged values of a score, (E, N) float32.

        Raises
        ------
        CurvauditError
            There is no such training or score. `DamagedRun`: what is there cannot be read; so do all that follow.
        """
        return self._rows(training, name, 0, self.training(training).epochs, slice(None))

    def _reading(self) -> AbstractContextManager[h5py.File]:
        if not self.file.exists():
            raise CurvauditError(f"The run file {self.path} is gone.", f"It was {self.file}. Open it where it is now.")
        return reading(self.file)

    def _rows(self, training: int, name: str, first: int, last: int, columns: slice) -> np.ndarray:
        """Rows `first` to `last` of a score, (last − first, n) float32, from the run file and what waits beside it."""
        known = self.training(training).measures
        if name not in known:
            raise CurvauditError(
                f"{self.path} has no score {name!r} in training {training}.", f"It has {', '.join(known) or 'none'}."
            )
        place = f"trainings/{training}/measures/{name}"
        for attempt in range(ATTEMPTS):
            with self._reading() as file:
                inside = committed(file[f"trainings/{training}"])
                if inside >= last:
                    found: np.ndarray = file[place][first:last, columns]
                    return found
                parts = [file[place][first : max(first, inside), columns]]
            for epoch in range(max(first, inside), last):
                beside = place_beside(self.file, training, epoch + 1)
                if not beside.exists() and attempt + 1 < ATTEMPTS:
                    break  # it has been taken in meanwhile
                with reading(beside) as file:
                    parts.append(file[place][:, columns])
            else:
                return np.concatenate(parts)
        raise AssertionError

    def measure_blocks(self, training: int, name: str) -> Iterator[tuple[slice, np.ndarray]]:
        """(columns, values (E, n)) block after block of samples: memory stays bounded."""
        for start in range(0, len(self.samples), COLUMNS):
            columns = slice(start, min(start + COLUMNS, len(self.samples)))
            yield columns, self._rows(training, name, 0, self.training(training).epochs, columns)

    def measure_epochs(self, training: int, name: str) -> Iterator[np.ndarray]:
        """One finished epoch after another, (N,) float32 each: memory stays bounded."""
        for epoch in range(self.training(training).epochs):
            yield self._rows(training, name, epoch, epoch + 1, slice(None))[0]

    def last(self, training: int, name: str) -> np.ndarray:
        """The last finished epoch of a score, (N,) float32."""
        epochs = self.training(training).epochs
        found: np.ndarray = self._rows(training, name, epochs - 1, epochs, slice(None))[0]
        return found

    def epoch_means(self, training: int, name: str) -> np.ndarray:
        """Mean over the samples that were measured in each epoch, (E,) float64; NaN where none was."""
        total = np.zeros(self.training(training).epochs)
        count = np.zeros(len(total), np.int64)
        for _, block in self.measure_blocks(training, name):
            total += np.nansum(block, axis=1, dtype=np.float64)
            count += (~np.isnan(block)).sum(axis=1)
        means: np.ndarray = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
        return means

    def thumbnail_rows(self) -> np.ndarray:
        """Rows with a kept picture, ascending, (M,) int64."""
        with self._reading() as file:
            return file["thumbnails/rows"][:] if "thumbnails" in file else np.zeros(0, np.int64)

    def _features_file(self, training: int) -> Path:
        """Where features are to be looked for: the last epoch beside the run file that brings some, or the run file."""
        group, epochs = f"trainings/{training}", self.training(training).epochs
        for attempt in range(ATTEMPTS):
            with self._reading() as file:
                inside = committed(file[group])
            for number in range(epochs, inside, -1):
                beside = place_beside(self.file, training, number)
                if not beside.exists() and attempt + 1 < ATTEMPTS:
                    break  # it has been taken in meanwhile
                with reading(beside) as file:
                    if "features" in file[group]:
                        return beside
            else:
                return self.file
        raise AssertionError

    def features_epoch(self, training: int) -> int | None:
        """The epoch whose features are kept, None where there are none."""
        with reading(self._features_file(training)) as file:
            group = file[f"trainings/{training}"]
            if "features" not in group:
                return None
            data = group["features"]
            if data.ndim != 2 or len(data) != len(self.samples):
                raise ValueError(f"the features of training {training} do not fit")
            return int(data.attrs["epoch"])

    def feature_rows(self, training: int, rows: np.ndarray) -> np.ndarray:
        """Features of `rows` (M,), which ascend; (M, D) float32."""
        blocks = self.features(training)
        return np.concatenate([block[rows[(rows >= at.start) & (rows < at.stop)] - at.start] for at, block in blocks])

    def features(self, training: int) -> Iterator[tuple[slice, np.ndarray]]:
        """(rows, features (n, D) float32) block after block of samples: memory stays bounded."""
        place = self._features_file(training)
        for start in range(0, len(self.samples), FEATURES):
            rows = slice(start, min(start + FEATURES, len(self.samples)))
            if not place.exists():  # its epoch has been taken in meanwhile
                place = self._features_file(training)
            with reading(place) as file:
                block = file[f"trainings/{training}/features"][rows].astype(np.float32)
            if not np.isfinite(block).all():
                raise DamagedRun(f"{self.path} holds features that are no numbers.", "Scan again with --overwrite.")
            yield rows, block

    def thumbnails(self, rows: Sequence[int]) -> dict[int, bytes]:
        """Encoded pictures of those `rows` whose picture is kept."""
        return self._pictures("thumbnails", rows)

    def previews(self, rows: Sequence[int]) -> dict[int, bytes]:
        """Larger pictures of those `rows` for which one is kept."""
        return self._pictures("previews", rows)

    def _pictures(self, name: str, rows: Sequence[int]) -> dict[int, bytes]:
        with self._reading() as file:
            if name not in file or len(rows) == 0:
                return {}
            group = file[name]
            kept, offsets, data = group["rows"][:], group["offsets"][:], group["data"]
            place = np.searchsorted(kept, rows)
            found = {}
            for row, position in zip(rows, place, strict=True):
                if position < len(kept) and kept[position] == row:
                    found[int(row)] = data[offsets[position] : offsets[position + 1]].tobytes()
            return found
