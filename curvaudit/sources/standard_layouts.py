"""Standard sets where they lie on disk: no image folders, though people scan the folder that holds them."""

from __future__ import annotations

import os
from pathlib import Path

# As torchvision lays them out below its `root`: a file that each has.
_FILES = {
    "mnist": "MNIST/raw/train-images-idx3-ubyte",
    "fashion-mnist": "FashionMNIST/raw/train-images-idx3-ubyte",
    "cifar10": "cifar-10-batches-py/data_batch_1",
    "cifar100": "cifar-100-python/train",
}


def standard_sets_in(folder: Path) -> tuple[tuple[str, str], ...]:
    """Name and `data_dir` of the standard sets that lie in a folder, or of which it is a part."""
    ends = Path(os.path.abspath(folder)).parts
    found = []
    for name, file in _FILES.items():
        parts = Path(file).parts
        for above in range(len(parts)):
            if ends[len(ends) - above :] == parts[:above] and folder.joinpath(*parts[above:]).is_file():
                found.append((name, os.path.normpath(os.path.join(folder, *[os.pardir] * above))))
    return tuple(found)
