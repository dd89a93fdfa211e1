"""Every experiment of the paper at a toy size, end to end, and its numbers in their ranges."""

import csv
import io
import json
import re
import shutil
from html import unescape
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from made import draw_folder, write_run

import curvaudit
from curvaudit import extras, sources, store
from curvaudit.calibration.planting import lookalikes, plant
from curvaudit.cli import main
from curvaudit.errors import CurvauditError
from curvaudit.exports.reproductions import tables_csv
from curvaudit.records import EpochDone, EpochRow
from curvaudit.reproduction import experiments, plots, reproducing
from curvaudit.reproduction.experiments import (
    agreement,
    classes,
    corruption,
    duplicates,
    dynamics,
    paper,
    spiral,
    wording,
)
from curvaudit.reproduction.result import Table
from curvaudit.sources.subset import ROW, draw

pytest.importorskip("matplotlib")

NAN = float("nan")
TINY = {"epochs": 2, "width": "4", "device": "cpu", "workers": 1}


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def check_files(folder: Path, result: curvaudit.Reproduction) -> str:
    """What every experiment leaves; returns the page."""
    said = json.loads((folder / "reproduction.json").read_text("utf-8"))
    assert said["schema"] == "curvaudit-reproduction/1" and said["command"] == result.command
    assert said["environment"]["torch"] and said["environment"]["processor"] and said["sentences"] and said["figures"]
    for figure in result.outcome.figures:
        assert (folder / f"{figure.name}.svg").read_bytes().startswith(b"<?xml")
        assert (folder / f"{figure.name}.png").read_bytes().startswith(b"\x89PNG")
    for one in result.outcome.tables:
        assert len(table(folder, one.name)) == len(one.rows)
        assert all(len(row) == len(one.heads) for row in one.rows)
    page = (folder / "index.html").read_text("utf-8")
    assert "default-src 'none'" in unescape(page) and "<script" not in page
    assert page.count('<img src="data:image/png;base64,') == len(result.outcome.figures)
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", page)
    return page


# --- the toy in the plane ------------------------------------------------------------


@pytest.fixture(scope="module")
def trace() -> spiral.Trace:
    return spiral.trace(1, epochs=40, shots=(1, 40))


def test_curvature_rises_to_a_peak_near_memorization_and_falls(trace):
    course = spiral.smoothed(trace.curvature)
    assert trace.accuracy[-1] == 1 and 1 < trace.memorized < 40
    assert 1 < trace.peak < 40 and abs(trace.peak - trace.memorized) <= 20
    assert course.max() > 3 * trace.curvature[0] and course[-1] < course.max() / 3
    assert trace.gap[-1] > trace.gap[trace.memorized - 1]  # margins go on growing
    assert trace.loss[-1] < 0.05 < trace.test_loss[-1]


def test_the_spiral_is_two_arms_of_which_some_points_moved(trace):
    assert trace.train.shape == (30, 2) and trace.moved.sum() == 9 and np.bincount(trace.labels).tolist() == [15, 15]
    assert np.hypot(*trace.test.T).max() <= 1
    still = ~trace.moved
    # The other arm is this one turned by half a turn.
    distance = np.hypot(*(trace.train[still][:, None] - trace.test[None]).transpose(2, 0, 1))
    assert (trace.test_labels[distance.argmin(axis=1)] == trace.labels[still]).mean() > 0.9
    assert trace.maps.shape == (2, 120, 120) and 0 <= trace.maps.min() <= trace.maps.max() <= 1


def test_spiral_writes_everything(tmp_path):
    result = curvaudit.reproduce("spiral", tmp_path / "s", seeds=1, epochs=3)
    check_files(tmp_path / "s", result)
    rows = table(tmp_path / "s", "spiral-epochs")
    assert [row["epoch"] for row in rows] == ["1", "2", "3"] and float(rows[0]["curvature"]) > 0
    assert result.command.startswith("curvaudit reproduce spiral --seeds 1 --epochs 3")
    # After three epochs points are still wrong: there is no epoch to count from.
    assert result.outcome.sentences[-1].endswith("in 0 of 1 trainings.")


# --- experiments that read run files -------------------------------------------------


@pytest.fixture
def run(tmp_path) -> store.Run:
    """Two weight decays; with decay curvature of every epoch is proportional to the "memorization" 1 … 90."""
    return two_decays(tmp_path / "run.h5", "cifar100 (90 of 50000)")


def two_decays(path: Path, source: str) -> store.Run:
    write_run(path, source=source)
    return with_training(curvaudit.open_run(path), 1, 1e-4, np.arange(1, 91) * [[1], [2]])


def with_training(made: store.Run, index: int, weight_decay: float, curvature: np.ndarray) -> store.Run:
    """A finished training more, whose curvature is as given, (E, N), and all else as the first one ended."""
    store.add_training(made.path, index, weight_decay, 0, {}, made.trainings[0].measures)
    for number, one in enumerate(curvature, 1):
        values = {name: made.last(0, name) for name in made.trainings[0].measures}
        values["curvature"] = one.astype(np.float32)
        store.append_epoch(made.path, index, EpochRow(number, 1.0, 0.9, 1.5, 0.5, 0.1, 1.0, values))
    store.finish_training(made.path, index, True)
    return curvaudit.open_run(made.path)


def scores(tmp_path: Path, **arrays: np.ndarray) -> Path:
    np.savez(tmp_path / "scores.npz", **arrays)
    return tmp_path / "scores.npz"


