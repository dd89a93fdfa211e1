"""The options that say what a report ranks by, spelled alike in every command that has them."""

from __future__ import annotations

from typing import Annotated

import typer

SCORES = "curvature, late-curvature, gradient, loss, margin, el2n, correct or consensus"  # importing them loads numpy

RankBy = Annotated[str, typer.Option(help=f"{SCORES}.")]
Training = Annotated[int | None, typer.Option(help="Which training of the run ranks; default the first.")]
