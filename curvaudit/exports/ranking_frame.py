"""A report as a pandas frame: `Report.to_pandas`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import CurvauditError
from ..records import Report
from .ranking_columns import columns

if TYPE_CHECKING:
    import pandas


def frame(report: Report) -> pandas.DataFrame:
    """See `Report.to_pandas`."""
    try:
        import pandas
    except ImportError as error:
        raise CurvauditError(
            "A pandas frame needs pandas, which is not installed.", "Install it with `pip install 'curvaudit[pandas]'`."
        ) from error
    table = {column.name: column.values for column in columns(report)}
    return pandas.DataFrame(table, index=pandas.Index(table.pop("index"), name="index"))
