"""One scan by several processes: the scores of one process, and what happens when one dies."""

import os
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from processes_train import trained

import curvaudit
from curvaudit.errors import CurvauditError
from curvaudit.training.augment import augment
from curvaudit.training.presets import named
from curvaudit.training.processes import ALONE, Processes, _own_cores, launched, local_device
from curvaudit.training.together import share_batches

SETTINGS = {
    "epochs": 2,
    "width": 4,
    "batch_size": 15,
    "device": "cpu",
    "precision": "float32",
    "workers": 1,
}
ARGUMENTS = [text for name, value in SETTINGS.items() for text in (f"--{name.replace('_', '-')}", str(value))]


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
def threads():
    """Those of two processes with one thread each."""
    before = torch.get_num_threads()
    torch.set_num_threads(min(2, _own_cores()))
    yield
    torch.set_num_threads(before)


@pytest.fixture
def alone(image_folder, tmp_path, threads):
    return curvaudit.scan(image_folder, tmp_path / "alone.h5", **SETTINGS)


def same_scores(run: curvaudit.Run, other: curvaudit.Run) -> None:
    assert [t.epochs for t in run.trainings] == [t.epochs for t in other.trainings]
    assert run.trainings[0].finished and other.trainings[0].finished
    for name in run.trainings[0].measures:
        np.testing.assert_array_equal(run.measure(0, name), other.measure(0, name), err_msg=name)
    assert run.trainings[0].curves.train_loss == pytest.approx(other.trainings[0].curves.train_loss, rel=0, abs=0)
    first, second = (curvaudit.report(each, top=20).order.tolist() for each in (run, other))
    assert first == second


@pytest.mark.parametrize("batch_size", ["15", "64"])
def test_two_processes_give_the_scores_of_one(batch_size, image_folder, tmp_path, threads):
    alone = curvaudit.scan(image_folder, tmp_path / "alone.h5", **SETTINGS | {"batch_size": int(batch_size)})
    program = ["-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port", str(free_port())]
    program += ["-m", "curvaudit", "scan", str(image_folder), "-o", "two.h5", *ARGUMENTS, "--batch-size", batch_size]
    process = start(program, tmp_path)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert out.count("Run file: two.h5") == 1
    assert err.count("epoch 2/2:") == 1 and "Warning" not in err
    two = curvaudit.open_run(tmp_path / "two.h5")
    assert two.info.environment["processes"] == 2
    assert two.info.config == alone.info.config
    same_scores(alone, two)
    assert not [file.name for file in tmp_path.iterdir() if file.name.startswith(("two.h5.", ".two"))]


def test_training_in_shared_batches_is_that_of_one_process(tmp_path):
    """As GPUs do it in large batches: sums over a batch run in another order, so weights agree up to rounding."""
    program = ["-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port", str(free_port())]
    process = start([*program, str(Path(__file__).with_name("processes_train.py")), "two.pt"], tmp_path)
    assert process.wait(240) == 0, process.stderr.read()
    found, losses = torch.load(tmp_path / "two.pt")
    untrained, model, expected = trained(ALONE)
    assert losses == pytest.approx(expected, rel=1e-5)
    before = dict(untrained.named_parameters())
    for name, parameter in model.named_parameters():
        assert (found[name] - parameter).norm() <= 0.03 * (parameter - before[name]).norm(), name


def test_batches_are_shared_where_that_is_faster():
    small, large = (replace(named("fast", 100, 3), batch_size=size) for size in (32, 64))
    assert share_batches(torch.device("cuda"), large)
    assert not share_batches(torch.device("cuda"), small)
    assert not share_batches(torch.device("cpu"), large)


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