def test_agreement_with_the_same_scores_is_one_and_with_shuffled_ones_less(tmp_path, run):
    same = np.arange(1.0, 91)
    shuffled = np.random.default_rng(0).permutation(same)
    file = scores(tmp_path, same=same, shuffled=shuffled)
    found = {}
    for key in ("same", "shuffled"):
        result = curvaudit.reproduce("agreement", tmp_path / key, from_runs=(str(run.path),), scores=f"{file}:{key}")
        page = check_files(tmp_path / key, result)
        found[key] = {row["name"]: row for row in table(tmp_path / key, "agreement")}
    with_decay = "weight decay 0.0001: curvature (equation 6)"
    assert float(found["same"][with_decay]["all"]) == pytest.approx(1)
    assert float(found["same"][with_decay]["top 9"]) == pytest.approx(1)
    assert float(found["shuffled"][with_decay]["all"]) < 0.9
    assert float(found["same"]["weight decay 0: curvature (equation 6)"]["all"]) < 0.95
    assert found["same"][with_decay]["paper, all"] == "0.82" and "0.82" in page
    each = table(tmp_path / "same", "agreement-epochs")
    assert {row["epoch"] for row in each if row["name"] == with_decay} == {"1", "2"}
    # Both epochs are proportional to the scores, alone and together; the other training's are not.
    for column in ("this epoch, all", "this epoch, top", "mean so far, all", "mean so far, top"):
        assert all(float(row[column]) == pytest.approx(1) for row in each if row["name"] == with_decay)
    made = run.measure(0, "curvature").astype(float)  # (4, N)
    each = table(tmp_path / "shuffled", "agreement-epochs")
    drawn = [row for row in each if row["name"] == "weight decay 0: curvature (equation 6)"]
    assert [float(row["this epoch, all"]) for row in drawn] == pytest.approx([cosine(one, shuffled) for one in made])
    so_far = [cosine(made[:last].mean(axis=0), shuffled) for last in (1, 2, 3, 4)]
    assert [float(row["mean so far, all"]) for row in drawn] == pytest.approx(so_far)
    most = shuffled > 81
    for name, mean in (("curvature (equation 6)", made.mean(axis=0)),
                       ("curvature, norm not squared", np.sqrt(made).mean(axis=0))):  # fmt: skip
        row = found["shuffled"][f"weight decay 0: {name}"]
        ranks = [np.argsort(np.argsort(one)) for one in (mean, shuffled)]
        expected = (cosine(mean, shuffled), cosine(mean[most], shuffled[most]), np.corrcoef(ranks)[0, 1])
        told = tuple(float(row[column]) for column in ("all", "top 9", "Spearman, all"))
        assert told == pytest.approx(expected, abs=1e-6), name
    assert float(found["same"][with_decay]["Spearman, all"]) == pytest.approx(1)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum()))


def test_agreement_says_which_cosine_is_higher_and_draws_every_training(tmp_path, run):
    even = np.where(np.arange(90) % 10, 1.0, 1.1)  # the most memorized lie anywhere in the ranking
    file = scores(tmp_path, shuffled=np.random.default_rng(0).permutation(np.arange(1.0, 91)), even=even)
    shuffled, even = (
        agreement.run(experiments.interface.Settings(out=tmp_path, scores=f"{file}:{key}", from_runs=(str(run.path),)))
        for key in ("shuffled", "even")
    )
    rows = {row[0]: row for row in shuffled.tables[0].rows}
    without, with_decay = (rows[f"weight decay {decay}: curvature (equation 6)"] for decay in ("0", "0.0001"))
    assert shuffled.sentences == (
        f"weight decay 0: cosine {without[1]:.3f} for all, {without[3]:.3f} for the most memorized (paper: 0.73 and "
        "0.82); the latter is higher, as in the paper.",
        f"weight decay 0.0001: cosine {with_decay[1]:.3f} for all, {with_decay[3]:.3f} for the most memorized (paper: "
        "0.82 and 0.90); the latter is higher, as in the paper.",
        f"With weight decay the cosine is {with_decay[1] - without[1]:.3f} higher than without; the paper finds it "
        "0.09 higher on CIFAR-100.",
    )
    assert even.sentences[1].endswith("the latter is NOT higher; on CIFAR-100 in the paper it is.")
    less = even.tables[0].rows[0][1] - next(row[1] for row in even.tables[0].rows if "0.0001: curv" in row[0])
    assert even.sentences[2].startswith(f"With weight decay the cosine is {less:.3f} lower than without;")
    for part, figure in enumerate(shuffled.figures):  # all, top
        ends = [f"{row[1 + 2 * part]:.3f}" for row in (without, with_decay)]
        assert figure.told == f"At the end, equation 6: weight decay 0 {ends[0]}; weight decay 0.0001 {ends[1]}."
        for axes in figure.drawing.axes:
            expected = {}
            for name in ("weight decay 0", "weight decay 0.0001"):
                mine = [row for row in shuffled.tables[1].rows if row[0] == f"{name}: {axes.get_title()}"]
                expected[f"{name}, mean so far"] = [row[4 + part] for row in mine]
                expected[f"{name}, each epoch"] = [row[2 + part] for row in mine]
            assert all(expected.values())
            assert {line.get_label(): line.get_ydata().tolist() for line in axes.lines} == expected


def test_the_papers_agreement_stands_beside_cifar100_alone(tmp_path):
    made = two_decays(tmp_path / "flowers.h5", "flowers")
    file = scores(tmp_path, x=np.arange(1.0, 91))
    result = curvaudit.reproduce("agreement", tmp_path / "a", from_runs=(str(made.path),), scores=f"{file}:x")
    rows = table(tmp_path / "a", "agreement")
    assert len(rows) > 4 and {row["paper, all"] for row in rows} == {row["paper, top 5,000"] for row in rows} == {""}
    assert not any("(paper:" in text for text in result.outcome.sentences)


