"""Figures 4, 11 and 13: pictures that stand under two labels, at the top of the ranking by curvature."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ... import ordering
from ...copies import hashing
from ...derived import ranking
from ...errors import CurvauditError, UnreadableImage
from ...pictures.depth import Scales, to_8_bit
from ...records import Report
from ...reporting import report
from ...rules import CONFLICTS
from ...sources import Source
from ...sources.subset import Subset, draw
from .. import plots
from ..result import Cell, Figure, Outcome, Table
from . import runs
from .interface import SOURCES, Experiment, Settings
from .runs import Chosen

TOP = 60  # of figure 11
FURTHER = 500
_SMALL = 5000


@dataclass(frozen=True)
class Found:
    """One training's ranking and what is known about copies."""

    chosen: Chosen
    report: Report
    groups: tuple[tuple[str, tuple[int, ...]], ...]  # (rule, rows) of every conflict

    def rows(self, *rules: str) -> np.ndarray:
        """Rows in a conflict of these rules, ascending."""
        return np.unique([row for rule, rows in self.groups for row in rows if rule in rules]).astype(np.int64)

    def within(self, rows: np.ndarray, top: int) -> int:
        """How many of `rows` stand in the first `top` places."""
        return int((self.report.rank[rows] <= top).sum())


def look(chosen: Chosen) -> Found:
    """Rank one training and take its conflicts from the findings."""
    made = report(chosen.run, top=TOP, training=chosen.training.index)
    groups = tuple(
        (finding.rule.id, tuple(sample.index for sample in finding.samples if sample.index is not None))
        for finding in made.findings
        if finding.rule.id in CONFLICTS
    )
    return Found(chosen, made, groups)


def run(settings: Settings) -> Outcome:
    """Read or train, then count."""
    if settings.from_runs:
        chosen = runs.opened(settings.from_runs)
    else:
        data = runs.source(settings, runs.only(settings, "cifar100"))
        count = settings.count(_SMALL)
        told = {} if settings.small else {"preset": "paper-cifar"}
        drawn = _with_conflicts(data, count, settings.seed)
        chosen = runs.trained(settings, drawn, "duplicates", weight_decay=(0.0, 1e-4), seed=settings.seed, **told)
    chosen = [one for one in chosen if np.isfinite(one.run.epoch_means(one.training.index, "curvature")).any()]
    if not chosen:
        raise CurvauditError("Curvature was not measured in any finished epoch yet.", "Wait for the scan.")
    found = [look(one) for one in chosen]
    caveats = tuple(dict.fromkeys(text for one in chosen for text in one.caveats()))
    caveats += tuple(
        dict.fromkeys(c.message for one in found for c in one.report.caveats if c.unchecked == "unverified")
    )
    if not found[0].groups:
        caveats += ("This data set holds no picture under two labels: there is nothing to find.",)
    figures = tuple(_top(settings, one, number) for number, one in enumerate(found))
    return Outcome(
        _sentences(found), (_counts(found), _scores(found), *_pairs(found)), figures, caveats,
        tuple(one.described() for one in chosen),
    )  # fmt: skip


def _with_conflicts(data: Source, count: int | None, seed: int) -> Subset:
    """A share of the source by lot, and every picture that stands under two labels: few as they are, a lot would
    draw none of them with its twin."""
    drawn = draw(data, count, seed)
    if len(drawn.rows) == len(data.ids):
        return drawn
    hashes: dict[int, list[int]] = {}
    for row in range(len(data.ids)):
        try:
            hashes.setdefault(_content(data, row), []).append(row)
        except UnreadableImage:  # named by the scan, where it is drawn
            continue
    labels = np.asarray(data.labels)
    twins = [row for rows in hashes.values() if len(set(labels[rows].tolist())) > 1 for row in rows]
    return Subset(data, np.union1d(drawn.rows, np.array(twins, np.int64)), {}, drawn.skipped)


def _content(data: Source, row: int) -> int:
    # Each deep picture scaled by itself: twins are the same file, and the scan scales them as it scales all.
    return hashing.content_hash(to_8_bit(data.open(row), Scales()))


def _sentences(found: list[Found]) -> tuple[str, ...]:
    said = []
    for one in found:
        exact, every = one.rows("CA101"), one.rows(*CONFLICTS)
        paper = " (paper, CIFAR-100: 36)" if one.chosen.training.weight_decay == 0 else " (paper: only a few)"
        said.append(
            f"{one.chosen.name}: {one.within(every, TOP)} of the {TOP} highest are pictures that stand under two "
            f"labels{paper}; of the {len(exact)} that are identical in every pixel {one.within(exact, TOP)} are in the "
            f"top {TOP} and {one.within(exact, FURTHER)} in the top {FURTHER}, of {len(one.report.rank):,} pictures."
        )
    return tuple(said)


