"""Use case: train until everything is memorized and log every score of every epoch."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import __version__, clock, gallery, images, inventory, locking, sources, store
from .errors import CurvauditError
from .memorization import memorizable
from .records import (
    Advanced,
    EpochDone,
    EpochRow,
    Event,
    Notice,
    PhaseStarted,
    RunInfo,
    Skipped,
    Thumbnails,
    TrainingInfo,
)
from .scores import ScoreSettings, build

if TYPE_CHECKING:
    import torch

    from .training.recipe import Recipe

DEFAULT_RUN = "curvaudit.h5"
_VALIDATION_ROWS = 1 << 40  # probes of validation samples must not repeat those of the training set


@dataclass(frozen=True)
class ScanSettings:
    """Everything a scan can be told. None and "auto" are decided from data and device."""

    split: str | None = None
    data_dir: str | None = None
    download: bool = False
    image_column: str | None = None
    label_column: str | None = None
    validation: str | None = None  # a second split whose loss and curvature are logged too
    preset: str = "fast"
    epochs: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    weight_decay: tuple[float, ...] = (0.0,)
    seed: int = 0
    repeats: int = 1  # trainings for each weight decay, seeded seed, seed + 1, …
    augment: bool | None = None
    curvature_every: int | None = None
    probes: int | None = None
    step: float = 1e-3
    resolution: str = "auto"
    width: str = "auto"
    device: str = "auto"
    precision: str = "auto"
    workers: int | None = None
    max_pixels: int = images.MAX_PIXELS  # of one picture; larger ones are named, not decoded

    @property
    def trainings(self) -> tuple[tuple[float, int], ...]:
        """(weight decay, seed) of every training, in the order of the run file."""
        seeds = range(self.seed, self.seed + self.repeats)
        return tuple((decay, seed) for decay in self.weight_decay for seed in seeds)

    def source_options(self) -> sources.SourceOptions:
        """The part that concerns where the pictures come from."""
        return sources.SourceOptions(self.split, self.data_dir, self.download, self.image_column, self.label_column)

    def check(self) -> None:
        """Raises CurvauditError for a value that cannot mean anything."""
        for name, value, low in (
            ("--epochs", self.epochs, 1),
            ("--batch-size", self.batch_size, 2),
            ("--curvature-every", self.curvature_every, 1),
            ("--probes", self.probes, 1),
            ("--workers", self.workers, 1),
            ("--seed", self.seed, 0),
            ("--repeats", self.repeats, 1),
            ("--max-pixels", self.max_pixels, 1),
        ):
            if value is not None and value < low:
                raise CurvauditError(f"{name} {value} is too small.", f"The least is {low}.")
        if self.seed >= 2**63:
            raise CurvauditError(f"--seed {self.seed} is too large.", "The largest is 2^63 - 1.")
        for name, number in (("--lr", self.lr), ("--step", self.step)):
            if number is not None and not 0 < number < float("inf"):
                raise CurvauditError(f"{name} {number} is not a positive number.", "Give a positive number.")
        if not self.weight_decay or any(not 0 <= value < 1 for value in self.weight_decay):
            given = ",".join(str(value) for value in self.weight_decay)
            raise CurvauditError(
                f"--weight-decay {given!r} is not a list of values from 0 up to 1.",
                "For example --weight-decay 0,1e-4.",
            )
        if len(set(self.weight_decay)) < len(self.weight_decay):
            raise CurvauditError("--weight-decay names one value twice.", "Give each value once.")


def scan(
    source: Any,
    out: str | os.PathLike[str] = DEFAULT_RUN,
    *,
    resume: bool = False,
    overwrite: bool = False,
    on_event: Callable[[Event], None] = lambda event: None,
    **settings: Any,
) -> store.Run:
    """Audit a data set: train, measure every sample in every epoch, write a run file.

    Parameters
    ----------
    source:
        A folder, a file (`.npz`, `.csv`, `.jsonl`, `.parquet`, `.tar`), the name of a known set,
        a torch `Dataset` of (image, label), or a `sources.Source`; docs/sources.md lists them.
    out:
        The run file. Each finished epoch is durable in it.
    resume:
        Continue the run at `out`; its settings and its source must be the same.
    overwrite:
        Replace an existing file at `out`.
    on_event:
        Called with what happens, see `records.Event`.
    settings:
        The fields of `ScanSettings`, for example `epochs=30`.

    Returns
    -------
    The finished run, open for reading.

    Raises
    ------
    CurvauditError
        Bad settings, nothing to audit, an existing or damaged run file, another scan on it,
        pictures that change meanwhile, no space, diverged training. Finished epochs are kept.
    """
    wanted = settings_from(settings)
    path = Path(out)
    _check_folder(path, resume, overwrite)
    with locking.locked(path), images.pixel_limit(wanted.max_pixels):
        _check_existing(path, resume, overwrite)
        return _scan(source, path, resume, overwrite, wanted, on_event)


def _scan(
    source: Any, path: Path, resume: bool, overwrite: bool, wanted: ScanSettings, on_event: Callable[[Event], None]
) -> store.Run:
    loaded = sources.load(source, wanted.source_options())
    second = _second_split(source, wanted)
    workers = wanted.workers or min(8, os.cpu_count() or 1)
    stock = _take(loaded, workers, "reading pictures", on_event)
    with _Scratch(path) as scratch:
        work = _prepare(source, stock, second, wanted, path, scratch, workers, on_event)
        if resume:
            _check_same(store.open_run(path), work.info)
        else:
            # Before, not after: a kill in between would leave another run's checkpoint beside the new run.
            _checkpoint_path(path).unlink(missing_ok=True)
            store.create(
                path, work.info, stock.samples, work.skipped, stock.thumbnails or _NO_THUMBNAILS, overwrite=overwrite
            )
        with _memory_named(path):
            for index, (weight_decay, seed) in enumerate(wanted.trainings):
                _Training(work, index, weight_decay, seed, on_event).run()
    if stock.thumbnails is None:
        rows = gallery.rows_worth_showing(store.open_run(path))
        thumbnails = gallery.draw(stock.open, rows)
        if len(thumbnails.rows) < len(rows):
            lost = len(rows) - len(thumbnails.rows)
            on_event(Notice(f"{lost} pictures changed since they were scanned; the report cannot show them", "warning"))
        store.set_thumbnails(path, thumbnails)
    _checkpoint_path(path).unlink(missing_ok=True)
    return store.open_run(path)


_NO_THUMBNAILS = Thumbnails(np.zeros(0, np.int64), ())


def settings_from(given: Mapping[str, Any]) -> ScanSettings:
    """Checked settings from keyword arguments of `scan`.

    Raises
    ------
    CurvauditError
        There is no such setting, or its value cannot mean anything.
    """
    unknown = sorted(set(given) - set(ScanSettings.__dataclass_fields__))
    if unknown:
        raise CurvauditError(
            f"scan() has no setting {unknown[0]!r}.",
            f"It knows {', '.join(ScanSettings.__dataclass_fields__)}.",
        )
    values = dict(given)
    decay = values.get("weight_decay")
    if isinstance(decay, (int, float)):
        values["weight_decay"] = (float(decay),)
    elif decay is not None:
        values["weight_decay"] = tuple(float(value) for value in decay)
    for name in ("resolution", "width"):
        if name in values:
            values[name] = str(values[name])
    settings = ScanSettings(**values)
    settings.check()
    return settings


def _checkpoint_path(path: Path) -> Path:
    return path.with_name(path.name + ".checkpoint")


def _check_folder(path: Path, resume: bool, overwrite: bool) -> None:
    """Say what is wrong with the output before hours of work, not after."""
    if resume and overwrite:
        raise CurvauditError("--resume and --overwrite exclude each other.", "Give one of them.")
    if path.is_dir():
        raise CurvauditError(f"The run file {path} is a folder.", "Give a file name with -o, for example run.h5.")
    if not path.parent.is_dir():
        raise CurvauditError(f"The folder {path.parent} for the run file does not exist.", "Create it first.")
    if not os.access(path.parent, os.W_OK):
        raise CurvauditError(f"The folder {path.parent} cannot be written to.", "Choose another place with -o.")


def _check_existing(path: Path, resume: bool, overwrite: bool) -> None:
    if resume:
        store.open_run(path)
    elif path.exists() and not overwrite:
        raise CurvauditError(
            f"The run file {path} exists already.",
            "Use --resume to continue it, --overwrite to start anew, or -o for another file.",
        )


@contextmanager
def _memory_named(path: Path) -> Iterator[None]:
    """Running out of memory, of whatever device, as an error that says what helps."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # torch raises RuntimeError, on the CPU without a type of its own.
        said = str(error).lower()
        if not isinstance(error, MemoryError) and "out of memory" not in said and "can't allocate memory" not in said:
            raise
        raise CurvauditError(
            f"There is not enough memory to train or measure; finished epochs are kept in {path}.",
            "Close other programs and --resume, or start anew with a smaller --batch-size, --resolution or --width.",
        ) from error


