"""Fields of any length in a CSV that we read: imports nothing of ours."""

from __future__ import annotations

import csv
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_ONE_AT_A_TIME = threading.Lock()


@contextmanager
def fields_up_to(length: int) -> Iterator[None]:
    """Inside, csv takes fields of `length` characters, not of 131,072 at most: one list of polygons is longer.

    The limit is one for the whole program: others in it get theirs back. Of two threads that read, the first to finish
    would take the second one's away, so that they take turns.
    """
    with _ONE_AT_A_TIME:
        before = csv.field_size_limit()
        csv.field_size_limit(max(before, length))
        try:
            yield
        finally:
            csv.field_size_limit(before)
