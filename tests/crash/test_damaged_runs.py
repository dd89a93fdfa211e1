"""Run files that were damaged: `report` tells, with exit code 0 or 2, and never shows a traceback."""

from __future__ import annotations

import json
import os
import random
import shutil

import damage
import h5py
import numpy as np
import pytest
from made import write_run
from test_mutated_images import png_that_claims

from curvaudit.copies import matching, signatures
from curvaudit.errors import CurvauditError, DamagedRun
from curvaudit.exports import html
from curvaudit.records import Samples
from curvaudit.reporting import report
from curvaudit.rules import unanswered
from curvaudit.store import open_run


@pytest.fixture
def run_file(tmp_path):
    path = tmp_path / "run.h5"
    write_run(path)
    return path


def test_mutated_run_files(run_file, tmp_path, long_form, crash_seed):
    wanted = 2000 if long_form else 100
    numbers = range(crash_seed * wanted, (crash_seed + 1) * wanted)
    process = damage.processes.Process(target=damage.try_all, args=(run_file, tmp_path, numbers))
    process.start()
    process.join(3 * 3600)  # one that hangs ends itself much earlier
    tried = [json.loads(line) for line in (tmp_path / "tried.jsonl").read_text().splitlines()]
    assert process.exitcode == 0, f"exit code {process.exitcode} after {tried[-1:]}"
    wrong = [one for one in tried if one["wrong"]]
    assert not wrong, wrong[:3]
    counts = {what: sum(one["outcome"] == what for one in tried) for what in ("refused", "damage stated", "unharmed")}
    print(f"{len(tried)} mutated run files: {counts}")
    assert len(tried) == wanted and counts["refused"] > wanted / 10


def test_truncated_anywhere(run_file, tmp_path):
    content = run_file.read_bytes()
    chance = random.Random(5)
    cut = tmp_path / "cut.h5"
    for size in [0, 1, 7, 8, 100, len(content) - 1, *(chance.randrange(len(content)) for _ in range(40))]:
        cut.write_bytes(content[:size])
        with pytest.raises(CurvauditError, match=r"cut\.h5 is damaged or no run file"):
            report(cut)


def test_another_programs_file_and_a_newer_format(run_file, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = [1, 2]
    with pytest.raises(CurvauditError, match="not of curvaudit"):
        open_run(tmp_path / "other.h5")
    with h5py.File(run_file, "r+") as file:
        file.attrs["format_version"] = "2.0"
    with pytest.raises(CurvauditError, match=r"format 2\.0; this curvaudit reads format 1") as raised:
        open_run(run_file)
    assert "newer" in raised.value.hint


def flip_in(path, name, chunk=0):
    """Flip one bit in the values of a dataset; of scores every epoch is a chunk."""
    with h5py.File(path) as file:
        data = file[name]
        place = data.id.get_chunk_info(chunk).byte_offset if data.chunks else data.id.get_offset()
    content = bytearray(path.read_bytes())
    content[place + 3] ^= 16
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["gradient", "prediction"])
def test_damage_in_one_score_leaves_the_rest(run_file, name):
    whole = report(run_file)
    flip_in(run_file, f"trainings/0/measures/{name}")
    rest = report(run_file)
    assert any(caveat.severity == "error" and name in caveat.message for caveat in rest.caveats)
    assert set(whole.scores) - set(rest.scores) == ({name} if name == "gradient" else set())
    assert (rest.order == whole.order).all()


def test_damage_in_the_score_that_ranks_is_refused(run_file):
    flip_in(run_file, "trainings/0/measures/curvature")
    with pytest.raises(DamagedRun, match="curvature") as raised:
        report(run_file)
    assert "--rank-by" in raised.value.hint
    rest = report(run_file, rank_by="loss")
    assert any("curvature" in caveat.message for caveat in rest.caveats)


