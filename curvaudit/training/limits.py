"""What may be asked of the network. Known without torch, so that a typing error is told before pictures are read."""

from __future__ import annotations

from ..errors import CurvauditError

RESOLUTIONS = (8, 4096)  # px; below the first, four halvings leave nothing
WIDTHS = (1, 1024)  # channels of the first stage
PRECISIONS = ("auto", "float32", "bf16")


def resolution(text: str) -> int | None:
    """`--resolution` in px; None: auto.

    Raises
    ------
    CurvauditError
        It is no such number.
    """
    return _number("--resolution", text, *RESOLUTIONS)


def width(text: str) -> int | None:
    """`--width`; None: auto.

    Raises
    ------
    CurvauditError
        It is no such number.
    """
    return _number("--width", text, *WIDTHS)


def precision(text: str) -> str:
    """`--precision`.

    Raises
    ------
    CurvauditError
        There is no such precision.
    """
    if text not in PRECISIONS:
        raise CurvauditError(f"Unknown precision {text!r}.", f"Use --precision {', '.join(PRECISIONS[:-1])} or bf16.")
    return text


def _number(option: str, text: str, low: int, high: int) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal() or not low <= int(text) <= high:
        raise CurvauditError(
            f"{option} {text!r} is not a whole number from {low} to {high}.", f"Give a number or {option} auto."
        )
    return int(text)
