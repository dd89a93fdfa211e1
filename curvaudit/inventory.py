"""Open every picture once before anything is trained: what is there, and what cannot be read."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, TypeVar

import numpy as np
from PIL.Image import Image

from .copies import hashing
from .errors import CurvauditError, UnreadableImage
from .pictures import depth, hash_cache, images, pixels, portraits
from .pictures.decoded import Decoded
from .pictures.depth import Scales
from .pictures.hash_cache import HashCache
from .pictures.portraits import Portrait, Sketch
from .records import Advanced, Event, Notice, PhaseStarted, Samples, Skipped, Thumbnails, of_kind
from .sources import Source

# All thumbnails are kept with the run up to this many bytes (about 25,000 photographs or
# 200,000 digits); larger sets keep those a report can show, see engine/gallery.py.
THUMBNAIL_BUDGET = 64 * 2**20
_T = TypeVar("_T")
_BLOCK = 1024  # pictures in flight: bounds memory whatever the size of the source
_ALONE = Scales()
_PART = 32  # pictures that a thread looks at before it makes their transforms


@dataclass(frozen=True)
class Deep:
    """The pictures in grey of more than 8 bits."""

    scales: Scales  # by which they became 8-bit
    pictures: int
    narrow: int  # of these, those that use so little of the common range that hardly anything is left of them
    apart: int  # of these, those that go so far beyond it that each is scaled by itself

    def described(self) -> dict[str, Any] | None:
        """For the run file, see docs/format.md; None where there are none."""
        if not self.pictures:
            return None
        scales = {"integers": self.scales.whole, "floats": self.scales.real}
        ranges = {name: None if scale is None else [scale.low, scale.high] for name, scale in scales.items()}
        return {"pictures": self.pictures, "narrow": self.narrow, "apart": self.apart, **ranges}


@dataclass(frozen=True)
class Inventory:
    """The readable part of a source. Row i of `samples` is `source_index[i]` in the source."""

    source: Source
    samples: Samples
    source_index: np.ndarray  # (N,) int64
    skipped: tuple[Skipped, ...]
    grey: bool  # every picture is grey: one channel is enough
    deep: Deep
    drawn: Mapping[int, bytes]  # row -> thumbnail, as far as they were drawn on the way and the budget went
    decoded: Decoded | None = None  # until `load_pixels` takes them

    @property
    def thumbnails(self) -> Thumbnails | None:
        """Those of all rows; None where they are not all kept."""
        if len(self.drawn) < len(self.samples):
            return None
        return Thumbnails(np.arange(len(self.samples)), tuple(self.drawn[row] for row in range(len(self.samples))))

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
            image = depth.to_8_bit(self.source.open(int(self.source_index[row])), self.deep.scales)
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
        """Thumbnails of `rows`, drawn now where they were not kept."""
        found = {int(row): self.drawn[int(row)] for row in rows if int(row) in self.drawn}
        missing = [int(row) for row in rows if int(row) not in found]
        for place, drawn in _in_parallel(lambda i: images.thumbnail(self.open(missing[i])), len(missing), threads()):
            found[missing[place]] = drawn
        return found


def threads(wanted: int | None = None) -> int:
    """How many read pictures: as many as are wanted, otherwise one for each core, at most 8."""
    return wanted or min(8, os.cpu_count() or 1)


def take(
    source: Source,
    workers: int,
    on_event: Callable[[Event], None],
    phase: str = "reading pictures",
    *,
    least_classes: int = 2,
    every_thumbnail: bool = True,
    cache: HashCache | None = None,
    decoded: Decoded | None = None,
    scales: Scales = _ALONE,
) -> Inventory:
    """Open, hash and describe every picture of a source, or take that from a cache.

    Which scale fits all deep pictures is known once all were seen. Those that were scaled otherwise, by what fits
    them alone, are then opened again; in most sets there are none.

    Parameters
    ----------
    workers:
        Threads; the result does not depend on it.
    on_event:
        Called with how far it is and, in the end, with what came from the cache.
    phase:
        What it is called there.
    least_classes:
        Classes with a readable picture; 1 where nothing is trained.
    every_thumbnail:
        False: small pictures are drawn when they are asked for, see `portraits.sketch`.
    cache:
        Of pictures that lie encoded; the result does not depend on it.
    decoded:
        Keeps pictures for `load_pixels`.
    scales:
        Of pictures that these will be compared with.

    Raises
    ------
    CurvauditError
        Not a single picture, or fewer than `least_classes` classes, are left.
    """
    looking = _Looking(source, every_thumbnail, cache, decoded)
    on_event(PhaseStarted(phase, len(source.ids), "pictures"))
    found, known = _first_look(looking, workers, on_event)
    deep, others = _deep(found, scales)
    if others:
        on_event(PhaseStarted("scaling deep grey alike", len(others), "pictures"))
        _second_look(found, others, looking, workers, deep.scales, on_event)
    kept = [index for index, one in enumerate(found) if isinstance(one, Portrait)]
    seen = [one for one in found if isinstance(one, Portrait)]
    lost = [Skipped(source.ids[i], one, "unreadable") for i, one in enumerate(found) if isinstance(one, str)]
    partly = [
        Skipped(source.ids[index], _of_frames(one.frames), "partial")
        for index, one in zip(kept, seen, strict=True)
        if one.frames != 1
    ]
    skipped = (*source.skipped, *lost, *partly)
    _require(source, kept, skipped, least_classes)
    if looking.cached:
        on_event(Notice(f"{known} of {len(source.ids)} from the cache"))
    return Inventory(
        source=source,
        samples=_described(source, kept, seen),
        source_index=np.array(kept, np.int64),
        skipped=skipped,
        grey=all(s.grey for s in seen),
        deep=deep,
        drawn={row: one.thumbnail for row, one in enumerate(seen) if one.thumbnail is not None},
        decoded=decoded,
    )


def _of_frames(count: int) -> str:
    if count == 0:
        return "only the first of its pages or frames was looked at, others are damaged"
    return f"only the first of its {count:,} pages or frames was looked at"


def _first_look(looking: _Looking, workers: int, on_event: Callable[[Event], None]) -> tuple[list[Portrait | str], int]:
    """A portrait or the reason why there is none for each picture, and how many were in the cache."""
    found: list[Portrait | str] = []
    spent = known = 0
    for results, from_cache in looking.at_all(range(len(looking.source.ids)), workers):
        known += from_cache
        for result in results:
            if isinstance(result, Portrait) and result.thumbnail is not None:
                spent += len(result.thumbnail)
                if spent > THUMBNAIL_BUDGET:
                    result = replace(result, thumbnail=None)
                    looking.every_thumbnail = False  # a third of the time that a small picture takes
            found.append(result)
        on_event(Advanced(len(results)))
    return found, known


def _second_look(
    found: list[Portrait | str],
    others: Sequence[int],
    looking: _Looking,
    workers: int,
    scales: Scales,
    on_event: Callable[[Event], None],
) -> None:
    """Replace what was found of `others` by what they are with common scales."""
    place = 0
    for results, _ in looking.at_all(others, workers, scales):
        for result in results:
            before = found[others[place]]
            if isinstance(before, Portrait) and before.thumbnail is None and isinstance(result, Portrait):
                result = replace(result, thumbnail=None)  # the budget went
            found[others[place]] = result
            place += 1
        on_event(Advanced(len(results)))


def _deep(found: Sequence[Portrait | str], scales: Scales) -> tuple[Deep, list[int]]:
    """The deep pictures, and which of them were scaled otherwise than all are to be."""
    own = {i: one.scale for i, one in enumerate(found) if isinstance(one, Portrait) and one.scale is not None}
    scales = scales.covering(own.values())
    narrow = sum(scale.is_narrow_beside(scales.of(scale)) for scale in own.values())
    apart = sum(not scales.cover(scale) for scale in own.values())
    return Deep(scales, len(own), narrow, apart), [index for index, scale in own.items() if scales.of(scale) != scale]


def _require(source: Source, kept: Sequence[int], skipped: Sequence[Skipped], least_classes: int) -> None:
    """Raises CurvauditError where too little is left to audit."""
    if not kept:
        # Clutter comes first, and is not why.
        told = of_kind(skipped, "unreadable") or skipped
        others = f", and {len(told) - 1} more" if len(told) > 1 else ""
        why = f" ({told[0].id}: {told[0].reason}{others})" if told else ""
        raise CurvauditError(
            f"{source.name} holds no readable picture{why}.",
            "Check that it is a folder of classes (class/image.jpg), or a file that holds or names pictures, "
            "with a label for each; paths in a manifest are relative to its folder.",
        )
    present = np.unique(np.asarray(source.labels)[kept])
    if len(present) < least_classes:
        raise CurvauditError(
            f"{source.name} has readable pictures of only one class ({source.classes[present[0]]!r}).",
            "An audit compares classes: give at least two.",
        )


def _described(source: Source, kept: Sequence[int], seen: Sequence[Portrait]) -> Samples:
    """What the source says about the pictures that it holds at `kept`, and what was seen of them."""
    columns: Mapping[str, Sequence[str]] = getattr(source, "columns", None) or {}
    lines = getattr(source, "lines", None)
    return Samples(
        ids=tuple(source.ids[i] for i in kept),
        labels=np.asarray(source.labels, np.int32)[kept],
        classes=tuple(source.classes),
        content_hash=np.array([s.content for s in seen], np.uint64),
        phash=np.array([s.perceptual for s in seen], np.uint64),
        width=np.array([min(s.width, 65535) for s in seen], np.uint16),
        height=np.array([min(s.height, 65535) for s in seen], np.uint16),
        contrast=np.array([s.contrast for s in seen], np.float32),
        columns={name: tuple(texts[i] for i in kept) for name, texts in columns.items()},
        lines=np.zeros(0, np.int32) if lines is None else np.asarray(lines, np.int32)[kept],
        signature=np.stack([s.signature for s in seen]),
    )


class _Looking:
    """Opens pictures, a part of the source at a time. Deep ones are scaled by what fits each alone, or all."""

    def __init__(self, source: Source, every_thumbnail: bool, cache: HashCache | None, decoded: Decoded | None) -> None:
        self.source = source
        self.every_thumbnail = every_thumbnail
        self.cache = cache
        self.decoded = decoded
        self.cached = False  # whether any picture could be looked up

    def at_all(
        self, indices: Sequence[int], workers: int, scales: Scales = _ALONE
    ) -> Iterator[tuple[list[Portrait | str], int]]:
        """A portrait or the reason why there is none for each, part by part, and how many were in the cache."""
        parts = [indices[start : start + _PART] for start in range(0, len(indices), _PART)]
        left = threading.Event()
        for _, done in _in_parallel(
            lambda i: self._at(parts[i], scales, left), len(parts), workers, _BLOCK // _PART, left.set
        ):
            yield done

    def _at(self, part: Sequence[int], scales: Scales, left: threading.Event) -> tuple[list[Portrait | str], int]:
        results: list[Portrait | str | None] = [None] * len(part)
        sketches: list[Sketch] = []
        todo: list[tuple[int, bytes | None]] = []  # place in `results`, key
        for place, index in enumerate(part):
            if left.is_set():
                break
            try:
                if self.decoded is not None:
                    self.decoded.forget(index)
                picture, key = self._open(index, scales)
                if isinstance(picture, Portrait):
                    results[place] = picture
                    continue
                own = depth.own_scale(picture)
                picture = depth.to_8_bit(picture, scales)
                sketches.append(portraits.sketch(picture, self.every_thumbnail, own))
                todo.append((place, key))
                if self.decoded is not None:
                    self.decoded.keep(index, picture)
            except UnreadableImage as error:
                results[place] = str(error)
            except MemoryError:
                results[place] = "too large for the memory of this machine"
            except Exception as error:  # a picture that decodes and then breaks our own code must not end the scan
                results[place] = f"cannot be processed: {type(error).__name__}: {error}"
        from_cache = sum(isinstance(result, Portrait) for result in results)
        for (place, key), portrait in zip(todo, portraits.finished(sketches), strict=True):
            results[place] = portrait
            if self.cache is not None and key is not None:
                self.cache.add(key, portrait)
        return [result for result in results if result is not None], from_cache

    def _open(self, index: int, scales: Scales) -> tuple[Image | Portrait, bytes | None]:
        """The picture, or what the cache knows of it; and its key, if it has one."""
        read = getattr(self.source, "encoded", None)
        stored = read(index) if read is not None and self.cache is not None else None
        data = None if stored is None else images.contents(stored, hash_cache.LARGEST_PICTURE)
        if self.cache is None or data is None:
            return self.source.open(index), None
        self.cached = True
        key = hash_cache.key(data, scales)
        known = self.cache.find(key)
        if known is None or not images.allowed(known.width, known.height):
            return images.decode(data), key
        if known.thumbnail is None and self.every_thumbnail:
            known = replace(known, thumbnail=images.thumbnail(depth.to_8_bit(images.decode(data), scales)))
        return known, key


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
    buffer = pixels.room_for((len(samples), channels, resolution, resolution), samples.content_hash, place)
    missing = buffer.missing(samples.content_hash)  # (M,) rows
    on_done(len(samples) - len(missing))

    def load(position: int) -> None:
        row = int(missing[position])
        index = int(inventory.source_index[row])
        picture = None if inventory.decoded is None else inventory.decoded.taken(index, resolution)
        if picture is None:
            picture = inventory.open(row)
        buffer.values[row] = images.to_array(picture, resolution, channels)

    for done, _ in _in_parallel(load, len(missing), workers):
        on_done(1)
        if (done + 1) % _BLOCK == 0 or done + 1 == len(missing):
            block = missing[done - done % _BLOCK : done + 1]
            buffer.keep(block, samples.content_hash[block])
    if inventory.decoded is not None:
        inventory.decoded.clear()  # of rows that the cache held
    return buffer


def _in_parallel(
    function: Callable[[int], _T],
    count: int,
    workers: int,
    at_once: int = _BLOCK,
    before_leaving: Callable[[], None] = lambda: None,
) -> Iterator[tuple[int, _T]]:
    """(index, function(index)) in order, a bounded block at a time."""
    context = copy_context()  # that of the caller, with its limit of pixels

    def adopt() -> None:
        for variable, value in context.items():
            variable.set(value)

    pool = ThreadPoolExecutor(max(1, workers), initializer=adopt)
    try:
        for start in range(0, count, at_once):
            block = range(start, min(start + at_once, count))
            yield from zip(block, pool.map(function, block), strict=True)
    finally:
        # After an error or Ctrl-C nobody wants the rest of the block.
        before_leaving()
        pool.shutdown(wait=True, cancel_futures=True)
