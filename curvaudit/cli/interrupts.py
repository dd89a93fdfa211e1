"""How work is ended from outside."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_AGAIN = 0.01  # seconds until an interrupt that got lost is raised once more


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM (a batch system's time limit) ends the work as Ctrl-C does, and neither gets lost.

    Python raises the interrupt wherever it happens to be, and drops what is raised in a destructor or in a weak
    reference's callback, of which HDF5's Python layer calls one for each object that it closes: of 1,100 small
    scans 17 went on. What was dropped so is raised again.
    """

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    def dropped(what: Any) -> None:
        if issubclass(what.exc_type, KeyboardInterrupt) and hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, _AGAIN)
        else:
            show(what)

    show = sys.unraisablehook
    before = {number: signal.signal(number, stop) for number in _STOPPING}
    sys.unraisablehook = dropped
    try:
        yield
    finally:
        sys.unraisablehook = show
        for number, handler in before.items():
            signal.signal(number, handler)


_STOPPING = [signal.SIGTERM, *([signal.SIGALRM] if hasattr(signal, "SIGALRM") else [])]
