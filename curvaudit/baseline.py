"""Findings that people have accepted: baseline files, and decisions from the report page.

A baseline names findings by fingerprint, thus by content: renamed and reordered pictures stay
accepted, a new copy of an accepted pair does not. Two findings may have one fingerprint (the same
flat picture twice in one class); a baseline then names it twice, and a third one is new.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import CurvauditError
from .records import Finding, Samples

SCHEMA = "curvaudit-baseline/1"
DECISIONS_SCHEMA = "curvaudit-decisions/1"
_ACCEPTING = {"fine", "ambiguous"}  # what was decided about a picture that stays as it is
_MENDING = {"wrong-label", "drop"}  # … and about one that must not
_CSV_COLUMNS = {"content_hash", "label", "decision"}


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
        The file is missing, or none of the three.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise CurvauditError(
            f"There is no baseline {path}.", f"Make it with `curvaudit check … --baseline {path} --update-baseline`."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise CurvauditError(
            f"The baseline {path} cannot be read: {reason or error}.", "Check its name and permissions."
        ) from error
    try:
        found = _from_json(json.loads(text)) if text.lstrip().startswith(("{", "[")) else _from_csv(text)
    except (ValueError, TypeError, KeyError, csv.Error) as error:
        raise CurvauditError(
            f"{path} is no baseline: {error}.",
            "A baseline comes from --update-baseline, or from the report page's export of decisions.",
        ) from error
    return Baseline(found.fingerprints, found.fine, found.mend, (str(path),))


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
    path = Path(path)
    require_writable(path)
    entries = sorted(
        ({"fingerprint": f.fingerprint, "rule": f.rule.id, "message": _text(f.message)} for f in findings),
        key=lambda entry: (entry["rule"], entry["fingerprint"], entry["message"]),
    )
    document = json.dumps({"schema": SCHEMA, "accepted": entries}, indent=1, ensure_ascii=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        temporary.write_text(document + "\n", encoding="ascii")
        os.replace(temporary, path)
    except OSError as error:
        raise CurvauditError(
            f"The baseline {path} cannot be written: {error.strerror or error}.", "Name another file with --baseline."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def require_writable(path: str | os.PathLike[str]) -> None:
    """Refuse to put a baseline in the place of anything else.

    Raises
    ------
    CurvauditError
        There is another kind of file under that name.
    """
    path = Path(path)
    if os.path.lexists(path) and not _is_baseline(path):
        raise CurvauditError(f"{path} is no baseline file and is left as it is.", "Name another file with --baseline.")


def _is_baseline(path: Path) -> bool:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("schema") == SCHEMA


def _from_json(content: Any) -> Baseline:
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema == SCHEMA:
        return Baseline(fingerprints=Counter(_required(entry, "fingerprint") for entry in content["accepted"]))
    if schema == DECISIONS_SCHEMA:
        return _decisions(content["decisions"])
    raise ValueError(f"its schema is {schema!r}, not {SCHEMA} or {DECISIONS_SCHEMA}")


def _from_csv(text: str) -> Baseline:
    table = csv.DictReader(io.StringIO(text, newline=""))
    missing = sorted(_CSV_COLUMNS - set(table.fieldnames or ()))
    if missing:
        raise ValueError(f"it is no JSON, and as CSV it has no column {missing[0]}")
    return _decisions(table)


def _decisions(rows: Iterable[Any]) -> Baseline:
    fine: Counter[tuple[int, str]] = Counter()
    mend = set()
    for row in rows:
        decision = _required(row, "decision")
        key = int(_required(row, "content_hash"), 16), _required(row, "label")
        if decision in _ACCEPTING:
            fine[key] += 1
        elif decision in _MENDING:
            mend.add(key)
        else:
            raise ValueError(f"there is no decision {decision!r}")
    return Baseline(fine=fine, mend=frozenset(mend))


def _required(row: Any, key: str) -> str:
    value = row.get(key) if isinstance(row, Mapping) else None
    if not isinstance(value, str):
        raise ValueError(f"an entry has no text {key!r}")
    return value


def _text(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
