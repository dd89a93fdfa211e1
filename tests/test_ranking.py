"""From logged values to ranks, suggested labels and what counts as memorized."""

import tracemalloc

import h5py
import numpy as np
import pytest
from made import write_run

import curvaudit
from curvaudit import ordering, store
from curvaudit.derived import ranking, suggestion
from curvaudit.derived.memorization import memorizable
from curvaudit.engine import gallery
from curvaudit.engine.settings import ScanSettings, with_overrides
from curvaudit.errors import CurvauditError
from curvaudit.records import EpochRow, RunInfo, Samples, Thumbnails
from curvaudit.scores import build
from curvaudit.scores.consensus import consensus, percentile
from curvaudit.training.presets import named

NAN = float("nan")


def samples(labels, contents=None, classes=("a", "b", "c")) -> Samples:
    count = len(labels)
    contents = range(count) if contents is None else contents
    return Samples(
        ids=tuple(f"{row}.png" for row in range(count)),
        labels=np.array(labels, np.int32),
        classes=classes,
        content_hash=np.array(contents, np.uint64),
        phash=np.arange(count, dtype=np.uint64) * np.uint64(0x9E37_79B9_7F4A_7C15),
        width=np.full(count, 20, np.uint16),
        height=np.full(count, 20, np.uint16),
        contrast=np.full(count, 0.2, np.float32),
    )


def a_run(path, what: Samples, recipe=None, **measures) -> store.Run:
    """A run file with one training whose measures (E, N) are as given."""
    info = RunInfo("here", "00", {}, {}, "test", "2026-01-01T00:00:00Z")
    store.create(path, info, what, (), Thumbnails(np.zeros(0, np.int64), ()))
    store.add_training(path, 0, 0.0, 0, recipe or {}, {score.name: score.info for score in build()})
    epochs = len(next(iter(measures.values())))
    for number in range(epochs):
        values = {name: np.asarray(rows, np.float32)[number] for name, rows in measures.items()}
        share = float(np.mean(values["correct"])) if "correct" in values else NAN
        store.append_epoch(path, 0, EpochRow(number + 1, 1.0, share, NAN, NAN, 0.1, 1.0, values))
    return store.open_run(path)


# --- ranking -------------------------------------------------------------------------


def test_scores_are_means_over_the_measured_epochs(tmp_path):
    run = a_run(
        tmp_path / "run.h5",
        samples([0, 1, 2]),
        curvature=[[1, 2, NAN], [NAN, NAN, NAN], [3, 4, NAN]],
        loss=[[1, 2, 3], [1, 2, 3], [4, 2, 0]],
        margin=[[3, 2, 1]] * 3,
        el2n=[[0, 1, 1]] * 3,
    )
    found = ranking.reduced(run, 0)
    assert found["curvature"][:2].tolist() == [2, 3] and np.isnan(found["curvature"][2])
    assert found["loss"].tolist() == [2, 2, 2]
    assert "prediction" not in found
    # By loss all are alike, by EL2N rows 1 and 2.
    assert found["consensus"].tolist() == [0, 0.75, 0.75]


@pytest.mark.parametrize(
    ("planned", "expected"),
    [
        (6, [5, 6, NAN]),  # epochs 5 and 6 of six; the seventh extends the schedule
        (7, [6.5, 7, NAN]),
        (2, [2, NAN, NAN]),
        (8, None),  # the schedule has not ended
    ],
)
def test_late_curvature_is_that_of_the_last_third_of_the_schedule(tmp_path, planned, expected):
    values = [[1, 2, NAN], [2, NAN, NAN], [NAN, NAN, NAN], [1, 5, NAN], [4, 6, NAN], [6, NAN, NAN], [7, 7, NAN]]
    found = ranking.reduced(a_run(tmp_path / "run.h5", samples([0, 1, 2]), {"epochs": planned}, curvature=values), 0)
    if expected is None:
        assert "late-curvature" not in found
    else:
        np.testing.assert_allclose(found["late-curvature"], expected)


def test_low_margins_are_suspicious(tmp_path):
    run = a_run(tmp_path / "run.h5", samples([0, 1, 2]), margin=[[5, -1, 2]], loss=[[5, -1, 2]])
    orders = ranking.orders(run, 0)
    assert orders["margin"].tolist() == [1, 2, 0]
    assert orders["loss"].tolist() == [0, 2, 1]


def test_ties_go_by_row_and_unmeasured_samples_last():
    order = ordering.order(np.array([1, NAN, 3, 1, np.inf, -np.inf]))
    assert order.tolist() == [4, 2, 0, 3, 5, 1]
    assert ordering.ranks(np.array([2, 0, 1])).tolist() == [2, 3, 1]


