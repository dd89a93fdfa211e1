"""Hashes, and the search for neighbours against brute force."""

import imagehash
import numpy as np
import pytest
from PIL import Image

from curvaudit.copies import hashing


def bits_set(values: np.ndarray) -> np.ndarray:
    octets = np.ascontiguousarray(values)[..., None].view(np.uint8)
    return np.unpackbits(octets, axis=-1).sum(axis=-1)


def brute_force(hashes: np.ndarray, radius: int) -> set[tuple[int, int]]:
    different = hashes[:, None] ^ hashes[None, :]
    near = bits_set(different) <= radius
    return {(int(i), int(j)) for i, j in zip(*np.nonzero(np.triu(near, 1)), strict=True)}


def crowded(count: int, seed: int) -> np.ndarray:
    """Hashes in clusters: centres, and copies of them with up to four bits flipped."""
    random = np.random.default_rng(seed)
    centres = random.integers(0, 2**64, max(1, count // 6), dtype=np.uint64)
    hashes = random.choice(centres, count)
    for row in range(count):
        for bit in random.choice(64, random.integers(0, 5), replace=False):
            hashes[row] ^= np.uint64(1) << np.uint64(bit)
    return hashes


@pytest.mark.parametrize("radius", range(hashing.LARGEST_RADIUS + 1))
@pytest.mark.parametrize("seed", range(3))
def test_neighbours_are_those_of_brute_force(radius, seed):
    hashes = crowded(400, seed)
    pairs = hashing.neighbour_pairs(hashes, radius)
    expected = brute_force(hashes, radius)
    assert radius == 0 or len(expected) > 50
    assert [tuple(pair) for pair in pairs.tolist()] == sorted(expected)


def test_flips_at_the_edges_of_the_bands_are_found():
    base = np.uint64(0x0123_4567_89AB_CDEF)
    for bits in ((0, 15, 16, 31, 32, 47), (15, 16, 47, 48, 63, 0), (0, 1, 16, 17, 32, 33), (63, 62, 61, 60, 59, 58)):
        flipped = base
        for bit in bits:
            flipped ^= np.uint64(1) << np.uint64(bit)
        hashes = np.array([base, flipped], np.uint64)
        assert hashing.neighbour_pairs(hashes, 6).tolist() == [[0, 1]]
        assert len(hashing.neighbour_pairs(hashes, 5)) == 0


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_hashes_have_no_neighbours(count):
    assert hashing.neighbour_pairs(np.zeros(count, np.uint64), 6).shape == (0, 2)


def test_large_groups_of_one_hash_stay_connected_and_bounded():
    size = hashing.LARGEST_GROUP + 100
    hashes = np.zeros(size + 1, np.uint64)
    hashes[-1] = 1
    pairs = hashing.neighbour_pairs(hashes, 6)
    assert len(pairs) == size - 1 + 1  # each with the first, and the first with the neighbour
    assert set(pairs.ravel().tolist()) == set(range(size + 1))
    assert set(pairs[:, 0].tolist()) == {0}


@pytest.mark.parametrize("radius", [-1, 8])
def test_radii_that_would_miss_pairs_are_refused(radius):
    with pytest.raises(ValueError, match="radius"):
        hashing.neighbour_pairs(np.zeros(3, np.uint64), radius)


def test_table_of_bits_counts_as_numpy_does():
    values = crowded(200, 3)
    assert np.array_equal(hashing._popcount_by_table(values), bits_set(values))


def phash(image: Image.Image) -> int:
    return int(hashing.perceptual_hashes(hashing.reduced(image.convert("L"))[None])[0])


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_perceptual_hash_is_imagehashs(mode):
    random = np.random.default_rng(0)
    for _ in range(20):
        small = Image.fromarray(random.integers(0, 256, (9, 7, 3)).astype(np.uint8)).convert(mode)
        image = small.resize((90, 70), Image.Resampling.BICUBIC)
        assert f"{phash(image):016x}" == str(imagehash.phash(image))


def test_distance_is_imagehashs():
    a, b = (Image.effect_noise((64, 64), 80) for _ in range(2))
    ours = hashing.distance(phash(a), phash(b))
    assert ours == imagehash.phash(a) - imagehash.phash(b)


def test_content_hash_tells_pixels_and_shape_and_nothing_else():
    grey = Image.fromarray(np.arange(24, dtype=np.uint8).reshape(4, 6))
    same = grey.convert("RGB")
    assert hashing.content_hash(grey) == hashing.content_hash(same)
    assert hashing.content_hash(grey) != hashing.content_hash(_reshaped(grey))
    changed = grey.copy()
    changed.putpixel((5, 3), 24)
    assert hashing.content_hash(grey) != hashing.content_hash(changed)
    assert 0 <= hashing.content_hash(grey) < 2**64


def _reshaped(image: Image.Image) -> Image.Image:
    """The same bytes in another shape."""
    return Image.fromarray(np.asarray(image).reshape(image.width, image.height))
