"""Decode any picture to upright grey or RGB, or say in plain words why not."""

from __future__ import annotations

import codecs
import errno
import io
import logging
import math
import os
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import UnreadableImage
from . import depth

LOSSLESS_SIDE = 64  # px; thumbnails up to here are exact
HEAD = 512  # bytes at the beginning of a file that say what it is
MAX_PIXELS = 178_956_970  # of one picture, as Pillow's own limit; 537 MB decoded
LARGEST_SIDE = 65_535  # px; widths and heights are stored as uint16
THUMBNAIL_SIDE = 96  # px
_WEBP_QUALITY = 82
_WHITE = 250  # from here on a picture shows nothing on a white page
_PREVIEW_SIDE = 256  # px
_PREVIEW_QUALITY = 70  # about 7 kB a photograph

_MOMENTS = np.stack([np.arange(256), np.arange(256) ** 2], axis=1)  # (256, 2) of an 8-bit value
_BOMB = " (more than --max-pixels allows, a guard against decompression bombs)"

_MINE: ContextVar[float | None] = ContextVar("pixel limit", default=None)
_LIMITS: list[Any] = []  # of all who are in `pixel_limit`, after what was before
_LIMITS_LOCK = threading.Lock()

APPLE_DOUBLE = (b"\x00\x05\x16\x07", b"\x00\x05\x16\x00")  # what files with the metadata of others begin with

FRAMES = "frames"  # in `info` of what `decode` gives, where a file holds more than one, see `_frames`
# Not MPO, which cameras write: what follows its picture belongs to that. Nor PSD, whose layers make up the picture.
_OF_SEVERAL = {"GIF", "PNG", "WEBP", "TIFF", "AVIF", "FLI", "DCX"}
_SUBFILE, _SMALLER_OR_MASK = 254, 0b101  # tag of a TIFF, and two of its bits

# Pillow knows these by name only, or starts Ghostscript to draw them.
_NOT_PICTURES = {"EPS", "BUFR", "GRIB", "HDF5", "MPEG", "WMF"}
_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG", "PNG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
)

