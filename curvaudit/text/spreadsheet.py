"""Text that a spreadsheet would run as a formula: imports nothing of ours.

What we write gets an apostrophe in front of it, and what comes back loses it again. `exports/page/decisions.js` does
the same for what a browser saves.
"""

from __future__ import annotations

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def inert(text: str) -> str:
    """Text that no spreadsheet runs as a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def as_given(text: str) -> str:
    """What `inert` was given."""
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text
