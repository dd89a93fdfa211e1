"""Several seeds in one run: error bars on ranks."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from made import write_run

import curvaudit
from curvaudit import exports, ordering, records, store
from curvaudit.cli import display
from curvaudit.derived import caveats, ranking
from curvaudit.errors import CurvauditError
from curvaudit.records import EpochRow

SMALL = {"epochs": 2, "width": 4, "batch_size": 16, "device": "cpu", "workers": 1}


@pytest.fixture
def run(image_folder, tmp_path):
    return curvaudit.scan(image_folder, tmp_path / "run.h5", repeats=2, weight_decay=(0, 0.1), seed=3, **SMALL)


def test_each_repeat_is_the_scan_of_its_own_seed(run, image_folder, tmp_path):
    assert [(t.weight_decay, t.seed) for t in run.trainings] == [(0, 3), (0, 4), (0.1, 3), (0.1, 4)]
    alone = curvaudit.scan(image_folder, tmp_path / "alone.h5", seed=4, **SMALL)
    for name in alone.trainings[0].measures:
        np.testing.assert_array_equal(alone.measure(0, name), run.measure(1, name), err_msg=name)


def test_closing_lines_tell_the_trainings_of_one_weight_decay_apart(run, capsys):
    display.Display(quiet=False).finish_scan(run)
    heads = [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()[:4]]
    assert heads == [f"weight decay {decay}, seed {seed}" for decay in ("0", "0.1") for seed in (3, 4)]


def test_the_report_ranks_by_the_mean_and_says_how_far_seeds_agree(run):
    report = curvaudit.report(run, top=6)
    one, two = (ranking.reduced(run, index)["curvature"] for index in (0, 1))
    np.testing.assert_allclose(report.scores["curvature"], (one + two) / 2)
    stable = report.stability
    ranks = [ordering.ranks(ordering.order(values)) for values in (one, two)]
    assert stable.seeds == (3, 4) and stable.top == 6
    assert stable.spearman == pytest.approx(1 - 6 * ((ranks[0] - ranks[1]) ** 2).sum() / (60 * (60**2 - 1)))
    assert stable.overlap == len({*np.argsort(-one)[:6]} & {*np.argsort(-two)[:6]}) / 6
    np.testing.assert_array_equal(stable.best, np.minimum(*ranks))
    np.testing.assert_array_equal(stable.worst, np.maximum(*ranks))
    assert any("Spearman" in caveat.message for caveat in report.caveats)
    assert "curvature@wd=0.1" in report.scores
    files = exports.render_all(report)
    rows = list(csv.DictReader(io.StringIO(files["ranking.csv"].decode())))
    assert [int(row["rank_best"]) for row in rows] == stable.best[report.order].tolist()
    document = json.loads(files["findings.json"])
    assert document["summary"]["stability"]["seeds"] == [3, 4]
    named = [finding for finding in document["findings"] if finding["samples"][0]["index"] is not None]
    for finding in named:
        for sample, (best, worst) in zip(finding["samples"], finding["evidence"]["rank_range"], strict=True):
            assert (best, worst) == (stable.best[sample["index"]], stable.worst[sample["index"]])
    assert named


def test_one_training_can_still_rank_alone(run):
    report = curvaudit.report(run, training=1)
    assert report.stability is None
    np.testing.assert_array_equal(report.scores["loss"], ranking.reduced(run, 1)["loss"])
    assert "loss@seed=3" in report.scores
    assert b"rank_best" not in exports.render_all(report)["ranking.csv"]


def test_more_than_half_of_the_seeds_decide_what_is_memorized_and_which_label_is_better(tmp_path):
    path = tmp_path / "run.h5"
    write_run(path, epochs=0)
    measures = curvaudit.open_run(path).trainings[0].measures
    labels = np.arange(90) % 3
    seen = {10: (2, 2, 0), 11: (0, 1, 1), 12: (1, 2, 0), 13: (1, 1, 0)}  # by seed, in all but the last epoch
    wrong = {20: (True, False, False), 21: (True, True, False), 22: (False, True, True)}  # by seed, to the end

    def add(seed):
        if seed:
            store.add_training(path, seed, 0.0, seed, {}, measures)
        for number in (1, 2, 3):
            prediction = labels.copy()
            for row, classes in seen.items():
                prediction[row] = labels[row] if number == 3 else classes[seed]
            for row, failed in wrong.items():
                prediction[row] = (labels[row] + failed[seed]) % 3
            right = prediction == labels
            values = {"prediction": prediction, "correct": right, "margin": np.where(right, 4, -9), "curvature": labels}
            values = {name: one.astype(np.float32) for name, one in values.items()}
            store.append_epoch(path, seed, EpochRow(number, 1.0, right.mean(), np.nan, np.nan, 0.1, 1.0, values))
        store.finish_training(path, seed, True)

    said, pages = [], []

    def told():
        report = curvaudit.report(path, thumbnails=False)
        named = [one for one in report.findings if one.rule.id == "CA203"]
        unlearned = {one.samples[0].index for one in named}
        said.append((named[0].message, *(caveat.message for caveat in report.caveats)))
        pages.append(exports.render_all(report))
        rows = np.flatnonzero(report.suggested >= 0)
        return unlearned, dict(zip(rows.tolist(), report.suggested[rows].tolist(), strict=True))

    add(0)
    add(1)
    assert told() == ({20, 21, 22}, {10: 2, 21: 1})  # one of two is no more than half
    add(2)
    assert told() == ({21, 22}, {10: 2, 11: 1, 21: 1, 22: 2})
    # The page counts as the rule does, though the training whose curves it shows has 22 right, and says so.
    assert said[1][0].endswith("by at least half of 3 trainings.")
    assert " are still classified wrongly by at least half of 3 trainings (CA203)" in "".join(said[1])
    page = pages[1]["index.html"].decode()
    assert "no: 97.7 % of what can be memorized is classified as labelled by more than half of 3 trainings;" in page
    assert page.count("Of the training with seed 0, one of 3.") == page.count("over epochs</b>") > 0
    assert '"seed":0,' in page


def test_what_one_seed_did_not_memorize_is_memorized_if_the_others_did(tmp_path):
    path = tmp_path / "run.h5"
    write_run(path, epochs=0)
    measures = curvaudit.open_run(path).trainings[0].measures
    right = np.ones(90, np.float32)
    wrong = np.where(np.arange(90) == 20, 0, right).astype(np.float32)

    def add(seed, correct):
        if seed:
            store.add_training(path, seed, 0.0, seed, {}, measures)
        values = {"correct": correct, "curvature": right}
        store.append_epoch(path, seed, EpochRow(1, 1.0, 1.0, np.nan, np.nan, 0.1, 1.0, values))
        store.finish_training(path, seed, bool(correct.all()))
        files = exports.render_all(curvaudit.report(path, thumbnails=False))
        return json.loads(files["findings.json"])["summary"]["memorized"], files["index.html"].decode()

    memorized, page = add(0, wrong)
    assert memorized is False and "no: 98.8 % of what can be memorized" in page and '"seed":null,' in page
    assert add(1, right)[0] is False
    memorized, page = add(2, right)
    assert memorized is True and "CA203</a> names the rest" not in page
    assert "yes: every picture that can be memorized is classified as labelled by more than half of 3 trainings" in page
    assert "learned every picture by heart" in page
    unknown = curvaudit.report(path, thumbnails=False)
    unknown = replace(unknown, stability=replace(unknown.stability, memorized=float("nan")))
    files = exports.render_all(unknown)
    assert json.loads(files["findings.json"])["summary"]["memorized"] is None
    assert b"<dt>Memorized</dt><dd>not known: the run file is damaged</dd>" in files["index.html"]


@pytest.mark.parametrize(
    ("spearman", "overlap", "severity"), [(0.9, 0.8, "note"), (0.2, 0.8, "warning"), (0.9, 0.1, "warning")]
)
def test_seeds_that_disagree_strongly_are_a_warning(run, spearman, overlap, severity):
    stable = records.Stability((1, 2), spearman, 10, overlap, np.ones(3), np.ones(3))
    caveat = caveats.of_seeds(stable, len(run.samples))
    assert caveat.severity == severity
    assert f"{spearman:.2f}" in caveat.message and f"{overlap:.0%}" in caveat.message


def test_a_repeat_that_is_not_finished_does_not_rank(image_folder, tmp_path):
    def stop(event):
        if isinstance(event, records.EpochDone) and event.training == 1:
            raise KeyboardInterrupt

    out = tmp_path / "run.h5"
    with pytest.raises(KeyboardInterrupt):
        curvaudit.scan(image_folder, out, repeats=2, on_event=stop, **SMALL)
    report = curvaudit.report(out)
    assert report.stability is None
    (gap,) = curvaudit.check(report).gaps
    assert gap.kind == "unfinished" and "of 2 trainings 1 is finished" in gap.message and "--resume" in gap.message
    assert curvaudit.check(curvaudit.report(out, training=0)).complete  # asked for alone
    assert "CA203" not in curvaudit.check(report).unchecked_rules
    np.testing.assert_array_equal(report.scores["loss"], ranking.reduced(curvaudit.open_run(out), 0)["loss"])
    with pytest.raises(CurvauditError, match="repeats was 2 and is now 3"):
        curvaudit.scan(image_folder, out, repeats=3, resume=True, **SMALL)
    finished = curvaudit.scan(image_folder, out, repeats=2, resume=True, **SMALL)
    assert curvaudit.report(finished).stability.seeds == (0, 1)


def test_trainings_that_were_not_begun_are_missing(run):
    config = {"weight_decay": [0.0, 0.1], "repeats": 3}
    one = replace(run, info=replace(run.info, config=config), trainings=run.trainings[:1])
    assert one.trainings[0].finished and one.missing == 5
