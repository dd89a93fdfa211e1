"""Phases run in turn, and the table of what they cost: CSV and Markdown."""

from __future__ import annotations

import csv
import dataclasses
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from machine import Cost, cost_of, described


@dataclass(frozen=True)
class Phase:
    name: str
    pictures: int
    run: Callable[[], object]
    warm: bool = False  # was run before: libraries are loaded and have chosen their kernels


@dataclass(frozen=True)
class Row:
    """Median [lowest – highest] over the repetitions; times of one picture."""

    width: int
    phase: str
    pictures: int
    repetitions: int
    wall_us: float
    processor_us: float
    processor_us_low: float
    processor_us_high: float
    pictures_per_second: float  # of wall time
    to_training: float  # processor time, ratio to the bare training of the same pictures
    to_training_low: float
    to_training_high: float
    wall_to_training: float  # wall time, the same; with several threads the one that counts, as waiting threads spin
    wall_to_training_low: float
    wall_to_training_high: float
    to_reference: float  # how many times faster than the reference way; NaN where it does not apply
    to_reference_low: float
    to_reference_high: float
    peak_mb: float


def alternating(phases: list[Phase], repetitions: int) -> dict[str, list[Cost]]:
    for phase in phases:
        if not phase.warm:
            phase.run()
    costs: dict[str, list[Cost]] = {phase.name: [] for phase in phases}
    for _ in range(repetitions):
        for phase in phases:
            costs[phase.name].append(cost_of(phase.run))
    return costs


def row_of(
    width: int, phase: Phase, costs: list[Cost], training: Phase, all_costs: dict[str, list[Cost]], yard: Phase | None
) -> Row:
    own = [cost.processor / phase.pictures for cost in costs]
    base = [cost.processor / training.pictures for cost in all_costs[training.name]]
    ratios = [one / other for one, other in zip(own, base, strict=True)]
    there = [cost.wall / training.pictures for cost in all_costs[training.name]]
    walls = [cost.wall / phase.pictures / other for cost, other in zip(costs, there, strict=True)]
    gains = [float("nan")]
    if yard is not None:
        there = [cost.processor / yard.pictures for cost in all_costs[yard.name]]
        gains = [other / one for one, other in zip(own, there, strict=True)]
    wall = statistics.median(cost.wall / phase.pictures for cost in costs)
    return Row(
        width=width,
        phase=phase.name,
        pictures=phase.pictures,
        repetitions=len(costs),
        wall_us=1e6 * wall,
        processor_us=1e6 * statistics.median(own),
        processor_us_low=1e6 * min(own),
        processor_us_high=1e6 * max(own),
        pictures_per_second=1 / wall,
        to_training=statistics.median(ratios),
        to_training_low=min(ratios),
        to_training_high=max(ratios),
        wall_to_training=statistics.median(walls),
        wall_to_training_low=min(walls),
        wall_to_training_high=max(walls),
        to_reference=statistics.median(gains),
        to_reference_low=min(gains),
        to_reference_high=max(gains),
        peak_mb=max(cost.peak for cost in costs),
    )


def write(rows: Sequence[Row], notes: Sequence[str], folder: Path, name: str) -> None:
    """Writes `name`.csv and `name`.md, and prints the latter."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([field.name for field in dataclasses.fields(Row)])
        writer.writerows(dataclasses.astuple(row) for row in rows)
    page = _markdown(rows, notes)
    (folder / f"{name}.md").write_text(page, encoding="utf-8")
    print(page)


def _markdown(rows: Sequence[Row], notes: Sequence[str]) -> str:
    lines = [
        described(),
        "",
        "| width | phase | pictures | µs a picture, wall | µs, processor [range] | pictures/s "
        "| in bare trainings, processor [range] | wall [range] | times the reference way [range] | peak, MB |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        gain = "–"
        if row.to_reference == row.to_reference:
            gain = f"{row.to_reference:.2f} [{row.to_reference_low:.2f} – {row.to_reference_high:.2f}]"
        lines.append(
            f"| {row.width} | {row.phase} | {row.pictures} | {row.wall_us:.0f} "
            f"| {row.processor_us:.0f} [{row.processor_us_low:.0f} – {row.processor_us_high:.0f}] "
            f"| {row.pictures_per_second:.0f} "
            f"| {row.to_training:.2f} [{row.to_training_low:.2f} – {row.to_training_high:.2f}] "
            f"| {row.wall_to_training:.2f} [{row.wall_to_training_low:.2f} – {row.wall_to_training_high:.2f}] | {gain} "
            f"| {row.peak_mb:.0f} |"
        )
    return "\n".join([*lines, "", *(f"* {note}" for note in notes), ""])
