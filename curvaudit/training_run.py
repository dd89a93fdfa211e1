"""One training of a scan: train an epoch, keep a checkpoint, measure, commit, until all is memorized."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import clock, store
from .errors import CurvauditError
from .records import Advanced, EpochDone, EpochRow, Event, Notice, PhaseStarted, RunInfo, Skipped
from .scan_settings import ScanSettings
from .scores import ScoreSettings, build
from .training.processes import ALONE, Processes

if TYPE_CHECKING:
    import torch

    from .scores import Score
    from .training.checkpoint import Checkpoint
    from .training.recipe import Recipe

_CALIBRATED = 256  # pictures at once, as in training mode they take several times the memory of measuring
_VALIDATION_ROWS = 1 << 40  # probes of validation samples must not repeat those of the training set


@dataclass(frozen=True)
class Pixels:
    pixels: torch.Tensor  # (N, C, H, W) uint8
    labels: torch.Tensor  # (N,) int64
    file: Path | None  # where other processes find the pixels; None: in memory


@dataclass(frozen=True)
class Work:
    """Everything that all trainings of one scan share."""

    path: Path
    info: RunInfo
    settings: ScanSettings
    recipe: Recipe
    device: torch.device
    bf16: bool
    width: int
    classes: int
    data: Pixels
    validation: Pixels | None
    memorizable: np.ndarray  # (N,) bool
    skipped: tuple[Skipped, ...]
    processes: Processes = ALONE

    @property
    def identity(self) -> str:
        """Settings and source as one text, by which a checkpoint knows its run."""
        said = json.dumps(binding(self.info.config), sort_keys=True, default=str) + self.info.source_fingerprint
        return blake2b(said.encode("utf-8", "backslashreplace"), digest_size=16).hexdigest()


class Training:
    """One training of a scan: fresh, resumed or already finished."""

    def __init__(
        self, work: Work, index: int, weight_decay: float, seed: int, on_event: Callable[[Event], None]
    ) -> None:
        self.work = work
        self.index = index
        self.weight_decay = weight_decay
        self.seed = seed
        recipe = work.recipe
        self.scores = build(
            ScoreSettings(
                probes=recipe.probes,
                most_probes=recipe.most_probes,
                step=work.settings.step,
                seed=seed,
                least_loss=recipe.curvature_least_loss,
            )
        )
        self.on_event = on_event
        # Rows that could be memorized and were wrong after the last epoch, and before it those of the one before.
        self._wrong: deque[np.ndarray] = deque(maxlen=2)
        self._gradients: list[float] = []  # mean over all samples, one for each epoch in which they were measured

    def run(self) -> None:
        """Train from wherever the run file says this training stands, until memorized."""

        from .training.loop import build_optimizer
        from .training.model import build_model, pixel_statistics

        work = self.work
        finished, epochs = work.processes.told(self._standing)
        if finished:
            return
        mean, std = pixel_statistics(work.data.pixels)
        model = build_model(
            classes=work.classes,
            channels=work.data.pixels.shape[1],
            resolution=work.data.pixels.shape[-1],
            width=work.width,
            mean=mean,
            std=std,
            seed=self.seed,
        ).to(work.device)
        # Before anything is measured, too: a resumed scan may measure first.
        work.processes.share_statistics(model)
        optimizer = build_optimizer(model, work.recipe, self.weight_decay)
        self._continue(model, optimizer, epochs)

    def _standing(self) -> tuple[bool, int]:
        """Whether the run file has all of this training, which is added if need be, and how many epochs."""
        work = self.work
        for training in store.open_run(work.path).trainings:
            if training.index == self.index:
                return training.finished, training.epochs
        store.add_training(
            work.path,
            self.index,
            self.weight_decay,
            self.seed,
            work.recipe.as_dict(),
            {score.name: score.info for score in self.scores},
        )
        return False, 0

    def _restored(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer, rows: int) -> tuple[int, bool | None]:
        """Bring the network to where `rows` epochs are logged; (epochs trained, memorized, if anybody asks)."""
        from .training import checkpoint as checkpoints

        work, recipe = self.work, self.work.recipe
        file = checkpoints.path_for(work.path)
        saved = checkpoints.load(file)
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
        if saved is None:
            return 0, None
        if rows >= recipe.epochs - 1:
            self._wrong.extend(np.array(one, np.int64) for one in work.processes.told(self._wrong_lately))
        if recipe.most_probes is not None:  # else nobody asks, and the file may be large
            self._gradients += work.processes.told(self._gradients_so_far)
        model.load_state_dict(saved.model)
        optimizer.load_state_dict(saved.optimizer)
        if saved.epoch == rows + 1:
            # Killed between training and measuring: the checkpoint holds what to measure.
            return saved.epoch, self._log(model, saved)
        return saved.epoch, len(self._wrong[-1]) == 0 if rows >= recipe.epochs else None

    def _continue(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer, rows: int) -> None:
        from .training import checkpoint as checkpoints
        from .training.loop import train

        work, recipe = self.work, self.work.recipe
        done, remembered = self._restored(model, optimizer, rows)
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
            processes=work.processes,
            # Of two that look alike under two labels either is wrong in turns, until both are rehearsed.
            still_wrong=lambda: reduce(np.union1d, self._wrong, np.zeros(0, np.int64)),
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
            if work.processes.first:
                checkpoints.save(checkpoints.path_for(work.path), state)
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

    def _wrong_lately(self) -> list[list[int]]:
        """What an uninterrupted training remembers of its last two epochs."""
        last = deque(store.open_run(self.work.path).measure_epochs(self.index, "correct"), maxlen=2)
        return [self._wrong_of(correct > 0).tolist() for correct in last]

    def _gradients_so_far(self) -> list[float]:
        logged = store.open_run(self.work.path).measure_epochs(self.index, "gradient")
        return [_mean(values) for values in logged if _usable(values)]

    def _wrong_of(self, correct: np.ndarray) -> np.ndarray:
        return np.flatnonzero(self.work.memorizable & ~correct)

    def _finish(self, memorized: bool, epochs: int) -> None:
        if not self.work.processes.first:
            return
        store.finish_training(self.work.path, self.index, memorized)
        if not memorized:
            left, can = len(self._wrong[-1]), int(self.work.memorizable.sum())
            every = len(self.work.memorizable)
            of = f"{every} pictures" if can == every else f"the {can} pictures that can be memorized"
            self.on_event(
                Notice(
                    f"not memorized after {epochs} epochs: {left} of {of} {'is' if left == 1 else 'are'} still "
                    "classified wrongly (CA203 in the report names them); more --epochs may help",
                    "warning",
                )
            )

    def _log(self, model: torch.nn.Module, state: Checkpoint) -> bool:
        """Measure the network as it is, commit the epoch, say so; True if memorized."""
        begun = clock.seconds()
        measured = self._measure(model, state.epoch)
        if _usable(measured.values.get("gradient")):
            self._gradients.append(_mean(measured.values["gradient"]))
        self._wrong.append(self._wrong_of(measured.correct))
        memorized = len(self._wrong[-1]) == 0
        if self.work.processes.first:
            seconds = state.seconds + clock.seconds() - begun
            self._commit(state, measured, seconds)
            self._tell(state, measured, seconds, memorized)
        return memorized

    def _measure(self, model: torch.nn.Module, number: int) -> _Measured:
        """All that is kept of one epoch."""
        from .scores.measure import bears_rounding, measure
        from .training import features
        from .training.batch_norm import calibrate
        from .training.device import measuring_batch
        from .training.measured import as_measured

        work = self.work
        batch_size = measuring_batch(work.data.pixels.shape[-1], work.width, work.device)
        self.on_event(PhaseStarted(f"measuring epoch {number}", len(work.data.labels), "pictures"))
        calibrate(model, work.data.pixels, min(batch_size, _CALIBRATED), work.device, work.processes)
        network = as_measured(model, work.device, bf16=work.bf16, rounding=bears_rounding(self.scores))
        usual = float(np.mean(self._gradients)) if self._gradients else None
        full = work.recipe.measures_curvature(number)
        scores = [score for score in self.scores if full or score.needs == "forward"]

        def measure_all(
            data: Pixels, scores: Sequence[Score], first_row: int, say: Callable[[int], None] | None
        ) -> dict[str, np.ndarray]:
            count = len(data.labels)
            rows = work.processes.batches(count, batch_size)
            mine = measure(
                network,
                data.pixels[rows],
                data.labels[rows],
                scores,
                epoch=number,
                batch_size=batch_size,
                device=work.device,
                first_row=first_row + rows.start,
                usual_gradient=usual,
                on_batch=say,
            )
            return work.processes.merged(mine, rows, count)

        values = measure_all(work.data, scores, 0, lambda count: self.on_event(Advanced(count * work.processes.size)))
        second: dict[str, np.ndarray] = {}
        if work.validation is not None:
            both = [score for score in scores if score.name in ("loss", "curvature")]
            second = measure_all(work.validation, both, _VALIDATION_ROWS, None)
        kept = None
        if number == features.logged_in(work.recipe):
            count = len(work.data.labels)
            rows = work.processes.batches(count, batch_size)
            part = features.features(network, work.data.pixels[rows], batch_size=batch_size, device=work.device)
            kept = work.processes.merged({"features": part}, rows, count)["features"]  # (N, D)
        return _Measured(values, second, kept)

    def _commit(self, state: Checkpoint, measured: _Measured, seconds: float) -> None:
        store.append_epoch(
            self.work.path,
            self.index,
            EpochRow(
                number=state.epoch,
                train_loss=state.train_loss,
                train_accuracy=float(measured.correct.mean()),
                val_loss=measured.validation_mean("loss"),
                val_curvature=measured.validation_mean("curvature"),
                learning_rate=state.learning_rate,
                seconds=seconds,
                measures=measured.values,
                features=measured.features,
            ),
        )

    def _tell(self, state: Checkpoint, measured: _Measured, seconds: float, memorized: bool) -> None:
        work, recipe, number = self.work, self.work.recipe, state.epoch
        trainings = len(work.settings.trainings)
        # Beyond the schedule only the bound is known: a training ends as soon as all is memorized.
        bound = recipe.epochs if number < recipe.epochs or memorized else recipe.epochs + recipe.extension
        left = max(0, bound - number) + recipe.epochs * (trainings - 1 - self.index)
        self.on_event(
            EpochDone(
                training=self.index,
                trainings=trainings,
                weight_decay=self.weight_decay,
                epoch=number,
                planned=recipe.epochs,
                train_loss=state.train_loss,
                train_accuracy=float(measured.correct.mean()),
                memorized_share=float(measured.correct[work.memorizable].mean()) if work.memorizable.any() else 1.0,
                curvature=_mean(measured.values["curvature"]) if "curvature" in measured.values else None,
                seconds=seconds,
                seconds_left=left * seconds,
            )
        )


@dataclass(frozen=True)
class _Measured:
    """What one epoch leaves."""

    values: Mapping[str, np.ndarray]  # score -> (N,) float32
    validation: Mapping[str, np.ndarray]  # score -> (M,) float32; empty without a second split
    features: np.ndarray | None  # (N, D), in one epoch of a training

    @property
    def correct(self) -> np.ndarray:
        """Classified as labelled, (N,) bool."""
        found: np.ndarray = self.values["correct"] > 0
        return found

    def validation_mean(self, score: str) -> float:
        """NaN where it was not measured."""
        return _mean(self.validation[score]) if score in self.validation else float("nan")


def _usable(gradient: np.ndarray | None) -> bool:
    """Whether the gradients of an epoch, (N,), were measured and are all numbers: a mean of others says nothing."""
    return gradient is not None and bool(np.isfinite(gradient).all())


def _mean(values: np.ndarray) -> float:
    """Of (N,) float32, the same to the last bit whether they were just measured or read again."""
    return float(values.mean(dtype=np.float64))


def binding(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings, flat, that may not change until a scan is over.

    The same source may lie elsewhere or be named in another way; its fingerprint tells.
    """
    return {
        name: value
        for name, value in flat(config).items()
        if not name.endswith("_reason") and name not in ("source", "data_dir")
    }


def flat(config: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            flat.update({f"{name}.{inner}": item for inner, item in value.items()})
        else:
            flat[name] = value
    return {name: list(value) if isinstance(value, tuple) else value for name, value in flat.items()}
