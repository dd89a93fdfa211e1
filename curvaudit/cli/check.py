"""`curvaudit check`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import CurvauditError
from .app import INTERRUPTED, RUN_FILE, app
from .caching import Cache, NoCache, cache_folder
from .rendered import print_rendered
from .source_options import DataDir, Download, ImageColumn, LabelColumn, MaxPixels, Workers

if TYPE_CHECKING:
    from ..policy.definition import Policy

_EACH = "Repeatable."


@app.command()
def check(
    target: Annotated[
        str, typer.Argument(help="A run file, or a source (as for scan), which is not trained.", metavar="RUN|SOURCE")
    ] = RUN_FILE,
    fail_on: Annotated[
        list[str] | None,
        typer.Option(help="error, warning, note or none, and rules: CA101,CA201. Default: error."),
    ] = None,
    severity: Annotated[
        list[str] | None, typer.Option(help=f"RULE=error, warning, note or off. {_EACH}", metavar="RULE=LEVEL")
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(help=f"New findings that may stay: CA111=10, CA202=1%. {_EACH}", metavar="RULE=COUNT"),
    ] = None,
    ignore_id: Annotated[
        list[str] | None, typer.Option(help=f"Leave a picture alone; RULE may be all. {_EACH}", metavar="RULE=ID")
    ] = None,
    ignore_label: Annotated[
        list[str] | None, typer.Option(help=f"Leave a class alone. {_EACH}", metavar="RULE=LABEL")
    ] = None,
    ignore_path: Annotated[
        list[str] | None, typer.Option(help=f"Leave ids alone that match a pattern. {_EACH}", metavar="RULE=GLOB")
    ] = None,
    accept_incomplete: Annotated[
        list[str] | None,
        typer.Option(
            help="Do not exit with 2 for: unreadable, damaged, unfinished, unverified, unscored, unjudged, "
            "untrained, layout, uncompared. " + _EACH
        ),
    ] = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option(help=f"Accepted findings, or decisions exported from the report page. {_EACH}", metavar="FILE"),
    ] = None,
    update_baseline: Annotated[
        bool, typer.Option("--update-baseline", help="Accept all findings in the first baseline, then check.")
    ] = False,
    policy: Annotated[
        Path | None,
        typer.Option(help="Default: the nearest curvaudit.toml, or pyproject.toml with a table tool.curvaudit."),
    ] = None,
    no_policy: Annotated[bool, typer.Option("--no-policy", help="Read no policy file.")] = False,
    format: Annotated[
        list[str] | None,
        typer.Option(
            help="text, json, sarif, junit, github or markdown; with =FILE into a file. " + _EACH,
            metavar="FORMAT[=FILE]",
        ),
    ] = None,
    root: Annotated[
        Path, typer.Option(help="The folder that paths in sarif, junit and github are relative to.")
    ] = Path("."),
    against: Annotated[
        str | None,
        typer.Option(help="Another source to look for the same pictures in; default: the source's other splits."),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Of a source: train, test or val; default train.")] = None,
    data_dir: DataDir = None,
    download: Download = False,
    image_column: ImageColumn = None,
    label_column: LabelColumn = None,
    workers: Workers = None,
    max_pixels: MaxPixels = None,
    training: Annotated[int | None, typer.Option(help="Which training of a run; default the first.")] = None,
    cache: Cache = None,
    no_cache: NoCache = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No text and no progress; the exit code tells.")] = False,
) -> None:
    """Gate a data set: exit 0 clean, 1 the policy is violated, 2 could not check everything."""
    from .. import checking
    from ..exports.checks import FORMATS, text
    from ..files.home import expanded
    from ..policy.settings import from_flags
    from ..replacing import keep_apart
    from ..targets import Target
    from .display import Display

    flags = from_flags(
        fail_on or (),
        accept_incomplete or (),
        baseline or (),
        severity=severity or (),
        allow=allow or (),
        ignore_id=ignore_id or (),
        ignore_label=ignore_label or (),
        ignore_path=ignore_path or (),
    )
    settled = _policy(policy, no_policy, flags)
    wanted = checking.outputs(format or ())
    keep_apart((output.file for output in wanted), [target, against, settled.origin or None, *settled.baseline])
    what = Target(
        target,
        split=split,
        data_dir=data_dir,
        download=download,
        workers=workers,
        training=training,
        against=against,
        image_column=image_column,
        label_column=label_column,
        max_pixels=max_pixels,
        cache=cache_folder(cache, no_cache),
    )
    try:
        with Display(quiet) as display:
            result = checking.check_target(what, settled, update_baseline=update_baseline, on_event=display.show)
    except KeyboardInterrupt:
        typer.echo("Interrupted: nothing was decided. Start again.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    places = checking.find_places(result.report, expanded(root))
    for output in wanted:
        if output.file is not None:
            checking.write(result, output.format, output.file, places)
    for output in wanted:
        if output.file is None and not (quiet and output.format == "text"):
            content = FORMATS[output.format](result, places)
            print_rendered(content, text.lines(result) if output.format == "text" else None)
    raise typer.Exit(result.exit_code)


def _policy(file: Path | None, none: bool, flags: dict[str, Any]) -> Policy:
    """Flags over the file that is named, or else over the nearest."""
    from ..policy.definition import Policy
    from ..policy.file import nearest_policy, read_policy
    from ..policy.settings import parse

    if none and file is not None:
        raise CurvauditError("--policy and --no-policy contradict each other.", "Leave out one.")
    base = Policy() if none else nearest_policy(Path.cwd()) if file is None else read_policy(file)
    return parse(flags, "command line", base)