@pytest.mark.parametrize(("asked", "said"), [("beauty", "Choose from curvature, gradient, loss"), ("Los", "loss?")])
def test_an_unknown_score_is_named_with_the_known_ones(tmp_path, asked, said):
    write_run(tmp_path / "run.h5")
    with pytest.raises(CurvauditError, match=f"no score '{asked}'") as error:
        curvaudit.report(tmp_path / "run.h5", rank_by=asked)
    assert said in error.value.hint


def test_consensus_takes_the_score_in_which_a_sample_stands_out_more():
    loss = np.array([9, 1, 1, 1, 1, 1, 1, 1.0])  # row 0: 2.65 standard deviations above the mean, the others 0.38 below
    el2n = np.array([0, 8, 0, 0, 8, 8, 0, 8.0])  # rows 1, 4, 5, 7: one above, the others one below
    found = consensus({"loss": loss, "el2n": el2n, "margin": np.arange(8.0)})
    assert found[0] == 1 and found[[1, 4, 5, 7]].tolist() == [4.5 / 7] * 4 and found[[2, 3, 6]].tolist() == [1 / 7] * 3
    # Its unit is of no account, nor is a score that tells nothing apart or that a run lacks.
    assert consensus({"loss": 1e6 * loss, "el2n": el2n + 3}).tolist() == found.tolist()
    assert consensus({"loss": loss, "el2n": np.full(8, 7.0)}).tolist() == consensus({"loss": loss}).tolist()
    assert consensus({"loss": loss}).tolist() == percentile(loss).tolist()
    many = np.arange(100.0)  # of a hundred times 0.1 the deviation is not 0
    assert consensus({"loss": many, "el2n": np.full(100, 0.1)}).tolist()[50:] == percentile(many).tolist()[50:]


def test_consensus_puts_what_is_no_finite_number_first():
    loss = np.array([0.5, np.inf, 2.0, NAN, 1.0])
    for el2n in (NAN, 3.0):  # no number in either, or in one alone
        found = consensus({"loss": loss, "el2n": np.array([1.0, 2, 5, el2n, 0])})
        assert np.argsort(-found)[:2].tolist() == [3, 1] and np.isfinite(found).all()
    assert found[2] > max(found[0], found[4])
    assert np.isfinite(consensus({"loss": np.array([NAN, NAN])})).all()


def test_consensus_lies_in_0_to_1_and_does_not_depend_on_the_order():
    random = np.random.default_rng(0)
    parts = {name: random.integers(0, 5, 50).astype(float) for name in ("loss", "margin", "el2n")}
    values = consensus(parts)
    assert values.min() >= 0 and values.max() <= 1
    shuffled = random.permutation(50)
    assert consensus({name: part[shuffled] for name, part in parts.items()}) == pytest.approx(values[shuffled])


def extremes_one_mask_a_class(order, labels, classes, each):
    found = [order[labels[order] == label] for label in range(classes)]
    return np.concatenate([np.r_[mine[:each], mine[each:][-each:]] for mine in found])


@pytest.mark.parametrize("seed", range(20))
def test_extremes_are_those_of_one_mask_for_each_class(seed):
    random = np.random.default_rng(seed)
    count, classes, each = int(random.integers(1, 300)), int(random.integers(1, 40)), int(random.integers(1, 12))
    labels = random.integers(0, classes, count).astype(np.int32) // int(random.integers(1, 4))  # some are empty
    order = ordering.order(random.integers(0, 5, count).astype(float))  # many ties
    found = ranking.extremes(order, labels, each)
    assert found.tolist() == extremes_one_mask_a_class(order, labels, classes, each).tolist()
    assert len(set(found.tolist())) == len(found)


# --- memorization --------------------------------------------------------------------


def test_identical_pictures_under_two_labels_cannot_be_memorized():
    can = memorizable(samples([0, 1, 2, 0, 0, 1], contents=[7, 7, 8, 9, 9, 10]))
    assert can.tolist() == [False, False, True, True, True, True]


def test_a_third_copy_with_either_label_cannot_either():
    assert memorizable(samples([0, 1, 1, 2], contents=[7, 7, 7, 1])).tolist() == [False, False, False, True]


def test_the_memorized_share_counts_only_what_can_be(tmp_path):
    what = samples([0, 1, 2, 0], contents=[7, 7, 8, 9])
    run = a_run(tmp_path / "run.h5", what, correct=[[1, 0, 0, 0], [1, 0, 1, 0], [0, 1, 1, 1]])
    assert ranking.memorized_share(run, 0, memorizable(what)).tolist() == [0, 0.5, 1]


