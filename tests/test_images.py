"""Every kind of picture becomes upright grey or RGB, or is named with a reason."""

import io
import struct
import threading
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from curvaudit.errors import UnreadableImage
from curvaudit.pictures import depth, images
from curvaudit.pictures.depth import Scales

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
# Top-left red, top-right green, bottom-left blue, bottom-right white; not square, to see a turn.
CORNERS = np.zeros((16, 24, 3), np.uint8)
CORNERS[:8, :12], CORNERS[:8, 12:], CORNERS[8:, :12], CORNERS[8:, 12:] = RED, GREEN, BLUE, WHITE


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def corners(image: Image.Image) -> list[tuple[int, int, int]]:
    """Colours near the four corners: top-left, top-right, bottom-left, bottom-right."""
    image = image.convert("RGB")
    right, bottom = image.width - 3, image.height - 3
    return [image.getpixel(at) for at in ((2, 2), (right, 2), (2, bottom), (right, bottom))]


def close(colours, wanted, tolerance=0) -> bool:
    return bool(np.abs(np.array(colours, int) - np.array(wanted, int)).max() <= tolerance)


@pytest.mark.parametrize(
    ("orientation", "wanted"),
    [
        (1, [RED, GREEN, BLUE, WHITE]),
        (2, [GREEN, RED, WHITE, BLUE]),
        (3, [WHITE, BLUE, GREEN, RED]),
        (4, [BLUE, WHITE, RED, GREEN]),
        (5, [RED, BLUE, GREEN, WHITE]),
        (6, [BLUE, RED, WHITE, GREEN]),
        (7, [WHITE, GREEN, BLUE, RED]),
        (8, [GREEN, WHITE, RED, BLUE]),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_exif_orientation_is_applied(kind, orientation, wanted):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    image = images.decode(encoded(Image.fromarray(CORNERS), kind, exif=exif, **options))
    assert image.size == ((24, 16) if orientation <= 4 else (16, 24))
    assert close(corners(image), wanted, 8)
    assert not image.getexif()


def test_palette_with_and_without_transparency():
    palette = Image.fromarray(CORNERS).quantize(4)
    assert palette.mode == "P"
    assert np.array_equal(np.asarray(images.decode(encoded(palette, "PNG"))), CORNERS)
    index = palette.getpixel((0, 0))
    clear = images.decode(encoded(palette, "PNG", transparency=index))
    assert corners(clear) == [WHITE, GREEN, BLUE, WHITE]


def test_cmyk_becomes_rgb_in_the_right_sense():
    """Adobe stores CMYK inverted; a picture that is converted wrongly looks like a negative."""
    for kind, options in (("JPEG", {"quality": 100, "subsampling": 0}), ("TIFF", {})):
        image = images.decode(encoded(Image.fromarray(CORNERS).convert("CMYK"), kind, **options))
        assert image.mode == "RGB"
        assert close(corners(image), [RED, GREEN, BLUE, WHITE], 12)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_alpha_is_laid_over_white(kind):
    alpha = np.full((16, 24), 255, np.uint8)
    alpha[:8, :12], alpha[8:, :12] = 0, 51
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    image = images.decode(encoded(Image.fromarray(np.dstack([CORNERS, alpha])), kind, **options))
    assert image.mode == "RGB"
    # Blue at a fifth over white.
    assert close(corners(image), [WHITE, GREEN, (204, 204, 255), WHITE], 1)


def test_grey_with_alpha_stays_grey():
    grey = np.array([[0, 100], [100, 200]], np.uint8).repeat(8, 0).repeat(8, 1)
    alpha = np.array([[255, 0], [255, 51]], np.uint8).repeat(8, 0).repeat(8, 1)
    image = images.decode(encoded(Image.fromarray(np.dstack([grey, alpha]), "LA"), "PNG"))
    assert image.mode == "L"
    assert [image.getpixel(at) for at in ((1, 1), (14, 1), (1, 14), (14, 14))] == [0, 255, 100, 244]


def test_transparent_colours_of_pictures_without_alpha():
    grey = Image.fromarray(np.array([[10, 200]], np.uint8).repeat(8, 1).repeat(8, 0))
    assert [images.decode(encoded(grey, "PNG", transparency=10)).getpixel(at) for at in ((1, 1), (14, 1))] == [255, 200]
    colour = images.decode(encoded(Image.fromarray(CORNERS), "PNG", transparency=RED))
    assert corners(colour) == [WHITE, GREEN, BLUE, WHITE]
    bits = Image.fromarray(np.eye(8, dtype=bool).repeat(2, 0).repeat(2, 1))
    assert images.decode(encoded(bits, "PNG", transparency=1)).getextrema() == (0, 255)
    assert images.decode(encoded(bits, "PNG", transparency=0)).getextrema() == (0, 255)  # white on nothing


@pytest.mark.parametrize(("mode", "white", "other"), [("RGBA", (255, 255, 255), (9, 9, 200)), ("LA", (253,), (9,))])
def test_a_white_drawing_on_nothing_is_seen(mode, white, other):
    shape = np.zeros((16, 16, 1), np.uint8)
    shape[4:9, 3:12] = 255

    def drawn(colour, alpha):
        pixels = np.broadcast_to(np.array(colour, np.uint8), (16, 16, len(colour)))
        return images.decode(encoded(Image.fromarray(np.concatenate([pixels, alpha], 2), mode), "PNG"))

    assert np.array_equal(np.asarray(drawn(white, shape).convert("L")) > 128, shape[..., 0] > 0)
    assert drawn(other, shape).getpixel((0, 0)) in (255, (255, 255, 255))  # as ever: over white
    assert np.min(drawn(white, np.full_like(shape, 255)).getextrema()) >= 253  # opaque: white it is
    assert np.min(drawn(white, np.full_like(shape, 0)).getextrema()) == 255  # and nothing at all


def test_one_bit_pictures_are_black_and_white():
    bits = np.eye(16, dtype=bool)
    image = images.decode(encoded(Image.fromarray(bits), "PNG"))
    assert image.mode == "L"
    assert np.array_equal(np.asarray(image), bits * np.uint8(255))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize(
    ("factor", "why"), [(257, "16 bits"), (256, "16 bits, low byte 0"), (16, "12 bits in 16"), (1, "8 bits in 16")]
)
def test_deep_grey_keeps_its_shades(kind, factor, why):
    shades = np.arange(256, dtype=np.uint16).reshape(16, 16)
    image = depth.to_8_bit(images.decode(encoded(Image.fromarray(shades * np.uint16(factor)), kind)), Scales())
    assert image.mode == "L"
    assert np.array_equal(np.asarray(image), shades.astype(np.uint8)), why


def test_deep_colour_keeps_its_colours():
    """A 16-bit RGB PNG, which Pillow reads and cannot write."""
    deep = CORNERS.astype(">u2") * 257
    rows = b"".join(b"\0" + row.tobytes() for row in deep)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 24, 16, 16, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    assert np.array_equal(np.asarray(images.decode(png)), CORNERS)


def test_floating_point_pictures_are_scaled_by_their_range():
    values = np.linspace(-2, 6, 256, dtype=np.float32).reshape(16, 16)
    values[0, 0] = np.nan
    image = np.asarray(depth.to_8_bit(images.decode(encoded(Image.fromarray(values), "TIFF")), Scales()))
    assert image[0, 0] == 0 and image[-1, -1] == 255
    assert (np.diff(image.ravel()[1:].astype(int)) >= 0).all()


def test_the_first_frame_of_an_animation_counts():
    frames = [Image.fromarray(CORNERS), Image.fromarray(CORNERS[::-1].copy())]
    for kind in ("GIF", "PNG", "WEBP"):
        options = {"lossless": True} if kind == "WEBP" else {}
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert close(corners(images.decode(data)), [RED, GREEN, BLUE, WHITE], 2), kind


@pytest.mark.parametrize("size", [(1, 1), (400, 20), (1, 300)])
def test_odd_sizes_survive_everything(size):
    image = images.decode(encoded(Image.new("RGB", size, RED), "PNG"))
    assert image.size == size
    assert images.to_array(image, 32, 3).shape == (3, 32, 32)
    with Image.open(io.BytesIO(images.thumbnail(image))) as small:
        assert max(small.size) <= 96 and min(small.size) >= 1


PHOTO = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.8])
def test_a_picture_that_was_cut_short_is_never_taken_for_whole(kind, share):
    data = encoded(Image.fromarray(PHOTO), kind)
    with pytest.raises(UnreadableImage) as refused:
        images.decode(data[: max(4, int(len(data) * share))])
    assert "cut short" in str(refused.value), str(refused.value)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file (0 bytes)"),
        (b"this is not a picture at all\n" * 3, "not an image (text)"),
        ("пустой файл\n".encode(), "not an image (text)"),
        ("файл".encode()[:-1], "not an image (text)"),
        (b"\xff\xd8\xff", "begins like JPEG, but is cut short or damaged"),
        (b"<!DOCTYPE html><html>404</html>", "a web page"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X", "AppleDouble"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n", "a Git LFS pointer; `git lfs pull`"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "a PDF document"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(90), "a HEIF picture"),
        (bytes(128) + b"DICM" + bytes(90), "a DICOM file"),
        (b"PK\x03\x04" + bytes(90), "a zip archive"),
        (b"PAR1\x15\x04" + bytes(90), "a Parquet file, to be named as the source"),
        (b"0001.png" + bytes(249) + b"ustar  " + bytes(90), "a tar archive, to be named as the source"),
        (b"\x93NUMPY\x01\x00" + bytes(90), "a NumPy array"),
        (bytes(range(128, 256)) * 4, "not an image, or of a format"),
    ],
)
def test_what_is_no_picture_says_so(data, reason):
    with pytest.raises(UnreadableImage) as refused:
        images.decode(data)
    assert reason in str(refused.value)


