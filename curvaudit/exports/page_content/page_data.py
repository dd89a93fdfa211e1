"""What the page's script knows: facts on every picture of the page, as JSON text in the page.

Only text and numbers. The pictures are in the style sheet, each once.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np

from ... import ordering, pseudonyms
from ...records import Finding, Report, Trajectories
from ...text.utf8 import valid
from .tiles import Tile, crisp, distance_in_words

_EPOCHS = 80  # points of a curve; longer trainings are thinned evenly
_DIGITS = 4  # significant digits: enough to read, a third of the bytes
_LONGEST = 300  # characters of what a manifest says about a picture; all of it is in ranking.csv
_EXACT = 9  # of the score ranked by: the brush of its histogram compares it with the bins' edges


def page_data(report: Report, tiles: Sequence[Tile], pictures: Collection[int]) -> str:
    """JSON text that is safe inside a `<script>` element, whatever the names are.

    Parameters
    ----------
    pictures:
        Rows whose picture is embedded.
    """
    training = report.chosen_training
    rows = [tile.row for tile in tiles]
    on_page = set(rows)
    contents = report.samples.content_hash[rows]
    findings = [f for f in report.findings if not on_page.isdisjoint(f.rows)]
    names = list(report.scores)
    further = report.samples.further  # the path is the id once more
    content = {
        "run": valid(report.run_path),
        "source": valid(report.run.source),
        "fingerprint": report.run.source_fingerprint,
        "store": _store(report),
        "total": len(report.samples),
        "ranked": training is not None,
        "seed": training.seed if training and report.stability else None,
        "rankBy": report.rank_by,
        "classes": [valid(name) for name in report.samples.classes],
        "scores": [valid(name) for name in names],
        "columns": [valid(name) for name in further],
        "samples": {
            "row": rows,
            "id": [valid(tile.id) for tile in tiles],
            "label": [tile.label_number for tile in tiles],
            "rank": [tile.rank for tile in tiles],
            "suggested": report.suggested[rows].tolist(),
            "hash": [f"{int(value):016x}" for value in contents],
            # What the anonymized page of this run calls them in the decisions that it saves.
            "masked": [f"{int(value):016x}" for value in pseudonyms.contents(contents, report.run.source_fingerprint)],
            "width": report.samples.width[rows].tolist(),
            "height": report.samples.height[rows].tolist(),
            "kept": [int(tile.kept) for tile in tiles],
            "crisp": [int(tile.crisp) for tile in tiles],
            "values": [
                _numbers(report.scores[name][rows], _EXACT if name == report.rank_by else _DIGITS) for name in names
            ],
            "ranks": [_ranks(report, name)[rows].tolist() for name in names],
            "further": [[_cut(texts[row]) for row in rows] for texts in further.values()],
        },
        "findings": [_finding(finding, on_page) for finding in findings],
        **_neighbours(report, rows, pictures),
        **_curves(report, rows),
    }
    # "<" must not end the script element or open a comment in it.
    return json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _store(report: Report) -> str:
    """Under which name a browser keeps the decisions; a report without a fingerprint needs one of its own."""
    if report.run.source_fingerprint:
        return report.run.source_fingerprint
    samples = report.samples
    return blake2b(samples.content_hash.tobytes() + samples.labels.tobytes(), digest_size=8).hexdigest()


def _finding(finding: Finding, on_page: set[int]) -> dict[str, Any]:
    return {
        "rule": finding.rule.id,
        "name": finding.rule.name,
        "severity": finding.rule.severity,
        "fingerprint": finding.fingerprint,
        "message": valid(finding.message),
        "distance": distance_in_words(finding),
        "rows": [row for row in finding.rows if row in on_page],
        "size": len(finding.rows),
    }


def _ranks(report: Report, name: str) -> np.ndarray:
    """Rank of every sample by one score, 1 = most suspicious, (N,)."""
    return ordering.ranks(ordering.order_by(report.trainings, report.scores, name))


def _neighbours(report: Report, rows: list[int], pictures: Collection[int]) -> dict[str, Any]:
    """The nearest of every row, and what is known of those that are not on the page themselves."""
    known = report.neighbours
    if known is None:
        return {"near": [], "nearEpoch": None, "others": {"row": [], "id": [], "label": [], "kept": [], "crisp": []}}
    near = [known.of(row) for row in rows]
    others = sorted({row for each in near for row in each} - set(rows))
    return {
        "near": near,
        "nearEpoch": known.epoch,
        "others": {
            "row": others,
            "id": [valid(report.samples.ids[row]) for row in others],
            "label": report.samples.labels[others].tolist(),
            "kept": [int(row in pictures) for row in others],
            "crisp": [int(crisp(report.samples, row)) for row in others],
        },
    }


def _curves(report: Report, rows: list[int]) -> dict[str, Any]:
    """Epochs, and for every row its curvature and what the network took it for."""
    known = report.trajectories
    if known is None or len(known.epochs) == 0:
        return {"epochs": [], "curvature": [], "probed": [], "seen": [], "medians": {}}
    epochs = np.unique(np.linspace(0, len(known.epochs) - 1, min(_EPOCHS, len(known.epochs))).astype(int))
    place = _places(known, rows)
    curvature, seen = known.curvature[epochs], known.prediction[epochs]
    probed = known.probed[epochs]
    measured = not np.isnan(known.curvature).all()
    dealt = measured and not probed.all()
    logged = bool((known.prediction >= 0).any())
    classes = sorted(set(report.samples.labels[rows].tolist())) if measured else []
    return {
        "epochs": known.epochs[epochs].tolist(),
        "curvature": [_numbers(curvature[:, at]) if measured and at >= 0 else [] for at in place],
        "probed": [probed[:, at].astype(int).tolist() if dealt and at >= 0 else [] for at in place],
        "seen": [seen[:, at].tolist() if logged and at >= 0 else [] for at in place],
        "medians": {label: _numbers(known.class_median[epochs, label]) for label in classes},
    }


def _places(known: Trajectories, rows: list[int]) -> list[int]:
    """Columns of `rows` in the trajectories, -1 where a row is not among them."""
    if len(known.rows) == 0:
        return [-1] * len(rows)
    found = np.minimum(np.searchsorted(known.rows, rows), len(known.rows) - 1)
    places: list[int] = np.where(known.rows[found] == rows, found, -1).tolist()
    return places


def _cut(content: str) -> str:
    return valid(content if len(content) <= _LONGEST else f"{content[:_LONGEST]}…")


def _numbers(values: Iterable[float], digits: int = _DIGITS) -> list[float | None]:
    """Rounded to what a reader can use; null where not measured."""
    return [float(f"{value:.{digits}g}") if np.isfinite(value) else None for value in values]
