"""Forward and backward pass of one training batch; on a GPU recorded once and replayed.

A step of ResNet18 launches some 400 kernels. One by one, the processor takes longer to launch them than a GPU to
run them; as a recorded CUDA graph they are launched at once (docs/performance.md has the figures).
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_OFTEN = 8  # so many batches of one size are worth a recording …
_RECORDINGS = 8  # … of at most so many sizes: each holds gradients of its own
_WARM_UP = 2  # libraries allocate and choose kernels before anything can be recorded


class Steps:
    """Leaves the gradients of a batch in `.grad`."""

    def __init__(self, model: nn.Module, device: torch.device, bf16: bool) -> None:
        self.model = model
        self.device = device
        self.bf16 = bf16

    def __call__(self, images: Tensor, labels: Tensor, share: float = 1.0) -> Tensor:
        """The mean loss, without history.

        Parameters
        ----------
        images, labels:
            (B, C, H, W) in [0, 1] and (B,), on the device.
        share:
            What the gradients are multiplied by.
        """
        # Not `enabled=bf16`: some devices know no autocast at all.
        with torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext():
            logits = self.model(images)  # (B, K)
        loss = F.cross_entropy(logits.float(), labels)
        torch.autograd.backward(loss * share)
        return loss.detach()


@dataclass(frozen=True)
class _Recording:
    """Reads `images` and `labels`, writes `loss` and `gradients`."""

    graph: Any  # torch.cuda.CUDAGraph
    images: Tensor  # (B, C, H, W)
    labels: Tensor  # (B,)
    loss: Tensor
    gradients: list[Tensor | None]


class RecordedSteps(Steps):
    """The same on a GPU, for one process: batch sizes that come often are recorded."""

    def __init__(self, model: nn.Module, device: torch.device, bf16: bool) -> None:
        super().__init__(model, device, bf16)
        self.parameters = list(model.parameters())
        self.pool: Any = None  # of memory, for all recordings: they never run at the same time
        self.seen: dict[int, int] = {}  # batch size -> batches
        self.recordings: dict[int, _Recording | None] = {}  # None: could not be made

    def __call__(self, images: Tensor, labels: Tensor, share: float = 1.0) -> Tensor:
        size = len(labels)
        self.seen[size] = self.seen.get(size, 0) + 1
        if self.seen[size] > _OFTEN and size not in self.recordings and len(self.recordings) < _RECORDINGS:
            try:
                self.recordings[size] = self._record(images, labels)
            except RuntimeError:  # a recording takes as much memory again
                self.recordings[size] = None
                self._clear()
                torch.cuda.empty_cache()
        known = self.recordings.get(size)
        if known is None or share != 1.0:
            return super().__call__(images, labels, share)
        known.images.copy_(images)
        known.labels.copy_(labels)
        known.graph.replay()
        for parameter, gradient in zip(self.parameters, known.gradients, strict=True):
            parameter.grad = gradient
        return known.loss.clone()  # the next replay overwrites it

    def _record(self, images: Tensor, labels: Tensor) -> _Recording:
        images, labels = images.clone(), labels.clone()
        here, aside = torch.cuda.current_stream(self.device), torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        aside.wait_stream(here)
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UP):
                self._clear()
                super().__call__(images, labels)
        here.wait_stream(aside)
        self._clear()  # the recorded backward pass then writes gradients and adds to none
        self.pool = self.pool or torch.cuda.graph_pool_handle()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self.pool):
            loss = super().__call__(images, labels)
        return _Recording(graph, images, labels, loss, [parameter.grad for parameter in self.parameters])

    def _clear(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None


def steps(model: nn.Module, device: torch.device, bf16: bool, processes: int = 1) -> Steps:
    """What trains on one batch: recorded on a GPU, unless several processes exchange gradients meanwhile."""
    return (RecordedSteps if device.type == "cuda" and processes == 1 else Steps)(model, device, bf16)
