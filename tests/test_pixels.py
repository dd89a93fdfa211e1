"""Decoded pictures in a file that outlives the scan."""

import os
from types import SimpleNamespace

import numpy as np
import pytest

import curvaudit
from curvaudit import inventory, sources
from curvaudit.errors import CurvauditError
from curvaudit.pictures import pixels

SHAPE = (5, 3, 4, 4)
CONTENT = np.arange(1, 6, dtype=np.uint64)


def place(folder, **options):
    return pixels.Place(folder / "scratch", folder / "cache", **{"always": True, **options})


def files(folder):
    return sorted(path.name for path in (folder / "cache" / "pixels").iterdir())


def test_small_sets_stay_in_memory(tmp_path, monkeypatch):
    buffer = pixels.room_for(SHAPE, CONTENT, place(tmp_path, always=False))
    assert buffer.file is None and not list(tmp_path.iterdir())
    monkeypatch.setattr(pixels, "free_memory", lambda: 3 * 5 * 3 * 4 * 4)  # it must be less than a third
    assert pixels.room_for(SHAPE, CONTENT, place(tmp_path, always=False)).file is not None


def test_what_was_kept_is_there_again_and_nothing_else(tmp_path):
    buffer = pixels.room_for(SHAPE, CONTENT, place(tmp_path))
    assert buffer.missing(CONTENT).tolist() == [0, 1, 2, 3, 4]
    buffer.values[1:3] = np.arange(48, dtype=np.uint8).reshape(3, 4, 4)
    buffer.keep(np.array([1, 2]), CONTENT[1:3])
    again = pixels.room_for(SHAPE, CONTENT, place(tmp_path))
    assert again.missing(CONTENT).tolist() == [0, 3, 4]
    assert (again.values[2] == np.arange(48).reshape(3, 4, 4)).all()
    assert again.missing(np.zeros(5, np.uint64)).tolist() == [0, 1, 2, 3, 4]
    other = pixels.room_for((5, 3, 8, 8), CONTENT, place(tmp_path))
    reordered = pixels.room_for(SHAPE, CONTENT[::-1], place(tmp_path))
    assert other.file != buffer.file != reordered.file and len(files(tmp_path)) == 3
    assert len(reordered.missing(CONTENT[::-1])) == 5


def test_two_versions_of_a_set_never_write_into_one_file(tmp_path):
    first = pixels.room_for(SHAPE, CONTENT, place(tmp_path))
    first.values[:] = 1
    first.keep(np.arange(5), CONTENT)
    changed = CONTENT.copy()
    changed[1] = 99
    second = pixels.room_for(SHAPE, changed, place(tmp_path))
    second.values[1] = 2  # and killed before it said so
    assert (first.values == 1).all()
    again = pixels.room_for(SHAPE, CONTENT, place(tmp_path))
    assert len(again.missing(CONTENT)) == 0 and (again.values == 1).all()


def test_a_file_that_is_no_such_buffer_is_made_anew(tmp_path):
    buffer = pixels.room_for(SHAPE, CONTENT, place(tmp_path))
    buffer.keep(np.arange(5), CONTENT)
    for damage in (b"", b"nonsense", buffer.file.read_bytes()[:-8]):
        buffer.file.write_bytes(damage)
        assert len(pixels.room_for(SHAPE, CONTENT, place(tmp_path)).missing(CONTENT)) == 5


def test_the_oldest_make_room(tmp_path, monkeypatch):
    size = pixels.room_for(SHAPE, CONTENT, place(tmp_path)).file.stat().st_size
    newer = pixels.room_for(SHAPE, CONTENT[::-1], place(tmp_path)).file
    os.utime(newer, (2e9, 2e9))
    (tmp_path / "cache" / "pixels" / ".x.npy.1.partial").write_bytes(b"x")
    os.utime(tmp_path / "cache" / "pixels" / ".x.npy.1.partial", (0, 0))
    monkeypatch.setattr(pixels.shutil, "disk_usage", lambda folder: SimpleNamespace(free=2 * size))
    last = pixels.room_for(SHAPE, CONTENT + 9, place(tmp_path)).file
    assert files(tmp_path) == sorted([newer.name, last.name])


def test_a_kill_while_pixels_are_loaded_costs_a_block(image_folder, tmp_path, monkeypatch):
    stock = inventory.take(sources.load(image_folder), 2, lambda done: None)
    whole = inventory.load_pixels(stock, 8, pixels.Place(tmp_path / "scratch"), 2, lambda done: None).values
    monkeypatch.setattr(inventory, "_BLOCK", 16)

    opened = type(stock.source).open
    monkeypatch.setattr(type(stock.source), "open", _limited(opened, 40))
    with pytest.raises(KeyboardInterrupt):
        inventory.load_pixels(stock, 8, place(tmp_path), 1, lambda done: None)
    monkeypatch.setattr(type(stock.source), "open", _limited(opened, 60 - 32))
    told = []
    again = inventory.load_pixels(stock, 8, place(tmp_path), 2, told.append)
    assert (again.values == whole).all() and sum(told) == 60 and told[0] == 32
    monkeypatch.setattr(type(stock.source), "open", _limited(opened, 0))
    assert (inventory.load_pixels(stock, 8, place(tmp_path), 2, told.append).values == whole).all()


def _limited(opened, count):
    """`open` that works `count` times."""
    left = [count]

    def open_one(self, index):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return opened(self, index)

    return open_one


def test_a_scan_from_the_cache_gives_the_same_scores_and_leaves_nothing_beside_the_run(
    image_folder, tmp_path, monkeypatch
):
    settings = {"epochs": 1, "width": 4, "batch_size": 16, "device": "cpu"}
    usual = curvaudit.scan(image_folder, tmp_path / "usual.h5", **settings)
    monkeypatch.setattr(pixels, "free_memory", lambda: 0)
    kept = tmp_path / "cache"
    for name in ("first.h5", "second.h5"):
        run = curvaudit.scan(image_folder, tmp_path / name, cache=kept, **settings)
        np.testing.assert_array_equal(run.measure(0, "loss"), usual.measure(0, "loss"))
    assert len(files(tmp_path)) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"images", "cache", "usual.h5", "first.h5", "second.h5"}


def test_no_room_is_said(tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(CurvauditError, match=r"The pixels need 0\.0 GiB and find no room") as raised:
        pixels.room_for(SHAPE, CONTENT, place(tmp_path))
    assert "--cache" in raised.value.hint


def test_another_scan_may_make_room_at_the_same_time(tmp_path, monkeypatch):
    gone = pixels.room_for(SHAPE, CONTENT, place(tmp_path)).file
    listed = type(gone).glob

    def late(folder, pattern):
        found = list(listed(folder, pattern))
        gone.unlink(missing_ok=True)  # between the list and the look at it
        return found

    monkeypatch.setattr(type(gone), "glob", late)
    assert pixels.room_for(SHAPE, CONTENT + 9, place(tmp_path)).file.exists()
