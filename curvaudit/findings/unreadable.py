"""CA301: could not be opened or decoded."""

from __future__ import annotations

from ..records import Finding, SampleRef, of_kind
from ..rules import RULES
from .interface import Evidence, fingerprint


def find(evidence: Evidence) -> list[Finding]:
    """One finding for each file that could not be read, with the reason."""
    return [
        Finding(
            rule=RULES["CA301"],
            message=f"{item.id} could not be read: {item.reason}.",
            # No picture, no content: the name has to do. The reason would change with the decoder's version.
            fingerprint=fingerprint("CA301", [item.id]),
            samples=(SampleRef(item.id),),
            evidence={"reason": item.reason},
        )
        for item in of_kind(evidence.skipped, "unreadable")
    ]
