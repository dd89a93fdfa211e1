"""Names made to become markup, formulas, terminal commands or paths: they stay names."""

import csv
import io
import json
import os
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

import curvaudit
from curvaudit.cli import main
from curvaudit.records import Samples
from curvaudit.store import open_run

CLASSES = ("<script>alert(1)<|script>", '" onerror="alert(1)', "=cmd|' |C calc'!A0", "<|style><marquee>")
FILES = (
    "<img src=x onerror=alert(1)>.png",
    "' onmouseover='alert(1).png",
    "{{ 7*7 }}{% raw %}.png",
    "@SUM(1+1).png",
    "-2+3.png",
    "+1.png",
    "\x1b[31mred\x1b]0;title\x07.png",
    "\u202egnp.exe\u200f.png",
    "new\nline.png",
    "tab\there.png",
    "..\\..\\up.png",
    "%2e%2e%2fup.png",
    "a" * 251 + ".png",
    "</title><script>alert(2)</script>".replace("/", "\u2215") + ".png",
    "-->.png",
    "javascript:alert(1).png",
)


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    """The page, CSV and JSON of a folder of hostile names, and what the terminal saw."""
    root = tmp_path_factory.mktemp("hostile")
    chance = np.random.default_rng(4)
    for number, label in enumerate(CLASSES):
        folder = root / "data" / label
        folder.mkdir(parents=True)
        for name in FILES:
            pixels = chance.integers(0, 120, (12, 12, 3)) + 30 * number
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name, "PNG")
        (folder / "<marquee>bro\x1bken.png").write_bytes(b"<script>alert(3)</script>")
    copy = (root / "data" / CLASSES[0] / FILES[0]).read_bytes()
    (root / "data" / CLASSES[1] / FILES[1]).write_bytes(copy)
    return root


@pytest.fixture(scope="module")
def report_folder(audited):
    run = curvaudit.scan(
        audited / "data", audited / "run.h5", epochs=2, width=4, batch_size=16, device="cpu", workers=1
    )
    curvaudit.save(curvaudit.report(run, top=100), audited / "report")
    return audited / "report"


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text.append(data)


def test_the_run_file_keeps_every_name(audited, report_folder):
    ids = open_run(audited / "run.h5").samples.ids
    assert set(ids) == {f"{label}/{name}" for label in CLASSES for name in FILES}


def test_no_name_becomes_markup(report_folder):
    source = (report_folder / "index.html").read_text()
    page = Page()
    page.feed(source)
    assert page.tags.count("script") == source.count("<script") == 2  # ours: code, and data
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not {"img", "marquee"} & set(page.tags)
    assert not [
        value for name, value in page.attributes if name in ("href", "src") and not (value or "").startswith("#")
    ]
    shown = "".join(page.text) + "".join(value or "" for _, value in page.attributes)
    for name in (CLASSES[0], CLASSES[1], FILES[0], FILES[2]):
        assert name in shown
    assert any((value or "").startswith("default-src 'none';") for name, value in page.attributes if name == "content")


def test_no_name_becomes_a_formula_and_rows_stay_rows(report_folder, audited):
    rows = list(csv.reader(io.StringIO((report_folder / "ranking.csv").read_text(), newline="")))
    assert len(rows) == 1 + len(CLASSES) * len(FILES)
    assert len({len(row) for row in rows}) == 1
    for row in rows[1:]:
        for text in (row[2], row[3], row[5]):
            assert not text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")), text
    ids = open_run(audited / "run.h5").samples.ids
    assert {row[2].removeprefix("'") for row in rows[1:]} == {name.removeprefix("'") for name in ids}


def test_json_says_the_names_as_they_are(report_folder):
    content = (report_folder / "findings.json").read_bytes()
    assert content.isascii()
    document = json.loads(content)
    conflict = next(finding for finding in document["findings"] if finding["rule"] == "CA101")
    assert {sample["id"] for sample in conflict["samples"]} == {
        f"{CLASSES[0]}/{FILES[0]}",
        f"{CLASSES[1]}/{FILES[1]}",
    }


def test_no_name_commands_the_terminal_or_leaves_the_folder(audited, report_folder, monkeypatch, capsys):
    before = {path.relative_to(audited) for path in audited.rglob("*")}
    for arguments in (
        ["report", str(audited / "run.h5"), "-o", str(audited / "again")],
        ["info", str(audited / "run.h5")],
    ):
        monkeypatch.setattr("sys.argv", ["curvaudit", *arguments])
        with pytest.raises(SystemExit) as leave:
            main()
        assert not leave.value.code
        captured = capsys.readouterr()
        for text in (captured.out, captured.err):
            assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", text)
    made = {path.relative_to(audited) for path in audited.rglob("*")} - before
    names = {"index.html", "ranking.csv", "findings.json"}
    assert {str(path) for path in made} == {"again", *(os.path.join("again", name) for name in names)}


def test_columns_and_classes_are_inert_too():
    from curvaudit.exports import ranking_csv

    samples = Samples(("a", "b"), np.zeros(2, np.int32), ("=1",), *[np.zeros(2, np.uint64)] * 2, *[np.ones(2)] * 3,
                      columns={"=HYPERLINK(1)": ("=2+2", "@x")})  # fmt: skip
    from types import SimpleNamespace

    report = SimpleNamespace(
        samples=samples, scores={"loss": np.ones(2)}, stability=None, neighbours=None, rank_by="loss",
        score=np.zeros(2), order=np.arange(2), rank=np.arange(1, 3), suggested=np.full(2, -1), rules_of=lambda row: (),
    )  # fmt: skip
    rows = list(csv.reader(io.StringIO(ranking_csv.render(report).decode())))
    assert rows[1][-1] == "'=2+2" and rows[2][-1] == "'@x" and rows[1][3] == "'=1"
    assert rows[0][-1] == "meta:=HYPERLINK(1)"
