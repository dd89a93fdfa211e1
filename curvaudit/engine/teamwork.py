"""How the first of several processes hands its work to the others: by words and arrays, never by pickles."""

from __future__ import annotations

import warnings
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CurvauditError
from ..pictures import pixels
from ..records import RunInfo
from ..training.processes import Processes
from .settings import ScanSettings, with_overrides
from .work import Pixels, Work


def brief(work: Work) -> None:
    """In the first process: say what `followed` needs. The pixels are read from their file by everyone."""
    data = [work.data] if work.validation is None else [work.data, work.validation]
    work.processes.told(
        lambda: {
            "info": asdict(work.info),
            "classes": work.classes,
            "pixels": [{"file": str(one.file and one.file.resolve()), "shape": list(one.pixels.shape)} for one in data],
        }
    )
    for one in data:
        work.processes.array(one.labels.numpy())
    work.processes.array(work.memorizable)


def followed(path: Path, settings: ScanSettings, processes: Processes) -> Work:
    """In every other process: the same work, as soon as the first one has prepared it.

    Raises
    ------
    CurvauditError
        The file with the pixels is not to be seen from this machine.
    """
    from ..training import device as choices
    from ..training import presets

    told = processes.told(dict)
    info = RunInfo(**told["info"])
    device = choices.choose_device(settings.device)
    data = [_mapped(Path(said["file"]), said["shape"], processes.array(None), path) for said in told["pixels"]]
    data = [replace(one, pixels=choices.placed(one.pixels, device)) for one in data]
    recipe = presets.named(settings.preset, len(data[0].labels), int(info.config["channels"]))
    return Work(
        path=path,
        info=info,
        settings=settings,
        recipe=with_overrides(recipe, settings),
        device=device,
        bf16=info.config["precision"] == "bf16",
        width=int(info.config["width"]),
        classes=int(told["classes"]),
        data=data[0],
        validation=data[1] if len(data) > 1 else None,
        memorizable=processes.array(None),
        skipped=(),
        processes=processes,
    )


def _mapped(file: Path, shape: list[int], labels: np.ndarray, run: Path) -> Pixels:
    import torch

    try:
        values: Any = pixels.mapped(file)
    except (OSError, ValueError) as error:
        raise CurvauditError(
            f"The pixels in {file} cannot be read: {error}.",
            f"Put the run file {run} where all machines see it under the same name.",
        ) from error
    if list(values.shape) != shape:
        raise CurvauditError(f"{file} holds other pixels than the first process says.", "Start again with --resume.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch would rather write to it
        return Pixels(torch.from_numpy(values), torch.from_numpy(labels), file)