def test_each_run_is_held_against_the_scores_of_its_own_samples(tmp_path, run):
    draw_folder(tmp_path / "images", ("circle", "square"), each=45)
    part = draw(sources.load(tmp_path / "images"), 40, 0)
    other = curvaudit.scan(part, tmp_path / "part.h5", epochs=1, width=4, device="cpu", workers=1)
    file = scores(tmp_path, x=np.arange(1.0, 91))
    paths = (str(run.path), str(other.path))
    curvaudit.reproduce("agreement", tmp_path / "a", from_runs=paths, scores=f"{file}:x")
    rows = {row["name"]: row for row in table(tmp_path / "a", "agreement")}
    flat = np.ones(90)
    for name, kept in (("run.h5", np.arange(90)), ("part.h5", part.rows)):
        alike = float(rows[f"{name}: the same value for every picture"]["all"])
        assert alike == pytest.approx(cosine(flat[kept], np.arange(1.0, 91)[kept]), abs=1e-5)
    assert "top 9 or 4" in next(iter(rows.values()))


def test_cosine_is_not_centred():
    assert agreement.cosine(np.array([1.0, 1, 1]), np.array([1.0, 1, 1])) == pytest.approx(1)
    assert agreement.cosine(np.array([1.0, 0]), np.array([0, 2.0])) == 0
    assert np.isnan(agreement.cosine(np.zeros(2), np.ones(2)))


def test_agreement_leaves_out_what_the_mask_and_nan_leave_out(tmp_path, run):
    values = np.arange(1.0, 91)
    values[3], values[5] = 1e9, np.nan
    mask = np.ones(90, bool)
    mask[3] = False
    file = scores(tmp_path, values=values, mask=mask)
    result = curvaudit.reproduce(
        "agreement", tmp_path / "a", from_runs=(str(run.path),), scores=f"{file}:values", mask="mask"
    )
    assert any("2 pictures are left out" in text for text in result.outcome.caveats)
    rows = {row["name"]: row for row in table(tmp_path / "a", "agreement")}
    assert float(rows["weight decay 0.0001: curvature (equation 6)"]["all"]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "needs memorization scores"),
        ("scores.npz", "names no array"),
        ("gone.npz:x", "cannot be read"),
        ("{file}:y", "has no array 'y'"),
        ("{file}:short", "has \\(5,\\) values, and .* 90 pictures"),
        ("{text}:x", "cannot be read"),
        ("{file}:words", "scores.npz: words holds <U3, not numbers"),
        ("{file}:complex", "complex holds complex128, not numbers"),
    ],
)
def test_agreement_names_scores_that_do_not_fit(tmp_path, run, given, message):
    file = scores(tmp_path, x=np.ones(90), short=np.ones(5), words=np.full(90, "0.5"), complex=np.ones(90) * 1j)
    (tmp_path / "text.npz").write_text("no archive")
    given = None if given is None else given.format(file=file, text=tmp_path / "text.npz")
    with pytest.raises(CurvauditError, match=message):
        curvaudit.reproduce("agreement", tmp_path / "a", from_runs=(str(run.path),), scores=given)
    assert not (tmp_path / "a" / "index.html").exists()


def test_a_subset_keeps_its_rows_and_agreement_matches_by_them(tmp_path):
    draw_folder(tmp_path / "images", ("circle", "square"), each=20)
    whole = sources.load(tmp_path / "images")
    part = draw(whole, 20, seed=3)
    assert np.bincount(part.labels).tolist() == [10, 10]
    assert part.columns[ROW] == tuple(str(whole.ids.index(one)) for one in part.ids)
    file = scores(tmp_path, x=np.arange(40.0))
    chosen = curvaudit.scan(part, tmp_path / "r.h5", epochs=1, width=4, device="cpu")
    settings = experiments.interface.Settings(out=tmp_path, scores=f"{file}:x")
    reference = agreement.read(settings, experiments.runs.Chosen(chosen, chosen.trainings[0]))
    np.testing.assert_array_equal(reference.values, part.rows)


def test_duplicates_counts_pictures_under_two_labels(tmp_path, run):
    at_the_edge = np.arange(1, 91)
    at_the_edge[[3, 30, 7, 29]] = at_the_edge[[30, 3, 29, 7]]  # the pair is 60th and 61st
    run = with_training(run, 2, 5e-4, at_the_edge[None])
    result = curvaudit.reproduce("duplicates", tmp_path / "d", from_runs=(str(run.path),))
    page = check_files(tmp_path / "d", result)
    rows = {row["name"]: row for row in table(tmp_path / "d", "duplicates")}
    # Pictures 3 and 7 are identical and stand under "ant" and "bee"; by the second training they are
    # the 87th and 83rd of 90.
    second = rows["weight decay 0.0001: identical (CA101)"]
    assert (second["pictures"], second["in the top 60"], second["median rank"]) == ("2", "0", "85")
    assert rows["weight decay 0: identical or near (CA101, CA102)"]["paper, CIFAR-100, top 60"] == "36"
    third = rows["weight decay 0.0005: identical (CA101)"]
    assert (third["in the top 60"], third["in the top 500"], third["median rank"]) == ("1", "2", "60.5")
    by_score = {row["name"]: row for row in table(tmp_path / "d", "duplicates-scores")}
    assert by_score["weight decay 0.0001: curvature"]["identical, median rank"] == "85"
    assert by_score["weight decay 0.0005: curvature"]["identical, in the top 60"] == "1"
    report = curvaudit.report(run, top=5, training=0)
    first = int((report.rank[[3, 7]] <= 60).sum())
    assert rows["weight decay 0: identical (CA101)"]["in the top 60"] == str(first)
    counts = {"0": first, "0.0001": 0, "0.0005": 1}
    assert result.outcome.sentences == tuple(
        f"weight decay {decay}: {count} of the 60 highest are pictures that stand under two labels "
        f"({'paper: only a few' if float(decay) else 'paper, CIFAR-100: 36'}); of the 2 that are identical in every "
        f"pixel {count} are in the top 60 and 2 in the top 500, of 90 pictures."
        for decay, count in counts.items()
    )
    assert [figure.told for figure in result.outcome.figures] == [
        f"{count} of 60 have a red dot." for count in counts.values()
    ]
    loss = np.argsort(np.argsort(-report.scores["loss"], kind="stable"))[[3, 7]] + 1
    assert float(by_score["weight decay 0: loss"]["identical, median rank"]) == np.median(loss)
    assert int(by_score["weight decay 0: loss"]["identical, in the top 60"]) == (loss <= 60).sum()
    (pair,) = (row for row in table(tmp_path / "d", "duplicates-pairs") if row["rule"] == "CA101")
    assert sorted(pair["weight decay 0.0001"].split()) == ["83", "87"] and pair["weight decay 0.0001"] in page


