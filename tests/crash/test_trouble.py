"""What goes wrong around a scan: disks, folders, sources, memory, signals, a second scan."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import permissions
import pytest
import scans
import torch
from PIL import Image

import curvaudit
from curvaudit import inventory, records, sources, store
from curvaudit.engine import gallery
from curvaudit.errors import CurvauditError
from curvaudit.pictures import decoded, pixels
from curvaudit.training import checkpoint

SMALL = {"epochs": 3, "width": 4, "batch_size": 16, "device": "cpu", "workers": 2}
COMMAND = [sys.executable, "-m", "curvaudit", "scan"]
QUICK = ["--epochs", "3", "--width", "4", "--batch-size", "16", "--device", "cpu"]


def after_epoch(number, action):
    """An `on_event` that acts once, when epoch `number` is durable."""

    def on_event(event):
        if isinstance(event, records.EpochDone) and event.epoch == number:
            action()

    return on_event


@pytest.fixture
def whole(image_folder, tmp_path):
    curvaudit.scan(image_folder, tmp_path / "whole.h5", **SMALL)
    return scans.values(tmp_path / "whole.h5")


def resumes_to(whole, image_folder, out, epochs):
    assert scans.epochs(out) == epochs
    curvaudit.scan(image_folder, out, resume=True, **SMALL)
    assert scans.same(whole, scans.values(out))
    assert [file.name for file in out.parent.iterdir()] == [out.name]


@pytest.mark.parametrize("victim", ["checkpoint", "run file"])
def test_a_disk_that_fills(victim, image_folder, tmp_path, whole):
    """The largest file that may be written shrinks after epoch 1, as if there was no space for more."""
    out = tmp_path / "out" / "run.h5"
    out.parent.mkdir()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def fill():
        # The run file, with what it reserves, is much larger than the checkpoint of so small a network.
        size = 1000 if victim == "checkpoint" else os.path.getsize(checkpoint.path_for(out)) + 50_000
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    try:
        with pytest.raises(CurvauditError, match=rf"The {victim} .*cannot be written: File too large") as raised:
            curvaudit.scan(image_folder, out, on_event=after_epoch(1, fill), **SMALL)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert "--resume" in raised.value.hint
    assert sorted(file.name for file in out.parent.iterdir()) == ["run.h5", "run.h5.checkpoint"]
    resumes_to(whole, image_folder, out, epochs=1)


def test_no_room_for_the_pixels_or_the_first_file(image_folder, tmp_path, monkeypatch):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    monkeypatch.setattr(pixels, "free_memory", lambda: 0)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
        with pytest.raises(CurvauditError, match=r"The pixels need .*run\.h5\.pixels"):
            curvaudit.scan(image_folder, tmp_path / "run.h5", **SMALL)
        monkeypatch.undo()
        with pytest.raises(CurvauditError, match=r"run\.h5 cannot be written"):
            curvaudit.scan(image_folder, tmp_path / "run.h5", **SMALL)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert not list(tmp_path.glob("*run.h5*")) and not list(tmp_path.glob(".*"))


def test_pixels_on_disk_give_the_same_scores_and_are_removed(image_folder, tmp_path, whole, monkeypatch):
    monkeypatch.setattr(pixels, "free_memory", lambda: 0)
    out = tmp_path / "out" / "run[1].h5"
    out.parent.mkdir()
    curvaudit.scan(image_folder, out, **SMALL)
    assert scans.same(whole, scans.values(out))
    assert [file.name for file in out.parent.iterdir()] == [out.name]


def test_a_folder_that_vanishes(image_folder, tmp_path, whole):
    out = tmp_path / "out" / "run.h5"
    out.parent.mkdir()
    with pytest.raises(CurvauditError, match="cannot be written: No such file or directory"):
        curvaudit.scan(
            image_folder, out, on_event=after_epoch(1, lambda: out.parent.rename(tmp_path / "away")), **SMALL
        )
    resumes_to(whole, image_folder, tmp_path / "away" / "run.h5", epochs=1)


def test_a_folder_that_may_not_be_written(image_folder, tmp_path, monkeypatch):
    # Root may write everywhere, so the answer is given instead of the permission taken.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(CurvauditError, match="cannot be written to") as raised:
        curvaudit.scan(image_folder, tmp_path / "run.h5", **SMALL)
    assert "-o" in raised.value.hint


LOSING = """
import os, sys
import curvaudit
from curvaudit.records import EpochDone

def on_event(event):
    if isinstance(event, EpochDone) and event.epoch == 1:
        os.chmod("out", 0o555)

try:
    curvaudit.scan("images", "out/run.h5", on_event=on_event, **eval(sys.argv[1]))
