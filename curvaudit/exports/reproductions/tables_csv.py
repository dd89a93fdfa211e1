"""One CSV file for each table."""

from __future__ import annotations

import csv
import io

from ...reproduction import Cell, Table
from ..ranking_csv import inert


def render(table: Table) -> bytes:
    """The heads, then the rows; empty where there is nothing."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([head or "name" for head in table.heads])
    writer.writerows([_cell(cell) for cell in row] for row in table.rows)
    return buffer.getvalue().encode("utf-8", "backslashreplace")


def _cell(cell: Cell) -> str:
    if cell is None or cell != cell:
        return ""
    return f"{cell:.6g}" if isinstance(cell, float) else inert(str(cell))
