"""The sample reports: what the generator plants is there, and what does not take a training is found."""

import csv
import json
import re
import sys

import numpy as np
import pytest
from documents import HERE
from PIL import Image, UnidentifiedImageError

import curvaudit

SAMPLES = HERE / "sample_reports"


@pytest.fixture(scope="module")
def scripts():
    """The two scripts as modules; they are no part of the package."""
    sys.path.insert(0, str(SAMPLES))
    try:
        import count_planted
        import draw_shapes
    finally:
        sys.path.remove(str(SAMPLES))
    return draw_shapes, count_planted


@pytest.fixture(scope="module")
def drawn(scripts, tmp_path_factory):
    place = tmp_path_factory.mktemp("samples")
    return place, scripts[0].draw(place / "shapes", each=16, seed=3)


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_what_is_planted_is_there_and_no_picture_carries_two_defects(drawn):
    place, planted = drawn
    named = [name for defect in planted for name in (defect.id, defect.partner) if name]
    assert len(named) == len(set(named))
    for defect in planted:
        path = place / "shapes" / defect.id
        if defect.kind == "unreadable":
            with pytest.raises((UnidentifiedImageError, OSError)):
                pixels(path)
        elif defect.kind == "flat":
            assert pixels(path).std(axis=(0, 1)).max() == 0
        elif defect.kind in ("conflict", "duplicate"):
            assert (pixels(path) == pixels(place / "shapes" / defect.partner)).all()
        if defect.kind in ("wrong label", "conflict", "near-conflict"):
            assert defect.shows != path.parent.name
        if defect.kind in ("duplicate", "near-duplicate"):
            assert defect.shows == path.parent.name == (place / "shapes" / defect.partner).parent.name


def test_one_seed_draws_the_same_pixels(scripts, drawn, tmp_path):
    place, planted = drawn
    assert scripts[0].draw(tmp_path / "again", each=16, seed=3) == planted
    for path in sorted((place / "shapes").rglob("*.*")):
        assert (tmp_path / "again" / path.relative_to(place / "shapes")).read_bytes() == path.read_bytes()


def test_copies_and_broken_files_are_all_found_without_training(scripts, drawn):
    place, planted = drawn
    with (place / "planted.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("kind", "id", "shows", "partner"))
        writer.writerows((defect.kind, defect.id, defect.shows, defect.partner) for defect in planted)
    curvaudit.save(curvaudit.inspect(place / "shapes"), place / "report")
    told = scripts[1].count(place / "planted.csv", place / "report")
    found = {kind: int(count) for kind, count in re.findall(r"^\| ([a-z -]+) \| CA\d+ \| (\d+) of", told, re.MULTILINE)}
    exact = {"conflict": 6, "duplicate": 6, "unreadable": 2, "flat": 1}
    assert {kind: found[kind] for kind in exact} == exact
    # A bright picture made brighter still has lost what it showed: one such copy may be missed.
    assert found["near-conflict"] >= 5 and found["near-duplicate"] >= 7
    assert found["wrong label"] == found["outlier"] == 0  # they take a training, and the count says so


def test_the_committed_count_is_that_of_the_committed_report(scripts):
    told = scripts[1].count(SAMPLES / "shapes-planted.csv", SAMPLES / "shapes")
    assert (SAMPLES / "shapes-found.md").read_text(encoding="utf-8").strip() == told.strip()


@pytest.mark.parametrize("name", ["digits", "shapes"])
def test_a_committed_report_is_small_and_complete(name):
    files = {path.name: path for path in (SAMPLES / name).iterdir()}
    assert set(files) == {"index.html", "ranking.csv", "findings.json"}
    assert sum(path.stat().st_size for path in files.values()) < 4_500_000  # it goes into the repository
    told = json.loads(files["findings.json"].read_text(encoding="utf-8"))
    assert told["summary"]["finished"]
    assert len(files["ranking.csv"].read_text(encoding="utf-8").splitlines()) == told["summary"]["samples"] + 1
