"""The short form runs in `make test`, the long one by `make crash`."""

import os

import pytest
from made import draw_folder


@pytest.fixture
def long_form() -> bool:
    return os.environ.get("CURVAUDIT_CRASH") == "long"


@pytest.fixture
def crash_seed() -> int:
    """Another number tries other moments."""
    return int(os.environ.get("CURVAUDIT_CRASH_SEED", "0"))


@pytest.fixture
def tiny_folder(tmp_path):
    """Three classes of 8 pictures: a whole scan takes about a second, so that many can be killed."""
    root = tmp_path / "images"
    draw_folder(root, classes=("circle", "square", "stripe"), each=8)
    return root
