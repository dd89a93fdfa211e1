"""The only place that reads the clock.

With `SOURCE_DATE_EPOCH` set (the reproducible-builds convention) time stands still: two scans
with one seed then write the same file, byte for byte.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime


def _frozen() -> int | None:
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    # Beyond the year 9999 datetime gives up; such a value can only be a mistake.
    return int(text) if text.isdecimal() and len(text) <= 11 else None


def now_utc() -> str:
    """The time as ISO 8601 in UTC, to the second."""
    frozen = _frozen()
    moment = datetime.now(UTC) if frozen is None else datetime.fromtimestamp(frozen, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds() -> float:
    """A monotonic clock for durations."""
    return time.monotonic() if _frozen() is None else 0.0
