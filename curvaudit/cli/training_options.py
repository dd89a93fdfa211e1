"""The options of a training, spelled alike in every command that has them."""

from __future__ import annotations

from typing import Annotated

import typer

Preset = Annotated[str, typer.Option(help="fast, paper-mnist, paper-cifar or paper-imagenet.")]
Epochs = Annotated[int | None, typer.Option(help="Length of the schedule; default by preset.")]
BatchSize = Annotated[int | None, typer.Option(help="Default by preset.")]
LearningRate = Annotated[float | None, typer.Option(help="Peak or initial learning rate; default by preset.")]
Augment = Annotated[
    bool | None, typer.Option("--augment/--no-augment", help="Crop and flip; default by preset and data.")
]
CurvatureEvery = Annotated[int | None, typer.Option(help="Measure curvature every k-th epoch.")]
Probes = Annotated[
    int | None, typer.Option(help="n of equation 6; default 10 (paper), or 0 to 5 by a picture's gradient (fast).")
]
Step = Annotated[float, typer.Option(help="h of equation 6, in pixels of [0, 1].")]
Resolution = Annotated[str, typer.Option(help="Side of the network's input in px, or auto.")]
Width = Annotated[str, typer.Option(help="Channels of the first stage (paper: 64), or auto.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, … or auto.")]
Precision = Annotated[
    str,
    typer.Option(
        help="Of training: float32, bf16 or auto. With bf16 so are gradients for scores, on a CPU that multiplies it."
    ),
]
