"""The typer application that every command joins. Nothing heavy: `curvaudit --help` answers at once."""

from __future__ import annotations

from typing import Annotated

import typer

from ..provenance import CREATED_BY

CLEAN, VIOLATED, COULD_NOT_RUN, INTERRUPTED = 0, 1, 2, 130
RUN_FILE = "curvaudit.h5"

app = typer.Typer(
    name="curvaudit",
    help="Audit labelled image data sets: wrong labels, conflicting duplicates, memorized pictures.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(CREATED_BY)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Audit labelled image data sets: wrong labels, conflicting duplicates, memorized pictures."""
