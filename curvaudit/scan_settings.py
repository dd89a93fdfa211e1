"""What a scan can be told, and what that makes of a preset's recipe."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from . import images, sources
from .errors import CurvauditError
from .training import limits, presets

if TYPE_CHECKING:
    from .training.recipe import Recipe


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
        for name, value, low in (
            ("--epochs", self.epochs, 1),
            ("--batch-size", self.batch_size, 2),
            ("--curvature-every", self.curvature_every, 1),
            ("--probes", self.probes, 1),
            ("--workers", self.workers, 1),
            ("--seed", self.seed, 0),
            ("--repeats", self.repeats, 1),
            ("--max-pixels", self.max_pixels, 1),
        ):
            if value is not None and value < low:
                raise CurvauditError(f"{name} {value} is too small.", f"The least is {low}.")
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
    values = dict(given)
    for name in ("weight_decay", "seed", "repeats"):
        if name in values and values[name] is None:
            raise CurvauditError(f"{name} is None.", "Give a value, or leave it out.")
    for name in _WHOLE & set(values):
        require_whole(name, values[name])
    for name in _TEXT & set(values):
        if not isinstance(values[name], str | None):
            raise CurvauditError(f"{name} {values[name]!r} is no text.", "Give a text, or leave it out.")
    if values.get("data_dir") is not None:
        values["data_dir"] = os.fspath(values["data_dir"])
    for name in ("lr", "step"):
        if not (values.get(name) is None or _is_number(values[name])):
            raise CurvauditError(f"{name} {values[name]!r} is not a number.", "Give a positive number.")
    if (decay := values.get("weight_decay")) is not None:
        each = (decay,) if _is_number(decay) or isinstance(decay, str) else tuple(decay)
        if not all(_is_number(value) for value in each):
            raise CurvauditError(f"weight_decay {decay!r} is not one number or several.", "For example (0, 1e-4).")
        values["weight_decay"] = tuple(float(value) for value in each)
    for name in ("resolution", "width", "device"):
        if name in values:
            values[name] = str(values[name])
    settings = ScanSettings(**values)
    settings.check()
    return settings


_TEXT = frozenset({"split", "validation", "image_column", "label_column", "preset", "precision"})
_WHOLE = frozenset({"epochs", "batch_size", "seed", "repeats", "curvature_every", "probes", "workers", "max_pixels"})


def require_whole(name: str, value: Any) -> None:
    """Raises CurvauditError for what is neither None nor a whole number; 2.5 epochs would be trained, "3" fail late."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, Integral)):
        raise CurvauditError(f"{name} {value!r} is not a whole number.", "Give a whole number.")


def require_seeds(seed: int, count: int) -> None:
    """Raises CurvauditError where the seeds `seed`, `seed` + 1, … of `count` trainings leave 64 bits."""
    if seed + count > 2**63:
        raise CurvauditError(f"--seed {seed} is too large.", "The largest seed of a training is 2^63 - 1.")


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


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
        changes["most_probes"] = None  # who asks for n gets n
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
