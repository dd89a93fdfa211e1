"""Open every picture once before anything is trained: what is there, and what cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import TypeVar

import numpy as np
from PIL.Image import Image

from . import images, pixels
from .copies import hashing, signatures
from .errors import CurvauditError, UnreadableImage
from .records import Samples, Skipped, Thumbnails
from .sources import Source

# All thumbnails are kept with the run up to this many bytes (about 25,000 photographs or
# 200,000 digits); larger sets keep those a report can show, see gallery.py.
THUMBNAIL_BUDGET = 64 * 2**20
_T = TypeVar("_T")
_BLOCK = 1024  # pictures in flight: bounds memory whatever the size of the source


@dataclass(frozen=True)
class Inventory:
    """The readable part of a source. Row i of `samples` is `source_index[i]` in the source."""

    source: Source
    samples: Samples
    source_index: np.ndarray  # (N,) int64
    skipped: tuple[Skipped, ...]
    grey: bool  # every picture is grey: one channel is enough
    thumbnails: Thumbnails | None  # None: too large to keep them all

    def fingerprint(self) -> str:
        """Hex digest of ids, labels, classes and contents: a changed source shows."""
        digest = blake2b(digest_size=16)
        for text in (*self.samples.classes, "", *self.samples.ids):
            digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
        digest.update(self.samples.labels.astype("<i4").tobytes())
        digest.update(self.samples.content_hash.astype("<u8").tobytes())
        return digest.hexdigest()

    def open(self, row: int) -> Image:
        """Decode the picture of one sample row again.

        Raises
        ------
        CurvauditError
            It is not the picture any more that was there before.
        """
        try:
            image = self.source.open(int(self.source_index[row]))
            change = "" if hashing.content_hash(image) == self.samples.content_hash[row] else "another picture now"
        except UnreadableImage as error:
            change = str(error)
        if change:
            raise CurvauditError(
                f"{self.samples.ids[row]} changed while it was being scanned: {change}.",
                "Leave the source alone during a scan, then start again.",
            )
        return image

    def pictures(self, rows: Sequence[int]) -> dict[int, bytes]:
        """Thumbnails of `rows`, drawn again where the set was too large to keep them all."""
        if self.thumbnails is not None:
            return {int(row): self.thumbnails.images[int(row)] for row in rows}
        return {int(row): images.thumbnail(self.open(int(row))) for row in rows}


@dataclass(frozen=True, slots=True)
class _Seen:
    content: int
    perceptual: int
    signature: np.ndarray
    width: int
    height: int
    contrast: float
    grey: bool
    thumbnail: bytes


def _look(source: Source, index: int) -> _Seen | str:
    try:
        image = source.open(index)
        return _Seen(
            content=hashing.content_hash(image),
            perceptual=hashing.perceptual_hash(image),
            signature=signatures.signature(image),
            width=image.width,
            height=image.height,
            contrast=images.contrast(image),
            grey=images.is_grey(image),
            thumbnail=images.thumbnail(image),
        )
    except UnreadableImage as error:
        return str(error)
    except MemoryError:
        return "too large for the memory of this machine"
    except Exception as error:  # a picture that decodes and then breaks our own code must not end the scan
        return f"cannot be processed: {type(error).__name__}: {error}"


def take(source: Source, workers: int, on_done: Callable[[int], None], least_classes: int = 2) -> Inventory:
    """Open, hash and describe every picture of a source.

    Parameters
    ----------
    workers:
        Threads; the result does not depend on it.
    on_done:
        Called with the number of pictures finished.
    least_classes:
        Classes with a readable picture; 1 where nothing is trained.

    Raises
    ------
    CurvauditError
        Not a single picture, or fewer than `least_classes` classes, are left.
    """
    kept: list[int] = []
    seen: list[_Seen] = []
    skipped = list(source.skipped)
    thumbnails: list[bytes] | None = []
    spent = 0
    for index, result in _in_parallel(lambda i: _look(source, i), len(source.ids), workers, on_done):
        if isinstance(result, str):
            skipped.append(Skipped(source.ids[index], result, "unreadable"))
            continue
        kept.append(index)
        if thumbnails is not None:
            spent += len(result.thumbnail)
            thumbnails.append(result.thumbnail)
            if spent > THUMBNAIL_BUDGET:
                thumbnails = None
        seen.append(replace(result, thumbnail=b""))
    if not kept:
        why = f" ({skipped[0].id}: {skipped[0].reason})" if skipped else ""
        raise CurvauditError(
            f"{source.name} holds no readable picture{why}.",
            "Check that it is a folder of classes (class/image.jpg), or a file that holds or names pictures.",
        )
    rows = np.array(kept, np.int64)  # (N,) in the source
    labels = np.asarray(source.labels, np.int32)[rows]
    if len(np.unique(labels)) < least_classes:
        raise CurvauditError(
            f"{source.name} has readable pictures of only one class ({source.classes[labels[0]]!r}).",
            "An audit compares classes: give at least two.",
        )
    samples = Samples(
        ids=tuple(source.ids[i] for i in kept),
        labels=labels,
        classes=tuple(source.classes),
        content_hash=np.array([s.content for s in seen], np.uint64),
        phash=np.array([s.perceptual for s in seen], np.uint64),
        width=np.array([min(s.width, 65535) for s in seen], np.uint16),
        height=np.array([min(s.height, 65535) for s in seen], np.uint16),
        contrast=np.array([s.contrast for s in seen], np.float32),
        columns={
            name: tuple(texts[i] for i in kept) for name, texts in (getattr(source, "columns", None) or {}).items()
        },
        lines=_kept_lines(source, rows),
        signature=np.stack([s.signature for s in seen]),
    )
    return Inventory(
        source=source,
        samples=samples,
        source_index=rows,
        skipped=tuple(skipped),
        grey=all(s.grey for s in seen),
        thumbnails=None if thumbnails is None else Thumbnails(np.arange(len(kept)), tuple(thumbnails)),
    )


def _kept_lines(source: Source, rows: np.ndarray) -> np.ndarray:
    lines = getattr(source, "lines", None)
    return np.zeros(0, np.int32) if lines is None else np.asarray(lines, np.int32)[rows]


def load_pixels(
    inventory: Inventory, resolution: int, place: pixels.Place, workers: int, on_done: Callable[[int], None]
) -> pixels.Buffer:
    """Every picture at training resolution, (N, C, resolution, resolution) uint8, decoded by several threads.

    What the cache holds already is not decoded again. A kill loses at most a block of pictures.

    Raises
    ------
    CurvauditError
        A picture is not what it was when the inventory was taken, or there is no space for the pixels.
    """
    channels = 1 if inventory.grey else 3
    samples = inventory.samples
    buffer = pixels.room_for((len(samples), channels, resolution, resolution), samples.ids, place)
    missing = buffer.missing(samples.content_hash)  # (M,) rows
    on_done(len(samples) - len(missing))

    def load(position: int) -> None:
        row = int(missing[position])
        buffer.values[row] = images.to_array(inventory.open(row), resolution, channels)

    for done, _ in _in_parallel(load, len(missing), workers, on_done):
        if (done + 1) % _BLOCK == 0 or done + 1 == len(missing):
            block = missing[done - done % _BLOCK : done + 1]
            buffer.keep(block, samples.content_hash[block])
    return buffer


def _in_parallel(
    function: Callable[[int], _T], count: int, workers: int, on_done: Callable[[int], None]
) -> Iterator[tuple[int, _T]]:
    """(index, function(index)) in order, a bounded block at a time."""
    pool = ThreadPoolExecutor(max(1, workers))
    try:
        for start in range(0, count, _BLOCK):
            block = range(start, min(start + _BLOCK, count))
            for index, result in zip(block, pool.map(function, block), strict=True):
                yield index, result
                on_done(1)
    finally:
        # After an error or Ctrl-C nobody wants the rest of the block.
        pool.shutdown(wait=True, cancel_futures=True)
