"""Every error of the tool in one table: it names the thing, says what to do, exits with 2, leaves stdout alone.

The last tests go through the code: each place that makes a `CurvauditError` is reached by the table,
or stands in `ELSEWHERE` with the test that reaches it.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import shutil
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import h5py
import numpy as np
import pytest
from formats import add, write_npz, write_parquet
from made import draw_folder, write_run

import curvaudit
from curvaudit import scores, sources, store
from curvaudit.cli import main
from curvaudit.engine import teamwork
from curvaudit.errors import CurvauditError
from curvaudit.pictures import images
from curvaudit.records import EpochRow, RunInfo, Samples, Thumbnails
from curvaudit.training import processes
from curvaudit.training.processes import joined, local_device

HERE = Path(__file__).parent
CODE = Path(curvaudit.__file__).parent
LONG = "n" * 250  # a name that leaves no room for that of the lock


# --- what is wrong ---------------------------------------------------------------------


def make_world(folder: Path) -> None:
    """All that the table needs, in one folder."""
    for split in ("train", "test"):
        draw_folder(folder / "splits" / split, ("a", "b"), each=3)
    draw_folder(folder / "other" / "train", ("a", "b"), each=3)
    draw_folder(folder / "other" / "test", ("a", "c"), each=3)
    draw_folder(folder / "small", ("a", "b"), each=3)
    draw_folder(folder / "one", ("only",), each=2)
    draw_folder(folder / "halves", ("a",), each=2)
    for name in ("empty", "hollow/a", "hollow/b", "halves/b", "unread/a", "unread/b", "flat", "done", "wrong.h5.d"):
        (folder / name).mkdir(parents=True)
    for name in ("halves/b/x.jpg", "unread/a/x.jpg", "unread/b/x.jpg", "flat/x.jpg", "file.jpg", "done/index.html"):
        (folder / name).write_text("text")
    (folder / "idx/MNIST/raw").mkdir(parents=True)
    (folder / "idx/MNIST/raw/train-images-idx3-ubyte").touch()
    (folder / "blocked").write_text("a file where a folder should be")
    (folder / "exists.h5").write_bytes(b"precious")
    make_runs(folder)
    make_tables(folder)
    make_policies(folder)


def make_runs(folder: Path) -> None:
    (folder / "text.h5").write_text("no run")
    with h5py.File(folder / "alien.h5", "w") as file:
        file["x"] = 1
    with h5py.File(folder / "newer.h5", "w") as file:
        file.attrs.update(format="curvaudit-run", format_version="7.1")
    write_run(folder / "run.h5")
    shutil.copy(folder / "run.h5", folder / "overflown.h5")
    with h5py.File(folder / "overflown.h5", "r+") as file:
        file["trainings/0/measures/curvature"][1, 5] = np.nan
    write_run(folder / "bare.h5", epochs=0)
    (folder / "cut.h5").write_bytes((folder / "run.h5").read_bytes()[:-900])
    flipped = bytearray((folder / "run.h5").read_bytes())
    with h5py.File(folder / "run.h5") as file:
        place = file["trainings/0/measures/curvature"].id.get_chunk_info(0).byte_offset
    flipped[place + 3] ^= 16
    (folder / "flipped.h5").write_bytes(flipped)
    count = np.arange(4)
    samples = Samples(
        tuple(f"a/{i}.png" for i in count), (count % 2).astype(np.int32), ("a", "b"), count.astype(np.uint64),
        count.astype(np.uint64), count.astype(np.uint16), count.astype(np.uint16), count.astype(np.float32),
    )  # fmt: skip
    path = folder / "unmeasured.h5"
    store.create(path, RunInfo("s", "f", {}, {}, "t", "2000-01-01T00:00:00Z"), samples, (), Thumbnails(count[:0], ()))
    store.add_training(path, 0, 0.0, 0, {}, {score.name: score.info for score in scores.build()})
    loss = {"loss": np.ones(4, np.float32), "correct": np.ones(4, np.float32)}
    store.append_epoch(path, 0, EpochRow(1, 1.0, 1.0, np.nan, np.nan, 0.1, 1.0, loss))


def make_tables(folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (folder / "none.csv").write_text("path,label\n")
    (folder / "twice.csv").write_text("path,path,label\nx,y,z\n")
    (folder / "headless.csv").write_text("picture,label\nx,y\n")
    (folder / "quotes.csv").write_text('path,label\n"x,y\n')
    (folder / "latin.csv").write_bytes("path,label\nx,café\n".encode("latin-1"))
    (folder / "wide.csv").write_text("path,label\nx,y\n", encoding="utf-16")
    (folder / "split.csv").write_text("path,label,split\nx,y,train\n")
    (folder / "plain.csv").write_text("path,label\nx,y\n")
    (folder / "bars.csv").write_text("path|label\nx|y\n")
    (folder / "array.jsonl").write_text("[{}]\n")
    good = {"images": np.zeros((2, 8, 8), np.uint8), "labels": np.array([0, 1])}
    for name, changes in {
        "shape": {"images": np.zeros((2, 8))},
        "words": {"images": np.full((2, 8, 8), "x")},
        "hot": {"labels": np.eye(2)},
        "fewer": {"labels": np.array([0])},
        "objects": {"labels": np.array([{}, {}], object)},
    }.items():
        np.savez(folder / f"{name}.npz", **{**good, **changes})
    np.savez(folder / "nameless.npz", pictures=good["images"])
    with (folder / "single.npz").open("wb") as file:
        np.save(file, good["images"])
    (folder / "text.npz").write_text("no archive")
    (folder / "cut.npz").write_bytes((folder / "nameless.npz").read_bytes()[:-40])
    memorized = np.linspace(0, 1, 90)  # as many as run.h5 has pictures
    np.savez(folder / "memo.npz", good=memorized, few=memorized[:4], none=np.full(90, np.nan), words=np.full(90, "a"))
    np.save(folder / "pixels.npy", np.zeros((2, 3, 8, 8), np.uint8))
    write_npz(folder / "small")
    write_parquet(folder / "small", folder / "good.parquet")
    (folder / "mixed").mkdir()
    write_parquet(folder / "small", folder / "mixed" / "0.parquet")
    write_parquet(folder / "splits" / "train", folder / "mixed" / "1.parquet")
    table = pq.read_table(folder / "good.parquet").replace_schema_metadata()
    pq.write_table(
        table.rename_columns(["picture", "label"]).append_column("label2", table["label"]), folder / "x.parquet"
    )
    pq.write_table(table.rename_columns(["image", "what"]), folder / "unlabelled.parquet")
    pq.write_table(table.append_column("image2", table["image"]).rename_columns(["one", "label", "two"]),
                   folder / "several.parquet")  # fmt: skip
    pq.write_table(table.append_column("label", table["label"]), folder / "names.parquet")
    pq.write_table(pa.table({"image": [1, 2], "label": [0, 1]}), folder / "numbers.parquet")
    renamed = table.rename_columns(["image", "kind"])
    pq.write_table(renamed.rename_columns(["image", "label"]).slice(0, 2).append_column(
        "cls", pa.array(["x", "y"])), folder / "mixed" / "1.parquet")  # fmt: skip
    (folder / "text.parquet").write_text("no parquet")
    np.savez(folder / "chw.npz", images=np.zeros((2, 3, 8, 8), np.uint8), labels=[0, 1])
    (folder / "packed.tar.gz").write_bytes(b"\x1f\x8b\x08")
    (folder / "packed.zip").write_bytes(b"PK\x03\x04")
    (folder / "pointer.npz").write_text("version https://git-lfs.github.com/spec/v1\n")
    with tarfile.open(folder / "empty.tar", "w"):
        pass
    with tarfile.open(folder / "captions.tar", "w") as archive:
        for ending in ("png", "txt"):
            add(archive, f"0.{ending}", b"anything")
    (folder / "data" / "imagenet").mkdir(parents=True)


def make_policies(folder: Path) -> None:
    for name, text in {
        "pyproject.toml": "[tool.other]\nx = 1\n",
        "three/pyproject.toml": "[tool]\ncurvaudit = 3\n",
        "broken.toml": "x = = 1\n",
        "number.toml": "baseline = 3\n",
        "table.toml": "rules = 3\n",
        "double.toml": "[rules.CA101]\nallow = 1\n[rules.conflicting-duplicates]\nallow = 2\n",
        "all.toml": '[rules.all]\nseverity = "off"\n',
        "schema.json": '{"schema": "x"}',
        "damaged.json": '{"schema": "curvaudit-baseline/1", "accepted": [{}]}',
        "merged.json": '<<<<<<< ours\n{"schema": "curvaudit-baseline/1", "accepted": []}',
        "digits.toml": f"[rules.CA111]\nallow = {'9' * 5000}\n",
        "brackets.toml": f"fail-on = {'[' * 5000}\n",
        "text.json": '{"hello": 1}',
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    known = {"index": 0, "id": "class/0.png", "label": "ant", "content_hash": "0", "new_label": None}
    for name, made in {
        "strangers.json": [{**known, "id": "x", "decision": "fine"}],
        "undecided.json": [{**known, "decision": "fine"}, {**known, "decision": "drop"}],
    }.items():
        (folder / name).write_text(json.dumps({"schema": "curvaudit-decisions/1", "decisions": made}))


# --- the table -------------------------------------------------------------------------


def scan(*options: str) -> list[str]:
    return ["scan", *options]


def check(*options: str) -> list[str]:
    return ["check", *options, "--format", "json"]


def reproduce(*options: str) -> list[str]:
    return ["reproduce", *options, "--format", "json"]


TABLE: list[tuple[list[str], str]] = [
    # sources
    (scan(""), "source is empty"),
    (scan("missing"), "missing"),
    (scan("digit"), "Did you mean digits?"),
    (scan("~nobody-of-this-name/x"), "~nobody-of-this-name"),
    (scan("small", "--cache", "~nobody-of-this-name"), "~nobody-of-this-name"),
    (scan("mnist", "--data-dir", "~nobody-of-this-name"), "~nobody-of-this-name"),
    (scan("file.jpg"), "file.jpg"),
    (scan("packed.tar.gz"), "packed.tar.gz is compressed by gzip"),
    (scan("packed.zip"), "packed.zip is a zip archive; unpack it"),
    (scan("small", "--image-column", "x"), "--image-column"),
    (scan("small", "--data-dir", "x"), "--data-dir 'x' says nothing about small"),
    (scan("empty"), "empty"),
    (scan("one"), "one"),
    (scan("flat"), "class folders"),
    (scan("idx"), "idx holds mnist in torchvision's layout"),
    (scan("hollow"), "hollow"),
    (scan("unread"), "no readable picture"),
    (scan("halves"), "only one class ('a')"),
    (scan("small", "--split", "test"), "has no splits"),
    (scan("splits", "--split", "best"), "no split 'best'"),
    (scan("digits", "--split", "test"), "'test'"),
    (scan("mnist", "--split", "best"), "'best'"),
    (scan("mnist", "--data-dir", "nowhere"), "nowhere"),
    (scan("mnist", "--data-dir", "data"), "not found in data"),
    (scan("imagenet", "--data-dir", "data"), "read from data"),
    (scan("imagenet", "--download"), "ImageNet cannot be downloaded"),
    (scan("hf:"), "hf:"),
    (scan("hf:nobody/nothing"), "hf:nobody/nothing"),
    (scan("saved", "--image-column", "image"), "no Image column"),
    (scan("none.csv"), "none.csv"),
    (scan("twice.csv"), "'path' twice"),
    (scan("headless.csv"), "no path column"),
    (scan("plain.csv", "--label-column", "kind"), "'kind'"),
    (scan("quotes.csv"), "line 2"),
    (scan("latin.csv"), "line 2"),
    (scan("wide.csv"), "UTF-16"),
    (scan("split.csv", "--split", "best"), "'best'"),
    (scan("plain.csv", "--split", "best"), "plain.csv has no splits"),
    (scan("shape.npz"), "(2, 8)"),
    (scan("chw.npz"), "transpose"),
    (scan("words.npz"), "not pixels"),
    (scan("hot.npz"), "(2, 2)"),
    (scan("fewer.npz"), "2 images but 1 labels"),
    (scan("objects.npz"), "Python objects"),
    (scan("nameless.npz"), "images"),
    (scan("shape.npz", "--image-column", "y"), "'y'"),
    (scan("single.npz"), "single array"),
    (scan("text.npz"), "text.npz"),
    (scan("pointer.npz"), "git lfs pull"),
    (scan("text.parquet"), "text.parquet"),
    (scan("mixed"), "1.parquet"),
    (scan("names.parquet"), "names.parquet"),
    (scan("numbers.parquet"), "column of encoded pictures"),
    (scan("numbers.parquet", "--image-column", "image"), "int64"),
    (scan("bars.csv"), "Separate the fields by commas"),
    (scan("array.jsonl"), "Give one object a line"),
    (scan("unlabelled.parquet"), "label column"),
    (scan("several.parquet"), "several picture columns"),
    (scan("good.parquet", "--label-column", "kind"), "'kind'"),
    (scan("none-*.tar"), "none-*.tar"),
    (scan("none-{0..3}.tar"), "none-0.tar"),
    (scan("none-{0..999999}.tar"), "1,000,000"),
    (scan("{0..999}{0..999}.tar"), "1,000,000"),
    (scan("empty.tar"), "empty.tar"),
    (scan("captions.tar"), "captions.tar holds no label in .cls or .json; its members end in png, txt"),
    (scan("captions.tar", "--image-column", "left.png"), "captions.tar holds no 'left.png'"),
    # settings of a scan
    (scan("small", "--preset", "quick"), "quick"),
    (scan("small", "--weight-decay", "0,much"), "0,much"),
    (scan("small", "--weight-decay", "-1"), "-1"),
    (scan("small", "--weight-decay", "nan"), "nan"),
    (scan("small", "--weight-decay", "0,0"), "twice"),
    *((scan("small", option, "0"), option) for option in (
        "--epochs", "--curvature-every", "--probes", "--repeats", "--max-pixels", "--workers", "--step", "--lr")),
    (scan("small", "--batch-size", "1"), "--batch-size"),
    (scan("small", "--step", "nan"), "--step"),
    (scan("small", "--seed", "-1"), "--seed"),
    (scan("small", "--seed", str(2**63)), "--seed"),
    (scan("small", "--width", "wide"), "--width"),
    (scan("small", "--resolution", "-3"), "--resolution"),
    (scan("small", "--device", "warp9"), "warp9"),
    (scan("small", "--device", "meta"), "meta"),
    (scan("small", "--precision", "int4"), "int4"),
    (scan("small", "--epochs", "many"), "--epochs"),
    (scan("small", "--no-such-option"), "no-such-option"),
    (scan("splits", "--validation", "best"), "--validation best"),
    (scan("splits", "--validation", "train"), "--validation train"),
    (scan("other", "--validation", "test"), "'test' does not hold the same classes"),
    # where the run file goes
    (scan("small", "-o", "empty"), "is a folder"),
    (scan("small", "-o", "no/such/run.h5"), "no/such"),
    (scan("small", "-o", f"{LONG}.h5"), "cannot be made"),
    (scan("small", "-o", "exists.h5"), "exists.h5"),
    (scan("small", "-o", "text.h5", "--overwrite"), "text.h5 is no run file"),
    (scan("small", "--resume"), "curvaudit.h5"),
    (scan("small", "--resume", "--overwrite"), "--overwrite"),
    (scan("small", "--resume", "-o", "cut.h5"), "cut.h5 is damaged"),
    (scan("small", "--resume", "-o", "run.h5", "--width", "4"), "other settings"),
    (["check", "run.h5", "--format", "json=run.h5"], "run.h5 is read here"),
    (["check", "small", "--format", "json=file.jpg"], "file.jpg is a picture"),
    (["check", "small", "--format", "json=run.h5"], "run.h5 is a run file"),
    (["compare", "small", "small", "--format", "json", "-o", "cut.h5"], "cut.h5 is a run file"),
    (["compare", "small", "small", "--format", "html=x.html"], "-o names a file"),  # `check` writes it so
    (["export", "run.h5", "--to", "cleanlab", "-o", "cut.h5", "--overwrite"], "cut.h5 is a run file"),
    # report, info
    (["report"], "curvaudit.h5"),
    (["report", "text.h5"], "text.h5"),
    (["report", "empty"], "empty is a folder"),
    (["report", "alien.h5"], "not of curvaudit"),
    (["report", "newer.h5"], "format 7.1"),
    (["report", "cut.h5"], "cut.h5 is damaged"),
    (["report", "bare.h5"], "no finished epoch"),
    (["report", "flipped.h5"], "curvature"),
    (["report", "unmeasured.h5"], "curvature was not measured"),
    (["report", "unmeasured.h5"], "`curvaudit report unmeasured.h5 --rank-by loss`"),
    (["report", "run.h5", "--top", "0"], "--top"),
    (["report", "run.h5", "--training", "9"], "no training 9"),
    (["report", "run.h5", "--rank-by", "beauty"], "'beauty'"),
    (["report", "run.h5", "--format", ","], "format"),
    (["report", "run.h5", "--format", "docx"], "'docx'"),
    (["report", "run.h5", "-o", "blocked"], "blocked"),
    (["info", "missing.h5"], "missing.h5"),
    # check, duplicates, compare
    (check("missing.h5"), "missing.h5"),
    (check("run.h5", "--split", "x"), "--split"),
    (check("small", "--training", "1"), "--training"),
    (check("small", "--workers", "0"), "--workers"),
    (check("small", "--fail-on", "CA999"), "'CA999'"),
    (check("small", "--fail-on", ","), "nothing is named"),
    (check("small", "--fail-on", "error,warning"), "error, warning"),
    (check("small", "--fail-on", "CA101", "--severity", "CA101=off"), "CA101"),
    (check("small", "--severity", "CA101"), "--severity CA101"),
    (check("small", "--severity", "CA101=bad"), "'bad'"),
    (check("small", "--allow", "CA111=many"), "'many'"),
    (check("small", "--accept-incomplete", "all"), "'all'"),
    (check("small", "--policy", "broken.toml", "--no-policy"), "--no-policy"),
    (check("small", "--policy", "missing.toml"), "missing.toml"),
    (check("small", "--policy", "broken.toml"), "broken.toml"),
    (check("small", "--policy", "digits.toml"), "digits.toml is no valid TOML"),
    (check("small", "--policy", "brackets.toml"), "brackets.toml is no valid TOML"),
    (check("small", "--policy", "pyproject.toml"), "pyproject.toml"),
    (check("small", "--policy", "three/pyproject.toml"), "three"),
    (check("small", "--policy", "number.toml"), "baseline = 3"),
    (check("small", "--policy", "table.toml"), "rules"),
    (check("small", "--policy", "all.toml"), "severity"),
    (check("small", "--policy", "double.toml"), "rules.CA101 and rules.conflicting-duplicates are one rule"),
    (check("small", "--baseline", "missing.json"), "missing.json"),
    (check("small", "--baseline", "empty"), "empty"),
    (check("small", "--baseline", "schema.json"), "schema.json"),
    (check("small", "--baseline", "damaged.json"), "damaged.json"),
    (check("small", "--baseline", "merged.json"), "merged.json is a damaged baseline"),
    (check("small", "--update-baseline"), "--update-baseline"),
    (check("small", "--update-baseline", "--baseline", "text.json"), "text.json"),
    (check("halves", "--update-baseline", "--baseline", "new.json"), "new.json"),
    (check("small", "--format", "yaml"), "'yaml'"),
    (check("small", "--format", "sarif="), "sarif="),
    (check("small", "--format", "sarif=x", "--format", "junit=x"), "same file"),
    (check("small", "--format", "sarif"), "standard output"),
    (check("small", "--format", "sarif=no/such/file"), "no/such"),
    (["duplicates", "small", "--format", "xml"], "'xml'"),
    (["duplicates", "missing", "--format", "json"], "missing"),
    (["compare", "small", "small", "--format", "xml"], "'xml'"),
    (["compare", "small", "missing", "--format", "json"], "missing"),
    (["compare", "small", "small", "--format", "json", "--top", "0"], "--top"),
    (check("small", "--cache", "x", "--no-cache"), "--no-cache"),
    # calibrate
    (["calibrate", "small", "--format", "xml"], "'xml'"),
    (["calibrate", "small", "--format", "json", "--rates", "0"], "--rates '0'"),
    (["calibrate", "small", "--format", "json", "--rates", "2,2"], "twice"),
    (["calibrate", "small", "--format", "json", "--folds", "1"], "--folds 1"),
    (["calibrate", "small", "--format", "json", "-o", "done"], "index.html"),
    (["calibrate", "small", "--format", "json", "-o", "blocked/x"], "blocked/x"),
    (["calibrate", "small", "--format", "json", "--rates", "1", "--no-baselines"], "1 % of 6"),
    (["calibrate", "small", "--format", "json", "--rates", "50", "--folds", "9", "--baselines"], "--folds 9"),
    (["calibrate", "small", "--format", "json", "--noise", "loud"], "--noise 'loud'"),
    (["calibrate", "small", "--format", "json", "--resume", "--overwrite"], "exclude each other"),
    # reproduce
    (["reproduce", "toaster", "--format", "json"], "'toaster'"),
    (["reproduce", "spiral", "--format", "xml"], "'xml'"),
    (reproduce("spiral", "--scale", "huge"), "--scale 'huge'"),
    (reproduce("spiral", "--samples", "50"), "--samples says nothing to the experiment spiral"),
    (reproduce("spiral", "--seeds", "0"), "--seeds 0"),
    (reproduce("spiral", "--seeds", "2", "--seed", str(2**63 - 1)), "--seed 9223372036854775807 is too large"),
    (reproduce("sensitivity", "--rates", "0"), "--rates"),
    (reproduce("corruption", "--noise", "loud"), "--noise 'loud'"),
    (reproduce("duplicates", "--from", "run.h5", "--samples", "50"), "--samples says nothing about run files"),
    (reproduce("duplicates", "--from", "run.h5", "--data-dir", "x"), "--data-dir says nothing about run files"),
    (reproduce("spiral", "-o", "done"), "done holds an earlier result"),
    (reproduce("spiral", "-o", "blocked/x"), "blocked/x"),
    (reproduce("duplicates", "--from", "bare.h5"), "bare.h5: no finished epoch"),
    (reproduce("duplicates", "--source", "small", "--source", "other"), "one --source"),
    (reproduce("dynamics", "--source", "small"), "too few pictures to hold some out"),
    (reproduce("dynamics", "--source", "small", "--mask", "sure"), "--mask says nothing without --scores"),
    (reproduce("sensitivity", "--source", "small", "--rates", "2,4"), "sensitivity takes one of --rates"),
    (reproduce("duplicates", "--from", "unmeasured.h5"), "Curvature was not measured"),
    (reproduce("dynamics", "--from", "unmeasured.h5"), "Curvature was not measured"),
    (reproduce("agreement"), "memorization scores"),
    (reproduce("agreement", "--from", "unmeasured.h5", "--scores", "memo.npz:few"), "Curvature was not measured"),
    *((reproduce("agreement", "--from", "run.h5", "--scores", *given), says) for given, says in (
        (["memo.npz"], "'memo.npz' names no array"), (["memo.npz:gone"], "memo.npz has no array 'gone'"),
        (["missing.npz:x"], "missing.npz cannot be read"), (["cut.npz:x"], "cut.npz cannot be read"),
        (["memo.npz:words"], "memo.npz: words holds <U1, not numbers"),
        (["memo.npz:few"], "(4,) values, and run.h5 90"), (["memo.npz:none"], "too few usable"),
        (["memo.npz:good", "--mask", "few"], "few and good differ"))),
    (reproduce("agreement", "--from", "overflown.h5", "--scores", "memo.npz:good"),
     "overflown.h5: curvature of 1 picture is no finite number in epoch 2"),
    # export
    (["export", "run.h5", "--to", "excel"], "'excel'"),
    (["export", "run.h5", "--to", "csv-fixed"], "--decisions"),
    (["export", "run.h5", "--to", "cleanlab", "-o", "exists.h5"], "exists.h5"),
    (["export", "run.h5", "--to", "cleanlab", "-o", "no/such/x.csv"], "no/such"),
    *((["export", "run.h5", "--to", "csv-fixed", "--decisions", name], says) for name, says in (
        ("missing.json", "missing.json"), ("empty", "empty"), ("text.json", "text.json"),
        ("strangers.json", "another data set"), ("undecided.json", "twice about class/0.png"))),
    # the command line itself
    ([], "Usage"),
    (["audit"], "audit"),
]  # fmt: skip


def refused(*arguments: object, **options: object) -> Callable[..., object]:
    def fail(*ignored: object, **also_ignored: object) -> object:
        raise PermissionError(13, "Permission denied")

    return fail


# Where the system has to answer as it does not here: (what is replaced, by what, command, what it says).
ANSWERED: list[tuple[str, object, list[str], str]] = [
    ("os.scandir", refused(), scan("small"), "small cannot be listed"),
    ("pathlib.Path.read_bytes", refused(), scan("plain.csv"), "plain.csv cannot be read"),
    ("h5py.File", refused(), ["report", "run.h5"], "run.h5 may not be read"),
    ("os.access", lambda path, mode: False, scan("small"), "cannot be written to"),
    ("curvaudit.extras.import_module", mock.Mock(side_effect=ImportError("no")), scan("good.parquet"), "pyarrow"),
]


class Random:
    """Another picture each time."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return np.random.default_rng().integers(0, 255, (8, 8), np.uint8), index % 2


