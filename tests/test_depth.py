"""Grey of more than 8 bits: one scale for all pictures that are compared, in every format and from every cache."""

import json

import formats
import numpy as np
import pytest
from PIL import Image

import curvaudit
from curvaudit import inventory, sources
from curvaudit.pictures import depth, hash_cache, pixels
from curvaudit.pictures.decoded import Decoded
from curvaudit.pictures.depth import Scale, Scales
from curvaudit.records import Notice

TISSUE = 4_000  # one value that all pictures hold, in the left half
SETTINGS = {"epochs": 1, "width": "4", "batch_size": 16, "resolution": "16", "device": "cpu"}


def slide(seed: int, brightest: int) -> np.ndarray:
    values = np.random.default_rng(seed).integers(0, brightest, (24, 24)).astype(np.uint16)
    values[:, :12] = TISSUE
    values[0, 23] = brightest
    return values


def save(folder, pictures) -> None:
    for name, values in pictures.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(path)


@pytest.fixture
def slides(tmp_path):
    """One of four crosses 12 bits, TIFF and PNG."""
    save(
        tmp_path / "slides",
        {
            f"{'ab'[seed % 2]}/{seed:02d}.{'png' if seed % 3 else 'tif'}": slide(
                seed, 60_000 if seed % 4 == 0 else 4_095
            )
            for seed in range(12)
        },
    )
    return tmp_path / "slides"


def taken(spec, **options):
    return inventory.take(sources.load(spec), 2, lambda done: None, **options)


def tissue(stock) -> set[int]:
    return {stock.open(row).getpixel((0, 0)) for row in range(len(stock.samples))}


FORMATS = {
    "folder": lambda folder: folder,
    "csv": formats.write_csv,
    "jsonl": formats.write_jsonl,
    "parquet": formats.write_parquet,
    "tar": formats.write_tar,
}


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_tissue_has_one_brightness_in_all_pictures(slides, tmp_path, name):
    if name == "parquet":
        pytest.importorskip("pyarrow")
    stock = taken(FORMATS[name](slides))
    assert tissue(stock) == {TISSUE >> 8}
    assert stock.samples.content_hash.tolist() == taken(slides).samples.content_hash.tolist()
    with hash_cache.opened(tmp_path / "cache", lambda event: None) as cache:
        for _ in range(2):
            again = taken(FORMATS[name](slides), cache=cache)
            assert again.samples.content_hash.tolist() == stock.samples.content_hash.tolist()
            assert again.thumbnails.images == stock.thumbnails.images and again.deep == stock.deep


def test_a_data_set_of_pil_images_has_one_scale(slides):
    data = [(Image.open(path), path.parent.name) for path in sorted(slides.glob("*/*"))]
    assert tissue(taken(data)) == {TISSUE >> 8}


def test_pictures_of_12_bits_keep_their_grey_levels(slides, tmp_path):
    save(tmp_path / "12", {f"{'ab'[seed % 2]}/{seed}.png": slide(seed, 4_095) for seed in range(4)})
    with hash_cache.opened(tmp_path / "cache", lambda event: None) as cache:
        taken(slides, cache=cache)
        save(slides, {f"{'ab'[seed % 2]}/0{seed}.png": slide(seed, 4_095) for seed in range(4)})
        assert tissue(taken(tmp_path / "12", cache=cache)) == {TISSUE >> 4}  # whatever they were in another set


def test_what_waits_decoded_is_scaled_as_the_rest(slides, tmp_path):
    for side in (16, 24, None):
        stock = taken(slides, decoded=Decoded(12, side))
        found = inventory.load_pixels(stock, 16, pixels.Place(tmp_path / "p"), 2, lambda done: None).values
        assert {int(one[0, 8, 2]) for one in found} == {TISSUE >> 8}


@pytest.mark.parametrize(
    ("kind", "zero", "white"),
    [(np.int32, 50, 200), (np.float32, 64, 255)],  # what of itself is 12 bits ends at 4,095
)
def test_signed_and_floating_point_values_have_one_range(tmp_path, kind, zero, white):
    first, second = (np.linspace(low, high, 256).reshape(16, 16).astype(kind) for low, high in ((-1000, 0), (0, 3000)))
    save(tmp_path, {"a/1.tif": first, "b/2.tif": second})
    stock = taken(tmp_path)
    found = [[stock.open(row).getpixel(at) for row in (0, 1)] for at in ((0, 0), (15, 15))]
    assert found == [[0, zero], [zero, white]]


