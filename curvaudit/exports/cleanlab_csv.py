"""`cleanlab.csv`: the findings as the columns that cleanlab and CleanVision users know."""

from __future__ import annotations

import io
import json

import numpy as np

from ..records import Report
from ..text.csv_rows import Rows
from ..text.utf8 import encoded

_LABEL_RULES = ("CA101", "CA102", "CA201")


def render(report: Report) -> bytes:
    """One row per sample in data-set order, so that row i belongs to sample i as in cleanlab's tables.

    id
        As in `ranking.csv`, but verbatim.
    is_label_issue
        True where CA201 (likely-mislabelled), CA101 or CA102 (conflicts) names the sample.
    label_score
        In [0, 1], low is suspicious: (rank − 1) / (N − 1), the share of the set that ranks above. It
        is a place, not a probability; empty in a report without a ranking.
    given_label, predicted_label
        Class names. Predicted is the label that curvaudit suggests, the given one where it suggests none.
    is_exact_duplicate_issue, is_near_duplicate_issue
        True where CA101/CA111, or CA102/CA112, names the sample.
    near_duplicate_score
        In [0, 1], low is suspicious: 0 for exact copies, for near ones the largest pixel distance of
        their group (1 − correlation), 1 for all others.
    near_duplicate_sets
        A JSON list of the rows that are exact or near copies of this one, as Datalab gives it.
    is_outlier_issue
        True where CA202 (atypical) names the sample.
    is_low_information_issue
        True where CA302 (degenerate) names the sample.
    """
    count = len(report.samples)
    copies: list[set[int]] = [set() for _ in range(count)]
    distance = np.ones(count)  # (N,)
    for finding in report.findings:
        if finding.rule.id in ("CA101", "CA111", "CA102", "CA112"):
            far = finding.evidence.get("pixel_distance") or 0.0
            rows = finding.rows
            for row in rows:
                copies[row].update(other for other in rows if other != row)
                distance[row] = min(distance[row], far)
    buffer = io.StringIO()
    writer = Rows(buffer)
    writer.writerow(
        [
            "id",
            "is_label_issue",
            "label_score",
            "given_label",
            "predicted_label",
            "is_exact_duplicate_issue",
            "is_near_duplicate_issue",
            "near_duplicate_score",
            "near_duplicate_sets",
            "is_outlier_issue",
            "is_low_information_issue",
        ]
    )
    for row in range(count):
        rules = set(report.rules_of(row))
        better = report.suggested_label(row)
        place = (int(report.rank[row]) - 1) / max(1, count - 1)
        writer.writerow(
            [
                report.samples.ids[row],
                not rules.isdisjoint(_LABEL_RULES),
                f"{place:.6g}" if report.rank_by else "",
                report.label(row),
                report.label(row) if better is None else better,
                not rules.isdisjoint(("CA101", "CA111")),
                not rules.isdisjoint(("CA102", "CA112")),
                f"{distance[row]:.6g}",
                json.dumps(sorted(copies[row])),
                "CA202" in rules,
                "CA302" in rules,
            ]
        )
    return encoded(buffer.getvalue())
