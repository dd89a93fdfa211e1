"""Real scans, killed at random moments and inside a commit, then resumed."""

import itertools
import random
import shutil
import signal
import time

import pytest
import scans
import traced


@pytest.fixture
def whole(image_folder, tmp_path):
    """A scan that nobody killed, and the seconds it took."""
    path = tmp_path / "whole.h5"
    return path, scans.timed_scan(image_folder, path)


def test_kills_at_random_moments(image_folder, tmp_path, whole, long_form):
    expected, seconds = scans.values(whole[0]), whole[1]
    chance = random.Random(7)
    kills, runs = 0, 0
    while kills < (200 if long_form else 10):
        out = tmp_path / f"{runs}" / "run.h5"
        out.parent.mkdir()
        rows = 0
        for attempt in itertools.count(1):
            process = scans.in_process(scans.scan, image_folder, out)
            process.join(chance.uniform(0, seconds * (1 + attempt / 4)))  # busy machines need longer
            if process.exitcode is None:
                process.kill()
                process.join()
                kills += process.exitcode == -signal.SIGKILL
            if out.exists():
                now = scans.epochs(out)  # never unreadable
                assert now >= rows, "a finished epoch was lost"
                rows = now
            if process.exitcode == 0:
                break
            assert process.exitcode == -signal.SIGKILL
        assert scans.same(expected, scans.values(out))
        assert [file.name for file in out.parent.iterdir()] == ["run.h5"]
        runs += 1
        if long_form:
            print(f"{kills} kills of {runs} scans", flush=True)
    print(f"{kills} kills at random moments of {runs} scans, all resumed to the same scores")


def test_kills_inside_the_commit_of_a_real_scan(image_folder, tmp_path, whole, long_form):
    traced.needed()
    expected = scans.values(whole[0])
    first = tmp_path / "first"
    first.mkdir()
    process = scans.in_process(scans.scan, image_folder, first / "run.h5")
    while not (first / "run.h5").exists() or scans.epochs(first / "run.h5") < 2:
        time.sleep(0.01)
    process.kill()
    process.join()
    epoch = scans.epochs(first / "run.h5") + 1
    if epoch > scans.SETTINGS["epochs"]:
        pytest.skip("the machine was too slow to catch the scan early")
    queue = scans.processes.SimpleQueue()

    def attempt(call):
        folder = tmp_path / "killed"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(first, folder)
        process = scans.in_process(scans.kill_in_commit, image_folder, folder / "run.h5", epoch, call, queue)
        process.join(120)
        assert process.exitcode == 0
        return folder / "run.h5", queue.get()

    _, (_, code, calls) = attempt(0)  # nothing is number 0: how many calls there are
    assert code == 0 and calls > 30
    chosen = random.Random(3).sample(range(1, calls + 1), min(calls, 200) if long_form else 2)
    kills = 0
    for call in chosen:
        out, (killed, _, _) = attempt(call)
        if not killed:
            continue  # a run differs by a few calls
        kills += 1
        if long_form:
            print(f"{kills} kills in a commit", flush=True)
        assert scans.epochs(out) in (epoch - 1, epoch)
        scans.finish(scans.scan, image_folder, out)
        assert scans.same(expected, scans.values(out)), f"call {call}"
    print(
        f"{kills} kills inside the commit of epoch {epoch}, among {calls} system calls; all resumed to the same scores"
    )
    assert kills >= len(chosen) // 2
