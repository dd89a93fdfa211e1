"""Parquet files in the layout of Hugging Face's image data sets."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import CurvauditError, UnreadableImage
from ..extras import need
from ..records import Skipped
from . import doubts, features, shards
from .interface import SourceOptions
from .labelling import label_all
from .listed import ListedSource, listed
from .naming import as_text
from .stand_ins import instead

SUPPORTS = "a .parquet file, a pattern or a folder of them (image and label columns)"
TAKES_COLUMNS = True

_ENDING = ".parquet"
_CACHE = 256 * 2**20  # bytes of encoded pictures kept, besides the two newest row groups
_ROWS = 16  # read in one piece, of which pyarrow takes no more than 2 GiB
_MOST_COLUMNS = 256  # further columns kept


def matches(spec: Any) -> bool:
    """A .parquet file, a pattern that ends so, or a folder of nothing else."""
    return shards.named(spec, _ENDING)


def load(spec: str | Path, options: SourceOptions) -> ListedSource:
    """List the rows of Parquet files; no picture is read yet.

    The picture column is a struct of bytes and path, or binary. Columns are found by the Hugging
    Face features in the metadata (Image, ClassLabel, whose class names and order are kept), else by
    name. Ids are the paths beside the pictures where each has its own, otherwise row numbers.
    Columns of text and numbers are kept as further columns. Rows without picture or label, and
    files that cannot be read, are skipped with the reason.

    Pictures are read by row groups, of which a few are kept (256 MiB).

    Raises
    ------
    CurvauditError
        pyarrow is missing, no file is readable, columns are missing or ambiguous, files differ.
    """
    shown = as_text(str(spec))
    need("pyarrow.parquet", "parquet", f"Reading {shown}")
    files, split, skipped = shards.find(spec, _ENDING, options.split)
    tables = [_open_table(name, path, skipped) for name, path in files]
    readable = [table for table in tables if table is not None]
    if not readable:
        raise CurvauditError(f"{shown} cannot be read: {skipped[-1].reason}.", "Check the file, or write it anew.")
    first = readable[0]
    chosen = first.choose(options, shown)
    for other in readable[1:]:
        if other.choose(options, f"{shown}: {other.name}") != chosen:
            raise CurvauditError(
                f"{shown}: {other.name} has other columns or class names than {first.name}.",
                "Give files of one data set.",
            )
    plain = dict.fromkeys(name for table in readable for name in table.plain_columns())
    further = [name for name in plain if name not in (chosen.image, chosen.label)][:_MOST_COLUMNS]
    labels: list[Any] = []
    paths: list[str | None] = []
    stock = _Stock(chosen.image, paths)
    columns: dict[str, list[str]] = {name: [] for name in further}
    for table in readable:
        try:
            read = table.read(chosen.image, chosen.label, further)
        except _failures() as error:
            skipped.append(Skipped(table.name, f"damaged: {_reason(error)}"))
            continue
        labels += read.labels
        paths += read.paths
        for name in further:
            columns[name] += read.further[name]
        stock.add(table, len(read.labels))
    skipped += features.unseen(_features(first.file.schema_arrow), chosen)
    if split is None:
        skipped += doubts.of_columns(columns, "only names of files divide Parquet")
    return listed(
        shown if split is None else f"{shown} ({split})",
        features.identities(paths),
        label_all(labels, chosen.names),
        reader=stock.encoded,
        skipped=skipped,
        columns=columns,
    )


def other_splits(spec: str | Path, options: SourceOptions) -> tuple[str, ...]:
    """The splits that other files are of."""
    return shards.other_splits(spec, _ENDING, options.split)


def _failures() -> tuple[type[Exception], ...]:
    import pyarrow as pa

    return (pa.ArrowException, OSError, ValueError, KeyError, MemoryError)


def _reason(error: Exception) -> str:
    return ((str(error).splitlines() or [""])[0].strip() or type(error).__name__).rstrip(".")


def _open_table(name: str, path: Path, skipped: list[Skipped]) -> _Table | None:
    import pyarrow.parquet as pq

    try:
        return _Table(name, pq.ParquetFile(path))
    except _failures() as error:
        skipped.append(Skipped(name, instead(path) or f"not a Parquet file, or damaged: {_reason(error)}"))
        return None


@dataclass(frozen=True)
class _Read:
    """The small columns of one file."""

    labels: list[Any]
    paths: list[str | None]
    further: dict[str, list[str]]


@dataclass(frozen=True)
class _Table:
    """One open file."""

    name: str
    file: Any

    def choose(self, options: SourceOptions, shown: str) -> features.Chosen:
        """See `features.choose`."""
        schema = self.file.schema_arrow
        if len(set(schema.names)) < len(schema.names):
            raise CurvauditError(f"{shown} has columns of one name.", "Give each column its own name.")
        pictures = [field.name for field in schema if _holds_pictures(field.type)]
        chosen = features.choose(
            schema.names, _features(schema), pictures, options.image_column, options.label_column, shown
        )
        if chosen.image not in pictures:
            kind = schema.field(chosen.image).type
            raise CurvauditError(
                f"The column {chosen.image} of {shown} holds no encoded pictures, but {str(kind)[:80]}.",
                "Give a column of bytes, or of a struct with bytes and path.",
            )
        return chosen

    def plain_columns(self) -> list[str]:
        """Columns of text, numbers and truth values."""
        from pyarrow import types

        kinds = (_is_text, types.is_integer, types.is_floating, types.is_boolean)
        plain = ((field.name, _of_values(field.type)) for field in self.file.schema_arrow)
        return [name for name, values in plain if any(kind(values) for kind in kinds)]

    def read(self, image: str, label: str, further: list[str]) -> _Read:
        """Everything but the pictures."""
        schema = self.file.schema_arrow
        has_path = _has_path(schema.field(image).type)
        there = [name for name in further if name in schema.names]  # another file may have more of them
        wanted = [label, *there, *([f"{image}.path"] if has_path else [])]
        table = self.file.read(columns=wanted)
        return _Read(
            labels=table.column(label).to_pylist(),
            paths=[(item or {}).get("path") for item in table.column(image).to_pylist()]
            if has_path
            else [None] * table.num_rows,
            further={
                name: ["" if item is None else str(item) for item in table.column(name).to_pylist()]
                if name in there
                else [""] * table.num_rows
                for name in further
            },
        )


def _features(schema: Any) -> Mapping[str, Any]:
    """What Hugging Face wrote into the metadata; nothing if it is not there or not understood."""
    try:
        found = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, Mapping) else {}


def _holds_pictures(kind: Any) -> bool:
    from pyarrow import types

    if types.is_struct(kind):
        kind = next((kind.field(i).type for i in range(kind.num_fields) if kind.field(i).name == "bytes"), None)
    return kind is not None and (types.is_binary(kind) or types.is_large_binary(kind) or str(kind) == "binary_view")


def _has_path(kind: Any) -> bool:
    from pyarrow import types

    if not types.is_struct(kind):
        return False
    inner = [kind.field(i) for i in range(kind.num_fields) if kind.field(i).name == "path"]
    return bool(inner) and _is_text(inner[0].type)


def _of_values(kind: Any) -> Any:
    """Without the dictionary that pandas stores categories with."""
    from pyarrow import types

    return kind.value_type if types.is_dictionary(kind) else kind


def _is_text(kind: Any) -> bool:
    return str(kind) in ("string", "large_string", "string_view")  # by name: pyarrow 15 knows no views


@dataclass
class _Stock:
    """The encoded pictures of all files. Reads whole row groups, and keeps the newest."""

    column: str
    paths: list[str | None]  # beside each picture
    starts: list[tuple[int, _Table, int]] = field(default_factory=list)  # first position, file, row group
    kept: OrderedDict[int, Any] = field(default_factory=OrderedDict)  # place in `starts` -> pyarrow array
    lock: threading.Lock = field(default_factory=threading.Lock)
    count: int = 0

    def add(self, table: _Table, rows: int) -> None:
        """Append a file of `rows` rows."""
        position = self.count
        for group in range(table.file.num_row_groups):
            self.starts.append((position, table, group))
            position += table.file.metadata.row_group(group).num_rows
        if position != self.count + rows:
            raise CurvauditError(f"{table.name} is damaged: its row groups do not add up.", "Write it anew.")
        self.count = position

    def encoded(self, position: int) -> bytes:
        """The picture in a row, not decoded."""
        low, high = 0, len(self.starts)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.starts[middle][0] <= position else (low, middle)
        with self.lock:
            data = self._group(low)
        item = data[position - self.starts[low][0]].as_py()
        content = item.get("bytes") if isinstance(item, dict) else item
        if content is None:
            path = self.paths[position]
            raise UnreadableImage(f"no picture is stored, only its path: {path}" if path else "the picture is missing")
        return bytes(content)

    def _group(self, place: int) -> Any:
        if place in self.kept:
            self.kept.move_to_end(place)
            return self.kept[place]
        import pyarrow as pa

        _, table, group = self.starts[place]
        is_struct = str(table.file.schema_arrow.field(self.column).type).startswith("struct")
        try:
            columns = [f"{self.column}.bytes" if is_struct else self.column]
            parts = [part.column(0) for part in table.file.iter_batches(_ROWS, row_groups=[group], columns=columns)]
            data = pa.chunked_array(parts)
        except MemoryError as error:
            raise UnreadableImage("its row group does not fit into memory: write the file with smaller ones") from error
        except _failures() as error:
            raise UnreadableImage(f"its row group is damaged: {_reason(error)}") from error
        self.kept[place] = data
        # Threads work on both sides of a border between two groups: those two must stay.
        while len(self.kept) > 2 and sum(array.nbytes for array in self.kept.values()) > _CACHE:
            self.kept.popitem(last=False)
        return data
