"""Use case: train until everything is memorized and log every score of every epoch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from . import inventory, sources, store
from .arguments import flag
from .engine import gallery, locking
from .engine.preparing import Job, Scratch, expected_resolution, prepare
from .engine.settings import ScanSettings, settings_from
from .engine.teamwork import brief, followed
from .engine.training_run import Training
from .engine.work import Work, binding
from .errors import CurvauditError
from .files.home import expanded
from .inventory import Inventory
from .pictures import hash_cache, images
from .pictures.decoded import Decoded
from .pictures.depth import Scales
from .records import Advanced, Event, Notice, PhaseStarted, RunInfo, Thumbnails
from .training.processes import Processes, joined, local_device
from .training.surroundings import as_torch_starts

DEFAULT_RUN = "curvaudit.h5"


def scan(
    source: Any,
    out: str | os.PathLike[str] = DEFAULT_RUN,
    *,
    resume: bool = False,
    overwrite: bool = False,
    cache: str | os.PathLike[str] | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
    **settings: Any,
) -> store.Run:
    """Audit a data set: train, measure every sample in every epoch, write a run file.

    Curvature is that of equation 6 of Garg, Ravikumar and Roy (ICML 2024), in (nat/pixel)², for pixels from 0 to 1.

    Parameters
    ----------
    source:
        A folder, a file (`.npz`, `.csv`, `.jsonl`, `.parquet`, `.tar`), the name of a known set,
        a torch `Dataset` of (image, label), or a `sources.Source`; docs/sources.md lists them.
    out:
        The run file. Each finished epoch is durable in it.
    resume:
        Continue the run at `out`; its settings and its source must be the same.
    overwrite:
        Replace an existing file at `out`.
    cache:
        The folder in which hashes of pictures (see `pictures.hash_cache`), and pixels that do not fit into memory
        (see `pictures.pixels`), are kept from run to run; None: nowhere.
    on_event:
        Called with what happens, see `records.Event`.
    settings:
        The fields of `ScanSettings`, for example `epochs=30`.

    Returns
    -------
    Run
        Finished, open for reading: `measure(training, name)` has the values of a score, (E, N) float32, NaN in
        epochs in which it was not measured.

    Raises
    ------
    CurvauditError
        Bad settings, nothing to audit, an existing or damaged run file, another scan on it,
        pictures that change meanwhile, no space, diverged training. Finished epochs are kept.
    """
    wanted = settings_from(settings)
    wanted = replace(wanted, device=local_device(wanted.device))
    path = expanded(out)
    resume, overwrite = flag("resume", resume), flag("overwrite", overwrite)
    with joined(wanted.device) as processes:
        if not processes.first:
            return _follow(path, wanted, processes)
        _check_device(wanted.device)
        _check_folder(path, resume, overwrite)
        with locking.locked(path), images.pixel_limit(wanted.max_pixels):
            _check_existing(path, resume, overwrite)
            kept = None if cache is None else expanded(cache)
            return _scan(Job(source, path, wanted, kept, processes, on_event), resume, overwrite)


def _scan(job: Job, resume: bool, overwrite: bool) -> store.Run:
    path, wanted, on_event = job.path, job.settings, job.on_event
    loaded = sources.load(job.source, wanted.source_options())
    stock, other = _read(job, loaded, _second_split(job.source, wanted))
    with Scratch(path) as scratch, as_torch_starts():
        work = prepare(job, stock, other, scratch)
        if resume:
            _check_same(store.open_run(path), work.info)
        else:
            # Before, not after: a kill in between would leave another run's checkpoint beside the new run.
            _drop_checkpoint(path)
            store.create(
                path, work.info, stock.samples, work.skipped, stock.thumbnails or _NO_THUMBNAILS, overwrite=overwrite
            )
        brief(work)
        _train_all(work, on_event)
    if stock.thumbnails is None:
        rows = gallery.rows_worth_showing(store.open_run(path))
        thumbnails = gallery.draw(stock.open, rows)
        if len(thumbnails.rows) < len(rows):
            lost = len(rows) - len(thumbnails.rows)
            on_event(Notice(f"{lost} pictures changed since they were scanned; the report cannot show them", "warning"))
        store.set_thumbnails(path, thumbnails)
    _keep_previews(path, stock, on_event)
    _drop_checkpoint(path)
    job.processes.wait_for_first()
    return store.open_run(path)


def _read(job: Job, loaded: sources.Source, second: sources.Source | None) -> tuple[Inventory, Inventory | None]:
    """What is in the source and in the second split."""
    with hash_cache.opened(job.cache, job.on_event) as hashes:
        side = expected_resolution(loaded, job.settings)

        def read(what: sources.Source, phase: str, grey: bool = False, scales: Scales | None = None) -> Inventory:
            decoded = Decoded(len(what.ids), side, grey)
            return inventory.take(
                what, job.workers, job.on_event, phase, cache=hashes, decoded=decoded, scales=scales or Scales()
            )

        stock = read(loaded, "reading pictures")
        if second is None:
            return stock, None
        phase = f"reading {job.settings.validation} pictures"
        other = read(second, phase, stock.grey, stock.deep.scales)
        if other.deep.scales != stock.deep.scales:
            # What one network sees must be scaled alike; only now it is known how.
            if stock.decoded is not None:
                stock.decoded.clear()
            stock = read(loaded, "reading pictures again", scales=other.deep.scales)
        return stock, other


def _keep_previews(path: Path, stock: Inventory, on_event: Callable[[Event], None]) -> None:
    """Larger pictures of what a person will look at; none where the thumbnails are the pictures."""
    if max(int(stock.samples.width.max()), int(stock.samples.height.max())) <= images.THUMBNAIL_SIDE:
        return
    rows = gallery.rows_worth_a_preview(store.open_run(path))
    on_event(PhaseStarted("keeping pictures", len(rows), "pictures"))
    previews = gallery.draw(stock.open, rows, images.preview, lambda done: on_event(Advanced(done)))
    store.set_previews(path, previews)


def _follow(path: Path, wanted: ScanSettings, processes: Processes) -> store.Run:
    """What every process but the first one does: train and measure what that one prepares."""
    with images.pixel_limit(wanted.max_pixels), as_torch_starts():
        work = followed(path, wanted, processes)
        _train_all(work, lambda event: None)
    processes.wait_for_first()
    return store.open_run(path)


def _train_all(work: Work, on_event: Callable[[Event], None]) -> None:
    with _memory_named(work.path):
        for index, (weight_decay, seed) in enumerate(work.settings.trainings):
            Training(work, index, weight_decay, seed, on_event).run()


def _drop_checkpoint(path: Path) -> None:
    from .training import checkpoint  # imports torch, which is loaded late

    checkpoint.path_for(path).unlink(missing_ok=True)


_NO_THUMBNAILS = Thumbnails(np.zeros(0, np.int64), ())


def _check_device(wanted: str) -> None:
    """Before pictures are read, which may take long. `auto` cannot fail, and torch is loaded late."""
    if wanted != "auto":
        from .training.device import choose_device

        choose_device(wanted)


def _check_folder(path: Path, resume: bool, overwrite: bool) -> None:
    """Say what is wrong with the output before hours of work, not after."""
    if resume and overwrite:
        raise CurvauditError("--resume and --overwrite exclude each other.", "Give one of them.")
    if path.is_dir():
        raise CurvauditError(f"The run file {path} is a folder.", "Give a file name with -o, for example run.h5.")
    if not path.parent.is_dir():
        raise CurvauditError(f"The folder {path.parent} for the run file does not exist.", "Create it first.")
    if not os.access(path.parent, os.W_OK):
        raise CurvauditError(f"The folder {path.parent} cannot be written to.", "Choose another place with -o.")


def _check_existing(path: Path, resume: bool, overwrite: bool) -> None:
    if resume:
        store.open_run(path)
    elif path.exists() and not overwrite:
        raise CurvauditError(
            f"The run file {path} exists already.",
            "Use --resume to continue it, --overwrite to start anew, or -o for another file.",
        )
    elif path.exists() and not store.looks_like_run(path):
        raise CurvauditError(
            f"{path} is no run file: --overwrite does not replace it.",
            "Choose another file with -o; if this one was a run file, delete it first.",
        )


@contextmanager
def _memory_named(path: Path) -> Iterator[None]:
    """Running out of memory, of whatever device, as an error that says what helps."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # torch raises RuntimeError, on the CPU without a type of its own.
        said = str(error).lower()
        if not isinstance(error, MemoryError) and "out of memory" not in said and "can't allocate memory" not in said:
            raise
        raise CurvauditError(
            f"There is not enough memory to train or measure; finished epochs are kept in {path}.",
            "Close other programs and --resume, or start anew with a smaller --batch-size, --resolution or --width.",
        ) from error


