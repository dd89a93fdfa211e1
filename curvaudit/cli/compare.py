"""`curvaudit compare`"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import CurvauditError
from .app import INTERRUPTED, app
from .caching import Cache, NoCache, cache_folder
from .source_options import DataDir, Download, ImageColumn, LabelColumn, MaxPixels, Workers

if TYPE_CHECKING:
    from ..comparison import Comparison

_FORMATS = ("text", "json", "html")


@app.command()
def compare(
    old: Annotated[str, typer.Argument(help="A run file, or a source (as for scan).", metavar="OLD")],
    new: Annotated[str, typer.Argument(help="The same of the newer version.", metavar="NEW")],
    format: Annotated[str, typer.Option(help="text, json or html.")] = "text",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The file to write, replaced if it is there; default: print.")
    ] = None,
    top: Annotated[int, typer.Option(help="Of two runs: how many pictures that rose in the ranking.")] = 20,
    rank_by: Annotated[
        str,
        typer.Option(
            help="Of two runs: curvature, late-curvature, gradient, loss, margin, el2n, correct or consensus."
        ),
    ] = "curvature",
    split: Annotated[
        str | None, typer.Option(help="Of sources: train, test or val; default all, beside a run the scanned one.")
    ] = None,
    data_dir: DataDir = None,
    download: Download = False,
    image_column: ImageColumn = None,
    label_column: LabelColumn = None,
    workers: Workers = None,
    max_pixels: MaxPixels = None,
    cache: Cache = None,
    no_cache: NoCache = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No text and no progress.")] = False,
) -> None:
    """Compare two versions of a data set: runs, sources, or one of each.

    Exit code 0: compared, whatever has changed; 2: could not compare, or only in part.
    """
    if format not in _FORMATS:
        raise CurvauditError(f"--format {format!r} is not known.", f"Use {', '.join(_FORMATS)}.")
    from .. import comparing
    from ..whole_file import keep_apart
    from .display import Display

    keep_apart([out], [old, new])
    kept = cache_folder(cache, no_cache)
    try:
        with Display(quiet) as display:
            made = comparing.compare(
                old,
                new,
                split=split,
                data_dir=data_dir,
                download=download,
                image_column=image_column,
                label_column=label_column,
                workers=workers,
                max_pixels=max_pixels,
                rank_by=rank_by,
                top=top,
                cache=kept,
                on_event=display.show,
            )
    except KeyboardInterrupt:
        typer.echo("Interrupted: nothing was compared. Start again.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if out is not None:
        comparing.write(made, format, out)
    elif not (quiet and format == "text"):
        _print(made, format)
    raise typer.Exit(made.exit_code)


def _print(made: Comparison, format: str) -> None:
    from ..exports.comparisons import FORMATS, text
    from .findings_table import STYLE

    if format == "text" and sys.stdout.isatty():
        from rich.console import Console
        from rich.text import Text

        console = Console(highlight=False, soft_wrap=True)
        for severity, line in text.lines(made):
            console.print(Text(line, STYLE.get(severity, "")))
    else:
        # Bytes: UTF-8 whatever the terminal's encoding, and no line ends changed.
        typer.echo(FORMATS[format](made), nl=False)