@pytest.mark.parametrize("last", [False, True])
def test_damage_in_what_says_what_is_memorized_leaves_the_rest(run_file, last):
    whole = report(run_file)
    flip_in(run_file, "trainings/0/measures/correct", chunk=3 if last else 0)
    rest = report(run_file)
    assert "correct" not in rest.scores and (rest.order == whole.order).all()
    (caveat,) = (caveat for caveat in rest.caveats if "the score correct" in caveat.message)
    assert ("CA203 was not checked" in caveat.message) == last and caveat.unchecked == "damaged"
    assert any(finding.rule.id == "CA203" for finding in rest.findings) == (not last)
    assert ("CA203" in unanswered(rest)) == last
    assert np.isnan(rest.memorized_share).all()


def test_a_consensus_of_nothing_is_left_out(run_file, recwarn):
    for name in ("loss", "margin", "el2n"):
        flip_in(run_file, f"trainings/0/measures/{name}")
    assert set(report(run_file).scores) == {"curvature", "gradient", "correct"}
    assert not recwarn.list


def test_damaged_pictures_leave_the_rest(run_file):
    flip_in(run_file, "thumbnails/data")
    rest = report(run_file)
    assert not rest.thumbnails
    assert any("picture" in caveat.message and caveat.severity == "error" for caveat in rest.caveats)


def test_damaged_features_leave_the_rest(run_file):
    whole = report(run_file)
    assert whole.neighbours is not None and len(whole.neighbours.rows) == 90
    flip_in(run_file, "trainings/0/features")
    rest = report(run_file)
    assert rest.neighbours is None and (rest.order == whole.order).all()
    assert any("features" in caveat.message and caveat.severity == "error" for caveat in rest.caveats)


def test_features_that_are_no_numbers_leave_the_rest(run_file):
    with h5py.File(run_file, "r+") as file:
        file["trainings/0/features"][40, 2] = np.nan  # and the checksum of it
    rest = report(run_file)
    assert rest.neighbours is None
    assert any("features" in caveat.message and caveat.severity == "error" for caveat in rest.caveats)


def test_numbers_of_the_other_byte_order_are_read(run_file):
    whole = report(run_file)
    with h5py.File(run_file, "r+") as file:
        labels = file["samples/label"][:].astype(">i4")
        del file["samples/label"], file["samples"].attrs["digest"]
        file["samples/label"] = labels
    assert report(run_file).samples.labels.tolist() == whole.samples.labels.tolist()


@pytest.mark.parametrize("value", [np.inf, -np.inf, 3e38, 3, -2])
def test_a_prediction_that_is_no_class_is_none(value, run_file, recwarn):
    row = int(report(run_file).order[0])
    with h5py.File(run_file, "r+") as file:
        file["trainings/0/measures/prediction"][1, row] = value
    found = report(run_file).trajectories
    (place,) = np.flatnonzero(found.rows == row)
    assert found.prediction[1, place] == -1 and (found.prediction[[0, 2, 3], place] >= 0).all()
    assert not recwarn.list


def test_a_score_that_is_huge_and_the_same_everywhere_is_drawn(run_file):
    with h5py.File(run_file, "r+") as file:
        file["trainings/0/measures/curvature"][:] = 3e38
    assert b"<svg" in html.render(report(run_file))


@pytest.mark.parametrize("name", ["samples/label", "samples/content_hash", "samples/id"])
def test_a_flipped_bit_in_the_samples_is_refused(run_file, name):
    flip_in(run_file, name)
    with pytest.raises(DamagedRun):
        open_run(run_file)


def test_a_run_of_before_the_checksums_is_read(run_file, tmp_path):
    old = tmp_path / "old.h5"
    shutil.copy(run_file, old)
    with h5py.File(old, "r+") as file:
        for group in ("samples", "skipped"):
            del file[group].attrs["digest"]
    assert (report(old).order == report(run_file).order).all()


def claim(group, name, shape, kind, **how):
    del group[name]
    group.create_dataset(name, shape=shape, dtype=kind, **how)


def say(place, name, value):
    return lambda file: file[place].attrs.__setitem__(name, json.dumps(value))