def test_dynamics_finds_peak_and_the_most_memorized(tmp_path, run):
    result = curvaudit.reproduce("dynamics", tmp_path / "d", from_runs=(str(run.path),))
    check_files(tmp_path / "d", result)
    rows = table(tmp_path / "d", "dynamics-1")
    assert [float(row["curvature"]) for row in rows] == pytest.approx([45.5, 91])
    assert [float(row["curvature, second split"]) for row in rows] == [0.5, 0.5]
    most = np.argsort(-run.last(1, "loss"))[:9]  # without --scores, and as each epoch has the same loss
    others = np.delete(np.arange(1.0, 91), most).mean()
    for name, mean in (("most memorized", (most + 1).mean()), ("the others", others)):
        assert [float(row[f"curvature, {name}"]) for row in rows] == pytest.approx([mean, 2 * mean])
    settings = experiments.interface.Settings(
        out=tmp_path, scores=f"{scores(tmp_path, x=np.arange(90.0))}:x", from_runs=(str(run.path),)
    )
    one = dynamics.course(settings, experiments.runs.opened((str(run.path),))[1])
    assert one.memorized[0] == pytest.approx(np.arange(82, 91).mean()) and one.peak == one.last == 1
    loss = one.chosen.run.measure(1, "loss")  # (E, N)
    assert one.memorized_loss == pytest.approx(loss[:, 81:].mean(axis=1))
    assert one.rest.tolist() == [41, 82]


@pytest.mark.parametrize(
    ("curvature", "turn"),
    [
        ([4, 3, 2, 1], "falls from the start: 4 (epoch 1) → 1 (epoch 4);"),
        ([1, 1.99, 1.5, 0.5], "hardly rises: 1 (epoch 1) → 1.99 (epoch 2) → 0.5 (epoch 4);"),
        ([1, 2, 1.5, 0.99], "rises and then falls: 1 (epoch 1) → 2 (epoch 2) → 0.99 (epoch 4);"),
        ([1, 2, 0.5, 1], "rises and still stands near its peak: 1 (epoch 1) → 2 (epoch 2) → 1 (epoch 4);"),
        ([3, 1, 4, NAN], "rises and still stands near its peak: 1 (epoch 2) → 4 (epoch 3);"),
    ],
)
def test_dynamics_says_how_curvature_went(curvature, turn):
    losses, share = np.ones(4), np.array([0.2, 0.4, 0.75, 0.875])
    memorized, rest, held_out = np.array([1, 3, NAN, 5]), np.array([2.0, 2, 2, 2]), np.array([8, 4, 2, NAN])
    one = dynamics.Course(
        SimpleNamespace(name="one"), "highest loss", np.arange(1.0, 5), losses, losses, losses, np.array(curvature),
        held_out, memorized, rest, share,
    )  # fmt: skip
    assert dynamics._sentences(one) == [
        f"one: the mean curvature of the training set {turn} 87.5 % are memorized in the end.",
        "one: the most memorized tenth is more sharply curved than the rest in 2 of 3 epochs with a curvature above 0 "
        "(paper: in each).",
        f"one: the mean curvature of pictures that were not trained on ends at 2, {2 / curvature[2]:,.3g} times that "
        "of the training set; that is 0.25 of its own peak (paper: it keeps rising).",
    ]


# --- experiments that train ----------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> str:
    root = tmp_path_factory.mktemp("pictures") / "images"
    draw_folder(root, ("circle", "square", "stripe"), each=16)
    return str(root)


def test_classes_show_both_ends_of_both_splits(tmp_path, folder):
    result = curvaudit.reproduce("classes", tmp_path / "c", source=(folder,), **TINY)
    check_files(tmp_path / "c", result)
    assert len(result.outcome.figures) == 2  # the training split and the held-out fifth
    rows = table(tmp_path / "c", "classes-0")
    assert [row["name"] for row in rows] == ["circle", "square", "stripe"]
    for row in rows:
        assert float(row["median of the 10 lowest"]) < float(row["median of the 10 highest"])
        assert not set(row["rows of the highest"].split()) & set(row["rows of the lowest"].split())
    assert sum(int(row["pictures"]) for row in rows + table(tmp_path / "c", "classes-1")) == 48
    # Again from its own run files: the same numbers, and nothing is trained.
    paths = tuple(str(path) for path in sorted((tmp_path / "c" / "runs").glob("*.h5")))
    curvaudit.reproduce("classes", tmp_path / "again", from_runs=paths)
    # In the order of the files: first that of the held-out fifth.
    assert (tmp_path / "again" / "classes-1.csv").read_bytes() == (tmp_path / "c" / "classes-0.csv").read_bytes()


