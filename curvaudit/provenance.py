"""What made a result: this program, and what it ran on. Imports nothing of ours but the version."""

from __future__ import annotations

import platform
from types import ModuleType

from . import __version__

CREATED_BY = f"curvaudit {__version__}"


def environment(*packages: ModuleType) -> dict[str, str]:
    """Versions of this program, of Python and of the packages that the result depends on, and the system.

    The packages are handed over, so that nothing is loaded only to be named.
    """
    return {
        "curvaudit": __version__,
        "python": platform.python_version(),
        **{package.__name__: package.__version__ for package in packages},
        "platform": platform.platform(),
    }
