"""What public functions are given, checked at their door: another type would fail inside, or mean its opposite.

Numbers and truth values of numpy are as good as Python's, and become them: a run file is JSON in part.
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np

from .errors import CurvauditError


def require(name: str, value: object, kinds: type | tuple[type, ...], hint: str) -> None:
    """Raises CurvauditError where `value`, the argument `name`, is of none of `kinds`."""
    if not isinstance(value, kinds):
        raise CurvauditError(f"{name} cannot be of the type {type(value).__name__}.", hint)


def text(name: str, value: Any) -> str:
    """A text, or CurvauditError."""
    if not isinstance(value, str):
        raise CurvauditError(f"{name} {value!r} is no text.", "Give a text, or leave it out.")
    return value


def flag(name: str, value: Any) -> bool:
    """True or False, or CurvauditError: "no" and 0 would be taken for one of them."""
    if not isinstance(value, bool | np.bool_):
        raise CurvauditError(f"{name} {value!r} is neither True nor False.", "Give one of them, or leave it out.")
    return bool(value)


def whole(name: str, value: Any, least: int) -> int:
    """A whole number from `least` up, or CurvauditError: 2.5 epochs would be trained, "3" fail late."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise CurvauditError(f"{name} {value!r} is not a whole number.", "Give a whole number.")
    if value < least:
        raise CurvauditError(f"{name} {value} is too small.", f"The least is {least}.")
    return int(value)


def number(name: str, value: Any) -> float:
    """A number, or CurvauditError."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise CurvauditError(f"{name} {value!r} is not a number.", "Give a number.")
    return float(value)


def numbers(name: str, value: Any) -> tuple[float, ...]:
    """One number or several, in whatever holds them, or CurvauditError."""
    if isinstance(value, Real | str):
        return (number(name, value),)
    try:
        return tuple(number(name, one) for one in value)
    except TypeError:
        raise CurvauditError(f"{name} {value!r} is not one number or several.", "For example (0, 1e-4).") from None
