"""What all trainings of one scan share, and what of it a resumed scan must not change."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..records import RunInfo, Skipped
from ..training.processes import ALONE, Processes
from .settings import ScanSettings

if TYPE_CHECKING:
    import torch

    from ..training.recipe import Recipe


@dataclass(frozen=True)
class Pixels:
    pixels: torch.Tensor  # (N, C, H, W) uint8
    labels: torch.Tensor  # (N,) int64
    file: Path | None  # where other processes find the pixels; None: in memory


@dataclass(frozen=True)
class Work:
    """Everything that all trainings of one scan share."""

    path: Path
    info: RunInfo
    settings: ScanSettings
    recipe: Recipe
    device: torch.device
    bf16: bool
    width: int
    classes: int
    data: Pixels
    validation: Pixels | None
    memorizable: np.ndarray  # (N,) bool
    skipped: tuple[Skipped, ...]
    processes: Processes = ALONE

    @property
    def identity(self) -> str:
        """Settings and source as one text, by which a checkpoint knows its run."""
        said = json.dumps(binding(self.info.config), sort_keys=True, default=str) + self.info.source_fingerprint
        return blake2b(said.encode("utf-8", "backslashreplace"), digest_size=16).hexdigest()


def binding(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings, flat, that may not change until a scan is over.

    The same source may lie elsewhere or be named in another way; its fingerprint tells, also of how grey was scaled.
    """
    return {
        name: value
        for name, value in _flat(config).items()
        if not name.endswith("_reason") and name.partition(".")[0] not in ("source", "data_dir", "deep_grey")
    }


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """Nested names joined by dots, tuples as the lists that they come back as from a run file."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            flat.update({f"{name}.{inner}": item for inner, item in value.items()})
        else:
            flat[name] = value
    return {name: list(value) if isinstance(value, tuple) else value for name, value in flat.items()}
