"""Names and manifests that nobody thought of: what must hold for every one of them."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from PIL import Image

import curvaudit
from curvaudit import scores, sources, store
from curvaudit.cli import main
from curvaudit.errors import CurvauditError, UnreadableImage
from curvaudit.pictures import depth, images
from curvaudit.records import EpochRow, RunInfo, Samples, Skipped, Thumbnails
from curvaudit.sources.naming import made_unique
from curvaudit.text.printable import printable

LONG = os.environ.get("CURVAUDIT_CRASH") == "long"


def tried(count: int):
    """The same examples every time; `make crash` tries others, and twenty times as many."""
    return settings(
        max_examples=count * 20 if LONG else count,
        derandomize=not LONG,
        database=None,
        deadline=None,
        phases=[Phase.generate],  # shrinking names takes minutes and shows nothing more
        suppress_health_check=list(HealthCheck),
    )


# Whatever a file system, a spreadsheet or JSON can hold as text; and what is made to break something.
NASTY = st.sampled_from(
    ["<script>alert(1)</script>", "</style>", '" onerror="x', "=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "../up",
     "/etc/passwd", "..", ".", "~", "C:\\x", "\x1b[31m", "\x1b]0;t\x07", "\u202egnp", "\u2066", "\r\n", "\t=1",
     "'",     "{{7*7}}", "{% raw %}", "<!--", "-->", "]]>", "&lt;", "%2e%2e%2f", "\\u003c", "\ufeff", "\U000e0001", "é",
     "e\u0301",     "n" * 300, " ", "  x ", "\x85", "\u2028", "##[error]", "nan", "1", "0.5", "None", "\x7f", "\x01",
     "x\r=1+1\r", "''"]
)  # fmt: skip
ANY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
NAME = st.lists(NASTY | ANY, min_size=1, max_size=3).map("".join).filter(bool)
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class Page(HTMLParser):
    """Collects the JSON block, tags, and attributes that run."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.runs: list[str] = []
        self.json = ""
        self._inside = False
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.runs += [name for name, _ in attrs if name.startswith("on")]
        self._inside = tag == "script" and ("type", "application/json") in attrs

    def handle_data(self, data):
        if self._inside:
            self.json += data

    def handle_endtag(self, tag):
        self._inside = False


def write_run(
    path: Path, ids: tuple[str, ...], classes: tuple[str, ...], column: str, further: tuple[str, ...]
) -> None:
    count = np.arange(len(ids))
    random = np.random.default_rng(0)
    samples = Samples(
        ids=ids,
        labels=(count % len(classes)).astype(np.int32),
        classes=classes,
        content_hash=(count // 2).astype(np.uint64),  # conflicts and copies, which messages name
        phash=count.astype(np.uint64),
        width=np.full(len(ids), 9, np.uint16),
        height=np.full(len(ids), 9, np.uint16),
        contrast=np.full(len(ids), 0.2, np.float32),
        columns={column: further},
    )
    picture = images.thumbnail(Image.new("L", (9, 9), 7))
    skipped = [Skipped(name, f"no picture: {name}") for name in further]
    store.create(
        path,
        RunInfo(ids[0], "f" * 32, {"source": ids[-1]}, {"platform": ids[0]}, "test", "2000-01-01T00:00:00Z"),
        samples,
        skipped,
        Thumbnails(count, (picture,) * len(ids)),
    )
    logged = scores.build()
    store.add_training(path, 0, 0.0, 0, {}, {score.name: score.info for score in logged})
    values = {score.name: random.random(len(ids)).astype(np.float32) for score in logged}
    values |= {"correct": np.ones(len(ids), np.float32), "prediction": (1 - count % 2).astype(np.float32)}
    store.append_epoch(path, 0, EpochRow(1, 1.0, 1.0, np.nan, np.nan, 0.1, 1.0, values))
    store.finish_training(path, 0, True)


def printed(*arguments: str) -> str:
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    with (
        mock.patch.object(sys, "argv", ["curvaudit", *arguments]),
        redirect_stdout(out),
        redirect_stderr(out),
        pytest.raises(SystemExit),
    ):
        main()
    told = out.buffer.getvalue().decode()
    assert "Traceback" not in told, told
    return told


@tried(20)
@given(
    ids=st.lists(NAME, min_size=4, max_size=6, unique=True),
    classes=st.lists(NAME, min_size=2, max_size=2, unique=True),
    column=NAME,
    data=st.data(),
)
def test_names_come_out_of_every_file_as_they_went_in(ids, classes, column, data):
    further = tuple(data.draw(st.lists(NAME, min_size=len(ids), max_size=len(ids))))
    with TemporaryDirectory() as place:
        run, out = Path(place, "run.h5"), Path(place, "out", "report")
        write_run(run, tuple(ids), tuple(classes), column, further)
        opened = store.open_run(run)
        assert opened.samples.ids == tuple(ids) and opened.samples.classes == tuple(classes)
        assert dict(opened.samples.columns) == {column: further}
        made = curvaudit.report(opened)
        curvaudit.save(made, out)
        # Nothing beside the three files, whatever the names say.
        assert sorted(path.name for path in out.iterdir()) == ["findings.json", "index.html", "ranking.csv"]
        assert sorted(path.name for path in Path(place).rglob("*") if path.parent != out) == ["out", "report", "run.h5"]
        by_row = {row: (ids[row], classes[row % 2]) for row in range(len(ids))}
        in_csv(out / "ranking.csv", by_row, dict(enumerate(further)))
        in_json(out / "findings.json", by_row)
        in_page(out / "index.html", by_row)
        for told in (
            printed("info", str(run)),
            printed("report", str(run), "-o", str(out)),
            printed("check", str(run)),
        ):
            assert not CONTROL.search(told)


def in_csv(path: Path, by_row: dict[int, tuple[str, str]], further: dict[int, str]) -> None:
    rows = list(csv.DictReader(io.StringIO(path.read_bytes().decode(), newline="")))
    assert len(rows) == len(by_row)
    for row in rows:
        cells = [value for name, value in row.items() if name in ("id", "label", "suggested_label") or ":" in name]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))]
        given = (*by_row[int(row["index"])], further[int(row["index"])])
        for cell, text in zip((row["id"], row["label"], cells[-1]), given, strict=True):
            assert cell in (text, f"'{text}")


