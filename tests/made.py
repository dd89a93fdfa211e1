"""Small folders and run files for tests."""

from pathlib import Path

import numpy as np
from PIL import Image

from curvaudit import scores, store
from curvaudit.pictures import images
from curvaudit.records import EpochRow, RunInfo, Samples, Skipped, Thumbnails


def draw_folder(root: Path, classes: tuple[str, ...], each: int, size: int = 12, seed: int = 0) -> None:
    random = np.random.default_rng(seed)
    for number, name in enumerate(classes):
        folder = root / name
        folder.mkdir(parents=True)
        for index in range(each):
            pixels = random.integers(0, 90, (size, size, 3))
            pixels[..., number % 3] += 120
            pixels[number :: 3 + number] += 40
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{index:03d}.png")


def draw_splits(root: Path) -> str:
    """A folder of three classes with train and val, as a source."""
    for split, each in (("train", 40), ("val", 8)):
        draw_folder(root / split, ("circle", "square", "stripe"), each)
    return str(root)


def write_run(path: Path, epochs: int = 4, source: str = "folder") -> None:
    """A run file as a scan would leave it, without training."""
    count = 90
    chance = np.random.default_rng(1)
    pictures = chance.integers(0, 255, (count, 16, 16, 3), np.uint8)
    pictures[7] = pictures[3]
    samples = Samples(
        ids=tuple(f"class/{i}.png" for i in range(count)),
        labels=(np.arange(count) % 3).astype(np.int32),
        classes=("ant", "bee", "cat"),
        content_hash=np.array([7 if i == 3 else i for i in range(count)], np.uint64),
        phash=chance.integers(0, 2**63, count).astype(np.uint64),
        width=np.full(count, 16, np.uint16),
        height=np.full(count, 16, np.uint16),
        contrast=np.full(count, 0.2, np.float32),
    )
    thumbnails = Thumbnails(np.arange(count), tuple(images.thumbnail(Image.fromarray(p)) for p in pictures))
    info = RunInfo(source, "0" * 32, {"epochs": epochs}, {"python": "3"}, "test", "2000-01-01T00:00:00Z")
    store.create(path, info, samples, [Skipped("class/x.png", "empty file (0 bytes)")], thumbnails)
    logged = scores.build()
    store.add_training(path, 0, 0.0, 0, {}, {score.name: score.info for score in logged})
    for number in range(1, epochs + 1):
        values = {score.name: chance.gamma(1.0, size=count).astype(np.float32) for score in logged}
        values["correct"] = (chance.random(count) < (0.3, 0.6, 0.85, 0.9)[number - 1]).astype(np.float32)
        values["prediction"] = chance.integers(0, 3, count).astype(np.float32)
        accuracy = float(values["correct"].mean())
        features = chance.normal(size=(count, 6)) if number == 2 else None
        store.append_epoch(path, 0, EpochRow(number, 1.0, accuracy, np.nan, np.nan, 0.1, 1.0, values, features))
    if epochs:
        store.finish_training(path, 0, True)
