"""The paper's tables and figures: one file each. To add one, write a file with `EXPERIMENT` and name it here."""

from __future__ import annotations

from importlib import import_module

from ...errors import CurvauditError
from .interface import Experiment

# In the order of the paper's sections.
NAMES = ("agreement", "corruption", "duplicates", "classes", "dynamics", "spiral", "sensitivity")


def named(name: str) -> Experiment:
    """The experiment of that name.

    Raises
    ------
    CurvauditError
        There is none.
    """
    if name not in NAMES:
        raise CurvauditError(f"There is no experiment {name!r}.", f"Choose one of {', '.join(NAMES)}.")
    found: Experiment = import_module(f".{name}", __name__).EXPERIMENT
    return found
