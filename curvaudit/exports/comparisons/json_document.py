"""Schema curvaudit-comparison/1."""

from __future__ import annotations

from typing import Any

from ...comparison.result import Comparison, Pair, Picture, Side
from ..findings_json import encode, finding_object

SCHEMA = "curvaudit-comparison/1"


def render(made: Comparison) -> bytes:
    """Everything that has changed, as one JSON document, ASCII."""
    return encode(
        {
            "schema": SCHEMA,
            "old": _side(made.old),
            "new": _side(made.new),
            "same": made.same,
            "complete": made.complete,
            "exit_code": made.exit_code,
            "gaps": made.gaps,
            "added": [_picture(one) for one in made.added],
            "removed": [_picture(one) for one in made.removed],
            "changed": [_pair(pair) for pair in made.changed],
            "relabelled": [_pair(pair) for pair in made.relabelled],
            "moved": [_pair(pair) for pair in made.moved],
            "renamed": [_pair(pair) for pair in made.renamed],
            "newly_conflicting": [finding_object(finding) for finding in made.conflicts],
            "rank_by": made.rank_by or None,
            "rises": [
                {
                    **_pair(rise.pair),
                    "old_rank": rise.old_rank,
                    "new_rank": rise.new_rank,
                    "old_share": rise.old_share,
                    "new_share": rise.new_share,
                }
                for rise in made.rises
            ],
        }
    )


def _side(side: Side) -> dict[str, Any]:
    unreadable = [{"id": item.id, "reason": item.reason} for item in side.unreadable]
    return {"name": side.name, "run": side.is_run, "pictures": side.pictures, "unreadable": unreadable}


def _picture(one: Picture) -> dict[str, Any]:
    return {"index": one.row, "id": one.id, "label": one.label, "split": one.split or None}


def _pair(pair: Pair) -> dict[str, Any]:
    return {"old": _picture(pair.old), "new": _picture(pair.new)}