# --- suggested labels ----------------------------------------------------------------


def preferred(columns, given):
    return suggestion.preferred(np.array(columns, float).T, np.array(given), 3).tolist()


def test_the_class_that_dominated_is_preferred():
    assert preferred([[1, 1, 1, 0]], [0]) == [1]
    assert preferred([[0, 0, 0, 0]], [0]) == [-1]
    assert preferred([[1, 0, 0, 0]], [0]) == [-1]  # in a quarter of the epochs
    assert preferred([[1, 2, 1, 2]], [0]) == [-1]  # contradictions do not agree
    assert preferred([[1, 1, 1, 2]], [0]) == [1]
    assert preferred([[1, NAN, NAN, NAN], [NAN] * 4], [0, 0]) == [1, -1]


def preferred_by_a_table(predictions, given, classes):
    """All votes side by side, (n, K)."""
    measured = (~np.isnan(predictions)).sum(axis=0)
    votes = np.zeros((len(given), classes), np.int32)
    for row in predictions:
        seen = np.flatnonzero(~np.isnan(row))
        votes[seen, row[seen].astype(np.int64)] += 1
    votes[np.arange(len(given)), given] = 0
    best = votes.argmax(axis=1)
    count = votes[np.arange(len(given)), best]
    strong = count >= suggestion.RESISTED * np.maximum(measured, 1)
    strong &= (count >= suggestion.AGREED * votes.sum(axis=1)) & (count > 0)
    return np.where(strong, best, -1).astype(np.int32)


@pytest.mark.parametrize("limits", [(0.5, 0.75), (0.2, 0.3)], ids=["as set", "low, so that ties decide"])
@pytest.mark.parametrize("seed", range(20))
def test_preferences_are_those_of_a_table_of_all_votes(monkeypatch, seed, limits):
    for name, limit in zip(("RESISTED", "AGREED"), limits, strict=True):
        monkeypatch.setattr(suggestion, name, limit)
    random = np.random.default_rng(seed)
    epochs, count, classes = int(random.integers(0, 9)), int(random.integers(1, 300)), int(random.integers(1, 5))
    predictions = random.integers(0, classes, (epochs, count)).astype(np.float32)
    predictions[random.random((epochs, count)) < 0.2] = NAN
    given = random.integers(0, classes, count).astype(np.int32)
    found = suggestion.preferred(predictions, given, classes)
    assert found.dtype == np.int32
    assert found.tolist() == preferred_by_a_table(predictions, given, classes).tolist()


def test_a_hundred_thousand_classes_need_no_table_of_them():
    count, classes = 65_536, 100_000
    given = np.arange(count, dtype=np.int32)
    predictions = np.full((6, count), classes - 1, np.float32)
    tracemalloc.start()
    try:
        found = suggestion.preferred(predictions, given, classes)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()
    assert (found == classes - 1).all()


def test_the_epochs_between_warm_up_and_memorization_judge():
    share = np.array([0.1, 0.7, 0.85, 0.95, 1.0, 1.0])
    two_parts = {"epochs": 6, "plain_epochs": 2}
    assert suggestion.judging_epochs(share, two_parts).tolist() == [1, 2, 3]
    assert suggestion.judging_epochs(share[:3], two_parts).tolist() == [1, 2]  # interrupted
    assert suggestion.judging_epochs(share[:1], two_parts).tolist() == []
    early = np.array([0.9, 1.0, 1.0, 1.0, 1.0, 1.0])
    assert suggestion.judging_epochs(early, two_parts).tolist() == []
    # Which epochs curvature is measured in (`--curvature-every 1` means every one of them) is another matter.
    fast = named("fast", 1000, 3)
    measured = with_overrides(fast, ScanSettings(curvature_every=1))
    assert measured.curvature_from == 1
    share = np.linspace(0.1, 0.9, 36)
    assert suggestion.judging_epochs(share, measured.as_dict()).tolist() == list(range(3, 12))
    assert suggestion.judging_epochs(share, fast.as_dict()).tolist() == list(range(3, 12))
    long = np.linspace(0.1, 0.98, 40).tolist() + [0.995] * 60
    assert suggestion.judging_epochs(np.array(long), {"epochs": 100}).tolist() == list(range(5, 40))


