"""Planted label errors: in a copy, in equal shares, and measured rightly."""

import csv
import json
import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest

import curvaudit
from curvaudit import clock, extras, sources
from curvaudit.calibration import confident, detection
from curvaudit.calibration.planting import plant
from curvaudit.calibration.result import Distribution, spread
from curvaudit.calibration.trial import _Stopwatch
from curvaudit.cli import main
from curvaudit.errors import CurvauditError
from curvaudit.exports import calibrations
from curvaudit.exports.calibrations import page, text, wording
from curvaudit.exports.page_content import svg
from curvaudit.records import EpochDone, PhaseStarted

SMALL = {"epochs": 3, "width": 4, "batch_size": 16, "device": "cpu", "workers": 1}
SCORES = {"curvature", "gradient", "loss", "margin", "el2n", "correct", "late-curvature", "consensus"}


# --- planting ------------------------------------------------------------------------


def test_each_class_loses_the_same_share_to_the_others():
    labels = np.repeat(np.arange(4, dtype=np.int32), (100, 200, 50, 400))
    before = labels.copy()
    planted = plant(labels, 0.04, seed=3)
    np.testing.assert_array_equal(labels, before)
    np.testing.assert_array_equal(planted.wrong, planted.labels != labels)
    assert np.bincount(labels[planted.wrong]).tolist() == [4, 8, 2, 16]
    assert set(planted.labels.tolist()) == {0, 1, 2, 3} and planted.labels.dtype == np.int32


def test_shares_that_are_no_whole_number_add_up():
    labels = np.repeat(np.arange(20), 30)  # 1 % of a class is 0.3 of a sample
    counts = np.bincount(labels[plant(labels, 0.01, seed=0).wrong], minlength=20)
    assert counts.sum() == 6 and counts.max() == 1
    assert np.bincount(labels[plant(labels, 0.29, seed=0).wrong], minlength=20).sum() == 174
    labels = np.zeros(100, int)
    labels[::2] = 1
    assert plant(labels, 0.58, seed=0).wrong.sum() == 58  # 0.58 * 50 is 28.999999999999996


def test_every_other_class_gets_its_share_and_none_else():
    labels = np.repeat([2, 5, 9], 3000)  # classes in between have no samples
    planted = plant(labels, 0.3, seed=1)
    for own in (2, 5, 9):
        goals, counts = np.unique(planted.labels[planted.wrong & (labels == own)], return_counts=True)
        assert goals.tolist() == sorted({2, 5, 9} - {own})
        assert counts.sum() == 900 and abs(counts[0] - 450) < 75


def test_no_class_vanishes():
    labels = np.array([0] * 50 + [1] * 50 + [2])
    for seed in range(20):
        planted = plant(labels, 0.5, seed)
        assert planted.labels[100] == 2 and not planted.wrong[100]
        assert {0, 1, 2} == set(planted.labels[~planted.wrong].tolist())
    assert not plant(np.array([0, 1, 2]), 0.5, 0).wrong.any()
    assert not plant(np.zeros(10, int), 0.5, 0).wrong.any()


def test_the_seed_decides():
    labels = np.repeat(np.arange(5), 40)
    np.testing.assert_array_equal(plant(labels, 0.1, 7).labels, plant(labels, 0.1, 7).labels)
    assert (plant(labels, 0.1, 7).labels != plant(labels, 0.1, 8).labels).any()


# --- metrics -------------------------------------------------------------------------