def test_a_decompression_bomb_is_refused_by_its_size(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(UnreadableImage, match="too large: 64×64"):
        images.decode(encoded(Image.fromarray(PHOTO), "PNG"))


def test_decoding_leaves_the_warning_filters_alone(recwarn):
    before = list(warnings.filters)
    images.decode(encoded(Image.fromarray(PHOTO), "PNG"))
    with pytest.raises(UnreadableImage):
        images.decode(b"")
    assert warnings.filters == before
    assert not recwarn.list


def test_tensors_and_arrays_are_pictures():
    tensor = torch.from_numpy(CORNERS.transpose(2, 0, 1).copy())
    for value in (
        tensor,
        tensor.float() / 255,
        (tensor.float() / 255).bfloat16(),
        CORNERS,
        CORNERS / 255,
        CORNERS.astype(np.int64),
        Image.fromarray(CORNERS),
    ):
        assert corners(images.from_anything(value)) == [RED, GREEN, BLUE, WHITE]
    assert images.from_anything(tensor[:1]).mode == "L"
    assert images.from_anything(torch.eye(4, dtype=torch.bool)).getextrema() == (0, 255)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("a path", "str"),
        (np.zeros(5), "shape"),
        (np.zeros((0, 4)), "without pixels"),
        (torch.zeros(16, 24, 3), "order of axes"),
        (np.full((4, 4), -1.5), "leave out normalization"),
        (np.full((4, 4), np.nan), "no finite numbers"),
        (np.arange(256.0).reshape(16, 16), "from 0 to 255, not 0 to 1: divide by 255"),
        (np.full((4, 4), 4000, np.uint16), "0 to 255"),
    ],
)
def test_other_values_are_refused_with_a_reason(value, reason):
    with pytest.raises(UnreadableImage, match=reason):
        images.from_anything(value)


