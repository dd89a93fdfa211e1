"""`curvaudit compare`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import CurvauditError
from .app import INTERRUPTED, app
from .caching import Cache, NoCache, cache_folder
from .ranking_options import SCORES
from .rendered import print_rendered
from .source_options import DataDir, Download, ImageColumn, LabelColumn, MaxPixels, Workers


@app.command()
def compare(
    old: Annotated[str, typer.Argument(help="A run file, or a source (as for scan).", metavar="OLD")],
    new: Annotated[str, typer.Argument(help="The same of the newer version.", metavar="NEW")],
    format: Annotated[str, typer.Option(help="text, json or html.")] = "text",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The file to write, replaced if it is there; default: print.")
    ] = None,
    top: Annotated[int, typer.Option(help="Of two runs: how many pictures that rose in the ranking.")] = 20,
    rank_by: Annotated[str, typer.Option(help=f"Of two runs: {SCORES}.")] = "curvature",
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
    from ..comparison import comparing
    from ..exports.comparisons import FORMATS, text
    from ..files.home import expanded
    from ..replacing import keep_apart
    from .display import Display

    if format not in FORMATS:
        raise CurvauditError(f"--format {format!r} is not known.", f"Use {', '.join(FORMATS)}; -o names a file.")
    out = None if out is None else expanded(out)
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
    shown = format if out is None else "text"  # a file does not say in the terminal why the exit code is 2
    if not (quiet and shown == "text"):
        print_rendered(FORMATS[shown](made), text.lines(made) if shown == "text" else None)
    raise typer.Exit(made.exit_code)
