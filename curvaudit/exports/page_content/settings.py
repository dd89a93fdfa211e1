"""How the run was made, for the page: only what the run file says."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from ...pictures.images import MAX_PIXELS
from ...records import Report

# Settings that decide scores; resolution, width and precision hold what "auto" became.
_OPTIONS = (
    "split", "data_dir", "image_column", "label_column", "validation", "preset", "epochs", "batch_size", "lr",
    "weight_decay", "seed", "repeats", "augment", "curvature_every", "probes", "step", "resolution", "width",
    "precision", "max_pixels",
)  # fmt: skip
_USUAL = {"repeats": 1, "max_pixels": MAX_PIXELS}  # said only where they are something else


def command(report: Report) -> str:
    """The `curvaudit scan` line that trains again with the same settings; "" where nothing was trained
    or the line cannot be told."""
    if not report.trainings:
        return ""
    config = report.run.config
    options = [
        (name, config[name])
        for name in _OPTIONS
        if config.get(name) is not None and (name, config[name]) not in _USUAL.items()
    ]
    # Not `run.source`, which is for people: it may name the split, too.
    source = config.get("source")  # None: a data set from Python, or anonymized
    if not options or source is None:
        return ""
    words = ["curvaudit", "scan", source]
    for name, value in options:
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{name}")
        elif isinstance(value, list | tuple):
            words += [flag, ",".join(_word(item) for item in value)]
        else:
            words += [flag, _word(value)]
    return shlex.join(words)


def _word(value: Any) -> str:
    """Short, but read again it is the same number: with --resume another one is refused."""
    short = f"{value:g}" if isinstance(value, float) else str(value)
    return repr(value) if isinstance(value, float) and float(short) != value else short


def settings_in_words(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name, value) pairs, nested names joined by dots, unset ones left out."""
    pairs: list[tuple[str, str]] = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            pairs += [(f"{name}.{inner}", text) for inner, text in settings_in_words(value)]
        elif isinstance(value, list | tuple):
            pairs.append((str(name), ", ".join(str(item) for item in value) or "none"))
        elif value is not None:
            pairs.append((str(name), str(value)))
    return pairs
