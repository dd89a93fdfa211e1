"""How work is ended from outside."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_AGAIN = 0.01  # seconds until an interrupt that got lost, or came where it does harm, is raised once more
_CAN_WAIT = hasattr(signal, "setitimer")
_ONE = 1.0  # seconds within which several signals are one interrupt: torchrun answers Ctrl-C with two more
# What takes and frees locks. Raised within, an interrupt may leave one locked for which another thread waits.
_LOCKING = {"__enter__", "__exit__", "_acquire_restore", "_release_save"}


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM (a batch system's time limit) ends the work as Ctrl-C does; neither gets lost or leaves a lock behind.

    Python raises the interrupt wherever it happens to be, and drops what is raised in a destructor or in a weak
    reference's callback, of which HDF5's Python layer calls one for each object that it closes: of 1,100 small
    scans 17 went on. What was dropped so is raised again. Where Python's own locks for threads are being taken or
    freed, which is Python code, too, it is raised a moment later: those who wait for a thread would wait for ever.
    What follows at once does not disturb the ending.
    """
    raised = float("-inf")
    owed = False  # whether one got lost, or waits

    def stop(number: int, frame: Any) -> None:
        nonlocal raised, owed
        if not owed and time.monotonic() < raised + _ONE:
            return
        if _CAN_WAIT and frame is not None and frame.f_code.co_name in _LOCKING:
            later()
            return
        raised, owed = time.monotonic(), False
        raise KeyboardInterrupt

    def later() -> None:
        nonlocal owed
        owed = True
        signal.setitimer(signal.ITIMER_REAL, _AGAIN)

    def dropped(what: Any) -> None:
        if _CAN_WAIT and issubclass(what.exc_type, KeyboardInterrupt):
            later()
        else:
            show(what)

    show = sys.unraisablehook
    stopping = {signal.SIGTERM, *([signal.SIGALRM] if _CAN_WAIT else [])}
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else somebody wants it ignored
        stopping.add(signal.SIGINT)
    before = {number: signal.signal(number, stop) for number in stopping}
    sys.unraisablehook = dropped
    try:
        yield
    finally:
        if _CAN_WAIT:
            signal.setitimer(signal.ITIMER_REAL, 0)  # without a handler it would end the process
        sys.unraisablehook = show
        for number, handler in before.items():
            signal.signal(number, handler)