def in_json(path: Path, by_row: dict[int, tuple[str, str]]) -> None:
    found = [sample for finding in json.loads(path.read_bytes())["findings"] for sample in finding["samples"]]
    named = [sample for sample in found if sample["index"] is not None]
    assert named
    for sample in named:
        assert (sample["id"], sample["label"]) == by_row[sample["index"]]


def in_page(path: Path, by_row: dict[int, tuple[str, str]]) -> None:
    source = path.read_text(encoding="utf-8")
    page = Page(source)
    assert page.tags.count("script") == 2 and not page.runs and "img" not in page.tags
    known = json.loads(page.json)
    shown = known["samples"]
    assert shown["row"]
    for row, identity, label in zip(shown["row"], shown["id"], shown["label"], strict=True):
        assert (identity, known["classes"][label]) == by_row[row]


@tried(300)
@given(st.text(st.characters(), max_size=30) | NAME)
def test_what_is_printed_is_one_line_of_printable_text(text):
    shown = printable(text)
    assert shown.isprintable() and not CONTROL.search(shown)
    shown.encode()  # valid Unicode
    if text.isprintable() and "##[" not in text:
        assert shown == text


# --- manifests ---------------------------------------------------------------------------


@contextmanager
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as place:
        Image.new("L", (9, 9), 5).save(Path(place, "a.png"))
        Path(place, "sub").mkdir()
        Image.new("L", (9, 9), 9).save(Path(place, "sub", "b.png"))
        yield Path(place)


def opens_or_names(source: sources.Source) -> None:
    for row in range(len(source.ids)):
        try:
            image = source.open(row)
        except UnreadableImage as error:
            assert str(error)
        else:
            assert depth.is_deep(image) or image.mode in ("L", "RGB")


PATH = st.sampled_from(
    ["a.png", "sub/b.png", "./a.png", "sub\\b.png", "sub", "../a.png", "/dev/zero", "http://x/a.png"]
)
ROWS = st.lists(st.tuples(PATH | NAME | st.just(""), NAME | st.just("")), min_size=1, max_size=8)


@tried(60)
@given(ROWS, st.sampled_from([".csv", ".jsonl"]))
def test_rows_that_are_usable_arrive_and_all_others_are_named(rows, ending):
    with folder() as place:
        path = place / f"list{ending}"
        if ending == ".csv":
            with path.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("path", "label"), *rows])
            rows = [row for row in rows if any(cell.strip() for cell in row)]  # an empty line is none
        else:
            path.write_text("\n".join(json.dumps({"path": p, "label": label}) for p, label in rows), encoding="utf-8")
        usable = [(p, label) for p, label in rows if p]
        assume(any(label for _, label in usable))
        source = sources.load(path)
        ids = made_unique([p for p, _ in usable])
        expected = [(identity, label) for identity, (_, label) in zip(ids, usable, strict=True) if label]
        assert [
            (identity, source.classes[label]) for identity, label in zip(source.ids, source.labels, strict=True)
        ] == (expected)
        assert len(source.ids) + len(source.skipped) == len(rows)
        assert list(source.classes) == sorted({label for _, label in expected})
        opens_or_names(source)


PIECES = (
    *("path", "label", "split", ",", ";", "\t", "\n", "\r\n", "\r", '"', '""', "\0", "a.png", "{", "}", "[", "]", ":"),
    *('{"path": "a.png", "label": "x"}', '"path"', "null", "1e999", "NaN", "\ufeff", "\\ud800", "train", " "),
)  # fmt: skip
CONTENT = st.binary(max_size=80) | st.lists(st.sampled_from(PIECES) | ANY, max_size=25).map(
    lambda p: "".join(p).encode()
)
HEADED = st.builds(
    lambda head, rest: head + rest, st.sampled_from([b"path,label\n", b"path;label;split\n", b""]), CONTENT
)


@tried(150)
@given(HEADED, st.sampled_from([".csv", ".tsv", ".jsonl"]), st.sampled_from([None, "train", "\x1b[31m", ""]))
def test_any_file_is_a_manifest_or_is_refused_with_its_name_and_advice(content, ending, split):
    with folder() as place:
        path = place / f"list{ending}"
        path.write_bytes(content)
        options = sources.SourceOptions(split=split)
        for read in (sources.load, sources.other_splits):
            try:
                source = read(path, options)
            except CurvauditError as error:
                assert path.name in error.message and error.hint
            else:
                if read is sources.load:
                    assert len(set(source.ids)) == len(source.ids)
                    opens_or_names(source)
