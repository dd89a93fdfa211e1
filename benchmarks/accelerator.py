"""What a GPU does: training and measuring beside its ceilings, and which arithmetic keeps the ranking.

    python benchmarks/accelerator.py [SOURCE --label-column NAME] [--samples 10000] [--widths 64,16] [--out FOLDER]

Pictures are those of the source, at their own size, or made ones (`speed.py`). Times are wall times with the device
drained before and after, median [lowest – highest]. Ceilings: matrix products of 8,192² and a copy of 2 GiB. The share
of the peak counts the operations of convolutions and matrix products alone (torch's FlopCounterMode).
Writes accelerator.md.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from differences import curvature_by_difference
from machine import described
from made_pictures import ColouredDigits
from reference import reference_curvature, reference_network
from scipy.stats import spearmanr
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from curvaudit.inventory import load_pixels, take
from curvaudit.pictures.pixels import Place
from curvaudit.scores import ScoreSettings, build
from curvaudit.scores.measure import as_images, measure
from curvaudit.scores.probes import rademacher
from curvaudit.sources import SourceOptions, load
from curvaudit.sources.subset import draw
from curvaudit.training.batch_norm import calibrate
from curvaudit.training.folding import folded
from curvaudit.training.loop import build_optimizer, train
from curvaudit.training.model import build_model, pixel_statistics
from curvaudit.training.presets import named

STEP, REPETITIONS, RANKED = 1e-3, 5, 1024
PRODUCTS = ("conv", "gemm", "xmma", "cutlass", "winograd", "wgrad", "dgrad", "fprop", "nvjet", "implicit")  # kernels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?")
    parser.add_argument("--label-column")
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--widths", default="64,16")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--epochs", default="4,24", help="after which the arithmetics are compared")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    device = torch.device(options.device)
    pixels, labels, classes = pictures(options)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "no GPU"
    lines = [f"{name}; {described()}", f"{len(pixels)} pictures of {tuple(pixels.shape[1:])}, {classes} classes"]
    peaks = ceilings(device)
    lines += [f"{name}: {value:.3g}" for name, value in peaks.items()]
    options.out.mkdir(parents=True, exist_ok=True)

    def say(found: list[str]) -> None:
        lines.extend(found)
        print("\n".join(found), flush=True)
        (options.out / "accelerator.md").write_text("\n\n".join(lines) + "\n")

    print("\n".join(lines), flush=True)
    pixels, labels = pixels.to(device), labels.to(device)
    for width in [int(text) for text in options.widths.split(",")]:
        say(speeds(width, pixels, labels, classes, device, peaks))
        say(rankings(width, pixels, labels, classes, device, [int(text) for text in options.epochs.split(",")]))


def pictures(options: argparse.Namespace) -> tuple[Tensor, Tensor, int]:
    """(N, C, H, W) uint8, (N,) int64, number of classes."""
    if options.source is None:
        digits = ColouredDigits(1797)
        pixels, labels = digits.tensors(1797)
        times = -(-options.samples // len(labels))
        return pixels.repeat(times, 1, 1, 1)[: options.samples], labels.repeat(times)[: options.samples], 10
    source = draw(load(options.source, SourceOptions(label_column=options.label_column)), options.samples, 0)
    stock = take(source, 8, lambda done: None)
    side = int(np.median(stock.samples.width))
    pixels = load_pixels(stock, side, Place(options.out / "accelerator.pixels"), 8, lambda done: None).values
    return torch.from_numpy(pixels), torch.from_numpy(stock.samples.labels.astype(np.int64)), len(source.classes)


def drained(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(call: Callable[[], object], device: torch.device, repetitions: int = REPETITIONS) -> list[float]:
    """Seconds of each call, after one that does not count."""
    found = []
    for _ in range(repetitions + 1):
        drained(device)
        begun = time.perf_counter()
        call()
        drained(device)
        found.append(time.perf_counter() - begun)
    return found[1:]


def ceilings(device: torch.device) -> dict[str, float]:
    """TFLOP/s of matrix products, TB/s of a copy (read and written)."""
    size = 8192 if device.type == "cuda" else 1024
    found = {}
    for name, dtype, tf32 in (
        ("bf16", torch.bfloat16, False), ("TF32", torch.float32, True), ("float32", torch.float32, False),
    ):  # fmt: skip
        torch.backends.cuda.matmul.allow_tf32 = tf32
        a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
        seconds = statistics.median(timed(lambda a=a, b=b: a @ b, device, 10))
        found[f"{name}, TFLOP/s"] = 2 * size**3 / seconds / 1e12
    torch.backends.cuda.matmul.allow_tf32 = False
    block = torch.empty(1 << (29 if device.type == "cuda" else 24), device=device)
    other = torch.empty_like(block)
    found["copy, TB/s"] = 2 * block.nbytes / statistics.median(timed(lambda: other.copy_(block), device, 10)) / 1e12
    return found


def network(width: int, pixels: Tensor, classes: int, device: torch.device) -> torch.nn.Module:
    mean, std = pixel_statistics(pixels)
    model = build_model(
        classes=classes, channels=pixels.shape[1], resolution=pixels.shape[-1], width=width, mean=mean, std=std, seed=0
    )
    return model.to(device)


@torch.no_grad()
def operations(model: torch.nn.Module, images: Tensor) -> float:
    """Of one picture's forward pass. A gradient to the input takes as many again, one to the weights, too."""
    with FlopCounterMode(display=False) as counter:
        model(images)
    return float(counter.get_total_flops()) / len(images)


