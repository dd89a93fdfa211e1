"""What the exports render, as it is asked for and printed."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from ..errors import CurvauditError


def require_text_or_json(format: str) -> None:
    """Raises CurvauditError for another --format."""
    if format not in ("text", "json"):
        raise CurvauditError(f"--format {format!r} is not known.", "Use text or json.")


def print_rendered(content: bytes, lines: Sequence[tuple[str, str]] | None = None) -> None:
    """Print `content`; on a terminal `lines` instead, (severity or "", line), in the colours of the severities."""
    if lines is not None and sys.stdout.isatty():
        from rich.console import Console
        from rich.text import Text

        from .findings_table import STYLE

        console = Console(highlight=False, soft_wrap=True)
        for severity, line in lines:
            console.print(Text(line, STYLE.get(severity, "")))
    else:
        # Bytes: UTF-8 whatever the terminal's encoding, and no line ends changed.
        typer.echo(content, nl=False)
