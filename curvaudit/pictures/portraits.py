"""All that is derived from a picture when it is opened once: hashes, signature, size, flatness, thumbnail.

Pictures are sketched one by one, so that only one is held decoded, and finished many at a time: the
cosine transforms of a stack cost a fraction of those of each picture alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path

import numpy as np
from PIL import Image, __version__, features

from .. import __version__ as release
from ..copies import hashing, signatures
from . import depth, images
from .depth import Scale

# Pixels from which a thumbnail is drawn while the picture is open: it takes 1 ms, and opening again every
# seventh picture, the candidates for copies, takes as long on average from here on.
DRAWN_FROM = 2**19


@dataclass(frozen=True, slots=True)
class Portrait:
    """What an inventory keeps of a picture."""

    content: int  # see hashing.content_hash
    perceptual: int  # see hashing.perceptual_hashes
    signature: np.ndarray  # (99,) int8
    width: int
    height: int
    contrast: float  # see images.contrast
    grey: bool
    thumbnail: bytes | None  # None: it was not asked for, and is cheap to draw
    scale: Scale | None = None  # that would fit this picture alone, whatever it was scaled by; None: it has 8 bits
    frames: int = 1  # pages or frames of its file; 0: more than one, which cannot be counted


@dataclass(frozen=True, slots=True)
class Sketch:
    """A portrait whose transforms are still to be made."""

    content: int
    for_hash: np.ndarray  # (32, 32) uint8
    for_signature: np.ndarray  # (32, 32) uint8
    width: int
    height: int
    contrast: float
    grey: bool
    thumbnail: bytes | None
    scale: Scale | None
    frames: int


def sketch(image: Image.Image, every_thumbnail: bool, scale: Scale | None = None) -> Sketch:
    """Look at one picture, mode "L" or "RGB"; `scale` is that of a deep one, see `Portrait`.

    Without `every_thumbnail` small ones are not drawn: few are asked for, and those are cheap to open again.
    """
    grey = image.convert("L")
    return Sketch(
        content=hashing.content_hash(image),
        for_hash=hashing.reduced(grey),
        for_signature=signatures.reduced(grey),
        width=image.width,
        height=image.height,
        contrast=images.contrast(image),
        grey=images.is_grey(image),
        thumbnail=images.thumbnail(image) if every_thumbnail or image.width * image.height >= DRAWN_FROM else None,
        scale=scale,
        frames=image.info.get(images.FRAMES, 1),
    )


def finished(sketches: Sequence[Sketch]) -> list[Portrait]:
    """The same for each, whatever it stands beside."""
    if not sketches:
        return []
    perceptual = hashing.perceptual_hashes(np.stack([one.for_hash for one in sketches])).tolist()
    looks = signatures.signatures(np.stack([one.for_signature for one in sketches]))
    return [
        Portrait(
            one.content,
            phash,
            look,
            one.width,
            one.height,
            one.contrast,
            one.grey,
            one.thumbnail,
            one.scale,
            one.frames,
        )
        for one, phash, look in zip(sketches, perceptual, looks, strict=True)
    ]


@cache
def version() -> str:
    """Names what a portrait depends on beside the file: our code, Pillow and the codecs it brings.

    The code is named by its text. A number kept by hand is forgotten once, and then old hashes pass
    for new ones.
    """
    digest = blake2b(digest_size=8)
    for file in (__file__, images.__file__, depth.__file__, hashing.__file__, signatures.__file__):
        try:
            digest.update(Path(file).read_bytes())
        except OSError:  # installed without sources
            digest.update(release.encode())
    codecs = [f"{name} {features.version(name)}" for name in ("jpg", "jpg_2000", "zlib", "libtiff", "webp", "avif")]
    return "; ".join([digest.hexdigest(), f"Pillow {__version__}", *codecs])
