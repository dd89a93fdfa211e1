"""Pages link to files beside docs/ (`../examples/…`), as GitHub shows them; the site takes those along."""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

HERE = Path(__file__).parents[1]
_OUTSIDE = re.compile(r"\]\(((?:\.\./)+)((?:examples/)?[\w.-]+\.yml)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Every file outside that a page links to becomes a file of the site."""
    for page in list(files.documentation_pages()):
        for _, path in _OUTSIDE.findall(page.content_string):
            if files.get_file_from_path(path) is None and (HERE / path).is_file():
                files.append(File.generated(config, path, abs_src_path=str(HERE / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links lead to where it is in the site: one level less up."""
    return _OUTSIDE.sub(lambda found: f"]({found[1].removeprefix('../')}{found[2]})", markdown)
