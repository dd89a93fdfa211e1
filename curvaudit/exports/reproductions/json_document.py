"""`reproduction.json`: schema curvaudit-reproduction/1."""

from __future__ import annotations

from ...reproduction.result import Reproduction
from ..findings_json import encode

SCHEMA = "curvaudit-reproduction/1"


def render(result: Reproduction) -> bytes:
    """One JSON document: what was asked, what was found, and what it takes to get it again."""
    outcome = result.outcome
    return encode(
        {
            "schema": SCHEMA,
            "experiment": result.experiment,
            "title": result.title,
            "paper": result.paper,
            "scale": result.scale,
            "command": result.command,
            "sentences": outcome.sentences,
            "caveats": outcome.caveats,
            "tables": [
                {"name": table.name, "title": table.title, "heads": table.heads, "rows": table.rows, "note": table.note}
                for table in outcome.tables
            ],
            "figures": [
                {"name": figure.name, "caption": figure.caption, "told": figure.told} for figure in outcome.figures
            ],
            "trainings": [dict(one) for one in outcome.trainings],
            "settings": result.settings,
            "environment": result.environment,
            "seconds": result.seconds,
            "created_by": result.created_by,
            "created_utc": result.created_utc,
        }
    )