def test_small_thumbnails_are_exact_and_large_ones_small():
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(images.thumbnail(Image.fromarray(PHOTO))))), PHOTO)
    large = Image.fromarray(PHOTO).resize((600, 300))
    data = images.thumbnail(large)
    assert Image.open(io.BytesIO(data)).size == (96, 48)
    assert len(data) < 10_000


def test_thumbnails_carry_no_metadata():
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    whole = encoded(Image.fromarray(PHOTO), "JPEG", exif=exif, comment=b"at home")
    for image in (images.decode(whole), images.decode(whole).resize((300, 300))):
        assert b"home" not in images.thumbnail(image)


def test_contrast_and_grey():
    assert images.contrast(Image.new("RGB", (9, 9), (3, 77, 200))) == 0
    half = Image.fromarray(np.array([[0, 255]], np.uint8).repeat(4, 0))
    assert images.contrast(half) == pytest.approx(0.5)
    assert images.is_grey(half) and images.is_grey(half.convert("RGB"))
    assert not images.is_grey(Image.fromarray(CORNERS))


def test_the_network_sees_the_whole_picture():
    for side in (8, 64):
        array = images.to_array(Image.fromarray(CORNERS), side, 3)
        quarters = [array[:, y, x].tolist() for y in (1, -2) for x in (1, -2)]
        assert quarters == [list(RED), list(GREEN), list(BLUE), list(WHITE)]
    assert images.to_array(Image.fromarray(CORNERS), None, 1).shape == (1, 16, 24)


def test_threads_that_limit_pixels_each_have_their_own_limit_and_restore_what_was():
    before = Image.MAX_IMAGE_PIXELS
    small, large = encoded(Image.new("RGB", (10, 10)), "GIF"), encoded(Image.new("RGB", (20, 20)), "GIF")
    together, left = threading.Barrier(2), threading.Event()

    def decodes() -> tuple[bool, bool]:
        found = []
        for data in (small, large):
            try:
                images.decode(data)
                found.append(True)
            except UnreadableImage as error:
                assert "20×20" in str(error)
                found.append(False)
        return tuple(found)

    def limited(pixels: int) -> list[object]:
        with images.pixel_limit(pixels):
            together.wait(9)
            found = [decodes(), images.allowed(10, 10), images.allowed(20, 20)]
            together.wait(9)
            if pixels == 400:  # the last to leave, though not the last to come
                left.wait(9)
                found.append(decodes())
        if pixels == 100:
            left.set()
        return found

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(limited, (100, 400))
    assert one == [(True, False), True, False]
    assert other == [(True, True), True, True, (True, True)]
    assert before == Image.MAX_IMAGE_PIXELS


def test_threads_of_others_have_the_smallest_limit():
    """As those of a data set that opens its pictures with Pillow."""
    with images.pixel_limit(400), images.pixel_limit(100), ThreadPoolExecutor(1) as pool:
        assert pool.submit(images.allowed, 10, 10).result() and not pool.submit(images.allowed, 10, 11).result()
    with images.pixel_limit(images.MAX_PIXELS):  # Pillow's own number, which is to stay
        pass
    assert type(Image.MAX_IMAGE_PIXELS) is int
