"""`fiftyone.json`: the audit as a FiftyOne data set."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from ..records import Report

_FIELD = "fiftyone.core.fields."
_CLASSIFICATION = f"{_FIELD}EmbeddedDocumentField(fiftyone.core.labels.Classification)"


def render(report: Report) -> bytes:
    """One JSON document, as `fiftyone.Dataset.from_json` reads it (the layout of `write_json`):

        fiftyone.Dataset.from_json("fiftyone.json", rel_dir="images")

    where `rel_dir` is the folder of the class folders (`data/train` where splits are above them), or of
    the manifest. Each sample has its rule ids as tags, `ground_truth` and, where there is one,
    `suggested` (Classification), `rank`, `content_hash` and one `score_NAME` for each score of the
    ranking training. Samples stand in the order of the ranking. Sources without files (`.npz`, Parquet,
    tar) give paths that lead nowhere.
    """
    samples = report.samples
    scores = {f"score_{name}": values for name, values in report.scores.items() if "@" not in name}
    paths = samples.paths
    fields = {
        "filepath": f"{_FIELD}StringField",
        "tags": f"{_FIELD}ListField({_FIELD}StringField)",
        "ground_truth": _CLASSIFICATION,
        "suggested": _CLASSIFICATION,
        "rank": f"{_FIELD}IntField",
        "content_hash": f"{_FIELD}StringField",
        **{name: f"{_FIELD}FloatField" for name in scores},
    }
    document = {
        "name": "curvaudit",
        "media_type": "image",
        "num_samples": len(samples),
        "sample_fields": fields,
        "info": {
            "source": report.run.source,
            "source_fingerprint": report.run.source_fingerprint,
            "created_by": report.run.created_by,
            "rank_by": report.rank_by,
        },
        "samples": [
            {
                "filepath": paths[row],
                "tags": list(report.rules_of(row)),
                "ground_truth": _classification(report.label(row)),
                "suggested": _suggested(report, row),
                "rank": int(report.rank[row]) if report.rank_by else None,
                "content_hash": f"{int(samples.content_hash[row]):016x}",
                **{name: _number(values[row]) for name, values in scores.items()},
            }
            for row in report.order.tolist()
        ],
    }
    return (json.dumps(document, indent=1, allow_nan=False, ensure_ascii=True) + "\n").encode()


def _classification(label: str) -> dict[str, Any]:
    return {"_cls": "Classification", "tags": [], "label": label}


def _suggested(report: Report, row: int) -> dict[str, Any] | None:
    better = report.suggested_label(row)
    return None if better is None else _classification(better)


def _number(value: np.floating) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None
