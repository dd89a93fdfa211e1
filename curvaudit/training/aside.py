"""Measuring one epoch while the next one is trained.

Small batches do not fill a processor: on two cores a step of 16 pictures of 32 px takes four fifths of the time that it
takes on one. So training takes half of the cores, and the epoch before is measured on the others; on all of them as
soon as training waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from queue import SimpleQueue
from types import TracebackType
from typing import Generic, TypeVar

import torch

from ..scores.threads import MOST, Gate, torch_threads, use_torch_threads
from .processes import Processes
from .recipe import Recipe

_IN_TURN = ContextVar("in turn", default=False)
_Result = TypeVar("_Result")
Task = Callable[[Gate, Callable[[int], None]], _Result]  # passes the gate; says how many samples are finished


class Inline(Generic[_Result]):
    """The same without any threads: what is begun is done when it is waited for.

    Parameters
    ----------
    threads:
        Of torch, for training; None: as many as for measuring.
    small:
        Whether training in small batches takes half of them where `share` says so.
    """

    ahead = False  # whether training may go on before `wait`

    def __init__(self, threads: int | None = None, small: bool = False) -> None:
        self.measuring = torch_threads()
        self.threads = threads or self.measuring
        self.half = max(1, self.threads // 2) if small else self.threads

    def __enter__(self) -> Inline[_Result]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._use(self.measuring)

    def share(self, yes: bool) -> None:
        """Before training: whether this thread leaves cores to what was begun, or uses them all."""
        self._use(self.half if yes else self.threads)

    def begin(self, task: Task[_Result]) -> None:
        """Begin a task; the one before must have been waited for."""
        self._task = task

    @property
    def ready(self) -> bool:
        """Whether `wait` would return at once."""
        return False

    def wait(self, on_done: Callable[[int], None]) -> _Result:
        """What the task returns or raises; `on_done` hears of samples that are finished."""
        self._use(self.measuring)
        return self._task(Gate(), on_done)

    def _use(self, threads: int) -> None:
        if threads != torch_threads():
            use_torch_threads(threads, self.measuring)


class Aside(Inline[_Result]):
    """One task at a time in a thread of its own, on the cores that this thread leaves."""

    ahead = True

    def __init__(self) -> None:
        super().__init__(small=True)
        workers = min(self.threads, MOST)
        self.places = max(1, workers * (self.threads - self.half) // self.threads)
        self.rest = workers - self.places
        self.pool = ThreadPoolExecutor(1)
        self.gate = Gate()
        self.finished: SimpleQueue[int | None] = SimpleQueue()
        self.result: Future[_Result]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.gate.close()
        self.pool.shutdown(cancel_futures=True)
        super().__exit__(kind, error, trace)

    def begin(self, task: Task[_Result]) -> None:
        gate = self.gate = Gate(self.places)
        finished: SimpleQueue[int | None] = SimpleQueue()
        self.finished = finished

        def run() -> _Result:
            try:
                # Not once for the pool, which would not say that it failed: no more threads may be had.
                use_torch_threads(self.threads, self.threads)
                return task(gate, finished.put)
            finally:
                finished.put(None)

        self.result = self.pool.submit(run)

    @property
    def ready(self) -> bool:
        return self.result.done()

    def wait(self, on_done: Callable[[int], None]) -> _Result:
        self.gate.widen(self.rest)
        while (count := self.finished.get()) is not None:
            on_done(count)
        return self.result.result()


def aside(device: torch.device, recipe: Recipe, processes: Processes) -> Inline[_Result]:
    """`Aside` where that is faster: in small batches on several cores, of one process.

    Several processes do not measure beside training, but train on as many threads as one process on all of their cores
    would, for the number of threads is in the last bits of every sum, and training makes those large.
    """
    if device.type != "cpu" or _IN_TURN.get():
        return Inline()
    if processes.size > 1:
        return Inline(processes.cores(torch_threads()), recipe.small_batches)
    return Aside() if recipe.small_batches and torch_threads() > 1 else Inline()


@contextmanager
def in_turn() -> Iterator[None]:
    """Meanwhile nothing is measured beside training, so that the time of both can be told."""
    before = _IN_TURN.set(True)
    try:
        yield
    finally:
        _IN_TURN.reset(before)
