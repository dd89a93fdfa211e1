"""Pictures that stay decoded between reading and loading."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import curvaudit
from curvaudit import inventory, sources
from curvaudit.engine.preparing import expected_resolution
from curvaudit.engine.settings import ScanSettings
from curvaudit.pictures import images, pixels
from curvaudit.pictures.decoded import Decoded

COUNT = 400  # each fourth is checked


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two classes of odd sizes and modes, larger than 64 px."""
    root = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for number in range(COUNT):
        folder = root / "ab"[number % 2]
        folder.mkdir(exist_ok=True)
        height, width = random.integers(70, 90, 2)
        values = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(values if number % 3 else values[..., 0]).save(folder / f"{number:03d}.png")
    return root


def loaded(root, tmp_path, side, decoded, grey=None):
    """The pixels, and how often each picture was opened."""
    source = sources.load(root)
    opened, original = np.zeros(len(source.ids), int), type(source).open

    class Counted(type(source)):
        def open(self, index):
            opened[index] += 1
            return original(self, index)

    source.__class__ = Counted
    stock = inventory.take(source, 2, lambda done: None, decoded=decoded)
    stock = stock if grey is None else replace(stock, grey=grey)
    return inventory.load_pixels(stock, side, pixels.Place(tmp_path / "p"), 2, lambda done: None).values, opened


def test_a_picture_is_decoded_once_and_gives_the_same_pixels(photos, tmp_path):
    expected, twice = loaded(photos, tmp_path, 48, None)
    found, opened = loaded(photos, tmp_path, 48, Decoded(COUNT, 48))
    np.testing.assert_array_equal(found, expected)
    assert twice.tolist() == [2] * COUNT
    assert opened.tolist() == [1 + (index % 4 == 0) for index in range(COUNT)]


@pytest.mark.parametrize(("guess", "once"), [(48, True), (64, False), (None, False)])
def test_a_wrong_guess_changes_no_pixel(photos, tmp_path, guess, once):
    expected, _ = loaded(photos, tmp_path, 48, None)
    found, opened = loaded(photos, tmp_path, 48, Decoded(COUNT, guess))
    np.testing.assert_array_equal(found, expected)
    assert (opened.sum() < 2 * COUNT) == once


def test_pictures_in_colour_beside_a_grey_training_split_are_made_grey_first(photos, tmp_path):
    expected, _ = loaded(photos, tmp_path, 48, None, grey=True)
    for side in (48, None):
        found, _ = loaded(photos, tmp_path, 48, Decoded(COUNT, side, grey=True), grey=True)
        np.testing.assert_array_equal(found, expected)


def test_what_would_grow_is_kept_as_it_is(photos, tmp_path):
    """The pictures of a small set at 224 px would take fifty times their own size, and find no room."""
    expected, _ = loaded(photos, tmp_path, 120, None)
    keeps = Decoded(COUNT, 120)
    room = keeps._room
    found, opened = loaded(photos, tmp_path, 120, keeps)
    np.testing.assert_array_equal(found, expected)
    assert opened.tolist() == [1 + (index % 4 == 0) for index in range(COUNT)]
    assert room - keeps._room < 300 * (90 * 90 * 3 + 250) < 300 * 120 * 120 * 3
    again, _ = loaded(photos, tmp_path, 48, Decoded(COUNT, 120))  # a wrong guess does them no harm
    np.testing.assert_array_equal(again, loaded(photos, tmp_path, 48, None)[0])


def test_what_does_not_fit_is_decoded_again(photos, tmp_path, monkeypatch):
    expected, _ = loaded(photos, tmp_path, 48, None)
    with monkeypatch.context() as small:
        small.setattr(pixels, "free_memory", lambda: 6 * 20 * 48 * 48 * 3)  # a sixth of it: about 20 pictures
        few = Decoded(COUNT, 48)
    found, opened = loaded(photos, tmp_path, 48, few)
    np.testing.assert_array_equal(found, expected)
    assert 0 < (opened == 1).sum() < 60


def test_no_memory_for_a_second_copy_is_no_fault_of_the_picture(photos, tmp_path, monkeypatch):
    def fail(picture, size):
        raise MemoryError

    keeps = Decoded(COUNT, 48)
    with monkeypatch.context() as full:
        full.setattr(images, "scaled", fail)
        stock = inventory.take(sources.load(photos), 2, lambda done: None, decoded=keeps)
    assert len(stock.samples) == COUNT and stock.skipped == ()
    assert keeps.taken(1, 48) is None


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("size", [(70, 91), (33, 200), (48, 48)])
@pytest.mark.parametrize("channels", [1, 3])
def test_scaling_a_grey_picture_first_gives_the_same_pixels(mode, size, channels):
    values = np.random.default_rng(1).integers(0, 256, size[::-1], dtype=np.uint8)
    picture = Image.fromarray(values).convert(mode)
    first = images.to_array(images.scaled(picture, 48), 48, channels)
    np.testing.assert_array_equal(first, images.to_array(picture, 48, channels))


def test_the_side_is_guessed_as_it_will_be_chosen(photos, image_folder, tmp_path):
    large = tmp_path / "large"
    for name in "ab":
        (large / name).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (200, 130), (number, 0, 0)).save(large / name / f"{number}.png")
    (large / "a" / "0.png").write_bytes(b"")  # what cannot be opened is told later
    cpu = ScanSettings(device="cpu")
    assert expected_resolution(sources.load(large), cpu) == 112
    assert expected_resolution(sources.load(image_folder), cpu) is None
    assert expected_resolution(sources.load(photos), ScanSettings(device="cpu", resolution="24")) == 24
    run = curvaudit.scan(large, tmp_path / "run.h5", epochs=1, width=4, device="cpu")
    assert run.info.config["resolution"] == 112
