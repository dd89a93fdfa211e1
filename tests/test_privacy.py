"""Reports that can be passed on: without pictures, without names. What is kept beside them is for its owner."""

import base64
import re
import sqlite3
import stat
import sys
from dataclasses import replace

import numpy as np
import pytest
from test_duplicates import photo, write

import curvaudit
from curvaudit import exports
from curvaudit.anonymizing import _without_names, anonymized
from curvaudit.cli import main
from curvaudit.pictures import hash_cache, pixels
from curvaudit.records import EpochDone, Skipped

SMALL = {"epochs": 2, "width": 4, "batch_size": 16, "device": "cpu", "workers": 1}


@pytest.fixture
def run(image_folder, tmp_path):
    (image_folder / "square" / "planted.png").write_bytes((image_folder / "circle" / "003.png").read_bytes())
    (image_folder / "circle" / "secret patient.png").write_bytes(b"\x89PNG broken")
    return curvaudit.scan(image_folder, tmp_path / "private-place.h5", **SMALL)


def test_without_thumbnails_the_page_holds_no_picture(run):
    whole, bare = curvaudit.report(run), curvaudit.report(run, thumbnails=False)
    assert b"data:image/png" in exports.render_all(whole)["index.html"]
    page = exports.render_all(bare)["index.html"]
    assert b"data:image/" not in page
    assert b"left out of this report on request" in page
    assert [finding.fingerprint for finding in bare.findings] == [finding.fingerprint for finding in whole.findings]


def test_anonymized_files_name_nothing_and_say_the_same(run, image_folder):
    whole, hidden = curvaudit.report(run), curvaudit.report(run, anonymize=True)
    contents = exports.render_all(hidden)
    for name, content in contents.items():
        text = content.decode()
        for secret in ("000.png", "planted", "secret patient", "private-place", str(image_folder)):
            assert secret not in text, (name, secret)
        assert run.info.source_fingerprint not in text
        for value in run.samples.content_hash:
            assert f"{int(value):016x}" not in text and str(int(value)) not in text
    np.testing.assert_array_equal(whole.order, hidden.order)
    assert [f.rule.id for f in hidden.findings] == [f.rule.id for f in whole.findings]
    conflicts = [{sample.index for sample in f.samples} for f in hidden.findings if f.rule.id == "CA101"]
    assert conflicts == [{sample.index for sample in f.samples} for f in whole.findings if f.rule.id == "CA101"] != []
    assert not {f.fingerprint for f in hidden.findings if f.samples[0].index is not None} & {
        f.fingerprint for f in whole.findings
    }
    assert hidden.samples.classes == whole.samples.classes
    assert len(set(hidden.samples.ids)) == len(hidden.samples.ids)


def test_an_unfinished_run_is_not_named_and_no_command_is_made_up(image_folder, tmp_path):
    def stop(event):
        if isinstance(event, EpochDone):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        curvaudit.scan(image_folder, tmp_path / "private-place.h5", on_event=stop, **SMALL)
    for anonymize in (False, True):
        report = curvaudit.report(tmp_path / "private-place.h5", anonymize=anonymize)
        texts = [content.decode() for content in exports.render_all(report).values()]
        assert any("--resume -o" in text for text in texts)
        assert any("private-place" in text for text in texts) == (not anonymize)
        assert any("curvaudit scan anonymized" in text or "The same settings again" in text for text in texts) == (
            not anonymize
        )


def test_reasons_name_no_paths(run):
    reasons = ("cannot be read: /home/jane", "The folder /home/jane is gone", "C:\\Users\\jane", "empty file (0 bytes)")
    told = replace(run, skipped=tuple(Skipped(f"{i}", reason) for i, reason in enumerate(reasons)))
    found = [item.reason for item in anonymized(told).skipped]
    assert "jane" not in "".join(found) and found[0] == "cannot be read" and found[3] == "empty file (0 bytes)"


def test_two_anonymized_reports_of_one_run_can_be_compared(run):
    one, two = (curvaudit.report(run, anonymize=True, rank_by=score) for score in ("loss", "margin"))
    assert one.samples.ids == two.samples.ids


FORMATS = ("html", "csv", "json", "parquet")


