"""Names and contents that an anonymized report shows in place of the real ones.

They are keyed with the fingerprint of the source: who has the data set knows them again, nobody else does, not even
with a list of likely file names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b

import numpy as np

from .records import Samples
from .text.utf8 import encoded


def masked(samples: Samples, fingerprint: str) -> Samples:
    """The same samples with other ids and content hashes; equal pictures stay equal."""
    return replace(
        samples,
        ids=names(samples.ids, fingerprint, "sample"),
        content_hash=contents(samples.content_hash, fingerprint),
    )


def names(real: Sequence[str], fingerprint: str, prefix: str) -> tuple[str, ...]:
    """One for each name."""
    key = _key(fingerprint)
    return tuple(f"{prefix}-{blake2b(encoded(name), key=key, digest_size=8).hexdigest()}" for name in real)


def contents(hashes: np.ndarray, fingerprint: str) -> np.ndarray:
    """(N,) uint64, equal where the given ones are equal."""
    key = _key(fingerprint)
    known, inverse = np.unique(hashes, return_inverse=True)
    digests = b"".join(blake2b(value.tobytes(), key=key, digest_size=8).digest() for value in known)
    return np.frombuffer(digests, "<u8").astype(np.uint64)[inverse]


def _key(fingerprint: str) -> bytes:
    return encoded(fingerprint)[:64]  # blake2b takes no longer one
