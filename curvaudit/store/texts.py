"""Texts in HDF5: data sets of fixed length, long columns as one block, attributes, and checksums of all of them.

HDF5 keeps texts of variable length in heaps without checksums, and can hang on a damaged one. So data sets of texts
have a fixed length, and texts in attributes a checksum of our own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from itertools import pairwise
from typing import Any

import h5py
import numpy as np

from ..text.utf8 import encoded, valid
from .arrays import write_checked

_TEXTS = 4096  # texts a chunk, at most
_TEXT_BYTES = 16 << 20  # of a chunk of texts, at most
_LONG = 4096  # bytes; a column with a longer text may lie in `long_columns`
_TEXT_DIGEST = "text_digest"


def describe(item: h5py.Group | h5py.Dataset, **values: Any) -> None:
    """Texts in attributes have a variable length: other programs get them as text, not as bytes.

    HDF5 keeps no checksum of those, so we do: as a number, of which it does.
    """
    for name, value in values.items():
        item.attrs[name] = clean(value) if isinstance(value, str) else value
    item.attrs[_TEXT_DIGEST] = text_digest_of(item)


def text_digest_of(item: h5py.Group | h5py.Dataset) -> np.uint64:
    """Of all text attributes of a group or data set."""
    digest = blake2b(digest_size=8)
    for name in sorted(item.attrs):
        value = item.attrs[name]
        if isinstance(value, str):
            digest.update(f"{name}\0{value}\0".encode("utf-8", "surrogateescape"))
    return np.uint64(int.from_bytes(digest.digest(), "big"))


def check_texts(item: h5py.Group | h5py.Dataset) -> None:
    """Raises ValueError where text attributes do not fit their checksum."""
    if _TEXT_DIGEST in item.attrs and item.attrs[_TEXT_DIGEST] != text_digest_of(item):
        raise ValueError(f"the checksum of the texts of {item.name} does not fit")


def said(item: h5py.Group | h5py.Dataset, name: str) -> str:
    """A text attribute; of fixed length, or of variable length as the first versions wrote them."""
    value = item.attrs[name]
    return value.decode() if isinstance(value, bytes) else str(value)


def write_texts(group: h5py.Group, name: str, values: Sequence[str]) -> None:
    """A data set of texts, (N,)."""
    blocks = [clean(value).encode() for value in values]
    longest = max(map(len, blocks), default=1) or 1
    at_once = _texts_at_once(longest)
    # Compressed: one long name must not cost its length for every other.
    checked = {"fletcher32": True, "compression": "gzip", "chunks": (min(len(values), at_once),)} if values else {}
    kind = h5py.string_dtype("utf-8", longest)
    data = group.create_dataset(name, shape=(len(values),), dtype=kind, track_times=False, **checked)
    for start in range(0, len(values), at_once):
        data[start : start + at_once] = np.array(blocks[start : start + at_once], dtype=kind)


def _texts_at_once(length: int) -> int:
    return max(1, min(_TEXTS, _TEXT_BYTES // length))


def read_texts(data: h5py.Dataset) -> tuple[str, ...]:
    """A data set of texts."""
    if data.ndim != 1:
        raise ValueError(f"{data.name} is no list of texts")
    chunk = data.chunks[0] if data.chunks else 1  # the first files had longer ones than are written today
    step = max(_texts_at_once(data.dtype.itemsize), min(_TEXTS, chunk))
    return tuple(text for start in range(0, len(data), step) for text in data.asstr()[start : start + step])


def is_long(texts: Sequence[str]) -> bool:
    """Whether to fill all up to the longest would cost gigabytes of nothing: one list of polygons is enough."""
    lengths = [len(encoded(text)) for text in texts]
    longest = max(lengths, default=0)
    return longest > _LONG and longest * len(texts) > _TEXT_BYTES + 4 * sum(lengths)


def write_long_texts(parent: h5py.Group, name: str, values: Sequence[str], position: int) -> None:
    """A column as one block of bytes, as pictures lie."""
    group = parent.create_group(name)
    group.attrs["position"] = position
    blocks = [clean(value).encode() for value in values]
    write_checked(group, "offsets", np.cumsum([0, *map(len, blocks)], dtype=np.int64))
    write_checked(group, "data", np.frombuffer(b"".join(blocks), np.uint8), "gzip")


def read_long_texts(group: h5py.Group) -> tuple[str, ...]:
    """A column as `write_long_texts` wrote it."""
    offsets, data = group["offsets"][:].tolist(), group["data"][:].tobytes()
    if offsets[0] != 0 or offsets[-1] != len(data) or any(start > end for start, end in pairwise(offsets)):
        raise ValueError(f"the offsets of {group.name} do not fit")
    return tuple(data[start:end].decode() for start, end in pairwise(offsets))


def size_of_texts(texts: Sequence[str]) -> int:
    """Bytes that a data set of texts takes at most, about."""
    lengths = [len(encoded(text)) + 4 for text in texts]
    return _TEXTS + 2 * sum(lengths) + max(lengths, default=0) * len(texts) // 500  # zeros are packed to a thousandth


def clean(text: str) -> str:
    """HDF5 strings end at NUL, and UTF-8 knows no lone surrogates: both become escapes."""
    return valid(text.replace("\0", "\\x00"))


def to_json(value: Mapping[str, Any]) -> str:
    """With numbers of NumPy, and in one order always."""
    return json.dumps(value, sort_keys=True, default=_plain)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else list(value)


def digest_of(group: h5py.Group) -> str:
    """Of all names and values in a group: HDF5 keeps no checksum of texts and of plain arrays."""
    digest = blake2b(digest_size=16)
    for name in sorted(group):
        item = group[name]
        digest.update(name.encode() + b"\0")
        if isinstance(item, h5py.Group):
            digest.update(digest_of(item).encode())
        elif h5py.check_string_dtype(item.dtype):
            digest.update("\0".join(read_texts(item)).encode())
        else:
            digest.update(item[:].tobytes())
    return digest.hexdigest()


def check_digest(group: h5py.Group) -> None:
    """Raises ValueError where the values of a group do not fit their checksum."""
    if "digest" in group.attrs and said(group, "digest") != digest_of(group):
        raise ValueError(f"the checksum of {group.name} does not fit")
