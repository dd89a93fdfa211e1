"""Nearest neighbours in feature space: what is logged, what is found, what it costs."""

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch
from made import write_run

import curvaudit
from curvaudit import store
from curvaudit.anonymizing import anonymized
from curvaudit.derived import neighbourhood
from curvaudit.engine.training_run import Training
from curvaudit.store import run as stored_run
from curvaudit.store.epochs import put_features
from curvaudit.training import features
from curvaudit.training.model import build_model
from curvaudit.training.presets import named

SETTINGS = {"epochs": 2, "width": 4, "resolution": "12", "device": "cpu"}


def brute_force(values, rows, nearest):
    directions = values - values.mean(axis=0)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    cosine = directions @ directions.T
    np.fill_diagonal(cosine, -np.inf)
    order = np.argsort(-cosine[rows], axis=1, kind="stable")[:, :nearest]
    return order, np.take_along_axis(cosine[rows], order, axis=1)


@pytest.fixture
def run_file(tmp_path):
    path = tmp_path / "run.h5"
    write_run(path)
    return path


def test_the_nearest_are_those_of_brute_force(run_file, monkeypatch):
    run = store.open_run(run_file)
    values = next(run.features(0))[1]
    rows = [0, 1, 5, 17, 44, 89]
    order, cosine = brute_force(values, rows, 4)
    for block, queries in ((4096, 1024), (7, 2)):  # in one piece, and in many
        monkeypatch.setattr(stored_run, "FEATURES", block)
        monkeypatch.setattr(neighbourhood, "_QUERIES", queries)
        found = neighbourhood.neighbours(run, 0, rows, 4)
        assert found.rows.tolist() == rows and found.epoch == 2
        np.testing.assert_array_equal(found.nearest, order)
        np.testing.assert_allclose(found.similarity, cosine, atol=1e-5)
        assert found.of(17) == order[3].tolist() and found.of(2) == []


def test_samples_without_a_direction_and_tiny_sets_have_neighbours(tmp_path, run_file):
    with h5py.File(run_file, "r+") as file:
        values = file["trainings/0/features"][:]
        values[:] = 1  # all alike: no direction
        put_features(file["trainings/0"], values, 2)
    found = neighbourhood.neighbours(store.open_run(run_file), 0, range(90))
    assert (found.similarity == 0).all() and (found.nearest != np.arange(90)[:, None]).all()
    assert neighbourhood.neighbours(store.open_run(run_file), 0, range(90), nearest=500).nearest.shape == (90, 89)


def test_a_run_without_features_has_a_report_without_neighbours(run_file, tmp_path):
    with h5py.File(run_file, "r+") as file:
        del file["trainings/0/features"]
    report = curvaudit.report(run_file)
    assert report.neighbours is None and report.near(0) == []
    page = curvaudit.save(report, tmp_path / "out").read_text()
    assert '"nearEpoch":null' in page
    assert "neighbours" not in json.loads((tmp_path / "out" / "findings.json").read_text())
    assert "neighbours" not in (tmp_path / "out" / "ranking.csv").read_text().splitlines()[0]


def test_files_name_the_neighbours(run_file, tmp_path):
    report = curvaudit.report(run_file, top=5)
    curvaudit.save(report, tmp_path)
    told = json.loads((tmp_path / "findings.json").read_text())["neighbours"]
    first = told["samples"][0]
    row = int(report.order[0])
    assert told["epoch"] == 2 and first["index"] == row and first["id"] == report.samples.ids[row]
    near = report.near(row)
    assert near and [(one["index"], one["id"], one["label"]) for one in first["nearest"]] == [
        (one, report.samples.ids[one], report.label(one)) for one in near
    ]
    frame = report.to_pandas()
    assert frame.loc[row, "neighbours"] == near
    assert frame.loc[row, "neighbours_alike"] == np.mean([report.label(one) == report.label(row) for one in near])
    line = (tmp_path / "ranking.csv").read_text().splitlines()[1]
    assert line.endswith(f"{' '.join(map(str, near))},{frame.loc[row, 'neighbours_alike']:.4g}")
    # Names are hashed in an anonymous report, also those of neighbours.
    hidden = curvaudit.report(run_file, anonymize=True)
    assert all(hidden.samples.ids[one].startswith("sample-") for one in hidden.near(row))
    assert anonymized(store.open_run(run_file)).features_epoch(0) == 2