def _second_split(source: Any, wanted: ScanSettings) -> sources.Source | None:
    """The split that `--validation` names, found before anything is read."""
    if wanted.validation is None:
        return None
    try:
        return sources.load(source, replace(wanted.source_options(), split=wanted.validation))
    except CurvauditError as error:
        raise CurvauditError(
            f"--validation {wanted.validation}: {error.message}",
            "Name another split of the source, or leave out --validation.",
        ) from error


def _check_same(run: store.Run, info: RunInfo) -> None:
    """Refuse to continue a run with another configuration or another source.

    Raises
    ------
    CurvauditError
        Naming every setting that changed.
    """
    old, new, defaults = binding(run.info.config), binding(info.config), binding(asdict(ScanSettings()))
    changed = {
        name: f"{name} was {before!r} and is now {now!r}"
        for name in sorted(old.keys() | new.keys())
        # A setting that an older curvaudit did not have stood at what is the default now.
        if (before := old.get(name, defaults.get(name))) != (now := new.get(name))
    }
    if changed:
        # What the recipe makes of a setting says nothing beside the setting itself.
        given = [text for name, text in changed.items() if not name.startswith("recipe.")]
        if not given:
            raise CurvauditError(
                f"{run.path} cannot be resumed: it was begun by a curvaudit that trains or measures otherwise "
                f"({'; '.join(changed.values())}).",
                "Finish it with that version, `curvaudit report` what is there, or use -o for a new run.",
            )
        # Other pictures have other sizes and colours, which nobody gave as a setting.
        moved = run.info.source_fingerprint != info.source_fingerprint
        why = f": the pictures, labels or names in {info.source} have changed, and it has" if moved else " with"
        raise CurvauditError(
            f"{run.path} cannot be resumed{why} other settings: {'; '.join(given)}.",
            "Give the settings of the first start, or use -o for a new run.",
        )
    if run.info.source_fingerprint != info.source_fingerprint:
        raise CurvauditError(
            f"{run.path} cannot be resumed: the pictures, labels or names in {info.source} have changed.",
            "Restore the source (`curvaudit compare` of the run file and the source tells what is different), or use "
            "-o for a new run.",
        )
