"""`curvaudit duplicates`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .app import app
from .caching import Cache, NoCache, cache_folder
from .rendered import print_rendered, require_text_or_json
from .source_options import DataDir, Download, ImageColumn, LabelColumn, MaxPixels, Split, Workers


@app.command()
def duplicates(
    source: Annotated[str, typer.Argument(help="A folder (class/image.ext), or anything that scan takes.")],
    against: Annotated[
        str | None,
        typer.Option(help="Another source to look for the same pictures in; default: the source's other splits."),
    ] = None,
    split: Split = None,
    data_dir: DataDir = None,
    download: Download = False,
    image_column: ImageColumn = None,
    label_column: LabelColumn = None,
    format: Annotated[str, typer.Option(help="text, or json: the content of findings.json and nothing else.")] = "text",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Also write a report folder.")] = None,
    workers: Workers = None,
    max_pixels: MaxPixels = None,
    cache: Cache = None,
    no_cache: NoCache = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print warnings and errors only.")] = False,
) -> None:
    """Find copies, conflicts and leaks between splits, without training.

    Exit code 0: none under several labels or in several splits; 1: some; 2: not everything could be checked.
    """
    require_text_or_json(format)
    from rich.console import Console
    from rich.text import Text

    from ..exports import findings_json
    from ..inspecting import ALL_SPLITS, inspect
    from ..pictures.images import MAX_PIXELS
    from ..policy.gating import check
    from ..reporting import save
    from .display import Display
    from .findings_table import print_findings, print_groups, print_warnings

    kept = cache_folder(cache, no_cache)
    with Display(quiet) as display:
        report = inspect(
            source,
            split=split,
            data_dir=data_dir,
            download=download,
            image_column=image_column,
            label_column=label_column,
            against=ALL_SPLITS if against is None else against,
            workers=workers,
            max_pixels=MAX_PIXELS if max_pixels is None else max_pixels,
            cache=kept,
            on_event=display.show,
        )
    page = save(report, out) if out is not None else None
    if quiet:
        print_warnings(report)
    if format == "json":
        print_rendered(findings_json.render(report))
    elif not quiet:
        console = Console(highlight=False, soft_wrap=True)
        print_groups(console, report)
        print_findings(console, report)
        if page is not None:
            console.print(Text(f"Page: {page}"))
    raise typer.Exit(check(report).exit_code)
