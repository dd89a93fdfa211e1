"""Which products of a measurement may be rounded? Curvature with the operands of convolutions rounded to TF32 or bf16.

    python benchmarks/rounding.py mnist --data-dir DIR --samples 2000 --resolution 14 --epochs 2,4,12,20,28
    python benchmarks/rounding.py labels.parquet --label-column fine_label --samples 1024 --resolution 16

Trains once for each seed as `fast` does (labels as they are), and measures every picture with the network as it is
after some epochs: in float32, and with both operands of each product of a convolution or of the last layer rounded to
nearest, ties to even, before float32 multiplies and adds them up, in the forward pass, the backward pass or both. All
ways see the same network and probes, so rounding alone separates them; float32 with other probes stands beside them for
what a probe more or less does. "Results too": torch's own products of bf16 tensors, which are rounded once more. "As
processors measure": the network of `curvaudit/training/frozen.py`, Winograd's algorithm and all.

After single epochs: one probe for each picture, none left out. Means over the epochs that `fast` measures, of the ways
with a forward pass in float32: of these, and of curvature as a scan logs it (bound on the loss, probes dealt out by
gradients of the same way).
Writes OUT.csv, one row a seed, and OUT.md, mean over the seeds [lowest – highest].
"""

from __future__ import annotations

import argparse
import copy
import csv
import tempfile
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from machine import described
from scipy.stats import spearmanr
from torch import Tensor, nn

from curvaudit.engine.measuring import Gradients
from curvaudit.inventory import load_pixels, take
from curvaudit.pictures.pixels import Place
from curvaudit.scores import ScoreSettings, curvature, dealing, gradient
from curvaudit.scores.interface import mean_over_epochs
from curvaudit.scores.measure import measure
from curvaudit.sources import SourceOptions, load
from curvaudit.sources.subset import draw
from curvaudit.training.batch_norm import calibrate
from curvaudit.training.device import choose_bf16, measuring_batch
from curvaudit.training.folding import folded
from curvaudit.training.frozen import freeze
from curvaudit.training.loop import build_optimizer, train
from curvaudit.training.model import build_model, pixel_statistics
from curvaudit.training.presets import named
from curvaudit.training.recipe import Recipe

CPU = torch.device("cpu")
TOP = 100
FLOAT32, TF32, BF16 = 23, 10, 7  # bits of the mantissa


@dataclass(frozen=True)
class Way:
    """Bits that each pass leaves of its operands."""

    forward: int = FLOAT32
    backward: int = FLOAT32
    results: bool = False  # backward products are torch's own of bf16 tensors
    other_probes: bool = False
    shipped: bool = False  # the network that scans measure on processors, whose stages round by themselves


FULL = "float32"
WAYS = {
    FULL: Way(),
    "float32, other probes": Way(other_probes=True),
    "TF32 forward and backward": Way(TF32, TF32),
    "TF32 forward": Way(TF32),
    "TF32 backward": Way(backward=TF32),
    "bf16 backward": Way(backward=BF16),
    "bf16 backward, results too": Way(backward=BF16, results=True),
    "as processors measure, float32": Way(shipped=True),
    "as processors measure, bf16": Way(backward=BF16, shipped=True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--data-dir")
    parser.add_argument("--label-column")
    parser.add_argument("--samples", type=int, default=1024)
    parser.add_argument("--resolution", type=int, default=16)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--epochs", default="4,20", help="after which each way is compared")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--step", type=float, default=1e-3)
    parser.add_argument("--shipped", action="store_true", help="only what processors measure, and other probes")
    parser.add_argument("--out", type=Path, default=Path("rounding"), help="without an ending")
    options = parser.parse_args()
    source = load(options.source, SourceOptions(data_dir=options.data_dir, label_column=options.label_column))
    stock = take(draw(source, options.samples, 0), 1, lambda done: None)
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder) / "pixels")
        pixels = torch.tensor(load_pixels(stock, options.resolution, place, 1, lambda done: None).values)
    labels = torch.from_numpy(stock.samples.labels.astype(np.int64))
    rows: list[dict[str, Any]] = []
    for seed in numbers(options.seeds):
        rows += compared(options, pixels, labels, len(source.classes), seed)
        write(rows, options, f"{Path(options.source).name}, {len(labels)} pictures of {tuple(pixels.shape[1:])}")


def numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def compared(
    options: argparse.Namespace, pixels: Tensor, labels: Tensor, classes: int, seed: int
) -> list[dict[str, Any]]:
    """One training; a row for each network or mean, and each way."""
    recipe = named("fast", len(labels), pixels.shape[1])
    mean, std = pixel_statistics(pixels)
    model = build_model(
        classes=classes,
        channels=pixels.shape[1],
        resolution=options.resolution,
        width=options.width,
        mean=mean,
        std=std,
        seed=seed,
    )
    batch = measuring_batch(options.resolution, options.width, CPU)
    stages = set(numbers(options.epochs))
    single: dict[str, list[np.ndarray]] = defaultdict(list)  # way -> of each epoch that `fast` measures
    logged: dict[str, list[np.ndarray]] = defaultdict(list)  # the same, as a scan logs it
    gradients = defaultdict(lambda: Gradients(np.zeros(len(labels))))  # of each way
    rows = []
    for epoch in train(
        model,
        build_optimizer(model, recipe, 0.0),
        pixels,
        labels,
        recipe,
        seed=seed,
        first_epoch=1,
        device=CPU,
        bf16=choose_bf16("auto", CPU),
    ):
        calibrate(model, pixels, batch, CPU)
        light, scheduled = folded(model), recipe.measures_curvature(epoch.number)
        now = {}
        for name, way in WAYS.items():
            if options.shipped and not (way.shipped or way.other_probes or name == FULL):
                continue
            averaged = scheduled and way.forward == FLOAT32
            if not averaged and epoch.number not in stages:
                continue
            network = light if name == FULL else in_way(light, way)
            settings = ScoreSettings(step=options.step, seed=seed + 1000 * way.other_probes)
            scores = [curvature.score(settings)]
            now[name] = measure(network, pixels, labels, scores, epoch=epoch.number, batch_size=batch, device=CPU)[
                "curvature"
            ]
            if averaged:
                single[name].append(now[name])
                values = as_scan(network, pixels, labels, settings, recipe, epoch.number, batch, gradients[name])
                logged[name].append(values)
        if epoch.number in stages:
            rows += judged(seed, f"after {epoch.number} epochs", now)
        if epoch.number >= max(recipe.epochs, *stages):
            count = len(single[FULL])
            rows += judged(seed, f"mean of {count} epochs", means(single))
            return rows + judged(seed, f"mean of {count} epochs, as a scan measures", means(logged))
    raise AssertionError("a training has no end of its own")


