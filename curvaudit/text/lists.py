"""Lists as a sentence has them."""

from __future__ import annotations

from collections.abc import Sequence


def in_words(parts: Sequence[str], comma: str = ", ", last: str = " and ") -> str:
    """One part or several.

    >>> in_words(["cat", "dog", "horse"])
    'cat, dog and horse'
    """
    return parts[0] if len(parts) == 1 else f"{comma.join(parts[:-1])}{last}{parts[-1]}"