def test_large_sets_look_for_the_first_only(run_file, monkeypatch):
    assert neighbourhood.at_most(60_000) > 60_000 and 3000 < neighbourhood.at_most(1_281_167) < 4000
    monkeypatch.setattr(neighbourhood, "_PRODUCTS", 90 * 7)
    report = curvaudit.report(run_file, top=6)
    assert len(report.neighbours.rows) == 7 and set(report.order[:6]) <= set(report.neighbours.rows)


def test_features_are_the_input_of_the_last_layer():
    pixels = torch.randint(0, 256, (10, 3, 16, 16), dtype=torch.uint8)
    for width in (4, 16):  # 32 and 128 features
        model = build_model(
            classes=3, channels=3, resolution=16, width=width, mean=torch.zeros(3), std=torch.ones(3), seed=0
        ).eval()
        found = features.features(model, pixels, batch_size=3, device=torch.device("cpu"))
        assert found.dtype == np.float16 and found.shape == (10, min(8 * width, 64))
        network = model.network
        with torch.no_grad():
            whole = network.avgpool(
                network.layer4(network.layer3(network.layer2(network.layer1(network.relu(network.bn1(network.conv1(
                    pixels.float() / 255
                )))))))
            ).flatten(1)  # fmt: skip
        if width == 4:
            np.testing.assert_allclose(found, whole.numpy(), rtol=2e-3, atol=2e-3)
        else:  # a projection that nearly keeps lengths
            ratio = np.linalg.norm(found.astype(float), axis=1) / whole.norm(dim=1).numpy()
            assert (ratio > 0.6).all() and (ratio < 1.4).all()


def test_features_are_of_an_epoch_before_memorization():
    fast = named("fast", 5000, 3)
    assert fast.augmentation_in(features.logged_in(fast)) != "none"
    assert fast.augmentation_in(features.logged_in(fast) + 1) == "none"
    paper = named("paper-mnist", 60_000, 1)
    assert 1 <= features.logged_in(paper) <= paper.epochs // 4
    assert features.logged_in(replace(fast, epochs=1, plain_epochs=1)) == 1


def test_a_scan_logs_features_once_and_a_resumed_one_the_same(image_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    curvaudit.scan(image_folder, tmp_path / "whole.h5", **SETTINGS)

    def stop(*given):  # trained, not yet measured
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Training, "_measure", stop)
        curvaudit.scan(image_folder, tmp_path / "resumed.h5", **SETTINGS)
    curvaudit.scan(image_folder, tmp_path / "resumed.h5", resume=True, **SETTINGS)
    with h5py.File(tmp_path / "whole.h5") as whole, h5py.File(tmp_path / "resumed.h5") as resumed:
        one, other = whole["trainings/0/features"], resumed["trainings/0/features"]
        assert one.shape == (60, 32) and one.dtype == np.float16 and one.fletcher32
        assert int(one.attrs["epoch"]) == int(other.attrs["epoch"]) == 1
        np.testing.assert_array_equal(one[:], other[:])


def test_pictures_larger_than_a_thumbnail_are_kept_larger(tmp_path):
    from made import draw_folder

    draw_folder(tmp_path / "images", ("circle", "square"), 6, size=130)
    run = curvaudit.scan(tmp_path / "images", tmp_path / "run.h5", epochs=1, width=4, resolution="16", device="cpu")
    previews, thumbnails = run.previews(range(12)), run.thumbnails(range(12))
    assert set(previews) == set(range(12))
    assert all(len(previews[row]) > len(thumbnails[row]) for row in previews)
    page = curvaudit.save(curvaudit.report(run), tmp_path / "out").read_text()
    assert page.count("data:image/webp") == 12
    assert not curvaudit.report(run, thumbnails=False).previews