def _counts(found: list[Found]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for one in found:
        total = len(one.report.rank)
        for rules, name in ((("CA101",), "identical (CA101)"), (CONFLICTS, "identical or near (CA101, CA102)")):
            mine = one.rows(*rules)
            decay = one.chosen.training.weight_decay
            paper = 36 if decay == 0 and len(rules) > 1 else None
            median = float(np.median(one.report.rank[mine])) if len(mine) else None
            rows.append(
                (f"{one.chosen.name}: {name}", len(mine), one.within(mine, TOP), paper, one.within(mine, FURTHER),
                 round(TOP * len(mine) / total, 2), median)
            )  # fmt: skip
    return Table(
        "duplicates",
        "Pictures under two labels",
        ("", "pictures", f"in the top {TOP}", f"paper, CIFAR-100, top {TOP}", f"in the top {FURTHER}",
         f"by chance, top {TOP}", "median rank"),
        tuple(rows),
        "CA101: identical in every pixel. CA102: near-identical, verified on pixels. The paper counted by eye, so its "
        "36 include pictures that are alike without being copies in our sense.",
    )  # fmt: skip


def _scores(found: list[Found]) -> Table:
    """What the same trainings put first by their other scores."""
    rows: list[tuple[Cell, ...]] = []
    for one in found:
        exact, near = one.rows("CA101"), one.rows("CA102")
        for name, order in ranking.orders(one.chosen.run, one.chosen.training.index).items():
            rank = ordering.ranks(order)  # (N,)
            cells: list[Cell] = []
            for mine in (exact, near):
                cells += [int((rank[mine] <= top).sum()) for top in (TOP, FURTHER)]
                cells.append(float(np.median(rank[mine])) if len(mine) else None)
            rows.append((f"{one.chosen.name}: {name}", *cells))
    heads = [f"{kind}, {what}" for kind in ("identical", "near") for what in
             (f"in the top {TOP}", f"in the top {FURTHER}", "median rank")]  # fmt: skip
    return Table(
        "duplicates-scores",
        "By every score of the same trainings",
        ("", *heads),
        tuple(rows),
        "Pictures under two labels: identical in every pixel (CA101), near-identical (CA102).",
    )


def _pairs(found: list[Found]) -> list[Table]:
    """No table where there is no conflict."""
    first = found[0]
    samples = first.report.samples
    rows: list[tuple[Cell, ...]] = []
    for rule, group in first.groups:
        names = " | ".join(f"{samples.ids[row]} ({first.report.label(row)})" for row in group)
        ranks = [" ".join(f"{one.report.rank[row]}" for row in group) if _same(one, first) else None for one in found]
        rows.append((names, rule, *ranks))
    heads = ("pictures (labels)", "rule", *(one.chosen.name for one in found))
    return [Table("duplicates-pairs", "Rank of each", heads, tuple(rows), long=len(rows) > 30)] if rows else []


def _same(one: Found, other: Found) -> bool:
    return one.report.samples.ids == other.report.samples.ids


def _top(settings: Settings, one: Found, number: int) -> Figure:
    order = one.report.order[:TOP].tolist()
    marked = set(one.rows(*CONFLICTS).tolist())
    places = runs.source_rows(one.chosen.run)
    told = {row: plots.Picture(None, f"{places[row]}\n{_short(one.report.label(row))}", row in marked) for row in order}
    shown = runs.pictures(settings, one.chosen.run, order, told)
    figure = plots.sheet([shown[start : start + 12] for start in range(0, len(shown), 12)])
    return Figure(
        f"duplicates-{number}",
        f"Figures 4 and 11: the {len(order)} highest by curvature, {one.chosen.name}; above each picture its row and "
        "label, a red dot where it stands under two labels.",
        f"{sum(row in marked for row in order)} of {len(order)} have a red dot.",
        figure,
    )


def _short(text: str) -> str:
    return text if len(text) <= 12 else f"{text[:11]}…"


EXPERIMENT = Experiment(
    name="duplicates",
    title="One picture under two labels",
    paper="Figures 4 and 11 (figure 13 is the same of ImageNet): without weight decay 36 of the 60 pictures of "
    "CIFAR-100 with the highest curvature are duplicated under two labels, with weight decay only a few; Feldman and "
    "Zhang's scores do not find them.",
    takes=SOURCES | {"from_runs"},
    run=run,
)
