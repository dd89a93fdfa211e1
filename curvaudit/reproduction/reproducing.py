"""Use case: run one of the paper's experiments and write its figures, numbers and page."""

from __future__ import annotations

import json
import os
import platform
import shlex
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from .. import arguments, clock, provenance, sources
from ..calibration.planting import NOISES
from ..engine.settings import require_seeds
from ..errors import CurvauditError
from ..exports import reproductions
from ..files.home import expanded
from ..files.whole_file import changing, write_whole
from ..records import Event
from ..training.surroundings import as_torch_starts
from . import experiments, plots
from .experiments.interface import ALWAYS, SCALES, Experiment, Settings
from .result import Reproduction

DEFAULT_FOLDER = "curvaudit-reproduction"
# Options that are called otherwise than their field, or are no part of the command.
_OPTIONS = {"from_runs": "--from"}
_UNSAID = ("out", "on_event")
_PERCENT = ("rates",)
_SEVERAL = ("source", "from_runs", "noise")
# What only a training, and what only a source needs: nothing of it matters to run files that are read.
_OF_TRAINING = ("samples", "validation", "seeds", "epochs", "width", "resolution", "device", "workers")
_OF_SOURCE = ("data_dir", "download", "split", "image_column", "label_column")
_LEAST = {"samples": 10, "seeds": 1, "epochs": 1, "seed": 0, "folds": 2, "workers": 1}


def reproduce(
    experiment: str,
    out: str | os.PathLike[str] | None = None,
    *,
    scale: str = "small",
    overwrite: bool = False,
    on_event: Callable[[Event], None] = lambda event: None,
    **settings: Any,
) -> Reproduction:
    """Run one experiment of Garg, Ravikumar and Roy (ICML 2024) and set its numbers beside the paper's.

    Parameters
    ----------
    experiment:
        agreement, corruption, duplicates, classes, dynamics, spiral or sensitivity.
    out:
        Folder for `index.html`, the figures (SVG and PNG), the tables (CSV), `reproduction.json` and the run
        files; default `curvaudit-reproduction/EXPERIMENT`. Trainings that are there already are continued.
    scale:
        `small`: two processor cores and minutes. `full`: the paper's setting.
    overwrite:
        Replace an earlier result in `out`; its run files are kept and used again.
    settings:
        The other fields of `experiments.interface.Settings`; not every one means something to every experiment.
    on_event:
        Called with what happens, see `records.Event`.

    Returns
    -------
    Reproduction
        The experiment's sentences, tables and figures, as they were written.

    Raises
    ------
    CurvauditError
        No such experiment, a setting that says nothing to it, matplotlib is missing, an earlier result in `out`,
        and whatever reading and training raise.
    """
    chosen = experiments.named(experiment)
    folder = expanded(out) if out is not None else Path(DEFAULT_FOLDER) / experiment
    told = _told(chosen, folder, scale, on_event, settings)
    plots.require()
    earlier = _make_room(folder, arguments.flag("overwrite", overwrite))
    begun = clock.seconds()
    with as_torch_starts():
        outcome = chosen.run(told)
    result = Reproduction(
        experiment=chosen.name,
        title=chosen.title,
        paper=chosen.paper,
        scale=scale,
        command=command(chosen, told, out is not None),
        settings={
            field.name: getattr(told, field.name)
            for field in fields(told)
            if field.name not in _UNSAID and (field.name in chosen.takes or field.name in ALWAYS)
        },
        environment=environment(),
        seconds=clock.seconds() - begun,
        created_by=provenance.CREATED_BY,
        created_utc=clock.now_utc(),
        outcome=outcome,
    )
    with changing(folder):  # figures and tables of an earlier result would mislead; only once there is a new one
        for name in earlier:
            (folder / name).unlink(missing_ok=True)
    for name, content in reproductions.render_all(result).items():
        write_whole(folder / name, content, "Choose another folder with -o.")
    return result


