"""What `curvaudit check` prints and writes: one file each, pure functions. To add one, name it here."""

from __future__ import annotations

from typing import Protocol

from ...policy.outcome import CheckResult, Places
from . import github, json_document, junit, markdown, sarif, text


class CheckExport(Protocol):
    """A result as the content of a file, UTF-8."""

    def __call__(self, result: CheckResult, places: Places, /) -> bytes:
        """Render `result`; `places` says where its pictures lie."""
        ...


FORMATS: dict[str, CheckExport] = {
    "text": text.render,
    "json": json_document.render,
    "sarif": sarif.render,
    "junit": junit.render,
    "github": github.render,
    "markdown": markdown.render,
}
# Lines for people and for the log of a workflow may share an output; the others are whole documents.
SHARABLE = frozenset({"text", "github"})
