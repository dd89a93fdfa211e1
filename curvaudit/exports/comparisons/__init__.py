"""What `curvaudit compare` prints and writes: one file each, pure functions. To add one, name it here."""

from __future__ import annotations

from collections.abc import Callable

from ...comparison.result import Comparison
from . import html, json_document, text

FORMATS: dict[str, Callable[[Comparison], bytes]] = {
    "text": text.render,
    "json": json_document.render,
    "html": html.render,
}
