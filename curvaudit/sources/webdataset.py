"""WebDataset shards: `.tar` files whose members with one name make up one sample."""

from __future__ import annotations

import json
import re
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import CurvauditError, UnreadableImage
from ..records import Skipped
from . import shards
from .interface import SourceOptions
from .labelling import label_all
from .listed import ListedSource, listed
from .naming import as_text
from .stand_ins import instead

SUPPORTS = "WebDataset .tar shards (one, a pattern like data-{000..003}.tar, or a folder of them)"
TAKES_COLUMNS = True

_ENDING = ".tar"
_PICTURES = ("jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff", "ppm", "pgm", "image", "img")
_LARGEST_PICTURE = 512 * 2**20  # bytes; a member is read in one piece
_LARGEST_LABEL = 2**20  # bytes
_NUMBER = re.compile("0|-?[1-9][0-9]{0,17}")  # "00" is a name: as a number it would become "0"
_ENDINGS_SHOWN = 10
_BLOCK = 512  # bytes, the unit of the tar format


def matches(spec: Any) -> bool:
    """A .tar file, a pattern that ends so, or a folder of nothing else."""
    return shards.named(spec, _ENDING)


def load(spec: str | Path, options: SourceOptions) -> ListedSource:
    """List the samples of tar shards; pictures stay in the archive and are read when opened.

    Members are grouped by their name up to the first dot after the last slash, which is the id. The
    picture is the member with an image ending, or `options.image_column`; the label is the text of
    `.cls`, or `label` in `.json`; `options.label_column` names another ending, or another key of
    the `.json`. Whole numbers as labels are numbers.

    Nothing is extracted, links are never followed. Links, names that lead out of the archive,
    members that occur twice, samples without picture or label, and shards cut short are skipped
    with the reason; a sample of several pictures is audited in part.

    Raises
    ------
    CurvauditError
        No shard can be read, or none holds a sample.
    """
    shown = as_text(str(spec))
    files, split, skipped = shards.find(spec, _ENDING, options.split)
    samples: list[_Sample] = []
    for name, path in files:
        _Shard(name, path, samples, skipped).read()
    if not samples:
        why = f": {skipped[-1].reason}" if skipped else ""
        raise CurvauditError(f"{shown} holds no WebDataset samples{why}.", "Give shards with key.jpg and key.cls.")
    labels: list[Any] = []
    pictures: list[_Member] = []
    ids: list[str] = []
    for sample in samples:
        picture = sample.picture(options.image_column)
        if picture is None:
            endings = ", ".join(sample.members)
            kind = sample.kind(options.label_column)
            skipped.append(Skipped(sample.key, f"no picture among its members ({endings})", kind))
            continue
        others = sample.other_pictures(options.image_column)
        if others:
            left = f"of its pictures only the first was looked at, not {', '.join(others)}: --image-column chooses"
            skipped.append(Skipped(sample.key, left, "partial"))
        ids.append(sample.key)
        pictures.append(picture)
        labels.append(sample.label(options.label_column))
    _require(samples, pictures, labels, options, shown)
    if all(isinstance(label, str) and _NUMBER.fullmatch(label) for label in labels if label is not None):
        labels = [None if label is None else int(label) for label in labels]
    return listed(
        shown if split is None else f"{shown} ({split})",
        ids,
        label_all(labels),
        reader=lambda position: pictures[position].bytes(_LARGEST_PICTURE),
        skipped=skipped,
    )


def other_splits(spec: str | Path, options: SourceOptions) -> tuple[str, ...]:
    """The splits that other files are of."""
    return shards.other_splits(spec, _ENDING, options.split)


def _require(
    samples: list[_Sample], pictures: list[_Member], labels: list[Any], options: SourceOptions, shown: str
) -> None:
    """Refuse shards in which no sample has what all need: other endings are meant then."""
    endings = dict.fromkeys(ending for sample in samples for ending in sample.members)
    there = f"its members end in {', '.join(list(endings)[:_ENDINGS_SHOWN])}"
    if not pictures:
        what = "pictures" if options.image_column is None else repr(options.image_column)
        raise CurvauditError(
            f"{shown} holds no {what}; {there}.", "Name the ending of the pictures with --image-column."
        )
    wanted = _ending_of_label(options.label_column)
    if wanted not in endings and all(label is None for label in labels):
        raise CurvauditError(
            f"{shown} holds no label in .{wanted} or .json; {there}.",
            "Name the ending of the labels, or their key in the .json, with --label-column.",
        )


