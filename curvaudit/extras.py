"""Optional packages: what is missing, and the command that installs it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .errors import CurvauditError


def need(module: str, extra: str, purpose: str) -> Any:
    """The imported `module`.

    Parameters
    ----------
    extra:
        The extra of curvaudit that installs it.
    purpose:
        What needs it, as the beginning of the message: "Reading data.parquet".

    Raises
    ------
    CurvauditError
        It is not installed; the hint is the install command.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise CurvauditError(
            f"{purpose} needs the package {package}, which cannot be imported here ({error}).",
            f"Install it with: pip install 'curvaudit[{extra}]'",
        ) from error
