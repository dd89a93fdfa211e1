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
def whole(tiny_folder, tmp_path):
    """A scan that nobody killed, and the seconds it took."""
    path = tmp_path / "whole.h5"
    return path, scans.timed_scan(tiny_folder, path)


def test_kills_at_random_moments(tiny_folder, tmp_path, whole, long_form, crash_seed):
    expected, seconds = scans.values(whole[0]), whole[1]
    chance = random.Random(7 + crash_seed)
    kills, runs = 0, 0
    while kills < (200 if long_form else 10):
        out = tmp_path / f"{runs}" / "run.h5"
        out.parent.mkdir()
        rows = 0
        for attempt in itertools.count(1):
            started = time.monotonic()
            process = scans.in_process(scans.scan, tiny_folder, out)
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
                if attempt == 1:  # the machine is faster now than when the first one was timed
                    seconds = min(seconds, time.monotonic() - started)
                break
            assert process.exitcode == -signal.SIGKILL
        assert scans.same(expected, scans.values(out))
        assert [file.name for file in out.parent.iterdir()] == ["run.h5"]
        runs += 1
        if long_form:
            print(f"{kills} kills of {runs} scans", flush=True)
    print(f"{kills} kills at random moments of {runs} scans, all resumed to the same scores")


def test_kills_inside_the_commit_of_a_real_scan(tiny_folder, tmp_path, long_form, crash_seed):
    traced.needed()
    steps = tmp_path / "steps"
    scans.finish(scans.scan_in_steps, tiny_folder, tmp_path / "run.h5", steps)
    expected = scans.values(tmp_path / "run.h5")
    epochs = sorted(tuple(map(int, step.name.split("-"))) for step in steps.iterdir())  # (training, epoch)
    queue = scans.processes.SimpleQueue()

    def attempt(place, call):
        """Resume from before epoch number `place` of the scan, die in its commit: (run file, killed, calls)."""
        folder = tmp_path / "killed"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(steps / "{}-{}".format(*epochs[place - 1]), folder)
        out = folder / "run.h5"
        process = scans.in_process(scans.kill_in_commit, tiny_folder, out, *epochs[place], call, queue)
        process.join(scans.PATIENCE)
        assert process.exitcode == 0
        killed, code, calls = queue.get()
        assert killed or code == 0
        return out, killed, calls

    _, _, calls = attempt(1, 0)  # nothing is number 0: how many calls there are
    assert calls > 30
    chance = random.Random(3 + crash_seed)
    kills = tries = 0
    while kills < (200 if long_form else 2):
        tries += 1
        place, call = chance.randrange(1, len(epochs)), chance.randint(1, calls)
        out, killed, _ = attempt(place, call)
        if not killed:
            continue  # commits differ by a few calls
        # 0 unreadable files, 0 lost epochs
        assert scans.epochs(out) in (place, place + 1)
        scans.finish(scans.scan, tiny_folder, out)
        assert scans.same(expected, scans.values(out)), f"epoch {epochs[place]}, call {call}"
        assert [file.name for file in out.parent.iterdir()] == ["run.h5"]
        kills += 1
        if long_form:
            print(f"{kills} kills in a commit", flush=True)
        assert kills >= tries // 2
    print(f"{kills} kills inside commits of about {calls} system calls; all resumed to the same scores")
