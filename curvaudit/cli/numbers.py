"""Options that take several numbers."""

from __future__ import annotations

from ..errors import CurvauditError


def numbers(option: str, text: str, example: str) -> tuple[float, ...]:
    """Comma-separated numbers.

    Raises
    ------
    CurvauditError
        Something else is in between.
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise CurvauditError(
            f"{option} {text!r} is not a number or a comma-separated list of numbers.",
            f"For example {option} {example}.",
        ) from None
