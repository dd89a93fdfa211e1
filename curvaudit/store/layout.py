"""Numbers and names that writing and reading have in common; docs/format.md is the specification."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

FORMAT = "curvaudit-run"
MAJOR = 1
COLUMNS = 65536  # samples a chunk: an epoch is a few chunks, a block of samples one chunk an epoch
CURVES = ("train_loss", "train_accuracy", "val_loss", "val_curvature", "learning_rate", "seconds")
# Of all data sets of numbers but the measures, by name, whichever group they lie in.
TYPES: dict[str, type] = {
    **dict.fromkeys(("label", "line", "number"), np.int32),
    **dict.fromkeys(("content_hash", "phash"), np.uint64),
    **dict.fromkeys(("width", "height"), np.uint16),
    **dict.fromkeys(("rows", "offsets"), np.int64),
    **dict.fromkeys(CURVES, np.float64),
    "contrast": np.float32,
    "signature": np.int8,
    "features": np.float16,
    "data": np.uint8,
}
FEATURES = 4096  # rows of features a chunk, and a block
# With checksums on everything that is not data: a flipped byte is an error, not another number.
LIBRARY = ("v110", "v110")
WAITING = ".epoch-"  # between the name of the run file and training and number of an epoch beside it
ATTEMPTS = 5  # to read a run that is being written
_SIGNATURE = b"\x89HDF\r\n\x1a\n"  # the first bytes of an HDF5 file


def looks_like_run(path: Path, empty: bool = True) -> bool:
    """Whether a file is a run file, damaged or not, as far as its first bytes tell; an `empty` one may have been."""
    if not os.path.isfile(path):  # a pipe would never say; Path.is_file() raises for names that are too long
        return False
    try:
        with path.open("rb") as file:
            first = file.read(len(_SIGNATURE))
    except OSError:
        return False
    return first == _SIGNATURE or (empty and not first)
