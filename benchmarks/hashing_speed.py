"""Seconds to hash a folder of pictures and to search it for copies, beside imagededup in the same run.

    python benchmarks/hashing_speed.py cifar100-train.parquet --pictures 10000 --peers-python PEERS/bin/python

Writes PNG files of the first pictures, then times, in turn, imagededup's PHash (see peers.py) and
curvaudit: an inspection without cache, one that fills a cache, and one that finds everything in it. Ours
includes what imagededup does not do: comparison on pixels, mirrored, turned and cropped copies.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

PEERS = Path(__file__).parent / "peers.py"


def write(parquet: Path, count: int, folder: Path) -> None:
    """The first pictures as PNG, in one folder for each class."""
    import pyarrow.parquet as pq

    table = pq.read_table(parquet).slice(0, count)
    encoded = table.column("img").combine_chunks().field("bytes")
    for row, label in enumerate(table.column("fine_label").to_pylist()):
        place = folder / f"{label:02d}"
        place.mkdir(exist_ok=True)
        Image.open(io.BytesIO(encoded[row].as_py())).convert("RGB").save(place / f"{row:05d}.png")


def ours(folder: str, cache: str | None) -> dict[str, float]:
    """Seconds of reading and of everything, and peak memory; in a process of its own."""
    code = (
        "import json, sys, time, resource, curvaudit; from curvaudit import inventory; "
        "start = time.perf_counter(); honest = inventory.take; read = []\n"
        "def timed(*a, **k):\n    t = time.perf_counter(); s = honest(*a, **k)\n"
        "    read.append(time.perf_counter() - t); return s\n"
        "inventory.take = timed\n"
        "report = curvaudit.inspect(sys.argv[1], cache=sys.argv[2] or None)\n"
        "whole = time.perf_counter() - start\n"
        "print(json.dumps({'hash': read[0], 'search': whole - read[0], 'findings': len(report.findings), "
        "'MB': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))"
    )
    done = subprocess.run([sys.executable, "-c", code, folder, cache or ""], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("parquet", type=Path)
    parser.add_argument("--pictures", type=int, default=50_000)
    parser.add_argument("--folder", type=Path, help="written by an earlier call; default: a temporary one")
    parser.add_argument("--peers-python", help="a python with imagededup 0.3.3; default: curvaudit alone")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.folder or Path(name) / "pictures"
        if not folder.exists():
            folder.mkdir(parents=True)
            write(arguments.parquet, arguments.pictures, folder)
        print(f"{sum(1 for _ in folder.rglob('*.png'))} pictures, {os.cpu_count()} cores")
        print(f"{'':28} {'hash s':>8} {'search s':>9} {'total s':>8}")
        for called, cache in (("", None), (", fills a cache", name), (", from the cache", name)):
            took = ours(str(folder), cache)
            row = f"{'curvaudit' + called:28} {took['hash']:8.1f} {took['search']:9.1f} "
            print(f"{row}{took['hash'] + took['search']:8.1f}   {took['MB']:.0f} MB", flush=True)
        if arguments.peers_python:
            start = time.perf_counter()
            command = [arguments.peers_python, str(PEERS), "imagededup", str(folder)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            took = json.loads(done.stdout)
            row = f"{'imagededup 0.3.3 PHash':28} {took['hash']:8.1f} {took['search']:9.1f} "
            print(f"{row}{took['hash'] + took['search']:8.1f}   (with start-up {time.perf_counter() - start:.1f} s)")
    print(f"peak memory of the largest child {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