def test_classes_of_one_picture_each_have_no_two_ends(tmp_path, monkeypatch):
    for split, each in (("train", 6), ("test", 1)):
        draw_folder(tmp_path / "data" / split, ("a", "b"), each=each)
    split = {"source": tmp_path / "data"}
    with monkeypatch.context() as never:
        never.setattr(experiments.runs, "trained", None)  # told before anything is trained
        for told in (split | {"validation": "test"}, split):  # a fifth of six is one
            with pytest.raises(CurvauditError, match="no class has two pictures") as caught:
                curvaudit.reproduce("classes", tmp_path / "out", **told, **TINY)
            assert "--validation" in caught.value.hint
    # What cannot be read is known later, and run files hold what they hold.
    run = curvaudit.scan(tmp_path / "data", tmp_path / "single.h5", split="test", epochs=1, width=4, device="cpu")
    with pytest.raises(CurvauditError, match="no class has two pictures"):
        curvaudit.reproduce("classes", tmp_path / "read", from_runs=run.path)


def test_among_pictures_of_no_curvature_the_lowest_loss_comes_last(run, tmp_path):
    """`fast` does not probe where the loss is next to nothing, and the flattest of a class are no accident of order."""
    flat = np.arange(90) % 7 > 1
    shutil.copy(run.path, tmp_path / "flat.h5")
    with h5py.File(tmp_path / "flat.h5", "r+") as file:
        curvature = file["trainings/0/measures/curvature"]
        curvature[:] = np.where(flat, 0, curvature[:])
    made = curvaudit.report(tmp_path / "flat.h5", thumbnails=False)
    found = classes.extremes(made)
    assert found
    for one in found:
        mine = np.flatnonzero(flat & (made.samples.labels == one.label))
        expected = mine[np.argsort(made.scores["loss"][mine], kind="stable")][: len(one.lowest)]
        assert one.lowest.tolist() == expected.tolist()


@pytest.mark.filterwarnings("error")
def test_nothing_is_said_of_trends_between_zeros(run, tmp_path):
    """Where all was learned before it was measured."""
    shutil.copy(run.path, tmp_path / "flat.h5")
    with h5py.File(tmp_path / "flat.h5", "r+") as file:
        for training in file["trainings"].values():
            training["measures/curvature"][:] = 0
    given = {"from_runs": tmp_path / "flat.h5"}
    memorized = scores(tmp_path, x=np.arange(90.0), same=np.ones(90))
    for name, more, says in (
        ("dynamics", {}, "the mean curvature of the training set is 0 wherever it was measured."),
        ("classes", {}, "the curvature of every picture is 0; those at the right have the largest loss."),
        ("agreement", {"scores": f"{memorized}:x"}, "curvature is 0 for every picture, which agrees with nothing."),
        ("agreement", {"scores": f"{memorized}:same"}, "curvature is 0 for every picture, which agrees with nothing."),
    ):
        made = curvaudit.reproduce(name, tmp_path / name, overwrite=True, **given, **more)
        assert {sentence.split(": ", 1)[1] for sentence in made.outcome.sentences} == {says}


def test_classes_say_how_many_likelier_labels_stand_at_both_ends(run):
    made = curvaudit.report(run, thumbnails=False)
    made.suggested[:] = -1
    made.suggested[made.order[:7]], made.suggested[made.order[-4:]] = 0, 1
    curvature = np.sort(made.scores["curvature"].reshape(30, 3), axis=0)  # row % 3 is the class
    medians = wording.beside(np.median(curvature[-10:]), np.median(curvature[:10]), "that of the 10 lowest")
    assert classes._sentence(made, classes.extremes(made), "one") == (
        f"one: the median curvature of the 10 highest of each class is {medians}; of the 11 pictures with a likelier "
        "label (CA201) 7 are among the highest and 4 among the lowest."
    )


def test_dynamics_trains_with_a_second_split_and_measures_every_epoch(tmp_path, folder):
    curvaudit.reproduce("dynamics", tmp_path / "d", source=(folder,), **{**TINY, "epochs": 3})
    rows = table(tmp_path / "d", "dynamics-0")
    names = [name for name in rows[0] if name not in ("epoch", "share memorized")]
    values = np.array([[float(row[name]) for name in names] for row in rows])  # (E, columns)
    assert values.shape == (3, 7) and np.isfinite(values).all() and (values > 0).all()
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"]) < float(rows[0]["loss, most memorized"])


def keeps_up(folder: Path, measure: str) -> bool:
    """Whether consensus reaches the best score of the table less the larger of both deviations."""
    rows = table(folder, f"corruption-0-pairs-{measure}")
    found = {row["name"]: (float(row["10 %"]), float(row["±"])) for row in rows if not row["name"].endswith("*")}
    own, deviation = found.pop("consensus")
    best, other = max(found.values())
    return own >= best - max(deviation, other)


