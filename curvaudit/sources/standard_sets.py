"""MNIST, FashionMNIST, CIFAR and ImageNet through torchvision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import CurvauditError
from . import dataset
from .interface import SourceOptions

_CLASSES = {
    "mnist": "MNIST",
    "fashion-mnist": "FashionMNIST",
    "cifar10": "CIFAR10",
    "cifar100": "CIFAR100",
    "imagenet": "ImageNet",
}
NAMES = tuple(_CLASSES)


def load(name: str, options: SourceOptions) -> dataset.DatasetSource:
    """A standard set from `options.data_dir` (default `data`); `val` and `test` name the second split.

    Raises
    ------
    CurvauditError
        The data are absent and no download was asked for, or the split does not exist.
    """
    split = options.split or "train"
    if split not in ("train", "test", "val"):
        raise CurvauditError(f"{name} has no split {split!r}.", "Choose one with --split: train, test.")
    import torchvision

    root = Path(options.data_dir or "data")
    arguments: dict[str, Any] = {}
    if name == "imagenet":
        if options.download:
            raise CurvauditError(
                "ImageNet cannot be downloaded freely.", "Get its archives from image-net.org, then use --data-dir."
            )
        arguments["split"] = "train" if split == "train" else "val"
    else:
        arguments["train"] = split == "train"
        arguments["download"] = options.download
    if not root.is_dir() and not options.download:
        raise CurvauditError(
            f"The folder {root} for {name} does not exist.", "Name it with --data-dir, or fetch the data with --download."
        )
    try:
        data = getattr(torchvision.datasets, _CLASSES[name])(str(root), **arguments)
    except (RuntimeError, OSError, ModuleNotFoundError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CurvauditError(
            f"{name} cannot be loaded from {root}: {reason}",
            "Name its folder with --data-dir, or fetch the data with --download.",
        ) from error
    if name == "imagenet":
        data.classes = [names[0] if isinstance(names, tuple) else names for names in data.classes]
    source = dataset.load(data, name if options.split is None else f"{name} ({split})")
    return source
