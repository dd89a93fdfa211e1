"""What a running scan shows: live on a terminal, plain lines elsewhere."""

from __future__ import annotations

import shlex
import sys
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from ..records import Advanced, EpochDone, Event, Notice, PhaseStarted, of_kind
from .app import RUN_FILE
from .findings_table import STYLE
from .text import duration, safe

if TYPE_CHECKING:
    from ..store import Run


class Display:
    """Shows events of a scan or a report, and results. Names are printed as text, never as rich markup.

    Parameters
    ----------
    plain:
        Whether phases are said in lines where there is no terminal to draw bars on.
    """

    def __init__(self, quiet: bool, plain: bool = True) -> None:
        self.quiet = quiet
        self.plain = plain
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
            if self.plain and not self.live and event.of_epoch is None:
                unit = event.unit.removesuffix("s") if event.total == 1 else event.unit
                self._line(f"{event.phase}: {event.total} {unit}")
        elif isinstance(event, Advanced):
            self.progress.advance(self.task, event.done)
        elif isinstance(event, Notice):
            if event.severity == "note":
                self._line(event.message)
            else:
                self.err.print(Text(f"{event.severity}: {safe(event.message)}", STYLE[event.severity]))
        elif isinstance(event, EpochDone):
            self._epoch(event)

    def _epoch(self, event: EpochDone) -> None:
        which = f"training {event.training + 1}/{event.trainings}, weight decay {event.weight_decay:g}, "
        extended = " (extended)" if event.epoch > event.planned else ""
        curvature = "not measured" if event.curvature is None else f"{event.curvature:.3g}"
        about = "at most" if event.epoch >= event.planned and event.seconds_left > 0 else "about"
        self._line(
            f"{which if event.trainings > 1 else ''}epoch {event.epoch}/{event.planned}{extended}: "
            f"loss {event.train_loss:.3f}, accuracy {event.train_accuracy:.2%}, "
            f"memorized {event.memorized_share:.2%}, curvature {curvature}, "
            f"{duration(event.seconds)} an epoch, {about} {duration(event.seconds_left)} left"
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
        unreadable = len(of_kind(run.skipped, "unreadable"))
        several = len({training.seed for training in run.trainings}) > 1
        for training in run.trainings:
            seed = f", seed {training.seed}" if several else ""
            state = "memorized" if training.memorized else "NOT fully memorized"
            self.out.print(
                Text(
                    f"weight decay {training.weight_decay:g}{seed}: {training.epochs} epochs, {state}, "
                    f"{duration(float(training.curves.seconds.sum()))}"
                )
            )
        self.out.print(Text(f"{len(run.samples)} pictures audited, {unreadable} unreadable. Run file: {run.path}"))
        name = "" if str(run.path) == RUN_FILE else f" {shlex.quote(str(run.path))}"
        self.out.print(Text(f"Next: curvaudit report{name} --top 100"))
