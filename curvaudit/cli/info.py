"""`curvaudit info`"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .app import RUN_FILE, app

if TYPE_CHECKING:
    from ..records import TrainingInfo
    from ..store import Run


@app.command()
def info(run: Annotated[Path, typer.Argument(help="The run file.")] = Path(RUN_FILE)) -> None:
    """Say what is in a run file."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from ..store import open_run
    from .text import duration, safe

    opened = open_run(run)
    console = Console(highlight=False, soft_wrap=True)
    size = f"{opened.file.stat().st_size / 1e6:,.1f} MB"
    console.print(Text(f"{safe(str(run))}: curvaudit run, format {opened.info.format_version}, {size}", "bold"))
    facts = Table.grid(padding=(0, 2))
    for name, said in _facts(opened):
        facts.add_row(Text(name, "dim"), Text(safe(said)))
    console.print(facts)
    if opened.trainings:
        table = Table(box=None, pad_edge=False)
        for heading in ("training", "weight decay", "seed", "epochs", "state", "accuracy", "time"):
            table.add_column(heading, justify="left" if heading in ("training", "state") else "right", no_wrap=True)
        for one in opened.trainings:
            accuracy = f"{one.curves.train_accuracy[-1]:.2%}" if one.epochs else "?"
            time = duration(float(one.curves.seconds.sum()))
            state = _state(one)
            table.add_row(
                str(one.index),
                f"{one.weight_decay:g}",
                str(one.seed),
                str(one.epochs),
                Text(state, "green" if state == "memorized" else "yellow"),
                accuracy,
                time,
            )
        console.print()
        console.print(table)
    console.print()
    console.print(Text(f"Next: {safe(_next(opened, run))}"))


def _facts(run: Run) -> list[tuple[str, str]]:
    import numpy as np

    from ..records import of_kind

    config, samples = run.info.config, run.samples
    counts = np.bincount(samples.labels, minlength=len(samples.classes))
    unreadable = len(of_kind(run.skipped, "unreadable"))
    ignored = len(of_kind(run.skipped, "ignored"))
    partial = len(of_kind(run.skipped, "partial"))
    area = samples.width.astype(np.int64) * samples.height
    smallest, largest = (
        f"{samples.width[row]}×{samples.height[row]}" for row in (int(area.argmin()), int(area.argmax()))
    )
    size = f"{smallest} px" if smallest == largest else f"{smallest} to {largest} px"
    each = f"{counts.min():,}" if counts.min() == counts.max() else f"{counts.min():,} to {counts.max():,}"
    scores = sorted({name for training in run.trainings for name in training.measures})
    kept = [f"{len(run.thumbnail_rows()):,} thumbnails"]
    features = [run.features_epoch(training.index) for training in run.trainings]
    if any(epoch is not None for epoch in features):
        kept.append(f"features of epoch {next(epoch for epoch in features if epoch is not None)}")
    return [
        ("source", f"{run.info.source}"),
        ("made", f"{run.info.created_utc} by {run.info.created_by}"),
        ("samples", f"{len(samples):,} in {len(samples.classes):,} classes, {each} a class, {size}"),
        ("left out", f"{unreadable:,} unreadable, {ignored:,} ignored{f', parts of {partial:,}' if partial else ''}"),
        (
            "network",
            f"resnet18, width {config.get('width')}, input {config.get('resolution')} px, "
            f"{'grey' if config.get('channels') == 1 else 'colour'}, on {config.get('device')}",
        ),
        ("scores", ", ".join(scores)),
        ("kept", ", ".join(kept)),
    ]


def _state(training: TrainingInfo) -> str:
    if not training.finished:
        planned = training.recipe.get("epochs")
        return f"unfinished (of {planned})" if planned else "unfinished"
    return "memorized" if training.memorized else "not all memorized"


def _next(run: Run, path: Path) -> str:
    if run.trainings and not run.missing:
        name = "" if str(path) == RUN_FILE else f" {shlex.quote(str(path))}"
        return f"curvaudit report{name} --top 100"
    where = "" if str(path) == RUN_FILE else f" -o {shlex.quote(str(path))}"
    return f"curvaudit scan SOURCE --resume{where}, with the settings of the first start"