class _Scratch:
    """The files for pixels that do not fit into memory; gone when the scan ends."""

    def __init__(self, path: Path) -> None:
        self.path = path.with_name(path.name + ".pixels")

    @property
    def validation(self) -> Path:
        """For the second split."""
        return self.path.with_name(self.path.name + ".val")

    def __enter__(self) -> _Scratch:
        self._remove()  # of a killed scan
        return self

    def __exit__(self, *ignored: object) -> None:
        self._remove()

    def _remove(self) -> None:
        for leftover in (self.path, self.validation):
            with suppress(OSError):
                leftover.unlink(missing_ok=True)


def _second_split(source: Any, wanted: ScanSettings) -> sources.Source | None:
    """The split that `--validation` names, found before anything is read."""
    if wanted.validation is None:
        return None
    try:
        return sources.load(source, replace(wanted.source_options(), split=wanted.validation))
    except CurvauditError as error:
        raise CurvauditError(
            f"--validation {wanted.validation}: {error.message}",
            "Name another split of the source, or leave out --validation.",
        ) from error


def _take(source: sources.Source, workers: int, phase: str, on_event: Callable[[Event], None]) -> inventory.Inventory:
    on_event(PhaseStarted(phase, len(source.ids), "pictures"))
    return inventory.take(source, workers, lambda done: on_event(Advanced(done)))


