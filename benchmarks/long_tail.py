"""Rare pictures or wrong labels? How often CA202 and CA201 tell them apart, on pictures in which both are planted.

    python benchmarks/long_tail.py SOURCE [--data-dir DIR] [--label-column NAME] [--samples 3000] [--kind turned]
        [--wrong 2] [--rare 0.5] [--seeds 1] [--resolution 16] [-o FOLDER]

To curvature both look alike: the network has to learn them one by one. Flips WRONG percent of the labels, and makes
RARE percent of the other pictures of a kind that hardly occurs otherwise while they keep their label: `turned` by a
quarter, `inverted`, or `coarse` (a quarter of the resolution). Scans, and counts what the report says about each.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

import curvaudit
from curvaudit import sources
from curvaudit.calibration.planting import plant
from curvaudit.records import EpochDone
from curvaudit.sources.subset import draw


def turned(picture: Image.Image) -> Image.Image:
    return picture.transpose(Image.Transpose.ROTATE_90)


def inverted(picture: Image.Image) -> Image.Image:
    return ImageOps.invert(picture.convert("L" if picture.mode == "L" else "RGB"))


def coarse(picture: Image.Image) -> Image.Image:
    small = picture.resize((max(1, picture.width // 4), max(1, picture.height // 4)), Image.Resampling.BOX)
    return small.resize(picture.size, Image.Resampling.BICUBIC)


KINDS: dict[str, Callable[[Image.Image], Image.Image]] = {"turned": turned, "inverted": inverted, "coarse": coarse}


class Planted:
    """A source with wrong labels and rare pictures in it."""

    def __init__(self, source, kind: str, wrong: float, rare: float, seed: int) -> None:
        self.source, self.classes, self.ids, self.skipped = source, source.classes, source.ids, ()
        self.name = f"{source.name} (wrong labels and rare pictures planted)"
        errors = plant(np.asarray(source.labels), wrong, seed)
        self.labels, self.wrong = errors.labels, errors.wrong
        right = np.flatnonzero(~errors.wrong)
        chosen = np.random.default_rng([seed, 2]).choice(right, round(rare * len(self.ids)), replace=False)
        self.rare = np.zeros(len(self.ids), bool)
        self.rare[chosen] = True
        self.change = KINDS[kind]

    def open(self, index: int) -> Image.Image:
        picture = self.source.open(index)
        return self.change(picture) if self.rare[index] else picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--data-dir")
    parser.add_argument("--label-column")
    parser.add_argument("--samples", type=int, default=3000)
    parser.add_argument("--kind", choices=KINDS, default="turned")
    parser.add_argument("--wrong", type=float, default=2.0)
    parser.add_argument("--rare", type=float, default=0.5)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--resolution", default="auto")
    parser.add_argument("-o", "--out", type=Path, default=Path("long-tail"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    told = sources.SourceOptions(data_dir=options.data_dir, label_column=options.label_column)
    for seed in range(options.seeds):
        drawn = draw(sources.load(options.source, told), options.samples, seed)
        planted = Planted(drawn, options.kind, options.wrong / 100, options.rare / 100, seed)
        path = options.out / f"{options.kind}-{seed}.h5"
        run = curvaudit.scan(
            planted, path, resume=path.exists(), seed=seed, resolution=options.resolution, on_event=_tell
        )
        judge(run, planted, seed)


def judge(run, planted: Planted, seed: int) -> None:
    report = curvaudit.report(run, thumbnails=False)
    said = np.full(len(planted.ids), "neither", dtype="<U8")
    for finding in report.findings:
        if finding.rule.id in ("CA201", "CA202"):
            for sample in finding.samples:
                said[sample.index] = finding.rule.id
    print(f"seed {seed}: {len(said)} pictures, {planted.wrong.sum()} wrong labels, {planted.rare.sum()} rare pictures")
    groups = {"wrong": planted.wrong, "rare": planted.rare, "others": ~(planted.wrong | planted.rare)}
    for name, rows in groups.items():
        counts = ", ".join(f"{rule} {(said[rows] == rule).sum()}" for rule in ("CA201", "CA202", "neither"))
        ranks = np.median(report.rank[rows])
        print(f"  {name}: {counts}; median rank by curvature {ranks:.0f}")
    told = said != "neither"
    known = told & (planted.wrong | planted.rare)
    right = ((said == "CA201") & planted.wrong) | ((said == "CA202") & planted.rare)
    print(f"  of {known.sum()} planted ones that were named, {right.sum()} by the right rule", flush=True)


def _tell(event: object) -> None:
    if isinstance(event, EpochDone) and event.epoch % 6 == 0:
        print(f"epoch {event.epoch}: memorized {event.memorized_share:.2%}, {event.seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
