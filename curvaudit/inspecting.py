"""Use case: everything that can be said about a data set without training."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from typing import Any

import numpy as np

from . import __version__, clock, findings, inventory, sources
from .errors import CurvauditError
from .findings.interface import Evidence
from .memorization import memorizable
from .records import Advanced, Caveat, Event, PhaseStarted, Report, RunInfo


def inspect(
    source: Any,
    *,
    split: str | None = None,
    data_dir: str | None = None,
    download: bool = False,
    workers: int | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
) -> Report:
    """Unreadable and empty pictures, copies, conflicts and class sizes of a data set.

    Nothing is trained: the report ranks nothing, and its caveats say what was not checked.
    One class is enough, for copies can be looked for all the same.

    Parameters
    ----------
    source:
        A folder, the name of a known set, or a torch `Dataset` of (image, label).
    split, data_dir, download:
        Which part of `source`, and where it lies, see `sources.SourceOptions`.
    workers:
        Threads that read pictures; None: one for each core, at most 8.
    on_event:
        Called with what happens, see `records.Event`.

    Raises
    ------
    CurvauditError
        There is no such source, or not a single picture of it can be read.
    """
    if workers is not None and workers < 1:
        raise CurvauditError(f"--workers {workers} is too small.", "The least is 1.")
    options = sources.SourceOptions(split=split, data_dir=data_dir, download=download, least_classes=1)
    loaded = sources.load(source, options)
    stock = _take(loaded, workers or min(8, os.cpu_count() or 1), on_event)
    count = len(stock.samples)
    order = np.arange(count)
    evidence = Evidence(
        samples=stock.samples,
        skipped=stock.skipped,
        order=order,
        rank=order + 1,
        score=np.full(count, np.nan),
        scores={},
        suggested=np.full(count, -1, np.int32),
        final_correct=np.zeros(count, bool),
        memorizable=memorizable(stock.samples),
        thumbnails=stock.pictures,
        training=None,
    )
    found = findings.find_all(evidence)
    shown = {sample.index for finding in found for sample in finding.samples if sample.index is not None}
    return Report(
        run=_about(stock, {"split": split, "data_dir": data_dir}),
        run_path="",
        samples=stock.samples,
        skipped=stock.skipped,
        trainings=(),
        training=-1,
        rank_by="",
        top=0,
        scores={},
        order=order,
        rank=order + 1,
        suggested=evidence.suggested,
        mean_curvature=np.zeros(0),
        memorized_share=np.zeros(0),
        findings=found,
        caveats=_caveats(evidence),
        thumbnails=stock.pictures(sorted(shown)),
    )


def _take(source: sources.Source, workers: int, on_event: Callable[[Event], None]) -> inventory.Inventory:
    on_event(PhaseStarted("reading pictures", len(source.ids), "pictures"))
    return inventory.take(source, workers, lambda done: on_event(Advanced(done)), least_classes=1)


def _about(stock: inventory.Inventory, config: dict[str, Any]) -> RunInfo:
    return RunInfo(
        source=stock.source.name,
        source_fingerprint=stock.fingerprint(),
        config=config,
        environment={
            "curvaudit": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "platform": platform.platform(),
        },
        created_by=f"curvaudit {__version__}",
        created_utc=clock.now_utc(),
    )


def _caveats(evidence: Evidence) -> tuple[Caveat, ...]:
    caveats = [
        Caveat(
            "note",
            "Nothing was trained: wrong labels, atypical and memorized pictures were not looked for "
            "(CA201, CA202, CA203). `curvaudit scan` does.",
        )
    ]
    unreadable = sum(item.kind == "unreadable" for item in evidence.skipped)
    if unreadable:
        caveats.append(
            Caveat("error", f"{unreadable} files could not be read and were not audited (CA301 names them).")
        )
    return tuple(caveats)