@pytest.fixture
def photos(tmp_path):
    """Larger than a thumbnail, so that larger copies are kept, too."""
    named = {f"{'ab'[seed % 2]}/patient-{seed:03d}-smith.png": photo(seed, 100) for seed in range(24)}
    write(tmp_path / "clinic", named)
    return curvaudit.scan(tmp_path / "clinic", tmp_path / "run.h5", **SMALL)


def embedded(page: bytes) -> list[bytes]:
    return [base64.b64decode(found) for found in re.findall(rb"data:image/\w+;base64,([A-Za-z0-9+/=]+)", page)]


def test_without_thumbnails_neither_larger_copies_nor_those_of_neighbours_are_left(photos):
    whole, bare = curvaudit.report(photos), curvaudit.report(photos, thumbnails=False)
    assert whole.previews and whole.neighbours is not None and bare.neighbours is not None
    kept = {*photos.thumbnails(range(24)).values(), *photos.previews(range(24)).values()}
    assert kept & set(embedded(exports.render_all(whole)["index.html"]))
    assert not bare.thumbnails and not bare.previews
    for content in exports.render_all(bare, FORMATS).values():
        assert not embedded(content) and not any(picture in content for picture in kept)


def test_neighbours_do_not_name_what_anonymize_hides(photos, tmp_path):
    hidden = curvaudit.report(photos, anonymize=True)
    assert hidden.neighbours is not None and len(hidden.neighbours.rows) == 24
    contents = exports.render_all(hidden, FORMATS)
    for name, content in contents.items():
        for secret in (
            b"patient",
            b"smith",
            b"clinic",
            str(tmp_path).encode(),
            photos.info.source_fingerprint.encode(),
        ):
            assert secret not in content, (name, secret)
    # They are told, as hashes or rows of this run.
    assert hidden.samples.ids[int(hidden.neighbours.nearest[0, 0])].encode() in contents["index.html"]


def test_the_command_writes_what_may_be_passed_on(photos, tmp_path, monkeypatch, capsys):
    out = tmp_path / "shared"
    monkeypatch.setattr(sys, "argv", ["curvaudit", "report", str(photos.path), "--anonymize", "--no-thumbnails",
                                      "-o", str(out)])  # fmt: skip
    with pytest.raises(SystemExit) as left:
        main()
    assert not left.value.code
    for file in out.iterdir():
        content = file.read_bytes()
        assert b"patient" not in content and not embedded(content), file.name


def test_the_cache_shows_pictures_and_is_for_its_owner(photos, tmp_path, monkeypatch):
    source = tmp_path / "clinic"
    assert not (tmp_path / "kept").exists()
    # Pixels that do not fit into memory lie there, too.
    monkeypatch.setattr(pixels, "free_memory", lambda: 0)
    curvaudit.scan(source, tmp_path / "again.h5", cache=tmp_path / "kept", **SMALL)
    with sqlite3.connect(tmp_path / "kept" / hash_cache.FILE) as database:
        drawn = [row[0] for row in database.execute("SELECT thumbnail FROM portraits")]
    database.close()
    assert len(drawn) == 24 and all(drawn)  # of a scan: all
    files = [path for path in (tmp_path / "kept").rglob("*") if path.is_file()]
    assert sorted(path.suffix for path in files) == [".npy", ".sqlite3"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o700


def test_without_a_cache_nothing_is_kept(photos, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache-home"))
    monkeypatch.setattr(pixels, "free_memory", lambda: 0)
    before = {path.name for path in tmp_path.iterdir()}
    run = ["scan", str(tmp_path / "clinic"), "-o", str(tmp_path / "bare.h5"), "--no-cache", "--epochs", "1", "-q",
           "--width", "4", "--device", "cpu"]  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["curvaudit", *run])
    with pytest.raises(SystemExit) as left:
        main()
    assert not left.value.code
    assert {path.name for path in tmp_path.iterdir()} == before | {"bare.h5"}


@pytest.mark.parametrize("path", ["scans\\smith.png", "scans/smith.png"])
def test_a_reason_that_names_a_path_of_any_system_is_withheld(path):
    assert _without_names(f"cannot read {path}") == "withheld, it names a path"
