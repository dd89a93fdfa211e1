"""What `curvaudit reproduce` writes: pure functions Reproduction -> bytes."""

from __future__ import annotations

from ...reproduction import plots
from ...reproduction.result import Reproduction
from . import json_document, page, tables_csv
from .json_document import SCHEMA

__all__ = ["NUMBERS", "PAGE", "SCHEMA", "render_all"]

PAGE = "index.html"
NUMBERS = "reproduction.json"


def render_all(result: Reproduction) -> dict[str, bytes]:
    """The files of the folder: file name -> content. The page comes last: where it is, all is there."""
    files: dict[str, bytes] = {}
    for figure in result.outcome.figures:
        files[f"{figure.name}.svg"] = plots.svg(figure.drawing)
        files[f"{figure.name}.png"] = plots.png(figure.drawing)
    for table in result.outcome.tables:
        files[f"{table.name}.csv"] = tables_csv.render(table)
    files[NUMBERS] = json_document.render(result)
    files[PAGE] = page.render(result, files)
    return files
