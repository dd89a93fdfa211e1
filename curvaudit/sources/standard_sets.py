"""MNIST, FashionMNIST, CIFAR and ImageNet through torchvision."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CurvauditError
from ..files.home import expanded
from . import dataset, folder, splits
from .interface import Source, SourceOptions
from .naming import as_text, made_unique

_CLASSES = {
    "mnist": "MNIST",
    "fashion-mnist": "FashionMNIST",
    "cifar10": "CIFAR10",
    "cifar100": "CIFAR100",
    "imagenet": "ImageNet",
}
NAMES = tuple(_CLASSES)
SUPPORTS = ", ".join(NAMES)
DEFAULT_DIR = "data"


def matches(spec: Any) -> bool:
    """Only the names themselves."""
    return isinstance(spec, str) and spec in NAMES


def load(spec: str, options: SourceOptions) -> Source:
    """A standard set from `options.data_dir` (default `data`), laid out as torchvision does.

    `val` and `test` both name the second split of MNIST and CIFAR; ImageNet has train and val.
    Nothing is downloaded unless `options.download`.

    Raises
    ------
    CurvauditError
        The data are not there, cannot be downloaded, or the split does not exist.
    """
    split = splits.meaning(options.split or "train")
    known = ("train", "val") if spec == "imagenet" else ("train", "test", "val")
    if split not in known:
        raise CurvauditError(f"{spec} has no split {options.split!r}.", f"It has {', '.join(known)}.")
    if spec == "imagenet" and options.download:
        raise CurvauditError(
            "ImageNet cannot be downloaded without registration.",
            "Get its archives from image-net.org, then use --data-dir.",
        )
    data = _open(spec, split, expanded(options.data_dir or DEFAULT_DIR), options.download)
    name = spec if options.split is None else f"{spec} ({split})"
    if spec == "imagenet":
        return _imagenet(data, name)
    second = "test" if split == "val" else split  # one split, one set of ids
    labels = [int(label) for label in data.targets]
    return dataset.wrap(data, name, dataset.numbered(data, f"{spec}/{second}/"), labels, thread_safe=True)


def other_splits(spec: str, options: SourceOptions) -> tuple[str, ...]:
    """The other of the two."""
    if splits.meaning(options.split or "train") == "train":
        return ("val",) if spec == "imagenet" else ("test",)
    return ("train",)


def _open(name: str, split: str, root: Path, download: bool) -> Any:
    hint = "Name the folder that holds it with --data-dir, or fetch it with --download."
    if name == "imagenet":
        hint = "Name the folder that holds ILSVRC2012's archives with --data-dir."
    if not root.is_dir() and not download:
        raise CurvauditError(f"{name} is not here: there is no folder {root}.", hint)
    import torchvision

    arguments: dict[str, Any] = {"train": split == "train", "download": download}
    if name == "imagenet":
        arguments = {"split": split}
    try:
        # torchvision prints; stdout belongs to the results.
        with redirect_stdout(sys.stderr):
            return getattr(torchvision.datasets, _CLASSES[name])(str(root), **arguments)
    except Exception as error:  # RuntimeError, OSError, URLError, pickle and zip errors of half a download
        reason = (str(error).splitlines() or [""])[0].strip() or type(error).__name__
        if "download=True" in reason:
            raise CurvauditError(f"{name} was not found in {root}.", hint) from error
        doing = "downloaded to" if download else "read from"
        raise CurvauditError(f"{name} could not be {doing} {root}: {reason.rstrip('.')}.", hint) from error


def _imagenet(data: Any, name: str) -> folder.FolderSource:
    # From the files and not through torchvision's loader, so that a damaged one says what is wrong.
    root = Path(data.split_folder)
    paths = tuple(Path(path) for path, _ in data.samples)
    words = [names[0] for names in data.classes]
    # "crane" and "maillot" name two classes each.
    named = zip(words, data.wnids, strict=True)
    shown = [f"{word} ({synset})" if words.count(word) > 1 else word for word, synset in named]
    return folder.FolderSource(
        name=name,
        classes=made_unique(shown),
        ids=tuple(as_text(path.relative_to(root).as_posix()) for path in paths),
        labels=np.array([label for _, label in data.samples], np.int32),
        skipped=(),
        paths=paths,
    )
