"""Exports: one file each, pure functions Report -> bytes. To add one, name it here."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..arguments import require
from ..errors import CurvauditError, nearest
from ..records import Report
from . import cleanlab_csv, fiftyone_json, findings_json, html, ranking_csv, ranking_parquet

Export = Callable[[Report], bytes]

# name -> (file name in the report folder, function)
EXPORTS: dict[str, tuple[str, Export]] = {
    "html": ("index.html", html.render),
    "csv": ("ranking.csv", ranking_csv.render),
    "json": ("findings.json", findings_json.render),
    "parquet": ("ranking.parquet", ranking_parquet.render),
}
DEFAULT_FORMATS = ("html", "csv", "json")

# Files for other programs, made by `curvaudit export`.
OTHER_PROGRAMS: dict[str, tuple[str, Export]] = {
    "cleanlab": ("cleanlab.csv", cleanlab_csv.render),
    "fiftyone": ("fiftyone.json", fiftyone_json.render),
}


def render_all(report: Report, formats: str | Iterable[str] = DEFAULT_FORMATS) -> dict[str, bytes]:
    """The files of the report folder: file name -> content.

    Raises
    ------
    CurvauditError
        No format, or one that does not exist; or a package that it needs is missing.
    """
    require("formats", formats, Iterable, "Name one or several.")
    formats = (formats,) if isinstance(formats, str) else tuple(formats)
    if not formats:
        raise CurvauditError("No format is named.", f"Choose from {', '.join(EXPORTS)}.")
    for name in formats:
        if name not in EXPORTS:
            raise CurvauditError(f"There is no report format {name!r}.", nearest(name, EXPORTS))
    return {EXPORTS[name][0]: EXPORTS[name][1](report) for name in formats}