def test_quality_of_known_rankings():
    wrong = np.array([True, False, True, False, False])
    perfect = detection.quality(wrong, np.array([9.0, 1, 8, 2, 3]), top=4)
    assert (perfect.auroc, perfect.average_precision, perfect.precision_at_planted) == (1, 1, 1)
    assert perfect.recall_at_planted == 1 and perfect.precision_at_top == 0.5
    # Order of suspicion: right, wrong, right, wrong, right. Of 6 pairs 3 stand the right way round.
    mixed = detection.quality(wrong, np.array([4.0, 5, 2, 3, 1]), top=1)
    assert mixed.auroc == pytest.approx(0.5)
    assert mixed.average_precision == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert mixed.precision_at_planted == 0.5 and mixed.precision_at_top == 0
    chance = detection.quality(wrong, np.zeros(5), top=5)
    assert chance.auroc == 0.5 and chance.average_precision == pytest.approx(0.4)


def test_unmeasured_counts_as_least_suspicious_and_infinite_as_most():
    wrong = np.array([True, False, False, True])
    assert detection.quality(wrong, np.array([np.inf, 1.0, np.nan, 2.0]), top=2).auroc == 1
    assert detection.quality(wrong, np.array([np.nan, 1.0, 2.0, np.nan]), top=2).auroc == 0


def test_flags_are_shares_of_what_they_say():
    wrong = np.array([True, True, True, False, False])
    true = np.array([0, 1, 2, 0, 1])
    found = detection.flags(wrong, true, np.array([1, 1, 0, 1, 0], bool), np.array([0, 2, -1, 1, -1]))
    assert (found.flagged, found.precision, found.recall, found.suggestion_right) == (
        3,
        pytest.approx(2 / 3),
        pytest.approx(2 / 3),
        0.5,
    )
    none = detection.flags(wrong, true, np.zeros(5, bool), np.full(5, -1))
    assert none.flagged == 0 and np.isnan(none.precision) and none.recall == 0 and np.isnan(none.suggestion_right)


def test_spread_over_repeats():
    assert spread([1.0, 3.0, float("nan")]).mean == 2
    assert spread([1.0, 3.0]).deviation == pytest.approx(2**0.5)
    assert spread([float("nan")]).count == 0 and np.isnan(spread([4.0]).deviation)


def test_confident_learning_scores_every_sample():
    pytest.importorskip("cleanlab")
    chance = np.random.default_rng(0)
    true = np.repeat([0, 1, 3], 60)  # class 2 has no sample
    probabilities = chance.random((180, 4)) * 0.3
    probabilities[np.arange(180), true] += 1
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    planted = plant(true, 0.1, 0)
    judged = confident.judge(planted.labels, probabilities)
    assert detection.quality(planted.wrong, judged.suspicion, 10).auroc == 1
    assert len(np.unique(judged.suspicion)) > 170
    np.testing.assert_array_equal(judged.suggested, true)
    assert judged.flagged[planted.wrong].mean() > 0.5 and not judged.flagged[~planted.wrong].any()


# --- from end to end -----------------------------------------------------------------


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory):
    pytest.importorskip("cleanlab")
    out = tmp_path_factory.mktemp("calibration") / "out"
    source = few_digits()
    before = source.labels.copy()
    result = curvaudit.calibrate(source, out, rates=(0.1, 0.05), repeats=2, folds=2, baselines=True, seed=5, **SMALL)
    np.testing.assert_array_equal(source.labels, before)
    return result, out


def few_digits(count: int = 200):
    digits = sources.load("digits")
    digits.ids, digits.labels, digits.pixels = digits.ids[:count], digits.labels[:count], digits.pixels[:count]
    return digits


def test_every_method_is_measured_in_every_trial(calibrated):
    result, out = calibrated
    assert result.finished and result.rates == (0.05, 0.1) and result.samples == 200 and result.top == 100
    assert [(trial.rate, trial.seed) for trial in result.trials] == [(0.05, 5), (0.1, 5), (0.05, 6), (0.1, 6)]
    assert {method.name for method in result.methods} == {*SCORES, "inconfidence", "confident-learning"}
    for trial in result.trials:
        assert trial.planted == round(200 * trial.rate) and (out / trial.run).exists()
        assert set(trial.qualities) == {method.name for method in result.methods} == set(trial.costs)
        for quality in trial.qualities.values():
            assert 0 <= quality.auroc <= 1 and 0 < quality.average_precision <= 1
            assert 0 <= quality.precision_at_planted == quality.recall_at_planted <= 1
            assert quality.precision_at_top <= trial.planted / 100
        assert set(trial.flags) == {"CA201", "confident-learning"}
        assert trial.costs["loss"] > 1 and trial.costs["inconfidence"] == 1 and trial.costs["confident-learning"] > 0


