"""`curvaudit reproduce`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .app import INTERRUPTED, app
from .numbers import numbers
from .rendered import print_rendered, require_text_or_json
from .source_options import DataDir, Download, ImageColumn, LabelColumn, Split, Workers
from .text import safe
from .training_options import Device


@app.command()
def reproduce(
    experiment: Annotated[
        str, typer.Argument(help="agreement, corruption, duplicates, classes, dynamics, spiral or sensitivity.")
    ],
    scale: Annotated[str, typer.Option(help="small: two cores, minutes. full: the paper's setting.")] = "small",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Default curvaudit-reproduction/EXPERIMENT.")] = None,
    from_runs: Annotated[
        list[str] | None, typer.Option("--from", help="A run file to read instead of training; may be repeated.")
    ] = None,
    source: Annotated[
        list[str] | None, typer.Option(help="A data set as scan takes it; default by experiment.")
    ] = None,
    data_dir: DataDir = None,
    download: Download = False,
    split: Split = None,
    validation: Annotated[
        str | None, typer.Option(help="The second split; default: a fifth of the pictures is held out.")
    ] = None,
    image_column: ImageColumn = None,
    label_column: LabelColumn = None,
    scores: Annotated[
        str | None, typer.Option(help="FILE.npz:KEY, memorization scores in the order of the source.")
    ] = None,
    mask: Annotated[
        str | None, typer.Option(help="KEY in the same file; pictures where it is false are left out.")
    ] = None,
    samples: Annotated[int | None, typer.Option(help="Pictures to draw from the source; default by scale.")] = None,
    rates: Annotated[str | None, typer.Option(help="Percent of the labels to flip; default by scale.")] = None,
    noise: Annotated[str, typer.Option(help="uniform, pairs or both, comma-separated.")] = "uniform",
    seed: Annotated[int, typer.Option(help="Of the first training.")] = 0,
    seeds: Annotated[int | None, typer.Option(help="Trainings, seeded seed, seed + 1, …; default by scale.")] = None,
    folds: Annotated[int, typer.Option(help="Of the cross-validation for Confident Learning.")] = 4,
    baselines: Annotated[
        bool | None,
        typer.Option("--baselines/--no-baselines", help="Run Confident Learning. Default: if cleanlab is installed."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Length of the schedule; default by scale.")] = None,
    width: Annotated[str | None, typer.Option(help="Channels of the first stage (paper: 64).")] = None,
    resolution: Annotated[str | None, typer.Option(help="Side of the network's input in px; default as scan.")] = None,
    device: Device = "auto",
    workers: Workers = None,
    format: Annotated[str, typer.Option(help="text, or json: the content of reproduction.json.")] = "text",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier result; its run files are used again.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print warnings, errors and the result only.")] = False,
) -> None:
    """Run one of the paper's experiments: its figures, its numbers beside ours, and a page."""
    require_text_or_json(format)
    shares = None if rates is None else tuple(percent / 100 for percent in numbers("--rates", rates, "1,2,4"))
    from ..exports.reproductions import json_document
    from ..reproduction.reproducing import DEFAULT_FOLDER
    from ..reproduction.reproducing import reproduce as run_reproduction
    from .display import Display

    folder = out or Path(DEFAULT_FOLDER) / experiment
    try:
        with Display(quiet) as display:
            result = run_reproduction(
                experiment,
                out,
                scale=scale,
                overwrite=overwrite,
                on_event=display.show,
                from_runs=tuple(from_runs or ()),
                source=tuple(source or ()),
                data_dir=data_dir,
                download=download,
                split=split,
                validation=validation,
                image_column=image_column,
                label_column=label_column,
                scores=scores,
                mask=mask,
                samples=samples,
                rates=shares,
                noise=tuple(part.strip() for part in noise.split(",")),
                seed=seed,
                seeds=seeds,
                folds=folds,
                baselines=baselines,
                epochs=epochs,
                width=width,
                resolution=resolution,
                device=device,
                workers=workers,
            )
    except KeyboardInterrupt:
        typer.echo(f"Interrupted. The same command goes on with the run files in {safe(str(folder))}.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if format == "json":
        print_rendered(json_document.render(result))
        return
    for sentence in result.outcome.sentences:
        typer.echo(safe(sentence))
    for caveat in result.outcome.caveats:
        typer.echo(f"note: {safe(caveat)}")
    typer.echo(f"Page: {safe(str(folder / 'index.html'))}")
