"""What a scan can be told, and what that makes of a preset's recipe."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .. import arguments, sources
from ..errors import CurvauditError
from ..pictures import images
from ..training import limits, presets

if TYPE_CHECKING:
    from ..training.recipe import Recipe


@dataclass(frozen=True)
class ScanSettings:
    """Everything a scan can be told. None and "auto" are decided from data and device."""

    split: str | None = None
    data_dir: str | None = None
    download: bool = False
    image_column: str | None = None
    label_column: str | None = None
    validation: str | None = None  # a second split whose loss and curvature are logged too
    preset: str = "fast"
    epochs: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    weight_decay: tuple[float, ...] = (0.0,)
    seed: int = 0
    repeats: int = 1  # trainings for each weight decay, seeded seed, seed + 1, …
    augment: bool | None = None
    curvature_every: int | None = None
    probes: int | None = None
    step: float = 1e-3
    resolution: str = "auto"
    width: str = "auto"
    device: str = "auto"
    precision: str = "auto"
    workers: int | None = None
    max_pixels: int = images.MAX_PIXELS  # of one picture; larger ones are named, not decoded

    @property
    def trainings(self) -> tuple[tuple[float, int], ...]:
        """(weight decay, seed) of every training, in the order of the run file."""
        seeds = range(self.seed, self.seed + self.repeats)
        return tuple((decay, seed) for decay in self.weight_decay for seed in seeds)

    def source_options(self) -> sources.SourceOptions:
        """The part that concerns where the pictures come from."""
        return sources.SourceOptions(self.split, self.data_dir, self.download, self.image_column, self.label_column)

    def check(self) -> None:
        """Raises CurvauditError for a value that cannot mean anything."""
        self.source_options()
        limits.resolution(self.resolution)
        limits.width(self.width)
        limits.precision(self.precision)
        presets.require(self.preset)
        require_seeds(self.seed, self.repeats)
        for name, number in (("--lr", self.lr), ("--step", self.step)):
            if number is not None and not 0 < number < float("inf"):
                raise CurvauditError(f"{name} {number} is not a positive number.", "Give a positive number.")
        if not self.weight_decay or any(not 0 <= value < 1 for value in self.weight_decay):
            given = ",".join(str(value) for value in self.weight_decay)
            raise CurvauditError(
                f"--weight-decay {given!r} is not a list of values from 0 up to 1.",
                "For example --weight-decay 0,1e-4.",
            )
        if len(set(self.weight_decay)) < len(self.weight_decay):
            raise CurvauditError("--weight-decay names one value twice.", "Give each value once.")


def settings_from(given: Mapping[str, Any]) -> ScanSettings:
    """Checked settings from keyword arguments of `scan`.

    Raises
    ------
    CurvauditError
        There is no such setting, or its value cannot mean anything.
    """
    unknown = sorted(set(given) - set(ScanSettings.__dataclass_fields__))
    if unknown:
        raise CurvauditError(
            f"scan() has no setting {unknown[0]!r}.",
            f"It knows {', '.join(ScanSettings.__dataclass_fields__)}.",
        )
    settings = ScanSettings(**{name: _checked(name, value) for name, value in given.items()})
    settings.check()
    return settings


_LEAST = {
    "epochs": 1, "batch_size": 2, "curvature_every": 1, "probes": 1, "workers": 1, "seed": 0, "repeats": 1,
    "max_pixels": 1,
}  # fmt: skip


def _checked(name: str, value: Any) -> Any:
    """The value of one setting, of the type that the field has."""
    said = f"--{name.replace('_', '-')}"
    if value is None and ScanSettings.__dataclass_fields__[name].default is None:
        return None
    if name in _LEAST:
        return arguments.whole(said, value, _LEAST[name])
    if name == "augment":
        return arguments.flag(said, value)
    if name in ("lr", "step"):
        return arguments.number(said, value)
    if name == "weight_decay":
        return arguments.numbers(said, value)
    if name in ("resolution", "width", "device"):
        return str(value)
    if name in ("validation", "preset", "precision"):
        return arguments.text(said, value)
    return os.fspath(value) if isinstance(value, os.PathLike) else value  # of the source, which checks it


def require_seeds(seed: int, count: int) -> None:
    """Raises CurvauditError where the seeds `seed`, `seed` + 1, … of `count` trainings leave 64 bits."""
    if seed + count > 2**63:
        raise CurvauditError(f"--seed {seed} is too large.", "The largest seed of a training is 2^63 - 1.")


def with_overrides(recipe: Recipe, settings: ScanSettings) -> Recipe:
    """The preset's recipe with what the user set by hand."""
    changes: dict[str, Any] = {}
    if settings.epochs is not None:
        share = settings.epochs / recipe.epochs
        changes["epochs"] = settings.epochs
        changes["milestones"] = tuple(max(1, round(m * share)) for m in recipe.milestones)
        # At least one: a preset that ends without augmentation does so however short it is.
        changes["plain_epochs"] = max(min(1, recipe.plain_epochs), round(recipe.plain_epochs * share))
        changes["curvature_from"] = 1 + math.floor((recipe.curvature_from - 1) * share)
        changes["extension"] = round(recipe.extension * share)
    for field, value in (
        ("batch_size", settings.batch_size),
        ("learning_rate", settings.lr),
        ("probes", settings.probes),
    ):
        if value is not None:
            changes[field] = value
    if settings.probes is not None:
        changes["probes_at_most"] = None  # who asks for n gets n
    if settings.lr is not None:
        # All parts of a schedule, or the plain epochs would start above a small peak.
        for name in ("plain_rate", "extension_rate"):
            changes[name] = getattr(recipe, name) * settings.lr / recipe.learning_rate
    if settings.curvature_every is not None:
        every = settings.curvature_every
        changes |= {"curvature_every": every, "curvature_every_augmented": every, "curvature_from": 1}
        changes["curvature_least_loss"] = 0.0
    if settings.augment is False:
        changes["augmentation"] = "none"
    elif settings.augment is True and recipe.augmentation == "none":
        changes["augmentation"] = "crop-flip"
    return replace(recipe, **changes)
