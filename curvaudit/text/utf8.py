"""Any text as valid UTF-8: imports nothing of ours.

A file name that is not UTF-8 reaches us as lone surrogates, and JSON can write them, too. UTF-8 cannot hold them, and
strict readers refuse them: they are written out, as `\\udcff`.
"""

from __future__ import annotations


def encoded(text: str) -> bytes:
    """UTF-8, whatever the text holds."""
    return text.encode("utf-8", "backslashreplace")


def valid(text: str) -> str:
    """The text as every file and reader can hold it."""
    return encoded(text).decode()
