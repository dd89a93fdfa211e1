"""CSV rows that stay rows, whatever the names hold."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import Any

# Readers strip blanks, and guess at these delimiters, unless they stand in quotes.
_QUOTED = re.compile(r"\A\s|\s\Z|[;\t]")


class Rows:
    """Writes rows whose lines end in `\\n`.

    Python's csv module quotes a carriage return in a field only where it is part of the line end
    (before 3.13). Left bare, a file name could end its row and begin another one.
    """

    def __init__(self, buffer: io.StringIO) -> None:
        self._buffer = buffer
        self._writer = csv.writer(self, lineterminator="\r\n")
        self._quoting = csv.writer(self, lineterminator="\r\n", quoting=csv.QUOTE_ALL)

    def writerow(self, cells: Any) -> None:
        """One row."""
        self._writer.writerow(cells)

    def write_exactly(self, cells: Sequence[str]) -> None:
        """One row of texts that a scan reads back as they are: all in quotes where one of them needs it."""
        quoted = any(_QUOTED.search(cell) for cell in cells)
        (self._quoting if quoted else self._writer).writerow(cells)

    def write(self, line: str) -> None:
        """Called by the csv module, once a row."""
        self._buffer.write(line.removesuffix("\r\n") + "\n")
