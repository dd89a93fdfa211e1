"""The command line: parses, calls one public function, prints. The only printer.

Nothing heavy is imported here at the top: `curvaudit --help` answers at once.
"""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import __version__
from .errors import CurvauditError

if TYPE_CHECKING:
    from .records import Report

CLEAN, VIOLATED, COULD_NOT_RUN, INTERRUPTED = 0, 1, 2, 130

app = typer.Typer(
    name="curvaudit",
    help="Audit labelled image data sets: wrong labels, conflicting duplicates, memorized pictures.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

RUN_FILE = "curvaudit.h5"
REPORT_FOLDER = "curvaudit-report"


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"curvaudit {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Audit labelled image data sets: wrong labels, conflicting duplicates, memorized pictures."""


@app.command()
def scan(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder (class/image.ext) or one of digits, mnist, fashion-mnist, cifar10, cifar100, imagenet."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The run file to write.")] = Path(RUN_FILE),
    split: Annotated[str | None, typer.Option(help="train, test or val; default train.")] = None,
    data_dir: Annotated[str | None, typer.Option(help="Where a standard set lies.")] = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch a standard set if it is absent.")] = False,
    validation: Annotated[str | None, typer.Option(help="Also log loss and curvature of this second split.")] = None,
    preset: Annotated[str, typer.Option(help="fast, paper-mnist, paper-cifar or paper-imagenet.")] = "fast",
    epochs: Annotated[int | None, typer.Option(help="Length of the schedule; default by preset.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Default by preset.")] = None,
    lr: Annotated[float | None, typer.Option(help="Peak or initial learning rate; default by preset.")] = None,
    weight_decay: Annotated[str, typer.Option(help="One value, or several for one training each: 0,1e-4.")] = "0",
    seed: Annotated[int, typer.Option(help="Decides initialization, order, augmentation and probes.")] = 0,
    augment: Annotated[
        bool | None, typer.Option("--augment/--no-augment", help="Crop and flip; default by preset and data.")
    ] = None,
    curvature_every: Annotated[int | None, typer.Option(help="Measure curvature every k-th epoch.")] = None,
    probes: Annotated[int | None, typer.Option(help="n of equation 6; default 1 (fast) or 10 (paper).")] = None,
    step: Annotated[float, typer.Option(help="h of equation 6, in pixels of [0, 1].")] = 1e-3,
    resolution: Annotated[str, typer.Option(help="Side of the network's input in px, or auto.")] = "auto",
    width: Annotated[str, typer.Option(help="Channels of the first stage (paper: 64), or auto.")] = "auto",
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, … or auto.")] = "auto",
    precision: Annotated[str, typer.Option(help="Of training: float32, bf16 or auto. Scores are float32.")] = "auto",
    workers: Annotated[int | None, typer.Option(help="Threads that read pictures.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing run file.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print warnings and errors only.")] = False,
) -> None:
    """Train to full memorization and log every score of every picture in every epoch."""
    from .display import Display
    from .scanning import scan as run_scan

    decays = _numbers("--weight-decay", weight_decay)
    _terminate_like_interrupt()
    with Display(quiet) as display, _interruptible():
        run = run_scan(
            source,
            out,
            resume=resume,
            overwrite=overwrite,
            on_event=display.show,
            split=split,
            data_dir=data_dir,
            download=download,
            validation=validation,
            preset=preset,
            epochs=epochs,
            batch_size=batch_size,
            lr=lr,
            weight_decay=decays,
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
        )
        display.finish_scan(run)


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="The run file.")] = Path(RUN_FILE),
    top: Annotated[int, typer.Option(help="Pictures on the contact sheet.")] = 100,
    out: Annotated[Path, typer.Option("--out", "-o", help="The report folder.")] = Path(REPORT_FOLDER),
    rank_by: Annotated[
        str, typer.Option(help="curvature, gradient, loss, margin, el2n, correct or consensus.")
    ] = "curvature",
    training: Annotated[int | None, typer.Option(help="Which training of the run ranks; default the first.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print warnings and errors only.")] = False,
) -> None:
    """Rank the pictures, find duplicates and conflicts, write page, CSV and JSON."""
    from .display import Display
    from .reporting import report as make_report
    from .reporting import save

    made: Report = make_report(run, top=top, rank_by=rank_by, training=training)
    page = save(made, out)
    with Display(quiet) as display:
        display.finish_report(made, page)


@app.command()
def info(run: Annotated[Path, typer.Argument(help="The run file.")] = Path(RUN_FILE)) -> None:
    """Say what is in a run file."""
    from .display import Display
    from .store import open_run

    opened = open_run(run)
    with Display(quiet=False) as display:
        display.describe(opened)


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise CurvauditError(
            f"{option} {text!r} is not a number or a comma-separated list of numbers.",
            f"For example {option} 0,1e-4.",
        ) from None


def _terminate_like_interrupt() -> None:
    """SIGTERM (a batch system's time limit) ends a scan as Ctrl-C does."""

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Say how to go on; caught here because typer swallows the interrupt further up."""
    try:
        yield
    except KeyboardInterrupt:
        arguments = [a for a in sys.argv[1:] if a not in ("--resume", "--overwrite")]
        typer.echo("Interrupted. Every finished epoch is kept. Continue with:", err=True)
        typer.echo(f"curvaudit {_plain(shlex.join(arguments))} --resume", err=True)
        raise typer.Exit(INTERRUPTED) from None


def main() -> None:
    """Run the command line and exit with 0, 1, 2 or 130."""
    try:
        result = app(standalone_mode=False)
    except CurvauditError as error:
        typer.echo(f"Error: {_plain(error.message)}", err=True)
        if error.hint:
            typer.echo(_plain(error.hint), err=True)
        sys.exit(COULD_NOT_RUN)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(INTERRUPTED)
    except typer.Exit as leave:
        sys.exit(leave.exit_code)
    except MemoryError:
        typer.echo("Error: out of memory.", err=True)
        typer.echo("Finished epochs are kept. Try a smaller --batch-size, --resolution or --width.", err=True)
        sys.exit(COULD_NOT_RUN)
    except OSError as error:
        typer.echo(f"Error: {_plain(str(error))}.", err=True)
        typer.echo("Finished epochs are kept; mend the cause, then use --resume.", err=True)
        sys.exit(COULD_NOT_RUN)
    except Exception as error:
        # Usage errors of the bundled click carry their own way of showing themselves.
        show = getattr(error, "show", None)
        if show is None:
            raise
        show()
        sys.exit(COULD_NOT_RUN)
    sys.exit(result if isinstance(result, int) else CLEAN)


def _plain(text: str) -> str:
    """File names may hold line ends and terminal control sequences: show them, do not obey them."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
