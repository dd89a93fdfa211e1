"""What the search for findings could not look at: the reader must know before trusting a clean report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..copies.matching import SMALLEST
from ..records import Caveat, Samples, Skipped, of_kind
from . import class_size
from .interface import Evidence

_SHOWN = 3
_NEAR = frozenset({"CA102", "CA112"})
_OTHERWISE = "If so, name the folder or the split that is meant, or rename; a manifest can say it all."


def limits(evidence: Evidence) -> tuple[Caveat, ...]:
    """One caveat for each kind of thing that was not looked at."""
    found = []
    unreadable = len(of_kind(evidence.skipped, "unreadable"))
    if unreadable:
        files = "1 file" if unreadable == 1 else f"{unreadable} files"
        found.append(Caveat("error", f"{files} could not be read and audited (CA301 says why).", "unreadable"))
    doubtful = [f"{item.id} ({item.reason})" for item in of_kind(evidence.skipped, "doubtful")]
    if doubtful:
        more = f", and {len(doubtful) - _SHOWN} more" if len(doubtful) > _SHOWN else ""
        message = f"The source may be meant otherwise than it was read: {'; '.join(doubtful[:_SHOWN])}{more}."
        found.append(Caveat("warning", f"{message} {_OTHERWISE}", "layout"))
    found += of_partial(evidence.skipped)
    found += of_lone_pictures(evidence.samples)
    if not len(evidence.samples.signature):
        message = (
            "The run keeps no signatures: near-duplicates were looked for by perceptual hashes alone, which miss "
            "cropped, mirrored and turned copies."
        )
        found.append(Caveat("note", message))
    unverified = evidence.near.unverified
    if unverified:
        found.append(
            Caveat(
                "warning",
                f"{unverified} candidate pairs for near-duplicates were not compared on pixels: "
                "their pictures are not kept in the run.",
                "unverified",
            )
        )
    samples = evidence.samples
    small = int((evidence.has_content() & (np.minimum(samples.width, samples.height) < SMALLEST)).sum())
    if small:
        found.append(
            Caveat(
                "note",
                f"{'All' if small == len(samples) else small} pictures are smaller than {SMALLEST} px on a side: "
                "among those only exact copies were looked for, since different small pictures look alike.",
                unanswered=_NEAR if small == len(samples) else frozenset(),
            )
        )
    alike = _alike(samples.classes)
    if alike:
        named = "; ".join(" and ".join(f'"{name}"' for name in names) for names in alike[:_SHOWN])
        more = f" (and {len(alike) - _SHOWN} more such groups)" if len(alike) > _SHOWN else ""
        found.append(
            Caveat(
                "note",
                f"Classes whose names differ only in case or blanks: {named}{more}. If they are meant to be one, "
                "they were audited as different labels.",
            )
        )
    return tuple(found)


def of_partial(skipped: Sequence[Skipped]) -> tuple[Caveat, ...]:
    """Files of which a part was not looked at, where there are any."""
    partial = of_kind(skipped, "partial")
    if not partial:
        return ()
    named = "; ".join(f"{item.id} ({item.reason})" for item in partial[:_SHOWN])
    more = f"; and {len(partial) - _SHOWN} more" if len(partial) > _SHOWN else ""
    files = "1 file was" if len(partial) == 1 else f"{len(partial)} files were"
    message = f"{files} audited in part: {named}{more}. If the others are pictures to be audited, save each as a file."
    return (Caveat("warning", message),)


def of_lone_pictures(samples: Samples) -> tuple[Caveat, ...]:
    """Where no two pictures share a class, as with a column of numbers or names for labels."""
    if len(samples) < class_size.SMALLEST or len(np.unique(samples.labels)) < len(samples):
        return ()
    message = (
        f"Each of the {len(samples):,} pictures has a class of its own, so that none can be judged by others. If other "
        "labels are meant, name their column (--label-column), or the folder that holds the classes."
    )
    return (Caveat("warning", message),)


def _alike(classes: Sequence[str]) -> list[list[str]]:
    """Groups of at least two names."""
    groups: dict[str, list[str]] = {}
    for name in classes:
        groups.setdefault(" ".join(name.casefold().split()), []).append(name)
    return [names for names in groups.values() if len(names) > 1]
