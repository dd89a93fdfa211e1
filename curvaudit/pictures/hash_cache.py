"""What was derived from pictures, kept from one run to the next under the digest of their encoded bytes.

A cache that is damaged, locked, full or read-only costs time and nothing else: it says so once and work
goes on without it. Every entry carries a checksum over itself and its key, so that a flipped byte is a
picture that has to be decoded again, never a wrong hash.
"""

from __future__ import annotations

import os
import sqlite3
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from types import TracebackType

import numpy as np

from ..files.home import expanded
from ..records import Event, Notice
from . import portraits
from .depth import Scale, Scales
from .portraits import Portrait

LIMIT = 2**30  # bytes of the file; the entries that were not used for longest go first
LARGEST_PICTURE = 64 * 2**20  # encoded bytes; larger ones are read in pieces and not kept
_ALONE = Scales()
FILE = "hashes-1.sqlite3"
_FACTS = struct.Struct("<QQIIf?99sBddI")
_SCALES = (None, True, False)  # an entry holds the place: no scale, one of whole numbers, one of floating-point ones
_CHECKSUM = 8  # bytes
_AT_ONCE = 2048  # entries written in one transaction
_PATIENCE = 2.0  # seconds to wait for another process that writes
_FRESH = 7 * 86_400  # seconds for which an entry need not be marked as used again
# Texts in a damaged file need not be UTF-8, and numbers may be too large: neither is an error of SQLite's own.
_TROUBLE = (sqlite3.Error, OSError, UnicodeDecodeError, OverflowError)
_KEPT_WHEN_FULL = 0.8


def default_folder() -> Path | None:
    """The folder for curvaudit in the user's cache folder, as the platform has it; None for a user without a home."""
    from platformdirs import user_cache_path

    try:
        return user_cache_path("curvaudit", appauthor=False).expanduser()
    except RuntimeError:  # as in containers that run under any number
        return None


@contextmanager
def opened(folder: str | os.PathLike[str] | None, on_event: Callable[[Event], None]) -> Iterator[HashCache | None]:
    """The cache in a folder, None where no folder is given; what is wrong with it becomes one warning."""
    if folder is None:
        yield None
        return
    with HashCache(expanded(folder), lambda why: on_event(Notice(why, "warning"))) as cache:
        yield cache


def key(encoded: bytes, scales: Scales = _ALONE) -> bytes:
    """16 bytes that name a picture and everything that its portrait depends on; that of a deep one, on a scale."""
    described = f"{portraits.version()}; {scales}"
    return blake2b(encoded, digest_size=16, key=blake2b(described.encode(), digest_size=32).digest()).digest()


