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

_SMALL = 64  # pictures in a batch, from which on training fills the cores better (docs/performance.md)
_IN_TURN = ContextVar("in turn", default=False)
_Result = TypeVar("_Result")
Task = Callable[[Gate, Callable[[int], None]], _Result]  # passes the gate; says how many samples are finished


class Inline(Generic[_Result]):
    """The same without any threads: what is begun is done when it is waited for."""

    ahead = False  # whether training may go on before `wait`

    def __enter__(self) -> Inline[_Result]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def share(self, yes: bool) -> None:
        """Whether this thread leaves cores to what was begun, or uses them all."""

    def begin(self, task: Task[_Result]) -> None:
        """Begin a task; the one before must have been waited for."""
        self._task = task

    @property
    def ready(self) -> bool:
        """Whether `wait` would return at once."""
        return False

    def wait(self, on_done: Callable[[int], None]) -> _Result:
        """What the task returns or raises; `on_done` hears of samples that are finished."""
        return self._task(Gate(), on_done)


class Aside(Inline[_Result]):
    """One task at a time in a thread of its own, on the cores that this thread leaves."""

    ahead = True

    def __init__(self) -> None:
        self.threads = torch_threads()
        self.own = self.threads // 2  # of this thread while it shares
        workers = min(self.threads, MOST)
        self.places = max(1, workers * (self.threads - self.own) // self.threads)
        self.rest = workers - self.places
        self.pool = ThreadPoolExecutor(1, initializer=use_torch_threads, initargs=(self.threads, self.threads))
        self.gate = Gate()
        self.finished: SimpleQueue[int | None] = SimpleQueue()
        self.result: Future[_Result]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.gate.close()
        self.pool.shutdown(cancel_futures=True)
        self.share(False)

    def share(self, yes: bool) -> None:
        use_torch_threads(self.own if yes else self.threads, self.threads)

    def begin(self, task: Task[_Result]) -> None:
        gate = self.gate = Gate(self.places)
        finished: SimpleQueue[int | None] = SimpleQueue()
        self.finished = finished

        def run() -> _Result:
            try:
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


def aside(device: torch.device, batch_size: int, processes: Processes) -> Inline[_Result]:
    """`Aside` where that is faster: in small batches on several cores, of one process."""
    several = device.type == "cpu" and processes.size == 1 and torch_threads() > 1
    return Aside() if several and batch_size < _SMALL and not _IN_TURN.get() else Inline()


@contextmanager
def in_turn() -> Iterator[None]:
    """Meanwhile nothing is measured beside training, so that the time of both can be told."""
    before = _IN_TURN.set(True)
    try:
        yield
    finally:
        _IN_TURN.reset(before)
