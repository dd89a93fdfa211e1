"""Recall and precision of near-duplicates: 2,000 CIFAR-100 pictures with 40 planted copies of each kind.

    python benchmarks/planted_duplicates.py cifar100-train.parquet --peers-python PEERS/bin/python

With --peers-python, imagededup and CleanVision look at the same folder, see peers.py. Half of the copies
stand under another label. A pair is right if it joins a picture and its planted copy, or two copies of one
picture. CIFAR-100 holds near-duplicates of its own; pairs of two originals are therefore counted apart,
and drawn into a montage (--montage) to be judged by eye.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import tempfile
import time
from collections import Counter
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
    "mirrored diagonally": lambda image: image.transpose(Image.Transpose.TRANSPOSE),
    "in grey": lambda image: image.convert("L"),
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


def ours(folder: Path) -> tuple[float, dict[tuple[str, str], str]]:
    """Seconds, and what every pair of one finding is called."""
    start = time.perf_counter()
    report = curvaudit.inspect(folder)
    seconds = time.perf_counter() - start
    return seconds, {
        pair: str(finding.evidence["kind"])
        for finding in report.findings
        if finding.rule.id in ("CA101", "CA102", "CA111", "CA112")
        for pair in combinations(sorted(sample.id for sample in finding.samples), 2)
    }


def peer(python: str, name: str, folder: Path) -> tuple[float, dict[tuple[str, str], str]]:
    """The same of another tool, see peers.py."""
    command = [python, str(Path(__file__).parent / "peers.py"), name, str(folder)]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return told["hash"] + told["search"], {(one, other): "" for one, other in told["pairs"]}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("parquet", type=Path)
    parser.add_argument("--montage", type=Path)
    parser.add_argument("--peers-python", help="a python with imagededup 0.3.3 and cleanvision 0.3.7, see peers.py")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        picture_of, kind_of = plant(arguments.parquet, folder)
        found = {"curvaudit": ours(folder)}
        if arguments.peers_python:
            for tool in ("imagededup", "cleanvision"):
                found[tool] = peer(arguments.peers_python, tool, folder)
        planted = Counter(kind for kind in kind_of.values() if kind)
        recalled: dict[str, Counter[str]] = {}
        sums = []
        for tool, (seconds, pairs) in found.items():
            right = {pair for pair in pairs if picture_of[pair[0]] == picture_of[pair[1]]}
            copies = {identity for pair in right for identity in pair if kind_of[identity]}
            recalled[tool] = Counter(kind_of[identity] for identity in copies)
            wrong = [pair for pair in pairs if pair not in right and (kind_of[pair[0]] or kind_of[pair[1]])]
            own = len(pairs) - len(right) - len(wrong)
            share = len(right) / max(1, len(right) + len(wrong))
            sums.append((tool, f"{len(right)}/{len(right) + len(wrong)} = {share:.3f}", own, f"{seconds:.1f}"))
        print(f"{len(kind_of)} pictures\n")
        print("| kind |", " | ".join(found), "|")
        print("|---|" + "---|" * len(found))
        for kind in KINDS:
            print(f"| {kind} |", " | ".join(f"{recalled[tool][kind]}/{planted[kind]}" for tool in found), "|")
        print("| precision of pairs with a planted copy |", " | ".join(one[1] for one in sums), "|")
        print("| pairs of two originals |", " | ".join(str(one[2]) for one in sums), "|")
        print("| seconds |", " | ".join(one[3] for one in sums), "|\n")
        pairs = found["curvaudit"][1]
        for kind in KINDS:
            called = Counter(
                text
                for (one, other), text in pairs.items()
                if picture_of[one] == picture_of[other] and kind in (kind_of[one], kind_of[other])
            )
            print(f"{kind:20} called {', '.join(f'{text} {count}' for text, count in called.most_common(3))}")
        strange = [pair for pair in pairs if picture_of[pair[0]] != picture_of[pair[1]]]
        print("other pairs of curvaudit, to be judged by eye:", [(*pair, pairs[pair]) for pair in strange])
        if arguments.montage:
            sheet = Image.new("RGB", (140 * 6, 70 * (len(strange) // 6 + 1)), "white")
            for place, pair in enumerate(strange):
                for side, identity in enumerate(pair):
                    with Image.open(folder / identity) as image:
                        sheet.paste(image.resize((64, 64)), (140 * (place % 6) + 66 * side, 70 * (place // 6)))
            sheet.save(arguments.montage)


if __name__ == "__main__":
    main()