def test_scores_that_were_learned_find_planted_errors(calibrated):
    result, _ = calibrated
    assert result.quality("loss", 0.1, "auroc").mean > 0.7  # chance: 0.5
    assert result.quality("inconfidence", 0.1, "auroc").mean > 0.6
    assert result.quality("loss", 0.1, "auroc").count == 2
    assert result.best in SCORES


def test_the_run_files_hold_the_planted_labels(calibrated):
    result, out = calibrated
    true = few_digits().labels
    for trial in result.trials:
        run = curvaudit.open_run(out / trial.run)
        np.testing.assert_array_equal(run.samples.labels, plant(true, trial.rate, trial.seed).labels)
        assert run.trainings[0].seed == trial.seed


def test_histograms_mark_what_was_planted(calibrated):
    result, _ = calibrated
    assert {(one.rate, one.seed) for one in result.distributions} == {(0.05, 5), (0.1, 5)}
    for one in result.distributions:
        assert len(one.values) == 200 and one.planted.sum() == round(200 * one.rate)
    values = np.arange(10.0)
    drawing = svg.histogram("title", "x", values, part=values >= 7)
    assert drawing.count('class="bar"') == 10 and drawing.count('class="bar part"') == 3
    assert 'class="bar part"' not in svg.histogram("title", "x", values)


def test_pictures_at_zero_do_not_press_the_others_into_one_bar():
    """`fast` logs curvature 0 where the loss is next to nothing: most pictures of an easy set."""
    values = np.concatenate([np.zeros(900), np.geomspace(1e-9, 1.0, 2100)])
    planted = np.zeros(3000, bool)
    planted[[0, 2999]] = True
    figure = page.figure(Distribution(0.01, 0, "curvature", "(nat/pixel)^2", values, planted))
    counts = [int(count) for count in re.search('data-counts="([^"]*)"', str(figure.drawing))[1].split()]
    assert sum(counts) == 2100 and max(counts) < 100
    assert figure.caption.endswith("not drawn: 900 pictures at 0, 1 of them planted")


def test_the_folder_says_the_same_in_three_formats(calibrated):
    result, out = calibrated
    document = json.loads((out / "calibration.json").read_text())
    assert document["schema"] == "curvaudit-calibration/1" and document["finished"] is True
    assert document["best"] == result.best and len(document["trials"]) == 4
    loss = next(row for row in document["summary"] if row["method"] == "loss" and row["rate"] == 0.1)
    assert loss["auroc"]["mean"] == pytest.approx(result.quality("loss", 0.1, "auroc").mean)
    rows = list(csv.DictReader((out / "calibration.csv").open()))
    assert len(rows) == 4 * (len(result.methods) + 1)  # CA201 has a row, too
    mine = [float(row["auroc"]) for row in rows if row["method"] == "loss" and row["rate"] == "0.1"]
    assert np.mean(mine) == pytest.approx(loss["auroc"]["mean"], abs=1e-5)
    page = unescape((out / "index.html").read_text())
    assert "default-src 'none'" in page and "<script" not in page and "http://" not in page and "https://" not in page
    assert page.count('<svg class="chart"') >= 2 and 'class="bar part"' in page
    assert {path.name for path in out.iterdir()} == {*calibrations.FILES, "runs"}
    assert all(path.suffix in (".h5", ".lock", ".json") for path in (out / "runs").iterdir())


