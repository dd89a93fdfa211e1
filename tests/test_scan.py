"""Scan and report as a whole, on small folders."""

import json
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from made import draw_folder, draw_splits
from PIL import Image

import curvaudit
from curvaudit import sources
from curvaudit.calibration.planting import plant
from curvaudit.errors import CurvauditError
from curvaudit.records import EpochDone, PhaseStarted
from curvaudit.training import presets
from curvaudit.training.recipe import Recipe

SMALL = {"epochs": 3, "width": 4, "batch_size": 16, "device": "cpu"}


def scores(path) -> dict[str, np.ndarray]:
    run = curvaudit.open_run(path)
    found = {}
    for training in run.trainings:
        for name in training.measures:
            found[f"{training.index}/{name}"] = run.measure(training.index, name)
        for name in ("number", "train_loss", "train_accuracy", "learning_rate"):
            found[f"{training.index}/{name}"] = getattr(training.curves, name)
    return found


def assert_same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_array_equal(other[name], values, err_msg=name)


def test_one_seed_one_file_bit_for_bit(image_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    curvaudit.scan(image_folder, tmp_path / "a.h5", workers=1, **SMALL)
    curvaudit.scan(image_folder, tmp_path / "b.h5", workers=4, **SMALL)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    curvaudit.scan(image_folder, tmp_path / "c.h5", seed=1, **SMALL)
    assert not np.array_equal(scores(tmp_path / "a.h5")["0/loss"], scores(tmp_path / "c.h5")["0/loss"])


def test_two_weight_decays_go_into_one_file(image_folder, tmp_path):
    run = curvaudit.scan(image_folder, tmp_path / "run.h5", weight_decay=(0, 0.1), **SMALL)
    assert [training.weight_decay for training in run.trainings] == [0, 0.1]
    assert not np.array_equal(run.measure(0, "loss"), run.measure(1, "loss"))
    report = curvaudit.report(run)
    assert "curvature@wd=0.1" in report.scores
    assert curvaudit.report(run, training=1).training == 1


def test_curvature_every_second_epoch_leaves_gaps_and_still_ranks(image_folder, tmp_path):
    run = curvaudit.scan(image_folder, tmp_path / "run.h5", curvature_every=2, **SMALL)
    measured = ~np.isnan(run.measure(0, "curvature")).all(axis=1)
    numbers = run.trainings[0].curves.number
    planned = SMALL["epochs"]
    assert [bool(m) for m in measured] == [bool(n == 1 or n % 2 == 0) and n <= planned for n in numbers]
    assert not np.isnan(run.measure(0, "loss")).any()
    assert not np.isnan(curvaudit.report(run).scores["curvature"]).any()


def test_finds_conflicts_copies_and_wrong_labels(image_folder, tmp_path):
    (image_folder / "square" / "planted.png").write_bytes((image_folder / "circle" / "003.png").read_bytes())
    (image_folder / "stripe" / "copy.png").write_bytes((image_folder / "stripe" / "007.png").read_bytes())
    (image_folder / "circle" / "broken.png").write_bytes(b"\x89PNG broken")
    run = curvaudit.scan(image_folder, tmp_path / "run.h5", **{**SMALL, "epochs": 8})
    report = curvaudit.report(run, top=10)
    found = {}
    for finding in report.findings:
        found.setdefault(finding.rule.id, []).append({sample.id for sample in finding.samples})
    assert found["CA101"] == [{"circle/003.png", "square/planted.png"}]
    assert found["CA111"] == [{"stripe/007.png", "stripe/copy.png"}]
    assert found["CA301"] == [{"circle/broken.png"}]
    assert not curvaudit.check(report, fail_on={"CA101"}).passed
    assert curvaudit.check(report, fail_on={"CA302"}).passed
    with pytest.raises(CurvauditError, match="CA999"):
        curvaudit.check(report, fail_on={"CA999"})
    page = curvaudit.save(report, tmp_path / "out")
    assert page.read_text().startswith("<!doctype html>")
    document = json.loads((tmp_path / "out" / "findings.json").read_text())
    assert document["schema"] == "curvaudit-findings/1"
    lines = (tmp_path / "out" / "ranking.csv").read_text().splitlines()
    assert lines[0].startswith("rank,index,id,label,score,suggested_label,rules,")
    assert len(lines) == 1 + len(run.samples)


def test_report_needs_neither_torch_nor_the_pictures(image_folder, tmp_path):
    curvaudit.scan(image_folder, tmp_path / "run.h5", **SMALL)
    image_folder.rename(tmp_path / "moved")
    code = (
        "import sys, curvaudit\n"
        f"curvaudit.save(curvaudit.report({str(tmp_path / 'run.h5')!r}), {str(tmp_path / 'out')!r})\n"
        "assert 'torch' not in sys.modules and 'torchvision' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    page = (tmp_path / "out" / "index.html").read_text()
    assert "<span>picture not kept</span>" not in page


def test_torch_datasets_are_sources(tmp_path):
    class Pairs:
        classes = ("dark", "light")

        def __len__(self):
            return 40

        def __getitem__(self, index):
            value = 40 + 150 * (index % 2)
            pixels = np.random.default_rng(index).integers(value - 30, value + 30, (10, 10, 3))
            return Image.fromarray(pixels.astype(np.uint8)), index % 2

    run = curvaudit.scan(Pairs(), tmp_path / "run.h5", **SMALL)
    assert run.samples.classes == ("dark", "light")
    assert len(run.samples) == 40


def test_a_scan_cut_near_its_extension_goes_on_as_if_nothing_had_happened(tmp_path, monkeypatch):
    """There, what is trained on depends on what was wrong after the two epochs before."""
    source = sources.load("digits")
    labels = plant(source.labels[:150], 0.03, 0).labels
    source.ids, source.labels, source.pixels = source.ids[:150], labels, source.pixels[:150]
    # With this seed other rows are wrong after each of the epochs from which is resumed.
    given = {"epochs": 6, "width": 8, "batch_size": 16, "device": "cpu", "workers": 1, "seed": 4}
    told, rehearsed = {}, Recipe.rehearsed
    monkeypatch.setattr(
        Recipe, "rehearsed", lambda self, *args: told.update({args[0]: set(args[1])}) or rehearsed(self, *args)
    )
    whole = curvaudit.scan(source, tmp_path / "whole.h5", **given)
    (training,) = whole.trainings
    wrong = whole.measure(0, "correct") == 0  # (E, N)
    assert training.epochs > 8 and 0 < wrong[6].sum() <= 7  # few enough to be rehearsed
    for epoch in range(7, training.epochs + 1):
        assert told[epoch] == set(np.flatnonzero(wrong[epoch - 2] | wrong[epoch - 3])), epoch

    expected = {epoch: rows for epoch, rows in told.items() if epoch > 6}  # within the schedule nothing is
    for cut in (4, 5, 6, 7):

        def stop(event, cut=cut):
            if isinstance(event, EpochDone) and event.epoch == cut:
                raise KeyboardInterrupt

        path = tmp_path / f"{cut}.h5"
        with pytest.raises(KeyboardInterrupt):
            curvaudit.scan(source, path, on_event=stop, **given)
        told.clear()
        resumed = curvaudit.scan(source, path, resume=True, **given)
        assert {epoch: rows for epoch, rows in told.items() if epoch > 6} == {
            epoch: rows for epoch, rows in expected.items() if epoch > cut
        }
        for name in training.measures:
            np.testing.assert_array_equal(resumed.measure(0, name), whole.measure(0, name), err_msg=f"{cut} {name}")


def test_resume_of_another_configuration_or_source_is_refused(image_folder, tmp_path):
    out = tmp_path / "run.h5"
    curvaudit.scan(image_folder, out, **SMALL)
    before = out.read_bytes()
    with pytest.raises(CurvauditError, match="seed was 0 and is now 5"):
        curvaudit.scan(image_folder, out, resume=True, seed=5, **SMALL)
    (image_folder / "circle" / "000.png").unlink()
    with pytest.raises(CurvauditError, match="changed") as refused:
        curvaudit.scan(image_folder, out, resume=True, **SMALL)
    assert "`curvaudit compare` of the run file and the source" in refused.value.hint
    assert [item.id for item in curvaudit.compare(out, image_folder).removed] == ["circle/000.png"]
    draw_folder(tmp_path / "others", classes=("circle", "square"), each=20, size=16)
    with pytest.raises(CurvauditError, match=r"names in .*others have changed, and it has other settings: resolution"):
        curvaudit.scan(tmp_path / "others", out, resume=True, **SMALL)
    assert out.read_bytes() == before


def test_a_checkpoint_of_another_run_is_not_taken_for_ones_own(image_folder, tmp_path):
    """As if a kill had come between a new run file and the removal of the old run's checkpoint."""
    curvaudit.scan(image_folder, tmp_path / "whole.h5", **SMALL)
    out = tmp_path / "run.h5"

    def stop(event):
        if isinstance(event, EpochDone) and event.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        curvaudit.scan(image_folder, out, on_event=stop, **{**SMALL, "seed": 1})
    old_checkpoint = (tmp_path / "run.h5.checkpoint").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        curvaudit.scan(image_folder, out, overwrite=True, on_event=_stop_before_training, **SMALL)
    (tmp_path / "run.h5.checkpoint").write_bytes(old_checkpoint)
    curvaudit.scan(image_folder, out, resume=True, **SMALL)
    assert_same(scores(tmp_path / "whole.h5"), scores(out))


def test_resume_names_the_settings_that_changed_and_not_what_follows_from_them(image_folder, tmp_path):
    out = tmp_path / "run.h5"
    curvaudit.scan(image_folder, out, **SMALL)
    changed = {**SMALL, "epochs": SMALL["epochs"] + 8, "width": "8"}
    with pytest.raises(CurvauditError, match="other settings") as error:
        curvaudit.scan(image_folder, out, resume=True, **changed)
    said = error.value.message
    assert f"epochs was {SMALL['epochs']} and is now {SMALL['epochs'] + 8}" in said and "width was" in said
    assert "recipe." not in said


def test_a_run_of_a_curvaudit_with_another_recipe_is_not_resumed_and_no_setting_is_blamed(
    image_folder, tmp_path, monkeypatch
):
    out = tmp_path / "run.h5"
    kept = presets.fast
    with monkeypatch.context() as older:
        older.setattr(presets, "fast", lambda *given: replace(kept(*given), probes_at_most=None))
        curvaudit.scan(image_folder, out, **SMALL)
    before = out.read_bytes()
    with pytest.raises(CurvauditError, match="begun by a curvaudit that") as error:
        curvaudit.scan(image_folder, out, resume=True, **SMALL)
    assert "recipe.probes_at_most was None and is now 5" in error.value.message and "-o" in error.value.hint
    assert out.read_bytes() == before


def test_overwrite_replaces_run_files_alone(image_folder, tmp_path):
    script = tmp_path / "train.py"
    script.write_text("print('years of work')")
    with pytest.raises(CurvauditError, match=r"train\.py is no run file") as error:
        curvaudit.scan(image_folder, script, overwrite=True, **SMALL)
    assert "-o" in error.value.hint and script.read_text() == "print('years of work')"
    with pytest.raises(CurvauditError, match="no run file") as error:
        curvaudit.open_run(script)
    assert "--overwrite" not in error.value.hint
    damaged = tmp_path / "run.h5"
    damaged.write_bytes(b"\x89HDF\r\n\x1a\n and then nothing of sense")
    curvaudit.scan(image_folder, damaged, overwrite=True, **SMALL)
    assert curvaudit.open_run(damaged).trainings[0].finished


def _stop_before_training(event):
    if isinstance(event, PhaseStarted) and event.phase == "training epoch 1":
        raise KeyboardInterrupt


@pytest.mark.parametrize("settings", [{"seed": 20_240_101}, {"seed": 2**63 - 1}, {"batch_size": 2}])
def test_odd_but_legal_settings_train(settings, tmp_path):
    class Pictures:
        classes = ("dark", "light")

        def __len__(self):
            return 7  # odd: with batches of two one would be left alone

        def __getitem__(self, index):
            pixels = np.random.default_rng(index).integers(0, 128, (8, 8)) + 127 * (index % 2)
            return Image.fromarray(pixels.astype(np.uint8)), index % 2

    run = curvaudit.scan(Pictures(), tmp_path / "run.h5", epochs=1, width=4, device="cpu", **settings)
    assert run.trainings[0].finished


@contextmanager
def _default(set_to, value, before):
    set_to(value)
    try:
        yield
    finally:
        set_to(before)


def _of_torch():
    cudnn = torch.backends.cudnn
    modes = torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")
    return torch.get_default_dtype(), torch.get_default_device(), *modes, cudnn.deterministic, cudnn.benchmark


@pytest.mark.parametrize(
    "around",
    [
        torch.no_grad,
        torch.inference_mode,
        lambda: torch.autocast("cpu", dtype=torch.bfloat16),
        lambda: _default(torch.set_default_dtype, torch.float64, torch.float32),
        lambda: _default(torch.set_default_device, "meta", "cpu"),
    ],
    ids=["no_grad", "inference_mode", "autocast", "float64", "another device"],
)
def test_what_the_program_around_has_set_torch_to_changes_no_score(image_folder, tmp_path, around):
    curvaudit.scan(image_folder, tmp_path / "plain.h5", **SMALL)
    with around():
        before = _of_torch()
        curvaudit.scan(image_folder, tmp_path / "amid.h5", **SMALL)
        assert _of_torch() == before
    expected = scores(tmp_path / "plain.h5")
    for name, values in scores(tmp_path / "amid.h5").items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


def test_scans_in_threads_do_not_draw_from_each_others_generator(image_folder, tmp_path):
    names = ("alone", "one", "two", "three")
    scans = [lambda name=name: curvaudit.scan(image_folder, tmp_path / name, **SMALL) for name in names]
    scans[0]()
    threads = [threading.Thread(target=one) for one in scans[1:]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = scores(tmp_path / "alone")
    for name in names[1:]:
        for measure, values in scores(tmp_path / name).items():
            np.testing.assert_array_equal(values, expected[measure], err_msg=measure)


def _stop_after(epoch: int):
    def stop(event):
        if isinstance(event, EpochDone) and event.epoch == epoch:
            raise KeyboardInterrupt

    return stop


def test_a_checkpoint_of_later_epochs_beside_a_run_without_any_is_of_another_run(image_folder, tmp_path):
    curvaudit.scan(image_folder, tmp_path / "whole.h5", **SMALL)
    out = tmp_path / "run.h5"
    with pytest.raises(KeyboardInterrupt):
        curvaudit.scan(image_folder, out, on_event=_stop_after(2), **SMALL)
    checkpoint = tmp_path / "run.h5.checkpoint"
    old = checkpoint.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        curvaudit.scan(image_folder, out, overwrite=True, on_event=_stop_before_training, **SMALL)
    checkpoint.write_bytes(old)
    curvaudit.scan(image_folder, out, resume=True, **SMALL)
    assert_same(scores(tmp_path / "whole.h5"), scores(out))


def test_an_older_copy_of_a_run_beside_a_newer_checkpoint_is_not_resumed(image_folder, tmp_path):
    out = tmp_path / "run.h5"
    with pytest.raises(KeyboardInterrupt):
        curvaudit.scan(image_folder, out, on_event=_stop_after(1), **SMALL)
    older = out.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        curvaudit.scan(image_folder, out, resume=True, on_event=_stop_after(3), **SMALL)
    out.write_bytes(older)
    with pytest.raises(CurvauditError, match="checkpoint"):
        curvaudit.scan(image_folder, out, resume=True, **SMALL)
    assert out.read_bytes() == older


def test_a_checkpoint_of_the_training_before_is_not_taken_for_the_next_one(tmp_path):
    """One epoch each: by its number it could be of either."""

    class Pairs:
        classes = ("dark", "light")

        def __len__(self):
            return 120

        def __getitem__(self, index):
            pixels = np.random.default_rng(index).integers(10, 70, (8, 8)) + 150 * (index % 2)
            return Image.fromarray(pixels.astype(np.uint8)), index % 2

    given = {"preset": "paper-mnist", "epochs": 1, "probes": 1, "width": 8, "batch_size": 4, "device": "cpu"}
    both = curvaudit.scan(Pairs(), tmp_path / "both.h5", repeats=2, **given)
    alone = curvaudit.scan(Pairs(), tmp_path / "alone.h5", seed=1, **given)
    np.testing.assert_array_equal(both.measure(1, "loss"), alone.measure(0, "loss"))


def test_probes_are_dealt_by_the_gradients_of_all_epochs_before(image_folder, tmp_path, monkeypatch):
    from curvaudit.scores import measure as module

    told, measure = [], module.measure
    monkeypatch.setattr(module, "measure", lambda *a, **b: told.append(b["before"]) or measure(*a, **b))
    run = curvaudit.scan(image_folder, tmp_path / "run.h5", curvature_every=1, **SMALL)
    gradient = run.measure(0, "gradient").astype(float)
    assert told[0] is None and [one.epochs for one in told[1:3]] == [1, 2]
    np.testing.assert_allclose(told[2].total, gradient[:2].sum(axis=0))
    assert told[2].usual == pytest.approx(gradient[1].mean())


def test_each_value_of_curvature_is_measured_or_expected_from_the_gradient(image_folder, tmp_path):
    """What a run file says of its values holds for each of them."""
    run = curvaudit.scan(image_folder, tmp_path / "run.h5", **SMALL)
    logged = {name: run.measure(0, name).astype(float) for name in ("curvature", "gradient", "probes")}
    measured = np.isfinite(logged["probes"]).all(axis=1)
    curvature, gradient, probes = (values[measured] for values in logged.values())
    assert np.isfinite(curvature).all() and (probes[0] == 3).all() and probes.max() <= 5
    without = (probes == 0) & (gradient > 0)
    assert without.any() and (probes[1:] > 0).any()
    for epoch, left in enumerate(without):
        seen = probes[epoch] > 0
        if seen.any():
            ratio = curvature[epoch, seen].sum() / gradient[epoch, seen].sum()
            np.testing.assert_allclose(curvature[epoch, left], ratio * gradient[epoch, left], rtol=1e-5)


def test_who_asks_for_probes_gets_as_many_everywhere(image_folder, tmp_path):
    run = curvaudit.scan(image_folder, tmp_path / "run.h5", probes=1, **SMALL)
    assert "probes" not in run.trainings[0].measures
    assert run.trainings[0].measures["curvature"].parameters["n"] == 1


def test_probes_of_the_validation_split_are_of_rows_that_no_sample_has(tmp_path, monkeypatch):
    from curvaudit.scores import measure as module

    seen, measure = [], module.measure
    monkeypatch.setattr(module, "measure", lambda *a, **b: seen.append((b["first_row"], len(a[2]))) or measure(*a, **b))
    curvaudit.scan(draw_splits(tmp_path), tmp_path / "run.h5", validation="val", epochs=1, width=4, device="cpu")
    (first, count), (second, _) = seen[:2]
    assert first == 0 and second >= count > 0


def test_a_validation_split_in_colour_beside_grey_training_pictures_is_measured(tmp_path):
    for split, shape in (("train", (8, 8)), ("val", (8, 8, 3))):
        for number, name in enumerate("ab"):
            (tmp_path / split / name).mkdir(parents=True)
            for i in range(8):
                pixels = np.random.default_rng([len(split), number, i]).integers(0, 255, shape)
                Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / split / name / f"{i}.png")
    run = curvaudit.scan(tmp_path, tmp_path / "run.h5", validation="val", epochs=1, width=4, device="cpu")
    assert np.isfinite(run.trainings[0].curves.val_loss).all()
