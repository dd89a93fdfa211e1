"""One training of a scan: train an epoch, keep a checkpoint, measure, commit, until all is memorized."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from .. import clock, store
from ..errors import CurvauditError
from ..records import Advanced, EpochDone, EpochRow, Event, Notice, PhaseStarted
from ..scores import dealing
from .measuring import Gradients, Measured, Measuring
from .work import Work

if TYPE_CHECKING:
    import torch

    from ..training.aside import Inline
    from ..training.checkpoint import Checkpoint


class Training:
    """One training of a scan: fresh, resumed or already finished."""

    def __init__(
        self, work: Work, index: int, weight_decay: float, seed: int, on_event: Callable[[Event], None]
    ) -> None:
        self.work = work
        self.index = index
        self.weight_decay = weight_decay
        self.seed = seed
        self.measuring = Measuring(work, seed)
        self.on_event = on_event
        # Rows that could be memorized and were wrong after the last epoch, and before it those of the one before.
        self._wrong: deque[np.ndarray] = deque(maxlen=2)
        self._pending: Checkpoint | None = None  # of the epoch that is being measured
        self._since = 0.0  # when the last epoch was committed, or this training went on

    def run(self) -> None:
        """Train from wherever the run file says this training stands, until memorized."""

        from ..training.loop import build_optimizer
        from ..training.model import build_model, pixel_statistics

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
            {score.name: score.info for score in self.measuring.scores},
        )
        return False, 0

    def _restored(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer, rows: int) -> Checkpoint | None:
        """Bring the network to where `rows` epochs are logged: what it stands at, which may wait to be measured."""
        from ..training import checkpoint as checkpoints

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
            return None
        if rows >= recipe.epochs - 1:
            self._wrong.extend(np.array(one, np.int64) for one in work.processes.told(self._wrong_lately))
        if self.measuring.asks_before:  # else the file, which may be large, need not be read
            self.measuring.gradients = self._gradients_so_far()
        model.load_state_dict(saved.model)
        optimizer.load_state_dict(saved.optimizer)
        return saved

    def _continue(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer, rows: int) -> None:
        from ..training import checkpoint as checkpoints
        from ..training.aside import aside
        from ..training.loop import train
        from ..training.together import followed, sharing

        work, recipe = self.work, self.work.recipe
        saved = self._restored(model, optimizer, rows)
        done = saved.epoch if saved else 0
        self._since = clock.seconds()
        beside: Inline[Measured] = aside(work.device, recipe, work.processes)
        with beside:
            if saved and done > rows:  # killed between training and commit
                self._since -= saved.seconds
                self._measure(model, saved, beside)
            if self._over(done, beside):
                return
            self._prepare(done + 1, beside)
            together = sharing(work.device, recipe, work.processes)
            epochs = train(
                model,
                optimizer,
                work.data.pixels,
                work.data.labels,
                recipe,
                seed=self.seed,
                first_epoch=done + 1,
                device=work.device,
                bf16=work.bf16,
                processes=together,
                # Of two that look alike under two labels either is wrong in turns, until both are rehearsed.
                still_wrong=lambda: reduce(np.union1d, self._wrong, np.zeros(0, np.int64)),
                on_batch=lambda count: self._advanced(count, beside),
            )
            if together.size < work.processes.size:
                epochs = followed(epochs, model, work.processes)
            for epoch in epochs:
                self._settle(beside)
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
                    seconds=clock.seconds() - self._since,
                    model=model.state_dict(),
                    optimizer=optimizer.state_dict(),
                )
                if work.processes.first:
                    checkpoints.save(checkpoints.path_for(work.path), state)
                self._measure(model, state, beside)
                if self._over(epoch.number, beside):
                    return
                self._prepare(epoch.number + 1, beside)

    def _measure(self, model: torch.nn.Module, state: Checkpoint, beside: Inline[Measured]) -> None:
        """Begin to measure the network as it is."""
        network, number = copy.deepcopy(model), state.epoch  # what is measured stays while training goes on
        beside.begin(lambda gate, on_done: self.measuring.measure(network, number, gate, on_done))
        self._pending = state

    def _prepare(self, epoch: int, beside: Inline[Measured]) -> None:
        """Before an epoch is trained: what it must know is settled, and the cores are shared if it is not alone."""
        scheduled = epoch <= self.work.recipe.epochs
        if not beside.ahead or not scheduled:  # beyond the schedule it depends on what is still wrong
            self._settle(beside)
        beside.share(scheduled and epoch > 1)  # by its number alone: a resumed scan does the same
        self.on_event(PhaseStarted(f"training epoch {epoch}", len(self.work.data.labels), "pictures", "training"))

    def _advanced(self, count: int, beside: Inline[Measured]) -> None:
        self.on_event(Advanced(count))
        if self._pending is not None and beside.ready:
            self._settle(beside)

    def _settle(self, beside: Inline[Measured]) -> None:
        """Commit what is being measured, if anything is, and say so."""
        state = self._pending
        if state is None:
            return
        if not beside.ready:
            count = len(self.work.data.labels)
            self.on_event(PhaseStarted(f"measuring epoch {state.epoch}", count, "pictures", "measuring"))
        measured = beside.wait(lambda count: self.on_event(Advanced(count)))
        self._pending = None
        self.measuring.gradients.add(measured.values)
        self._wrong.append(self._wrong_of(measured.correct))
        now = clock.seconds()
        if self.work.processes.first:
            self._commit(state, measured, now - self._since)
            self._tell(state, measured, now - self._since)
        self._since = now

    def _over(self, done: int, beside: Inline[Measured]) -> bool:
        """Whether the training is finished after so many epochs, of which the run file then says so."""
        recipe = self.work.recipe
        if done < recipe.epochs:
            return False
        self._settle(beside)
        memorized = len(self._wrong[-1]) == 0
        if not memorized and done < recipe.epochs + recipe.extension:
            return False
        self._finish(memorized, done)
        return True

    def _wrong_lately(self) -> list[list[int]]:
        """What an uninterrupted training remembers of its last two epochs."""
        last = deque(store.open_run(self.work.path).measure_epochs(self.index, "correct"), maxlen=2)
        return [self._wrong_of(correct > 0).tolist() for correct in last]

    def _gradients_so_far(self) -> Gradients:
        """What the run file says, which the first process alone reads."""
        processes = self.work.processes
        found = self.measuring.gradients
        if processes.first:
            run = store.open_run(self.work.path)
            names = dealing.ASKED if dealing.NAME in run.training(self.index).measures else ("gradient",)
            for values in zip(*(run.measure_epochs(self.index, name) for name in names), strict=True):
                found.add(dict(zip(names, values, strict=True)))
        total = processes.array(found.total)
        return Gradients(total, *processes.told(lambda: (found.epochs, found.usual, found.above, found.ratio)))

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

    def _commit(self, state: Checkpoint, measured: Measured, seconds: float) -> None:
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

    def _tell(self, state: Checkpoint, measured: Measured, seconds: float) -> None:
        work, recipe, number = self.work, self.work.recipe, state.epoch
        trainings = len(work.settings.trainings)
        # Beyond the schedule only the bound is known: a training ends as soon as all is memorized.
        longer = number >= recipe.epochs and len(self._wrong[-1]) > 0
        bound = recipe.epochs + recipe.extension if longer else recipe.epochs
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
                curvature=measured.mean("curvature"),
                seconds=seconds,
                seconds_left=left * seconds,
            )
        )
