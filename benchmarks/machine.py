"""What a benchmark ran on, and what it cost: wall time, processor time, peak memory."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Cost:
    """Of one call."""

    wall: float  # seconds
    processor: float  # seconds, summed over all threads: what a busy machine disturbs least
    peak: float  # MB of resident memory above what was there before; NaN where it cannot be known


def cost_of(call: Callable[[], object]) -> Cost:
    before = _resident("VmRSS")
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew (Linux)
    wall, processor = time.perf_counter(), time.process_time()
    call()
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    return Cost(wall, processor, _resident("VmHWM") - before)


def _resident(field: str) -> float:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
    return float("nan")


def described() -> str:
    """One line: processor, cores, threads, load, versions, date."""
    model = platform.machine()
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    load = f"load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "load unknown"
    return (
        f"{model}, {os.cpu_count()} cores, {torch.get_num_threads()} torch threads, {load} at the end; "
        f"torch {torch.__version__}, Python {platform.python_version()}, {platform.system()}; "
        f"{time.strftime('%Y-%m-%d', time.gmtime())}"
    )
