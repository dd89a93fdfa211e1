"""Options of a scan that change what is trained or measured."""

import json
import sys
from fractions import Fraction

import numpy as np
import pytest
from made import draw_folder

import curvaudit
from curvaudit.cli import main
from curvaudit.errors import CurvauditError
from curvaudit.records import EpochDone, Notice

SMALL = {"epochs": 2, "width": 4, "batch_size": 16, "device": "cpu"}
CLASSES = ("circle", "square", "stripe")


@pytest.fixture
def split_folder(tmp_path):
    """train/ and val/ above three classes, other pictures in each."""
    draw_folder(tmp_path / "data" / "train", CLASSES, 10)
    draw_folder(tmp_path / "data" / "val", CLASSES, 5, seed=1)
    return tmp_path / "data"


# --- validation ----------------------------------------------------------------------


def test_validation_is_logged_and_changes_nothing_else(split_folder, tmp_path):
    (split_folder / "val" / "circle" / "broken.png").write_bytes(b"")
    plain = curvaudit.scan(split_folder, tmp_path / "plain.h5", **SMALL)
    run = curvaudit.scan(split_folder, tmp_path / "run.h5", validation="val", curvature_every=2, **SMALL)
    curves = run.trainings[0].curves
    assert np.isfinite(curves.val_loss).all()
    measured = [(number == 1 or number % 2 == 0) and number <= SMALL["epochs"] for number in curves.number]
    assert np.isfinite(curves.val_curvature).tolist() == measured
    assert (curves.val_loss != curves.train_loss).all()
    assert np.isnan(plain.trainings[0].curves.val_loss).all()
    assert len(run.samples) == len(plain.samples) == 30
    np.testing.assert_array_equal(run.measure(0, "loss"), plain.measure(0, "loss"))
    assert [(item.id, item.kind) for item in run.skipped] == [("val: circle/broken.png", "unreadable")]
    page = curvaudit.save(curvaudit.report(run), tmp_path / "report").read_text()
    assert "validation" in page and "val: circle/broken.png" in page


@pytest.mark.parametrize(
    ("folder", "validation", "says"),
    [("data/train", "val", "no splits"), ("data", "test", "no split 'test'"), ("digits", "test", "no split 'test'")],
)
def test_a_validation_split_that_is_not_there_is_named_before_anything_is_read(
    folder, validation, says, split_folder, tmp_path
):
    events = []
    source = folder if folder == "digits" else tmp_path / folder
    with pytest.raises(CurvauditError, match=f"--validation {validation}.*{says}") as error:
        curvaudit.scan(source, tmp_path / "run.h5", validation=validation, on_event=events.append, **SMALL)
    assert "--validation" in error.value.hint
    assert not events and not (tmp_path / "run.h5").exists()


def test_validation_must_be_another_split_with_the_same_classes(split_folder, tmp_path):
    with pytest.raises(CurvauditError, match="is audited"):
        curvaudit.scan(split_folder, tmp_path / "run.h5", validation="train", **SMALL)
    (split_folder / "val" / "circle").rename(split_folder / "val" / "oval")
    with pytest.raises(CurvauditError, match="same classes"):
        curvaudit.scan(split_folder, tmp_path / "run.h5", validation="val", **SMALL)
    assert not list(tmp_path.glob("run.h5*"))


def test_a_changed_validation_split_is_not_resumed(split_folder, tmp_path):
    curvaudit.scan(split_folder, tmp_path / "run.h5", validation="val", **SMALL)
    (split_folder / "val" / "circle" / "000.png").unlink()
    with pytest.raises(CurvauditError, match="validation_fingerprint"):
        curvaudit.scan(split_folder, tmp_path / "run.h5", validation="val", resume=True, **SMALL)


def test_a_source_that_is_named_differently_is_resumed(split_folder, tmp_path, monkeypatch):
    curvaudit.scan(split_folder, tmp_path / "run.h5", **SMALL)
    monkeypatch.chdir(tmp_path)
    run = curvaudit.scan("./data", "run.h5", resume=True, **SMALL)
    assert run.trainings[0].finished


# --- presets and settings ------------------------------------------------------------


