"""How long work is ended from outside."""

from __future__ import annotations

import signal
from typing import Any


def terminate_like_interrupt() -> None:
    """SIGTERM (a batch system's time limit) ends the work as Ctrl-C does."""

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
