"""Names as they may be shown anywhere: imports nothing of ours."""

from __future__ import annotations


def printable(text: str) -> str:
    """Control characters in names are shown, not obeyed.

    What is left is one line, valid Unicode and valid in XML: line ends, escape sequences, direction
    marks, lone surrogates and unassigned characters stand there as `\\x1b` or `\\u202e`.
    """
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    # GitHub's runner obeys `##[command]` wherever it stands in a line of a log.
    return shown.replace("##[", "##\\x5b")
