"""One pass over the data that measures every score: one forward, one clean gradient, n probes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .interface import Batch, Score


@contextmanager
def _exact_arithmetic() -> Iterator[None]:
    """Full float32: curvature subtracts two nearly equal gradients, which TF32 would blur."""
    matmul, cudnn = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = matmul, cudnn


@contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
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
    on_batch:
        Called with the number of samples finished.

    Returns
    -------
    score name -> (N,) float32.
    """
    with _frozen(model), _exact_arithmetic():
        return _measure(model, pixels, labels, scores, epoch, batch_size, device, first_row, on_batch)


def _measure(
    model: nn.Module,
    pixels: Tensor,
    labels: Tensor,
    scores: Sequence[Score],
    epoch: int,
    batch_size: int,
    device: torch.device,
    first_row: int,
    on_batch: Callable[[int], None] | None,
) -> dict[str, np.ndarray]:
    values = {score.name: np.full(len(labels), np.nan, np.float32) for score in scores}
    differentiate = any(score.needs != "forward" for score in scores)

    def input_gradient(images: Tensor, given: Tensor) -> Tensor:
        gradient = _run(model, images, given, True)[2]
        assert gradient is not None
        return gradient

    for start in range(0, len(labels), batch_size):
        stop = min(start + batch_size, len(labels))
        images = as_images(pixels[start:stop], device)  # (B, C, H, W)
        given = labels[start:stop].to(device)  # (B,)

        logits, loss, gradient = _run(model, images, given, differentiate)
        batch = Batch(
            images=images,
            labels=given,
            rows=torch.arange(first_row + start, first_row + stop, device=device),
            epoch=epoch,
            logits=logits,
            loss=loss,
            gradient=gradient,
            input_gradient=input_gradient,
        )
        for score in scores:
            values[score.name][start:stop] = score.measure(batch).cpu().numpy()
        if on_batch is not None:
            on_batch(stop - start)
    return values


def _run(model: nn.Module, images: Tensor, given: Tensor, differentiate: bool) -> tuple[Tensor, Tensor, Tensor | None]:
    """Logits (B, K), loss (B,) and, if asked, its gradient (B, C, H, W)."""
    images = images.detach().requires_grad_(differentiate)
    with torch.set_grad_enabled(differentiate):
        logits = model(images).float()  # (B, K)
        loss = F.cross_entropy(logits, given, reduction="none")  # (B,)
    gradient = torch.autograd.grad(loss.sum(), images)[0] if differentiate else None
    return logits.detach(), loss.detach(), gradient


def as_images(pixels: Tensor, device: torch.device) -> Tensor:
    """uint8 (B, C, H, W) -> float32 in [0, 1] on the device; floats pass through."""
    moved = pixels.to(device, non_blocking=True)
    return moved.float().div_(255) if moved.dtype == torch.uint8 else moved.float()