@dataclass(frozen=True, slots=True)
class _Member:
    """Where one file lies in its shard."""

    shard: Path
    offset: int
    size: int

    def bytes(self, most: int) -> bytes:
        """Its content. Opens the shard anew: no handle is shared between threads.

        Raises
        ------
        UnreadableImage
            Larger than `most`, cut short, or the shard is gone.
        """
        if self.size > most:
            raise UnreadableImage(f"too large: {self.size:,} bytes in the archive (at most {most:,})")
        try:
            with self.shard.open("rb") as file:
                file.seek(self.offset)
                data = file.read(self.size)
        except OSError as error:
            raise UnreadableImage(f"the archive cannot be read: {error.strerror or error}") from error
        if len(data) < self.size:
            raise UnreadableImage("cut short: the archive ends within it")
        return data


def _ending_of_label(wanted: str | None) -> str:
    return (wanted or "cls").lower().lstrip(".")


@dataclass
class _Sample:
    """All members with one key."""

    key: str
    members: dict[str, _Member] = field(default_factory=dict)  # ending -> member

    def picture(self, wanted: str | None) -> _Member | None:
        """The picture's member."""
        if wanted is not None:
            return self.members.get(wanted.lower().lstrip("."))
        return next((member for ending, member in self.members.items() if ending in _PICTURES), None)

    def other_pictures(self, wanted: str | None) -> list[str]:
        """Endings of the pictures beside the first, where nobody has said which one is meant."""
        return [] if wanted is not None else [ending for ending in self.members if ending in _PICTURES][1:]

    def kind(self, wanted: str | None) -> Any:
        """What to make of it without a picture: a label without one is a loss, another file is none."""
        return "unreadable" if {_ending_of_label(wanted), "cls", "json"} & set(self.members) else "ignored"

    def label(self, wanted: str | None) -> Any:
        """Text, a truth value, what no label is, or None."""
        ending = _ending_of_label(wanted)
        try:
            if ending in self.members:
                return self.members[ending].bytes(_LARGEST_LABEL).decode("utf-8-sig", "backslashreplace").strip()
            if "json" in self.members:
                content = json.loads(self.members["json"].bytes(_LARGEST_LABEL))
                label = content.get(wanted or "label") if isinstance(content, dict) else None
                # Truth values stay what they are: `label_all` names them as for every format.
                return str(label) if isinstance(label, int) and not isinstance(label, bool) else label
        except (UnreadableImage, ValueError, RecursionError):
            return None
        return None


@dataclass
class _Shard:
    """One archive, read from its headers only."""

    name: str
    path: Path
    samples: list[_Sample]
    skipped: list[Skipped]

    def read(self) -> None:
        """Add its samples."""
        known: dict[str, _Sample] = {}
        count = 0
        try:
            # "r:" takes no compressed archive, whose members could not be reached one by one.
            with tarfile.open(self.path, "r:") as archive:
                try:
                    for info in archive:
                        count += 1
                        self._add(info, known)
                except (tarfile.TarError, OSError, ValueError, EOFError) as error:
                    self._skip(f"cut short or damaged after {count} members: {error}")
                    return
                self._check_end(archive, count)
        except (tarfile.TarError, OSError, ValueError, EOFError) as error:
            self._skip(instead(self.path) or f"not an uncompressed tar archive, or damaged: {error}")

    def _add(self, info: tarfile.TarInfo, known: dict[str, _Sample]) -> None:
        name = as_text(info.name)
        if info.size < 0:
            raise ValueError(f"{name} has a negative size")  # it would lead the reader back, for ever
        if info.isdir():
            return
        if info.issym() or info.islnk():
            self._skip("a link, which is not followed", name)
        elif not info.isreg() or info.issparse():
            self._skip("not a plain file", name)
        elif name.startswith("/") or ".." in name.split("/"):
            self._skip("its name leads out of the archive", name)
        else:
            folder, _, last = name.removeprefix("./").rpartition("/")
            stem, _, ending = last.partition(".")
            if not stem:
                self.skipped.append(Skipped(name, "hidden file", "ignored"))
                return
            key = f"{folder}/{stem}" if folder else stem
            sample = known.get(key)
            if sample is None:
                sample = known[key] = _Sample(key)
                self.samples.append(sample)
            if ending.lower() in sample.members:
                self._skip("it stands in the archive twice; the first is taken", name)
            else:
                sample.members[ending.lower()] = _Member(self.path, info.offset_data, info.size)

    def _check_end(self, archive: tarfile.TarFile, count: int) -> None:
        """tarfile takes a damaged header for the end; the end is a block of zeros."""
        with self.path.open("rb") as file:
            file.seek(archive.offset)
            if file.read(_BLOCK) != bytes(_BLOCK):
                self._skip(f"cut short or damaged after {count} members: the end mark is missing")
                return
            while rest := file.read(2**20):
                if rest.strip(b"\0"):
                    self._skip("something follows the archive's end mark; it was not read")
                    return

    def _skip(self, reason: str, member: str | None = None) -> None:
        self.skipped.append(Skipped(self.name if member is None else f"{self.name}: {member}", reason))
