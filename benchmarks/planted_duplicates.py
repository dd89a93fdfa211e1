"""Recall and precision of near-duplicates: 2,000 CIFAR-100 pictures with 40 planted copies of each kind.

    python benchmarks/planted_duplicates.py cifar100-train.parquet

Half of the copies stand under another label. A reported pair is right if it joins a picture and its
planted copy, or two copies of one picture. CIFAR-100 holds near-duplicates of its own; pairs of two
originals are therefore listed and drawn into a montage (--montage), to be judged by eye, and left
out of the precision.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image

import curvaudit

PICTURES, COPIES = 2000, 40


def jpeg(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=30)
    return Image.open(buffer).convert("RGB")


def brightness(image: Image.Image, factor: float) -> Image.Image:
    return Image.fromarray(np.clip(np.asarray(image) * factor, 0, 255).round().astype(np.uint8))


KINDS = {
    "exact": lambda image: image,
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "jpeg quality 30": jpeg,
    "resized 2x and back": lambda image: image.resize((64, 64), Image.Resampling.BICUBIC).resize(image.size),
    "resized 2x": lambda image: image.resize((64, 64), Image.Resampling.BICUBIC),
    "half size": lambda image: image.resize((16, 16), Image.Resampling.BICUBIC),
    "brightness +20 %": lambda image: brightness(image, 1.2),
    "brightness -20 %": lambda image: brightness(image, 0.8),
    "crop 2 px each side": lambda image: image.crop((2, 2, 30, 30)),
    "crop 2 px one side": lambda image: image.crop((2, 0, 32, 32)),
    "rotated 90": lambda image: image.transpose(Image.Transpose.ROTATE_90),
}


def plant(parquet: Path, folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Write the folder; id -> the picture it shows, id -> kind of the copy."""
    import pyarrow.parquet as pq

    table = pq.read_table(parquet)
    labels = table.column("fine_label").to_pylist()
    encoded = table.column("img").combine_chunks().field("bytes")
    random = np.random.default_rng(0)
    chosen = random.choice(len(labels), PICTURES, replace=False)
    picture_of, kind_of = {}, {}

    def write(image: Image.Image, label: int, name: str, picture: str, kind: str) -> None:
        (folder / f"{label:02d}").mkdir(exist_ok=True)
        image.save(folder / f"{label:02d}" / name)
        picture_of[f"{label:02d}/{name}"], kind_of[f"{label:02d}/{name}"] = picture, kind

    kinds = list(KINDS)
    for number, row in enumerate(chosen.tolist()):
        image = Image.open(io.BytesIO(encoded[row].as_py())).convert("RGB")
        write(image, labels[row], f"{row}.png", str(row), "")
        if number < len(kinds) * COPIES:
            kind, which = kinds[number // COPIES], number % COPIES
            label = (labels[row] + 1 + which) % 100 if which % 2 else labels[row]
            write(KINDS[kind](image), label, f"{row}-copy.png", str(row), kind)
    return picture_of, kind_of


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("parquet", type=Path)
    parser.add_argument("--montage", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        picture_of, kind_of = plant(arguments.parquet, folder)
        start = time.perf_counter()
        report = curvaudit.inspect(folder)
        seconds = time.perf_counter() - start
        found, wrong, own, said = set(), [], [], defaultdict(Counter)
        for finding in report.findings:
            if finding.rule.id not in ("CA101", "CA102", "CA111", "CA112"):
                continue
            for one, other in combinations([sample.id for sample in finding.samples], 2):
                copies = [identity for identity in (one, other) if kind_of[identity]]
                if picture_of[one] == picture_of[other]:
                    found.add(copies[0])
                    said[kind_of[copies[0]]][str(finding.evidence["kind"])] += 1
                else:
                    (wrong if copies else own).append((one, other, finding.evidence["kind"]))
        total = Counter(kind for kind in kind_of.values() if kind)
        right = Counter(kind_of[identity] for identity in found)
        print(f"{len(kind_of)} pictures, {seconds:.1f} s")
        for kind in KINDS:
            called = ", ".join(f"{text} {count}" for text, count in said[kind].most_common(3))
            print(f"{kind:20} recall {right[kind]}/{total[kind]} = {right[kind] / total[kind]:.3f}   called: {called}")
        print(f"precision {len(found)}/{len(found) + len(wrong)} = {len(found) / (len(found) + len(wrong)):.4f}")
        print("pairs with a copy that are wrong:", wrong)
        print("pairs of two originals, to be judged by eye:", own)
        if arguments.montage:
            sheet = Image.new("RGB", (140 * 6, 70 * (len(own + wrong) // 6 + 1)), "white")
            for place, (one, other, _) in enumerate(own + wrong):
                for side, identity in enumerate((one, other)):
                    with Image.open(folder / identity) as image:
                        sheet.paste(image.resize((64, 64)), (140 * (place % 6) + 66 * side, 70 * (place // 6)))
            sheet.save(arguments.montage)


if __name__ == "__main__":
    main()
