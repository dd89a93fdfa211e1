"""The first and second epoch over a folder of JPEGs: curvaudit beside torchvision's ImageFolder with a DataLoader.

    python benchmarks/first_epoch.py FOLDER [--pictures 10000] [--resolution 112] [--train] [--repetitions 5]

FOLDER holds class/picture.jpg (flowers5: 128×128). Its files are linked under new names until there
are as many as asked for. Without `--train` only the delivery of pixels is timed, batch by batch as
the training gets them; with it a width-16 network is trained on them in float32. All three ways in turn; medians of
wall seconds with the lowest and the highest. *Decoded twice* is what a scan does with pictures that find no room in
memory between reading and loading.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from curvaudit import inventory, sources
from curvaudit.pictures import pixels
from curvaudit.pictures.decoded import Decoded
from curvaudit.training.augment import augment
from curvaudit.training.model import build_model

BATCH = 128
WORKERS = 2


def multiplied(folder: Path, target: Path, pictures: int) -> None:
    files = sorted(path for path in folder.glob("*/*") if path.is_file())
    for number in range(pictures):
        file = files[number * 7919 % len(files)]  # every class, however few pictures
        place = target / file.parent.name
        place.mkdir(parents=True, exist_ok=True)
        os.link(file, place / f"{number}{file.suffix}") if _same_disk(file, target) else (
            place / f"{number}{file.suffix}"
        ).write_bytes(file.read_bytes())


def _same_disk(file: Path, target: Path) -> bool:
    return file.stat().st_dev == target.stat().st_dev


def ours(values: np.ndarray, labels: np.ndarray, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
    whole, given = torch.from_numpy(values), torch.from_numpy(labels.astype(np.int64))
    order = torch.from_numpy(np.random.default_rng([0, epoch]).permutation(len(given)))
    for number, rows in enumerate(order.split(BATCH)):
        yield augment(whole[rows], "crop-flip", 0, epoch, number).float().div_(255), given[rows]


def trained(batches: Iterator[tuple[Tensor, Tensor]], step: Callable[[Tensor, Tensor], None]) -> float:
    started = time.monotonic()
    for images, labels in batches:
        step(images, labels)
    return time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--resolution", type=int, default=112)
    parser.add_argument("--train", action="store_true")
    parser.add_argument("--repetitions", type=int, default=5)
    given = parser.parse_args()
    size = given.resolution
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        multiplied(given.folder, folder / "set", given.pictures)
        classes = len(list((folder / "set").iterdir()))
        steps = count()

        def step(images: Tensor, labels: Tensor) -> None:
            next(steps)
            if given.train:
                optimizer.zero_grad(set_to_none=True)
                F.cross_entropy(model(images), labels).backward()
                optimizer.step()

        half = torch.full((3,), 0.5)
        model = build_model(classes=classes, channels=3, resolution=size, width=16, mean=half, std=half, seed=0)
        optimizer = torch.optim.SGD(model.parameters(), 0.01)

        def audited(keep: bool) -> list[float]:
            """Seconds before training, of the first and of the second epoch."""
            source = sources.load(folder / "set")
            started = time.monotonic()
            decoded = Decoded(len(source.ids), size) if keep else None
            stock = inventory.take(source, WORKERS, lambda done: None, decoded=decoded)
            seen = time.monotonic() - started
            place = pixels.Place(folder / "scratch", folder / "cache", always=True)
            started = time.monotonic()
            buffer = inventory.load_pixels(stock, size, place, WORKERS, lambda done: None)
            loaded = time.monotonic() - started
            shutil.rmtree(folder / "cache")
            first, second = (trained(ours(buffer.values, stock.samples.labels, epoch), step) for epoch in (1, 2))
            return [seen, loaded + first, second]

        pad = size // 8
        transform = transforms.Compose(
            [
                transforms.Resize((size, size)),
                transforms.RandomCrop(size, padding=pad),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
            ]
        )

        def from_folder() -> list[float]:
            loader = DataLoader(
                ImageFolder(folder / "set", transform),
                BATCH,
                shuffle=True,
                num_workers=WORKERS,
                persistent_workers=True,
            )
            return [0.0, *(trained(iter(loader), step) for _ in (1, 2))]

        ways = {
            "curvaudit": lambda: audited(True),
            "curvaudit, decoded twice": lambda: audited(False),
            f"ImageFolder, DataLoader of {WORKERS} processes": from_folder,
        }
        found: dict[str, list[list[float]]] = {name: [] for name in ways}
        for _ in range(given.repetitions):
            for name, way in ways.items():
                found[name].append(way())
        print("| | before training, s | first epoch, s | second epoch, s |\n|---|---|---|---|")
        for name, seconds in found.items():
            columns = [f"{np.median(c):.1f} [{min(c):.1f} – {max(c):.1f}]" for c in zip(*seconds, strict=True)]
            print(f"| {name} | {' | '.join(columns)} |")


if __name__ == "__main__":
    main()
