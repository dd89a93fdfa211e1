"""The named recipes: `fast`, and the paper's three schedules (appendix C)."""

from __future__ import annotations

import math

from ..errors import CurvauditError
from .recipe import WARM, Augmentation, Recipe

PRESETS = ("fast", "paper-mnist", "paper-cifar", "paper-imagenet")

# Appendix C gives epochs, rates, milestones and augmentation. It names no batch size: 128
# (256 for ImageNet) is what the two training codes it builds on use.
_PAPER: dict[str, tuple[int, tuple[int, ...], int, Augmentation, int]] = {
    "paper-mnist": (200, (80, 160), 128, "none", 1),
    "paper-cifar": (300, (150, 250), 128, "crop-flip", 1),
    "paper-imagenet": (200, (120, 160), 256, "crop-flip", 4),
}


def fast(samples: int, channels: int) -> Recipe:
    """A short schedule that memorizes, in two parts; docs/evidence.md has the measurements.

    First one cycle with augmentation: it keeps the network from memorizing before the scores
    have seen which samples resist. Photographs get crop and flip, grey pictures (digits, letters,
    scans) only the crop: a mirrored letter is another letter. Then plain epochs, in which
    everything is memorized and what cannot be (one picture under two labels) goes on bending.

    Curvature is measured where it tells samples apart. In the warm-up the network is still close
    to its random start and everything is sharply curved: one such epoch would outweigh all
    others in the mean. The augmented epochs count a quarter, the plain ones fully, as in a long
    training, most of which comes after memorization.
    """
    colour = channels == 3
    augmented, plain = (12, 24) if colour else (10, 18)
    return Recipe(
        preset="fast",
        epochs=augmented + plain,
        schedule="one-cycle",
        learning_rate=0.05,
        milestones=(),
        batch_size=_batch_size(samples),
        momentum=0.9,
        nesterov=True,
        augmentation="crop-flip" if colour else "crop",
        plain_epochs=plain,
        # Wrong labels of simple grey pictures are only learned in large steps.
        plain_rate=0.01 if colour else 0.05,
        # Photographs lose much at larger rates (docs/performance.md).
        extension_rate=0.005 if colour else 0.01,
        extension=augmented + plain,
        rehearsals=20,
        probes=1,
        curvature_every=1,
        curvature_every_augmented=4,
        curvature_from=1 + math.ceil(WARM * augmented),
        # A third to a half of all probes in plain epochs; ranks stay (docs/performance.md).
        curvature_least_loss=0.003,
        # One in two epochs on digits, in each on photographs, ranks as well as two in each would (docs/performance.md).
        probes_at_most=5,
    )


def _batch_size(samples: int) -> int:
    """128, and smaller for small sets, so that an epoch has about 100 steps or batches of 16."""
    size = 128
    while size > 16 and samples < 100 * size:
        size //= 2
    return size


def require(preset: str) -> None:
    """Raises CurvauditError where there is no such preset."""
    if preset not in PRESETS:
        raise CurvauditError(f"Unknown preset {preset!r}.", f"Choose one of {', '.join(PRESETS)}.")


def named(preset: str, samples: int, channels: int) -> Recipe:
    """The recipe of a preset for a data set of `samples` pictures with `channels` channels.

    Raises
    ------
    CurvauditError
        The preset is unknown.
    """
    require(preset)
    if preset == "fast":
        return fast(samples, channels)
    epochs, milestones, batch, augmentation, every = _PAPER[preset]
    return Recipe(
        preset=preset,
        epochs=epochs,
        schedule="steps",
        learning_rate=0.1,
        milestones=milestones,
        batch_size=batch,
        momentum=0.9,
        nesterov=False,
        augmentation=augmentation,
        plain_epochs=0,
        plain_rate=0.0,
        extension_rate=0.0,
        extension=0,
        rehearsals=0,
        probes=10,
        curvature_every=every,
        curvature_every_augmented=every,
        curvature_from=1,
    )
