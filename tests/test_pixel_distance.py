"""The distance that verifies near-duplicates, against correlations written out by hand."""

import io

import numpy as np
import pytest
from PIL import Image

from curvaudit.pixel_distance import SIDE, PictureTable


def encoded(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def noise(seed: int, channels: int = 3) -> np.ndarray:
    pixels = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3))
    return pixels if channels == 3 else pixels[..., :1].repeat(3, -1)


@pytest.mark.parametrize("channels", [1, 3])
def test_is_one_minus_the_best_correlation_over_shifts(channels):
    pictures = {7: noise(1, channels), 3: noise(2, channels), 9: 0.7 * noise(1, channels) + 0.3 * noise(3, channels)}
    pictures = {row: pixels.astype(np.uint8) for row, pixels in pictures.items()}
    table = PictureTable.decode({row: encoded(pixels) for row, pixels in pictures.items()})
    pairs = np.array([(7, 3), (7, 9), (9, 3)])
    for (i, j), distance in zip(pairs, table.distances(pairs), strict=True):
        fixed = pictures[i][1:-1, 1:-1].ravel()
        windows = [
            pictures[j][1 + y : SIDE - 1 + y, 1 + x : SIDE - 1 + x].ravel() for y in (-1, 0, 1) for x in (-1, 0, 1)
        ]
        assert distance == pytest.approx(1 - max(np.corrcoef(fixed, window)[0, 1] for window in windows), abs=1e-5)


def test_shifts_brightness_and_contrast_drop_out_but_content_does_not():
    one = noise(1)
    altered = [np.roll(one, (1, -1), (0, 1)), one // 2 + 60, one, 255 - one]
    table = PictureTable.decode({0: encoded(one), **{row: encoded(p) for row, p in enumerate(altered, 1)}})
    shifted, darker, same, negative = table.distances(np.array([(0, row) for row in range(1, 5)]))
    assert shifted < 1e-4 and darker < 1e-4 and same < 1e-5
    assert negative > 0.9


def test_missing_pictures_are_not_a_number_and_other_shapes_are_unrelated():
    one = noise(1)
    table = PictureTable.decode({0: encoded(one), 1: encoded(one), 2: encoded(one.repeat(2, 1))})
    assert np.isnan(table.distances(np.array([(0, 5), (5, 0)]))).all()
    assert table.distances(np.array([(0, 1), (0, 2)])) == pytest.approx([0, 1], abs=1e-5)
    assert len(table.distances(np.zeros((0, 2), int))) == 0


def test_more_pairs_than_one_block():
    table = PictureTable.decode({row: encoded(noise(row % 3)) for row in range(6)})
    pairs = np.array([(i, j) for i in range(6) for j in range(6)] * 40)
    assert ((table.distances(pairs) < 1e-5) == (pairs[:, 0] % 3 == pairs[:, 1] % 3)).all()