@pytest.mark.parametrize(
    ("preset", "every", "augmentation"),
    [("paper-mnist", 1, "none"), ("paper-cifar", 1, "crop-flip"), ("paper-imagenet", 4, "crop-flip")],
)
def test_paper_presets_scan_with_ten_probes(preset, every, augmentation, image_folder, tmp_path):
    run = curvaudit.scan(image_folder, tmp_path / "run.h5", preset=preset, epochs=2, width=4, device="cpu")
    (training,) = run.trainings
    assert training.epochs == 2  # no extension: the paper's schedules end where they end
    assert training.recipe["probes"] == training.measures["curvature"].parameters["n"] == 10
    assert training.recipe["augmentation"] == augmentation and training.recipe["schedule"] == "steps"
    assert training.recipe["curvature_every"] == every
    measured = np.isfinite(run.measure(0, "curvature")).all(axis=1).tolist()
    assert measured == [True, every == 1]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epochs": 2.5}, "epochs 2.5 is not a whole number"),
        ({"epochs": "3"}, "epochs '3'"),
        ({"seed": True}, "seed True"),
        ({"workers": "2"}, "workers '2'"),
        ({"lr": "x"}, "lr 'x' is not a number"),
        ({"weight_decay": "0,1e-4"}, "weight-decay '0,1e-4' is not a number"),
        ({"weight_decay": (0, "x")}, "weight-decay 'x'"),
        ({"weight_decay": None}, "weight-decay None"),
        ({"weight_decay": True}, "weight-decay True"),
        ({"seed": None}, "seed None"),
        ({"repeats": None}, "repeats None"),
        ({"step": None}, "step None is not a number"),
        ({"max_pixels": None}, "max-pixels None"),
        ({"augment": 0}, "augment 0 is neither True nor False"),
        ({"augment": "no"}, "augment 'no'"),
        ({"download": "no"}, "download 'no'"),
        ({"data_dir": 5}, "data-dir cannot be of the type int"),
        ({"split": 3}, "split 3 is no text"),
        ({"preset": ["fast"]}, "preset \\['fast'\\] is no text"),
        ({"seed": 2**63 - 1, "repeats": 2}, "--seed 9223372036854775807 is too large"),
    ],
)
def test_settings_of_another_type_are_told_before_anything_is_read(tmp_path, given, message):
    with pytest.raises(CurvauditError, match=message):
        curvaudit.scan(tmp_path / "nowhere", tmp_path / "run.h5", **given)
    if given.keys() & {"workers", "split", "download", "data_dir", "max_pixels"}:
        with pytest.raises(CurvauditError, match=message):
            curvaudit.inspect(tmp_path / "nowhere", **given)


def test_numbers_and_truth_of_numpy_are_as_good(image_folder, tmp_path):
    given = {
        "epochs": np.int64(1), "augment": np.bool_(False), "weight_decay": np.array([1e-4]), "lr": Fraction(1, 100),
        "step": np.float32(0.5), "seed": np.uint8(3), "download": np.bool_(False),
    }  # fmt: skip
    run = curvaudit.scan(image_folder, tmp_path / "run.h5", width=4, device="cpu", **given)
    (training,) = run.trainings
    assert (run.info.config["epochs"], training.seed, training.weight_decay) == (1, 3, 1e-4)
    assert training.recipe["augmentation"] == "none" and run.info.config["augment"] is False
    assert (run.info.config["lr"], run.info.config["step"]) == (0.01, 0.5)


def test_settings_override_a_preset(image_folder, tmp_path):
    run = curvaudit.scan(
        image_folder,
        tmp_path / "run.h5",
        preset="paper-cifar",
        epochs=3,
        lr=0.02,
        probes=2,
        step=1e-2,
        batch_size=20,
        augment=False,
        curvature_every=3,
        resolution=16,
        width=4,
        device="cpu",
    )
    recipe, parameters = run.trainings[0].recipe, run.trainings[0].measures["curvature"].parameters
    assert (recipe["epochs"], recipe["learning_rate"], recipe["batch_size"]) == (3, 0.02, 20)
    assert (recipe["augmentation"], recipe["curvature_every"]) == ("none", 3)
    assert recipe["milestones"] == [2, 2]  # 150 and 250 of 300, scaled to 3
    assert (parameters["n"], parameters["h"]) == (2, 1e-2)
    assert (run.info.config["resolution"], run.info.config["stem"]) == (16, "3x3")


@pytest.mark.parametrize("given", [["0,1e-4"], ["0", "1e-4"]], ids=["a list", "one by one"])
def test_weight_decays_on_the_command_line_become_trainings(image_folder, tmp_path, monkeypatch, given):
    monkeypatch.chdir(tmp_path)
    decays = [part for one in given for part in ("--weight-decay", one)]
    arguments = [*decays, "--epochs", "1", "--width", "4", "--device", "cpu", "-q"]
    monkeypatch.setattr(sys, "argv", ["curvaudit", "scan", str(image_folder), *arguments])
    with pytest.raises(SystemExit) as leave:
        main()
    assert leave.value.code == 0
    run = curvaudit.open_run("curvaudit.h5")
    assert [training.weight_decay for training in run.trainings] == [0.0, 1e-4]
    header = curvaudit.save(curvaudit.report(run), "report").with_name("ranking.csv").read_text().splitlines()[0]
    assert "curvature@wd=0.0001" in header.split(",")