def test_people_are_told_what_to_expect_and_what_limits_it(calibrated):
    result, _ = calibrated
    said = text.render(result).decode()
    expected = round(100 * result.quality("curvature", 0.1, "precision_at_top").mean)
    assert f"about {expected} real label errors of this kind where 10 % of the labels are wrong (20 here)" in said
    assert "Of the top 100 by curvature" in said and f"Of the top 100 by {result.best}" in said
    assert "already has count as false alarms" in said and " ± " in said
    assert all(sentence in said for sentence in wording.sentences(result))


def test_names_cannot_break_the_page(calibrated):
    from dataclasses import replace

    hostile = replace(calibrated[0], source="<script>alert(1)</script>\x1b[31m")
    assert b"<script>alert" not in calibrations.render_all(hostile)["index.html"]
    assert b"\x1b" not in text.render(hostile)


def test_a_folder_is_left_as_it_was(image_folder, tmp_path):
    (image_folder / "circle" / "broken.png").write_bytes(b"\x89PNG broken")
    before = {path: path.read_bytes() for path in image_folder.rglob("*.png")}
    events = []
    result = curvaudit.calibrate(
        image_folder, tmp_path / "out", rates=(0.1,), baselines=False, on_event=events.append, **SMALL
    )
    assert {path: path.read_bytes() for path in image_folder.rglob("*.png")} == before
    assert result.samples == 60 and result.trials[0].planted == 6 and result.folds is None
    assert any("1 files could not be read" in caveat for caveat in result.caveats)
    assert "confident-learning" not in result.trials[0].qualities
    assert any("Confident Learning was left out" in caveat for caveat in result.caveats)


