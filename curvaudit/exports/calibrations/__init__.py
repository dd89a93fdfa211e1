"""What `curvaudit calibrate` writes: one file each, pure functions Calibration -> bytes. To add one, name it here."""

from __future__ import annotations

from collections.abc import Callable

from ...calibration.result import Calibration
from . import json_document, page, table_csv

FILES: dict[str, Callable[[Calibration], bytes]] = {
    "index.html": page.render,
    "calibration.csv": table_csv.render,
    "calibration.json": json_document.render,
}


def render_all(result: Calibration) -> dict[str, bytes]:
    """The files of the folder: file name -> content."""
    return {name: render(result) for name, render in FILES.items()}