@pytest.mark.parametrize("asked", [False, True])
def test_download_is_asked_for_only_with_the_option(asked, monkeypatch, tmp_path):
    seen = []

    def remember(source, out, **settings):
        seen.append(settings["download"])
        raise CurvauditError("enough")

    monkeypatch.setattr("curvaudit.scanning.scan", remember)
    monkeypatch.setattr(sys, "argv", ["curvaudit", "scan", "mnist", *(["--download"] if asked else [])])
    with pytest.raises(SystemExit):
        main()
    assert seen == [asked]


# --- memorization --------------------------------------------------------------------


def test_a_conflict_does_not_stand_in_the_way_of_memorization(tmp_path):
    root = tmp_path / "images"
    draw_folder(root, CLASSES, 20)
    (root / "square" / "planted.png").write_bytes((root / "circle" / "003.png").read_bytes())
    done = []
    settings = {**SMALL, "epochs": 12}
    run = curvaudit.scan(
        root, tmp_path / "run.h5", on_event=lambda e: done.append(e) if isinstance(e, EpochDone) else None, **settings
    )
    (training,) = run.trainings
    assert training.memorized and training.finished
    assert training.curves.train_accuracy[-1] == pytest.approx(60 / 61)
    assert done[-1].memorized_share == 1
    report = curvaudit.report(run)
    assert not [finding for finding in report.findings if finding.rule.id == "CA203"]
    assert report.memorized_share[-1] == 1


def test_what_cannot_be_learned_ends_in_ca203_and_a_plain_sentence(image_folder, tmp_path):
    events = []
    run = curvaudit.scan(
        image_folder,
        tmp_path / "run.h5",
        lr=1e-9,
        on_event=events.append,
        **SMALL,
    )
    (training,) = run.trainings
    assert training.finished and not training.memorized
    assert training.epochs == 2 * SMALL["epochs"]  # extended within its bound
    ends = [event.seconds_left > 0 for event in events if isinstance(event, EpochDone)]
    assert ends == [True] * (training.epochs - 1) + [False]  # time is left until the bound, and then none
    messages = [event.message for event in events if isinstance(event, Notice)]
    wrong = int((run.last(0, "correct") == 0).sum())
    assert wrong and any(f"{wrong} of 60 pictures are still classified wrongly" in text for text in messages)
    report = curvaudit.report(run)
    assert len([finding for finding in report.findings if finding.rule.id == "CA203"]) == wrong
    assert any("before everything was memorized" in caveat.message for caveat in report.caveats)


def test_an_interrupted_run_reports_what_it_has(image_folder, tmp_path):
    def stop(event):
        if isinstance(event, EpochDone):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        curvaudit.scan(image_folder, tmp_path / "run.h5", on_event=stop, **SMALL)
    report = curvaudit.report(tmp_path / "run.h5")
    assert any("interrupted after 1 finished epoch" in caveat.message for caveat in report.caveats)
    assert not [finding for finding in report.findings if finding.rule.id == "CA203"]
    curvaudit.save(report, tmp_path / "report")
    summary = json.loads((tmp_path / "report" / "findings.json").read_text())["summary"]
    assert summary["finished"] is False and summary["epochs"] == 1


def test_large_sets_keep_the_pictures_that_a_report_needs(image_folder, tmp_path, monkeypatch):
    from curvaudit import inventory
    from curvaudit.derived import ranking
    from curvaudit.engine import gallery

    (image_folder / "square" / "planted.png").write_bytes((image_folder / "circle" / "003.png").read_bytes())
    monkeypatch.setattr(inventory, "THUMBNAIL_BUDGET", 2000)
    monkeypatch.setattr(gallery, "TOP", 5)
    monkeypatch.setattr(gallery, "EXTREMES", 2)
    monkeypatch.setattr(ranking, "_SPREAD", 5)
    run = curvaudit.scan(image_folder, tmp_path / "run.h5", **SMALL)
    kept = set(run.thumbnail_rows().tolist())
    assert 10 < len(kept) < len(run.samples)
    report = curvaudit.report(run, top=5)
    assert set(report.order[:5].tolist()) <= kept
    (conflict,) = (finding for finding in report.findings if finding.rule.id == "CA101")
    assert {sample.index for sample in conflict.samples} <= kept


def test_pixels_that_do_not_fit_into_memory_give_the_same_scores(image_folder, tmp_path, monkeypatch):
    from curvaudit.pictures import pixels

    usual = curvaudit.scan(image_folder, tmp_path / "usual.h5", **SMALL)
    monkeypatch.setattr(pixels, "free_memory", lambda: 0)
    mapped = curvaudit.scan(image_folder, tmp_path / "odd[1]*.h5", **SMALL)
    for name in ("loss", "curvature"):
        np.testing.assert_array_equal(mapped.measure(0, name), usual.measure(0, name))
    assert {path.name for path in tmp_path.iterdir()} == {"images", "usual.h5", "odd[1]*.h5"}