def speeds(
    width: int, pixels: Tensor, labels: Tensor, classes: int, device: torch.device, peaks: dict[str, float]
) -> list[str]:
    lines = [f"| width {width} | pictures/s [range] | share of the peak |", "|---|---|---|"]
    recipe = named("fast", 50_000, pixels.shape[1])

    def row(name: str, count: int, seconds: list[float], flops: float | None = None, peak: str = "") -> None:
        rates = sorted(count / one for one in seconds)
        share = ""
        if flops is not None:
            reached = statistics.median(rates) * flops / 1e12
            share = f"{reached:.0f} TFLOP/s, {reached / peaks[f'{peak}, TFLOP/s']:.0%} of {peak}"
        lines.append(f"| {name} | {statistics.median(rates):,.0f} [{rates[0]:,.0f} – {rates[-1]:,.0f}] | {share} |")
        print(lines[-1], flush=True)

    shares = []
    for name, bf16, deterministic, tune in (
        ("training, bf16, as scan", True, True, False),
        ("training, bf16, tuned, not deterministic", True, False, True),
        ("training, float32 (TF32 in convolutions)", False, True, False),
    ):
        if bf16 and device.type == "cpu":
            continue
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = deterministic, tune
        torch.backends.cudnn.allow_tf32 = True  # as torch has it
        model = network(width, pixels, classes, device)
        optimizer = build_optimizer(model, recipe, 0.0)
        epochs = train(model, optimizer, pixels, labels, recipe, seed=0, first_epoch=1, device=device, bf16=bf16)
        flops = 3 * operations(model, as_images(pixels[:128], device))
        seconds = timed(lambda epochs=epochs: next(epochs), device, 3)
        row(name, len(labels), seconds, flops, "bf16" if bf16 else "TF32")
        if deterministic and not shares:
            told = outside(lambda epochs=epochs: next(epochs))
            shares.append(f"training: {told:.1%} of the kernels' time outside products")
            learned = model
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    calibrate(learned, pixels, 256, device)
    light = folded(learned)

    def measured(probes: int, batch: int, count: int, kinds: tuple[str, ...] = ("forward", "gradient", "probes")):
        scores = [one for one in build(ScoreSettings(probes=probes, step=STEP)) if one.needs in kinds]
        return measure(light, pixels[:count], labels[:count], scores, epoch=1, batch_size=batch, device=device)

    count = len(labels)
    flops = 4 * operations(light, as_images(pixels[:128], device))  # two gradients
    for batch in (256, 1024):
        row(
            f"all scores, n = 1, batches of {batch}",
            count,
            timed(lambda b=batch: measured(1, b, count), device, 3),
            flops,
            "float32",
        )
    row(
        "scores of the forward pass, batches of 1024",
        count,
        timed(lambda: measured(1, 1024, count, ("forward",)), device, 3),
        flops / 4,
        "float32",
    )
    light_contiguous = folded(learned)
    light_contiguous.layout = torch.contiguous_format
    light_contiguous = light_contiguous.to(memory_format=torch.contiguous_format)
    light, kept = light_contiguous, light
    row(
        "all scores, n = 1, batches of 1024, contiguous",
        count,
        timed(lambda: measured(1, 1024, count), device, 3),
        flops,
        "float32",
    )
    light = kept
    one_batch = min(1024, count)
    heavy = reference_network(learned)

    def reference(probes: int) -> Tensor:
        rounded(False)
        images = as_images(pixels[:one_batch], device)
        return reference_curvature(heavy, images, labels[:one_batch], epoch=1, probes=probes, step=STEP, seed=0)

    ours = timed(lambda: measured(10, one_batch, one_batch), device)
    theirs = timed(lambda: reference(10), device)
    row("one batch, all scores, n = 10", one_batch, ours)
    row("one batch, reference way, n = 10", one_batch, theirs)
    ratios = sorted(b / a for a, b in zip(ours, theirs, strict=True))
    agreement = spearmanr(reference(10).cpu(), measured(10, one_batch, one_batch)["curvature"]).statistic
    shares.append(f"all scores: {outside(lambda: measured(1, 1024, count)):.1%} of the kernels' time outside products")
    return [
        "\n".join(lines),
        f"width {width}, n = 10: {statistics.median(ratios):.2f} times the reference way "
        f"[{ratios[0]:.2f} – {ratios[-1]:.2f}], Spearman {agreement:.5f}",
        *(f"width {width}, {share}" for share in shares),
    ]


