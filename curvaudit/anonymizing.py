"""A run without names: what a report made of it tells about the data, but not which file is which."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from . import pseudonyms, store
from .records import Skipped

_KEPT_ENVIRONMENT = ("curvaudit", "python", "torch", "numpy")
_DROPPED_SETTINGS = ("source", "data_dir", "split", "validation", "image_column", "label_column")


def anonymized(run: store.Run) -> store.Run:
    """The same run with hashed ids and contents; no source, paths, manifest columns or machine.

    The hashes are `pseudonyms`; the fingerprint that they are keyed with is not in the result. Class names and row
    numbers stay.
    """
    fingerprint = run.info.source_fingerprint
    samples = replace(pseudonyms.masked(run.samples, fingerprint), columns={}, lines=np.zeros(0, np.int32))
    names = pseudonyms.names([item.id for item in run.skipped], fingerprint, "file")
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