class Broken(Random):
    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        raise OSError("gone")


GREY = np.zeros((8, 8), np.uint8)
# What only a program can do wrong.
FROM_PYTHON: list[tuple[Callable[[], object], str]] = [
    (lambda: curvaudit.scan("small", beauty=1), "'beauty'"),
    (lambda: curvaudit.scan(3.5), "float"),
    (lambda: curvaudit.scan([(GREY, 0), (GREY, 1)], split="x"), "split"),
    (lambda: curvaudit.scan([]), "list is empty"),
    (lambda: curvaudit.scan([(GREY, 0), (GREY, 0)]), "only one class"),
    (lambda: curvaudit.scan([(GREY, 0), (GREY, "1")]), "partly text"),
    (lambda: curvaudit.scan([(GREY, 0), (GREY, 0.5)]), "Item 1"),
    (lambda: curvaudit.scan([{"image": GREY, "label": 0}]), "dicts (image, label), not (image, label)"),
    (lambda: curvaudit.scan(Broken()), "gone"),
    (lambda: curvaudit.scan(Random()), "another picture each time"),
    (lambda: curvaudit.scan(sources.load("digits"), split="test"), "digits"),
    (lambda: curvaudit.calibrate("small", "calibrated", validation="test"), "validation"),
    (lambda: curvaudit.calibrate("small", "calibrated", weight_decay=(0, 1e-4)), "--weight-decay"),
    (lambda: without_pandas(), "pandas"),
    (lambda: curvaudit.check("run.h5"), "report cannot be of the type str"),
    (lambda: curvaudit.open_run("a\0b"), "NUL"),
    (lambda: curvaudit.check(curvaudit.report("run.h5"), baseline=5), "A path cannot be of the type int"),
    (lambda: curvaudit.read_policy(None), "A path cannot be of the type NoneType"),
    (lambda: curvaudit.report("run.h5", top="5"), "--top '5'"),
    (lambda: curvaudit.report("run.h5", top=2.5), "--top 2.5"),
    (lambda: curvaudit.report("run.h5", rank_by=None), "--rank-by None"),
    (lambda: curvaudit.report("run.h5", training="0"), "--training '0'"),
    (lambda: curvaudit.report("run.h5", anonymize="no"), "anonymize 'no'"),
    (lambda: curvaudit.report(curvaudit.report("run.h5")), "A path cannot be of the type Report"),
    (lambda: curvaudit.save(curvaudit.open_run("run.h5"), "saved"), "report cannot be of the type Run"),
    (lambda: curvaudit.save(curvaudit.report("run.h5"), None), "A path cannot be of the type NoneType"),
    (lambda: curvaudit.save(curvaudit.report("run.h5"), "saved", None), "formats cannot be of the type NoneType"),
    (lambda: curvaudit.save(curvaudit.report("run.h5"), "saved", [5]), "no report format 5"),
    (lambda: curvaudit.save(curvaudit.report("run.h5"), "saved", iter([])), "No format"),
    (lambda: curvaudit.inspect("small", against=GREY), "ndarray"),
    (lambda: curvaudit.inspect("small", split=5), "--split 5"),
    (lambda: curvaudit.inspect("small", cache=5), "A path cannot be of the type int"),
    (lambda: curvaudit.inspect("small", every_thumbnail="no"), "every_thumbnail 'no'"),
    (lambda: curvaudit.scan("small", cache=5), "A path cannot be of the type int"),
    (lambda: curvaudit.scan("small", out=5), "A path cannot be of the type int"),
    (lambda: curvaudit.scan("small", overwrite="no"), "overwrite 'no'"),
    (lambda: curvaudit.compare("run.h5", "run.h5", top=2.5), "--top 2.5"),
    (lambda: curvaudit.compare("small", "small", rank_by=None), "--rank-by None"),
    (lambda: curvaudit.compare("small", "small", workers="2"), "--workers '2'"),
    (lambda: curvaudit.export("run.h5", None), "--to None"),
    (lambda: curvaudit.export(curvaudit.report("run.h5"), "cleanlab"), "A path cannot be of the type Report"),
    (lambda: curvaudit.calibrate("small", noise=["pairs"]), "--noise ['pairs']"),
    (lambda: curvaudit.calibrate("small", out=None), "A path cannot be of the type NoneType"),
    (lambda: curvaudit.reproduce(["spiral"]), "no experiment ['spiral']"),
    (lambda: curvaudit.reproduce("spiral", scale=None), "--scale None"),
    (lambda: curvaudit.check(curvaudit.report("run.h5"), policy={}), "policy cannot be of the type dict"),
    (lambda: curvaudit.reproduce("spiral", "spiral", beauty=1), "'beauty'"),
    (lambda: one_of_several(lambda: local_device("cuda")), "Process 99 on this machine has no GPU"),
    (lambda: one_of_several(lambda: joined("cpu").__enter__()), "2 processes cannot reach each other: no route"),
    (lambda: teamwork._mapped(Path("missing.npy"), [2, 3, 8, 8], np.zeros(2), Path("run.h5")), "missing.npy"),
    (lambda: teamwork._mapped(Path("pixels.npy"), [3, 3, 8, 8], np.zeros(3), Path("run.h5")), "pixels.npy"),
]


