"""Names as text that every reader of JSON accepts."""

from __future__ import annotations


def text(name: str) -> str:
    """Lone surrogates (file names in another encoding) written out: strict JSON readers refuse them."""
    return name.encode("utf-8", "backslashreplace").decode()
