"""The same 500 pictures as folder, npz, Parquet, CSV, JSON lines and tar: is the scan the same bit for bit?

    python benchmarks/formats_agree.py cifar100-train.parquet

Writes PNG files of the first fifty pictures of ten classes of CIFAR-100, and the other formats from them
(the writers of the tests), scans each with one seed and a short schedule, and compares labels, class names,
contents, every logged score of every epoch, and the ranking.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

import curvaudit

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from formats import write_csv, write_jsonl, write_npz, write_parquet, write_tar

CLASSES, EACH = range(0, 100, 10), 50


def write_folder(parquet: Path, folder: Path) -> Path:
    import pyarrow.parquet as pq

    table = pq.read_table(parquet)
    labels = np.array(table.column("fine_label").to_pylist())
    encoded = table.column("img").combine_chunks().field("bytes")
    for label in CLASSES:
        place = folder / f"{label:02d}"
        place.mkdir(parents=True)
        for row in np.flatnonzero(labels == label)[:EACH].tolist():
            Image.open(io.BytesIO(encoded[row].as_py())).convert("RGB").save(place / f"{row:05d}.png")
    return folder


def same(one: curvaudit.Run, other: curvaudit.Run) -> dict[str, bool]:
    names = ("labels", "content_hash", "phash", "width", "height", "contrast")
    scores = one.trainings[0].measures
    return {
        "samples": one.samples.classes == other.samples.classes
        and all(np.array_equal(getattr(one.samples, name), getattr(other.samples, name)) for name in names),
        "scores": scores == other.trainings[0].measures
        and all(np.array_equal(one.measure(0, name), other.measure(0, name), equal_nan=True) for name in scores),
        "ranking": np.array_equal(curvaudit.report(one).order, curvaudit.report(other).order),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("parquet", type=Path)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--width", type=int, default=4)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = write_folder(arguments.parquet, Path(name) / "pictures")
        writers = (write_npz, write_parquet, write_csv, write_jsonl, write_tar)
        first = None
        for source in (folder, *(write(folder) for write in writers)):
            start = time.perf_counter()
            out = Path(name) / f"{source.suffix or 'folder'}.h5"
            options = {"epochs": arguments.epochs, "width": arguments.width, "seed": 0, "device": "cpu"}
            run = curvaudit.scan(source, out, **options)
            first = first or run
            told = "  ".join(f"{what} {'same' if is_so else 'DIFFERENT'}" for what, is_so in same(first, run).items())
            print(f"{source.suffix or 'folder':9} {len(run.samples)} pictures  {told}  ", end="")
            print(f"{time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
