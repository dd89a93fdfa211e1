"""Batches that do not need each other, side by side on a processor's cores.

Torch would spread each operation over the cores instead: of batches that fit into the cache there is too little for
each of them, and after each operation they wait for the slowest (docs/performance.md has the figures).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from threading import Lock, Semaphore, Thread
from types import TracebackType
from typing import Any, TypeVar

import torch

MOST = 8  # batches at once: each keeps its activations
_SETTING = Lock()
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def torch_threads() -> int:
    """How many torch uses in this thread: from now on as many, whatever other threads set for themselves."""
    with _SETTING:
        return torch.get_num_threads()


def use_torch_threads(here: int, elsewhere: int) -> None:
    """Let torch use so many in this thread. What one thread sets, torch takes for all that it meets later: not here."""
    with _SETTING:
        _set(here)
        other = Thread(target=torch.set_num_threads, args=(elsewhere,))
        other.start()
        other.join()


def _set(threads: int) -> None:
    torch.get_num_threads()  # a thread that torch has not met yet would forget what was set
    torch.set_num_threads(threads)


class Closed(Exception):
    """Nothing more is to be begun."""


class Gate:
    """Lets so many batches through at once; later more, or none."""

    def __init__(self, places: int = MOST) -> None:
        self._places = Semaphore(places)
        self._closed = False

    def widen(self, places: int) -> None:
        """Let so many more through at once."""
        self._places.release(places)

    def close(self) -> None:
        """Raise Closed in whoever comes or waits."""
        self._closed = True
        self._places.release(MOST)

    def __enter__(self) -> None:
        self._places.acquire()
        if self._closed:
            self._places.release()
            raise Closed

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._places.release()


def side_by_side(
    work: Callable[[_Item], _Result],
    items: Sequence[_Item],
    device: torch.device,
    *,
    gate: Gate | None = None,
    on_done: Callable[[_Item], None] | None = None,
) -> list[_Result]:
    """`work` of each item, in their order; as many at once as torch uses threads here, eight at most.

    What an item gives does not depend on how many there are at once, up to the rounding that torch's own threads make.
    The first error ends all that has not begun.

    Parameters
    ----------
    gate:
        What each item has to pass; None: nothing.
    on_done:
        Called in this thread after each item, in any order.
    """
    gate = gate or Gate()
    threads = torch_threads()
    workers = min(threads, MOST, len(items)) if device.type == "cpu" else 1

    def one(item: _Item) -> _Result:
        with gate:
            return work(item)

    if workers < 2:
        found = []
        for item in items:
            found.append(one(item))
            if on_done is not None:
                on_done(item)
        return found
    left = deque(enumerate(items))
    started = Semaphore(0)
    finished: SimpleQueue[tuple[int, _Result | None, BaseException | None]] = SimpleQueue()

    def run() -> None:
        _set(threads // workers)
        started.release()
        with suppress(IndexError):
            while True:
                place, item = left.popleft()
                try:
                    finished.put((place, one(item), None))
                except BaseException as error:
                    finished.put((place, None, error))

    pool = [Thread(target=run) for _ in range(workers)]
    try:
        with _SETTING:
            for thread in pool:
                thread.start()
                started.acquire()
            torch.set_num_threads(threads)  # for this thread nothing new, but for those that come later
        results: dict[int, Any] = {}
        for _ in items:
            place, result, error = finished.get()
            if error is not None:
                raise error
            results[place] = result
            if on_done is not None:
                on_done(items[place])
        return [results[place] for place in range(len(items))]
    finally:
        left.clear()
        for thread in pool:
            if thread.ident is not None:
                thread.join()
