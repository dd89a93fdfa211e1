"""Findings that people have accepted: baseline files, and decisions from the report page.

A baseline names findings by fingerprint, thus by content: renamed and reordered pictures stay
accepted, a new copy of an accepted pair does not. Two findings may have one fingerprint (the same
flat picture twice in one class); a baseline then names it twice, and a third one is new.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import decisions, pseudonyms
from ..errors import CurvauditError
from ..files.home import expanded
from ..files.whole_file import write_whole
from ..records import Finding, Samples
from ..text.utf8 import valid

SCHEMA = "curvaudit-baseline/1"
_ACCEPTING = {"fine", "ambiguous"}  # decided about a picture that stays as it is; others must be mended


@dataclass(frozen=True)
class Baseline:
    """What was accepted.

    `fingerprints` counts findings; `fine` counts the pictures, by content hash and label, that
    somebody looked at and left as they are, `mend` names those that must be mended instead.
    """

    fingerprints: Mapping[str, int] = field(default_factory=dict)
    fine: Mapping[tuple[int, str], int] = field(default_factory=dict)
    mend: frozenset[tuple[int, str]] = frozenset()
    files: tuple[str, ...] = ()

    def joined(self, other: Baseline) -> Baseline:
        """What either accepts; two files that name the same finding mean the same one."""
        return Baseline(
            Counter(self.fingerprints) | Counter(other.fingerprints),
            Counter(self.fine) | Counter(other.fine),
            self.mend | other.mend,
            (*self.files, *other.files),
        )

    def revealed(self, samples: Samples, fingerprint: str) -> Baseline:
        """The same, where decisions from an anonymized page of this very data set count for its pictures.

        Parameters
        ----------
        fingerprint:
            Of the source of `samples`.
        """
        known = set(samples.content_hash.tolist())
        if all(content in known for content, _ in (*self.fine, *self.mend)):
            return self  # a million contents need not be hashed for it
        contents = samples.content_hash
        real = dict(zip(pseudonyms.contents(contents, fingerprint).tolist(), contents.tolist(), strict=True))

        def named(key: tuple[int, str]) -> tuple[int, str]:
            return real.get(key[0], key[0]), key[1]

        fine: Counter[tuple[int, str]] = Counter()
        for key, count in self.fine.items():
            fine |= Counter({named(key): count})  # decided on both pages, looked at once
        return replace(self, fine=fine, mend=frozenset(map(named, self.mend)))

    def strangers(self, samples: Samples) -> int:
        """How many decisions are about pictures that are not in the data set with that label.

        Mended since, or made for another data set: whoever names the wrong file must not take silence for acceptance.
        """
        made = Counter(self.fine) | Counter(dict.fromkeys(self.mend, 1))
        if not made:
            return 0  # a million contents need not be looked at for it
        rows = np.isin(samples.content_hash, np.array([content for content, _ in made], np.uint64))
        contents, labels = samples.content_hash[rows].tolist(), samples.labels[rows].tolist()
        there = {(content, samples.classes[label]) for content, label in zip(contents, labels, strict=True)}
        return sum(count for key, count in made.items() if key not in there)

    def decided(self, finding: Finding, samples: Samples) -> bool:
        """True where every picture of the finding was looked at and found fine or ambiguous.

        Counted: a new copy of a picture that was found fine has not been looked at.
        """
        named: Counter[tuple[int, str]] = Counter()
        for sample in finding.samples:
            if sample.index is None or sample.label is None:
                return False
            named[int(samples.content_hash[sample.index]), sample.label] += 1
        return bool(named) and all(
            key not in self.mend and self.fine.get(key, 0) >= count for key, count in named.items()
        )


def read(path: str | os.PathLike[str]) -> Baseline:
    """A baseline file, or decisions exported from the report page as JSON or CSV.

    Raises
    ------
    CurvauditError
        The file is missing, or neither.
    """
    path = expanded(path)
    content = _json(path)
    if content is None and SCHEMA.encode() in path.read_bytes():
        raise CurvauditError(
            f"{path} is a damaged baseline: it is no JSON.",
            "Take out what an unfinished merge has left there, restore the file, or use --update-baseline under "
            "another name.",
        )
    schema = None if content is None else content.get("schema")
    if content is None or schema == decisions.SCHEMA:
        return _decided(decisions.read(path), str(path))
    if schema != SCHEMA:
        raise CurvauditError(
            f"{path} is no baseline: its schema is {schema!r}, not {SCHEMA} or {decisions.SCHEMA}.",
            "A baseline comes from --update-baseline, or from the report page's export of decisions.",
        )
    accepted = content.get("accepted")
    entries = accepted if isinstance(accepted, list) else [None]
    found = [entry.get("fingerprint") if isinstance(entry, dict) else None for entry in entries]
    if not all(isinstance(fingerprint, str) for fingerprint in found):
        raise CurvauditError(
            f"{path} is a damaged baseline: an entry names no fingerprint.", "Restore it, or use --update-baseline."
        )
    return Baseline(fingerprints=Counter(map(str, found)), files=(str(path),))


def read_all(paths: Iterable[str | os.PathLike[str]]) -> Baseline:
    """Several files together; see `read`."""
    known = Baseline()
    for path in paths:
        known = known.joined(read(path))
    return known


def write(path: str | os.PathLike[str], findings: Iterable[Finding]) -> None:
    """Accept `findings` in the file `path`, which appears complete or not at all.

    Sorted, so that two versions of the file differ by what was accepted and nothing else.

    Raises
    ------
    CurvauditError
        There is another kind of file under that name, or it cannot be written.
    """
    path = expanded(path)
    require_writable(path)
    entries = sorted(
        ({"fingerprint": f.fingerprint, "rule": f.rule.id, "message": valid(f.message)} for f in findings),
        key=lambda entry: (entry["rule"], entry["fingerprint"], entry["message"]),
    )
    document = json.dumps({"schema": SCHEMA, "accepted": entries}, indent=1, ensure_ascii=True)
    write_whole(path, (document + "\n").encode("ascii"), "Name another file with --baseline.")


def require_writable(path: str | os.PathLike[str]) -> None:
    """Refuse to put a baseline in the place of anything else.

    Raises
    ------
    CurvauditError
        There is another kind of file under that name.
    """
    path = expanded(path)
    if os.path.lexists(path) and not _is_baseline(path):
        raise CurvauditError(f"{path} is no baseline file and is left as it is.", "Name another file with --baseline.")


def _is_baseline(path: Path) -> bool:
    try:
        content = _json(path)
    except CurvauditError:
        return False
    return content is not None and content.get("schema") == SCHEMA


def _json(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file; None where there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise CurvauditError(
            f"There is no baseline {path}.", f"Make it with `curvaudit check … --baseline {path} --update-baseline`."
        ) from None
    except OSError as error:
        raise CurvauditError(
            f"The baseline {path} cannot be read: {error.strerror or error}.", "Check its name and permissions."
        ) from error
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _decided(made: Iterable[decisions.Decision], name: str) -> Baseline:
    fine: Counter[tuple[int, str]] = Counter()
    mend = set()
    for item in made:
        key = item.content_hash, item.label
        if item.decision in _ACCEPTING:
            fine[key] += 1
        else:
            mend.add(key)
    return Baseline(fine=fine, mend=frozenset(mend), files=(name,))
