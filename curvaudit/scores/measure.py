"""One pass over the data that measures every score: one forward, one clean gradient, n probes.

Where few samples are above the bound on the loss (`Score.least_loss`), theirs is a pass of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .interface import Batch, Before, Score
from .threads import Gate, side_by_side

_SWITCHING = threading.Lock()
# Smallest h of which TF32 and bf16 leave the ranking alone: with the step the difference of two gradients shrinks to
# rounding.
_ROUNDED_FROM = 1e-3


@contextmanager
def _arithmetic(tensor_cores: bool) -> Iterator[None]:
    """Products of float32 on a GPU: in full, or rounded to TF32's ten bits."""
    # The switches are the whole program's: two threads that measure must not turn them at once.
    with _SWITCHING:
        switches = _precision_switches()
        before = [getattr(where, name) for where, name, _ in switches]
        for where, name, values in switches:
            setattr(where, name, values[tensor_cores])
        try:
            yield
        finally:
            for (where, name, _), value in zip(switches, before, strict=True):
                setattr(where, name, value)


def _precision_switches() -> tuple[tuple[Any, str, tuple[Any, Any]], ...]:
    """(object, attribute, its values for full float32 and for TF32)."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    try:
        # For their RuntimeError: where the program uses torch's newer switches, the older may not even be read.
        _ = matmul.allow_tf32, cudnn.allow_tf32
    except RuntimeError:
        newer, values = "fp32_precision", ("ieee", "tf32")
        return (matmul, newer, values), (cudnn.conv, newer, values)  # type: ignore[attr-defined]
    return (matmul, "allow_tf32", (False, True)), (cudnn, "allow_tf32", (False, True))


def bears_rounding(scores: Sequence[Score]) -> bool:
    """Whether backward passes may be rounded to TF32 or bf16 without moving ranks."""
    return all(step_bears_rounding(score.info.parameters.get("h", _ROUNDED_FROM)) for score in scores)


def step_bears_rounding(step: float) -> bool:
    """The same of curvature with this h."""
    return step >= _ROUNDED_FROM


@contextmanager
def _without_weight_gradients(model: nn.Module) -> Iterator[None]:
    """Eval mode and no weight gradients, so that backward computes input gradients alone."""
    training = model.training
    learnable = [p for p in model.parameters() if p.requires_grad]
    model.eval()
    for parameter in learnable:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learnable:
            parameter.requires_grad_(True)
        model.train(training)


def measure(
    model: nn.Module,
    pixels: Tensor,
    labels: Tensor,
    scores: Sequence[Score],
    *,
    epoch: int,
    batch_size: int,
    device: torch.device,
    first_row: int = 0,
    before: Before | None = None,
    mostly_above: bool = True,
    gate: Gate | None = None,
    on_batch: Callable[[int], None] | None = None,
) -> dict[str, np.ndarray]:
    """Measure `scores` on every sample with the network as it is.

    Parameters
    ----------
    model:
        Maps images in [0, 1] (normalization is inside it) to logits (B, K).
    pixels, labels:
        (N, C, H, W) uint8 or float in [0, 1], and (N,) int64.
    first_row:
        Sample row of `pixels[0]`: probes depend on it.
    before:
        What the epochs measured before say of these N samples, by which probes are dealt out; None: no such epoch.
    mostly_above:
        Whether most samples are expected above the bound on the loss (`Score.least_loss`): gradients are then taken in
        the pass that is needed anyway. Else a second forward pass for the few, collected to full batches, is cheaper
        than a backward pass for all. What is measured is the same.
    gate:
        What each batch has to pass; None: nothing.
    on_batch:
        Called with the number of samples finished.

    Returns
    -------
    score name -> (N,) float32; 0 for a score with a bound on the loss where a sample is below it. Where probes are
    dealt out, curvature is NaN for samples that got none.
    """
    with _without_weight_gradients(model):
        forward = [score for score in scores if score.needs == "forward"]
        further = [score for score in scores if score.needs != "forward"]
        least = min((score.least_loss for score in further), default=0.0)  # nat
        tf32 = bears_rounding(further)
        # Samples below the bound keep the 0 of `further`. On the device: to fetch each score of each batch is to wait.
        values = {score.name: torch.zeros(len(labels), dtype=torch.float32, device=device) for score in scores}  # (N,)

        def input_gradient(images: Tensor, given: Tensor) -> Tensor:
            gradient = _run(model, images, given, True, tf32)[2]
            assert gradient is not None
            return gradient

        def batch_of(places: Tensor, differentiate: bool) -> Batch:
            images = as_images(pixels[places.to(pixels.device)], device)  # (B, C, H, W)
            given = labels[places].to(device)  # (B,)
            logits, loss, gradient = _run(model, images, given, differentiate, tf32)
            rows = (first_row + places).to(device)
            past = None if before is None else before.part(places.numpy())
            return Batch(images, given, rows, epoch, logits, loss, gradient, input_gradient, batch_size, past)

        def keep(wanted: Sequence[Score], batch: Batch, places: Tensor) -> None:
            there = places.to(device, non_blocking=True)
            for score in wanted:
                mine, rows = batch, there
                if score.least_loss > least:  # another score has a lower bound
                    above = (~(batch.loss < score.least_loss)).nonzero().squeeze(1)  # (P,)
                    mine, rows = batch.part(above), there[above]
                if len(rows):
                    values[score.name][rows] = score.measure(mine).float()

        def first(places: Tensor) -> Tensor:
            """Measure a batch as far as one pass tells; the places that are left for another one."""
            at_once = bool(further) and (mostly_above or least <= 0)
            batch = batch_of(places, at_once)
            keep(forward, batch, places)
            # Not `>`: without a bound every sample is measured, one whose loss is 0 or NaN, too.
            above = (~(batch.loss < least)).nonzero().squeeze(1)  # (P,)
            left = places[above.cpu()] if further else places[:0]
            if at_once and len(above):
                keep(further, batch.part(above), left)
            return left[:0] if at_once else left

        def second(places: Tensor) -> None:
            keep(further, batch_of(places, True), places)

        def told(places: Tensor) -> None:
            if on_batch is not None:
                on_batch(len(places))

        left = side_by_side(first, torch.split(torch.arange(len(labels)), batch_size), device, gate=gate, on_done=told)
        above = torch.cat(left)  # places that are above the bound and have no gradient yet
        if len(above):
            side_by_side(second, torch.split(above, batch_size), device, gate=gate)
        return {name: found.cpu().numpy() for name, found in values.items()}


def _run(
    model: nn.Module, images: Tensor, given: Tensor, differentiate: bool, tf32: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Logits (B, K), loss (B,) and, if asked, its gradient (B, C, H, W).

    Which ReLUs a probe opens is decided by differences in the forward pass that TF32 would blur: that one is exact.
    Given which are open, a gradient is linear; with `tf32` its products may be rounded, which for steps of a
    thousandth moves no rank (docs/performance.md). On a processor the network itself rounds (`training/frozen.py`).
    """
    images = images.detach().requires_grad_(differentiate)
    with torch.set_grad_enabled(differentiate), _arithmetic(False) if images.is_cuda else nullcontext():
        logits = model(images).float()  # (B, K)
        loss = F.cross_entropy(logits, given, reduction="none")  # (B,)
    gradient = None
    if differentiate:
        with _arithmetic(tf32) if images.is_cuda else nullcontext():
            gradient = torch.autograd.grad(loss.sum(), images)[0]
    return logits.detach(), loss.detach(), gradient


def as_images(pixels: Tensor, device: torch.device) -> Tensor:
    """uint8 (B, C, H, W) -> float32 in [0, 1] on the device; floats pass through."""
    moved = pixels.to(device, non_blocking=True)
    return moved.float().div_(255) if moved.dtype == torch.uint8 else moved.float()
