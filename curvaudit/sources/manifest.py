"""A table of pictures: `.csv`, `.tsv` or `.jsonl` with path, label and perhaps split."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import CurvauditError, UnreadableImage
from ..records import Skipped
from ..text.csv_fields import fields_up_to
from ..text.utf8 import valid
from . import doubts, splits
from .interface import SourceOptions
from .labelling import label_all
from .listed import ListedSource, listed
from .naming import as_text

SUPPORTS = "a .csv, .tsv or .jsonl manifest with the columns path and label"
TAKES_COLUMNS = True
IDS_ARE_PATHS = True

_TABLES = (".csv", ".tsv")
_JSON_LINES = (".jsonl", ".ndjson")
# Tried in this order, whatever the case; --image-column and --label-column name others.
_PATH_NAMES = ("path", "file_name", "filename", "filepath", "image", "image_path", "file")
_LABEL_NAMES = ("label", "class", "class_name")
_SPLIT_NAMES = ("split",)
_QUOTED = re.compile(r'"[^"]*(?:""[^"]*)*"')
_TOLD = re.compile(r"\Asep=[,;\t](?=\r?\n)")  # how Excel is told the separator; the line stays, for it is counted
_ENDINGS = ("", ".jpg", ".png", ".jpeg")  # that competitions' lists of ids leave out
_MOST_COLUMNS = 256  # further columns kept; JSON lines could invent one a line
_LINES_HINT = 'Give one object a line, such as {"path": "images/0001.jpg", "label": "cat"}.'
_HINT = "Give a header with path and label, or name them with --image-column and --label-column."


@dataclass(frozen=True, slots=True)
class _Row:
    line: int  # 1-based, where the row begins
    fields: Mapping[str, Any]


@dataclass
class _Table:
    """What was read; rows that cannot be used are in `skipped`."""

    columns: list[str]
    rows: list[_Row] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def skip(self, line: int, reason: str) -> None:
        self.skipped.append(Skipped(f"line {line}", reason))


def matches(spec: Any) -> bool:
    """A file with one of the endings."""
    if not isinstance(spec, (str, os.PathLike)):
        return False
    path = Path(spec).expanduser()
    return path.suffix.lower() in (*_TABLES, *_JSON_LINES) and path.is_file()


def load(spec: str | Path, options: SourceOptions) -> ListedSource:
    """List the rows of a manifest; no picture is opened yet.

    Paths are relative to the manifest's folder; absolute ones and `..` are followed as well,
    since a manifest often lies beside the pictures' folder. Nothing but regular files is opened,
    and nothing is loaded from the network. Ids are the paths as written. A path that stands twice
    is audited twice (CA111, or CA101 with two labels), the second as `path (2)`.

    All columns but path, label and split are kept as text. Rows that cannot be used (no path, no
    label, more fields than the header, not JSON) are skipped with line and reason. With a split
    column, `options.split` chooses, by default the training split; rows of other splits are no
    part of the source, but their classes are.

    Raises
    ------
    CurvauditError
        Not UTF-8, quotes that do not close, no rows, no such column or split.
    """
    path = Path(spec).expanduser()
    shown = as_text(str(spec))
    table = _read(path, shown)
    if not table.columns:
        why = f" ({table.skipped[0].id}: {table.skipped[0].reason})" if table.skipped else ""
        hint = _LINES_HINT if path.suffix.lower() in _JSON_LINES else _HINT
        raise CurvauditError(f"The manifest {shown} holds no rows{why}.", hint)
    path_column = _column(table.columns, options.image_column, _PATH_NAMES, "path", shown)
    label_column = _column(table.columns, options.label_column, _LABEL_NAMES, "label", shown)
    _require_path(table, path_column)
    labelling = label_all([row.fields.get(label_column) for row in table.rows])  # of all splits: one set of classes
    split_column = _find(table.columns, _SPLIT_NAMES)
    chosen, split = _choose_split(table, split_column, options.split, shown)
    further = [name for name in table.columns if name not in (path_column, label_column, split_column)]
    if len(further) > _MOST_COLUMNS:
        reason = f"{len(further) - _MOST_COLUMNS} columns beyond the first {_MOST_COLUMNS} are not kept"
        table.skipped.append(Skipped(path.name, reason, "ignored"))
        further = further[:_MOST_COLUMNS]
    rows = [table.rows[i] for i in chosen]
    paths = [valid(str(row.fields[path_column])) for row in rows]
    columns = {name: [_shown(row.fields.get(name)) for row in rows] for name in further}
    if split_column is None:
        table.skipped += doubts.of_columns(columns, "only a column called split divides a manifest")
    folder = path.parent
    files = [_file(folder, written) for written in paths]
    return listed(
        shown if split is None else f"{shown} ({split})",
        paths,
        labelling.only(chosen),
        reader=lambda position: _regular(files[position], paths[position], None if position else folder),
        skipped=table.skipped,
        columns=columns,
        lines=[row.line for row in rows],
        ids_are_paths=True,
    )


def other_splits(spec: str | Path, options: SourceOptions) -> tuple[str, ...]:
    """What else the column of splits names."""
    shown = as_text(str(spec))
    table = _read(Path(spec).expanduser(), shown)
    column = _find(table.columns, _SPLIT_NAMES)
    values = ["" if column is None else _shown(row.fields.get(column)).strip() for row in table.rows]
    return splits.others(values, options.split, f"The manifest {shown}")


# --- reading -------------------------------------------------------------------------


def _read(path: Path, shown: str) -> _Table:
    text = _text(path, shown)
    if path.suffix.lower() in _JSON_LINES:
        return _read_json_lines(text)
    with fields_up_to(len(text)):
        return _read_table(text, shown)


def _text(path: Path, shown: str) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CurvauditError(
            f"The manifest {shown} cannot be read: {error.strerror or error}.", "Check the file and its permissions."
        ) from error
    hint = "Save it as UTF-8 (in a spreadsheet: “CSV UTF-8”)."
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise CurvauditError(f"The manifest {shown} is UTF-16, not UTF-8.", hint)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CurvauditError(f"The manifest {shown} is not UTF-8: line {line} holds other bytes.", hint) from error


def _read_table(text: str, shown: str) -> _Table:
    text = _TOLD.sub("", text)
    head = _QUOTED.sub("", text.lstrip().partition("\n")[0])
    # Spreadsheets write semicolons where the comma is the decimal sign.
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(_without_blanks(text, delimiter), newline=""), delimiter=delimiter, strict=True)
    records = _records(reader, shown)
    header = next(records, (0, []))[1]
    names = [valid(name.strip()) or f"column {number}" for number, name in enumerate(header, 1)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise CurvauditError(f"The manifest {shown} has the column {twice!r} twice.", "Give each column its own name.")
    table = _Table(names)
    for line, cells in records:
        if len(cells) > len(names) and any(cell.strip() for cell in cells[len(names) :]):
            table.skip(line, f"it has {len(cells)} fields, the header only {len(names)}: quote fields with commas")
        else:
            table.rows.append(_Row(line, dict(zip(names, cells, strict=False))))
    if not table.rows and not table.skipped:
        table.columns = []
    return table


def _without_blanks(text: str, delimiter: str) -> str:
    """Without the blanks around cells; those inside quotes stay.

    Done before the csv module reads it: afterwards nobody can tell a quoted cell from another.
    """
    blanks = " " if delimiter == "\t" else " \t"
    ends = (delimiter, "\r", "\n")
    if text == text.strip(blanks) and not any(
        blank + end in text or end + blank in text for blank in blanks for end in ends
    ):
        return text
    cell = re.compile(
        rf"(?:\A|(?<=[{delimiter}\r\n]))"
        rf"(?:[{blanks}]*({_QUOTED.pattern})[{blanks}]*(?=[{delimiter}\r\n]|\Z)|[^{delimiter}\r\n]+)"
    )
    return cell.sub(lambda found: found[0].strip(blanks) if found[1] is None else found[1], text)


def _records(reader: Any, shown: str) -> Iterator[tuple[int, list[str]]]:
    """(line on which it begins, cells) of every record that is not blank."""
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise CurvauditError(
                f"The manifest {shown} is no valid table: {error}, in the record that begins on line {line}.",
                "Check the quotes there.",
            ) from error
        if cells is None:
            return
        if any(cell.strip() for cell in cells):
            yield line, cells


def _read_json_lines(text: str) -> _Table:
    table = _Table([])
    known: dict[str, None] = {}
    for line, record in enumerate(text.split("\n"), 1):
        if not record.strip():
            continue
        try:
            fields = json.loads(record)
        except (ValueError, RecursionError) as error:
            table.skip(line, f"not JSON: {str(error).partition(':')[0]}")
            continue
        if not isinstance(fields, dict):
            table.skip(line, f"not a JSON object, but {type(fields).__name__}")
            continue
        fields = {valid(name) or "(no name)": value for name, value in fields.items()}
        known.update(dict.fromkeys(fields))
        table.rows.append(_Row(line, fields))
    table.columns = list(known)
    return table


# --- choosing ------------------------------------------------------------------------


def _column(columns: Sequence[str], wanted: str | None, usual: Iterable[str], what: str, shown: str) -> str:
    if wanted is not None:
        if wanted in columns:
            return wanted
        raise CurvauditError(
            f"The manifest {shown} has no column {wanted!r}.", f"It has {', '.join(columns[:_MOST_COLUMNS])}."
        )
    found = _find(columns, usual)
    if found is None:
        hint = _HINT if len(columns) > 1 else f"Separate the fields by commas, semicolons or tabs. {_HINT}"
        raise CurvauditError(
            f"The manifest {shown} has no {what} column; it has {', '.join(columns[:_MOST_COLUMNS])}.", hint
        )
    return found


def _find(columns: Sequence[str], usual: Iterable[str]) -> str | None:
    lower = {name.lower(): name for name in reversed(columns)}
    return next((lower[name] for name in usual if name in lower), None)


def _require_path(table: _Table, column: str) -> None:
    """Rows without a usable path become skips."""
    usable = []
    for row in table.rows:
        value = row.fields.get(column)
        if value is None or value == "":
            table.skip(row.line, "it names no picture")
        elif not isinstance(value, str):
            table.skip(row.line, f"its path is not text, but {type(value).__name__}")
        else:
            usable.append(row)
    table.rows = usable


def _choose_split(table: _Table, column: str | None, wanted: str | None, shown: str) -> tuple[list[int], str | None]:
    """Positions of the rows of the split, and its name; all rows where there are no splits."""
    values = ["" if column is None else _shown(row.fields.get(column)).strip() for row in table.rows]
    if not any(values):
        splits.refuse(wanted, f"The manifest {shown}", "add a column named split")
        return list(range(len(values))), None
    split = splits.choose([value for value in values if value], wanted, f"The manifest {shown}")
    for row, value in zip(table.rows, values, strict=True):
        if not value:
            table.skipped.append(
                Skipped(f"line {row.line}", "its split is empty, so that it was not searched", "doubtful")
            )
    same = splits.meaning(split)
    return [i for i, value in enumerate(values) if value and splits.meaning(value) == same], split


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return valid(value)
    return "" if value is None else valid(json.dumps(value, ensure_ascii=False))


# --- opening -------------------------------------------------------------------------


def _file(folder: Path, written: str) -> Path:
    path = folder / written
    if os.sep == "/" and "\\" in written and not os.path.exists(path):
        path = folder / written.replace("\\", "/")  # written on Windows
    return path


def _elsewhere(folder: Path, written: str) -> str:
    """Where a file may lie that is not where it is said to: in a folder beside the manifest, or with an ending."""
    try:
        with os.scandir(folder) as entries:
            folders = sorted(entry.name for entry in entries if entry.is_dir())
    except OSError:
        return ""
    names = (os.path.join(inner, written + ending) for inner in ("", *folders) for ending in _ENDINGS)
    return next((as_text(name) for name in names if (folder / name).is_file()), "")


def _regular(path: Path, written: str, near: Path | None) -> Path:
    """The path itself, if it leads to a plain file; the error tells of one of that name in or below `near`."""
    if "\0" in written:
        raise UnreadableImage("its path holds a NUL character")
    if "://" in written:
        raise UnreadableImage("an address, not a file: nothing is loaded from the network")
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        reason = "broken symbolic link" if path.is_symlink() else "there is no such file"
        # Of one alone: a million missing files would cost many more looks at a slow disk.
        if near and (other := _elsewhere(near, written)):
            reason += f", but one at {other}"
        raise UnreadableImage(reason) from None
    except (OSError, ValueError) as error:
        raise UnreadableImage(f"cannot be opened: {getattr(error, 'strerror', None) or error}") from error
    if not stat.S_ISREG(mode):
        # A pipe would block for ever, a device never end.
        raise UnreadableImage("a folder, not a file" if stat.S_ISDIR(mode) else "neither a file nor a folder")
    return path
