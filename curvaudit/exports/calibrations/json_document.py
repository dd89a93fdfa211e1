"""`calibration.json`: schema curvaudit-calibration/1."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ...calibration.result import Calibration
from ..findings_json import encode
from . import wording

SCHEMA = "curvaudit-calibration/1"


def render(result: Calibration) -> bytes:
    """One JSON document: every trial, and mean and deviation over repeats. Rates and costs as in `Calibration`."""
    return encode(
        {
            "schema": SCHEMA,
            "source": result.source,
            "samples": result.samples,
            "classes": result.classes,
            "finished": result.finished,
            "rates": result.rates,
            "repeats": result.repeats,
            "folds": result.folds,
            "noise": result.noise,
            "top": result.top,
            "best": result.best,
            "sentences": wording.sentences(result),
            "caveats": result.caveats,
            "methods": [asdict(method) for method in result.methods],
            "summary": _summary(result),
            "trials": [asdict(trial) for trial in result.trials],
            "settings": result.settings,
            "environment": result.environment,
            "created_by": result.created_by,
            "created_utc": result.created_utc,
        }
    )


def _summary(result: Calibration) -> list[dict[str, Any]]:
    measures = ("auroc", "average_precision", "precision_at_planted", "recall_at_planted", "precision_at_top")
    return [
        {
            "method": method.name,
            "rate": rate,
            "cost": result.cost(method.name).mean,
            **{measure: asdict(result.quality(method.name, rate, measure)) for measure in measures},
        }
        for method in result.methods
        for rate in wording.rates(result)
    ]