def one_of_several(call: Callable[[], object]) -> object:
    """As torchrun starts it, on a machine with fewer GPUs and without a network."""
    says = {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "99", "MASTER_ADDR": "nowhere", "MASTER_PORT": "1"}
    refusing = mock.Mock(side_effect=RuntimeError("no route"))
    with mock.patch.dict(os.environ, says), mock.patch.object(processes, "_rendezvous", refusing):
        return call()


def without_pandas() -> object:
    with mock.patch.dict(sys.modules, {"pandas": None}):
        return curvaudit.report("run.h5").to_pandas()


# --- running it ------------------------------------------------------------------------


class Told:
    """What every row of the tables said, and from which lines of the code."""

    def __init__(self) -> None:
        self.lines: set[tuple[str, int]] = set()

    def run(self, *arguments: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.object(sys, "argv", ["curvaudit", *arguments]),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            self.watched(),
            pytest.raises(SystemExit) as left,
        ):
            main()
        return left.value.code, out.getvalue(), err.getvalue()

    @contextlib.contextmanager
    def watched(self):
        honest = CurvauditError.__init__

        def watching(error, message, hint=""):
            caller = sys._getframe(1)
            self.lines.add((caller.f_code.co_filename, caller.f_lineno))
            honest(error, message, hint)

        with mock.patch.object(CurvauditError, "__init__", watching):
            yield


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    world = tmp_path_factory.mktemp("world")
    make_world(world)
    import datasets

    table = {"image": [images.thumbnail(images.from_anything(GREY))], "label": [0]}
    datasets.Dataset.from_dict(table).save_to_disk(str(world / "saved"))
    before = os.getcwd()
    os.chdir(world)
    yield Told()
    os.chdir(before)


