"""CSV rows that stay rows, whatever the names hold."""

from __future__ import annotations

import csv
import io
from typing import Any


class Rows:
    """Writes rows whose lines end in `\\n`.

    Python's csv module quotes a carriage return in a field only where it is part of the line end
    (before 3.13). Left bare, a file name could end its row and begin another one.
    """

    def __init__(self, buffer: io.StringIO) -> None:
        self._buffer = buffer
        self._writer = csv.writer(self, lineterminator="\r\n")

    def writerow(self, cells: Any) -> None:
        """One row."""
        self._writer.writerow(cells)

    def write(self, line: str) -> None:
        """Called by the csv module, once a row."""
        self._buffer.write(line.removesuffix("\r\n") + "\n")
