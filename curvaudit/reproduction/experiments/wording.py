"""How experiments put two numbers into words."""

from __future__ import annotations


def beside(value: float, other: float, of: str) -> str:
    """`value` and how many times it is `other`, which is that `of` something; where that is 0 there is no ratio.

    >>> beside(6.0, 2.0, "that of the others")
    '6, 3 times that of the others'
    >>> beside(6.0, 0.0, "that of the others")
    '6, and that of the others is 0'
    """
    return f"{value:.3g}, {value / other:,.3g} times {of}" if other > 0 else f"{value:.3g}, and {of} is 0"
