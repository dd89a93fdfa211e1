"""`curvaudit calibrate`"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ..errors import CurvauditError
from .app import INTERRUPTED, app
from .numbers import numbers
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
    split: Annotated[str | None, typer.Option(help="train, test or val; default train.")] = None,
    data_dir: Annotated[str | None, typer.Option(help="Where a standard set lies.")] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch a standard set or hf:NAME if it is absent.")
    ] = False,
    image_column: Annotated[str | None, typer.Option(help="The column or array with pictures or paths.")] = None,
    label_column: Annotated[str | None, typer.Option(help="The column or array with labels.")] = None,
    preset: Annotated[str, typer.Option(help="fast, paper-mnist, paper-cifar or paper-imagenet.")] = "fast",
    epochs: Annotated[int | None, typer.Option(help="Length of the schedule; default by preset.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Default by preset.")] = None,
    lr: Annotated[float | None, typer.Option(help="Peak or initial learning rate; default by preset.")] = None,
    weight_decay: Annotated[float, typer.Option(help="One value.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Of the first repeat; decides the planted errors, too.")] = 0,
    augment: Annotated[
        bool | None, typer.Option("--augment/--no-augment", help="Crop and flip; default by preset and data.")
    ] = None,
    curvature_every: Annotated[int | None, typer.Option(help="Measure curvature every k-th epoch.")] = None,
    probes: Annotated[
        int | None, typer.Option(help="n of equation 6, for each picture; default 1 to 5 (fast) or 10 (paper).")
    ] = None,
    step: Annotated[float, typer.Option(help="h of equation 6, in pixels of [0, 1].")] = 1e-3,
    resolution: Annotated[str, typer.Option(help="Side of the network's input in px, or auto.")] = "auto",
    width: Annotated[str, typer.Option(help="Channels of the first stage (paper: 64), or auto.")] = "auto",
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, … or auto.")] = "auto",
    precision: Annotated[str, typer.Option(help="Of training: float32, bf16 or auto. Scores are float32.")] = "auto",
    workers: Annotated[int | None, typer.Option(help="Threads that read pictures.")] = None,
    max_pixels: Annotated[int, typer.Option(help="Pixels of the largest picture to decode.")] = 178_956_970,
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
    if format not in ("text", "json"):
        raise CurvauditError(f"--format {format!r} is not known.", "Use text or json.")
    shares = tuple(percent / 100 for percent in numbers("--rates", rates, "1,2,4"))
    from ..calibrating import calibrate as run_calibration
    from ..exports.calibrations import json_document, text
    from .display import Display
    from .interrupts import terminate_like_interrupt

    terminate_like_interrupt()
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
        sys.stdout.write(json_document.render(result).decode())
    else:
        typer.echo(text.render(result).decode(), nl=False)
        typer.echo(f"Page: {safe(str(out / 'index.html'))}")