@pytest.mark.parametrize(("kind", "usual", "far"), [(np.uint16, 4_095, 65_535), (np.float32, 1.0, 1e30)])
def test_one_broken_pixel_in_one_of_many_pictures_blackens_none_of_the_others(tmp_path, kind, usual, far):
    ramp = np.linspace(0, usual, 256).reshape(16, 16).astype(kind)
    broken = ramp.copy()
    broken[0, 0] = far
    folder = tmp_path / "set"
    save(folder, {f"{'ab'[number % 2]}/{number:02d}.tif": ramp if number else broken for number in range(24)})
    stock = taken(folder)
    assert [stock.open(row).getpixel((15, 15)) for row in range(24)].count(255) == 23
    assert (stock.deep.pictures, stock.deep.narrow, stock.deep.apart) == (24, 0, 1)
    (caveat,) = [one for one in curvaudit.inspect(folder).caveats if "grey of more than 8 bits" in one.message]
    assert caveat.message.startswith("1 of 24 pictures") and "scaled by itself" in caveat.message
    for number in range(1, 4):  # too many to be a mishap
        save(folder, {f"{'ab'[number % 2]}/{number:02d}.tif": broken})
    stock = taken(folder)
    assert stock.deep.apart == 0 and stock.deep.narrow == 20


def test_a_picture_without_a_number_is_black_and_has_no_say():
    nothing = Image.fromarray(np.full((4, 4), np.nan, np.float32))
    assert depth.own_scale(nothing) is None
    assert depth.to_8_bit(nothing, Scales(real=Scale(-1, 1, False))).getextrema() == (0, 0)


def test_a_copy_in_a_deeper_split_is_found(tmp_path):
    """The training split alone would be read as 12 bits."""
    save(tmp_path / "set", {f"train/{'ab'[seed % 2]}/{seed}.png": slide(seed, 4_095) for seed in range(4)})
    save(tmp_path / "set", {"test/a/copy.png": slide(0, 4_095), "test/b/9.png": slide(9, 60_000)})
    report = curvaudit.inspect(tmp_path / "set", against=":splits")
    (leak,) = [finding for finding in report.findings if finding.rule.id == "CA401"]
    assert {sample.id for sample in leak.samples} == {"a/0.png", "test: a/copy.png"}
    joined = curvaudit.inspect(tmp_path / "set", split=":splits")
    assert [finding.rule.id for finding in joined.findings if finding.rule.id.startswith("CA1")] == ["CA111"]


def test_a_scan_scales_both_splits_alike_and_can_be_resumed(tmp_path):
    save(tmp_path / "set", {f"train/{'ab'[seed % 2]}/{seed}.png": slide(seed, 4_095) for seed in range(8)})
    save(tmp_path / "set", {f"val/{'ab'[seed % 2]}/{seed}.png": slide(seed, 60_000) for seed in range(8, 12)})
    said = []
    options = {"validation": "val", "on_event": said.append, **SETTINGS}
    run = curvaudit.scan(tmp_path / "set", tmp_path / "run.h5", **options)
    assert run.info.config["deep_grey"] == {
        "pictures": 8,
        "narrow": 8,
        "apart": 0,
        "integers": [0, 65_535],
        "floats": None,
    }
    assert any("8 of 8 pictures" in event.message for event in said if isinstance(event, Notice))
    caveats = [caveat.message for caveat in curvaudit.report(run).caveats]
    assert sum("8 of 8 pictures in grey of more than 8 bits" in message for message in caveats) == 1
    curvaudit.scan(tmp_path / "set", tmp_path / "run.h5", resume=True, **options)


def test_pictures_that_the_common_scale_leaves_dark_are_told(slides):
    (caveat,) = [one for one in curvaudit.inspect(slides).caveats if "grey of more than 8 bits" in one.message]
    assert caveat.severity == "warning" and "9 of 12 pictures" in caveat.message and "0 to 65,535" in caveat.message


def test_sets_of_8_bits_hear_nothing_of_it(image_folder):
    report = curvaudit.inspect(image_folder)
    assert report.run.config["deep_grey"] is None
    assert not any("8 bits" in caveat.message for caveat in report.caveats)


def test_two_versions_of_different_depth_are_not_compared_as_if_of_one(slides, tmp_path):
    save(tmp_path / "12", {f"{'ab'[seed % 2]}/{seed:02d}.png": slide(seed, 4_095) for seed in range(4)})
    (gap,) = curvaudit.compare(tmp_path / "12", slides).gaps
    assert "0 to 4,095 in old and by 0 to 65,535 in new" in gap
    assert curvaudit.compare(slides, slides).complete


def test_what_is_told_fits_into_a_run_file(slides):
    assert json.loads(json.dumps(taken(slides).deep.described()))["pictures"] == 12
