"""Where a policy is written down: `curvaudit.toml`, or `[tool.curvaudit]` in `pyproject.toml`."""

from __future__ import annotations

import os
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import CurvauditError
from ..files.home import expanded
from .definition import Policy
from .settings import parse

OWN = "curvaudit.toml"
SHARED = "pyproject.toml"


def read_policy(path: str | os.PathLike[str]) -> Policy:
    """The policy in a file: `[tool.curvaudit]` of a `pyproject.toml`, all of any other TOML file.

    Baseline files are meant relative to the file that names them.

    Raises
    ------
    CurvauditError
        The file cannot be read, is no TOML, holds no policy, or a setting does not exist.
    """
    path = expanded(path)
    settings = _settings(path)
    if settings is None:
        raise CurvauditError(f"{path} has no table [tool.curvaudit].", f"Write one, or name a {OWN}.")
    policy = parse(settings, str(path))
    beside = tuple(str(path.parent / expanded(name)) for name in policy.baseline)
    return replace(policy, baseline=beside, origin=str(path))


def nearest_policy(folder: Path) -> Policy:
    """The policy for work in `folder`: of the nearest file in it or above it, else the default.

    In one folder `curvaudit.toml` comes before `pyproject.toml`; a `pyproject.toml` without
    `[tool.curvaudit]` does not count. Only one file is read: nothing is mixed.

    Raises
    ------
    CurvauditError
        See `read_policy`.
    """
    start = folder.resolve()
    for place in (start, *start.parents):
        for name in (OWN, SHARED):
            file = place / name
            if file.is_file() and _settings(file) is not None:
                return read_policy(Path(name) if place == Path.cwd() else file)
    return Policy()


def _settings(path: Path) -> dict[str, Any] | None:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # Windows editors write a mark
    except OSError as error:
        raise CurvauditError(
            f"The policy {path} cannot be read: {error.strerror or error}.", "Check its name and permissions."
        ) from error
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits or 1,000 brackets are no TOMLDecodeError
        raise CurvauditError(f"The policy {path} is no valid TOML: {error}.", "Mend that place.") from error
    if path.name != SHARED:
        return content
    tool = content.get("tool")
    own = tool.get("curvaudit") if isinstance(tool, dict) else None
    if own is not None and not isinstance(own, dict):
        raise CurvauditError(f"{path}: tool.curvaudit is no table of settings.", "See docs/check.md.")
    return own
