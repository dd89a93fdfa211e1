"""Names and numbers as they are printed."""

from __future__ import annotations

from ..text.printable import printable as safe

__all__ = ["duration", "safe"]


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds != seconds:
        return "?"
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
