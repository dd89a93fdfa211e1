"""One scan by several processes: the scores of one process, and what happens when one dies."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import curvaudit
from curvaudit.errors import CurvauditError
from curvaudit.training.augment import augment
from curvaudit.training.processes import Processes, launched, local_device

# A low rate: at the usual one, a few steps make of rounding a difference of several percent (docs/scale.md).
SETTINGS = {
    "epochs": 2,
    "width": 4,
    "batch_size": 15,
    "lr": 1e-3,
    "device": "cpu",
    "precision": "float32",
    "workers": 1,
}
ARGUMENTS = [text for name, value in SETTINGS.items() for text in (f"--{name.replace('_', '-')}", str(value))]
# Sums over a batch run in another order: float32 rounding, which a few steps of training make larger.
TOLERANCE = 0.02


def start(program: list[str], folder: Path, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *program],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(curvaudit.__file__).parents[1]),
            "OMP_NUM_THREADS": "1",
            **environment,
        },
    )


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture
def alone(image_folder, tmp_path):
    return curvaudit.scan(image_folder, tmp_path / "alone.h5", **SETTINGS)


def same_scores(run: curvaudit.Run, other: curvaudit.Run) -> None:
    assert [t.epochs for t in run.trainings] == [t.epochs for t in other.trainings]
    assert run.trainings[0].finished and other.trainings[0].finished
    for name in run.trainings[0].measures:
        one, two = run.measure(0, name), other.measure(0, name)
        assert (np.isnan(one) == np.isnan(two)).all()
        scale = np.nanmean(np.abs(one))
        if name in ("correct", "prediction"):  # which jump where two classes are level
            assert (one != two).sum() <= 2, name
        else:
            assert np.nanmax(np.abs(one - two), initial=0) <= TOLERANCE * scale, name
    first, second = (set(curvaudit.report(each, top=20).order[:20].tolist()) for each in (run, other))
    assert len(first & second) >= 19


def test_two_processes_give_the_scores_of_one(image_folder, tmp_path, alone):
    program = ["-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port", str(free_port())]
    process = start([*program, "-m", "curvaudit", "scan", str(image_folder), "-o", "two.h5", *ARGUMENTS], tmp_path)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert out.count("Run file: two.h5") == 1
    assert err.count("epoch 2/2:") == 1 and "Warning" not in err
    two = curvaudit.open_run(tmp_path / "two.h5")
    assert two.info.environment["processes"] == 2
    assert two.info.config == alone.info.config
    same_scores(alone, two)
    assert not [file.name for file in tmp_path.iterdir() if file.name.startswith(("two.h5.", ".two"))]


def test_a_dead_process_ends_the_scan_and_one_or_two_resume_it(image_folder, tmp_path, alone):
    together = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    driver = str(Path(__file__).with_name("processes_scan.py"))
    program = [driver, "2", "scan", str(image_folder), "-o", "two.h5", "-q", *ARGUMENTS]
    first, second = (start(program, tmp_path, RANK=rank, **together) for rank in "01")
    out, err = first.communicate(timeout=240)
    assert second.communicate(timeout=60) == ("", "")
    assert first.returncode == 2 and out == ""
    assert err.startswith("Error: Another of the 2 processes of this scan has ended without a word.\n")
    assert "--resume" in err and len(err.splitlines()) == 2
    run = curvaudit.open_run(tmp_path / "two.h5")
    assert run.trainings[0].epochs == 1
    for ending in ("", ".checkpoint"):
        shutil.copy(f"{run.path}{ending}", tmp_path / f"again.h5{ending}")
    same_scores(alone, curvaudit.scan(image_folder, run.path, resume=True, **SETTINGS))
    # Killed between training and measuring: they measure before they train.
    program = ["-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port", str(free_port())]
    program += ["-m", "curvaudit", "scan", str(image_folder), "-o", "again.h5", "--resume", *ARGUMENTS]
    process = start(program, tmp_path)
    err = process.communicate(timeout=240)[1]
    assert process.returncode == 0, err
    same_scores(alone, curvaudit.open_run(tmp_path / "again.h5"))


def test_a_process_that_fails_tells_the_first_one_why(image_folder, tmp_path):
    together = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    driver = str(Path(__file__).with_name("processes_scan.py"))
    program = [driver, "unseen", "scan", str(image_folder), "-o", "two.h5", "-q", *ARGUMENTS]
    first, second = (start(program, tmp_path, RANK=rank, **together) for rank in "01")
    out, err = first.communicate(timeout=240)
    assert second.communicate(timeout=60) == ("", "") and second.returncode == 2
    assert first.returncode == 2 and out == ""
    assert err.startswith("Error: Another of the 2 processes of this scan has ended: process 1: The pixels in ")
    assert "No such file" in err


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("count", [1, 7, 60, 257])
def test_shares_are_parts_of_the_whole(size, count):
    for cut in (lambda one: one.share(count), lambda one: one.batches(count, 16)):
        parts = [range(count)[cut(Processes(rank, size))] for rank in range(size)]
        assert [row for part in parts for row in part] == list(range(count))
    assert all(Processes(rank, size).batches(count, 16).start in (*range(0, count, 16), count) for rank in range(size))


def test_more_processes_than_pictures_in_a_batch_are_refused():
    Processes(0, 4).check_batches(4)
    with pytest.raises(CurvauditError, match="5 processes cannot share batches of 4"):
        Processes(0, 5).check_batches(4)


@pytest.mark.parametrize("augmentation", ["none", "crop", "crop-flip"])
def test_a_part_of_a_batch_is_augmented_as_in_the_whole_batch(augmentation):
    pixels = torch.randint(0, 256, (13, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    whole = augment(pixels, augmentation, 3, 4, 5)
    for part in (slice(0, 6), slice(6, 13)):
        mine = augment(pixels[part], augmentation, 3, 4, 5, part=part, whole=13)
        assert torch.equal(mine, whole[part])


def test_the_environment_says_who_takes_part(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR"):
        monkeypatch.delenv(name, raising=False)
    assert launched() == (0, 1)
    for name, value in (("RANK", "3"), ("WORLD_SIZE", "4"), ("MASTER_ADDR", "here")):
        monkeypatch.setenv(name, value)
    assert launched() == (3, 4)
    with pytest.raises(CurvauditError, match="names one GPU for several"):
        local_device("cuda:1")
    assert local_device("cpu") == "cpu"
    monkeypatch.setenv("WORLD_SIZE", "abc")
    with pytest.raises(CurvauditError, match="WORLD_SIZE is 'abc'"):
        launched()