# Whole files by somebody hostile: (what was changed, what is said).
HOSTILE = [
    (lambda f: claim(f["trainings/0"], "number", (4 << 30,), "i4", chunks=(1 << 20,), maxshape=(None,)), "claims"),
    (lambda f: claim(f["samples"], "label", (10**12,), "i4", chunks=(1 << 20,)), "claims"),
    (lambda f: claim(f["samples"], "id", (90,), h5py.string_dtype("utf-8", 1 << 30), chunks=(1,)), "claims"),
    (lambda f: claim(f["thumbnails"], "data", (10**12,), "u1", chunks=(1 << 20,)), "claims"),
    (lambda f: claim(f["samples"], "label", (90,), "i4", external=[("/etc/passwd", 0, 360)]), "another file"),
    (lambda f: f.__setitem__("samples/columns", h5py.SoftLink("/samples")), "link"),
    (lambda f: f.__setitem__("trainings/1", h5py.ExternalLink("other.h5", "/trainings/0")), "link"),
    (lambda f: f.__setitem__("samples/columns", f["samples"]), "too deep"),
    (lambda f: f.attrs.__setitem__("config", "[" * 100_000), "run.h5"),
    (lambda f: claim(f["samples"], "label", (90,), "f8"), "label holds float64, not int32"),
    (lambda f: claim(f["samples"], "width", (90,), "S3"), "width holds .*, not uint16"),
    (lambda f: claim(f["samples"], "content_hash", (90,), "i8"), "content_hash holds int64, not uint64"),
    (lambda f: claim(f["samples"], "classes", (3, 1), h5py.string_dtype("utf-8", 3)), "classes is no list of texts"),
    (lambda f: claim(f["trainings/0"], "train_loss", (4,), "S3"), "train_loss holds .*, not float64"),
    (lambda f: claim(f["trainings/0"], "train_loss", (4, 2), "f8"), "train_loss of training 0 should have 4 values"),
    (lambda f: claim(f["trainings/0"], "train_loss", (3,), "f8"), "train_loss of training 0 should have 4 values"),
    (lambda f: claim(f["trainings/0/measures"], "loss", (4, 90), "S3"), "loss holds .*, not float32"),
    (lambda f: claim(f["trainings/0"], "features", (90, 6), "S3"), "features holds .*, not float16"),
    (lambda f: claim(f["thumbnails"], "rows", (90,), "f8"), "rows holds float64, not int64"),
    *((say("/", "config", value), "config is no JSON object") for value in (3, [["source", 3]], None)),
    *((say("/", "config", {"source": value}), "config: source is no text") for value in (3, ["x"], True)),
    (say("/", "config", {"source": "x", "split": 3}), "config: split is no text"),
    (say("/", "environment", ["x"]), "environment is no JSON object"),
    (say("trainings/0", "recipe", [3]), "recipe is no JSON object"),
    *(
        (say("trainings/0", "recipe", {name: value}), f"recipe: {name} is no whole number")
        for name in ("epochs", "plain_epochs")
        for value in ("x", 2.5, None, [3])
    ),
    (say("trainings/0/measures/curvature", "parameters", 3), "parameters is no JSON object"),
]


@pytest.mark.parametrize(("change", "says"), HOSTILE)
def test_files_that_no_scan_would_write_are_refused(change, says, run_file):
    with h5py.File(run_file, "r+") as file:
        change(file)
        for group in (file, file["samples"], file["trainings/0"], file["trainings/0/measures/curvature"]):
            for name in ("digest", "text_digest"):
                group.attrs.pop(name, None)
    with pytest.raises(CurvauditError, match=says):
        report(run_file)


@pytest.mark.parametrize("size", [None, (30_000, 30_000), (600, 8)])
def test_kept_pictures_that_are_none_or_bombs_count_as_not_kept(size):
    content = b"<script>"
    if size:
        content = png_that_claims(*size)
    count = np.arange(2)
    same = np.full((2, signatures.LENGTH), 9, np.int8)
    samples = Samples(
        ("a", "b"), count, ("a", "b"), count.astype(np.uint64), count.astype(np.uint64),
        np.full(2, 32), np.full(2, 32), np.ones(2), signature=same,
    )  # fmt: skip
    found = matching.near_pairs(samples, lambda rows: dict.fromkeys(rows, content))
    assert len(found.pairs) == 0 and found.unverified == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_or_device_is_no_run_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.h5")
    for path in (tmp_path / "pipe.h5", "/dev/zero"):
        with pytest.raises(CurvauditError, match="no run file"):
            open_run(path)
