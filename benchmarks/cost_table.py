"""The cost table of docs/scale.md: computed from operations and the rates that one H200 reached at 32 px.

    python benchmarks/cost_table.py

A forward pass is F = 2 × 1.82 G multiplications and additions for ResNet18 of width 64 at 224 px. Training costs
3 F, a measured epoch 2 F (1 + probes) for the clean gradient and the probes, any other epoch F.
"""

from __future__ import annotations

from dataclasses import dataclass

from curvaudit.training import presets
from curvaudit.training.recipe import Recipe

FORWARD = 2 * 1.82e9  # of one picture at 224 px
SETS = {"ImageNet-1k": 1_281_167, "ImageNet-21k": 14_197_122}
PRICE = 2.5  # $ for a GPU and hour
TRAINING = 136e12  # operations a second, bf16; results/2026-11-27-h200.md, as the next two
MEASURING = 38e12  # gradients and probes: float32 forward, TF32 backward
FORWARD_ONLY = 22e12  # float32; 19,992 pictures/s of 1.11e9 operations
DEALT = 1.0  # probes of a picture on average where `fast` deals them out: 2,000 photographs, docs/performance.md
EIGHT = 0.9  # of eight times the speed


@dataclass(frozen=True)
class Passes:
    """In forward passes for each picture."""

    training: float
    measuring: float
    forward: float


def passes(recipe: Recipe, epochs: int) -> Passes:
    measured = sum(recipe.measures_curvature(epoch) for epoch in range(1, epochs + 1))
    probes = DEALT if recipe.probes_at_most else recipe.probes
    return Passes(3.0 * epochs, measured * 2.0 * (1 + probes), float(epochs - measured))


def hours(pictures: int, wanted: Passes) -> tuple[float, float]:
    work = pictures * FORWARD / 3600
    return work * wanted.training / TRAINING, work * (wanted.measuring / MEASURING + wanted.forward / FORWARD_ONLY)


def main() -> None:
    print("| set | schedule | F a picture | training, h | measuring, h | 1 GPU, h | 8 GPUs, h | 8 GPUs, $ |")
    print("|---|---|---|---|---|---|---|---|")
    for name, pictures in SETS.items():
        fast, paper = (presets.named(preset, pictures, 3) for preset in ("fast", "paper-imagenet"))
        for label, recipe, epochs in (
            (f"`fast`, {fast.epochs} epochs", fast, fast.epochs),
            (f"`fast`, extended to {fast.epochs + fast.extension}", fast, fast.epochs + fast.extension),
            (f"`paper-imagenet`, {paper.epochs} epochs", paper, paper.epochs),
        ):
            wanted = passes(recipe, epochs)
            training, measuring = hours(pictures, wanted)
            together = (training + measuring) / (8 * EIGHT)
            print(
                f"| {name} | {label} | {sum(vars(wanted).values()):,.0f} | {training:,.1f} | {measuring:,.1f} "
                f"| {training + measuring:,.0f} | {together:,.1f} | {together * 8 * PRICE:,.0f} |"
            )


if __name__ == "__main__":
    main()