def means(found: dict[str, list[np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: mean_over_epochs(np.stack(values)) for name, values in found.items()}


def as_scan(
    network: nn.Module,
    pixels: Tensor,
    labels: Tensor,
    settings: ScoreSettings,
    recipe: Recipe,
    epoch: int,
    batch: int,
    gradients: Gradients,
) -> np.ndarray:
    """Curvature of each picture, (N,), in the next measured epoch; `gradients` grows by this one."""
    least = recipe.curvature_least_loss
    settings = replace(settings, probes=recipe.probes, probes_at_most=recipe.probes_at_most, least_loss=least)
    found = measure(
        network,
        pixels,
        labels,
        [curvature.score(settings), gradient.score(settings), dealing.score(settings)],
        epoch=epoch,
        batch_size=batch,
        device=CPU,
        before=gradients.before,
    )
    found["curvature"] = dealing.completed(found, dealing.ratio(found, gradients.ratio))
    gradients.add(found)
    return found["curvature"]


def in_way(network: nn.Module, way: Way) -> nn.Module:
    """A copy whose convolutions and last layer multiply in this way."""
    copied = copy.deepcopy(network)
    if way.shipped:
        return freeze(copied, bf16=way.backward == BF16)
    for module in list(copied.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Conv2d | nn.Linear):
                setattr(module, name, Layer(child, way))
    return copied


class Layer(nn.Module):
    """A convolution or linear layer for input gradients alone."""

    def __init__(self, layer: nn.Conv2d | nn.Linear, way: Way) -> None:
        super().__init__()
        self.forwards, self.backwards, self.way = copy.deepcopy(layer), layer, way
        self.forwards.weight.data = rounded(layer.weight.data, way.forward)
        self.backwards.weight.data = rounded(layer.weight.data, way.backward)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = Product.apply(x, self)
        return found


class Product(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor, layer: Layer) -> Tensor:
        context.layer, context.like = layer, x
        found: Tensor = layer.forwards(rounded(x, layer.way.forward))
        return found

    @staticmethod
    def backward(context: Any, *outer: Tensor) -> tuple[Tensor, None]:
        layer, way, like = context.layer.backwards, context.layer.way, context.like
        dtype = torch.bfloat16 if way.results else torch.float32
        g, weight = rounded(outer[0], way.backward).to(dtype), layer.weight.to(dtype)
        if isinstance(layer, nn.Linear):
            return F.linear(g, weight.T).float(), None
        found = torch.ops.aten.convolution_backward(
            g, like.to(dtype), weight, None, layer.stride, layer.padding, layer.dilation, False, [0, 0], layer.groups,
            [True, False, False],
        )[0]  # fmt: skip
        return found.float(), None


def rounded(x: Tensor, bits: int) -> Tensor:
    """float32 with a mantissa of so many bits, to nearest, ties to even."""
    if bits == FLOAT32:
        return x
    lost = FLOAT32 - bits
    raw = x.view(torch.int32)
    return (raw + ((1 << (lost - 1)) - 1 + ((raw >> lost) & 1)) & -(1 << lost)).view(torch.float32)


def judged(seed: int, network: str, found: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    truth = found[FULL].astype(np.float64)
    first = np.argsort(-truth)[:TOP]
    rows = []
    for name, values in found.items():
        if name == FULL:
            continue
        # What is 0 in both differs by nothing, what is 0 in float32 alone infinitely.
        apart = np.abs(values - truth)
        apart = np.divide(apart, truth, out=np.where(apart > 0, np.inf, 0.0), where=truth > 0)
        rows.append(
            {
                "seed": seed,
                "network": network,
                "way": name,
                "Spearman": spearmanr(values, truth).statistic,
                f"first {TOP} in common": len(set(first) & set(np.argsort(-values)[:TOP])),
                "largest difference": apart.max(),
                f"largest of the first {TOP}": apart[first].max(),
                "median difference": np.median(apart),
            }
        )
        print(", ".join(str(value) for value in rows[-1].values()), flush=True)
    return rows


def write(rows: list[dict[str, Any]], options: argparse.Namespace, pictures: str) -> None:
    with options.out.with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(rows[0])
        for row in rows:
            table.writerow([f"{value:.6g}" if isinstance(value, float) else value for value in row.values()])
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["network"], row["way"]].append(row)
    columns = list(rows[0])[3:]
    lines = [f"| network | way | {' | '.join(columns)} |", "|---|---|" + "---|" * len(columns)]
    for (network, way), group in groups.items():
        cells = [spread([row[column] for row in group]) for column in columns]
        lines.append(f"| {network} | {way} | {' | '.join(cells)} |")
    seeds = len({row["seed"] for row in rows})
    head = f"{pictures}, width {options.width}, h = {options.step:g}, {seeds} seeds. Differences: relative, of scores."
    options.out.with_suffix(".md").write_text("\n".join([head, "", *lines, "", described(), ""]), encoding="utf-8")


def spread(values: list[float]) -> str:
    return f"{np.mean(values):.6g} [{min(values):.6g} – {max(values):.6g}]"


if __name__ == "__main__":
    main()
