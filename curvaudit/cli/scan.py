"""`curvaudit scan`"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ..errors import CurvauditError
from . import training_options as training
from .app import COULD_NOT_RUN, INTERRUPTED, RUN_FILE, app
from .caching import Cache, NoCache, cache_folder
from .numbers import numbers
from .source_options import MAX_PIXELS, DataDir, Download, ImageColumn, LabelColumn, MaxPixels, Split, Workers
from .text import safe


@app.command()
def scan(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder (class/image.ext), a .csv, .jsonl, .npz, .parquet or .tar file, hf:NAME, or one of "
            "digits, mnist, fashion-mnist, cifar10, cifar100, imagenet."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The run file to write.")] = Path(RUN_FILE),
    split: Split = None,
    data_dir: DataDir = None,
    download: Download = False,
    image_column: ImageColumn = None,
    label_column: LabelColumn = None,
    validation: Annotated[str | None, typer.Option(help="Also log loss and curvature of this second split.")] = None,
    preset: training.Preset = "fast",
    epochs: training.Epochs = None,
    batch_size: training.BatchSize = None,
    lr: training.LearningRate = None,
    weight_decay: Annotated[
        list[str], typer.Option(help="One value, or several for one training each: 0,1e-4.", metavar="<str>")
    ] = ["0"],  # noqa: B006 (typer copies it)
    seed: Annotated[int, typer.Option(help="Decides initialization, order, augmentation and probes.")] = 0,
    repeats: Annotated[
        int,
        typer.Option(help="Trainings for each weight decay, seeded --seed, --seed + 1, …: rank stability."),
    ] = 1,
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
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing run file.")] = False,
    cache: Cache = None,
    no_cache: NoCache = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print warnings and errors only.")] = False,
) -> None:
    """Train to full memorization and log every score of every picture in every epoch."""
    from ..scanning import scan as run_scan
    from ..training.processes import launched
    from .display import Display

    rank, _ = launched()
    with _silent(rank > 0), Display(quiet or rank > 0) as display, _interruptible(out, resume, rank > 0):
        run = run_scan(
            source,
            out,
            resume=resume,
            overwrite=overwrite,
            cache=cache_folder(cache, no_cache),
            on_event=display.show,
            split=split,
            data_dir=data_dir,
            download=download,
            image_column=image_column,
            label_column=label_column,
            validation=validation,
            preset=preset,
            epochs=epochs,
            batch_size=batch_size,
            lr=lr,
            weight_decay=numbers("--weight-decay", ",".join(weight_decay), "0,1e-4"),
            seed=seed,
            repeats=repeats,
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
        display.finish_scan(run)


@contextmanager
def _silent(follows: bool) -> Iterator[None]:
    """Leave it to the first of several processes to say what went wrong."""
    try:
        yield
    except CurvauditError:
        if not follows:
            raise
        raise typer.Exit(COULD_NOT_RUN) from None


@contextmanager
def _interruptible(out: Path, resume: bool, follows: bool) -> Iterator[None]:
    """Say how to go on; caught here because typer swallows the interrupt further up."""
    before = _identity(out)
    try:
        yield
    except KeyboardInterrupt:
        if follows:
            raise typer.Exit(INTERRUPTED) from None
        if resume or _identity(out) not in (None, before):
            arguments = [a for a in sys.argv[1:] if a not in ("--resume", "--overwrite")] + ["--resume"]
            typer.echo("Interrupted. Every finished epoch is kept. Continue with:", err=True)
        else:
            # Before the run file is there, --resume would find nothing, or the run to be overwritten.
            arguments = sys.argv[1:]
            typer.echo("Interrupted before training began. Start again with:", err=True)
        typer.echo(f"curvaudit {safe(shlex.join(arguments))}", err=True)
        raise typer.Exit(INTERRUPTED) from None


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from another one of the same name; None where there is none."""
    from ..files.home import expanded

    try:
        found = expanded(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
