"""What the device can carry: device, precision, network width and training resolution."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from ..errors import CurvauditError
from . import limits
from .model import SMALL_INPUT

_LAYER_BYTES = 1 << 22  # of one layer while measuring on a CPU
_SHARE_FOR_PIXELS = 0.25  # of a device's free memory; the rest is for the network and its activations


@dataclass(frozen=True)
class Choice:
    """A setting that was chosen for the user, and the reason to show them."""

    value: int
    reason: str


def choose_device(wanted: str) -> torch.device:
    """`auto`: CUDA if there is one, else the CPU.

    Raises
    ------
    CurvauditError
        The device is unknown or not available.
    """
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
        torch.zeros(1, device=device).item()  # read back: "meta" makes tensors without values
    except Exception as error:  # torch raises RuntimeError, AssertionError, NotImplementedError here
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CurvauditError(
            f"Device {wanted!r} cannot be used: {reason.partition('. ')[0].rstrip('.')}.",
            "Use --device auto or cpu; cuda needs an NVIDIA GPU and a torch that was built for it.",
        ) from error
    return device


def choose_bf16(wanted: str, device: torch.device) -> bool:
    """Whether training runs under bf16 autocast; forward passes of scores are float32 always.

    `auto`: where the device multiplies bf16 in hardware. Elsewhere it is emulated, and slower.

    Raises
    ------
    CurvauditError
        The precision is unknown.
    """
    if limits.precision(wanted) == "auto":
        return multiplies_bf16(device)
    return wanted == "bf16"


def multiplies_bf16(device: torch.device) -> bool:
    """In hardware, that is; all devices can emulate it."""
    if device.type == "cuda":
        found: bool = torch.cuda.is_bf16_supported(including_emulation=False)
        return found
    # Private, so a torch without them means "no", not an error.
    asked = (getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("amx_tile", "avx512_bf16"))
    return device.type == "cpu" and any(ask is not None and ask() for ask in asked)


def choose_resolution(wanted: str, widths: np.ndarray, heights: np.ndarray, device: torch.device) -> Choice:
    """Side in px of the square pictures that the network sees.

    Small pictures keep their size. Larger ones are scaled to what the device carries: 224 on
    an accelerator, 112 on a CPU (a stem of stride 2 and a pooling make 112 px with torchvision's
    stem cheaper than 64 px with the 3×3 stem).

    Parameters
    ----------
    widths, heights:
        (N,) of the readable pictures, px.
    """
    if (asked := limits.resolution(wanted)) is not None:
        return Choice(asked, "as asked")
    side = int(np.median(np.maximum(widths, heights)))
    if side <= SMALL_INPUT:
        native = max(side, limits.RESOLUTIONS[0])
        reason = "the pictures' own size" if native == side else "the smallest input ResNet18 can take"
        return Choice(native, reason)
    limit = 112 if device.type == "cpu" else 224
    if side <= limit:
        return Choice(side, "the pictures' own (median) size")
    return Choice(limit, f"pictures of about {side} px, scaled to what training on {device.type} can carry")


def choose_width(wanted: str, resolution: int, device: torch.device) -> Choice:
    """Channels of ResNet18's first stage; 64 is the paper's network."""
    if (asked := limits.width(wanted)) is not None:
        return Choice(asked, "as asked")
    if device.type != "cpu":
        return Choice(64, f"the paper's network, on {device.type}")
    width = 16 if resolution <= SMALL_INPUT else 32
    return Choice(width, "narrowed for the CPU (--width 64 is the paper's network)")


def measuring_batch(resolution: int, width: int, device: torch.device) -> int:
    """Pictures that are measured at once.

    On a CPU the activations of one layer should stay within a few MB: beyond that the allocator gives
    pages back after each use, and fetching them anew costs a quarter of the whole pass. Batches below
    32 would spend as much on reordering the weights.
    """
    side = resolution if resolution <= SMALL_INPUT else resolution / 2  # after the first convolution
    if device.type != "cpu":
        # Of the paper's network on 32 px, 1,024 keep a large GPU busy (docs/performance.md) and take 2 GiB.
        fitting = 1024 * 32**2 * 64 / (side**2 * width)
        return _power_of_two(fitting, 32, 1024)
    return _power_of_two(_LAYER_BYTES / (4 * width * side * side), 32, 256)


def _power_of_two(most: float, low: int, high: int) -> int:
    """The largest one up to `most`, but from `low` to `high`."""
    return min(high, max(low, 1 << int(math.log2(max(1.0, most)))))


def placed(pixels: torch.Tensor, device: torch.device) -> torch.Tensor:
    """(N, C, H, W) uint8 on the device, where they leave most of its memory free; else where they are.

    There, batches are cut and augmented by the device, and pictures are not sent anew in every epoch.
    """
    free = _free_memory(device)
    return pixels.to(device) if free is not None and pixels.nbytes <= free * _SHARE_FOR_PIXELS else pixels


def _free_memory(device: torch.device) -> int | None:
    """Bytes; None where the pixels lie well already or torch does not tell."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None
