"""A run without names: what a report made of it tells about the data, but not which file is which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b

import numpy as np

from . import store
from .records import Skipped
from .utf8 import encoded

_KEPT_ENVIRONMENT = ("curvaudit", "python", "torch", "numpy")
_DROPPED_SETTINGS = ("source", "data_dir", "split", "validation", "image_column", "label_column")


def anonymized(run: store.Run) -> store.Run:
    """The same run with hashed ids and contents; no source, paths, manifest columns or machine.

    Hashes are keyed with the fingerprint of the source, which the result does not hold: whoever
    has the whole data set can work out which sample is which, nobody else can, not even from a
    list of likely file names. Equal pictures stay equal. Class names and row numbers stay.
    """
    key = encoded(run.info.source_fingerprint)[:64]
    samples = replace(
        run.samples,
        ids=_hashed(run.samples.ids, key, "sample"),
        content_hash=_contents(run.samples.content_hash, key),
        columns={},
        lines=np.zeros(0, np.int32),
    )
    names = _hashed([item.id for item in run.skipped], key, "file")
    skipped = tuple(
        Skipped(name, _without_names(item.reason), item.kind) for name, item in zip(names, run.skipped, strict=True)
    )
    info = replace(
        run.info,
        source="anonymized",
        source_fingerprint="",
        config={name: value for name, value in run.info.config.items() if name not in _DROPPED_SETTINGS},
        environment={name: value for name, value in run.info.environment.items() if name in _KEPT_ENVIRONMENT},
    )
    return replace(run, info=info, samples=samples, skipped=skipped)


def _without_names(reason: str) -> str:
    # What follows a colon may quote names and paths; texts of other programs may hold one before it, too.
    kind = reason.split(":")[0]
    return "withheld, it names a path" if "/" in kind or "\\" in kind else kind


def _hashed(names: Sequence[str], key: bytes, prefix: str) -> tuple[str, ...]:
    return tuple(f"{prefix}-{blake2b(encoded(name), key=key, digest_size=8).hexdigest()}" for name in names)


def _contents(hashes: np.ndarray, key: bytes) -> np.ndarray:
    """(N,) uint64, equal where the given ones are equal."""
    known, inverse = np.unique(hashes, return_inverse=True)
    digests = b"".join(blake2b(value.tobytes(), key=key, digest_size=8).digest() for value in known)
    return np.frombuffer(digests, "<u8").astype(np.uint64)[inverse]
