"""Audit labelled image data sets by the curvature of the loss.

    import curvaudit
    run = curvaudit.scan("data/train", out="run.h5", epochs=30)
    report = curvaudit.report(run, top=100)
    curvaudit.save(report, "curvaudit-report")
    assert curvaudit.check(report, fail_on={"CA101"}).passed

Names are loaded when they are first used: importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .calibration.calibrating import calibrate
    from .calibration.result import Calibration
    from .comparison.comparing import compare
    from .comparison.result import Comparison
    from .errors import CurvauditError
    from .exporting import Exported, export
    from .inspecting import inspect
    from .policy.definition import Policy
    from .policy.file import read_policy
    from .policy.gating import check
    from .policy.outcome import CheckResult
    from .records import Finding, Report
    from .reporting import report, save
    from .reproduction.reproducing import reproduce
    from .reproduction.result import Reproduction
    from .scanning import scan
    from .store import Run, open_run

__all__ = [
    "Calibration",
    "CheckResult",
    "Comparison",
    "CurvauditError",
    "Exported",
    "Finding",
    "Policy",
    "Report",
    "Reproduction",
    "Run",
    "__version__",
    "calibrate",
    "check",
    "compare",
    "export",
    "inspect",
    "open_run",
    "read_policy",
    "report",
    "reproduce",
    "save",
    "scan",
]

# Modules are named after the activity (scanning), so that no function shares its name with one.
_HOMES = {
    "Calibration": "calibration.result",
    "CheckResult": "policy.outcome",
    "Comparison": "comparison.result",
    "CurvauditError": "errors",
    "Exported": "exporting",
    "Finding": "records",
    "Policy": "policy.definition",
    "Report": "records",
    "Reproduction": "reproduction.result",
    "Run": "store",
    "calibrate": "calibration.calibrating",
    "check": "policy.gating",
    "compare": "comparison.comparing",
    "export": "exporting",
    "inspect": "inspecting",
    "open_run": "store",
    "read_policy": "policy.file",
    "report": "reporting",
    "reproduce": "reproduction.reproducing",
    "save": "reporting",
    "scan": "scanning",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
