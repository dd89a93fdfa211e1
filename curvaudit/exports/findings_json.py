"""`findings.json`: schema curvaudit-findings/1."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..records import Finding, Report

SCHEMA = "curvaudit-findings/1"


def render(report: Report) -> bytes:
    """Always valid JSON: numbers that JSON does not know become null."""
    document = {
        "schema": SCHEMA,
        "run": _run(report),
        "summary": summary(report),
        "findings": [_finding(finding) for finding in report.findings],
    }
    text = json.dumps(_plain(document), indent=1, allow_nan=False, ensure_ascii=True)
    return (text + "\n").encode()


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
                "epochs": training.epochs,
                "finished": training.finished,
                "memorized": training.memorized,
            }
            for training in report.trainings
        ],
    }


def summary(report: Report) -> dict[str, Any]:
    """Counts and what the reader must know first."""
    training = next(t for t in report.trainings if t.index == report.training)
    by_rule = Counter(finding.rule.id for finding in report.findings)
    by_severity = Counter(finding.rule.severity for finding in report.findings)
    return {
        "samples": len(report.samples),
        "classes": len(report.samples.classes),
        "unreadable": sum(item.kind == "unreadable" for item in report.skipped),
        "ignored": [
            {"id": item.id, "reason": item.reason} for item in report.skipped if item.kind == "ignored"
        ],
        "memorized": training.memorized,
        "finished": training.finished,
        "epochs": training.epochs,
        "rank_by": report.rank_by,
        "findings_by_rule": dict(sorted(by_rule.items())),
        "findings_by_severity": dict(by_severity),
        "caveats": [{"severity": caveat.severity, "message": caveat.message} for caveat in report.caveats],
    }


def _finding(finding: Finding) -> dict[str, Any]:
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
    """Numpy and non-finite numbers out, everything else as it is."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
