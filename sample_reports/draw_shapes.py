"""Draw a labelled image folder with known defects: five shapes, and five letters in five hands.

    python sample_reports/draw_shapes.py FOLDER TRUTH.csv [--each 120] [--seed 0]

Everything is drawn with Pillow and its built-in fonts; one seed draws the same pixels again. TRUTH.csv has one
row for each planted defect: `kind,id,shows,partner`, where `shows` is the right class and `partner` the picture
that was copied. `count_planted.py` compares it with a report.
"""

from __future__ import annotations

import argparse
import csv
import io
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

SIDE = 32  # pixels of a picture
FINE = 4  # pictures are drawn so much larger, then scaled down: smooth edges
SHAPES = ("circle", "cross", "square", "star", "triangle")
LETTERS = ("A", "B", "K", "R", "S")
CLASSES = (*SHAPES, *(f"letter-{letter}" for letter in LETTERS))
# How many of each are planted; by the rule that should name them.
WRONG_LABELS, OUTLIERS = 24, 10  # CA201, CA202
CONFLICTS, NEAR_CONFLICTS, DUPLICATES, NEAR_DUPLICATES = 6, 6, 6, 8  # CA101, CA102, CA111, CA112


@dataclass(frozen=True)
class Planted:
    """One defect: a row of the truth file."""

    kind: str
    id: str
    shows: str = ""
    partner: str = ""


# --- pictures ------------------------------------------------------------------------


def _polygon(corners: int, inner: float = 1.0) -> list[tuple[float, float]]:
    """A regular polygon in the unit circle; with `inner` below 1, a star of so many points."""
    radii = (1.0,) if inner == 1 else (1.0, inner)
    count = corners * len(radii)
    turn = [2 * math.pi * i / count - math.pi / 2 for i in range(count)]
    return [
        (radii[i % len(radii)] * math.cos(turn[i]), radii[i % len(radii)] * math.sin(turn[i])) for i in range(count)
    ]


def _cross(arm: float = 0.34) -> list[tuple[float, float]]:
    a = arm
    return [(-a, -1), (a, -1), (a, -a), (1, -a), (1, a), (a, a), (a, 1), (-a, 1), (-a, a), (-1, a), (-1, -a), (-a, -a)]


OUTLINES = {
    "circle": _polygon(60),
    "cross": _cross(),
    "square": [(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)],
    "star": _polygon(5, 0.42),
    "triangle": _polygon(3),
}


def _shape(name: str, random: np.random.Generator, side: int) -> Image.Image:
    """Mask of a shape, filled or as an outline, turned by any angle."""
    mask = Image.new("L", (side, side))
    radius, stretch, angle = (
        side * random.uniform(0.3, 0.42),
        random.uniform(0.85, 1.15),
        random.uniform(0, 2 * math.pi),
    )
    cosine, sine = math.cos(angle), math.sin(angle)
    points = [
        (side / 2 + radius * (x * stretch * cosine - y * sine), side / 2 + radius * (x * stretch * sine + y * cosine))
        for x, y in OUTLINES[name]
    ]
    draw = ImageDraw.Draw(mask)
    if random.random() < 0.6:
        draw.polygon(points, fill=255)
    else:
        draw.line([*points, points[0], points[1]], fill=255, width=round(side * 0.07), joint="curve")
    return mask


def _letter(letter: str, random: np.random.Generator, side: int) -> Image.Image:
    """Mask of a letter in one of five hands: regular, bold, hollow, slanted, pixels of the old bitmap font."""
    hand = random.integers(5)
    mask = Image.new("L", (side, side))
    middle, size = (side / 2, side / 2), side * random.uniform(0.62, 0.85)
    if hand == 4:
        font = ImageFont.load_default_imagefont()
        small = Image.new("L", (16, 16))
        ImageDraw.Draw(small).text((2, 2), letter, fill=255, font=font)
        glyph = small.crop(small.getbbox())
        mask.paste(ImageOps.pad(glyph, (round(size * 0.8),) * 2, Image.Resampling.NEAREST), (round(side * 0.18),) * 2)
    else:
        font = ImageFont.load_default(size)
        stroke = round(side * 0.035) if hand in (1, 2) else 0
        ImageDraw.Draw(mask).text(middle, letter, fill=255, font=font, anchor="mm", stroke_width=stroke)
        if hand == 2:
            inside = Image.new("L", (side, side))
            ImageDraw.Draw(inside).text(middle, letter, fill=255, font=font, anchor="mm")
            mask = ImageChops.subtract(mask, inside)
        if hand == 3:
            shear = (1, 0.3, -0.15 * side, 0, 1, 0)
            mask = mask.transform(mask.size, Image.Transform.AFFINE, shear, Image.Resampling.BILINEAR)
    return mask.rotate(random.uniform(-12, 12), Image.Resampling.BILINEAR)


