"""What several test files need."""

import os
from pathlib import Path

import pytest
from made import draw_folder

# Sums depend on the number of threads: with as many everywhere, two scans with one seed write one file.
os.environ.setdefault("OMP_NUM_THREADS", "2")


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """Three classes of 20 noisy but learnable pictures, 12×12 RGB."""
    root = tmp_path / "images"
    draw_folder(root, classes=("circle", "square", "stripe"), each=20)
    return root


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real data; tests that need it are skipped where it is absent."""
    path = Path(os.environ.get("CURVAUDIT_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"no real data at {path}; set CURVAUDIT_TEST_DATA")
    return path
