"""What the file that a command writes must not replace."""

from __future__ import annotations

import os
from collections.abc import Iterable
from mimetypes import guess_type
from pathlib import Path

from . import store
from .errors import CurvauditError
from .files.home import expanded


def keep_apart(outputs: Iterable[Path | None], inputs: Iterable[str | os.PathLike[str] | None]) -> None:
    """Say, before any work, that an output would replace what is read, a picture or a run.

    Parameters
    ----------
    inputs:
        All that is read, be it named by a flag or by a policy file.

    Raises
    ------
    CurvauditError
        One of `outputs` is the same file as one of `inputs`, is a run file (hours of work), or a picture, which may be
        one of the data set. None stands for nothing.
    """
    read = [expanded(given) for given in inputs if given is not None]
    for output in outputs:
        if output is None:
            continue
        if any(_same(output, given) for given in read):
            raise CurvauditError(f"{output} is read here: it is not replaced.", "Name another file to write.")
        if store.looks_like_run(output, empty=False):
            raise CurvauditError(f"{output} is a run file: it is not replaced.", "Name another file to write.")
        if os.path.isfile(output) and (guess_type(output.name)[0] or "").startswith("image/"):
            raise CurvauditError(f"{output} is a picture: it is not replaced.", "Name another file to write.")


def _same(output: Path, given: Path) -> bool:
    try:
        return os.path.samefile(output, given)
    except OSError:  # one is not there yet, as a baseline before it is made
        return os.path.realpath(output) == os.path.realpath(given)