def test_corruption_finds_planted_errors_above_chance(tmp_path, folder):
    pytest.importorskip("cleanlab")
    given = {
        "source": (folder,), "rates": (0.1,), "seeds": 2, "folds": 2, "noise": ("pairs",),
        **TINY, "epochs": 5, "width": "8",
    }  # fmt: skip
    result = curvaudit.reproduce("corruption", tmp_path / "c", **given)
    check_files(tmp_path / "c", result)
    events = []
    again = curvaudit.reproduce("corruption", tmp_path / "c", overwrite=True, on_event=events.append, **given)
    assert str(again.outcome.tables) == str(result.outcome.tables)  # its trials were read, not run again
    assert not any(isinstance(event, EpochDone) for event in events)
    rows = {row["name"]: row for row in table(tmp_path / "c", "corruption-0-pairs-auroc")}
    # The classes differ in colour: a network tells them apart at once.
    assert float(rows["loss"]["10 %"]) > 0.8 and float(rows["consensus"]["10 %"]) > 0.8
    assert all(0 <= float(row["10 %"]) <= 1 and float(row["±"]) >= 0 for row in rows.values())
    assert {"inconfidence *", "confident-learning *", "curvature"} <= set(rows)
    # One rate: it keeps up there or it does not, and says which.
    keeps = [int(keeps_up(tmp_path / "c", measure)) for measure in ("auroc", "average-precision")]
    assert result.outcome.sentences[-1].endswith(
        "consensus is at least as good as the best single score (within one standard deviation) at "
        f"{keeps[0]} of 1 rates in AUROC and at {keeps[1]} in average precision."
    )
    told = table(tmp_path / "c", "corruption-0-pairs-suggested")
    assert [row["name"] for row in told] == ["CA201, 10 %", "confident-learning, 10 %"]
    # The mean of the products, not the product of the means.
    for row, name in zip(told, ("CA201", "confident-learning"), strict=True):
        trials = [json.loads(file.read_text("utf-8")) for file in tmp_path.glob("c/*/runs/*.json")]
        flags = [each["trial"]["flags"][name] for each in trials]
        named = [one["recall"] * one["suggestion_right"] if one["recall"] else 0.0 for one in flags]
        assert len(named) == 2
        assert float(row["planted errors whose true class is suggested"]) == pytest.approx(np.mean(named))


def test_subsets_keep_pairs_and_match_scores_when_trained(tmp_path, folder):
    root = shutil.copytree(folder, tmp_path / "images")
    shutil.copy(root / "circle" / "003.png", root / "square" / "copy.png")
    given = {"source": (str(root),), "samples": 12, **TINY, "epochs": 1}
    curvaudit.reproduce("duplicates", tmp_path / "d", **given)
    rows = table(tmp_path / "d", "duplicates")
    assert [row["pictures"] for row in rows] == ["2"] * 4  # two weight decays, two kinds of copies
    made = curvaudit.open_run(tmp_path / "d" / "runs" / "duplicates.h5")
    assert {"circle/003.png", "square/copy.png"} <= set(made.samples.ids) and len(made.samples) <= 14
    file = scores(tmp_path, x=np.random.default_rng(0).random(49))
    curvaudit.reproduce("agreement", tmp_path / "a", scores=f"{file}:x", **given)
    found = {row["name"]: row for row in table(tmp_path / "a", "agreement")}
    assert 0 < float(found["weight decay 0: curvature (equation 6)"]["all"]) < 1
    assert float(found["the same value for every picture"]["all"]) > 0.7
    with pytest.raises(CurvauditError, match="holds an earlier result"):
        curvaudit.reproduce("agreement", tmp_path / "a", scores=f"{file}:x", **given)


def test_the_paper_stands_beside_data_sets_of_its_own_alone():
    told = {name: paper.data_set(name) for name in ("mnist", "data/cifar100-train.parquet", "cifar10 (50 of 50000)")}
    assert list(told.values()) == ["mnist", "cifar100", "cifar10"] and set(corruption.PAPER) == set(paper.DATA_SETS)
    assert paper.data_set("fashion-mnist") is None and paper.data_set("./flowers") is None
    grey = ("mnist", "fashion-mnist", "digits")
    assert {paper.preset(name) for name in grey} == {"paper-mnist"} and paper.preset("cifar10") == "paper-cifar"


def test_a_histogram_tells_what_it_cannot_show():
    axes = plots.canvas(1, 1, 3, 3)[1][0, 0]
    values = np.array([0.0, 0, 0, 1, 2, 3, np.nan])
    plots.planted_histogram(axes, values, np.array([True, False, False, True, False, True, False]), "curvature")
    assert [text.get_text() for text in axes.texts] == ["not drawn: 3 pictures at 0, 1 of them planted"]
    assert len(axes.lines[0].get_xdata()) == 2


def test_a_name_ends_no_row_of_a_table_and_a_number_is_no_formula():
    made = Table("t", "T", ("", "count", "share"), (("a\rb,=c.png", -3, -0.5), ("=1+1", None, float("nan"))))
    rows = list(csv.reader(io.StringIO(tables_csv.render(made).decode(), newline="")))
    assert rows == [["name", "count", "share"], ["a\rb,=c.png", "-3", "-0.5"], ["'=1+1", "", ""]]


def test_what_is_zero_has_no_multiple():
    assert wording.beside(6.0, 2.0, "that of the others") == "6, 3 times that of the others"
    assert wording.beside(6.0, 0.0, "that of the others") == "6, and that of the others is 0"


def test_sensitivity_compares_with_the_base(tmp_path, folder):
    result = curvaudit.reproduce("sensitivity", tmp_path / "s", source=folder, rates=0.1, **TINY)
    check_files(tmp_path / "s", result)
    rows = {row["name"]: row for row in table(tmp_path / "s", "sensitivity")}
    assert float(rows["base: h = 0.001, n = 5, 2 epochs, width 4"]["Spearman with the base"]) == pytest.approx(1)
    # The same network, measured with another step or fewer probes; with fewer, less alike.
    column = "Spearman with the base"
    likeness = {name: float(row[column]) for name, row in rows.items() if row[column]}
    assert likeness["h = 0.01"] > 0.8 and likeness["n = 3"] > 0.8 and likeness["n = 1"] > 0.6
    assert {"h = 0.0001", "1 epochs", "another seed", "every 2nd epoch measured"} <= set(likeness)
    for name, row in rows.items():
        change = row["change"]
        base = float(rows["base: h = 0.001, n = 5, 2 epochs, width 4"]["AUROC"])
        assert not change or float(change) == pytest.approx(float(row["AUROC"]) - base, abs=1e-5), name
    first, *others = (row for row in result.outcome.tables[0].rows if row[3] is not None)
    seed = next(row for row in others if row[0] == "another seed")
    worst = min((row for row in others if row is not seed), key=lambda row: row[2])
    assert result.outcome.sentences == (
        f"Base: AUROC {first[2]:.3f}, average precision {first[4]:.3f}. Another seed alone changes AUROC by "
        f"{seed[3]:+.3f} and ranks to a Spearman correlation of {seed[1]:.2f}.",
        f"The variant that loses most is {worst[0]}: AUROC {worst[2]:.3f} ({worst[3]:+.3f}), Spearman {worst[1]:.2f}.",
    )