def _colours(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Dark ink, light paper."""
    return random.integers(0, 120, 3), random.integers(170, 256, 3)


def _paper(colour: np.ndarray, random: np.random.Generator, side: int) -> Image.Image:
    """Uneven paper: no two pictures are alike by chance."""
    spots = Image.fromarray(random.integers(0, 256, (6, 6, 3), np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
    return Image.blend(Image.new("RGB", (side, side), tuple(colour.tolist())), spots, 0.25)


def _compose(masks: list[Image.Image], random: np.random.Generator) -> Image.Image:
    side = SIDE * FINE
    ink, paper = _colours(random)
    picture = _paper(paper, random, side)
    for mask in masks:
        shift = random.uniform(-0.07, 0.07, 2) * side
        mask = ImageChops.offset(mask, round(shift[0]), round(shift[1]))
        picture.paste(tuple(ink.tolist()), mask=mask)
    return picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def _mask(name: str, random: np.random.Generator) -> Image.Image:
    side = SIDE * FINE
    return _letter(name[-1], random, side) if name.startswith("letter-") else _shape(name, random, side)


def picture(name: str, random: np.random.Generator) -> Image.Image:
    """One picture of a class."""
    return _compose([_mask(name, random)], random)


def outlier(number: int, random: np.random.Generator) -> Image.Image:
    """What belongs to no class, or to two: a digit, stripes, two things over each other."""
    side = SIDE * FINE
    if number % 3 == 0:
        return _compose([_letter("3479"[number // 3 % 4], random, side)], random)
    if number % 3 == 1:
        wave = np.sin(np.linspace(0, random.uniform(15, 30), SIDE))[:, None, None] * random.uniform(40, 110, 3)
        stripes = 128 + np.broadcast_to(wave, (SIDE, SIDE, 3))
        return Image.fromarray(np.clip(stripes, 0, 255).astype(np.uint8)).rotate(90 * int(random.integers(2)))
    return _compose([_mask(str(name), random) for name in random.choice(CLASSES, 2, replace=False)], random)


# --- copies --------------------------------------------------------------------------


def _jpeg(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=40)
    return Image.open(buffer).convert("RGB")


CHANGES: tuple[Callable[[Image.Image], Image.Image], ...] = (  # one for each near-copy in turn
    _jpeg,
    lambda image: image.resize((2 * SIDE, 2 * SIDE), Image.Resampling.BICUBIC),
    ImageOps.mirror,
    lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    lambda image: image.crop((2, 1, SIDE, SIDE - 1)),
    lambda image: image.filter(ImageFilter.GaussianBlur(0.5)),
)


# --- the folder ----------------------------------------------------------------------


def draw(root: Path, each: int = 120, seed: int = 0) -> list[Planted]:
    """Write `root/class/number.png`, `each` of a class, and return what was planted. No picture carries two defects."""
    random = np.random.default_rng(seed)
    used: set[Path] = set()

    def new(label: str, suffix: str = ".png") -> Path:
        """A free name, drawn by lot: no name gives a defect away."""
        while (path := root / label / f"{random.integers(10_000):04d}{suffix}") in used:
            pass
        used.add(path)
        return path

    free: list[tuple[str, Path]] = []  # pictures without a defect
    for name in CLASSES:
        (root / name).mkdir(parents=True)
        for _ in range(each):
            free.append((name, new(name)))
            picture(name, random).save(free[-1][1])
    chosen = iter([free[place] for place in random.permutation(len(free)).tolist()])

    def other(name: str) -> str:
        return str(random.choice([label for label in CLASSES if label != name]))

    def named(path: Path) -> str:
        return path.relative_to(root).as_posix()

    def plant() -> Iterator[Planted]:
        for _ in range(WRONG_LABELS):
            name, path = next(chosen)
            yield Planted("wrong label", named(path.rename(new(other(name)))), name)
        for number in range(OUTLIERS):
            path = new(CLASSES[number % len(CLASSES)])
            outlier(number, random).save(path)
            yield Planted("outlier", named(path))
        for number in range(CONFLICTS + DUPLICATES):
            name, path = next(chosen)
            conflict = number < CONFLICTS
            # Half of them in another lossless format: other bytes, the same pixels.
            copy = new(other(name) if conflict else name, (".png", ".bmp")[number % 2])
            with Image.open(path) as image:
                image.save(copy)
            yield Planted("conflict" if conflict else "duplicate", named(copy), name, named(path))
        for number in range(NEAR_CONFLICTS + NEAR_DUPLICATES):
            name, path = next(chosen)
            conflict = number < NEAR_CONFLICTS
            copy = new(other(name) if conflict else name)
            with Image.open(path) as image:
                CHANGES[number % len(CHANGES)](image.convert("RGB")).save(copy)
            yield Planted("near-conflict" if conflict else "near-duplicate", named(copy), name, named(path))
        flat = new("square")
        Image.new("RGB", (SIDE, SIDE), (200, 60, 40)).save(flat)
        yield Planted("flat", named(flat))
        broken, text = new("star"), new("triangle", ".jpg")
        buffer = io.BytesIO()
        picture("star", random).save(buffer, "PNG")
        broken.write_bytes(buffer.getvalue()[: buffer.tell() // 2])
        text.write_text("This was a triangle once.\n")
        yield from (Planted("unreadable", named(broken)), Planted("unreadable", named(text)))

    return list(plant())


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw a labelled image folder with known defects.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--each", type=int, default=120, help="pictures of a class")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    planted = draw(arguments.folder, arguments.each, arguments.seed)
    with arguments.truth.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Planted))
        writer.writerows((defect.kind, defect.id, defect.shows, defect.partner) for defect in planted)


if __name__ == "__main__":
    main()
