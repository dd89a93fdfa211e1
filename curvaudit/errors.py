"""The one error type people see. Imports nothing of ours."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches


class CurvauditError(Exception):
    """Something that stops the work, said so that a person can act on it.

    Parameters
    ----------
    message:
        One sentence that names the file, option or value at fault.
    hint:
        What to do about it; printed on a line of its own.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class DamagedRun(CurvauditError):
    """A run file, or one part of it, cannot be read; other parts may still be good."""


class UnreadableImage(Exception):
    """One picture that could not be decoded; `str(error)` is the reason shown to people.

    It never ends a scan: the caller turns it into a `Skipped` record.
    """


def nearest(name: object, known: Collection[str]) -> str:
    """The hint for a name that does not exist."""
    close = get_close_matches(str(name).lower(), known, 1, 0.5)
    return f"Did you mean {close[0]}?" if close else f"Choose from {', '.join(known)}."
