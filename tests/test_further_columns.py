"""What a manifest says beyond path and label travels from the source to the run file and the ranking."""

import csv
import io
import json
import re

import h5py
import numpy as np

import curvaudit
from curvaudit import inventory, sources

SMALL = {"epochs": 1, "width": 4, "batch_size": 16, "device": "cpu", "augment": False}
AWKWARD = ("site", "a/b", ".", "100%", "zeichen ä", "=1+1")


def described(folder):
    """The folder with further columns, and one picture that cannot be read."""
    source = sources.load(folder)
    (folder / source.ids[3]).write_bytes(b"not a picture")
    source.columns = {name: tuple(f"{name} {i}" for i in range(len(source.ids))) for name in AWKWARD}
    source.lines = np.arange(2, len(source.ids) + 2, dtype=np.int32)
    return source


def test_columns_and_lines_stay_with_their_rows_when_a_picture_is_left_out(image_folder):
    stock = inventory.take(described(image_folder), 2, lambda done: None)
    assert len(stock.samples) == 59
    assert stock.samples.lines.tolist() == [2, 3, 4, *range(6, 62)]
    assert stock.samples.columns["site"][2:4] == ("site 2", "site 4")


def test_columns_come_back_from_the_run_file_in_order_and_reach_the_ranking(image_folder, tmp_path, monkeypatch):
    source = described(image_folder)
    monkeypatch.setattr("curvaudit.sources.load", lambda spec, options: source)
    run = curvaudit.scan("anything", tmp_path / "run.h5", **SMALL)
    assert tuple(run.samples.columns) == AWKWARD
    assert all(run.samples.columns[name][3] == f"{name} 4" for name in AWKWARD)
    assert run.samples.lines[3] == 6
    curvaudit.save(curvaudit.report(run), tmp_path / "out")
    table = list(csv.DictReader(io.StringIO((tmp_path / "out" / "ranking.csv").read_text())))
    assert list(table[0])[-len(AWKWARD) :] == [f"meta:{name}" for name in AWKWARD]
    for row in table:
        assert row["meta:site"] == f"site {int(row['index']) + (int(row['index']) >= 3)}"
        assert row["meta:=1+1"].startswith("'=1+1 ")
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    (data,) = re.findall(r'<script[^>]*id="data"[^>]*>(.*?)</script>', page, re.DOTALL)
    shown = json.loads(data)
    assert shown["columns"] == list(AWKWARD)
    for place, index in enumerate(shown["samples"]["row"]):
        assert shown["samples"]["further"][0][place] == f"site {index + (index >= 3)}"


def test_a_run_file_without_them_reads_as_empty(image_folder, tmp_path):
    curvaudit.scan(image_folder, tmp_path / "run.h5", **SMALL)
    with h5py.File(tmp_path / "run.h5") as file:
        assert "line" not in file["samples"] and "columns" not in file["samples"]
    samples = curvaudit.open_run(tmp_path / "run.h5").samples
    assert samples.columns == {} and samples.lines.shape == (0,)
