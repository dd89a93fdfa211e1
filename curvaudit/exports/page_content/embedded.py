"""Which pictures a page embeds, and how large: what a reviewer comes to first is served first."""

from __future__ import annotations

from collections.abc import Sequence

from ...records import Report

BUDGET = 5_500_000  # bytes of pictures; a third more as text. With 1,000 tiles the page stays below 10 MB


def embedded(report: Report, rows: Sequence[int], first: Sequence[int]) -> dict[int, bytes]:
    """Row -> encoded picture, each to be embedded once.

    Every one of `rows` gets its thumbnail. Then, in the order of `first` and as long as the budget lasts, each
    gets its larger picture, and those of its neighbours that are not on the page get thumbnails.

    Parameters
    ----------
    first:
        Rows in the order in which a reviewer looks at them.
    """
    chosen = {row: report.thumbnails[row] for row in rows if row in report.thumbnails}
    left = BUDGET - sum(map(len, chosen.values()))
    for row in first:
        better = {other: report.thumbnails[other] for other in report.near(row) if other in report.thumbnails}
        better = {other: content for other, content in better.items() if other not in chosen}
        if row in chosen and row in report.previews:
            better[row] = report.previews[row]
        cost = sum(len(content) - len(chosen.get(other, b"")) for other, content in better.items())
        if cost <= left:
            left -= cost
            chosen |= better
    return chosen
