"""What the command line shows: live on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from .records import Advanced, EpochDone, Event, Notice, PhaseStarted, Report
from .rules import RULES

if TYPE_CHECKING:
    from .store import Run

_STYLE = {"error": "bold red", "warning": "yellow", "note": "dim"}


class Display:
    """Shows scan events and results. Names are printed as text, never as rich markup."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.out = Console(highlight=False, soft_wrap=True, file=sys.stdout)
        self.err = Console(highlight=False, soft_wrap=True, stderr=True)
        self.live = self.err.is_terminal and not quiet
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self.err,
            transient=True,
            disable=not self.live,
        )
        self.task = self.progress.add_task("", total=None, visible=False)
        self.overall = self.progress.add_task("", total=None, visible=False)

    def __enter__(self) -> Display:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def show(self, event: Event) -> None:
        """React to one event of a scan."""
        if isinstance(event, PhaseStarted):
            self.progress.reset(self.task, total=event.total, description=event.phase, visible=True)
            if not self.live and not event.phase.startswith(("training epoch", "measuring epoch")):
                self._line(f"{event.phase}: {event.total} {event.unit}")
        elif isinstance(event, Advanced):
            self.progress.advance(self.task, event.done)
        elif isinstance(event, Notice):
            if event.severity == "note":
                self._line(event.message)
            else:
                self.err.print(Text(f"{event.severity}: {safe(event.message)}", _STYLE[event.severity]))
        elif isinstance(event, EpochDone):
            self._epoch(event)

    def _epoch(self, event: EpochDone) -> None:
        which = f"training {event.training + 1}/{event.trainings}, weight decay {event.weight_decay:g}, "
        extended = " (extended)" if event.epoch > event.planned else ""
        self._line(
            f"{which if event.trainings > 1 else ''}epoch {event.epoch}/{event.planned}{extended}: "
            f"loss {event.train_loss:.3f}, accuracy {event.train_accuracy:.2%}, "
            f"memorized {event.memorized_share:.2%}, curvature {event.curvature:.3g}, "
            f"{duration(event.seconds)} an epoch, about {duration(event.seconds_left)} left"
        )
        self.progress.update(
            self.overall,
            description=f"epochs, memorized {event.memorized_share:.1%}",
            completed=event.epoch,
            total=max(event.planned, event.epoch),
            visible=True,
        )

    def _line(self, text: str) -> None:
        if not self.quiet:
            self.err.print(Text(safe(text)))

    def finish_scan(self, run: Run) -> None:
        """The closing lines of a scan."""
        self.progress.stop()
        if self.quiet:
            return
        unreadable = sum(item.kind == "unreadable" for item in run.skipped)
        for training in run.trainings:
            state = "memorized" if training.memorized else "NOT fully memorized"
            self.out.print(
                Text(
                    f"weight decay {training.weight_decay:g}: {training.epochs} epochs, {state}, "
                    f"{duration(float(training.curves.seconds.sum()))}"
                )
            )
        self.out.print(Text(f"{len(run.samples)} pictures audited, {unreadable} unreadable. Run file: {run.path}"))
        name = "" if str(run.path) == "curvaudit.h5" else f" {run.path}"
        self.out.print(Text(f"Next: curvaudit report{name} --top 100"))

    def finish_report(self, report: Report, page: Path) -> None:
        """The table of findings and the link to the page."""
        if self.quiet:
            return
        for caveat in report.caveats:
            self.out.print(Text(f"{caveat.severity}: {safe(caveat.message)}", _STYLE[caveat.severity]))
        counts = Counter(finding.rule.id for finding in report.findings)
        if counts:
            table = Table(box=None, pad_edge=False)
            for heading in ("rule", "severity", "count", "meaning"):
                table.add_column(heading, justify="right" if heading == "count" else "left")
            for rule in RULES.values():
                if counts[rule.id]:
                    style = _STYLE[rule.severity]
                    table.add_row(
                        Text(f"{rule.id} {rule.name}"),
                        Text(rule.severity, style),
                        Text(str(counts[rule.id])),
                        Text(rule.meaning),
                    )
            self.out.print(table)
        else:
            self.out.print("No findings.")
        self.out.print(Text(f"Page: {page}", style=f"link {page.resolve().as_uri()}" if self.out.is_terminal else ""))

    def describe(self, run: Run) -> None:
        """What is in a run file, at a glance."""
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
        for line in lines:
            self.out.print(Text(safe(line)))


def safe(text: str) -> str:
    """Control characters in names are shown, not obeyed."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds != seconds:
        return "?"
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
