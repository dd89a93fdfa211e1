"""What every page needs: its parts, a strict template engine, and a policy that keeps the outside out."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined


def part(name: str) -> str:
    """A file of the folder `page`."""
    return (files(__package__) / "page" / name).read_text("utf-8")


def environment() -> Environment:
    """Every name is text: autoescaping is on and undefined names are errors."""
    return Environment(
        loader=FunctionLoader(part),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def policy(styles: Sequence[str], script: str | None = None) -> str:
    """Nothing from outside, and no script or style but ours, even if a name slipped through as markup."""

    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    scripts = "'none'" if script is None else digest(script)
    return (
        f"default-src 'none'; img-src data:; style-src {' '.join(map(digest, styles))}; "
        f"script-src {scripts}; base-uri 'none'; form-action 'none'"
    )
