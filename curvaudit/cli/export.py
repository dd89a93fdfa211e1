"""`curvaudit export`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .app import RUN_FILE, app
from .ranking_options import RankBy, Training
from .text import safe


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="The run file.")] = Path(RUN_FILE),
    *,
    to: Annotated[str, typer.Option(help="cleanlab, fiftyone or csv-fixed.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The file to write; default by target.")] = None,
    decisions: Annotated[
        Path | None, typer.Option(help="For csv-fixed: decisions saved from the report page, JSON or CSV.")
    ] = None,
    rank_by: RankBy = "curvature",
    training: Training = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print warnings and errors only.")] = False,
) -> None:
    """Write the audit for cleanlab or FiftyOne, or a manifest with decisions applied."""
    from ..exporting import export as run_export

    made = run_export(run, to, out, decisions=decisions, rank_by=rank_by, training=training, overwrite=overwrite)
    if not quiet:
        for note in made.notes:
            typer.echo(safe(note))
        typer.echo(safe(f"File: {made.path}"))
