"""A kill between any two system calls of an epoch's commit."""

import itertools
import shutil

import numpy as np
import pytest
import torch
import traced

from curvaudit import store
from curvaudit.records import EpochRow, MeasureInfo, RunInfo, Samples, Thumbnails
from curvaudit.store import changing
from curvaudit.training import checkpoint

N, EPOCHS = 50, 3
MEASURES = ("loss", "curvature")


def epoch_row(number: int) -> EpochRow:
    values = {name: np.full(N, number + place / 8, np.float32) for place, name in enumerate(MEASURES)}
    return EpochRow(number, number / 2, 1.0, 1.0, 1.0, 0.1, 0.0, values)


def state(number: int) -> checkpoint.Checkpoint:
    return checkpoint.Checkpoint("id", 0, number, 0.5, 0.1, 0.0, {"weight": torch.full((9,), number)}, {})


@pytest.fixture
def run_file(tmp_path):
    path = tmp_path / "before" / "run.h5"
    path.parent.mkdir()
    count = np.arange(N)
    samples = Samples(
        ids=tuple(f"class/{i}.png" for i in range(N)),
        labels=(count % 2).astype(np.int32),
        classes=("a", "b"),
        content_hash=count.astype(np.uint64),
        phash=count.astype(np.uint64),
        width=np.ones(N, np.uint16),
        height=np.ones(N, np.uint16),
        contrast=np.ones(N, np.float32),
    )
    info = RunInfo("source", "fingerprint", {}, {}, "test", "2000-01-01T00:00:00Z")
    store.create(path, info, samples, (), Thumbnails(np.zeros(0, np.int64), ()))
    store.add_training(path, 0, 0.0, 0, {}, {name: MeasureInfo("unit", "text", "high") for name in MEASURES})
    for number in range(1, EPOCHS + 1):
        checkpoint.save(checkpoint.path_for(path), state(number))
        store.append_epoch(path, 0, epoch_row(number))
    return path


def commit(path, number: int) -> None:
    checkpoint.save(checkpoint.path_for(path), state(number))
    store.append_epoch(path, 0, epoch_row(number))


@pytest.fixture(params=["copied", "beside", "taken in"])
def way(request, monkeypatch):
    """A small run is copied for each epoch. Of a large one epochs lie beside it until they are taken in."""
    if request.param != "copied":
        monkeypatch.setattr(changing, "_COPIED", 0)
    if request.param == "taken in":  # whatever lies there is taken in at once
        monkeypatch.setattr(changing, "_enough", lambda waiting, size: True)
    return request.param


def settle(path) -> None:
    """Take in what lies beside the run file."""
    with changing.writing(path):
        pass


def test_a_kill_before_any_system_call_of_a_commit_loses_nothing(run_file, tmp_path, long_form, way):
    traced.needed()
    whole = tmp_path / "whole"
    shutil.copytree(run_file.parent, whole)
    commit(whole / "run.h5", EPOCHS + 1)
    assert (len(list(whole.iterdir())) == 3) == (way == "beside")
    settle(whole / "run.h5")
    after, kills = {EPOCHS: 0, EPOCHS + 1: 0}, 0
    for call in itertools.count(1, 1 if long_form else 4):
        folder = tmp_path / "killed"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(run_file.parent, folder)
        path = folder / "run.h5"

        def child(begin, path=path):
            begin()
            commit(path, EPOCHS + 1)

        ended = traced.run(child, kill_before=call)
        if not ended.killed:
            assert ended.code == 0
            break
        kills += 1
        run = store.open_run(path)  # 0 unreadable files
        epochs = run.trainings[0].epochs
        after[epochs] += 1  # 0 lost epochs: a KeyError for any other number
        saved = checkpoint.load(checkpoint.path_for(path))
        assert saved is not None and saved.epoch in (epochs, epochs + 1)
        if epochs == EPOCHS:
            commit(path, EPOCHS + 1)
        settle(path)
        # Going on gives the very bytes of a commit that nobody killed.
        assert path.read_bytes() == (whole / "run.h5").read_bytes(), f"call {call}"
        assert sorted(file.name for file in folder.iterdir()) == ["run.h5", "run.h5.checkpoint"]
    print(
        f"{kills} kills between system calls of a commit: {after[EPOCHS]} before the commit, {after[EPOCHS + 1]} after"
    )
    assert kills > 20 and after[EPOCHS] > 15 and after[EPOCHS + 1] > 0
