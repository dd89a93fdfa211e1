"""Decode any picture to upright 8-bit grey or RGB, or say in plain words why not."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from .errors import UnreadableImage

_APPLE_DOUBLE = b"\x00\x05\x16\x07"
LOSSLESS_SIDE = 64  # px; thumbnails up to here are exact
_THUMBNAIL_SIDE = 96  # px


def decode(data: bytes | Path) -> Image.Image:
    """Decode a picture completely: first frame, EXIF orientation applied, mode "L" or "RGB".

    Palettes, CMYK, 1-bit, 16-bit and float pictures are converted; transparency is laid over
    white. Grey stays grey.

    Raises
    ------
    UnreadableImage
        With the reason: empty, cut short, not an image, too large, no permission.
    """
    if isinstance(data, Path):
        data = _read(data)
    if not data:
        raise UnreadableImage("empty file (0 bytes)")
    if data.startswith(_APPLE_DOUBLE):
        raise UnreadableImage("AppleDouble metadata, not an image")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data)) as image:
                image.load()
                return to_grey_or_rgb(ImageOps.exif_transpose(image))
    except UnidentifiedImageError:
        raise UnreadableImage(_what_instead(data)) from None
    except Image.DecompressionBombError:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise UnreadableImage(f"too large: more than {limit:,} pixels (decompression bomb limit)") from None
    except MemoryError:
        raise UnreadableImage("too large for the memory") from None
    except Exception as error:  # Pillow's decoders raise a dozen types on damaged files
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        kind = "cut short" if "truncated" in reason.lower() or isinstance(error, EOFError) else "damaged"
        raise UnreadableImage(f"{kind}: {reason}") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        broken = path.is_symlink()
        raise UnreadableImage("broken symbolic link" if broken else "the file has vanished") from None
    except PermissionError:
        raise UnreadableImage("permission denied") from None
    except OSError as error:
        raise UnreadableImage(f"cannot be read: {error.strerror or error}") from error


def _what_instead(data: bytes) -> str:
    head = data[:512]
    text = all(byte >= 32 or byte in b"\t\n\r\f" for byte in head) and b"\0" not in head
    return "not an image (text)" if text else "not an image, or its header is damaged"


def to_grey_or_rgb(image: Image.Image) -> Image.Image:
    """Any Pillow mode to "L" or "RGB"."""
    mode = image.mode
    if mode in ("L", "RGB"):
        return image.copy()
    if mode == "1":
        return image.convert("L")
    if mode.startswith("I") or mode == "F":
        return Image.fromarray(_to_8_bit(np.asarray(image)))
    if mode in ("LA", "La"):
        return _over_white(image.convert("LA"), "L")
    if mode in ("RGBA", "RGBa", "PA") or "transparency" in image.info:
        return _over_white(image.convert("RGBA"), "RGB")
    return image.convert("RGB")


def _over_white(image: Image.Image, mode: str) -> Image.Image:
    ground = Image.new(mode, image.size, "white")
    ground.paste(image.convert(mode), mask=image.getchannel("A"))
    return ground


def _to_8_bit(values: np.ndarray) -> np.ndarray:
    """Grey of more than 8 bits, (H, W), to uint8: 16-bit, 12 bits in 16, or by its own range."""
    numbers = np.nan_to_num(values.astype(np.float64))
    low, high = float(numbers.min()), float(numbers.max())
    if np.issubdtype(values.dtype, np.integer) and low >= 0 and high <= 65535:
        # Cameras and microscopes store 12 bits in 16; divided by 257 they would be nearly black.
        scale = 1.0 if high <= 255 else 4095 / 255 if high <= 4095 else 257.0
        return np.clip(np.rint(numbers / scale), 0, 255).astype(np.uint8)
    if high == low:
        return np.zeros(values.shape, np.uint8)
    return np.rint((numbers - low) * (255 / (high - low))).astype(np.uint8)


def from_anything(value: Any) -> Image.Image:
    """A picture from a PIL image, an array (H, W) or (H, W, C), or a tensor (C, H, W) or (H, W).

    uint8, or floats in [0, 1].

    Raises
    ------
    UnreadableImage
        It is none of these.
    """
    if isinstance(value, Image.Image):
        return to_grey_or_rgb(value)
    array, is_tensor = value, hasattr(value, "detach")
    if is_tensor:
        array = value.detach().cpu().numpy()
    if not isinstance(array, np.ndarray) or array.ndim not in (2, 3):
        raise UnreadableImage(f"neither a PIL image nor a picture tensor, but {type(value).__name__}")
    if array.ndim == 3 and is_tensor:
        array = array.transpose(1, 2, 0)  # (H, W, C)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim == 3 and array.shape[2] not in (3, 4):
        raise UnreadableImage(f"a picture of {array.shape[2]} channels")
    if np.issubdtype(array.dtype, np.floating):
        if not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
            raise UnreadableImage("floating-point pixels outside [0, 1]: leave normalization to curvaudit")
        array = np.rint(array * 255).astype(np.uint8)
    if array.dtype != np.uint8:
        raise UnreadableImage(f"pixels of type {array.dtype}: give uint8, or floats in [0, 1]")
    if 0 in array.shape:
        raise UnreadableImage("a picture without pixels")
    return to_grey_or_rgb(Image.fromarray(np.ascontiguousarray(array)))


def to_array(image: Image.Image, size: int, channels: int) -> np.ndarray:
    """The whole picture scaled to a square, antialiased, nothing cropped: (channels, size, size) uint8."""
    image = image.convert("L" if channels == 1 else "RGB")
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def thumbnail(image: Image.Image) -> bytes:
    """A small encoded picture: PNG in its own size up to 64 px, above that WebP of at most 96 px."""
    buffer = io.BytesIO()
    if max(image.size) <= LOSSLESS_SIDE:
        image.save(buffer, "PNG")
    else:
        small = image.copy()
        small.thumbnail((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE))
        small.save(buffer, "WEBP", quality=82)
    return buffer.getvalue()


def contrast(image: Image.Image) -> float:
    """Largest standard deviation of a channel, pixels in [0, 1]; 0 for any flat colour."""
    pixels = np.asarray(image, np.float32).reshape(image.height * image.width, -1) / 255  # (HW, C)
    return float(pixels.std(axis=0, dtype=np.float64).max())


def is_grey(image: Image.Image) -> bool:
    """Whether one channel holds everything."""
    if image.mode == "L":
        return True
    pixels = np.asarray(image)  # (H, W, 3)
    return bool((pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all())