@dataclass(frozen=True)
class _Pixels:
    pixels: torch.Tensor  # (N, C, H, W) uint8
    labels: torch.Tensor  # (N,) int64


@dataclass(frozen=True)
class _Work:
    """Everything that all trainings of one scan share."""

    path: Path
    info: RunInfo
    settings: ScanSettings
    recipe: Recipe
    device: torch.device
    bf16: bool
    width: int
    classes: int
    data: _Pixels
    validation: _Pixels | None
    memorizable: np.ndarray  # (N,) bool
    skipped: tuple[Skipped, ...]

    @property
    def identity(self) -> str:
        """Settings and source as one text, by which a checkpoint knows its run."""
        said = json.dumps(_flat(self.info.config), sort_keys=True, default=str) + self.info.source_fingerprint
        return blake2b(said.encode("utf-8", "backslashreplace"), digest_size=16).hexdigest()


def _prepare(
    spec: Any,
    stock: inventory.Inventory,
    second: sources.Source | None,
    settings: ScanSettings,
    path: Path,
    scratch: _Scratch,
    workers: int,
    on_event: Callable[[Event], None],
) -> _Work:
    import torch

    from .training import device as choices
    from .training import presets

    device = choices.choose_device(settings.device)
    bf16 = choices.choose_bf16(settings.precision, device)
    resolution = choices.choose_resolution(settings.resolution, stock.samples.width, stock.samples.height, device)
    width = choices.choose_width(settings.width, resolution.value, device)
    channels = 1 if stock.grey else 3
    recipe = _with_overrides(presets.named(settings.preset, len(stock.samples), channels), settings)
    for name, choice in (("resolution", resolution), ("width", width)):
        on_event(Notice(f"{name} {choice.value}: {choice.reason}"))
    unreadable = sum(item.kind == "unreadable" for item in stock.skipped)
    if unreadable:
        on_event(Notice(f"{unreadable} unreadable files are left out and reported as CA301", "warning"))

    def load(what: inventory.Inventory, file: Path, phase: str) -> _Pixels:
        on_event(PhaseStarted(phase, len(what.samples), "pictures"))
        array = inventory.load_pixels(what, resolution.value, file, workers, lambda done: on_event(Advanced(done)))
        return _Pixels(torch.from_numpy(array), torch.from_numpy(what.samples.labels.astype(np.int64)))

    data = load(stock, scratch.path, "loading pixels")
    validation, validation_fingerprint, skipped = None, None, stock.skipped
    if second is not None:
        split = settings.validation
        other = _take(second, workers, f"reading {split} pictures", on_event)
        validation_fingerprint = other.fingerprint()
        if other.samples.classes != stock.samples.classes:
            raise CurvauditError(
                f"Split {split!r} does not hold the same classes as the audited split.",
                "Give both splits the same class folders, or leave out --validation.",
            )
        if validation_fingerprint == stock.fingerprint():
            raise CurvauditError(
                f"--validation {split} names the split that is audited.", "Name another split, or leave it out."
            )
        validation = load(replace(other, grey=stock.grey), scratch.validation, f"loading {split} pixels")
        skipped += tuple(replace(item, id=f"{split}: {item.id}") for item in other.skipped)
    info = RunInfo(
        source=stock.source.name,
        source_fingerprint=stock.fingerprint(),
        config={
            **{name: value for name, value in asdict(settings).items() if name not in ("workers", "download")},
            "source": os.fspath(spec) if isinstance(spec, str | os.PathLike) else None,
            "validation_fingerprint": validation_fingerprint,
            "weight_decay": list(settings.weight_decay),
            "recipe": recipe.as_dict(),
            "resolution": resolution.value,
            "resolution_reason": resolution.reason,
            "width": width.value,
            "width_reason": width.reason,
            "channels": channels,
            "stem": "3x3" if resolution.value <= 64 else "7x7",
            "network": "resnet18",
            "device": device.type,
            "precision": "bf16" if bf16 else "float32",
        },
        environment={
            "curvaudit": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "platform": platform.platform(),
            "threads": torch.get_num_threads(),
            "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        },
        created_by=f"curvaudit {__version__}",
        created_utc=clock.now_utc(),
    )
    return _Work(
        path=path,
        info=info,
        settings=settings,
        recipe=recipe,
        device=device,
        bf16=bf16,
        width=width.value,
        classes=len(stock.samples.classes),
        data=data,
        validation=validation,
        memorizable=memorizable(stock.samples),
        skipped=skipped,
    )


def _with_overrides(recipe: Recipe, settings: ScanSettings) -> Recipe:
    """The preset's recipe with what the user set by hand."""
    changes: dict[str, Any] = {}
    if settings.epochs is not None:
        share = settings.epochs / recipe.epochs
        changes["epochs"] = settings.epochs
        changes["milestones"] = tuple(max(1, round(m * share)) for m in recipe.milestones)
        # At least one: a preset that ends without augmentation does so however short it is.
        changes["plain_epochs"] = max(min(1, recipe.plain_epochs), round(recipe.plain_epochs * share))
        changes["curvature_from"] = 1 + math.floor((recipe.curvature_from - 1) * share)
        changes["extension"] = round(recipe.extension * share)
    for field, value in (
        ("batch_size", settings.batch_size),
        ("learning_rate", settings.lr),
        ("probes", settings.probes),
    ):
        if value is not None:
            changes[field] = value
    if settings.lr is not None:
        # Both parts of a schedule, or the plain epochs would start above a small peak.
        changes["plain_rate"] = recipe.plain_rate * settings.lr / recipe.learning_rate
    if settings.curvature_every is not None:
        every = settings.curvature_every
        changes |= {"curvature_every": every, "curvature_every_augmented": every, "curvature_from": 1}
    if settings.augment is False:
        changes["augmentation"] = "none"
    elif settings.augment is True and recipe.augmentation == "none":
        changes["augmentation"] = "crop-flip"
    return replace(recipe, **changes)


def _check_same(run: store.Run, info: RunInfo) -> None:
    """Refuse to continue a run with another configuration or another source.

    Raises
    ------
    CurvauditError
        Naming every setting that changed.
    """
    old, new, defaults = _flat(run.info.config), _flat(info.config), _flat(asdict(ScanSettings()))
    changed = [
        f"{name} was {before!r} and is now {now!r}"
        for name in sorted(old.keys() | new.keys())
        # A setting that an older curvaudit did not have stood at what is the default now. The same
        # source may lie elsewhere or be named in another way; its fingerprint tells.
        if (before := old.get(name, defaults.get(name))) != (now := new.get(name))
        and not name.endswith("_reason")
        and name not in ("source", "data_dir")
    ]
    if changed:
        raise CurvauditError(
            f"{run.path} cannot be resumed with other settings: {'; '.join(changed)}.",
            "Give the settings of the first start, or use -o for a new run.",
        )
    if run.info.source_fingerprint != info.source_fingerprint:
        raise CurvauditError(
            f"{run.path} cannot be resumed: the pictures, labels or names in {info.source} have changed.",
            "Restore the source, or use -o for a new run.",
        )


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            flat.update({f"{name}.{inner}": item for inner, item in value.items()})
        else:
            flat[name] = value
    return {name: list(value) if isinstance(value, tuple) else value for name, value in flat.items()}


class _Training:
    """One training of a scan: fresh, resumed or already finished."""

    def __init__(
        self, work: _Work, index: int, weight_decay: float, seed: int, on_event: Callable[[Event], None]
    ) -> None:
        self.work = work
        self.index = index
        self.weight_decay = weight_decay
        self.seed = seed
        self.scores = build(ScoreSettings(probes=work.recipe.probes, step=work.settings.step, seed=seed))
        self.on_event = on_event

    def run(self) -> None:
        """Train from wherever the run file says this training stands, until memorized."""
        import torch

        from .training.loop import build_optimizer
        from .training.model import build_model, pixel_statistics

        work = self.work
        known = self._known()
        if known is not None and known.finished:
            return
        if known is None:
            store.add_training(
                work.path,
                self.index,
                self.weight_decay,
                self.seed,
                work.recipe.as_dict(),
                {score.name: score.info for score in self.scores},
            )
        mean, std = pixel_statistics(work.data.pixels)
        if work.device.type == "cuda":
            torch.backends.cudnn.deterministic = True
            torch.backends.cudnn.benchmark = False
        model = build_model(
            classes=work.classes,
            channels=work.data.pixels.shape[1],
            resolution=work.data.pixels.shape[-1],
            width=work.width,
            mean=mean,
            std=std,
            seed=self.seed,
        ).to(work.device)
        optimizer = build_optimizer(model, work.recipe, self.weight_decay)
        self._continue(model, optimizer, 0 if known is None else known.epochs)

    def _known(self) -> TrainingInfo | None:
        for training in store.open_run(self.work.path).trainings:
            if training.index == self.index:
                return training
        return None

    def _continue(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer, rows: int) -> None:
        from .training import checkpoint as checkpoints
        from .training.loop import train

        work, recipe = self.work, self.work.recipe
        file = checkpoints.path_for(work.path)
        saved = checkpoints.load(file, work.device)
        # One that a killed scan of other settings or pictures left behind says nothing here.
        if saved is not None and (saved.run != work.identity or saved.training != self.index):
            saved = None
        if rows == 0 and saved is not None and saved.epoch != 1:
            saved = None  # left by another run: this one has not logged anything that it could follow
        if rows and (saved is None or saved.epoch not in (rows, rows + 1)):
            raise CurvauditError(
                f"{work.path} cannot be resumed: its checkpoint {file.name} is missing or belongs elsewhere.",
                "`curvaudit report` shows what was logged; to train again use --overwrite.",
            )
        done = 0
        remembered: bool | None = None
        if saved is not None:
            model.load_state_dict(saved.model)
            optimizer.load_state_dict(saved.optimizer)
            done = saved.epoch
            if saved.epoch == rows + 1:
                # Killed between training and measuring: the checkpoint holds what to measure.
                remembered = self._log(model, saved)
            elif rows >= recipe.epochs:
                remembered = self._memorized_at_end()
        if self._over(done, remembered):
            self._finish(bool(remembered), done)
            return
        started = clock.seconds()
        self._announce(done + 1)
        for epoch in train(
            model,
            optimizer,
            work.data.pixels,
            work.data.labels,
            recipe,
            seed=self.seed,
            first_epoch=done + 1,
            device=work.device,
            bf16=work.bf16,
            on_batch=lambda count: self.on_event(Advanced(count)),
        ):
            if not np.isfinite(epoch.train_loss):
                raise CurvauditError(
                    f"Training diverged in epoch {epoch.number}: the loss is {epoch.train_loss}.",
                    f"The {epoch.number - 1} finished epochs are kept in {work.path}; "
                    "try a smaller --lr with -o for a new run.",
                )
            state = checkpoints.Checkpoint(
                run=work.identity,
                training=self.index,
                epoch=epoch.number,
                train_loss=epoch.train_loss,
                learning_rate=epoch.learning_rate,
                seconds=clock.seconds() - started,
                model=model.state_dict(),
                optimizer=optimizer.state_dict(),
            )
            checkpoints.save(file, state)
            remembered = self._log(model, state)
            if self._over(epoch.number, remembered):
                self._finish(remembered, epoch.number)
                return
            started = clock.seconds()
            self._announce(epoch.number + 1)

    def _announce(self, epoch: int) -> None:
        self.on_event(PhaseStarted(f"training epoch {epoch}", len(self.work.data.labels), "pictures"))

    def _over(self, done: int, memorized: bool | None) -> bool:
        recipe = self.work.recipe
        return done >= recipe.epochs and (bool(memorized) or done >= recipe.epochs + recipe.extension)

    def _memorized_at_end(self) -> bool:
        correct = store.open_run(self.work.path).last(self.index, "correct") > 0  # (N,)
        return bool(correct[self.work.memorizable].all())

    def _finish(self, memorized: bool, epochs: int) -> None:
        store.finish_training(self.work.path, self.index, memorized)
        if not memorized:
            correct = store.open_run(self.work.path).last(self.index, "correct") > 0  # (N,)
            left = int((~correct & self.work.memorizable).sum())
            self.on_event(
                Notice(
                    f"not memorized after {epochs} epochs: {left} of {len(correct)} pictures are still "
                    "classified wrongly (CA203 in the report names them); more --epochs may help",
                    "warning",
                )
            )

    def _log(self, model: torch.nn.Module, state: Any) -> bool:
        """Measure the network as it is, commit the epoch, say so; True if memorized."""
        from .scores.measure import measure
        from .training.calibrate import calibrate
        from .training.folding import folded

        work, recipe = self.work, self.work.recipe
        begun = clock.seconds()
        number = state.epoch
        full = recipe.measures_curvature(number)
        scores = [score for score in self.scores if full or score.needs == "forward"]
        batch_size = 256 if work.data.pixels.shape[-1] <= 64 else 64
        self.on_event(PhaseStarted(f"measuring epoch {number}", len(work.data.labels), "pictures"))
        calibrate(model, work.data.pixels, batch_size, work.device)
        measured = folded(model)
        values = measure(
            measured,
            work.data.pixels,
            work.data.labels,
            scores,
            epoch=number,
            batch_size=batch_size,
            device=work.device,
            on_batch=lambda count: self.on_event(Advanced(count)),
        )
        val_loss = val_curvature = float("nan")
        if work.validation is not None:
            second = measure(
                measured,
                work.validation.pixels,
                work.validation.labels,
                [score for score in scores if score.name in ("loss", "curvature")],
                epoch=number,
                batch_size=batch_size,
                device=work.device,
                first_row=_VALIDATION_ROWS,
            )
            val_loss = float(second["loss"].mean(dtype=np.float64))
            if full:
                val_curvature = float(second["curvature"].mean(dtype=np.float64))
        correct = values["correct"] > 0  # (N,)
        seconds = state.seconds + clock.seconds() - begun
        store.append_epoch(
            work.path,
            self.index,
            EpochRow(
                number=number,
                train_loss=state.train_loss,
                train_accuracy=float(correct.mean()),
                val_loss=val_loss,
                val_curvature=val_curvature,
                learning_rate=state.learning_rate,
                seconds=seconds,
                measures=values,
            ),
        )
        trainings = len(work.settings.trainings)
        left = max(0, recipe.epochs - number) + recipe.epochs * (trainings - 1 - self.index)
        self.on_event(
            EpochDone(
                training=self.index,
                trainings=trainings,
                weight_decay=self.weight_decay,
                epoch=number,
                planned=recipe.epochs,
                train_loss=state.train_loss,
                train_accuracy=float(correct.mean()),
                memorized_share=float(correct[work.memorizable].mean()) if work.memorizable.any() else 1.0,
                curvature=float(values["curvature"].mean()) if full else float("nan"),
                seconds=seconds,
                seconds_left=left * seconds,
            )
        )
        return bool(correct[work.memorizable].all())
