"""`calibration.csv`: one row a trial and method."""

from __future__ import annotations

import io

from ...calibration.result import Calibration
from ...text.csv_rows import Rows

_QUALITY = ("auroc", "average_precision", "precision_at_planted", "recall_at_planted", "precision_at_top")
_FLAGS = ("flagged", "precision", "recall", "suggestion_right")


def render(result: Calibration) -> bytes:
    """Columns `rate,seed,planted,method,kind`, the fields of `Quality`, `top`, `cost`, then those of `Flags`.

    The row of CA201 ranks nothing and that of a score flags nothing: those fields are empty, as is what
    was not measured.
    """
    buffer = io.StringIO()
    writer = Rows(buffer)
    writer.writerow(["rate", "seed", "planted", "method", "kind", *_QUALITY, "top", "cost", *_FLAGS])
    kinds = {method.name: method.kind for method in result.methods}
    for trial in result.trials:
        for name in dict.fromkeys((*trial.qualities, *trial.flags)):
            quality, flags = trial.qualities.get(name), trial.flags.get(name)
            measured = [""] * len(_QUALITY) if quality is None else [_number(getattr(quality, f)) for f in _QUALITY]
            said = [""] * len(_FLAGS) if flags is None else [_number(getattr(flags, f)) for f in _FLAGS]
            cost = _number(trial.costs.get(name, float("nan")))
            start = [f"{trial.rate:g}", trial.seed, trial.planted, name, kinds.get(name, "flag")]
            writer.writerow([*start, *measured, result.top, cost, *said])
    return buffer.getvalue().encode()


def _number(value: float) -> str:
    return "" if value != value else f"{value:.6g}"
