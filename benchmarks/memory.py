"""Memory of `report`, `check RUN` and the first pass of `scan`, as the number of samples grows.

    python benchmarks/memory.py --samples 10000,100000,1000000 --epochs 20
    python benchmarks/memory.py --files 10000,100000,1000000

Run files are synthetic: written by curvaudit's own store, with gamma-distributed scores, signatures
of random pictures, one picture in a thousand a copy, one in a thousand not memorized, thumbnails as
a scan of many pictures keeps them, features for the neighbours. The pass over files reads folders
of hard links to 200 small PNG files. Each figure is the largest resident size that a process of its
own ever had (VmHWM).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CLASSES = 100
PICTURES = 20_000  # thumbnails in a run file
FEATURES = 64  # the most that a scan keeps of a picture
ORIGINALS = 200  # files behind the hard links: a file system allows some ten thousand links to one


def make_run(path: Path, samples: int, epochs: int) -> None:
    import numpy as np
    from PIL import Image

    from curvaudit import scores, store
    from curvaudit.copies import signatures
    from curvaudit.pictures import images
    from curvaudit.records import EpochRow, RunInfo, Samples, Thumbnails

    chance = np.random.default_rng(0)
    labels = chance.integers(0, CLASSES, samples).astype(np.int32)
    content = np.arange(1, samples + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    copies = chance.choice(samples, samples // 1000, replace=False)
    content[copies] = content[(copies + 1) % samples]
    noise = chance.integers(0, 255, (1000, 32, 32, 3), np.uint8)
    few = tuple(images.thumbnail(Image.fromarray(pixels)) for pixels in noise)
    kept = np.sort(chance.choice(samples, min(samples, PICTURES), replace=False))
    store.create(
        path,
        RunInfo("folder", "0" * 32, {}, {}, "benchmark", "2000-01-01T00:00:00Z"),
        Samples(
            ids=tuple(f"class {label:03d}/picture-{row:08d}.jpg" for row, label in enumerate(labels.tolist())),
            labels=labels,
            classes=tuple(f"class {number:03d}" for number in range(CLASSES)),
            content_hash=content,
            phash=chance.integers(0, 2**63, samples).astype(np.uint64),
            width=np.full(samples, 32, np.uint16),
            height=np.full(samples, 32, np.uint16),
            contrast=np.full(samples, 0.2, np.float32),
            signature=chance.integers(-127, 128, (samples, signatures.LENGTH), np.int8),
        ),
        (),
        Thumbnails(kept, tuple(few[row % len(few)] for row in range(len(kept)))),
        overwrite=True,
    )
    logged = scores.build()
    store.add_training(path, 0, 0.0, 0, {"epochs": epochs}, {score.name: score.info for score in logged})
    slow = chance.random(samples) < 0.001
    for number in range(1, epochs + 1):
        values = {score.name: chance.gamma(1.0, size=samples).astype(np.float32) for score in logged}
        right = (chance.random(samples) < number / epochs) & ~slow
        values["correct"] = right.astype(np.float32)
        values["prediction"] = np.where(right, labels, (labels + 1) % CLASSES).astype(np.float32)
        features = chance.normal(size=(samples, FEATURES)) if number == epochs // 2 else None
        row = EpochRow(number, 1.0, float(right.mean()), np.nan, np.nan, 0.1, 1.0, values, features)
        store.append_epoch(path, 0, row)
    store.finish_training(path, 0, False)


def make_folder(folder: Path, files: int) -> None:
    import numpy as np
    from PIL import Image

    chance = np.random.default_rng(0)
    originals = []
    folder.mkdir(parents=True)
    for number in range(ORIGINALS):
        originals.append(folder / f".{number}.png")
        Image.fromarray(chance.integers(0, 255, (32, 32, 3), np.uint8)).save(originals[-1])
    for label in range(CLASSES):
        (folder / f"class {label:03d}").mkdir()
    for number in range(files):
        os.link(originals[number % ORIGINALS], folder / f"class {number % CLASSES:03d}" / f"picture-{number:08d}.png")


def measure_report(path: Path, out: Path) -> None:
    from curvaudit.reporting import report, save
    from curvaudit.store import open_run

    tell("modules")
    run = open_run(path)
    tell("run opened")
    made = report(run)
    tell("report made")
    save(made, out)
    tell("files written")


def measure_check(path: Path) -> None:
    from curvaudit.checking import Target, check_target
    from curvaudit.exports.checks import FORMATS
    from curvaudit.policy.definition import Policy

    tell("modules")
    result = check_target(Target(str(path)), Policy())
    tell("checked")
    print(f"  {len(result.report.findings):,} findings", flush=True)
    del FORMATS


def measure_files(folder: Path) -> None:
    import resource

    from curvaudit import inventory, sources

    tell("modules")
    source = sources.load(str(folder))
    tell("files listed")
    stock = inventory.take(source, 2, lambda done: None)
    tell("every picture read")
    print(f"  {len(stock.samples):,} pictures, {resource.getrusage(resource.RUSAGE_SELF).ru_utime:.0f} s", flush=True)


def tell(stage: str) -> None:
    with open("/proc/self/status") as file:
        peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    print(f"  {stage:20s} {peak / 1024:8.0f} MB   {time.process_time():6.0f} s", flush=True)


def in_process(*arguments: object) -> None:
    subprocess.run([sys.executable, __file__, *map(str, arguments)], check=True)


def main() -> None:
    if sys.argv[1:2] in (["report"], ["check"], ["files"], ["make"], ["folder"]):
        what, path, *rest = sys.argv[1:]
        {
            "report": lambda: measure_report(Path(path), Path(rest[0])),
            "check": lambda: measure_check(Path(path)),
            "files": lambda: measure_files(Path(path)),
            "make": lambda: make_run(Path(path), *map(int, rest)),
            "folder": lambda: make_folder(Path(path), int(rest[0])),
        }[what]()
        return
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--samples", default="", help="sizes of synthetic run files")
    parser.add_argument("--files", default="", help="sizes of synthetic folders")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--keep", type=Path, help="a folder for the run files, which are used again if they are there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = options.keep or Path(temporary)
        for samples in [int(size) for size in options.samples.split(",") if size]:
            path = place / f"{samples}x{options.epochs}.h5"
            if not path.exists():
                in_process("make", path, samples, options.epochs)
            print(f"report, {samples:,} samples, {options.epochs} epochs")
            in_process("report", path, place / "report")
            print(f"check, {samples:,} samples, {options.epochs} epochs")
            in_process("check", path)
        for files in [int(size) for size in options.files.split(",") if size]:
            folder = Path(temporary) / str(files)
            in_process("folder", folder, files)
            print(f"first pass of a scan, {files:,} files")
            in_process("files", folder)


if __name__ == "__main__":
    main()
