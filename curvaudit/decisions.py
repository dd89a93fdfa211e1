"""What a reviewer decided about pictures on the report page: the exported file, JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from . import pseudonyms
from .errors import CurvauditError
from .files.home import expanded
from .records import Samples
from .text.csv_fields import fields_up_to
from .text.spreadsheet import as_given

SCHEMA = "curvaudit-decisions/1"
_DECISIONS = ("wrong-label", "fine", "ambiguous", "drop")
_COLUMNS = ("index", "id", "label", "content_hash", "decision", "new_label")


@dataclass(frozen=True, slots=True)
class Decision:
    """One picture that somebody looked at."""

    index: int  # row in the run that the page was made from
    id: str
    label: str  # as it was then
    content_hash: int
    decision: Literal["wrong-label", "fine", "ambiguous", "drop"]
    new_label: str | None  # of a wrong label, where the reviewer knew the right one


def read(path: str | os.PathLike[str]) -> tuple[Decision, ...]:
    """The decisions in a file that the report page saved.

    Raises
    ------
    CurvauditError
        The file is missing, or is no decisions file.
    """
    path = expanded(path)
    try:
        # Not read_text: it makes a line feed of a carriage return, which may stand in an id.
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise CurvauditError(
            f"There is no decisions file {path}.", "Save the decisions from the report page, then name that file."
        ) from None
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "it is not UTF-8"
        raise CurvauditError(f"The decisions {path} cannot be read: {reason}.", "Check the file.") from error
    try:
        if text.lstrip().startswith(("{", "[")):
            content = json.loads(text)
            if not isinstance(content, Mapping) or content.get("schema") != SCHEMA:
                raise ValueError(f"its schema is not {SCHEMA}")
            return tuple(_decision(row, spreadsheet=False) for row in _list(content.get("decisions")))
        table = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        with fields_up_to(len(text)):
            missing = [name for name in _COLUMNS if name not in (table.fieldnames or ())]
            if missing:
                raise ValueError(f"it is no JSON, and as CSV it has no column {missing[0]}")
            return tuple(_decision(row, spreadsheet=True) for row in table)
    except (ValueError, RecursionError, csv.Error) as error:
        raise CurvauditError(
            f"{path} is no decisions file: {error}.", "Save the decisions from the report page, as JSON or CSV."
        ) from error


def revealed(decisions: Iterable[Decision], samples: Samples, fingerprint: str) -> tuple[Decision, ...]:
    """The same, those from an anonymized page of this very data set under the real ids and contents.

    Parameters
    ----------
    fingerprint:
        Of the source of `samples`.
    """
    decisions, known = tuple(decisions), set(samples.ids)
    if all(decision.id in known for decision in decisions):
        return decisions  # a million names need not be hashed for it
    shown = pseudonyms.masked(samples, fingerprint)
    rows = {identity: row for row, identity in enumerate(shown.ids)}

    def real(decision: Decision) -> Decision:
        row = None if decision.id in known else rows.get(decision.id)
        if row is None or not _fits(decision, shown, row):
            return decision
        return replace(decision, id=samples.ids[row], content_hash=int(samples.content_hash[row]))

    return tuple(map(real, decisions))


def by_row(decisions: Iterable[Decision], samples: Samples, path: str | os.PathLike[str]) -> dict[int, Decision]:
    """Decisions by the row that each is about.

    A decision fits a row with its id, content and label. Rows may have moved since.

    Raises
    ------
    CurvauditError
        A decision fits no row: it belongs to another data set, or the picture or label has changed
        since; or two decisions about one row contradict each other.
    """
    rows = {identity: row for row, identity in enumerate(samples.ids)}
    found: dict[int, Decision] = {}
    strangers: list[Decision] = []
    for decision in decisions:
        row = rows.get(decision.id)
        if row is None or not _fits(decision, samples, row):
            strangers.append(decision)
            continue
        other = found.setdefault(row, decision)
        if (other.decision, other.new_label) != (decision.decision, decision.new_label):
            raise CurvauditError(
                f"{path} decides twice about {decision.id}: {other.decision} and {decision.decision}.",
                "Leave one of the two.",
            )
    if strangers:
        count = len(strangers) + len(found)
        raise CurvauditError(
            f"{path} belongs to another data set: {len(strangers)} of {count} decisions name no picture with that "
            f"content and label here (the first is {strangers[0].id}, {strangers[0].label}).",
            "Name the run that the page was made from (an anonymized page fits no other), or decide anew on a page of "
            "this run.",
        )
    return found


def _fits(decision: Decision, samples: Samples, row: int) -> bool:
    same_content = int(samples.content_hash[row]) == decision.content_hash
    return same_content and samples.classes[int(samples.labels[row])] == decision.label


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("it has no list of decisions")
    return value


def _decision(row: Any, spreadsheet: bool) -> Decision:
    if not isinstance(row, Mapping):
        raise ValueError("an entry is no object")

    def text(name: str) -> str:
        value = row.get(name)
        if not isinstance(value, str):
            raise ValueError(f"an entry has no text {name!r}")
        return as_given(value) if spreadsheet else value

    decision, index, new_label = text("decision"), row.get("index"), row.get("new_label")
    if decision not in _DECISIONS:
        raise ValueError(f"there is no decision {decision!r}")
    if isinstance(index, bool) or not isinstance(index, int | str):
        raise ValueError("an entry has no index")
    content = int(text("content_hash"), 16)
    if not 0 <= content < 2**64:
        raise ValueError(f"there is no content hash {text('content_hash')!r}")
    return Decision(
        index=int(index),
        id=text("id"),
        label=text("label"),
        content_hash=content,
        decision=cast(Any, decision),
        new_label=text("new_label") if new_label else None,
    )
