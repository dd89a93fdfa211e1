"""Where labelled pictures come from: one module for each kind of source.

To add one, write a file here with

- `matches(spec) -> bool`: cheap, opens nothing, true for what only this source reads;
- `load(spec, options) -> Source`: heavy imports inside;
- `SUPPORTS`: what it reads, in the words of an error message;
- `other_splits(spec, options) -> (str, …)` (optional): the splits beside the one that `load` would choose;
- `NAMES` (optional): the names it goes by. Such sources are asked first.
- `LAST = True` (optional): it takes what the others leave, thus it is asked last.
- `TAKES = ("image_column", "label_column", …)` (optional): which of the options that `_REASONS` lists mean something
  to it.
- `IDS_ARE_PATHS = True` (optional): its pictures are files, and ids lead to them.
"""

from __future__ import annotations

import os
import pkgutil
from collections.abc import Collection
from dataclasses import replace
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from ..errors import CurvauditError
from ..home import expanded
from ..records import Skipped
from .interface import Source, SourceOptions
from .together import join

__all__ = ["Source", "SourceOptions", "ids_are_paths", "load", "load_all", "names", "other_splits", "shared"]


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
    if isinstance(spec, (str, os.PathLike)):
        expanded(spec)  # raises before any module asks
    if (module := _reader(spec)) is not None:
        options = options or SourceOptions()
        _refuse(module, spec, options)
        return module.load(spec, options)
    supported = f"Supported are {'; '.join(module.SUPPORTS for module in _modules())}."
    if not isinstance(spec, (str, os.PathLike)):
        raise CurvauditError(f"{type(spec).__name__} is not a source of labelled pictures.", supported)
    text = os.fspath(spec)
    if not text:
        raise CurvauditError("The source is empty.", supported)
    if os.path.lexists(Path(text).expanduser()):
        isfile = os.path.isfile(Path(text).expanduser())
        what = "is a file of a kind that is not supported" if isfile else "cannot be read (broken link?)"
        raise CurvauditError(f"{text} {what}.", supported)
    close = get_close_matches(Path(text).name.lower(), names(), 1, 0.7)
    hint = f"Did you mean {close[0]}?" if close else supported
    raise CurvauditError(f"There is no file or folder {text}, nor a known data set of that name.", hint)


def shared(options: SourceOptions, spec: Any, *beside: Any) -> SourceOptions:
    """For `spec`, the options that were given for it and for the sources `beside` it at once.

    `data_dir` and `download` are left out where only the others take them. Where nobody does they stay, and `load`
    refuses them.
    """
    mine = _taken(_reader_if_any(spec))
    theirs = {name for other in beside for name in _taken(_reader_if_any(other))}.difference(mine)
    return replace(
        options,
        data_dir=None if "data_dir" in theirs else options.data_dir,
        download=options.download and "download" not in theirs,
    )


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
    others = getattr(_reader(spec), "other_splits", None)
    return tuple(others(spec, options)) if others else ()


def ids_are_paths(spec: Any) -> bool | None:
    """Whether the ids of a source lead to files; None where there is no such source (any more)."""
    found = _reader_if_any(spec)
    return None if found is None else bool(getattr(found, "IDS_ARE_PATHS", False))


def names() -> tuple[str, ...]:
    """Known data sets by name, sorted."""
    return tuple(sorted(name for module in _modules() for name in getattr(module, "NAMES", ())))


def _reader(spec: Any) -> SourceModule | None:
    return next((module for module in _modules() if module.matches(spec)), None)


def _reader_if_any(spec: Any) -> SourceModule | None:
    try:
        return _reader(spec)
    except (OSError, RuntimeError, ValueError):  # of another machine: a folder that may not be seen, no such home
        return None


# Options that mean nothing to most sources, and why.
_REASONS = {
    "data_dir": "only standard sets are looked for there",
    "download": "there is nothing to fetch",
    "image_column": "it has no columns",
    "label_column": "it has no columns",
}


def _taken(module: SourceModule | None) -> Collection[str]:
    return getattr(module, "TAKES", ())


def _refuse(module: SourceModule, spec: Any, options: SourceOptions) -> None:
    """An option without effect is a misunderstanding that should not cost a training."""
    for name, reason in _REASONS.items():
        value = getattr(options, name)
        if value not in (None, False) and name not in _taken(module):
            flag = f"--{name.replace('_', '-')}"
            given = flag if value is True else f"{flag} {os.fspath(value)!r}"
            about = spec if isinstance(spec, (str, os.PathLike)) else f"a {type(spec).__name__}"
            raise CurvauditError(f"{given} says nothing about {about}: {reason}.", f"Leave out {flag}.")


@cache
def _modules() -> tuple[SourceModule, ...]:
    found = [import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__)]
    sources = [module for module in found if hasattr(module, "matches")]
    sources.sort(key=lambda module: (not hasattr(module, "NAMES"), getattr(module, "LAST", False)))
    return tuple(cast(SourceModule, module) for module in sources)
