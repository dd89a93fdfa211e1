"""What lies under the name of a data file in its place: people then look for damage that is none."""

from __future__ import annotations

from pathlib import Path

_HEADS = (
    (b"version https://git-lfs", "a Git LFS pointer; `git lfs pull` fetches what it stands for"),
    (b"\x1f\x8b", "compressed by gzip; unpack it once with `gunzip`"),
    (b"PK\x03\x04", "a zip archive; unpack it and give the folder"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it and give the folder"),
    (b"Rar!", "a RAR archive; unpack it and give the folder"),
)


def instead(path: Path) -> str | None:
    """What a file is that is not of its kind; None where nobody can say."""
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError:
        return None
    return next((what for begins, what in _HEADS if head.startswith(begins)), None)