def is_said(code: int, out: str, err: str, says: str) -> None:
    assert code == 2, err or out
    assert says in err and "Traceback" not in err
    assert out == ""
    if not err.startswith("Usage"):  # typer's own errors say how the command is used
        *progress, sentence, hint = err.splitlines()  # what was done until then
        assert sentence.startswith("Error: ") and sentence.endswith((".", "?")) and hint, err
        assert not any("Error" in line for line in progress), err


@pytest.mark.parametrize(
    ("arguments", "says"), TABLE, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_the_command_line(arguments, says, told):
    if not arguments:
        code, out, _ = told.run()
        assert code == 2 and says in out  # without a command there is only help to show
        return
    is_said(*told.run(*arguments), says)
    assert Path("exists.h5").read_bytes() == b"precious"


@pytest.mark.parametrize(("target", "answer", "arguments", "says"), ANSWERED)
def test_the_system_refuses(target, answer, arguments, says, told):
    with mock.patch(target, answer):
        told_now = told.run(*arguments)
    is_said(*told_now, says)


@pytest.mark.parametrize(("call", "says"), FROM_PYTHON)
def test_from_python(call, says, told):
    with told.watched(), pytest.raises(CurvauditError) as raised:
        call()
    assert says in raised.value.message and raised.value.hint


# --- nothing left out ------------------------------------------------------------------

# (module, how the message begins) -> the test that reaches it, because it takes a scan, a race or a full disk.
ELSEWHERE = {
    (
        "reproduction.experiments.classes",
        "{title}: no class has two pictures",
    ): "test_reproducing.py::test_classes_of_one_picture_each_have_no_two_ends",
    ("calibration.trial", "{path} was scanned from other"): "test_calibrating.py::test_only_the_same_is_resumed",
    ("calibration.trial", "{path} holds other planted"): "test_calibrating.py::test_only_the_same_is_resumed",
    ("calibration.record", "{path}"): "test_calibrating.py::test_only_the_same_is_resumed",
    (
        "store.beside",
        "{beside.filename} is an epoch",
    ): "test_store.py::test_an_epoch_of_another_run_is_neither_read_nor_taken_in_nor_removed",
    ("pictures.pixels", "The pixels need"): "crash/test_trouble.py::test_no_room_for_the_pixels_or_the_first_file",
    (
        "inventory",
        "{self.samples.ids[row]} changed",
    ): "crash/test_trouble.py::test_a_picture_deleted_during_a_scan_is_named",
    (
        "engine.locking",
        "Another scan is writing",
    ): "crash/test_trouble.py::test_signals_end_a_scan_with_130_and_the_command_that_resumes",
    (
        "scanning",
        "There is not enough memory",
    ): "crash/test_trouble.py::test_out_of_memory_says_what_helps_and_keeps_epochs",
    (
        "scanning",
        "{run.path} cannot be resumed: it was begun",
    ): "test_scan.py::test_a_run_of_a_curvaudit_with_another_recipe_is_not_resumed_and_no_setting_is_blamed",
    (
        "scanning",
        "{run.path} cannot be resumed: the pictures",
    ): "test_scan.py::test_resume_of_another_configuration_or_source_is_refused",
    (
        "arguments",
        "{name} {value!r} is no text",
    ): "test_scan_options.py::test_settings_of_another_type_are_told_before_anything_is_read",
    (
        "arguments",
        "{name} {value!r} is neither",
    ): "test_scan_options.py::test_settings_of_another_type_are_told_before_anything_is_read",
    (
        "arguments",
        "{name} {value!r} is not a number",
    ): "test_scan_options.py::test_settings_of_another_type_are_told_before_anything_is_read",
    (
        "arguments",
        "{name} {value!r} is not a whole",
    ): "test_scan_options.py::test_settings_of_another_type_are_told_before_anything_is_read",
    (
        "arguments",
        "{name} {value!r} is not one number",
    ): "test_scan_options.py::test_settings_of_another_type_are_told_before_anything_is_read",
    ("store.run", "The run file {self.path} is gone"): "test_paths.py::test_a_run_is_read_wherever_the_program_goes",
    ("store.run", "{self.path} has no training"): "test_store.py::test_what_a_run_does_not_hold_is_no_damage",
    ("store.run", "{self.path} has no score"): "test_store.py::test_what_a_run_does_not_hold_is_no_damage",
    ("store.commit", "The run file {path} cannot be written"): "crash/test_trouble.py::test_a_disk_that_fills",
    ("store.creating", "The run file {path} cannot be written"): "crash/test_trouble.py::test_a_disk_that_fills",
    (
        "store.commit",
        "The run file {path} exists already",
    ): "test_store.py::test_an_existing_file_is_replaced_only_when_asked",
    ("store.opening", "{path} is no file"): "crash/test_damaged_runs.py::test_a_pipe_or_device_is_no_run_file",
    ("store.opening", "{path} is damaged: an epoch"): "test_store.py::test_a_missing_epoch_beside_the_run_is_damage",
    (
        "store.run",
        "{self.path} holds features that are no numbers",
    ): "crash/test_damaged_runs.py::test_features_that_are_no_numbers_leave_the_rest",
    ("training.processes", "--device {wanted}"): "test_processes.py::test_the_environment_says_who_takes_part",
    ("training.processes", "The environment variable"): "test_processes.py::test_the_environment_says_who_takes_part",
    (
        "training.processes",
        "{self.size} processes cannot share",
    ): "test_processes.py::test_more_processes_than_pictures_in_a_batch_are_refused",
    (
        "training.processes",
        "Another of the {self.size} processes",
    ): "test_processes.py::test_a_dead_process_ends_the_scan_and_one_or_two_resume_it",
    ("training.checkpoint", "The checkpoint {path} cannot be written"): "crash/test_trouble.py::test_a_disk_that_fills",
    (
        "training.checkpoint",
        "The checkpoint {path} cannot be read",
    ): "crash/test_trouble.py::test_a_checkpoint_that_may_not_be_read_is_not_called_damaged",
    (
        "training.checkpoint",
        "The checkpoint {path} is damaged",
    ): "crash/test_trouble.py::test_a_leftover_checkpoint_of_other_settings_is_not_taken_up",
    (
        "engine.training_run",
        "{work.path} cannot be resumed",
    ): "crash/test_trouble.py::test_a_leftover_checkpoint_of_other_settings_is_not_taken_up",
    (
        "engine.training_run",
        "Training diverged",
    ): "crash/test_trouble.py::test_training_that_diverges_keeps_what_was_logged",
}
# Reached by no test, and why.
UNTESTED = {
    ("sources.parquet", "{table.name} is damaged"): "a footer that contradicts itself: no writer makes one",
    ("calibration.trial", "The pictures of {self.stock.source.name} changed"): "scan notices most changes first",
    ("training.cross_validation", "Training of fold"): "as in a scan, by the same check",
}


ERRORS = ("CurvauditError", "DamagedRun", "ProcessLost")


def sites() -> list[tuple[str, str, ast.Call, str]]:
    """(module, message as written, the call, file) of every place that makes an error."""
    found = []
    for file in sorted(CODE.rglob("*.py")):
        module = ".".join(file.relative_to(CODE).with_suffix("").parts)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ERRORS:
                message = ast.unparse(node.args[0]).removeprefix("f")[1:-1]
                found.append((module, message, node, str(file)))
    return found


def listed(known: dict[tuple[str, str], str], module: str, message: str) -> bool:
    return any(module == where and message.startswith(begin) for where, begin in known)


def test_every_error_says_what_to_do():
    for module, message, call, _ in sites():
        assert len(call.args) == 2, f"{module}: {message}"
        assert ast.unparse(call.args[1]) not in ("''", '""'), f"{module}: {message}"


def test_every_place_that_makes_an_error_is_reached(told):
    if len(told.lines) < 100:
        pytest.skip("only part of the table was run")
    missing = [
        f"{module}:{call.lineno}: {message}"
        for module, message, call, file in sites()
        if not any((file, line) in told.lines for line in range(call.lineno, call.end_lineno + 1))
        and not listed(ELSEWHERE, module, message)
        and not listed(UNTESTED, module, message)
    ]
    assert not missing, "add a row to the table, or an entry with its test to ELSEWHERE:\n" + "\n".join(missing)


def test_what_is_listed_is_there():
    known = [(module, message) for module, message, _, _ in sites()]
    for place in (*ELSEWHERE, *UNTESTED):
        assert any(listed({place: ""}, *site) for site in known), place
    for test in ELSEWHERE.values():
        file, _, name = test.partition("::")
        assert f"def {name}(" in (HERE / file).read_text(encoding="utf-8"), test
