"""How well each score finds planted label errors in the first pictures of a set, and what CA201 makes of them.

    python benchmarks/label_errors.py DATA_DIR [--samples 10000] [--rate 0.02] [--seed 0]

DATA_DIR holds MNIST as torchvision lays it out. `curvaudit calibrate` does the same with a whole source; this
takes the first pictures of it only, one rate and no baselines. Planted are other errors than those behind the
figures of docs/evidence.md, which were flipped over all classes at once.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import curvaudit
from curvaudit.records import EpochDone
from curvaudit.sources import SourceOptions, load


class First:
    """The first pictures of a source."""

    def __init__(self, source, samples: int) -> None:
        self.source, self.classes, self.labels = source, source.classes, source.labels[:samples]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int):
        return self.source.open(index), int(self.labels[index])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_dir")
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=0.02)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    first = First(load("mnist", SourceOptions(data_dir=options.data_dir)), options.samples)
    with tempfile.TemporaryDirectory() as folder:
        result = curvaudit.calibrate(
            first,
            Path(folder),
            rates=[options.rate],
            baselines=False,
            seed=options.seed,
            overwrite=True,
            on_event=_tell,
        )
    trial = result.trials[0]
    print(
        f"{result.samples} pictures, {trial.planted} labels flipped: {trial.epochs} epochs, memorized {trial.memorized}"
    )
    for name, quality in trial.qualities.items():
        print(f"{name:14} AUROC {quality.auroc:.4f}  average precision {quality.average_precision:.3f}")
    flags = trial.flags["CA201"]
    print(
        f"CA201: {flags.flagged} flagged, precision {flags.precision:.2f}, recall {flags.recall:.2f}, "
        f"suggested label right {flags.suggestion_right:.2f}"
    )


def _tell(event: object) -> None:
    if isinstance(event, EpochDone):
        print(f"epoch {event.epoch}: memorized {event.memorized_share:.2%}, {event.seconds:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