def test_finished_trials_survive_an_interrupt(tmp_path):
    out = tmp_path / "out"

    def stop(event):
        if isinstance(event, curvaudit.records.Notice) and event.message.startswith("trial 2/"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        curvaudit.calibrate(few_digits(), out, rates=(0.05, 0.1), baselines=False, on_event=stop, **SMALL)
    document = json.loads((out / "calibration.json").read_text())
    assert document["finished"] is False and [trial["rate"] for trial in document["trials"]] == [0.05]
    with pytest.raises(CurvauditError, match="earlier calibration"):
        curvaudit.calibrate(few_digits(), out, rates=(0.2,), **SMALL)


class Clock:
    """Time that goes on by one second whenever it is asked."""

    def __init__(self):
        self.now = 0

    def __call__(self):
        self.now += 1
        return float(self.now)


def figures(result):
    """What must not depend on how often it was interrupted."""
    return [
        (trial.rate, trial.seed, trial.planted, trial.epochs, trial.memorized, trial.qualities, str(trial.flags))
        for trial in result.trials
    ]


@pytest.mark.parametrize("after", ["trial 2/", "measuring epoch 2"])
def test_what_was_interrupted_goes_on(tmp_path, after, monkeypatch):
    monkeypatch.setattr(curvaudit.clock, "seconds", Clock())
    given = {"rates": (0.05, 0.1), "baselines": False, **SMALL}
    whole = curvaudit.calibrate(few_digits(), tmp_path / "whole", **given)

    def stop(event):
        if getattr(event, "message", getattr(event, "phase", "")).startswith(after):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        curvaudit.calibrate(few_digits(), tmp_path / "cut", on_event=stop, **given)
    resumed = curvaudit.calibrate(few_digits(), tmp_path / "cut", resume=True, **given)
    assert figures(resumed) == figures(whole) and resumed.methods == whole.methods
    assert [one.score for one in resumed.distributions] == [one.score for one in whole.distributions]
    assert all(trial.costs["loss"] > 1 for trial in resumed.trials)
    page = (tmp_path / "cut" / "index.html").read_text()
    assert page.count('class="bar part"') == (tmp_path / "whole" / "index.html").read_text().count('class="bar part"')


def test_more_can_be_asked_for_later(tmp_path):
    """Finished trials are read, not run: a third training would show as an epoch."""
    out = tmp_path / "out"
    first = curvaudit.calibrate(few_digits(), out, rates=(0.1,), baselines=False, **SMALL)
    events = []
    more = curvaudit.calibrate(
        few_digits(), out, rates=(0.1,), repeats=2, baselines=False, resume=True, on_event=events.append, **SMALL
    )
    assert figures(more)[:1] == figures(first) and more.trials[0].costs == first.trials[0].costs
    assert [trial.seed for trial in more.trials] == [0, 1]
    trained = [event for event in events if isinstance(event, curvaudit.records.EpochDone)]
    assert len(trained) == more.trials[1].epochs
    assert any("done already" in getattr(event, "message", "") for event in events)


def test_only_the_same_is_resumed(tmp_path):
    out = tmp_path / "out"
    given = {"rates": (0.1,), "baselines": False, **SMALL}
    curvaudit.calibrate(few_digits(), out, **given)
    with pytest.raises(CurvauditError, match="run with width 4, now it is 8"):
        curvaudit.calibrate(few_digits(), out, resume=True, **{**given, "width": "8"})
    with pytest.raises(CurvauditError, match="other pictures"):
        curvaudit.calibrate(few_digits(150), out, resume=True, **given)
    with pytest.raises(CurvauditError, match="other planted errors"):
        curvaudit.calibrate(few_digits(), out, resume=True, noise="pairs", **given)
    with pytest.raises(CurvauditError, match="exclude each other"):
        curvaudit.calibrate(few_digits(), out, resume=True, overwrite=True, **given)
    kept = next((out / "runs").glob("*.json"))
    for content, says in ((b"{", "cannot be read"), (b"[]", "no trial"), (b'{"schema": "x"}', "no trial")):
        kept.write_bytes(content)
        with pytest.raises(CurvauditError, match=says) as raised:
            curvaudit.calibrate(few_digits(), out, resume=True, **given)
        assert kept.name in raised.value.message and "Delete" in raised.value.hint
    kept.unlink()  # judged again from its run file, without a training
    assert curvaudit.calibrate(few_digits(), out, resume=True, **given).finished
    assert curvaudit.calibrate(few_digits(), out, overwrite=True, **given).trials[0].costs["loss"] > 1


def test_without_cleanlab(tmp_path, monkeypatch):
    def missing(module, extra, purpose):
        raise CurvauditError(f"{purpose} needs {module}.", f"pip install 'curvaudit[{extra}]'")

    assert extras.need("json", "x", "y") is json
    monkeypatch.setattr(confident, "need", missing)
    with pytest.raises(CurvauditError, match=r"curvaudit\[cleanlab\]"):
        curvaudit.calibrate(few_digits(), tmp_path / "a", rates=(0.1,), baselines=True, **SMALL)
    events = []
    result = curvaudit.calibrate(few_digits(), tmp_path / "b", rates=(0.1,), on_event=events.append, **SMALL)
    assert result.folds is None
    warned = [event.message for event in events if getattr(event, "severity", "") == "warning"]
    assert any("curvaudit[cleanlab]" in message for message in warned)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"rates": ()}, "--rates"),
        ({"rates": (0.0, 0.1)}, "--rates"),
        ({"rates": (float("nan"),)}, "--rates"),
        ({"rates": (0.6,)}, "--rates"),
        ({"rates": (0.1, 0.1)}, "twice"),
        ({"rates": (0.0001,)}, "plants no error"),
        ({"repeats": 0}, "--repeats"),
        ({"repeats": 2, "seed": 2**63 - 1}, "--seed 9223372036854775807 is too large"),
        ({"folds": 1}, "--folds"),
        ({"folds": 2.5}, "--folds 2.5 is not a whole number"),
        ({"repeats": "2"}, "--repeats '2' is not a whole number"),
        ({"rates": "0.1"}, "--rates '0.1' is not a number"),
        ({"rates": ["0.1"]}, "--rates '0.1' is not a number"),
        ({"rates": None}, "--rates None is not one number or several"),
        ({"baselines": "no"}, "baselines 'no' is neither"),
        ({"resume": 1}, "resume 1 is neither"),
        ({"weight_decay": (0.0, 1e-4)}, "one --weight-decay"),
        ({"validation": "test"}, "validation"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_cannot_mean_anything_is_refused(given, says, tmp_path):
    with pytest.raises(CurvauditError, match=says):
        curvaudit.calibrate(few_digits(), tmp_path / "out", **{"baselines": False, **given})


@pytest.mark.parametrize("rates", [0.1, np.float64(0.1), np.array([0.1]), [np.float32(0.1)], iter([0.1])])
def test_rates_are_one_number_or_several_in_whatever_holds_them(rates, tmp_path):
    given = {**SMALL, "weight_decay": iter([np.float64(0)]), "seed": np.int64(0)}
    made = curvaudit.calibrate(
        few_digits(40), tmp_path / "out", rates=rates, repeats=np.int64(1), baselines=False, **given
    )
    assert made.rates == pytest.approx((0.1,)) and len(made.trials) == 1


def test_more_folds_than_pictures_of_a_class(tmp_path):
    pytest.importorskip("cleanlab")
    with pytest.raises(CurvauditError, match="--folds 90"):
        curvaudit.calibrate(few_digits(), tmp_path / "out", rates=(0.1,), folds=90, baselines=True, **SMALL)
    assert not list((tmp_path / "out" / "runs").iterdir())  # said before anything is trained


def test_the_command(image_folder: Path, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    command = ["curvaudit", "calibrate", str(image_folder), "--rates", "10", "--no-baselines", "-o", str(out)]
    command += ["--epochs", "2", "--width", "4", "--batch-size", "16", "--device", "cpu", "-q"]
    monkeypatch.setattr("sys.argv", [*command, "--format", "json"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 0
    assert json.loads(capsys.readouterr().out) == json.loads((out / "calibration.json").read_text())
    for arguments, code, says in (
        (command, 2, "earlier calibration"),
        ([*command, "--overwrite"], 0, "Of the top 60 by curvature"),
        ([*command[:4], "ten", *command[5:]], 2, "--rates 'ten'"),
    ):
        monkeypatch.setattr("sys.argv", arguments)
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        assert left.value.code == code and says in said.out + said.err


def test_an_opened_source_is_a_source():
    digits = few_digits()
    assert sources.load(digits) is digits
    with pytest.raises(CurvauditError, match="cannot be chosen after"):
        sources.load(digits, sources.SourceOptions(split="test"))


def test_an_epoch_whose_training_was_not_watched_does_not_count(monkeypatch):
    """Of a scan that was killed while it measured: it goes on with the measuring."""
    monkeypatch.setattr(clock, "seconds", iter([0.0, 10.0, 15.0, 20.0]).__next__)
    watch = _Stopwatch(lambda event: None)
    done = EpochDone(0, 1, 0.0, 1, 2, 1.0, 0.5, 0.5, 1.0, 9.0, 9.0)
    for event in ("measuring", done, "training", "measuring", done):
        watch(PhaseStarted("", 1, "pictures", event) if isinstance(event, str) else event)
    assert (watch.epochs, watch.training) == (1, 5.0)


def test_percent_given_in_python_is_told_to_be_shares(tmp_path):
    with pytest.raises(CurvauditError, match="up to 50 percent") as refused:
        curvaudit.calibrate("digits", tmp_path / "out", rates=(2, 10))
    assert "rates=(0.02, 0.1)" in refused.value.hint
    with pytest.raises(CurvauditError, match="up to 50 percent") as refused:
        curvaudit.reproduce("sensitivity", tmp_path / "made", rates=2)
    assert "rates=(0.02, 0.1)" in refused.value.hint
