"""The options of the cache, spelled alike in every command that has them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import CurvauditError

Cache = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        help="Where hashes, and pixels that do not fit into memory, are kept; default: the user's cache folder.",
        metavar="DIR",
    ),
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Decode every picture anew, and keep nothing.")]


def cache_folder(cache: Path | None, no_cache: bool) -> Path | None:
    """The folder, None for none.

    Raises
    ------
    CurvauditError
        Both options are given.
    """
    if cache is not None and no_cache:
        raise CurvauditError("--cache and --no-cache contradict each other.", "Leave out one.")
    if no_cache:
        return None
    from ..pictures.hash_cache import default_folder

    return default_folder() if cache is None else cache
