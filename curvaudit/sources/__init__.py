"""Where labelled pictures come from: one module for each kind of source.

To add one, write a file here with

- `matches(spec) -> bool`: cheap, opens nothing, true for what only this source reads;
- `load(spec, options) -> Source`: heavy imports inside;
- `SUPPORTS`: what it reads, in the words of an error message;
- `other_splits(spec, options) -> (str, …)` (optional): the splits beside the one that `load` would choose;
- `NAMES` (optional): the names it goes by. Such sources are asked first.
- `LAST = True` (optional): it takes what the others leave, thus it is asked last.
- `TAKES_COLUMNS = True` (optional): the options `image_column` and `label_column` mean something to it.
- `IDS_ARE_PATHS = True` (optional): its pictures are files, and ids lead to them.
"""

from __future__ import annotations

import os
import pkgutil
from collections.abc import Iterable
from dataclasses import replace
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from ..errors import CurvauditError
from ..files.home import expanded
from ..records import Skipped
from .interface import Source, SourceOptions
from .stand_ins import instead
from .together import join

__all__ = [
    "Source", "SourceOptions", "data_dir_of", "ids_are_paths", "load", "load_all", "names", "other_splits", "require",
]  # fmt: skip


class SourceModule(Protocol):
    """What a module of this package offers."""

    SUPPORTS: str

    def matches(self, spec: Any) -> bool:
        """Whether this source reads `spec`."""
        ...

    def load(self, spec: Any, options: SourceOptions) -> Source:
        """List it; pictures are opened later."""
        ...


def load(spec: Any, options: SourceOptions | None = None) -> Source:
    """What the user named: a known set (str), a path (str or Path), a torch data set,
    or a source that is open already.

    Known names win over folders of the same name; write `./mnist` for the folder.

    Raises
    ------
    CurvauditError
        There is no such thing, nobody reads it, or it holds nothing to audit.
    """
    module, options = _reader(spec), options or SourceOptions()
    _refuse_unused(module, spec, options)
    return module.load(spec, options)


def require(spec: Any) -> None:
    """Refuse what no source reads, without opening anything: a second source may be misspelt, the first take an hour.

    Raises
    ------
    CurvauditError
        There is no such thing, or nobody reads it.
    """
    _reader(spec)


def _reader(spec: Any) -> SourceModule:
    if isinstance(spec, (str, os.PathLike)):
        expanded(spec)  # raises before any module asks
    for module in _modules():
        if module.matches(spec):
            return module
    supported = f"Supported are {'; '.join(module.SUPPORTS for module in _modules())}."
    if not isinstance(spec, (str, os.PathLike)):
        # Of a loader, whose batches would be taken for pictures.
        hint = "Give its `dataset`." if hasattr(spec, "dataset") else supported
        raise CurvauditError(f"{type(spec).__name__} is not a source of labelled pictures.", hint)
    text = os.fspath(spec)
    if not text:
        raise CurvauditError("The source is empty.", supported)
    path = Path(text).expanduser()
    if os.path.lexists(path):
        what = "cannot be read (broken link?)"
        if os.path.isfile(path):
            what = f"is {instead(path) or 'a file of a kind that is not supported'}"
        elif os.path.exists(path):
            what = "is neither a file nor a folder"  # a pipe would block for ever
        raise CurvauditError(f"{text} {what}.", supported)
    close = get_close_matches(path.name.lower(), names(), 1, 0.7)
    hint = f"Did you mean {close[0]}?" if close else supported
    raise CurvauditError(f"There is no file or folder {text}, nor a known data set of that name.", hint)


def load_all(spec: Any, options: SourceOptions) -> Source:
    """As `load`, with all splits in one source, see `together`; as it is where there are none.

    A further split that cannot be loaded is in `skipped`, unreadable.

    Raises
    ------
    CurvauditError
        As `load`, for the first split.
    """
    first = load(spec, options)
    others = other_splits(spec, options)
    if not others:
        return first
    parts, lost = [("train", first)], []
    for name in others:
        try:
            parts.append((name, load(spec, replace(options, split=name))))
        except CurvauditError as error:
            lost.append(Skipped(name, f"this split cannot be read: {error.message.rstrip('.')}"))
    joined = join(os.fspath(spec), parts)
    return replace(joined, skipped=(*joined.skipped, *lost))


def other_splits(spec: Any, options: SourceOptions) -> tuple[str, ...]:
    """The splits of a source beside the one that `load` chooses, as `SourceOptions.split` takes them;
    empty where it has none or cannot say."""
    for module in _modules():
        if module.matches(spec):
            others = getattr(module, "other_splits", None)
            return tuple(others(spec, options)) if others else ()
    return ()


def ids_are_paths(spec: Any) -> bool | None:
    """Whether the ids of a source lead to files; None where there is no such source (any more)."""
    try:
        found = next((module for module in _modules() if module.matches(spec)), None)
    except (OSError, RuntimeError, ValueError):  # of another machine: a folder that may not be seen, no such home
        return None
    return None if found is None else bool(getattr(found, "IDS_ARE_PATHS", False))


def names() -> tuple[str, ...]:
    """Known data sets by name, sorted."""
    return tuple(sorted(name for module in _modules() for name in getattr(module, "NAMES", ())))


def data_dir_of(spec: Any, data_dir: str | None, beside: Iterable[Any]) -> str | None:
    """`data_dir` as it concerns one of several sources that share it: nothing to one without use for it, if it is
    meant for one of those `beside`."""
    return None if not _is_known(spec) and any(map(_is_known, beside)) else data_dir


def _is_known(spec: Any) -> bool:
    return isinstance(spec, str) and spec in names()


def _refuse_unused(module: SourceModule, spec: Any, options: SourceOptions) -> None:
    """An option without effect is a misunderstanding that should not cost a training."""
    shown = os.fspath(spec) if isinstance(spec, (str, os.PathLike)) else f"this {type(spec).__name__}"
    for option, value in (("--image-column", options.image_column), ("--label-column", options.label_column)):
        if value is not None and not getattr(module, "TAKES_COLUMNS", False):
            raise CurvauditError(
                f"{option} {value!r} says nothing about {shown}: it has no columns.", f"Leave out {option}."
            )
    if options.data_dir is not None and not hasattr(module, "NAMES"):
        raise CurvauditError(
            f"--data-dir {str(options.data_dir)!r} says nothing about {shown}: it is no standard set.",
            f"Leave it out, or name one of {', '.join(names())} instead.",
        )


@cache
def _modules() -> tuple[SourceModule, ...]:
    found = [import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__)]
    sources = [module for module in found if hasattr(module, "matches")]
    sources.sort(key=lambda module: (not hasattr(module, "NAMES"), getattr(module, "LAST", False)))
    return tuple(cast(SourceModule, module) for module in sources)
