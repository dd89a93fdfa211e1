"""A source that is open already: whatever offers what `Source` asks for."""

from __future__ import annotations

from typing import Any

from ..errors import CurvauditError
from .interface import Source, SourceOptions

SUPPORTS = "from Python, an object with the attributes of curvaudit.sources.Source"


def matches(spec: Any) -> bool:
    """Everything that `Source` names is there."""
    return isinstance(spec, Source)


def load(spec: Source, options: SourceOptions) -> Source:
    """The source itself, or the split of that name where it has `splits` (name -> Source).

    Raises
    ------
    CurvauditError
        Another split was asked for: it was chosen when the source was opened.
    """
    splits = getattr(spec, "splits", None) or {}
    if options.split in splits:
        found: Source = splits[options.split]
        return found
    if options.split is not None:
        raise CurvauditError(
            f"A split of {spec.name} cannot be chosen after it was opened.", "Open the source of that split."
        )
    return spec