# What class folders hold instead of pictures: (bytes to skip, how it begins, what it is). People search for the name.
_OTHERS = (
    (0, b"%pdf-", "not an image (a PDF document)"),
    (0, b"pk\x03\x04", "not an image (a zip archive)"),
    (0, b"\x1f\x8b", "not an image (a gzip archive)"),
    (0, b"\x93numpy", "not an image (a NumPy array)"),
    (0, b"par1", "not an image (a Parquet file, to be named as the source, or a folder of nothing else)"),
    (257, b"ustar", "not an image (a tar archive, to be named as the source, or a folder of nothing else)"),
    (0, b"version https://git-lfs", "not an image (a Git LFS pointer; `git lfs pull` fetches what it stands for)"),
    (128, b"dicm", "a DICOM file, which Pillow does not read; save it as PNG"),
    *((4, b"ftyp" + brand, "a HEIF picture, which Pillow does not read; save it as JPEG or PNG")
      for brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")),
)  # fmt: skip

# Pillow logs about odd TIFFs; without a handler Python would print that between our lines.
logging.getLogger("PIL").addHandler(logging.NullHandler())


def decode(data: bytes | Path) -> Image.Image:
    """Decode a picture completely: first frame, EXIF orientation applied, mode "L" or "RGB".

    Palettes, CMYK, LAB and 1-bit pictures are converted; transparency is laid over white, or over
    black where all that is drawn is white; grey stays "L". Grey of more than 8 bits stays as deep as it
    is ("I;16", "I", "F"), see `depth`. Colour profiles and other metadata are dropped; `info` holds
    `FRAMES` alone, where there are several. Safe to call from several threads.

    Raises
    ------
    UnreadableImage
        With the reason: empty, cut short, not an image, too large, no permission, …
    """
    if isinstance(data, bytes):
        return _decode(io.BytesIO(data), len(data))
    try:
        # Not read_bytes: a film that strayed into the folder may be larger than the memory.
        with data.open("rb") as stream:
            return _decode(stream, os.fstat(stream.fileno()).st_size)
    except OSError as error:
        raise UnreadableImage(_why_not_opened(data, error)) from error


def contents(stored: bytes | Path, most: int) -> bytes | None:
    """The bytes that `decode` would decode; None where a file holds more than `most`.

    Raises
    ------
    UnreadableImage
        As `decode`, if the file cannot be read.
    """
    if isinstance(stored, bytes):
        return stored
    try:
        with stored.open("rb") as stream:
            return stream.read() if os.fstat(stream.fileno()).st_size <= most else None
    except OSError as error:
        raise UnreadableImage(_why_not_opened(stored, error)) from error


def allowed(width: int, height: int) -> bool:
    """Whether `pixel_limit` lets a picture of this size be decoded."""
    return Image.MAX_IMAGE_PIXELS is None or width * height <= 2 * Image.MAX_IMAGE_PIXELS


class _Limit(float):
    """Pillow's number while some are in `pixel_limit`: compared with pixels, it is that of whoever asks.

    Pillow knows one for the whole process, and its decoders ask for it in many places. Threads that are in no
    `pixel_limit`, as those of a data set of others, get the smallest, which is also what it is as a number.
    """

    @property
    def _mine(self) -> float:
        mine = _MINE.get()
        return float(self) if mine is None else mine

    def __rmul__(self, factor: float) -> float:
        return factor * self._mine

    def __lt__(self, pixels: float) -> bool:
        return self._mine < pixels


@contextmanager
def pixel_limit(pixels: int) -> Iterator[None]:
    """Meanwhile refuse to decode pictures of more pixels (decompression bombs).

    Holds for this context, for data sets of others that open pictures with Pillow in it, and for threads to which it is
    handed on (`contextvars`). Several may be in it at once, each with its own number.
    """
    # Pillow warns above its number and raises above twice that; half a pixel makes odd limits exact.
    mine = pixels / 2
    with _LIMITS_LOCK:
        if not _LIMITS:
            _LIMITS.append(Image.MAX_IMAGE_PIXELS)  # the program's own
        _LIMITS.append(mine)
        _tell_pillow()
    before = _MINE.set(mine)
    try:
        yield
    finally:
        _MINE.reset(before)
        # Threads may leave in another order than they came: the last one restores what was before the first.
        with _LIMITS_LOCK:
            del _LIMITS[_LIMITS.index(mine, 1)]
            _tell_pillow()


def _tell_pillow() -> None:
    before, *limits = _LIMITS
    if limits:
        Image.MAX_IMAGE_PIXELS = _Limit(min(limits))  # type: ignore[assignment]
    else:
        Image.MAX_IMAGE_PIXELS = before
        _LIMITS.clear()


def from_anything(value: Any) -> Image.Image:
    """A picture, of the modes that `decode` gives, from what data sets hold.

    Parameters
    ----------
    value:
        A PIL image, an array (H, W) or (H, W, C), or a torch tensor (H, W) or (C, H, W), with
        1 to 4 channels (grey, grey and alpha, RGB, RGBA); whole numbers from 0 to 255, or
        floats from 0 to 1.

    Raises
    ------
    UnreadableImage
        It is none of these, or a lazily opened PIL image turns out damaged.
    """
    if isinstance(value, Image.Image):
        with _as_unreadable(), _quiet_pillow():
            return _upright(value)
    is_tensor = hasattr(value, "detach")
    if is_tensor:
        value = value.detach().cpu()
        # bfloat16 has no counterpart in numpy.
        value = (value.float() if value.is_floating_point() else value).numpy()
    if not isinstance(value, np.ndarray) or value.ndim not in (2, 3):
        shape = f" of shape {value.shape}" if isinstance(value, np.ndarray) else ""
        raise UnreadableImage(f"neither a PIL image nor a picture array, but {type(value).__name__}{shape}")
    if value.ndim == 3 and is_tensor:
        value = value.transpose(1, 2, 0)  # (H, W, C)
    if 0 in value.shape:
        raise UnreadableImage(f"a picture without pixels, shape {value.shape}")
    if value.ndim == 3 and value.shape[2] > 4:
        order = "(C, H, W)" if is_tensor else "(H, W, C)"
        raise UnreadableImage(f"a picture of {value.shape[2]} channels: the order of axes must be {order}")
    if value.ndim == 3 and value.shape[2] == 1:
        value = value[:, :, 0]
    pixels = np.ascontiguousarray(_array_to_8_bit(value))
    return _upright(Image.fromarray(pixels))


def to_array(image: Image.Image, size: int | None, channels: int) -> np.ndarray:
    """Pixels for the network, (channels, H, W) uint8, channels 1 or 3.

    The whole picture is scaled to size × size with antialiasing. Nothing is cropped, so other
    aspect ratios are squeezed: a score must see what a person sees. `size=None` keeps the
    picture's own size.
    """
    image = image.convert("L" if channels == 1 else "RGB")
    if size is not None:
        image = scaled(image, size)
    pixels = np.array(image)  # a copy: torch warns about read-only memory
    return pixels[None] if channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def scaled(image: Image.Image, size: int) -> Image.Image:
    """A picture, mode "L" or "RGB", at size × size."""
    return image if image.size == (size, size) else image.resize((size, size), Image.Resampling.BILINEAR)


def thumbnail(image: Image.Image) -> bytes:
    """A small encoded picture: PNG, exact, in its own size up to 64 px; above that WebP of 96 px."""
    if max(image.size) > LOSSLESS_SIDE:
        return _webp(image, THUMBNAIL_SIDE, _WEBP_QUALITY)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def preview(image: Image.Image) -> bytes | None:
    """The picture as WebP of up to 256 px, to look at; None where the thumbnail holds all of it."""
    return _webp(image, _PREVIEW_SIDE, _PREVIEW_QUALITY) if max(image.size) > THUMBNAIL_SIDE else None


def _webp(image: Image.Image, largest: int, quality: int) -> bytes:
    scale = largest / max(image.size)
    if scale < 1:
        width, height = (max(1, round(side * scale)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2.0)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=quality)
    return buffer.getvalue()


def contrast(image: Image.Image) -> float:
    """Largest standard deviation of a channel, pixels in [0, 1]: 0 for any flat colour, at most 0.5."""
    counts = np.array(image.histogram(), np.int64).reshape(-1, 256)  # (C, 256)
    pixels = image.width * image.height
    # Whole numbers without limit: rounding must not make a flat picture look textured.
    squared = max(pixels * squares - total * total for total, squares in (counts @ _MOMENTS).tolist())
    return math.sqrt(squared) / (255 * pixels)


def is_grey(image: Image.Image) -> bool:
    """Whether one channel holds everything: mode "L", or RGB with equal channels."""
    if image.mode == "L":
        return True
    pixels = np.asarray(image)  # (H, W, 3)
    return bool((pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all())


# --- opening -------------------------------------------------------------------------


def _decode(stream: BinaryIO, size: int) -> Image.Image:
    if size == 0:
        raise UnreadableImage("empty file (0 bytes)")
    head = stream.read(HEAD)
    if head.startswith(APPLE_DOUBLE):
        raise UnreadableImage('not an image (AppleDouble metadata, a macOS "._" file)')
    stream.seek(0)
    with _as_unreadable(head, size), _quiet_pillow():
        try:
            image = Image.open(stream, formats=_formats_for(head))
        except Image.DecompressionBombError as error:
            raise UnreadableImage(_too_large(stream, error)) from error
        with image:
            found = _upright(image)
            if image.format in _OF_SEVERAL and (count := _frames(image)) != 1:
                found.info[FRAMES] = count
            return found


def _frames(image: Image.Image) -> int:
    """How many pages or frames a file holds; 0 where it has more than one and they cannot be counted."""
    try:
        count = int(getattr(image, "n_frames", 1))
        if count == 1 or image.format != "TIFF":
            return count
        pages = 1
        for page in range(1, count):
            image.seek(page)
            # Scans bring a thumbnail along, pyramids smaller copies, others a mask: they show nothing more.
            pages += not int(image.getexif().get(_SUBFILE, 0)) & _SMALLER_OR_MASK
        return pages
    except Exception:  # damage behind the first one, which is whole
        return 0


@contextmanager
def _as_unreadable(head: bytes = b"", size: int = 0) -> Iterator[None]:
    """Whatever a decoder raises becomes `UnreadableImage`; `head` and `size` help to say why."""
    try:
        yield
    except UnreadableImage:
        raise
    except UnidentifiedImageError as error:
        raise UnreadableImage(_what_instead(head)) from error
    except MemoryError as error:
        raise UnreadableImage("too large for the memory of this machine") from error
    except Exception as error:  # Pillow's decoders raise a dozen types on damaged files
        reason = (str(error).splitlines() or [""])[0].strip() or type(error).__name__
        raise UnreadableImage(f"{_kind_of_damage(error, head, size)}: {reason}") from error


def _kind_of_damage(error: Exception, head: bytes, size: int) -> str:
    if head.startswith(b"RIFF") and len(head) >= 8 and size < int.from_bytes(head[4:8], "little") + 8:
        return "cut short"
    signs = ("truncated", "unexpected end", "not enough", "eof")
    if isinstance(error, (EOFError, struct.error)) or any(sign in str(error).lower() for sign in signs):
        return "cut short"
    return "damaged or cut short"


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in Image.ID if name not in _NOT_PICTURES)


def _formats_for(head: bytes) -> tuple[str, ...]:
    """All of them. WebP, which comes late, is tried first where it is one: each format before it costs as much."""
    return ("WEBP", *_formats()) if _is_webp(head) and "WEBP" in _formats() else _formats()


def _is_webp(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def _too_large(stream: BinaryIO, error: Exception) -> str:
    # Pillow's message gives the product only, and people know their pictures by width and height.
    for name in _formats():
        factory, _ = Image.OPEN[name]
        stream.seek(0)
        with suppress(Exception):
            width, height = factory(stream, "").size
            return f"too large: {width}×{height} pixels{_BOMB}"
    return f"too large{_BOMB}: {error}"


def _what_instead(head: bytes) -> str:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "not an image (a web page)"
    if text.startswith(b"<svg") or (text.startswith(b"<?xml") and b"<svg" in text):
        return "not an image of pixels (an SVG drawing)"
    lower = head.lower()
    for skip, signature, name in _OTHERS:
        if lower.startswith(signature, skip):
            return name
    if is_text(head):
        return "not an image (text)"
    for signature, name in _SIGNATURES:
        if head.startswith(signature):
            other = ", or of a kind that Pillow does not read" if name == "TIFF" else ""
            return f"begins like {name}, but is cut short or damaged{other}"
    if _is_webp(head):
        return "begins like WebP, but is cut short or damaged"
    return "not an image, or of a format that Pillow does not read"


def is_text(head: bytes) -> bool:
    """Whether a file that begins so, with `HEAD` bytes at most, is text of any language."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True  # the byte order mark of UTF-16
    ascii_bytes = sum(32 <= byte < 127 or byte in b"\t\n\r\f" for byte in head)
    control = any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head)
    # Half of it may be letters of other scripts, if they are whole UTF-8 but for the cut at the end.
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
        foreign = True
    except UnicodeDecodeError:
        foreign = False
    return bool(head) and not control and (foreign or ascii_bytes > 0.8 * len(head))


def _why_not_opened(path: Path, error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "broken symbolic link (it leads to itself)"
    if isinstance(error, FileNotFoundError):
        return "broken symbolic link" if path.is_symlink() else "the file has vanished"
    if isinstance(error, PermissionError):
        return "permission denied"
    if isinstance(error, IsADirectoryError):
        return "a folder, not a file"
    return f"cannot be read: {error.strerror or error}"


class _QuietPillow:
    """Silences Pillow's warnings; damage is told by `UnreadableImage`, nothing else is of use here.

    `warnings.catch_warnings` saves and restores a global list: threads that enter and leave in
    turn would leave it altered. So the first to enter installs it and the last to leave removes it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._saved: warnings.catch_warnings[None] | None = None

    def enter(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._saved = warnings.catch_warnings()
                self._saved.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._saved is not None:
                self._saved.__exit__(None, None, None)
                self._saved = None


_QUIET = _QuietPillow()


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    _QUIET.enter()
    try:
        yield
    finally:
        _QUIET.leave()


# --- converting ----------------------------------------------------------------------


def _upright(image: Image.Image) -> Image.Image:
    """A copy, turned as EXIF says, "L", "RGB" or deep grey, without metadata."""
    if max(image.size) > LARGEST_SIDE:
        size = f"{image.width}×{image.height}"
        raise UnreadableImage(f"too large: {size} pixels (at most {LARGEST_SIDE:,} on a side)")
    image.load()
    converted = _to_grey_or_rgb(_turned(image)).copy()
    # Otherwise the thumbnails would carry profiles and places, and PNG the transparent colour.
    converted.info.clear()
    return converted


def _turned(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image) or image
    except Exception:
        # A damaged EXIF block does not make the pixels unreadable.
        return image


def _to_grey_or_rgb(image: Image.Image) -> Image.Image:
    mode = image.mode
    if depth.is_deep(image):
        return image
    grey = mode in ("1", "L", "LA", "La")
    if mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        return _over_white(image.convert("LA" if grey else "RGBA"))
    if mode == "LAB":
        return _lab_to_rgb(image)
    return image.convert("L" if grey else "RGB")


def _over_white(image: Image.Image) -> Image.Image:
    """ "LA" to "L", "RGBA" to "RGB"; a white drawing, of which nothing would be seen, is laid over black."""
    alpha = image.getchannel("A")
    colour = image.convert("L" if image.mode == "LA" else "RGB")
    laid = Image.new(colour.mode, image.size, "white")
    laid.paste(colour, mask=alpha)
    if len(set(alpha.getextrema())) > 1 and np.min(laid.getextrema()) >= _WHITE:
        laid.paste("black", (0, 0, *image.size))
        laid.paste(colour, mask=alpha)
    return laid


def _lab_to_rgb(image: Image.Image) -> Image.Image:
    from PIL import ImageCms  # not in every build of Pillow

    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    if converted is None:
        raise ValueError("the LAB picture could not be converted")
    return converted


def _array_to_8_bit(values: np.ndarray) -> np.ndarray:
    if values.dtype == np.uint8:
        return values
    if values.dtype == bool:
        return values.astype(np.uint8) * 255
    low, high = values.min(), values.max()
    if np.issubdtype(values.dtype, np.floating):
        # Resizing overshoots a little; normalized pixels are far outside.
        if not np.isfinite(values).all():
            raise UnreadableImage("floating-point pixels that are no finite numbers")
        if low < -1e-2 or high > 1 + 1e-2:
            instead = "divide by 255, or give uint8" if low >= 0 and 2 < high <= 255 else "leave out normalization"
            raise UnreadableImage(f"floating-point pixels from {low:.3g} to {high:.3g}, not 0 to 1: {instead}")
        found: np.ndarray = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
        return found
    if np.issubdtype(values.dtype, np.integer) and low >= 0 and high <= 255:
        return values.astype(np.uint8)
    raise UnreadableImage(f"{values.dtype} pixels from {low} to {high}: give 0 to 255, or floats from 0 to 1")