class _Reached(Exception):
    """What would train for days was reached."""


@pytest.mark.parametrize(
    ("name", "module", "function", "expected"),
    [
        ("agreement", "runs", "scan", {"preset": "paper-cifar", "weight_decay": (0.0, 1e-4)}),
        ("duplicates", "runs", "scan", {"preset": "paper-cifar", "weight_decay": (0.0, 1e-4)}),
        ("classes", "runs", "scan", {"preset": "paper-cifar"}),
        ("dynamics", "runs", "scan", {"preset": "paper-cifar", "curvature_every": 1}),
        ("corruption", "corruption", "calibrate", {"preset": "paper-cifar", "weight_decay": 1e-4, "repeats": 3}),
        ("sensitivity", "sensitivity", "scan", {"preset": "paper-cifar", "curvature_every": 1, "probes": 10}),
    ],
)
def test_full_scale_is_the_papers_setting(tmp_path, folder, monkeypatch, name, module, function, expected):
    seen = {}

    def reached(data, *paths, **told):
        seen.update(told, pictures=len(data.ids))
        raise _Reached

    monkeypatch.setattr(f"curvaudit.reproduction.experiments.{module}.{function}", reached)
    file = scores(tmp_path, x=np.ones(48))
    extra = {"scores": f"{file}:x"} if name == "agreement" else {}
    with pytest.raises(_Reached):
        curvaudit.reproduce(name, tmp_path / "r", scale="full", source=(folder,), **extra)
    assert {key: seen[key] for key in expected} == expected
    assert "probes" not in seen or seen["probes"] == 10  # else the preset's
    # All pictures; where a second split is held out, all but that fifth.
    assert seen["pictures"] == (39 if name in ("classes", "dynamics") else 48)
    epochs = seen.get("epochs")
    assert epochs is None or epochs == 300


@pytest.mark.parametrize("name", ["dynamics", "corruption"])
def test_experiments_train_at_the_resolution_that_is_asked_for(tmp_path, folder, name):
    only = {"rates": 0.1, "baselines": False} if name == "corruption" else {}
    given = {**TINY, "epochs": 1, "resolution": "12", **only}
    result = curvaudit.reproduce(name, tmp_path / "r", source=folder, **given)
    assert "--resolution 12" in result.command and result.outcome.trainings[0]["resolution"] == 12
    for path in (tmp_path / "r").rglob("*.h5"):
        assert curvaudit.open_run(path).info.config["resolution"] == 12


# --- noise between classes that look alike -------------------------------------------


def test_pairs_are_the_classes_that_look_alike():
    labels = np.repeat([0, 1, 3], 20)
    looks = np.random.default_rng(0).normal(0, 0.1, (60, 4))
    looks[labels == 1] += 5
    looks[labels == 3] += 4
    partner = lookalikes(labels, looks, 4)
    assert partner.tolist() == [3, 3, -1, 1]
    planted = plant(labels, 0.2, 0, partner)
    assert planted.wrong.sum() == 12
    assert set(zip(labels[planted.wrong].tolist(), planted.labels[planted.wrong].tolist(), strict=True)) == {
        (0, 3), (1, 3), (3, 1),
    }  # fmt: skip


# --- what surrounds them -------------------------------------------------------------


def test_every_experiment_is_complete():
    for name in experiments.NAMES:
        one = experiments.named(name)
        assert one.name == name and len(one.paper) > 40 and ("igure" in one.paper or "able" in one.paper
                                                             or "ppendix" in one.paper)  # fmt: skip
    with pytest.raises(CurvauditError, match="no experiment 'toaster'"):
        experiments.named("toaster")


