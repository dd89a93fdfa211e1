"""`curvaudit report`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .app import RUN_FILE, app
from .ranking_options import RankBy, Training

REPORT_FOLDER = "curvaudit-report"


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="The run file.")] = Path(RUN_FILE),
    top: Annotated[int, typer.Option(help="Pictures on the contact sheet.")] = 100,
    out: Annotated[Path, typer.Option("--out", "-o", help="The report folder.")] = Path(REPORT_FOLDER),
    rank_by: RankBy = "curvature",
    training: Training = None,
    formats: Annotated[
        str, typer.Option("--format", help="What to write: html, csv, json, parquet; several with commas.")
    ] = "html,csv,json",
    thumbnails: Annotated[
        bool, typer.Option("--thumbnails/--no-thumbnails", help="Whether the page shows the pictures.")
    ] = True,
    anonymize: Annotated[
        bool, typer.Option("--anonymize", help="Hash names and contents, leave out the source; class names stay.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print warnings and errors only.")] = False,
) -> None:
    """Rank the pictures, find duplicates and conflicts, write page, CSV, JSON or Parquet."""
    from rich.console import Console
    from rich.text import Text

    from ..records import PhaseStarted
    from ..reporting import report as make_report
    from ..reporting import save
    from .display import Display
    from .findings_table import print_findings, print_warnings

    with Display(quiet, plain=False) as display:
        made = make_report(
            run,
            top=top,
            rank_by=rank_by,
            training=training,
            thumbnails=thumbnails,
            anonymize=anonymize,
            on_event=display.show,
        )
        display.show(PhaseStarted("writing the report", 1, "page"))
        page = save(made, out, [name.strip() for name in formats.split(",") if name.strip()])
    if quiet:
        print_warnings(made)
        return
    console = Console(highlight=False, soft_wrap=True)
    print_findings(console, made)
    label = "Page" if page.suffix == ".html" else "File"
    console.print(Text(f"{label}: {page}", style=f"link {page.resolve().as_uri()}" if console.is_terminal else ""))
