"""`findings.json`: schema curvaudit-findings/1."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Set
from typing import Any

import numpy as np

from ..records import SEVERITIES, SKIPPED_KINDS, Finding, Neighbours, Report, Skipped, of_kind
from ..text.utf8 import valid
from .memorized import all_memorized

SCHEMA = "curvaudit-findings/1"


def render(report: Report) -> bytes:
    """All findings as one JSON document, ASCII, always valid.

    Numbers that JSON does not know (NaN, infinity) become null. Names that are not valid
    Unicode (file names in another encoding) keep their odd bytes as `\\udcXX` written out.
    """
    return encode(document(report))


def document(report: Report) -> dict[str, Any]:
    """The content of `findings.json`, before it is encoded."""
    return {
        "schema": SCHEMA,
        "run": _run(report),
        "summary": summary(report),
        "findings": [finding_object(finding) for finding in report.findings],
        **({} if report.neighbours is None else {"neighbours": _neighbours(report, report.neighbours)}),
    }


def _neighbours(report: Report, known: Neighbours) -> dict[str, Any]:
    """The nearest pictures, to the network, of the samples on the contact sheet and in findings."""

    def near(row: int) -> list[dict[str, Any]]:
        pairs = zip(known.of(row), known.similarity_of(row), strict=True)
        return [{**_named(report, other), "similarity": round(similarity, 4)} for other, similarity in pairs]

    found = [row for finding in report.findings for row in finding.rows]
    rows = dict.fromkeys([*report.order[: report.top].tolist(), *found])
    return {
        "epoch": known.epoch,
        "samples": [{**_named(report, row), "nearest": near(row)} for row in rows if known.of(row)],
    }


def _named(report: Report, row: int) -> dict[str, Any]:
    return {"index": row, "id": report.samples.ids[row], "label": report.label(row)}


def encode(content: Mapping[str, Any]) -> bytes:
    """Strict JSON in ASCII, whatever numbers and names `content` holds."""
    content_text = json.dumps(_plain(content), indent=1, allow_nan=False, ensure_ascii=True)
    return (content_text + "\n").encode()


def summary(report: Report) -> dict[str, Any]:
    """Counts, and what the reader must know first."""
    training = report.chosen_training
    by_rule = Counter(finding.rule.id for finding in report.findings)
    by_severity = Counter(finding.rule.severity for finding in report.findings)
    skipped = {kind: of_kind(report.skipped, kind) for kind in SKIPPED_KINDS}
    return {
        "samples": len(report.samples),
        "classes": len(report.samples.classes),
        "skipped": {kind: len(items) for kind, items in skipped.items()},
        **{kind: _skipped(items) for kind, items in skipped.items()},
        "memorized": all_memorized(report),
        "finished": training.finished if training else None,
        "epochs": training.epochs if training else 0,
        "rank_by": report.rank_by,
        "stability": _stability(report),
        "findings_by_rule": dict(sorted(by_rule.items())),
        "findings_by_severity": {name: by_severity[name] for name in SEVERITIES},
        "caveats": [{"severity": caveat.severity, "message": caveat.message} for caveat in report.caveats],
    }


def _stability(report: Report) -> dict[str, Any] | None:
    stable = report.stability
    if stable is None:
        return None
    return {"seeds": stable.seeds, "spearman": stable.spearman, "top": stable.top, "overlap": stable.overlap}


def _run(report: Report) -> dict[str, Any]:
    run = report.run
    return {
        "path": report.run_path,
        "source": run.source,
        "source_fingerprint": run.source_fingerprint,
        "format_version": run.format_version,
        "created_by": run.created_by,
        "created_utc": run.created_utc,
        "config": run.config,
        "environment": run.environment,
        "training": report.training,
        "trainings": [
            {
                "index": training.index,
                "weight_decay": training.weight_decay,
                "seed": training.seed,
                "recipe": training.recipe,
                "epochs": training.epochs,
                "finished": training.finished,
                "memorized": training.memorized,
            }
            for training in report.trainings
        ],
    }


def _skipped(items: list[Skipped]) -> list[dict[str, str]]:
    return [{"id": item.id, "reason": item.reason} for item in items]


def finding_object(finding: Finding) -> dict[str, Any]:
    """One finding as it stands in the list."""
    return {
        "rule": finding.rule.id,
        "name": finding.rule.name,
        "severity": finding.rule.severity,
        "message": finding.message,
        "fingerprint": finding.fingerprint,
        "samples": [
            {
                "index": sample.index,
                "id": sample.id,
                "label": sample.label,
                "rank": sample.rank,
                "score": sample.score,
            }
            for sample in finding.samples
        ],
        "evidence": finding.evidence,
    }


def _plain(value: Any) -> Any:
    """Only what JSON knows: evidence, config and environment may hold numpy values and paths."""
    if isinstance(value, Mapping):
        return {valid(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Set):
        return sorted((_plain(item) for item in value), key=str)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int):
        return value
    return valid(str(value))
