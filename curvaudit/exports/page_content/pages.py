"""What the pages have in common: their parts, escaping, and the policy that nothing comes from outside."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape


def part(name: str) -> str:
    """One file of the folder `exports/page`."""
    return (files("curvaudit.exports") / "page" / name).read_text("utf-8")


def environment() -> Environment:
    """Every name on a page is text: autoescaping is on and undefined names are errors."""
    made = Environment(
        loader=FunctionLoader(part),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["commands"] = commands
    return made


def commands(text: str) -> Markup:
    """What stands between backticks, as our sentences have it for terminals, in the type of code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # one is left over, so they are somebody's name
        return escape(text)
    return Markup("").join(Markup("<code>{}</code>").format(one) if at % 2 else one for at, one in enumerate(parts))


def policy(styles: tuple[str, ...], scripts: tuple[str, ...] = ()) -> str:
    """Nothing from outside, and no script or style but ours, even if a name slipped through as markup."""

    def digests(texts: tuple[str, ...]) -> str:
        found = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts)
        return " ".join(f"'sha256-{digest}'" for digest in found) or "'none'"

    return (
        f"default-src 'none'; img-src data:; style-src {digests(styles)}; "
        f"script-src {digests(scripts)}; base-uri 'none'; form-action 'none'"
    )
