"""Mutated picture files through the reader: decoded or named with a reason, in bounded time and memory."""

from __future__ import annotations

import io
import json
import multiprocessing
import random
import resource
import signal
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curvaudit.errors import UnreadableImage
from curvaudit.pictures import depth, images

SECONDS = 5  # of computing, for one file
PIXELS = 4_000_000  # limit while fuzzing, 12 MB decoded
MEMORY = 1_500_000_000  # bytes that the process may take in all, from about 300 MB at the start

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "TGA", "ICO", "PCX", "JPEG2000", "SGI", "DDS", "AVIF")
processes = multiprocessing.get_context("spawn")


def originals() -> list[tuple[str, bytes]]:
    """Small pictures in every format and mode that this Pillow writes."""
    chance = np.random.default_rng(0)
    colour = Image.fromarray(chance.integers(0, 255, (24, 32, 3), np.uint8))
    found = []
    for name in FORMATS:
        for mode in ("RGB", "L", "RGBA", "P", "1", "CMYK", "I;16", "LA"):
            buffer = io.BytesIO()
            try:
                colour.convert("L" if mode == "I;16" else mode).convert(mode).save(buffer, name)
            except Exception:
                continue  # a format that cannot hold the mode, or is not in this Pillow
            found.append((f"{name} {mode}", buffer.getvalue()))
    return found


def mutate(content: bytes, chance: random.Random) -> bytes:
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 5, 20))):
        if not data:
            break
        # Headers decide most; then tails; then anywhere.
        low, high = chance.choice(((0, 64), (0, 64), (max(0, len(data) - 64), len(data)), (0, len(data))))
        place = min(chance.randrange(low, max(low + 1, high)), len(data) - 1)
        what = chance.randrange(6)
        if what == 0:
            data[place] ^= 1 << chance.randrange(8)
        elif what == 1:
            data[place] = chance.choice((0, 1, 127, 128, 255))
        elif what == 2:
            data[place : place + 4] = chance.choice(
                (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\0\1\0\0")
            )
        elif what == 3:
            del data[place:]
        elif what == 4:
            data[place:place] = chance.randbytes(chance.choice((1, 7, 100)))
        else:
            del data[place : place + chance.choice((1, 7, 100))]
    return bytes(data)


def decode_all(count: int, log: Path) -> None:
    """Decode `count` mutations; the log names the file at work, should the process die."""
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    start = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (start + MEMORY, resource.RLIM_INFINITY))
    known = originals()
    outcome: Counter[str] = Counter()
    with log.open("w") as file, images.pixel_limit(PIXELS):
        for number in range(count):
            chance = random.Random(number)
            name, content = known[number % len(known)]
            file.seek(0)
            file.write(f"{number:8d} {name:20s}\n")
            file.flush()
            signal.setitimer(signal.ITIMER_PROF, SECONDS)  # ends the process
            try:
                image = depth.to_8_bit(images.decode(mutate(content, chance)), depth.Scales())
                assert image.mode in ("L", "RGB") and image.width * image.height <= PIXELS
                images.thumbnail(image)
                outcome["decoded"] += 1
            except UnreadableImage as error:
                assert str(error).strip() and "\n" not in str(error)
                outcome["named with a reason"] += 1
            signal.setitimer(signal.ITIMER_PROF, 0)
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    log.with_suffix(".json").write_text(json.dumps({**outcome, "MB": largest, "kinds": len(known)}))


def test_mutated_pictures(tmp_path, long_form):
    count = 20_000 if long_form else 500
    process = processes.Process(target=decode_all, args=(count, tmp_path / "log"))
    process.start()
    process.join(3600)
    assert process.exitcode == 0, f"exit code {process.exitcode} at {(tmp_path / 'log').read_text()}"
    told = json.loads((tmp_path / "log.json").read_text())
    print(f"{count} mutated pictures of {told['kinds']} kinds: {told}")
    assert told["decoded"] + told["named with a reason"] == count
    assert min(told["decoded"], told["named with a reason"]) > count / 20


def png_that_claims(width: int, height: int) -> bytes:
    """A whole PNG of a flat colour, tiny however large its picture."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    body = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def test_a_decompression_bomb_is_named_not_decoded():
    bomb = png_that_claims(30_000, 30_000)
    assert len(bomb) < 1_000_000
    with images.pixel_limit(images.MAX_PIXELS), pytest.raises(UnreadableImage) as raised:
        images.decode(bomb)
    assert "30000×30000" in str(raised.value) and "--max-pixels" in str(raised.value)


def test_the_limit_is_exact_adjustable_and_given_back():
    before = Image.MAX_IMAGE_PIXELS
    with images.pixel_limit(30 * 40):
        assert images.decode(png_that_claims(30, 40)).size == (30, 40)
        with pytest.raises(UnreadableImage, match="max-pixels"):
            images.decode(png_that_claims(30, 41))
    assert before == Image.MAX_IMAGE_PIXELS
    with images.pixel_limit(100):
        pass
    assert images.decode(png_that_claims(300, 300)).size == (300, 300)
