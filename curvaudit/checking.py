"""Use case: hold a run file or a source against a policy, and write what came of it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from .errors import CurvauditError, nearest
from .exports.checks import FORMATS, SHARABLE
from .files.home import expanded
from .files.whole_file import write_whole
from .inspecting import ALL_SPLITS
from .policy import baseline as baselines
from .policy.definition import Policy
from .policy.gating import check
from .policy.outcome import CheckResult, Places
from .records import Event, Report
from .targets import Target


@dataclass(frozen=True)
class Output:
    """One format, and the file it goes to; None: standard output."""

    format: str
    file: Path | None = None


def check_target(
    target: Target,
    policy: Policy,
    *,
    update_baseline: bool = False,
    on_event: Callable[[Event], None] = lambda event: None,
) -> CheckResult:
    """Check a run, or a source without training it. Its other splits are searched unless `against` names a source.

    Parameters
    ----------
    update_baseline:
        First write every finding, unless it is ignored or switched off, into the first baseline
        that `policy` names. Refused where not everything could be checked.

    Raises
    ------
    CurvauditError
        The target or a baseline cannot be read, the settings do not fit together, or the baseline
        cannot be written.
    """
    first, others = policy.baseline[:1], policy.baseline[1:]
    if update_baseline and not first:
        raise CurvauditError("--update-baseline has no file to write.", "Name it with --baseline FILE.")
    # Before the pictures are read, which may take long.
    known = baselines.read_all(others if update_baseline else policy.baseline)
    if update_baseline:
        baselines.require_writable(first[0])
    if target.against is None and not target.is_run:
        target = replace(target, against=ALL_SPLITS)
    made = target.report(on_event)
    if update_baseline:
        result = check(made, policy=policy, baseline=known)
        if result.gaps:
            raise CurvauditError(
                f"The baseline {first[0]} is left as it is, for not everything could be checked: "
                f"{result.gaps[0].message}",
                f"Mend that, or say that it may be so: --accept-incomplete {result.gaps[0].kind}.",
            )
        baselines.write(first[0], (item.finding for item in result.of("violation", "allowed", "reported")))
        known = baselines.read_all(policy.baseline)
    return check(made, policy=policy, baseline=known)


def outputs(texts: Iterable[str]) -> tuple[Output, ...]:
    """What `--format` says: `sarif`, `sarif=out.sarif`. Without any for standard output, text goes there.

    Raises
    ------
    CurvauditError
        There is no such format, or two of them do not go together.
    """
    found = []
    for text in texts:
        name, equals, file = text.partition("=")
        if name not in FORMATS:
            raise CurvauditError(f"There is no format {name!r}.", nearest(name, FORMATS))
        if equals and not file:
            raise CurvauditError(f"--format {text} names no file.", f"Write --format {name}=FILE.")
        found.append(Output(name, expanded(file) if file else None))
    files = [output.file for output in found if output.file is not None]
    if len(set(files)) < len(files):
        raise CurvauditError("Two formats go to the same file.", "Name one file for each.")
    printed = [output.format for output in found if output.file is None]
    if not printed:
        return (*found, Output("text"))
    alone = [name for name in printed if name not in SHARABLE]
    if alone and len(printed) > 1:
        raise CurvauditError(
            f"{' and '.join(printed)} cannot share the standard output.",
            f"Write one into a file: --format {alone[0]}=FILE.",
        )
    return tuple(found)


def write(result: CheckResult, format: str, file: Path, places: Places) -> None:
    """Render one format into a file, which appears complete or not at all.

    Raises
    ------
    CurvauditError
        The file cannot be written.
    """
    write_whole(file, FORMATS[format](result, places), "Name another file with --format.")


def find_places(made: Report, base: Path) -> Places:
    """Where the pictures of a report lie, relative to `base`, as far as the file system tells.

    A source that is not there (a run made elsewhere), or not below `base`, leaves the bare ids.
    """
    mine = _where(made.run.source, next(iter(made.samples.ids), ""))
    beside = {}
    for name in made.compared_with:
        # What no finding names needs no place.
        if (an_id := _an_id_in(made, name)) is not None:
            split = None if mine is None else mine.parent / name
            there = split if split is not None and os.path.exists(split / an_id) else _where(name, an_id)
            if there is not None:
                beside[name] = _as_places(there, base)
    return replace(_as_places(mine, base), beside=beside)


def _an_id_in(made: Report, name: str) -> str | None:
    """An id in another split or source, as it is called there, that a finding names."""
    named = (sample for finding in made.findings for sample in finding.samples if sample.index is None)
    return next((one.id.removeprefix(f"{name}: ") for one in named if one.id.startswith(f"{name}: ")), None)


def _where(named: str, an_id: str) -> Path | None:
    """The file, or the folder that ids begin in, of a source as it is shown to people; None where it is not there."""
    # A source with splits is shown as "folder (split)"; the split's folder may be spelt otherwise.
    split = ""
    shown = re.fullmatch(r"(.+) \((.+)\)", named, re.DOTALL)
    sources = [Path(os.path.expanduser(named))]  # a run of somebody else may be of ~somebody
    if shown:
        sources.append(Path(os.path.expanduser(shown[1])))
        split = shown[2]
    for source in sources:
        # os.path: false, not an error, for names that no file can have.
        if os.path.isfile(source):
            return source
        folders = [path for path in source.iterdir() if path.is_dir()] if os.path.isdir(source) else []
        for root in (source, *sorted(folders, key=lambda path: (path.name != split, path.name))):
            if os.path.isdir(root) and os.path.exists(root / an_id):
                return root
    return None


def _as_places(path: Path | None, base: Path) -> Places:
    if path is None:
        return Places()
    relative = _relative(path, base)
    return Places(file=relative or path.name) if path.is_file() else Places(root=relative)


def _relative(path: Path, base: Path) -> str:
    try:
        found = path.resolve().relative_to(base.resolve()).as_posix()
    except ValueError:
        return ""
    return "" if found == "." else found
