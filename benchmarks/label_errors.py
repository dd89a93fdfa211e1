"""How well each score finds planted label errors: MNIST, a share of the labels flipped.

    python benchmarks/label_errors.py DATA_DIR [--samples 10000] [--rate 0.02] [--seed 0] [--out RUN.h5]

DATA_DIR holds MNIST as torchvision lays it out. Labels are flipped uniformly to another class, in a
copy; the scan runs with the defaults of `fast`. Prints AUROC and average precision of every score,
and how many of the CA201 findings are planted errors with the true label suggested.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL.Image import Image
from sklearn.metrics import average_precision_score, roc_auc_score

import curvaudit
from curvaudit import ranking
from curvaudit.records import EpochDone
from curvaudit.sources import SourceOptions, load


class Relabelled:
    """The first pictures of a source with other labels."""

    def __init__(self, source, labels: np.ndarray) -> None:
        self.source, self.labels, self.classes = source, labels, source.classes

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Image, int]:
        return self.source.open(index), int(self.labels[index])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_dir")
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=0.02)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    source = load("mnist", SourceOptions(data_dir=options.data_dir))
    true = np.asarray(source.labels[: options.samples])
    random = np.random.default_rng(options.seed)
    wrong = random.choice(len(true), round(options.rate * len(true)), replace=False)
    given = true.copy()
    given[wrong] = (given[wrong] + random.integers(1, 10, len(wrong))) % 10
    planted = given != true
    with tempfile.TemporaryDirectory() as folder:
        out = options.out or Path(folder) / "run.h5"
        start = time.perf_counter()
        run = curvaudit.scan(Relabelled(source, given), out, overwrite=True, seed=options.seed, on_event=_tell)
        training = run.trainings[0]
        print(
            f"{len(true)} pictures, {planted.sum()} labels flipped, seed {options.seed}: {training.epochs} epochs, "
            f"memorized {training.memorized}, {time.perf_counter() - start:.0f} s"
        )
        for name, values in ranking.reduced(run, 0).items():
            suspicious = ranking.suspicion(run, name, values)
            print(
                f"{name:10} AUROC {roc_auc_score(planted, suspicious):.4f}  "
                f"average precision {average_precision_score(planted, suspicious):.3f}"
            )
        suggested = curvaudit.report(run).suggested
        flagged = suggested >= 0
        print(
            f"CA201: {flagged.sum()} flagged, {(flagged & planted).sum()} of them planted, "
            f"{(flagged & (suggested == true)).sum()} with the true label suggested"
        )


def _tell(event: object) -> None:
    if isinstance(event, EpochDone):
        print(f"epoch {event.epoch}: memorized {event.memorized_share:.2%}, {event.seconds:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
