"""Names and numbers as they are printed."""

from __future__ import annotations


def safe(text: str) -> str:
    """Control characters in names are shown, not obeyed."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds != seconds:
        return "?"
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
