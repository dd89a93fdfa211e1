"""README, docs and the like as tests see them: commands, links, anchors, fenced blocks."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

HERE = Path(__file__).parents[1]
PAGES = tuple(sorted(path for path in (*HERE.glob("*.md"), *HERE.glob("docs/**/*.md")) if path.name != "CHANGELOG.md"))

_MARKDOWN = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True)
class Command:
    """One line after `$ ` in a console block."""

    page: Path
    program: str
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page.relative_to(HERE)}: {shlex.join((self.program, *self.arguments))}"


def tokens(page: Path) -> list[Token]:
    return _MARKDOWN.parse(page.read_text(encoding="utf-8"))


def fenced(page: Path, language: str) -> list[str]:
    """The content of every fenced block of a language."""
    return [token.content for token in tokens(page) if token.type == "fence" and token.info.split()[:1] == [language]]


def commands(page: Path) -> Iterator[Command]:
    """Every `$ ` line of the console blocks, continued lines joined, variables in front left out."""
    for block in fenced(page, "console"):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("$ "):
                words = shlex.split(line[2:], comments=True)
                while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                    words = words[1:]
                yield Command(page, words[0], tuple(words[1:]))


def links(page: Path) -> list[str]:
    """Targets of links and pictures that lead to something in this repository."""
    found = []
    for token in tokens(page):
        for child in token.children or ():
            target = child.attrs.get("href") or child.attrs.get("src")
            if target and not re.match(r"[a-z]+:", str(target)):
                found.append(str(target))
    return found


def anchors(page: Path) -> set[str]:
    """Anchors of the headings, as both GitHub and mkdocs make them."""
    listed = tokens(page)
    headings = (listed[i + 1] for i, token in enumerate(listed) if token.type == "heading_open")
    return {_slug("".join(part.content for part in heading.children or ())) for heading in headings}


def _slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
