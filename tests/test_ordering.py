"""Ranks among equals: many pictures have a curvature of 0, and the order of files must not decide anything."""

import numpy as np
import pytest
from made import write_run

import curvaudit
from curvaudit import ordering
from curvaudit.derived.stability import stability

NAN = float("nan")


@pytest.fixture
def run(tmp_path):
    write_run(tmp_path / "run.h5")
    return curvaudit.open_run(tmp_path / "run.h5")


def test_equal_samples_come_by_their_loss_and_then_by_row(run):
    scores = {
        "curvature": np.array([0, 5, 0, NAN, 0, 0]),
        "loss": np.array([0.1, 0.0, 0.3, 9.0, 0.2, 0.1]),
        "margin": np.array([3.0, 3, 3, 3, -1, 3]),  # low is suspicious
        "curvature@seed=1": np.zeros(6),
        "loss@seed=1": np.arange(6.0),
    }
    assert ordering.order_by(run.trainings, scores, "curvature").tolist() == [1, 2, 4, 0, 5, 3]
    assert ordering.order_by(run.trainings, scores, "margin").tolist() == [4, 3, 2, 0, 5, 1]
    assert ordering.order_by(run.trainings, scores, "curvature@seed=1").tolist() == [5, 4, 3, 2, 1, 0]
    del scores["loss"]
    assert ordering.order_by(run.trainings, scores, "curvature").tolist() == [1, 0, 2, 4, 5, 3]


def test_seeds_do_not_agree_on_pictures_that_are_alike_to_both(run):
    """95 % at 0, the others at random: whoever counted the zeros by row would see a correlation of 0.8."""
    random = np.random.default_rng(0)
    seeds = []
    for _ in range(2):
        curvature = np.zeros(2000)
        curvature[random.choice(2000, 100, replace=False)] = random.random(100) + 1
        seeds.append({"curvature": curvature, "loss": random.random(2000)})
    found = stability(run, run.trainings * 2, seeds, "curvature", 200, 1.0)
    assert abs(found.spearman) < 0.1 and found.overlap < 0.25 and found.top == 100
    flat = stability(run, run.trainings * 2, [{"curvature": np.zeros(2000)}, seeds[1]], "curvature", 200, 1.0)
    assert np.isnan(flat.spearman) and np.isnan(flat.overlap) and flat.top == 0


def test_seeds_that_are_the_same_agree_where_ever_the_head_ends(run):
    """Equal samples come by each seed's own loss, which says nothing about agreement."""
    random = np.random.default_rng(0)
    curvature = np.where(np.arange(2000) < 20, 2.0 + np.arange(2000), 0)
    seeds = [{"curvature": curvature, "loss": random.random(2000)} for _ in range(2)]
    for top, length in ((10, 10), (20, 20), (100, 20), (2000, 2000), (3000, 2000)):
        found = stability(run, run.trainings * 2, seeds, "curvature", top, 1.0)
        assert (found.spearman, found.overlap, found.top) == (pytest.approx(1), 1, length)


def test_a_correlation_that_is_no_number_is_no_agreement(run):
    from curvaudit.derived.caveats import of_seeds
    from curvaudit.records import Stability

    stable = Stability((1, 2), NAN, 10, 0.9, np.ones(3), np.ones(3))
    assert of_seeds(stable, 600).severity == "warning"
    nothing = of_seeds(Stability((1, 2), NAN, 0, NAN, np.ones(3), np.ones(3)), 600)
    assert nothing.severity == "warning" and "top" not in nothing.message


def test_what_a_majority_of_seeds_learned_is_memorized_whatever_the_first_one_says(run):
    from dataclasses import replace

    from curvaudit.derived.caveats import of_training

    can = np.ones(600, bool)
    left = can & (np.arange(600) > 1)
    for memorized in (False, True):
        training = replace(run.trainings[0], memorized=memorized)
        assert of_training(training, can, can) == ()
        (caveat,) = of_training(training, left, can)
        assert caveat.message.startswith("Training ended before everything was memorized: 2 of 600 samples are")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, "between the warm-up and memorization"),
        ({"finished": False}, "interrupted before any epoch could"),
        ({"measures": {}}, "does not hold margin and prediction"),
    ],
)
def test_why_no_label_was_judged(run, change, why):
    from dataclasses import replace

    from curvaudit.derived.caveats import of_unjudged

    (caveat,) = of_unjudged(replace(run.trainings[0], **change))
    assert caveat.unchecked == "unjudged" and why in caveat.message


def test_a_seed_that_could_not_judge_counts_as_one_that_suggests_nothing(run):
    from types import SimpleNamespace

    from curvaudit.derived.judging import judge_labels
    from curvaudit.derived.suggestion import Suggestions

    count = len(run.samples)
    right, better = np.ones(count, bool), Suggestions(np.zeros(count, np.int32), 0.5)

    def said(*suggestions):
        each = iter(suggestions)
        damage = SimpleNamespace(correct=lambda one: right, suggest=lambda one, eligible: next(each), unanswered=set())
        return judge_labels(run, run.trainings * len(suggestions), damage)

    alone = said(better, None, None)
    assert alone.judged and (alone.suggested == -1).all() and alone.right == 0.5
    assert (said(better, better, None).suggested == 0).all()
    assert not said(None, None).judged


def test_a_consensus_of_seeds_that_hold_different_parts_is_counted(run):
    from curvaudit.derived.caveats import of_unscored

    assert of_unscored({"consensus": np.array([0.5, 1.0])}, "consensus") == ()
    (caveat,) = of_unscored({"consensus": np.array([0.5, NAN])}, "consensus")
    assert caveat.message.startswith("1 picture of 2")
