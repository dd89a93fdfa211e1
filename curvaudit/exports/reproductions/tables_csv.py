"""One CSV file for each table."""

from __future__ import annotations

import io

from ...reproduction.result import Cell, Table
from ...text.csv_rows import Rows
from ...text.spreadsheet import inert
from ...text.utf8 import encoded


def render(table: Table) -> bytes:
    """The heads, then the rows; empty where there is nothing."""
    buffer = io.StringIO()
    rows = Rows(buffer)
    rows.writerow([inert(head or "name") for head in table.heads])
    for row in table.rows:
        rows.writerow([_cell(cell) for cell in row])
    return encoded(buffer.getvalue())


def _cell(cell: Cell) -> str:
    if cell is None or cell != cell:
        return ""
    if isinstance(cell, str):
        return inert(cell)
    return f"{cell:.6g}" if isinstance(cell, float) else str(cell)
