"""`curvaudit calibrate`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import training_options as training
from .app import INTERRUPTED, app
from .numbers import numbers
from .rendered import print_rendered, require_text_or_json
from .source_options import MAX_PIXELS, DataDir, Download, ImageColumn, LabelColumn, MaxPixels, Split, Workers
from .text import safe


@app.command()
def calibrate(
    source: Annotated[str, typer.Argument(help="Anything that scan takes. It is never changed.")],
    rates: Annotated[str, typer.Option(help="Percent of the labels to flip, one trial each.")] = "1,2,4,6,8,10",
    repeats: Annotated[int, typer.Option(help="Trials for each rate, with errors and trainings of their own.")] = 1,
    folds: Annotated[int, typer.Option(help="Of the cross-validation for Confident Learning.")] = 3,
    baselines: Annotated[
        bool | None,
        typer.Option(
            "--baselines/--no-baselines",
            help="Run Confident Learning too: as many trainings as folds. Default: if cleanlab is installed.",
        ),
    ] = None,
    noise: Annotated[
        str, typer.Option(help="uniform: to any other class. pairs: to the class that looks most alike.")
    ] = "uniform",
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")] = Path("curvaudit-calibration"),
    format: Annotated[str, typer.Option(help="text, or json: the content of calibration.json.")] = "text",
    split: Split = None,
    data_dir: DataDir = None,
    download: Download = False,
    image_column: ImageColumn = None,
    label_column: LabelColumn = None,
    preset: training.Preset = "fast",
    epochs: training.Epochs = None,
    batch_size: training.BatchSize = None,
    lr: training.LearningRate = None,
    weight_decay: Annotated[float, typer.Option(help="One value.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Of the first repeat; decides the planted errors, too.")] = 0,
    augment: training.Augment = None,
    curvature_every: training.CurvatureEvery = None,
    probes: training.Probes = None,
    step: training.Step = 1e-3,
    resolution: training.Resolution = "auto",
    width: training.Width = "auto",
    device: training.Device = "auto",
    precision: training.Precision = "auto",
    workers: Workers = None,
    max_pixels: MaxPixels = MAX_PIXELS,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Use the finished trials of an earlier call; more rates or repeats may be asked for."
        ),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier calibration.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print warnings, errors and the result only.")] = False,
) -> None:
    """Plant label errors in a copy of the labels, and report how well each score finds them on this data."""
    require_text_or_json(format)
    shares = tuple(percent / 100 for percent in numbers("--rates", rates, "1,2,4"))
    from ..calibration.calibrating import calibrate as run_calibration
    from ..exports.calibrations import json_document, text
    from .display import Display

    try:
        with Display(quiet) as display:
            result = run_calibration(
                source,
                out,
                rates=shares,
                repeats=repeats,
                folds=folds,
                baselines=baselines,
                noise=noise,  # type: ignore[arg-type]  # checked there
                resume=resume,
                overwrite=overwrite,
                on_event=display.show,
                split=split,
                data_dir=data_dir,
                download=download,
                image_column=image_column,
                label_column=label_column,
                preset=preset,
                epochs=epochs,
                batch_size=batch_size,
                lr=lr,
                weight_decay=weight_decay,
                seed=seed,
                augment=augment,
                curvature_every=curvature_every,
                probes=probes,
                step=step,
                resolution=resolution,
                width=width,
                device=device,
                precision=precision,
                workers=workers,
                max_pixels=max_pixels,
            )
    except KeyboardInterrupt:
        typer.echo(f"Interrupted. The finished trials are kept in {safe(str(out))}; --resume goes on.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if format == "json":
        print_rendered(json_document.render(result))
    else:
        print_rendered(text.render(result))
        typer.echo(f"Page: {safe(str(out / 'index.html'))}")
