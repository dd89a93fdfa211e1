"""Data sets of the `datasets` library: saved to disk, in a local folder, or from the Hugging Face hub."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import CurvauditError, UnreadableImage
from ..extras import need
from . import doubts, features, shards, splits
from .interface import SourceOptions
from .labelling import label_all
from .listed import ListedSource, listed
from .naming import as_text

SUPPORTS = "hf:NAME, a data set of the datasets library (a folder, or a name on the hub)"
TAKES_COLUMNS = True

_PREFIX = "hf:"


def matches(spec: Any) -> bool:
    """`hf:NAME`, or a folder that `save_to_disk` wrote."""
    if isinstance(spec, str) and spec.startswith(_PREFIX):
        return True
    return isinstance(spec, (str, os.PathLike)) and bool(os.fspath(spec)) and _is_saved(Path(spec).expanduser())


def load(spec: str | Path, options: SourceOptions) -> ListedSource:
    """A data set through the `datasets` library; `hf:NAME#CONFIG` names a configuration.

    NAME is a folder (written by `save_to_disk`, or of files that `load_dataset` reads) or a name on
    the hub. Without `options.download` nothing is fetched: a name is then looked for in the
    library's cache only. The picture and label columns, class names and ids are found as in
    Parquet files. The split is `options.split`, by default the training split.

    Raises
    ------
    CurvauditError
        datasets is missing, there is no such data set or split, or its columns are ambiguous.
    """
    library, found, folder, shown = _found(spec, options.download)
    split = None
    if isinstance(found, dict):
        split = splits.choose([str(key) for key in found], options.split, shown)
        data = found[split]
    else:
        splits.refuse(options.split, shown, "save a DatasetDict")
        data = found
    described = data.features.to_dict()
    pictures = [column for column in data.column_names if isinstance(data.features[column], library.Image)]
    chosen = features.choose(
        data.column_names,
        described,
        pictures,
        options.image_column,
        options.label_column,
        shown,
        "Cast the column of pictures to datasets.Image() first",
    )
    if chosen.image not in pictures:
        raise CurvauditError(
            f"The column {chosen.image} of {shown} is no Image column.", "Cast it to datasets.Image() first."
        )
    data = data.cast_column(chosen.image, library.Image(decode=False)).with_format(None)
    stock = _Stock(data, chosen.image)
    further = [
        column
        for column in data.column_names
        if column not in (chosen.image, chosen.label) and isinstance(data.features[column], library.Value)
    ]
    columns = {column: ["" if item is None else str(item) for item in data[column]] for column in further}
    skipped = features.unseen(described, chosen)
    # In what `save_to_disk` wrote the library refuses a gap itself; of other files it reads what is there.
    if folder.is_dir() and not _is_saved(folder):
        skipped += shards.gaps(folder, split)
    if split is None:
        skipped += doubts.of_columns(columns, "its rows are in no split")
    return listed(
        shown if options.split is None else f"{shown} ({split})",
        features.identities(stock.paths(folder)),
        label_all(list(data[chosen.label]), chosen.names),
        reader=stock.encoded,
        skipped=skipped,
        columns=columns,
    )


def other_splits(spec: str | Path, options: SourceOptions) -> tuple[str, ...]:
    """The other splits of a data set that has some."""
    _, found, _, shown = _found(spec, options.download)
    return splits.others([str(key) for key in found], options.split, shown) if isinstance(found, dict) else ()


def _found(spec: str | Path, download: bool) -> tuple[Any, Any, Path, str]:
    """(the library, what it loads, the folder it may be in, the name as shown)."""
    shown = as_text(os.fspath(spec))
    name, _, config = os.fspath(spec).removeprefix(_PREFIX).partition("#")
    if not name:
        raise CurvauditError("hf: names no data set.", "Write hf:NAME, for example hf:mnist or hf:./folder.")
    library = need("datasets", "hf", f"Reading {shown}")
    folder = Path(name).expanduser()
    return library, _fetch(library, folder, name, config or None, download, shown), folder, shown


@dataclass
class _Stock:
    """The encoded pictures of a data set."""

    data: Any
    column: str
    lock: threading.Lock = field(default_factory=threading.Lock)

    def paths(self, root: Path) -> list[str | None]:
        """The path beside each picture, relative to `root` where it lies below."""
        found: list[str | None] = []
        below = f"{root.resolve()}{os.sep}"
        for batch in self.data.select_columns(self.column).with_format("arrow").iter(1000):
            for chunk in batch.column(self.column).chunks:
                found += [path and path.removeprefix(below) for path in chunk.field("path").to_pylist()]
        return found

    def encoded(self, position: int) -> bytes | Path:
        """The picture in a row, not decoded, or its file."""
        try:
            with self.lock:
                item = self.data[position][self.column]
        except Exception as error:  # the library raises what its file systems and Arrow raise
            reason = (str(error).splitlines() or [""])[0] or type(error).__name__
            raise UnreadableImage(f"the data set raised {type(error).__name__}: {reason}") from error
        if item is None:
            raise UnreadableImage("the picture is missing")
        if item.get("bytes") is not None:
            return bytes(item["bytes"])
        if item.get("path"):
            return Path(item["path"])
        raise UnreadableImage("neither a picture nor its path is stored")


def _is_saved(folder: Path) -> bool:
    return (folder / "dataset_dict.json").is_file() or (
        (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()
    )


def _fetch(library: Any, folder: Path, name: str, config: str | None, download: bool, shown: str) -> Any:
    with _offline(library, not download):
        library.disable_progress_bars()
        try:
            if _is_saved(folder):
                return library.load_from_disk(str(folder))
            return library.load_dataset(str(folder.resolve()) if folder.is_dir() else name, config)
        except Exception as error:  # the library raises what its builders, Arrow and the hub raise
            reason = (str(error).splitlines() or [""])[0].strip() or type(error).__name__
            hint = "Check that `datasets.load_dataset` reads it."
            if not download and not folder.is_dir():
                hint = "Name a local folder, or fetch it with --download: without, nothing is loaded from the network."
            raise CurvauditError(f"{shown} could not be loaded: {reason.rstrip('.')}.", hint) from error


@contextmanager
def _offline(library: Any, offline: bool) -> Iterator[None]:
    """No network inside, whatever the environment says."""
    from huggingface_hub import constants

    homes: tuple[Any, ...] = (constants, library.config) if offline else ()
    before = [home.HF_HUB_OFFLINE for home in homes]
    for home in homes:
        home.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        for home, value in zip(homes, before, strict=True):
            home.HF_HUB_OFFLINE = value
