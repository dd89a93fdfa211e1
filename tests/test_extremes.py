"""Data at the edges: very many classes, a class of one, pictures all alike, labels all alike, very many files."""

import csv
import os
import subprocess
from pathlib import Path

import h5py
import numpy as np
import permissions
import pytest
from made import draw_folder, write_run
from PIL import Image

import curvaudit
from curvaudit import records, sources
from curvaudit.errors import CurvauditError
from curvaudit.policy.definition import Policy

QUICK = {"epochs": 1, "width": 4, "batch_size": 64, "device": "cpu", "workers": 2}
NOISE = np.random.default_rng(0).integers(0, 255, (2000, 8, 8, 3), np.uint8)


def scanned(folder: Path, pictures: np.ndarray, labels: np.ndarray) -> curvaudit.Run:
    np.savez(folder / "set.npz", images=pictures, labels=labels)
    return curvaudit.scan(folder / "set.npz", folder / "run.h5", **QUICK)


def ranking(run: curvaudit.Run, folder: Path, **options) -> tuple[curvaudit.Report, list[dict[str, str]]]:
    report = curvaudit.report(run, **options)
    curvaudit.save(report, folder / "report")
    with (folder / "report" / "ranking.csv").open(encoding="utf-8") as file:
        return report, list(csv.DictReader(file))


def test_two_thousand_classes_of_one_picture(tmp_path):
    for number, pixels in enumerate(NOISE):
        (tmp_path / "set" / f"class {number}").mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / "set" / f"class {number}" / "only.png")
    report, rows = ranking(curvaudit.scan(tmp_path / "set", tmp_path / "run.h5", **QUICK), tmp_path)
    assert any("has a class of its own" in caveat.message for caveat in report.caveats)
    assert len({row["label"] for row in rows}) == 2000 and len(report.samples.classes) == 2000
    assert np.isfinite([float(row["score"]) for row in rows]).all()
    assert sum(finding.rule.id == "CA501" for finding in report.findings) == 2000


def test_a_class_with_one_picture_is_ranked_and_named(tmp_path):
    report, rows = ranking(scanned(tmp_path, NOISE[:61], np.r_[np.arange(60) % 2, 2]), tmp_path)
    assert [row["label"] for row in rows].count("2") == 1 and all(np.isfinite(float(row["score"])) for row in rows)
    (small,) = [finding for finding in report.findings if finding.rule.id == "CA501"]
    assert small.message == "Class 2 holds only 1 of at least 10 pictures."


def test_pictures_all_alike_are_one_conflict(tmp_path):
    report, rows = ranking(scanned(tmp_path, np.repeat(NOISE[:1], 60, 0), np.arange(60) % 2), tmp_path)
    assert len(rows) == 60 and np.isfinite([float(row["score"]) for row in rows]).all()
    conflict, *sizes = report.findings  # each class holds one picture, too
    assert [finding.rule.id for finding in sizes] == ["CA501", "CA501"]
    assert conflict.rule.id == "CA101" and len(conflict.samples) == 60


def test_black_pictures_are_named_and_what_is_no_number_is_never_ranked_in_silence(tmp_path):
    run = scanned(tmp_path, np.zeros((60, 8, 8, 3), np.uint8), np.arange(60) % 2)
    try:  # nothing tells them apart: some processors overflow where others do not
        report = curvaudit.report(run)
    except CurvauditError as error:
        assert "curvature was not measured, or was no number" in error.message and "--rank-by loss" in error.hint
        report = curvaudit.report(run, rank_by="loss")
    assert sum(finding.rule.id == "CA302" for finding in report.findings) == 60


def test_scores_that_are_no_numbers_are_counted_and_leave_the_check_incomplete(tmp_path):
    write_run(tmp_path / "run.h5")
    assert not any(caveat.unchecked == "unscored" for caveat in curvaudit.report(tmp_path / "run.h5").caveats)
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        curvature = file["trainings/0/measures/curvature"]
        curvature[:, 5], curvature[2, 9], curvature[1, 11] = np.nan, np.inf, np.nan  # one epoch without is enough
    report, rows = ranking(tmp_path / "run.h5", tmp_path)
    assert rows[-1]["id"] == "class/5.png" and rows[-1]["score"] == ""
    (gap,) = [caveat for caveat in report.caveats if caveat.unchecked == "unscored"]
    assert gap.message.startswith("2 pictures of 90: curvature is no finite number")
    assert gap.message in (tmp_path / "report" / "findings.json").read_text("utf-8")
    assert gap.message in (tmp_path / "report" / "index.html").read_text("utf-8")
    for accepted, code in ((("unreadable",), 2), (("unreadable", "unscored"), 1)):  # 1: it holds a conflict
        policy = Policy(accept_incomplete=frozenset(accepted))
        assert curvaudit.check(report, policy=policy).exit_code == code


