"""Does it pay between processors to share every batch? Pictures a second of training, made pictures.

    python benchmarks/shared_batches.py [--batches 16,32,64,128] [--width 16] [--resolution 32] [--repetitions 5]

In turns: one process with one thread, one process with two threads, two processes with one thread each that train
together (DistributedDataParallel over gloo, statistics of the whole batch). Median over the repetitions [lowest –
highest]; the first epoch of each is not counted.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import replace

import torch
from machine import described

from curvaudit.training.device import choose_bf16
from curvaudit.training.loop import build_optimizer, train
from curvaudit.training.model import build_model
from curvaudit.training.presets import named
from curvaudit.training.processes import joined

CPU = torch.device("cpu")
WAYS = {"one process, one thread": (1, 1), "one process, two threads": (1, 2), "two processes": (2, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", default="16,32,64,128")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--resolution", type=int, default=32)
    parser.add_argument("--pictures", type=int, default=512)
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    sizes = [int(size) for size in options.batches.split(",")]
    if "RANK" in os.environ:
        for size in sizes:
            rate = pictures_a_second(size, options)
            if os.environ["RANK"] == "0":
                print(rate, flush=True)
        return
    found: dict[tuple[str, int], list[float]] = defaultdict(list)
    for _ in range(options.repetitions):
        for way, (processes, threads) in WAYS.items():
            for size, rate in zip(sizes, launched(processes, threads), strict=True):
                found[way, size].append(rate)
    print(f"| batch | {' | '.join(WAYS)} |\n|---|{'---|' * len(WAYS)}")
    for size in sizes:
        cells = (found[way, size] for way in WAYS)
        print(f"| {size} | {' | '.join(f'{statistics.median(c):.0f} [{min(c):.0f} – {max(c):.0f}]' for c in cells)} |")
    print(f"\nwidth {options.width}, {options.resolution} px; {described()}")


def launched(processes: int, threads: int) -> list[float]:
    """Pictures a second for each batch size."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    together = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    started = [
        subprocess.Popen(
            [sys.executable, *sys.argv],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **together, "RANK": str(rank), "OMP_NUM_THREADS": str(threads)},
        )
        for rank in range(processes)
    ]
    said = [process.communicate()[0] for process in started]
    return [float(line) for line in said[0].split()]


def pictures_a_second(batch_size: int, options: argparse.Namespace) -> float:
    """Median of three epochs of training, after one that is not counted."""
    generator = torch.Generator().manual_seed(0)
    shape = (options.pictures, 3, options.resolution, options.resolution)
    pixels = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, 10, (options.pictures,), generator=generator)
    half = torch.full((3,), 0.5)
    model = build_model(
        classes=10, channels=3, resolution=options.resolution, width=options.width, mean=half, std=half, seed=0
    )
    recipe = replace(named("fast", options.pictures, 3), batch_size=batch_size)
    optimizer = build_optimizer(model, recipe, 0.0)
    bf16 = choose_bf16("auto", CPU)
    rates = []
    with joined("cpu") as processes:
        before = time.perf_counter()
        for epoch in train(
            model, optimizer, pixels, labels, recipe, seed=0, first_epoch=1, device=CPU, bf16=bf16, processes=processes
        ):
            now = time.perf_counter()
            rates.append(options.pictures / (now - before))
            before = now
            if epoch.number == 4:
                break
    return statistics.median(rates[1:])


if __name__ == "__main__":
    main()
