"""Programs for which permissions count, whoever runs the tests."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

import curvaudit

needed = pytest.mark.skipif(sys.platform != "linux", reason="takes Linux to give up what root may do")


def run(program: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess:
    """Python with these arguments in this folder, as a user who may only do what permissions say."""
    here = {"PYTHONPATH": str(Path(curvaudit.__file__).parents[1]), **environment}
    return subprocess.run(
        [sys.executable, *program], cwd=folder, capture_output=True, text=True, timeout=240,
        preexec_fn=_obey, env={**os.environ, **here},
    )  # fmt: skip


def _obey() -> None:
    """Root may write everywhere, unless it gives that right up before the next program starts."""
    drop = 24  # PR_CAPBSET_DROP
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        ctypes.CDLL(None).prctl(drop, capability, 0, 0, 0)
