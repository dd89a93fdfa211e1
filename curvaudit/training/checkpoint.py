"""Where a training stands, beside the run file, replaced as a whole or not at all."""

from __future__ import annotations

import io
import os
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..errors import CurvauditError


@dataclass(frozen=True)
class Checkpoint:
    """State after training (not yet measuring) one epoch of one training."""

    run: str  # which settings and source it belongs to
    training: int
    epoch: int
    train_loss: float
    learning_rate: float
    seconds: float
    model: dict[str, Any]
    optimizer: dict[str, Any]


def path_for(run: Path) -> Path:
    """`<run>.checkpoint`"""
    return run.with_name(run.name + ".checkpoint")


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write beside the target, then move into place: a reader sees the old or the new one.

    Raises
    ------
    CurvauditError
        It cannot be written; the old one is still there.
    """
    # torch's own writer turns a full disk into an error without a reason; Python's does not.
    content = io.BytesIO()
    torch.save(_on_processor(vars(checkpoint)), content)
    temporary = path.with_name(path.name + ".partial")
    try:
        with temporary.open("wb") as file:
            file.write(content.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise CurvauditError(
            f"The checkpoint {path} cannot be written: {error.strerror or error}.",
            "Finished epochs are kept; mend the cause (space, permissions, a folder that is gone), then use --resume.",
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _on_processor(value: Any) -> Any:
    """The same with tensors that every machine can read, whatever device they lie on."""
    if isinstance(value, dict):
        return {key: _on_processor(one) for key, one in value.items()}
    return value.cpu() if isinstance(value, torch.Tensor) else value


def load(path: Path) -> Checkpoint | None:
    """The checkpoint at `path`, or None where there is none; its tensors lie on the processor.

    Raises
    ------
    CurvauditError
        The file cannot be read, or is damaged.
    """
    if not path.exists():
        return None
    try:
        # Torch writes checksums and does not look at them.
        with zipfile.ZipFile(path) as archive:
            if (damaged := archive.testzip()) is not None:
                raise zipfile.BadZipFile(damaged)
        return Checkpoint(**torch.load(path, map_location="cpu", weights_only=True))
    except MemoryError:
        raise
    except OSError as error:
        raise CurvauditError(
            f"The checkpoint {path} cannot be read: {error.strerror or error}.", "Mend the cause, then use --resume."
        ) from error
    except Exception as error:  # torch raises a dozen types for damaged archives
        raise CurvauditError(
            f"The checkpoint {path} is damaged ({type(error).__name__}).",
            "The run file keeps every finished epoch for `curvaudit report`; "
            "to train again use `curvaudit scan --overwrite`.",
        ) from error
