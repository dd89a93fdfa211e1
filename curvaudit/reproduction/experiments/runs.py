"""The runs that an experiment reads: given run files, or trainings of its own."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from ... import sources, store
from ...errors import CurvauditError
from ...pictures import depth, images
from ...records import TrainingInfo
from ...scanning import scan
from ...sources import Source, SourceOptions
from ...sources.subset import ROW, Subset, draw
from .. import plots
from .interface import Settings

RUNS = "runs"  # folder of the run files that an experiment trains
HELD_OUT = "held-out"
_SHARE_HELD_OUT = 0.2


@dataclass(frozen=True)
class Chosen:
    """One training of one run."""

    run: store.Run
    training: TrainingInfo

    @property
    def name(self) -> str:
        """For tables and legends."""
        seed = f", seed {self.training.seed}" if self.training.seed else ""
        return f"weight decay {self.training.weight_decay:g}{seed}"

    def described(self) -> dict[str, Any]:
        """What was trained, for the page: schedule, hardware and how far it got."""
        t, config, made = self.training, self.run.info.config, self.run.info.environment
        return {
            "run": self.run.path.name,
            "source": self.run.info.source,
            "pictures": len(self.run.samples),
            "weight decay": t.weight_decay,
            "seed": t.seed,
            "preset": t.recipe.get("preset", ""),
            "epochs": t.epochs,
            "curvature measured in": int(np.isfinite(self.run.epoch_means(t.index, "curvature")).sum()),
            "probes": f"0 to {most}" if (most := t.recipe.get("probes_at_most")) else t.recipe.get("probes", ""),
            "width": config.get("width", ""),
            "resolution": config.get("resolution", ""),
            "memorized": "yes" if t.memorized else "no",
            "seconds": round(float(t.curves.seconds.sum())),
            # Where it was trained, which need not be where this page is made.
            "trained on": f"{made.get('device_name', 'unknown')}, torch {made.get('torch', 'unknown')}",
        }

    def caveats(self) -> Iterator[str]:
        """What limits this training."""
        if not self.training.finished:
            yield f"{self.run.path.name}, {self.name}: unfinished, {self.training.epochs} epochs so far."
        elif not self.training.memorized:
            yield f"{self.run.path.name}, {self.name}: not all was memorized after {self.training.epochs} epochs."
        preset, config = str(self.training.recipe.get("preset", "")), self.run.info.config
        if not preset.startswith("paper"):
            yield (
                f"{self.run.path.name}: preset {preset or 'unknown'}, {self.training.epochs} epochs, width "
                f"{config.get('width', '?')}, {config.get('resolution', '?')} px; the paper trains a network of width "
                "64 for 200 to 300 epochs and measures ten probes in each."
            )


def opened(paths: Sequence[str]) -> list[Chosen]:
    """Every training with a finished epoch of the run files.

    Raises
    ------
    CurvauditError
        A file cannot be read, or none has a finished epoch.
    """
    runs = [store.open_run(path) for path in paths]
    found = [Chosen(run, one) for run in runs for one in run.trainings if one.epochs]
    if not found:
        raise CurvauditError(f"{', '.join(paths)}: no finished epoch.", "Wait for the scan, or resume it.")
    return found


def source(settings: Settings, name: str, split: str | None = None) -> Source:
    """One data set of the settings.

    Raises
    ------
    CurvauditError
        It cannot be read.
    """
    data_dir = sources.data_dir_of(name, settings.data_dir, settings.source)
    return sources.load(
        name,
        SourceOptions(
            split or settings.split, data_dir, settings.download, settings.image_column, settings.label_column
        ),
    )


def only(settings: Settings, default: str) -> str:
    """The one data set that an experiment takes."""
    if len(settings.source) > 1:
        raise CurvauditError("This experiment takes one --source.", "Run it once for each.")
    return settings.source[0] if settings.source else default


def with_validation(settings: Settings, name: str, count: int | None) -> tuple[Subset, str]:
    """`count` pictures and the name of their second split: that of `--validation`, else a fifth held out by lot."""
    whole = source(settings, name)
    if settings.validation is not None:
        other = source(settings, name, settings.validation)
        second = draw(other, None if count is None else max(len(other.classes), count // 5), settings.seed)
        return draw(whole, count, settings.seed, {settings.validation: second}), settings.validation
    drawn = draw(whole, count, settings.seed)
    chance = np.random.default_rng([settings.seed, 1])
    out = np.zeros(len(drawn.rows), bool)
    labels = drawn.labels
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        # A class of one picture stays in the training set: both splits need not hold every class.
        out[chance.permutation(mine)[: int(_SHARE_HELD_OUT * len(mine))]] = True
    if not out.any():
        raise CurvauditError(
            f"{drawn.name}: too few pictures to hold some out.", "Give more --samples, or --validation SPLIT."
        )
    second = Subset(whole, drawn.rows[out])
    return Subset(whole, drawn.rows[~out], {HELD_OUT: second}, drawn.skipped), HELD_OUT


def trained(settings: Settings, data: Any, name: str, **told: Any) -> list[Chosen]:
    """Scan into `runs/NAME.h5` of the output folder; a run that is there is continued.

    Parameters
    ----------
    told:
        Settings of `scan` that the experiment decides; what the user gave wins.
    """
    folder = settings.out / RUNS
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.h5"
    given: dict[str, Any] = {"device": settings.device, "workers": settings.workers}
    given |= {key: value for key, value in told.items() if value is not None}
    for key in ("epochs", "width", "resolution"):
        if (value := getattr(settings, key)) is not None:
            given[key] = value
    run = scan(data, path, resume=path.exists(), on_event=settings.on_event, **given)
    return [Chosen(run, one) for one in run.trainings]


def source_rows(run: store.Run) -> np.ndarray:
    """Row in the source that each sample came from, (N,) int64: as `reproduce` noted it, else the row itself."""
    noted = run.samples.columns.get(ROW)
    return np.arange(len(run.samples)) if noted is None else np.array([int(row) for row in noted], np.int64)


def pictures(settings: Settings, run: store.Run, rows: Sequence[int], told: Mapping[int, plots.Picture]) -> list[Any]:
    """The pictures of `rows` with the texts and marks of `told`.

    From the run file; those that it does not keep (a scan that is not over) from `--source`, where it is given.
    """
    kept = run.thumbnails(sorted(set(rows)))
    missing = [row for row in rows if row not in kept]
    found = {row: np.asarray(Image.open(io.BytesIO(content)).convert("RGB")) for row, content in kept.items()}
    if missing and settings.source:
        data, places = source(settings, settings.source[0]), source_rows(run)
        for row in missing:
            place = int(places[row])
            if place < len(data.ids) and data.ids[place] == run.samples.ids[row]:
                content = images.thumbnail(depth.to_8_bit(data.open(place), depth.Scales()))
                found[row] = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    return [plots.Picture(found.get(row), told[row].text, told[row].mark) for row in rows]