def test_an_earlier_result_is_not_replaced_unasked(tmp_path):
    curvaudit.reproduce("spiral", tmp_path / "s", seeds=1, epochs=1)
    with pytest.raises(CurvauditError, match="holds an earlier result"):
        curvaudit.reproduce("spiral", tmp_path / "s", seeds=1, epochs=1)
    for name in ("mine.png", "mine.csv"):
        (tmp_path / "s" / name).write_text("of somebody else")
    (tmp_path / "s" / "spiral-panel.svg").write_text("of an earlier result")
    kept = {path.name: path.read_bytes() for path in (tmp_path / "s").iterdir()}
    with pytest.raises(CurvauditError, match="too large"):  # it stays until there is another one
        curvaudit.reproduce("spiral", tmp_path / "s", seed=2**63 - 1, overwrite=True)
    assert kept == {path.name: path.read_bytes() for path in (tmp_path / "s").iterdir()}
    curvaudit.reproduce("spiral", tmp_path / "s", seeds=1, epochs=1, overwrite=True)
    assert (tmp_path / "s" / "mine.png").read_text() == (tmp_path / "s" / "mine.csv").read_text() == "of somebody else"
    assert (tmp_path / "s" / "spiral-panel.svg").read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["toaster"], "There is no experiment 'toaster'"),
        (["spiral", "--samples", "50"], "--samples says nothing to the experiment spiral"),
        (["spiral", "--scale", "huge"], "--scale 'huge' is not known"),
        (["spiral", "--seeds", "0"], "--seeds 0 is too small"),
        (["corruption", "--seeds", "2", "--seed", str(2**63 - 1)], "--seed 9223372036854775807 is too large"),
        (["spiral", "--seed", str(2**63 - 1)], "--seed 9223372036854775807 is too large"),
        (["spiral", "--seed", str(2**63)], "--seed 9223372036854775808 is too large"),
        (["sensitivity", "--seed", str(2**63 - 1)], "--seed 9223372036854775807 is too large"),
        (["corruption", "--noise", "loud"], "--noise 'loud' is not known"),
        (["sensitivity", "--rates", "0"], "--rates: not all are above 0"),
        (["sensitivity", "--rates", "2,4"], "sensitivity takes one of --rates"),
        (["dynamics", "--from", "x.h5", "--mask", "sure"], "--mask says nothing without --scores"),
        (["agreement"], "needs memorization scores"),
        (["duplicates", "--from", "gone.h5"], "gone.h5"),
        (["duplicates", "--from", "x.h5", "--samples", "50"], "--samples says nothing about run files"),
        (["duplicates", "--from", "x.h5", "--epochs", "5"], "--epochs says nothing about run files"),
        (["classes", "--from", "x.h5", "--validation", "test"], "--validation says nothing about run files"),
        (["duplicates", "--from", "x.h5", "--data-dir", "x"], "--data-dir says nothing about run files"),
        (["duplicates", "--from", "x.h5", "--source", "y", "--data-dir", "x"], "--data-dir says nothing about run"),
        (["duplicates", "--from", "x.h5", "--source", "mnist", "--data-dir", "x"], "There is no run file x.h5"),
        (["duplicates", "--from", "x.h5", "--source", "y.csv", "--label-column", "x"], "There is no run file x.h5"),
    ],
)
def test_bad_options_are_told(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["curvaudit", "reproduce", *arguments])
    with pytest.raises(SystemExit) as leave:
        main()
    assert leave.value.code == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.rglob("index.html"))


def test_paths_and_numpy_are_as_good(tmp_path):
    draw_folder(tmp_path / "data", ("a", "b"), each=12)
    given = {"source": tmp_path / "data", "samples": np.int64(24), "download": np.bool_(False)}
    made = curvaudit.reproduce("classes", tmp_path / "trained", **given, **TINY)
    check_files(tmp_path / "trained", made)
    assert f"--source {tmp_path / 'data'}" in made.command and made.settings["samples"] == 24
    write_run(tmp_path / "run.h5")
    np.savez(tmp_path / "memo.npz", good=np.linspace(0, 1, 90))
    scores = Path(f"{tmp_path / 'memo.npz'}:good")
    made = curvaudit.reproduce("agreement", tmp_path / "read", from_runs=tmp_path / "run.h5", scores=scores)
    check_files(tmp_path / "read", made)
    assert f"--from {tmp_path / 'run.h5'} --scores {scores}" in made.command


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"seeds": "2"}, "--seeds '2' is not a whole number"),
        ({"epochs": 2.5}, "--epochs 2.5"),
        ({"seed": None}, "--seed None"),
        ({"source": 5}, "--source 5 is no text"),
        ({"from_runs": [5]}, "--from 5 is no text"),
        ({"noise": None}, "--noise None is no text"),
        ({"rates": "10"}, "--rates '10' is not a number"),
        ({"download": "no"}, "--download 'no' is neither"),
        ({"overwrite": "no"}, "overwrite 'no' is neither"),
    ],
)
def test_settings_of_another_type_are_told_before_any_training(given, says, tmp_path):
    with pytest.raises(CurvauditError, match=says):
        curvaudit.reproduce("corruption", tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()


def test_without_matplotlib_the_install_command_is_named(tmp_path, monkeypatch):
    def missing(module: str) -> None:
        raise ImportError(f"No module named {module!r}")

    monkeypatch.setattr(extras, "import_module", missing)
    with pytest.raises(CurvauditError, match="needs the package matplotlib") as told:
        curvaudit.reproduce("spiral", tmp_path / "s", seeds=1)
    assert "pip install 'curvaudit[reproduce]'" in told.value.hint
    assert not (tmp_path / "s").exists()


def test_the_command_line_prints_json(tmp_path, monkeypatch, capsys):
    out = str(tmp_path / "s")
    monkeypatch.setattr("sys.argv", ["curvaudit", "reproduce", "spiral", "--seeds", "1", "--epochs", "2", "-o", out,
                                     "--format", "json", "-q"])  # fmt: skip
    with pytest.raises(SystemExit) as leave:
        main()
    assert not leave.value.code
    said = json.loads(capsys.readouterr().out)
    assert said["experiment"] == "spiral" and said["command"].endswith(f"-o {out}")


def test_figures_are_the_same_bytes_each_time():
    def drawn():
        figure, axes = plots.canvas(1, 1, 3, 2)
        plots.curves(axes[0, 0], [plots.Line("a", np.arange(3), np.array([1.0, np.nan, 3]))], "x", "y", log=True)
        return figure

    assert plots.svg(drawn()) == plots.svg(drawn()) and plots.png(drawn()) == plots.png(drawn())


def test_the_command_says_what_was_given(tmp_path):
    one = experiments.named("corruption")
    told = experiments.interface.Settings(
        out=tmp_path, source=("mnist", "my data"), rates=(0.01, 0.1), noise=("pairs",), baselines=False
    )
    assert reproducing.command(one, told, named=False) == (
        "curvaudit reproduce corruption --source mnist --source 'my data' --rates 1,10 --noise pairs --no-baselines"
    )
    assert duplicates.TOP == 60
