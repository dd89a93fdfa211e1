"""`curvaudit info`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .app import RUN_FILE, app
from .text import safe

if TYPE_CHECKING:
    from ..store import Run


@app.command()
def info(run: Annotated[Path, typer.Argument(help="The run file.")] = Path(RUN_FILE)) -> None:
    """Say what is in a run file."""
    from ..store import open_run

    for line in _lines(open_run(run)):
        typer.echo(safe(line))


def _lines(run: Run) -> list[str]:
    config, sizes = run.info.config, run.samples
    lines = [
        f"{run.path}: curvaudit run, format {run.info.format_version}, {run.info.created_by}",
        f"source      {run.info.source}, {run.info.created_utc}",
        f"samples     {len(sizes)} in {len(sizes.classes)} classes, {len(run.skipped)} skipped",
        f"network     resnet18, width {config.get('width')}, {config.get('resolution')} px, "
        f"{config.get('channels')} channels, {config.get('device')}",
    ]
    for training in run.trainings:
        state = "memorized" if training.memorized else "finished" if training.finished else "unfinished"
        accuracy = training.curves.train_accuracy[-1] if training.epochs else float("nan")
        lines.append(
            f"training {training.index}  weight decay {training.weight_decay:g}, seed {training.seed}, "
            f"{training.epochs} epochs, {state}, accuracy {accuracy:.2%}, "
            f"scores {', '.join(training.measures)}"
        )
    return lines