class HashCache:
    """Portraits by key, in an SQLite file. To be used in a `with`; safe to call from several threads.

    Several processes may use one file at once.

    Parameters
    ----------
    folder:
        Made if it is not there, for this user only: thumbnails show the pictures.
    warn:
        Called at most once, with a sentence that says why the cache is of no use.
    """

    def __init__(self, folder: Path, warn: Callable[[str], None], limit: int = LIMIT) -> None:
        self.file = folder / FILE
        self._warn = warn
        self._limit = limit
        self._lock = threading.Lock()
        self._readable = self._writable = False
        self._waiting: list[tuple[int, int, bytes, bytes | None]] = []
        self._used: list[tuple[int, int]] = []
        self._warned = False

    def __enter__(self) -> HashCache:
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(self.file, os.O_CREAT | os.O_RDWR, 0o600))
            self._open("rwc")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS portraits "
                "(id INTEGER PRIMARY KEY, used INTEGER NOT NULL, facts BLOB NOT NULL, thumbnail BLOB)"
            )
            self._writable = True
        except _TROUBLE as error:
            self._give_up(error, reading=False)
            with suppress(*_TROUBLE):  # a cache that others fill
                self._close()
                self._open("ro")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._write()
            self._close()

    def find(self, key: bytes) -> Portrait | None:
        """What is known of a picture; None if nothing is."""
        number = _number(key)
        with self._lock:
            if not self._readable:
                return None
            try:
                query = "SELECT used, facts, thumbnail FROM portraits WHERE id = ?"
                row = self._database.execute(query, (number,)).fetchone()
            except _TROUBLE as error:
                self._give_up(error, reading=True)
                return None
        if row is None:
            return None
        used, facts, thumbnail = row
        found = _unpacked(key, facts, thumbnail)
        if found is not None and isinstance(used, int) and used < _now() - _FRESH:
            with self._lock:
                if self._writable:
                    self._used.append((_now(), number))
        return found

    def add(self, key: bytes, portrait: Portrait) -> None:
        """Keep what is known of a picture now."""
        facts = _packed(key, portrait)
        with self._lock:
            if self._writable:
                self._waiting.append((_number(key), _now(), facts, portrait.thumbnail))
                if len(self._waiting) >= _AT_ONCE:
                    self._write()

    def _open(self, mode: str) -> None:
        address = f"{self.file.absolute().as_uri()}?mode={mode}"
        # Short transactions under a rollback journal: write-ahead logs do not work on network file systems.
        self._database = sqlite3.connect(
            address, uri=True, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
        )
        if mode == "ro":
            self._database.execute("SELECT id, used, facts, thumbnail FROM portraits LIMIT 1")
        self._readable = True

    def _close(self) -> None:
        self._readable = self._writable = False
        if hasattr(self, "_database"):
            with suppress(*_TROUBLE):
                self._database.close()

    def _write(self) -> None:
        """Write what waits, and make room. Called under the lock."""
        if not self._writable or not (self._waiting or self._used):
            return
        try:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany("INSERT OR REPLACE INTO portraits VALUES (?, ?, ?, ?)", self._waiting)
            self._database.executemany("UPDATE portraits SET used = ? WHERE id = ?", self._used)
            self._make_room()
            self._database.execute("COMMIT")
        except _TROUBLE as error:
            with suppress(*_TROUBLE):
                self._database.execute("ROLLBACK")
            self._give_up(error, reading=False)
        self._waiting, self._used = [], []

    def _make_room(self) -> None:
        size, pages, free = (
            self._database.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_size", "page_count", "freelist_count")
        )
        taken = (pages - free) * size
        if taken > self._limit:
            (count,) = self._database.execute("SELECT count(*) FROM portraits").fetchone()
            dropped = count - int(count * _KEPT_WHEN_FULL * self._limit / taken)
            self._database.execute(
                "DELETE FROM portraits WHERE id IN (SELECT id FROM portraits ORDER BY used LIMIT ?)", (dropped,)
            )

    def _give_up(self, error: Exception, reading: bool) -> None:
        """No more writing; no more reading either if that is what failed."""
        self._writable = False
        if reading or not self._readable or not isinstance(error, sqlite3.OperationalError):
            self._readable = False
        if not self._warned:
            self._warned = True
            reason = str(getattr(error, "strerror", None) or error).rstrip(".")
            self._warn(f"the cache {self.file} cannot be used ({reason}); what it does not give is worked out anew")


def _now() -> int:
    return int(time.time())


def _number(key: bytes) -> int:
    """The signed 64-bit number under which an entry stands; the checksum tells two keys of one number apart."""
    return int.from_bytes(key[:8], "little", signed=True)


def _packed(key: bytes, portrait: Portrait) -> bytes:
    scale = portrait.scale
    facts = _FACTS.pack(
        portrait.content,
        portrait.perceptual,
        portrait.width,
        portrait.height,
        portrait.contrast,
        portrait.grey,
        portrait.signature.tobytes(),
        _SCALES.index(None if scale is None else scale.whole),
        *((0.0, 0.0) if scale is None else (scale.low, scale.high)),
        portrait.frames,
    )
    return facts + _checksum(key, facts, portrait.thumbnail)


def _unpacked(key: bytes, entry: object, thumbnail: object) -> Portrait | None:
    """None where the entry is not what was written."""
    if not isinstance(entry, bytes) or len(entry) != _FACTS.size + _CHECKSUM:
        return None
    if thumbnail is not None and not isinstance(thumbnail, bytes):
        return None
    facts, checksum = entry[: _FACTS.size], entry[_FACTS.size :]
    if _checksum(key, facts, thumbnail) != checksum:
        return None
    content, perceptual, width, height, contrast, grey, signature, kind, low, high, frames = _FACTS.unpack(facts)
    whole = _SCALES[kind]
    return Portrait(
        content, perceptual, np.frombuffer(signature, np.int8), width, height, contrast, grey, thumbnail or None,
        None if whole is None else Scale(low, high, whole), frames,
    )  # fmt: skip


def _checksum(key: bytes, facts: bytes, thumbnail: bytes | None) -> bytes:
    digest = blake2b(key + facts, digest_size=_CHECKSUM)
    digest.update(thumbnail or b"")
    return digest.digest()
