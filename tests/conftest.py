"""What several test files need."""

import os
import tempfile
from pathlib import Path

import pytest
from made import draw_folder

# Sums depend on the number of threads: with as many everywhere, two scans with one seed write one file.
os.environ.setdefault("OMP_NUM_THREADS", "2")
# No test, and no command that a test starts, keeps hashes in the user's home.
_CACHE = tempfile.TemporaryDirectory(prefix="curvaudit-tests-")
os.environ["XDG_CACHE_HOME"] = _CACHE.name


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test finds what another one has hashed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


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
