"""The margin of the second look at 64 px: how far planted copies of photographs and look-alikes are apart.

    python benchmarks/template_margins.py shared/data/flowers5

Copies: of every kind, of pictures of at least 64 px from the folder given. Look-alikes: drawn here, forms and eyes
that share a template and differ in what is small. Printed is `finer.Agreement.unlike` of the pairs that agree at
32 px, in quantiles; a pair counts up to `matching.LARGEST_UNLIKE`.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

import curvaudit
from curvaudit.copies import finer, matching

PICTURES, COPIES = 600, 20


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def resized(image: Image.Image, factor: float) -> Image.Image:
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.BICUBIC)


def inner(image: Image.Image, share: float) -> Image.Image:
    x, y = round(image.width * share), round(image.height * share)
    return image.crop((x, y, image.width - x, image.height - y))


def noisy(image: Image.Image) -> Image.Image:
    noise = np.random.default_rng(0).normal(0, 12, (image.height, image.width, 3))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


KINDS = {
    "JPEG quality 30": lambda image: jpeg(image, 30),
    "JPEG quality 10": lambda image: jpeg(image, 10),
    "resized 2x": lambda image: resized(image, 2),
    "half size": lambda image: resized(image, 0.5),
    "brightness +20 %": lambda image: image.point(lambda value: min(255, int(value * 1.2))),
    "brightness +50 %": lambda image: image.point(lambda value: min(255, int(value * 1.5))),
    "half the contrast": lambda image: image.point(lambda value: 64 + value // 2),
    "cropped by 6 %": lambda image: inner(image, 0.06),
    "noise of 12 levels": noisy,
    "blurred by 2 px": lambda image: image.filter(ImageFilter.GaussianBlur(2)),
    "turned by 3 degrees, cropped": lambda image: inner(image.rotate(3, Image.Resampling.BICUBIC), 0.05),
    "in grey": lambda image: image.convert("L"),
    "mirrored diagonally": lambda image: image.transpose(Image.Transpose.TRANSPOSE),
}


def form(random: np.random.Generator) -> Image.Image:
    page = Image.new("RGB", (240, 320), (245, 245, 240))
    draw = ImageDraw.Draw(page)
    for line in range(10):
        draw.rectangle([10, 12 + 30 * line, 230, 34 + 30 * line], outline=(40, 40, 40))
        draw.text((16, 17 + 30 * line), ("Name", "Street", "Town")[line % 3], fill=(20, 20, 20))
        draw.text((80, 17 + 30 * line), "".join(random.choice(list("abcdefghij 0123456789"), 18)), fill=(30, 30, 60))
    return page


def eye(random: np.random.Generator) -> Image.Image:
    y, x = np.mgrid[:160, :160] - 80
    disc = (np.hypot(x, y) < 75)[..., None] * np.array([180, 80, 40]) * (1 - 0.3 * np.hypot(x, y)[..., None] / 75)
    image = Image.fromarray(disc.astype(np.uint8))
    for _ in range(8):
        angle, path = random.uniform(0, 6.28), [(116.0, 80.0)]
        for _ in range(12):
            angle += random.normal(0, 0.25)
            path.append((path[-1][0] + 8 * np.cos(angle), path[-1][1] + 8 * np.sin(angle)))
        ImageDraw.Draw(image).line(path, fill=(110, 30, 20), width=2)
    return image


def measured(folder: Path) -> dict[frozenset[str], float]:
    """The least `unlike` of each pair of ids that agrees at 32 px."""
    found: dict[frozenset[str], float] = {}
    near_pairs, fine = matching.near_pairs, matching._finer
    names: tuple[str, ...] = ()

    def noted(samples, pictures, audited=None):  # type: ignore[no-untyped-def]
        nonlocal names
        names = samples.ids
        return near_pairs(samples, pictures, audited)

    def look(first, second, changes, place):  # type: ignore[no-untyped-def]
        agreement = finer_look(first, second, changes, place)
        looked.append(agreement.unlike)
        return agreement

    def kept(fits, encoded):  # type: ignore[no-untyped-def]
        agreed = fine(fits, encoded)
        pairs = np.concatenate([one.pairs for one in fits])
        for (i, j), unlike in zip(pairs.tolist(), np.concatenate(looked).tolist(), strict=True):
            pair = frozenset((names[i], names[j]))
            found[pair] = min(found.get(pair, np.inf), unlike)
        return agreed

    looked: list[np.ndarray] = []
    finer_look = finer.look
    matching.near_pairs, matching._finer, finer.look = noted, kept, look
    threads, matching._THREADS = matching._THREADS, 1  # in order
    try:
        curvaudit.inspect(folder)
    finally:
        matching.near_pairs, matching._finer, finer.look, matching._THREADS = near_pairs, fine, finer_look, threads
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    sources = sorted(path for path in parser.parse_args().folder.rglob("*") if path.suffix.lower() in (".jpg", ".png"))
    random = np.random.default_rng(0)
    rows: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "a").mkdir()
        chosen = random.choice(len(sources), min(PICTURES, len(sources)), replace=False)
        for number, source in enumerate(chosen.tolist()):
            with Image.open(sources[source]) as opened:
                image = opened.convert("RGB")
            image.save(folder / "a" / f"{number}.png")
            if number < len(KINDS) * COPIES:
                kind = list(KINDS)[number // COPIES]
                KINDS[kind](image).save(folder / "a" / f"{number}-copy.png")
        found = measured(folder)
        for number in range(len(KINDS) * COPIES):
            pair = frozenset((f"a/{number}.png", f"a/{number}-copy.png"))
            rows[list(KINDS)[number // COPIES]] += [found[pair]] if pair in found else []
    for what, draw in (("other entries on a form", form), ("other vessels of an eye", eye)):
        with tempfile.TemporaryDirectory() as name:
            (Path(name) / "a").mkdir()
            for number in range(100):
                draw(random).save(Path(name) / "a" / f"{number}.png")
            rows[what] = list(measured(Path(name)).values())
    print(f"| pair | agree at 32 px | least | median | 95 % | largest | up to {matching.LARGEST_UNLIKE} |")
    print("|---|---|---|---|---|---|---|")
    for what, values in rows.items():
        if values:
            cuts = " | ".join(f"{cut:.2f}" for cut in np.quantile(values, [0, 0.5, 0.95, 1]))
            print(f"| {what} | {len(values)} | {cuts} | {int((np.array(values) <= matching.LARGEST_UNLIKE).sum())} |")


if __name__ == "__main__":
    main()