@pytest.mark.parametrize(("flat", "severity"), [(45, None), (46, "note"), (81, "warning"), (90, "warning")])
def test_a_ranking_that_is_mostly_that_of_the_loss_says_so(flat, severity, tmp_path):
    write_run(tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        file["trainings/0/measures/curvature"][:, :flat] = 0
    report = curvaudit.report(tmp_path / "run.h5", top=10)  # of the 81, one is among them
    found = [caveat for caveat in report.caveats if "have the same curvature (0)" in caveat.message]
    assert [caveat.severity for caveat in found] == ([] if severity is None else [severity])
    assert not any(caveat.unchecked for caveat in found)
    assert all(caveat.message.startswith(f"{flat} of 90") and "--rank-by loss" in caveat.message for caveat in found)
    by_loss = curvaudit.report(tmp_path / "run.h5", rank_by="loss")
    assert not any("have the same" in caveat.message for caveat in by_loss.caveats)


def test_consensus_out_of_a_score_that_is_no_number_leaves_the_check_incomplete(tmp_path):
    write_run(tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        file["trainings/0/measures/loss"][:, 5] = np.nan
    report = curvaudit.report(tmp_path / "run.h5", rank_by="consensus")
    assert report.rank[5] == 1
    (gap,) = [caveat for caveat in report.caveats if caveat.unchecked == "unscored"]
    assert gap.message.startswith("1 picture of 90: consensus is no finite number")


@pytest.mark.parametrize("kind", ["npz", "manifest", "folder"])
def test_labels_all_alike_are_refused(kind, tmp_path):
    draw_folder(tmp_path / "folder", ("only",), each=4)
    np.savez(tmp_path / "npz", images=NOISE[:4], labels=np.zeros(4, int))
    (tmp_path / "manifest").write_text("path,label\n" + "".join(f"folder/only/00{i}.png,only\n" for i in range(4)))
    (tmp_path / "manifest").rename(tmp_path / "manifest.csv")
    source = {"npz": "npz.npz", "manifest": "manifest.csv", "folder": "folder"}[kind]
    with pytest.raises(CurvauditError, match=r"only.*class|class.*only") as raised:
        curvaudit.scan(tmp_path / source, tmp_path / "run.h5", **QUICK)
    assert raised.value.hint and not (tmp_path / "run.h5").exists()


def test_a_hundred_thousand_names_in_one_folder_are_listed(tmp_path):
    (tmp_path / "b").mkdir()
    originals = [tmp_path / "b" / f"{number}.png" for number in range(4)]  # a file takes some ten thousand links
    for original in originals:
        Image.fromarray(NOISE[0]).save(original)
    (tmp_path / "a").mkdir()
    for number in range(100_000):
        os.link(originals[number % 4], tmp_path / "a" / f"{number:06d}.png")
    source = sources.load(str(tmp_path))
    assert len(source.ids) == 100_004 and source.ids[99_999] == "a/099999.png"


def test_a_picture_that_becomes_a_folder_during_a_scan_is_named(image_folder, tmp_path):
    def turn():
        (image_folder / "square" / "004.png").unlink()
        (image_folder / "square" / "004.png").mkdir()

    def on_event(event):
        if isinstance(event, records.PhaseStarted) and event.phase == "loading pixels":
            turn()

    with pytest.raises(CurvauditError, match=r"square/004\.png changed while it was being scanned"):
        curvaudit.scan(image_folder, tmp_path / "run.h5", on_event=on_event, **QUICK)
    assert not (tmp_path / "run.h5").exists()
    # At the next scan it is a folder within a class: its file is gone, and nothing stops.
    assert len(curvaudit.scan(image_folder, tmp_path / "run.h5", **QUICK).samples) == 59


@permissions.needed
def test_a_working_folder_that_may_only_be_read(tmp_path):
    draw_folder(tmp_path / "data", ("a", "b"), each=12)
    write_run(tmp_path / "run.h5")
    tmp_path.chmod(0o555)

    def run(*arguments: str) -> subprocess.CompletedProcess:
        home = {"HOME": "/nonexistent", "XDG_CACHE_HOME": str(tmp_path / "cache")}
        return permissions.run(["-m", "curvaudit", *arguments], tmp_path, **home)

    try:
        for arguments, says in (
            (["scan", "data", "--epochs", "1", "--width", "4"], "cannot be written to"),
            (["report", "run.h5"], "curvaudit-report cannot be written: Permission denied"),
            (["check", "data", "--format", "sarif=out.sarif"], "out.sarif"),
        ):
            done = run(*arguments)
            assert done.returncode == 2 and says in done.stderr and "Traceback" not in done.stderr, done.stderr
        for arguments in (["check", "data"], ["info", "run.h5"], ["duplicates", "data"]):
            done = run(*arguments)
            assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    finally:
        tmp_path.chmod(0o755)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "run.h5"]
