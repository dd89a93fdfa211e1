"""The documentation holds: rules as in the code, links that lead somewhere, commands that run."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from documents import HERE, PAGES, Command, anchors, commands, fenced, links
from made import draw_folder, write_run
from typer.main import get_command

import curvaudit
from curvaudit import store
from curvaudit.cli import app, main
from curvaudit.policy.settings import parse
from curvaudit.records import EpochRow
from curvaudit.rules import RULES

COMMANDS = [command for page in PAGES for command in commands(page)]
OURS = [command for command in COMMANDS if command.program == "curvaudit"]
QUICK = ("check", "duplicates", "info", "report", "export")  # what needs no training


def names(page: Path) -> str:
    return str(page.relative_to(HERE))


# --- rules ---------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_every_rule_has_a_page_that_says_what_the_code_says(rule):
    page = HERE / "docs" / "rules" / f"{rule.id}.md"
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {rule.id} {rule.name}\n")
    assert f"| {rule.id} | {rule.name} | {rule.severity} | {rule.meaning} |" in text
    listed = (page.parent / "index.md").read_text(encoding="utf-8")
    assert f"| [{rule.id}]({rule.id}.md) | {rule.name} | {rule.severity} | {rule.meaning} |" in listed
    for heading in ("how-it-is-found", "example", "what-to-do", "known-false-positives", "configuration"):
        assert heading in anchors(page), f"{names(page)} has no heading for {heading}"


def test_no_page_describes_a_rule_that_is_not_there():
    pages = {page.stem for page in (HERE / "docs" / "rules").glob("CA*.md")}
    assert pages == set(RULES)


@pytest.mark.parametrize("rule", RULES)
def test_the_examples_of_a_rule_are_findings_and_policies(rule):
    page = HERE / "docs" / "rules" / f"{rule}.md"
    (example,) = [json.loads(block) for block in fenced(page, "json")]
    assert list(example) == ["rule", "message", "fingerprint", "samples", "evidence"]
    assert example["rule"] == rule and re.fullmatch("[0-9a-f]{16}", example["fingerprint"])
    for sample in example["samples"]:
        assert list(sample) == ["index", "id", "label", "rank", "score"]
    policies = fenced(page, "toml")
    assert policies
    for block in policies:
        assert rule in parse(tomllib.loads(block), names(page)).rules


# --- links ---------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_links_lead_somewhere(page):
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{names(page)} links to {link}, which is not there"
        if anchor:
            assert anchor in anchors(target), f"{names(page)} links to {link}: no such heading"


# --- commands ------------------------------------------------------------------------


def test_commands_are_found():
    assert len(OURS) > 20 and {command.arguments[0] for command in OURS} >= set(get_command(app).commands)


@pytest.mark.parametrize("command", OURS, ids=str)
def test_commands_name_options_that_exist(command):
    name, *arguments = command.arguments
    if name.startswith("--"):
        return
    known = get_command(app).commands
    assert name in known, f"there is no command {name}"
    if "--help" not in arguments:
        known[name].make_context(name, arguments)  # parses, and raises what a user would be told


def test_make_targets_exist():
    targets = set(re.findall(r"^([a-z]+):", (HERE / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    asked = {command.arguments[0] for command in COMMANDS if command.program == "make"}
    assert asked and asked <= targets


def test_every_option_of_a_policy_flag_is_described():
    text = (HERE / "docs" / "check.md").read_text(encoding="utf-8")
    for option in get_command(app).commands["check"].params:
        if option.opts[0].startswith("--"):
            assert option.opts[0] in text, f"docs/check.md does not describe {option.opts[0]}"


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Everything that the quick commands of the documentation name, tiny."""
    place = tmp_path_factory.mktemp("place")
    for split, seed in (("train", 0), ("test", 1)):
        draw_folder(place / "imagefolder" / split, ("circle", "square"), each=12, seed=seed)
    for folder in ("data", "images", "mydigits", "old-release", "new-release"):
        draw_folder(place / folder, ("circle", "square"), each=12)
    for run in ("curvaudit.h5", "run.h5", "mydigits.h5"):
        write_run(place / run)
    run = curvaudit.open_run(place / "run.h5")  # with a second weight decay
    store.add_training(run.path, 1, 1e-4, 0, {}, run.trainings[0].measures)
    last = {name: run.last(0, name) for name in run.trainings[0].measures}
    store.append_epoch(run.path, 1, EpochRow(1, 1.0, 0.9, np.nan, np.nan, 0.1, 1.0, last))
    store.finish_training(run.path, 1, True)
    samples = run.samples
    decided = {
        "index": 5,
        "id": samples.ids[5],
        "label": samples.classes[int(samples.labels[5])],
        "content_hash": f"{int(samples.content_hash[5]):016x}",
        "decision": "drop",
        "new_label": None,
    }
    decisions = json.dumps({"schema": "curvaudit-decisions/1", "decisions": [decided]})
    (place / "decisions.json").write_text(decisions)
    for name in ("known.json", "accepted.json", "curvaudit-baseline.json"):
        (place / name).write_text('{"schema": "curvaudit-baseline/1", "accepted": []}')
    return place


def run(monkeypatch, capsys, command: Command) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["curvaudit", *command.arguments])
    with pytest.raises(SystemExit) as leave:
        main()
    return int(leave.value.code or 0), capsys.readouterr().err


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_quick_commands_run(page, place, tmp_path, monkeypatch, capsys):
    here = shutil.copytree(place, tmp_path / "here")
    monkeypatch.chdir(here)
    for command in commands(page):
        if command.program != "curvaudit":
            continue
        if "--help" in command.arguments or command.arguments[0] in QUICK:
            code, err = run(monkeypatch, capsys, command)
            # 1 and 2 are verdicts on data; what could not run at all says "Error".
            assert code in (0, 1, 2) and "Error" not in err, f"{command}\n{err}"


# --- the site ------------------------------------------------------------------------


def test_the_site_builds_and_loads_nothing_from_outside(tmp_path):
    pytest.importorskip("mkdocs", reason="pip install '.[docs]'")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(tmp_path / "site")],
        cwd=HERE,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    warnings = [line for line in done.stderr.splitlines() if line.startswith(("WARNING", "ERROR"))]
    assert "Documentation built" in done.stderr  # or nothing would have been said at all
    assert not warnings
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) >= len(RULES)
    for page in pages:
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe|source)[^>]*\ssrc=\"?(https?:)?//", text)
        loaded += re.findall(r"<link[^>]*\shref=\"?(?:https?:)?//", text)
        assert not loaded, f"{page.name} loads something from outside"