def rounded(tf32: bool) -> None:
    """Whether products of float32 are rounded to TF32 first."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32


def outside(call: Callable[[], object]) -> float:
    """Share of the time of all kernels outside convolutions and matrix products."""
    if not torch.cuda.is_available():
        return float("nan")
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        call()
    kernels = [e for e in profiler.key_averages() if str(e.device_type).endswith("CUDA") and e.self_device_time_total]
    total = sum(event.self_device_time_total for event in kernels)
    products = sum(e.self_device_time_total for e in kernels if any(word in e.key.lower() for word in PRODUCTS))
    for event in sorted(kernels, key=lambda e: -e.self_device_time_total)[:14]:
        print(f"    {event.self_device_time_total / total:6.1%} {event.key[:110]}", flush=True)
    return 1 - products / total if total else float("nan")


def rankings(
    width: int, pixels: Tensor, labels: Tensor, classes: int, device: torch.device, stages: list[int]
) -> list[str]:
    """Curvature in each arithmetic beside float64, and what it takes."""
    recipe = named("fast", len(labels), pixels.shape[1])
    model = network(width, pixels, classes, device)
    optimizer = build_optimizer(model, recipe, 0.0)
    bf16 = device.type == "cuda"
    count = min(RANKED, len(labels))
    images, given = as_images(pixels[:count], device), labels[:count]
    step = STEP * rademacher(0, torch.arange(count, device=device), 1, 0, tuple(images.shape[1:]))
    lines = []
    for epoch in train(model, optimizer, pixels, labels, recipe, seed=0, first_epoch=1, device=device, bf16=bf16):
        if epoch.number in stages:
            calibrate(model, pixels, 1024, device)
            lines.append(compared(width, epoch.number, folded(model), images, given, step, device))
            model.train()
        if epoch.number >= max(stages):
            return lines
    raise AssertionError("a training has no end of its own")


def compared(
    width: int, epoch: int, model: torch.nn.Module, images: Tensor, labels: Tensor, step: Tensor, device: torch.device
) -> str:
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    double = folded(model).double()
    half = folded(model).bfloat16()
    half.network.fc = half.network.fc.float()

    def gradient(net: torch.nn.Module, at: Tensor, autocast: bool, backward: bool) -> Tensor:
        at = at.detach().requires_grad_()
        with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            logits = net(at)
        loss = F.cross_entropy(logits.float(), labels, reduction="sum")
        if backward:
            rounded(True)
        found = torch.autograd.grad(loss, at)[0]
        if backward:
            rounded(False)
        return found

    def subtracted(
        net: torch.nn.Module, x: Tensor, v: Tensor, tf32: bool = False, autocast: bool = False, backward: bool = False
    ) -> Tensor:
        rounded(tf32)
        found = gradient(net, x + v, autocast, backward) - gradient(net, x, autocast, backward)
        rounded(False)
        return found.square().flatten(1).sum(1)

    def carried(net: torch.nn.Module, dtype: torch.dtype, tf32: bool = False) -> Tensor:
        rounded(tf32)
        found = curvature_by_difference(net, images, labels, step, dtype)
        rounded(False)
        return found

    truth = torch.cat(list(in_double(double, images, labels, step))).cpu().numpy()
    ways: list[tuple[str, Callable[[], Tensor]]] = [
        ("float32, subtracted", lambda: subtracted(model, images, step)),
        ("TF32, subtracted", lambda: subtracted(model, images, step, tf32=True)),
        ("float32 forward, TF32 backward (curvaudit)", lambda: subtracted(model, images, step, backward=True)),
        ("bf16 autocast, subtracted", lambda: subtracted(model, images, step, autocast=True)),
        ("float32, difference passed on", lambda: carried(model, torch.float32)),
        ("TF32, difference passed on", lambda: carried(model, torch.float32, tf32=True)),
        ("bf16, difference passed on", lambda: carried(half, torch.bfloat16)),
    ]
    table = [
        f"| width {width}, epoch {epoch} | Spearman | first 100 | median error | µs a picture |",
        "|---|---|---|---|---|",
    ]
    top = set(np.argsort(-truth)[:100])
    for name, way in ways:
        seconds = statistics.median(timed(way, device, 3))
        found = way().double().cpu().numpy()
        error = np.median(np.abs(found - truth) / np.maximum(truth, 1e-30))
        common = len(top & set(np.argsort(-found)[:100])) / 100
        table.append(
            f"| {name} | {spearmanr(found, truth).statistic:.5f} | {common:.2f} | {error:.1e} "
            f"| {1e6 * seconds / len(truth):.1f} |"
        )
    return "\n".join(table)


def in_double(net: torch.nn.Module, images: Tensor, labels: Tensor, step: Tensor) -> Iterator[Tensor]:
    """Curvature in float64, 64 pictures at once."""
    for start in range(0, len(labels), 64):
        part = slice(start, start + 64)
        found = []
        for at in (images[part].double(), images[part].double() + step[part].double()):
            at.requires_grad_()
            loss = F.cross_entropy(net(at), labels[part], reduction="sum")
            found.append(torch.autograd.grad(loss, at)[0])
        yield (found[1] - found[0]).square().flatten(1).sum(1)


if __name__ == "__main__":
    main()
