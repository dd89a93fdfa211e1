"""From pictures that were looked at to the work that all trainings of a scan share."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import clock, inventory, provenance
from ..derived.caveats import of_deep_grey
from ..derived.memorization import memorizable
from ..errors import CurvauditError
from ..findings.limits import of_lone_pictures, of_partial
from ..pictures import decoded, pixels
from ..records import Advanced, Event, Notice, PhaseStarted, RunInfo, of_kind
from ..sources import Source
from ..training.processes import Processes
from .settings import ScanSettings, with_overrides
from .work import Pixels, Work

if TYPE_CHECKING:
    import torch

    from ..training.device import Choice
    from ..training.recipe import Recipe


_LOOKED_AT = 32  # pictures, before all are read
_DOUBTS = 3  # that are told before a training; the report has all


class Scratch:
    """The files for pixels that do not fit into memory; gone when the scan ends."""

    def __init__(self, path: Path) -> None:
        self.path = path.with_name(path.name + ".pixels")

    @property
    def validation(self) -> Path:
        """For the second split."""
        return self.path.with_name(self.path.name + ".val")

    def __enter__(self) -> Scratch:
        self._remove()  # of a killed scan
        return self

    def __exit__(self, *ignored: object) -> None:
        self._remove()

    def _remove(self) -> None:
        for leftover in (self.path, self.validation):
            with suppress(OSError):
                leftover.unlink(missing_ok=True)


@dataclass(frozen=True)
class Job:
    """What `scan` was asked for."""

    source: Any  # as it was given
    path: Path  # of the run file
    settings: ScanSettings
    cache: Path | None
    processes: Processes
    on_event: Callable[[Event], None]

    @property
    def workers(self) -> int:
        """Threads that read pictures."""
        return inventory.threads(self.settings.workers)


@dataclass(frozen=True)
class _Plan:
    """What the settings leave open, decided from data and device."""

    device: torch.device
    bf16: bool
    resolution: Choice
    width: Choice
    channels: int
    recipe: Recipe


def expected_resolution(source: Source, settings: ScanSettings) -> int | None:
    """The side at which `prepare` will want the pictures, judged by some; None if that is their own, or none opens.

    So they can be scaled as soon as they are decoded. A wrong guess costs time and nothing else.
    """
    from ..training import limits

    if (asked := limits.resolution(settings.resolution)) is not None:
        return asked
    sizes: list[tuple[int, int]] = []
    for index in range(0, len(source.ids), max(1, len(source.ids) // _LOOKED_AT)):
        with suppress(Exception):  # whatever it is, reading all of them will tell
            sizes.append(source.open(index).size)
    widths, heights = np.array(sizes, np.int64).reshape(-1, 2).T
    if not sizes or np.median(np.maximum(widths, heights)) <= decoded.SMALL:
        return None
    from ..training import device as choices  # imports torch, which for small pictures is loaded later

    return choices.choose_resolution("auto", widths, heights, choices.choose_device(settings.device)).value


def prepare(job: Job, stock: inventory.Inventory, other: inventory.Inventory | None, scratch: Scratch) -> Work:
    """Decide how to train, and load the pixels.

    Parameters
    ----------
    other:
        The second split, if there is one.

    Raises
    ------
    CurvauditError
        The second split does not fit, a picture has changed, or there is no space for the pixels.
    """
    import torch

    from ..training import device as choices

    settings, on_event = job.settings, job.on_event
    split = settings.validation
    if other is not None:
        _require_another_split(stock, other, split)
    plan = _planned(settings, stock)
    _announce(plan, stock, on_event)

    def load(what: inventory.Inventory, file: Path, phase: str) -> Pixels:
        on_event(PhaseStarted(phase, len(what.samples), "pictures"))
        place = pixels.Place(file, job.cache, always=job.processes.size > 1)
        side = plan.resolution.value
        buffer = inventory.load_pixels(what, side, place, job.workers, lambda done: on_event(Advanced(done)))
        labels = torch.from_numpy(what.samples.labels.astype(np.int64))
        return Pixels(choices.placed(torch.from_numpy(buffer.values), plan.device), labels, buffer.file)

    data = load(stock, scratch.path, "loading pixels")
    validation, skipped = None, stock.skipped
    if other is not None:
        validation = load(replace(other, grey=stock.grey), scratch.validation, f"loading {split} pixels")
        skipped += tuple(replace(item, id=f"{split}: {item.id}") for item in other.skipped)
    return Work(
        path=job.path,
        info=_about(job, stock, other, plan),
        settings=settings,
        recipe=plan.recipe,
        device=plan.device,
        bf16=plan.bf16,
        width=plan.width.value,
        classes=len(stock.samples.classes),
        data=data,
        validation=validation,
        memorizable=memorizable(stock.samples),
        skipped=skipped,
        processes=job.processes,
    )


def _planned(settings: ScanSettings, stock: inventory.Inventory) -> _Plan:
    from ..training import device as choices
    from ..training import presets

    device = choices.choose_device(settings.device)
    resolution = choices.choose_resolution(settings.resolution, stock.samples.width, stock.samples.height, device)
    channels = 1 if stock.grey else 3
    return _Plan(
        device=device,
        bf16=choices.choose_bf16(settings.precision, device),
        resolution=resolution,
        width=choices.choose_width(settings.width, resolution.value, device),
        channels=channels,
        recipe=with_overrides(presets.named(settings.preset, len(stock.samples), channels), settings),
    )


def _announce(plan: _Plan, stock: inventory.Inventory, on_event: Callable[[Event], None]) -> None:
    skipped = stock.skipped
    for name, choice in (("resolution", plan.resolution), ("width", plan.width)):
        on_event(Notice(f"{name} {choice.value}: {choice.reason}"))
    unreadable = len(of_kind(skipped, "unreadable"))
    if unreadable:
        files = "1 unreadable file is" if unreadable == 1 else f"{unreadable} unreadable files are"
        on_event(Notice(f"{files} left out and reported as CA301", "warning"))
    for item in of_kind(skipped, "doubtful")[:_DOUBTS]:
        on_event(Notice(f"{item.id}: {item.reason}", "warning"))
    for caveat in (*of_partial(skipped), *of_lone_pictures(stock.samples), *of_deep_grey(stock.deep.described())):
        on_event(Notice(caveat.message.rstrip("."), caveat.severity))


def _require_another_split(stock: inventory.Inventory, other: inventory.Inventory, split: str | None) -> None:
    """Raises CurvauditError for a second split that the network cannot judge, or that is the first."""
    if other.samples.classes != stock.samples.classes:
        raise CurvauditError(
            f"Split {split!r} does not hold the same classes as the audited split.",
            "Give both splits the same class folders, or leave out --validation.",
        )
    if other.fingerprint() == stock.fingerprint():
        raise CurvauditError(
            f"--validation {split} names the split that is audited.", "Name another split, or leave it out."
        )


def _about(job: Job, stock: inventory.Inventory, other: inventory.Inventory | None, plan: _Plan) -> RunInfo:
    """What the run file says of itself; `work.binding` names what of it binds a resumed scan."""
    import torch

    from ..scores.measure import step_bears_rounding
    from ..training.measured import gradient_arithmetic
    from ..training.model import SMALL_INPUT

    settings, spec = job.settings, job.source
    on_gpu = plan.device.type == "cuda"
    rounding = step_bears_rounding(settings.step)
    return RunInfo(
        source=stock.source.name,
        source_fingerprint=stock.fingerprint(),
        config={
            **{name: value for name, value in asdict(settings).items() if name not in ("workers", "download")},
            "source": os.fspath(spec) if isinstance(spec, str | os.PathLike) else None,
            "validation_fingerprint": None if other is None else other.fingerprint(),
            "weight_decay": list(settings.weight_decay),
            "recipe": plan.recipe.as_dict(),
            "resolution": plan.resolution.value,
            "resolution_reason": plan.resolution.reason,
            "width": plan.width.value,
            "width_reason": plan.width.reason,
            "channels": plan.channels,
            "deep_grey": stock.deep.described(),
            "stem": "3x3" if plan.resolution.value <= SMALL_INPUT else "7x7",
            "network": "resnet18",
            "device": plan.device.type,
            "precision": "bf16" if plan.bf16 else "float32",
        },
        environment={
            **provenance.environment(torch, np),
            "threads": torch.get_num_threads(),
            "processes": job.processes.size,
            "gradients": gradient_arithmetic(plan.device, bf16=plan.bf16, rounding=rounding),
            "device_name": torch.cuda.get_device_name(plan.device) if on_gpu else platform.machine(),
        },
        created_by=provenance.CREATED_BY,
        created_utc=clock.now_utc(),
    )
