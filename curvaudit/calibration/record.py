"""What one finished trial found, beside its run file: a calibration that is resumed reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import CurvauditError
from ..files.whole_file import write_whole
from .result import Flags, Quality, Trial

SCHEMA = "curvaudit-trial/1"
HINT = "Resume with the settings it was begun with, use --overwrite to start anew, or -o for another folder."


def path_for(run: Path) -> Path:
    """Where the trial of a run file is kept."""
    return run.with_suffix(".json")


def write(path: Path, trial: Trial, asked: Mapping[str, Any]) -> None:
    """Keep a trial.

    Parameters
    ----------
    asked:
        The settings that the trial depends on.

    Raises
    ------
    CurvauditError
        It cannot be written.
    """
    content = {"schema": SCHEMA, "asked": _plain(asked), "trial": asdict(trial)}
    # Python's JSON knows NaN, and reads what it wrote to the last bit.
    write_whole(path, (json.dumps(content, indent=1) + "\n").encode(), "Choose another folder with -o.")


def read(path: Path, asked: Mapping[str, Any]) -> Trial | None:
    """A trial that `write` kept; None if there is none.

    Raises
    ------
    CurvauditError
        It was asked for with other settings, or the file is not what `write` wrote.
    """
    try:
        said = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise CurvauditError(f"{path} cannot be read: {error}.", "Delete it to run this trial again.") from error
    try:
        if said["schema"] != SCHEMA:
            raise ValueError(f"schema {said['schema']}")
        trial, before = said["trial"], said["asked"]
        found = Trial(
            **{
                **trial,
                "qualities": {name: Quality(**one) for name, one in trial["qualities"].items()},
                "flags": {name: Flags(**one) for name, one in trial["flags"].items()},
            }
        )
        different = sorted(name for name in {*before, *_plain(asked)} if before.get(name) != _plain(asked).get(name))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CurvauditError(f"{path} is no trial of a calibration: {error}.", "Delete it to run it again.") from error
    if different:
        name = different[0]
        raise CurvauditError(
            f"{path} was run with {name} {before.get(name)}, now it is {_plain(asked).get(name)}.", HINT
        )
    return found


def _plain(asked: Mapping[str, Any]) -> dict[str, Any]:
    """As it reads when it comes back."""
    plain: dict[str, Any] = json.loads(json.dumps(dict(asked), default=str))
    return plain