@pytest.mark.parametrize(("margin", "expected"), [(-3.5, 2), (-2.5, -1)])
def test_a_label_is_doubted_at_odds_of_twenty_to_one(tmp_path, margin, expected):
    """Also in a set with two conflicting copies, whose accuracy never reaches 1."""
    what = samples([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0], contents=[7, 7, *range(20, 31)])
    wrong = 12  # labelled a, seen as c until it is memorized
    prediction = np.tile(what.labels.astype(float), (10, 1))
    prediction[:, 1] = 0
    prediction[:4, wrong] = 2
    margins = np.where(prediction == what.labels, 8.0, margin)
    run = a_run(tmp_path / "run.h5", what, prediction=prediction, correct=prediction == what.labels, margin=margins)
    assert max(run.trainings[0].curves.train_accuracy) < 1
    suggested = suggestion.suggest(run, 0, memorizable(what)).classes
    assert suggested[wrong] == expected
    assert (np.delete(suggested, wrong) == -1).all()
    assert (suggestion.suggest(run, 0, np.zeros(13, bool)).classes == -1).all()


@pytest.mark.parametrize(("right", "odds", "said"), [(6, -1.0, True), (6, -4.0, True), (9, -1.0, False)])
def test_a_network_that_knows_little_when_it_judges_labels_says_so(tmp_path, right, odds, said):
    """Few findings would look like few wrong labels, and none like none."""
    what = samples([0, 1, 2] * 4)
    correct = np.ones((20, 12))
    correct[:10, right:] = 0  # until all is memorized
    prediction = np.where(correct > 0, what.labels, (what.labels + 1) % 3)
    margin = np.where(correct > 0, 1.0, odds)
    run = a_run(
        tmp_path / "run.h5",
        what,
        loss=correct,
        curvature=correct,
        correct=correct,
        prediction=prediction,
        margin=margin,
    )
    report = curvaudit.report(run)
    found = [caveat for caveat in report.caveats if "While labels were judged" in caveat.message]
    assert [caveat.severity for caveat in found] == ["warning"] * said  # so that the page does not say: looks fine
    assert all("the network was right on 50% of the pictures only" in caveat.message for caveat in found)
    named = any(finding.rule.id == "CA201" for finding in report.findings)
    assert named == (odds < -3)
    checked = curvaudit.check(report)
    assert ("CA201" in checked.unchecked_rules) == (said and not named)
    assert not [gap for gap in checked.gaps if "CA201" in gap.message]  # a warning, no reason to fail


@pytest.mark.parametrize(("resisting", "named"), [(1, True), (2, True), (3, False), (10, False)])
def test_what_resists_to_the_end_is_doubted_where_nearly_all_else_was_learned(tmp_path, resisting, named):
    what = samples([row % 3 for row in range(40)], contents=range(40))
    prediction = np.tile(what.labels.astype(float), (10, 1))
    prediction[:, :resisting] = (what.labels[:resisting] + 1) % 3
    correct = prediction == what.labels
    run = a_run(
        tmp_path / "run.h5",
        what,
        prediction=prediction,
        correct=correct,
        margin=np.where(correct, 8.0, -8.0),
        curvature=np.ones((10, 40)),
        loss=np.ones((10, 40)),
    )
    found = {
        finding.samples[0].index: finding for finding in curvaudit.report(run).findings if finding.rule.id == "CA201"
    }
    assert set(found) == (set(range(resisting)) if named else set())
    assert all("to the end the network saw" in finding.message for finding in found.values())


# --- gallery -------------------------------------------------------------------------


def test_what_a_report_may_show_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(gallery, "TOP", 2)
    monkeypatch.setattr(gallery, "EXTREMES", 1)
    monkeypatch.setattr(ranking, "_SPREAD", 2)
    count = 60
    what = samples([row % 3 for row in range(count)], contents=[*range(58), 5, 59])
    what.phash[40] = what.phash[41] ^ np.uint64(0b11)
    score = np.arange(count, dtype=float)
    correct = np.ones(count)
    correct[30] = 0
    run = a_run(tmp_path / "run.h5", what, curvature=[score], loss=[score], margin=[score], correct=[correct])
    rows = set(gallery.rows_worth_showing(run).tolist())
    assert {59, 58} <= rows  # highest curvature and loss
    assert {0, 1} <= rows  # lowest margin
    assert {0, 1, 2, 57, 58, 59} <= rows  # extremes of each class
    assert {5, 58} <= rows  # copies
    assert {40, 41} <= rows  # near copies
    assert 30 in rows  # not memorized
    assert len(rows) < 20


def test_a_logged_class_that_does_not_exist_is_no_prediction(tmp_path):
    write_run(tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        file["trainings/0/measures/prediction"][1] = 7  # of three classes
    known = curvaudit.report(tmp_path / "run.h5").trajectories
    assert (known.prediction[1] == -1).all() and known.prediction[0].min() >= 0
