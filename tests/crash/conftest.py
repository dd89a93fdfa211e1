"""The short form runs in `make test`, the long one by `make crash`."""

import os

import pytest


@pytest.fixture
def long_form() -> bool:
    return os.environ.get("CURVAUDIT_CRASH") == "long"
