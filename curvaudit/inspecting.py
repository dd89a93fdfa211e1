"""Use case: everything that can be said about a data set without training."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from . import clock, findings, inventory, provenance, sources
from .arguments import flag, whole
from .derived import caveats
from .derived.memorization import memorizable
from .errors import CurvauditError
from .findings.interface import Evidence, joined
from .pictures import hash_cache, images
from .pictures.depth import Scales
from .records import Caveat, Event, Report, RunInfo, Samples, Skipped

ALL_SPLITS = ":splits"
_Take = Callable[[sources.Source, Scales], inventory.Inventory]


def inspect(
    source: Any,
    *,
    split: str | None = None,
    data_dir: str | None = None,
    download: bool = False,
    image_column: str | None = None,
    label_column: str | None = None,
    against: Any = None,
    workers: int | None = None,
    max_pixels: int = images.MAX_PIXELS,
    every_thumbnail: bool = False,
    cache: str | os.PathLike[str] | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
) -> Report:
    """Unreadable and empty pictures, copies, conflicts and class sizes of a data set.

    Nothing is trained: the report ranks nothing, and its caveats say what was not checked.
    One class is enough, for copies can be looked for all the same.

    Parameters
    ----------
    source:
        Whatever `scan` takes.
    split, data_dir, download, image_column, label_column:
        Which part of `source`, and where it lies, see `sources.SourceOptions`. The split `ALL_SPLITS`:
        all of them as one set, whose ids begin with the split.
    against:
        Another source (a path, a name, a data set) in which, all its splits, copies of these pictures are
        looked for; `ALL_SPLITS` for all other splits of the same source.
    workers:
        Threads that read pictures; None: one for each core, at most 8.
    max_pixels:
        Larger pictures are not decoded, but reported as unreadable.
    every_thumbnail:
        The report keeps the picture of every sample, as far as `inventory.THUMBNAIL_BUDGET` allows, and
        not only of those that a finding names.
    cache:
        The folder in which hashes are kept from run to run, see `pictures.hash_cache`; None: nowhere.
    on_event:
        Called with what happens, see `records.Event`.

    Returns
    -------
    Report
        Without ranking and scores: `findings`, `skipped` and `caveats`.

    Raises
    ------
    CurvauditError
        There is no such source, or not a single picture of it can be read.
    """
    if workers is not None:
        whole("--workers", workers, 1)
    whole("--max-pixels", max_pixels, 1)
    flag("every_thumbnail", every_thumbnail)
    options = sources.SourceOptions(
        split=split,
        data_dir=data_dir,
        download=download,
        image_column=image_column,
        label_column=label_column,
        least_classes=1,
    )
    threads = inventory.threads(workers)
    with images.pixel_limit(max_pixels), hash_cache.opened(cache, on_event) as hashes:

        def take(source: sources.Source, scales: Scales) -> inventory.Inventory:
            return inventory.take(
                source,
                threads,
                on_event,
                f"reading {source.name}",
                least_classes=1,
                every_thumbnail=every_thumbnail,
                cache=hashes,
                scales=scales,
            )

        return _inspect(source, options, against, take, every_thumbnail)


def _inspect(
    source: Any,
    options: sources.SourceOptions,
    against: Any,
    take: _Take,
    every_thumbnail: bool,
) -> Report:
    if _is_another_source(against):
        sources.require(against)  # before the audited one is read
    together = options.split == ALL_SPLITS
    mine = _of(source, options, against)
    loaded = sources.load_all(source, replace(mine, split=None)) if together else sources.load(source, mine)
    stock = take(loaded, Scales())
    others, lost = _others(source, against, options, take, stock.deep.scales)
    stock, others = _scaled_alike(stock, others, take)
    skipped = stock.skipped + lost
    # What lies beside the splits is beside each of them, and what is in none is missing from each: told once.
    known = {item for item in stock.skipped if item.id.startswith("../") or item.kind == "doubtful"}
    skipped += tuple(
        replace(item, id=f"{name}: {item.id}") for name, other in others for item in other.skipped if item not in known
    )
    count = len(stock.samples)
    order = np.arange(count)
    samples, elsewhere = _together(stock, others)
    evidence = Evidence(
        samples=samples,
        skipped=skipped,
        order=order,
        rank=order + 1,
        score=np.full(count, np.nan),
        scores={},
        suggested=np.full(count, -1, np.int32),
        final_correct=np.zeros(count, bool),
        memorizable=memorizable(samples),
        thumbnails=stock.pictures,
        training=None,
        elsewhere=elsewhere,
        pictures_elsewhere=lambda rows: _pictures(others, rows),
    )
    found = findings.find_all(evidence)
    shown: set[int] = set()
    if every_thumbnail and stock.thumbnails is not None:
        shown |= set(range(count))
    shown |= {row for finding in found for row in finding.rows}
    return Report(
        run=_about(
            stock,
            {
                "split": options.split,
                "data_dir": options.data_dir,
                "against": [name for name, _ in others],
                "deep_grey": stock.deep.described(),
            },
        ),
        run_path="",
        samples=stock.samples,
        skipped=skipped,
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
        caveats=_caveats(evidence, stock.deep.described()),
        thumbnails=stock.pictures(sorted(shown)),
        compared_with=tuple(name for name, _ in others),
    )


def _is_another_source(against: Any) -> bool:
    # Arrays compare item by item.
    return against is not None and not (isinstance(against, str) and against == ALL_SPLITS)


def _of(source: Any, options: sources.SourceOptions, beside: Any) -> sources.SourceOptions:
    """The options as they concern one of two sources: where standard sets lie is said once for both."""
    return replace(options, data_dir=sources.data_dir_of(source, options.data_dir, [beside]))


def _others(
    source: Any,
    against: Any,
    options: sources.SourceOptions,
    take: _Take,
    scales: Scales,
) -> tuple[list[tuple[str, inventory.Inventory]], tuple[Skipped, ...]]:
    """(name, content) of what is searched for copies, and the splits that cannot be: findings, no reason to give up."""
    if against is None:
        return [], ()
    found = []
    elsewhere = _is_another_source(against)
    if elsewhere:
        # The names of columns are those of the audited source; another one has its own.
        options = replace(_of(against, options, source), split=None, image_column=None, label_column=None)
        source = against
        first = sources.load(source, options)
        found.append((first.name, take(first, scales)))
    lost = []
    for name in sources.other_splits(source, options):
        try:
            other = sources.load(source, replace(options, split=name))
            so_far = found[-1][1].deep.scales if found else scales
            found.append((other.name if elsewhere else name, take(other, so_far)))
        except CurvauditError as error:
            lost.append(Skipped(name, f"this split cannot be searched: {error.message.rstrip('.')}"))
    return found, tuple(lost)


def _scaled_alike(
    stock: inventory.Inventory, others: Sequence[tuple[str, inventory.Inventory]], take: _Take
) -> tuple[inventory.Inventory, list[tuple[str, inventory.Inventory]]]:
    """The same, with what was read before all scales were known read again: one file must be one picture everywhere."""
    scales = others[-1][1].deep.scales if others else stock.deep.scales

    def alike(one: inventory.Inventory) -> inventory.Inventory:
        return one if one.deep.scales == scales else take(one.source, scales)

    return alike(stock), [(name, alike(other)) for name, other in others]


def _together(
    stock: inventory.Inventory, others: Sequence[tuple[str, inventory.Inventory]]
) -> tuple[Samples, Samples | None]:
    """The audited samples, and all others as one, with names of their own and labels by class name.

    Classes that only the others have are appended for the others alone: CA501 counts the audited ones.
    """
    if not others:
        return stock.samples, None
    classes = list(stock.samples.classes)
    place: dict[str, int] = {}  # where a class stands first; a list would be searched K times K
    for position, label in enumerate(classes):
        place.setdefault(label, position)
    parts = []
    for name, other in others:
        for label in other.samples.classes:
            if label not in place:
                place[label] = len(classes)
                classes.append(label)
        number = np.array([place[label] for label in other.samples.classes], np.int32)
        ids = tuple(f"{name}: {identity}" for identity in other.samples.ids)
        parts.append(replace(other.samples, ids=ids, labels=number[other.samples.labels]))
    elsewhere = parts[0]
    for part in parts[1:]:
        elsewhere = joined(elsewhere, part)
    return stock.samples, replace(elsewhere, classes=tuple(classes))


def _pictures(others: Sequence[tuple[str, inventory.Inventory]], rows: Sequence[int]) -> dict[int, bytes]:
    found, first = {}, 0
    for _, other in others:
        mine = [row - first for row in rows if first <= row < first + len(other.samples)]
        found.update({row + first: content for row, content in other.pictures(mine).items()})
        first += len(other.samples)
    return found


def _about(stock: inventory.Inventory, config: dict[str, Any]) -> RunInfo:
    return RunInfo(
        source=stock.source.name,
        source_fingerprint=stock.fingerprint(),
        config=config,
        environment=provenance.environment(np),
        created_by=provenance.CREATED_BY,
        created_utc=clock.now_utc(),
    )


def _caveats(evidence: Evidence, deep_grey: Any) -> tuple[Caveat, ...]:
    untrained = Caveat(
        "note",
        "Nothing was trained: wrong labels, atypical and memorized pictures were not looked for "
        "(CA201, CA202, CA203). `curvaudit scan` does.",
    )
    return (untrained, *caveats.of_deep_grey(deep_grey), *findings.limits(evidence))