def _told(
    chosen: Experiment, folder: Path, scale: str, on_event: Callable[[Event], None], settings: dict[str, Any]
) -> Settings:
    if scale not in SCALES:
        raise CurvauditError(f"--scale {scale!r} is not known.", f"Choose one of {', '.join(SCALES)}.")
    known = {field.name: field.default for field in fields(Settings)}
    given: dict[str, Any] = {}
    for name, value in settings.items():
        if name not in known:
            raise CurvauditError(f"reproduce() has no setting {name!r}.", f"It knows {', '.join(known)}.")
        given[name] = _checked(name, value, known[name])
        if given[name] != known[name] and name not in chosen.takes | ALWAYS:
            takes = ", ".join(sorted(_flag(one) for one in chosen.takes))
            raise CurvauditError(
                f"{_flag(name)} says nothing to the experiment {chosen.name}.", f"Leave it out. It takes {takes}."
            )
    told = Settings(out=folder, scale=scale, on_event=on_event, **given)
    require_seeds(told.seed, told.seeds or 1)  # where that is a number of the experiment, it checks its own
    if any(not 0 < rate <= 0.5 for rate in told.rates or ()):
        raise CurvauditError(
            "--rates: not all are above 0 and up to 50 percent.",
            "For example --rates 2,10; in Python they are shares, rates=(0.02, 0.1).",
        )
    for kind in told.noise:
        if kind not in NOISES:
            raise CurvauditError(f"--noise {kind!r} is not known.", f"Choose from {', '.join(NOISES)}.")
    if told.from_runs:
        for name in _unused_beside_runs(told):
            if getattr(told, name) != known[name]:
                raise CurvauditError(
                    f"{_flag(name)} says nothing about run files.", f"Leave out {_flag(name)} or --from."
                )
    return told


def _unused_beside_runs(told: Settings) -> tuple[str, ...]:
    if not told.source:
        return (*_OF_TRAINING, *_OF_SOURCE)
    return _OF_TRAINING if set(told.source) & set(sources.names()) else (*_OF_TRAINING, "data_dir")


def _checked(name: str, value: Any, default: Any) -> Any:
    """The value of one setting, of the type that the field has: later it becomes JSON and a command."""
    said = _flag(name)
    if value is None and default is None:
        return None
    if name in _LEAST:
        return arguments.whole(said, value, _LEAST[name])
    if name in _PERCENT:
        return arguments.numbers(said, value)
    if name in ("download", "baselines"):
        return arguments.flag(said, value)
    if name in _SEVERAL:
        one = isinstance(value, str | os.PathLike) or not isinstance(value, Iterable)
        return tuple(_text(said, each) for each in ((value,) if one else value))
    return str(value) if name in ("width", "resolution") else _text(said, value)


def _text(said: str, value: Any) -> str:
    return arguments.text(said, os.fspath(value) if isinstance(value, os.PathLike) else value)


def _make_room(folder: Path, overwrite: bool) -> list[str]:
    """Say what is wrong with the output before hours of work, not after; the names of what an earlier result left."""
    if (folder / reproductions.PAGE).exists() and not overwrite:
        raise CurvauditError(
            f"{folder} holds an earlier result ({reproductions.PAGE}).",
            "Use --overwrite to replace it, or -o for another folder.",
        )
    with changing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return _earlier(folder)


def _earlier(folder: Path) -> list[str]:
    """Nothing but what it names: the folder may hold pictures and tables of others."""
    try:
        said = json.loads((folder / reproductions.NUMBERS).read_bytes())
        if said["schema"] != reproductions.SCHEMA:
            return []
        named = [f"{one['name']}.{kind}" for one in said["figures"] for kind in ("svg", "png")]
        named += [f"{one['name']}.csv" for one in said["tables"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [*(name for name in named if Path(name).name == name), reproductions.NUMBERS, reproductions.PAGE]


def command(chosen: Experiment, told: Settings, named: bool) -> str:
    """The line that runs it again."""
    words = ["curvaudit", "reproduce", chosen.name]
    for field in fields(told):
        value = getattr(told, field.name)
        if field.name in _UNSAID or value == field.default:
            continue
        if field.name in _PERCENT:
            words += [_flag(field.name), ",".join(f"{100 * share:g}" for share in value)]
        elif field.name in ("source", "from_runs"):
            for one in value:
                words += [_flag(field.name), one]
        elif isinstance(value, tuple):
            words += [_flag(field.name), ",".join(map(str, value))]
        elif isinstance(value, bool):
            words.append(_flag(field.name) if value else f"--no-{field.name}")
        else:
            words += [_flag(field.name), str(value)]
    if named:
        words += ["-o", str(told.out)]
    return shlex.join(words)


def _flag(field: str) -> str:
    return _OPTIONS.get(field, f"--{field.replace('_', '-')}")


def environment() -> dict[str, Any]:
    """Machine and versions."""
    import matplotlib
    import torch

    return {
        **provenance.environment(torch, np, matplotlib),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "accelerator": torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
