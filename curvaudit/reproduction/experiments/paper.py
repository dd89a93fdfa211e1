"""Which data set of the paper a source is, so that its numbers stand beside no other."""

from __future__ import annotations

import re
from pathlib import Path

DATA_SETS = ("cifar100", "cifar10", "mnist")


def data_set(source: str) -> str | None:
    """The data set of the paper that a source of this name is, one of `DATA_SETS`; None where it is none.

    By the name alone, for example `mnist` or `data/cifar100-train.parquet`. A source that does not say so gets no
    column of the paper.
    """
    # The name of a subset says more behind it: "mnist (2000 of 60000)".
    plain = re.sub("[^a-z0-9]", "", Path(source).name.lower())
    if "fashion" in plain:
        return None
    return next((one for one in DATA_SETS if one in plain), None)


def preset(source: str) -> str:
    """The paper's schedule for a source of this name: that of MNIST for digits, letters and clothes in grey."""
    return "paper-mnist" if "mnist" in source or source == "digits" else "paper-cifar"
