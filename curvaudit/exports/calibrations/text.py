"""For people, in a terminal or a log."""

from __future__ import annotations

from ...calibration.result import Calibration
from ...text.printable import printable
from . import wording


def render(result: Calibration) -> bytes:
    """The tables, what to expect of the top, and what limits these figures."""
    lines = [wording.subject(result), ""]
    for table in wording.tables(result):
        lines += [table.title, *_aligned([table.heads, *table.rows]), ""]
    lines += [*wording.sentences(result), "", wording.costs(result)]
    lines += [f"note: {caveat}" for caveat in result.caveats]
    return "".join(f"{printable(line)}\n" for line in lines).encode()


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width) for place, (cell, width) in enumerate(cells)
        ).rstrip()
        for cells in ([*zip(row, widths, strict=True)] for row in rows)
    ]
