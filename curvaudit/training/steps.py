"""Forward and backward pass of one training batch; on a GPU recorded once and replayed.

A step of ResNet18 launches hundreds of kernels. One by one, the processor takes longer to launch them than a GPU to
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
_RECORDINGS = 4  # … of at most so many sizes: each holds gradients of its own
_WARM_UP = 2  # libraries allocate and choose kernels before anything can be recorded
# Of the free memory: a recording keeps what a step needs, and batches of other sizes and measuring come on top.
_SHARE = 0.25


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
        # Not `enabled=bf16`: some devices know no autocast at all. Nothing cached: each weight is used once, and within
        # another autocast the rounded weights of the first step would be kept for all that follow.
        with torch.autocast(self.device.type, torch.bfloat16, cache_enabled=False) if self.bf16 else nullcontext():
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
    """The same on a GPU, for one process: batch sizes that come often are recorded, where memory is plenty."""

    def __init__(self, model: nn.Module, device: torch.device, bf16: bool) -> None:
        super().__init__(model, device, bf16)
        self.parameters = list(model.parameters())
        self.pool: Any = None  # of memory, for all recordings: they never run at the same time
        self.aside: Any = None  # the stream that records
        self.seen: dict[int, int] = {}  # batch size -> batches
        self.due: dict[int, int] = {}  # batch size -> batches after which a recording is worth a try
        self.recordings: dict[int, _Recording] = {}  # by batch size
        self.graphs: list[Any] = []  # good or not: destroying one takes workspaces from those that are left
        self.trusted = True  # whether recording is tried at all

    def __call__(self, images: Tensor, labels: Tensor, share: float = 1.0) -> Tensor:
        size = len(labels)
        self.seen[size] = self.seen.get(size, 0) + 1
        free = size not in self.recordings and len(self.recordings) < _RECORDINGS
        if self.trusted and free and self.seen[size] > self.due.get(size, _OFTEN):
            self._record(images, labels)
        known = self.recordings.get(size)
        if known is None or share != 1.0:
            return super().__call__(images, labels, share)
        known.images.copy_(images)
        known.labels.copy_(labels)
        known.graph.replay()
        for parameter, gradient in zip(self.parameters, known.gradients, strict=True):
            parameter.grad = gradient
        return known.loss.clone()  # the next replay overwrites it

    def _record(self, images: Tensor, labels: Tensor) -> None:
        """Add a recording of this batch size, if there is room for it and it works."""
        images, labels = images.clone(), labels.clone()
        # Recording follows the current device, not the tensors: on another one it would record nothing.
        with torch.cuda.device(self.device):
            here = torch.cuda.current_stream()
            self.aside = self.aside or torch.cuda.Stream()  # type: ignore[no-untyped-call]
            self.pool = self.pool or torch.cuda.graph_pool_handle()
            try:
                self.aside.wait_stream(here)
                with torch.cuda.stream(self.aside):
                    room = self._warm_up(images, labels)
                here.wait_stream(self.aside)
                if room:
                    self._keep(len(labels), self._captured(images, labels))
                else:
                    # Memory may be free again later; a try costs a few steps.
                    self.due[len(labels)] = 2 * self.seen[len(labels)]
            except RuntimeError:
                # Out of memory, or another library's call that cannot be recorded. Steps one by one still work;
                # a capture that failed leaves its own stream behind as the current one.
                self.trusted = False
                torch.cuda.set_stream(here)
            finally:
                self._clear()

    def _warm_up(self, images: Tensor, labels: Tensor) -> bool:
        """Run the step as it is recorded later; whether it takes little enough of what is free."""
        torch.cuda.reset_peak_memory_stats(self.device)
        before = torch.cuda.memory_allocated(self.device)
        for _ in range(_WARM_UP):
            self._clear()
            super().__call__(images, labels)
        needed = torch.cuda.max_memory_allocated(self.device) - before
        kept = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
        return needed <= _SHARE * (torch.cuda.mem_get_info(self.device)[0] + kept)

    def _captured(self, images: Tensor, labels: Tensor) -> _Recording:
        self._clear()  # the recorded backward pass then writes gradients and adds to none
        graph = torch.cuda.CUDAGraph()
        self.graphs.append(graph)
        # What other threads do on the GPU meanwhile is no error of the recording.
        with torch.cuda.graph(graph, pool=self.pool, stream=self.aside, capture_error_mode="thread_local"):
            loss = super().__call__(images, labels)
        return _Recording(graph, images, labels, loss, [parameter.grad for parameter in self.parameters])

    def _keep(self, size: int, recording: _Recording) -> None:
        """If a replay computes anything: an empty recording would train on one gradient for ever."""
        recording.loss.fill_(float("nan"))
        recording.graph.replay()
        if bool(recording.loss.isfinite()):
            self.recordings[size] = recording
        else:
            self.trusted = False

    def _clear(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None


def steps(model: nn.Module, device: torch.device, bf16: bool, processes: int = 1) -> Steps:
    """What trains on one batch: recorded on a GPU, unless several processes exchange gradients meanwhile."""
    recorded = device.type == "cuda" and torch.version.cuda is not None and processes == 1
    return (RecordedSteps if recorded else Steps)(model, device, bf16)
