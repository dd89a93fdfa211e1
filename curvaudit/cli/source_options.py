"""The options that say where pictures come from, spelled alike in every command that has them."""

from __future__ import annotations

from typing import Annotated

import typer

MAX_PIXELS = 178_956_970  # that of `images`, which would load Pillow

Split = Annotated[str | None, typer.Option(help="train, test or val; default train.")]
DataDir = Annotated[str | None, typer.Option(help="Where a standard set lies.")]
Download = Annotated[bool, typer.Option("--download", help="Fetch a standard set or hf:NAME if it is absent.")]
ImageColumn = Annotated[str | None, typer.Option(help="The column or array with pictures or paths.")]
LabelColumn = Annotated[str | None, typer.Option(help="The column or array with labels.")]
Workers = Annotated[int | None, typer.Option(help="Threads that read pictures.")]
MaxPixels = Annotated[
    int | None, typer.Option(help="Pixels of the largest picture to decode; larger ones are unreadable (CA301).")
]