except curvaudit.CurvauditError as error:
    sys.exit(f"{error.message} {error.hint}")
"""


@permissions.needed
def test_a_permission_lost_during_a_scan(image_folder, tmp_path, whole):
    out = tmp_path / "out" / "run.h5"
    out.parent.mkdir()
    done = permissions.run(["-c", LOSING, repr(SMALL)], tmp_path)
    out.parent.chmod(0o755)
    assert "cannot be written: Permission denied" in done.stderr and "--resume" in done.stderr
    assert "Traceback" not in done.stderr
    # Named in another way than at the start, as a resumed source may be.
    resumes_to(whole, image_folder, out, epochs=1)


def between_reading_and_loading(action):
    def on_event(event):
        if isinstance(event, records.PhaseStarted) and event.phase == "loading pixels":
            action()

    return on_event


def test_a_picture_deleted_during_a_scan_is_named(image_folder, tmp_path):
    victim = image_folder / "square" / "004.png"
    with pytest.raises(CurvauditError, match=r"square/004\.png changed while it was being scanned.*vanished"):
        curvaudit.scan(image_folder, tmp_path / "run.h5", on_event=between_reading_and_loading(victim.unlink), **SMALL)
    assert not (tmp_path / "run.h5").exists()


def test_a_picture_replaced_during_a_scan_is_named(image_folder, tmp_path):
    def replace():
        Image.new("RGB", (12, 12), "red").save(image_folder / "circle" / "007.png")

    with pytest.raises(CurvauditError, match=r"circle/007\.png changed while it was being scanned: another picture"):
        curvaudit.scan(image_folder, tmp_path / "run.h5", on_event=between_reading_and_loading(replace), **SMALL)


def test_small_pictures_that_change_after_they_were_read_are_scanned_as_they_were(
    whole, image_folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(decoded, "CHECKED", 4)

    def replace_all():
        for number, name in enumerate(sources.load(image_folder).ids):
            if number % 4:  # each fourth is opened and checked
                Image.new("RGB", (12, 12), "red").save(image_folder / name)

    out = tmp_path / "run.h5"
    curvaudit.scan(image_folder, out, on_event=between_reading_and_loading(replace_all), **SMALL)
    assert scans.same(whole, scans.values(out))


def test_a_data_set_that_sometimes_draws_its_pictures_anew_is_noticed(tmp_path):
    random = np.random.default_rng(0)
    fixed = random.integers(0, 256, (12, 12, 3), dtype=np.uint8)

    class Augmented:
        def __len__(self):
            return 300

        def __getitem__(self, index):  # the first ones, which are looked at twice before all else, stay the same
            return Image.fromarray(fixed if index < 50 else random.integers(0, 256, fixed.shape, np.uint8)), index % 2

    with pytest.raises(CurvauditError, match="changed while it was being scanned: another picture"):
        curvaudit.scan(Augmented(), tmp_path / "run.h5", **SMALL)


def test_pictures_gone_after_training_cost_only_their_thumbnails(image_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(inventory, "THUMBNAIL_BUDGET", 0)
    monkeypatch.setattr(gallery, "TOP", 100)
    said = []

    def on_event(event):
        if isinstance(event, records.EpochDone) and event.epoch == 3:
            (image_folder / "circle" / "000.png").unlink(missing_ok=True)
        if isinstance(event, records.Notice):
            said.append(event.message)

    run = curvaudit.scan(image_folder, tmp_path / "run.h5", on_event=on_event, **SMALL)
    assert len(run.thumbnail_rows()) == 59
    assert any("1 pictures changed" in message for message in said)


def test_an_exception_in_a_reading_thread_concerns_one_picture(image_folder, tmp_path, monkeypatch):
    honest = inventory.hashing.content_hash
    seen = []

    def sometimes(image):
        seen.append(1)
        if len(seen) == 5:
            raise ZeroDivisionError("by accident")
        if len(seen) == 9:
            raise MemoryError
        return honest(image)

    monkeypatch.setattr(inventory.hashing, "content_hash", sometimes)
    run = curvaudit.scan(image_folder, tmp_path / "run.h5", **SMALL)
    reasons = sorted(item.reason for item in run.skipped)
    assert reasons == [
        "cannot be processed: ZeroDivisionError: by accident",
        "too large for the memory of this machine",
    ]
    assert len(run.samples) == 58


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("CUDA out of memory."), RuntimeError("DefaultCPUAllocator: can't allocate memory")],
)
def test_out_of_memory_says_what_helps_and_keeps_epochs(error, image_folder, tmp_path, whole, monkeypatch):
    from curvaudit.scores import measure

    out = tmp_path / "out" / "run.h5"
    out.parent.mkdir()
    honest = measure.measure

    def scarce(*arguments, epoch, **options):
        if epoch == 2:
            raise error
        return honest(*arguments, epoch=epoch, **options)

    monkeypatch.setattr(measure, "measure", scarce)
    with pytest.raises(CurvauditError, match="not enough memory") as raised:
        curvaudit.scan(image_folder, out, **SMALL)
    assert "--batch-size" in raised.value.hint
    monkeypatch.undo()
    resumes_to(whole, image_folder, out, epochs=1)


def test_training_that_diverges_keeps_what_was_logged(image_folder, tmp_path):
    with pytest.raises(CurvauditError, match=r"diverged in epoch \d+: the loss is (nan|inf)") as raised:
        curvaudit.scan(image_folder, tmp_path / "run.h5", lr=1e30, **SMALL)
    assert "--lr" in raised.value.hint
    assert curvaudit.open_run(tmp_path / "run.h5").trainings[0].epochs == scans.epochs(tmp_path / "run.h5")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_a_scan_with_130_and_the_command_that_resumes(number, image_folder, tmp_path):
    out = tmp_path / "run.h5"
    command = [*COMMAND, str(image_folder), "-o", str(out), *QUICK[2:], "--epochs", "1000"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # What a shell starts in the background ignores Ctrl-C, and so do its children: such as this test.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 120
    while not (out.exists() and scans.epochs(out)) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    second = subprocess.run(
        [*COMMAND, str(image_folder), "-o", str(out), "--overwrite"], capture_output=True, text=True
    )
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert f"curvaudit scan {image_folder} -o {out}" in err and err.rstrip().endswith("--resume")
    assert "Traceback" not in err
    assert scans.epochs(out) >= 1
    # Meanwhile a second scan of the same run file was refused.
    assert second.returncode == 2
    assert f"Another scan is writing {out} (process {process.pid})" in second.stderr


def test_the_lock_dies_with_its_process(image_folder, tmp_path, whole):
    out = tmp_path / "out" / "run.h5"
    out.parent.mkdir()
    process = scans.in_process(scans.scan_settings, image_folder, out, SMALL, torch.get_num_threads())
    while not (out.exists() and scans.epochs(out)) and process.exitcode is None:
        time.sleep(0.01)
    process.kill()
    process.join()
    resumes_to(whole, image_folder, out, epochs=scans.epochs(out))


def stopped_after_one_epoch(image_folder, out, **settings):
    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        curvaudit.scan(image_folder, out, on_event=after_epoch(1, stop), **{**SMALL, **settings})


def test_a_leftover_checkpoint_of_other_settings_is_not_taken_up(image_folder, tmp_path, whole):
    out = tmp_path / "out" / "run.h5"
    out.parent.mkdir()
    stopped_after_one_epoch(image_folder, out, seed=9)
    stale = checkpoint.path_for(out).read_bytes()
    stopped_after_one_epoch(image_folder, out, overwrite=True)
    checkpoint.path_for(out).write_bytes(stale)
    with pytest.raises(CurvauditError, match=r"checkpoint run\.h5\.checkpoint is missing or belongs elsewhere"):
        curvaudit.scan(image_folder, out, resume=True, **SMALL)
    checkpoint.path_for(out).write_bytes(stale[: len(stale) // 2])
    with pytest.raises(CurvauditError, match=r"checkpoint .* is damaged"):
        curvaudit.scan(image_folder, out, resume=True, **SMALL)
    assert scans.epochs(out) == 1


@permissions.needed
def test_a_checkpoint_that_may_not_be_read_is_not_called_damaged(image_folder, tmp_path):
    """Who is told so is told to begin anew as well."""
    out = tmp_path / "run.h5"
    stopped_after_one_epoch(image_folder, out)
    checkpoint.path_for(out).chmod(0)
    arguments = [str(image_folder), "-o", str(out), *QUICK, "--workers", "2", "--resume"]
    done = permissions.run([*COMMAND[1:], *arguments], tmp_path)
    assert done.returncode == 2 and "checkpoint" in done.stderr
    assert "cannot be read: Permission denied. Mend the cause" in " ".join(done.stderr.split())
    assert "--overwrite" not in done.stderr and "damaged" not in done.stderr


@pytest.mark.parametrize("place", [0.3, 0.5, 0.7])
def test_one_changed_byte_of_a_checkpoint_is_no_other_network(image_folder, tmp_path, place):
    out = tmp_path / "out" / "run.h5"
    out.parent.mkdir()
    stopped_after_one_epoch(image_folder, out)
    file = checkpoint.path_for(out)
    content = bytearray(file.read_bytes())
    with zipfile.ZipFile(file) as archive:
        weights = [one for one in archive.infolist() if "/data/" in one.filename]
    # Inside the weights, past a member's header: nothing else there can be told from other weights.
    largest = max(weights, key=lambda one: one.file_size)
    content[largest.header_offset + 512 + int(place * largest.file_size)] ^= 128
    file.write_bytes(content)
    with pytest.raises(CurvauditError, match=r"checkpoint .* is damaged"):
        curvaudit.scan(image_folder, out, resume=True, **SMALL)


def test_a_clock_that_jumps_changes_nothing_but_dates(image_folder, tmp_path, whole, monkeypatch):
    from datetime import datetime

    class Jumping(datetime):
        moments = iter([datetime(2038, 1, 19), datetime(1970, 1, 2), *[datetime(1999, 1, 1)] * 50])

        @classmethod
        def now(cls, zone=None):
            return next(cls.moments)

    monkeypatch.setattr("curvaudit.clock.datetime", Jumping)
    lengths = []
    run = curvaudit.scan(
        image_folder,
        tmp_path / "run.h5",
        on_event=lambda event: lengths.append(event.seconds_left) if isinstance(event, records.EpochDone) else None,
        **SMALL,
    )
    assert (run.trainings[0].curves.seconds >= 0).all() and min(lengths) >= 0
    assert scans.same(whole, scans.values(tmp_path / "run.h5"))


def test_the_run_file_behind_a_link_is_what_changes(image_folder, tmp_path, whole):
    real, link = tmp_path / "disk" / "run.h5", tmp_path / "run.h5"
    real.parent.mkdir()
    shutil.copy(tmp_path / "whole.h5", real)
    link.symlink_to(real)
    store.set_thumbnails(link, records.Thumbnails(np.array([3]), (b"picture",)))
    assert link.is_symlink()
    assert store.open_run(real).thumbnails([3]) == {3: b"picture"}


def test_no_room_for_a_report_leaves_the_earlier_one(image_folder, tmp_path):
    run = curvaudit.scan(image_folder, tmp_path / "run.h5", **SMALL)
    curvaudit.save(curvaudit.report(run, top=5), tmp_path / "report")
    earlier = {path.name: path.read_bytes() for path in (tmp_path / "report").iterdir()}
    made = curvaudit.report(run, top=50)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
        with pytest.raises(CurvauditError, match=r"report/.* cannot be written: File too large"):
            curvaudit.save(made, tmp_path / "report")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert {path.name: path.read_bytes() for path in (tmp_path / "report").iterdir()} == earlier


PROGRAM = f"{sys.executable} -m curvaudit"


@pytest.mark.parametrize(
    ("shell", "code", "says"),
    [
        # A reader that goes away, a full terminal log, a folder that is gone: never 1, which means a violation.
        (f"{PROGRAM} check data --format json | true; exit ${{PIPESTATUS[0]}}", 2, ""),
        (f"{PROGRAM} check data --format json > /dev/full", 2, "No space left on device"),
        # With Python's buffer what does not fit is noticed after the last line.
        (f"env -u PYTHONUNBUFFERED {PROGRAM} check data --format json > /dev/full", 2, "No space left on device"),
        (f"env -u PYTHONUNBUFFERED {PROGRAM} check data > /dev/full", 2, "No space left on device"),
        (f"env -u PYTHONUNBUFFERED {PROGRAM} check data | true; exit ${{PIPESTATUS[0]}}", 2, ""),
        (f"{PROGRAM} check data >&-", 0, ""),
        (f"{PROGRAM} check data --format json=out.json -q <&- >&- 2>&-; test $? = 0 && cat out.json", 0, "findings"),
        (f"{PROGRAM} check nowhere >&-", 2, "nowhere"),
        (f"mkdir gone; cd gone; rmdir ../gone; {PROGRAM} check ../data", 2, "started in is gone"),
        # Nothing depends on home, terminal, language or temporary folder.
        (f"env -u HOME LC_ALL=C PYTHONUTF8=0 COLUMNS=1 TMPDIR=/nowhere {PROGRAM} check data", 0, "Checked data"),
    ],
)
def test_odd_surroundings(shell, code, says, tmp_path):
    from made import draw_folder

    draw_folder(tmp_path / "data", ("a", "é"), each=12)
    # Devices, pipes and links in circles are no pictures and stop nobody.
    (tmp_path / "data" / "a" / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "data" / "a" / "up").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "data" / "a" / "pipe.png")
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert done.returncode == code, done.stderr
    assert says in done.stdout + done.stderr and "Traceback" not in done.stderr
