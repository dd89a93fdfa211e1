"""Torch as it starts, whatever the program around has made of it.

`scan` is called from notebooks, in which gradients may be off, autocast on, or a GPU or float64 the default: a
training among these would fail or be another one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext


@contextmanager
def as_torch_starts() -> Iterator[None]:
    """Gradients on, no inference mode, no autocast, float32 and the processor as defaults; afterwards as before.

    But for one thing: cuDNN does the same each time, and tries nothing out.
    """
    import torch

    from ..scores.threads import torch_threads

    torch_threads()
    elsewhere = torch.get_default_device().type != "cpu"
    dtype, cudnn = torch.get_default_dtype(), torch.backends.cudnn
    kept = cudnn.deterministic, cudnn.benchmark
    torch.set_default_dtype(torch.float32)
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.autocast("cpu", enabled=False),
            torch.autocast("cuda", enabled=False),
            torch.device("cpu") if elsewhere else nullcontext(),  # it slows down every call
        ):
            yield
    finally:
        torch.set_default_dtype(dtype)
        cudnn.deterministic, cudnn.benchmark = kept
