"""The documentation holds: rules as in the code, links that lead somewhere, commands that run."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from documents import HERE, PAGES, Command, anchors, commands, fenced, links, tokens
from formats import write_parquet, write_tar
from made import draw_folder
from PIL import Image
from typer.main import get_command

import curvaudit
from curvaudit.cli import app, main
from curvaudit.policy.settings import parse
from curvaudit.rules import RULES

COMMANDS = [command for page in PAGES for command in commands(page)]
OURS = [command for command in COMMANDS if command.program == "curvaudit"]
# Trainings are run as written, but tiny; the last of two equal options counts.
TINY = {
    "scan": ("--epochs", "1", "--width", "4", "--device", "cpu", "--quiet"),
    "calibrate": ("--epochs", "1", "--width", "4", "--device", "cpu", "--quiet", "--overwrite"),
}
TUTORIAL = HERE / "docs" / "tutorial.md"


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


@pytest.mark.parametrize("rule", RULES)
def test_the_advice_in_sarif_is_that_of_the_page(rule):
    text = (HERE / "docs" / "rules" / f"{rule}.md").read_text(encoding="utf-8")
    text = " ".join(re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", text).split())
    for words in (RULES[rule].reason, f"## What to do {RULES[rule].remedy}"):
        assert " ".join(words.split()) in text


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


def not_run(command: Command) -> str:
    """Why a command is only parsed here; empty for those that are run."""
    if "--download" in command.arguments or any("owner/name" in word for word in command.arguments):
        return "fetches from the network, or names a placeholder"
    if "--data-dir" in command.arguments:
        return "reads a standard set, which nobody has at hand in a test"
    if command.arguments[0] == "reproduce":
        return "runs for minutes however small; it has tests of its own"
    return ""


def test_nearly_everything_is_run():
    assert sum(not not_run(command) for command in OURS) > 50


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Everything that the commands of the documentation name, tiny."""
    place = tmp_path_factory.mktemp("place")
    for split, seed in (("train", 0), ("test", 1)):
        draw_folder(place / "imagefolder" / split, ("circle", "square"), each=12, seed=seed)
        draw_folder(place / "data" / split, ("circle", "square"), each=60, seed=seed)  # 1 % of them is one
    for folder in ("images", "old-release", "release-1", "flowers5"):
        draw_folder(place / folder, ("circle", "square"), each=12)
    for folder in ("new-release", "release-2"):
        shutil.copytree(place / "old-release", place / folder)
        (place / folder / "circle" / "003.png").rename(place / folder / "square" / "relabelled.png")
    _datasets(place)
    curvaudit.scan(place / "images", place / "run.h5", epochs=1, width=4, device="cpu", weight_decay=(0, 1e-4))
    for run in ("curvaudit.h5", "old.h5", "new.h5", "c100.h5"):
        shutil.copy(place / "run.h5", place / run)
    np.savez(place / "scores.npz", memorization=np.linspace(0, 1, 24))
    for name in ("known.json", "accepted.json", "curvaudit-baseline.json"):
        (place / name).write_text('{"schema": "curvaudit-baseline/1", "accepted": []}')
    return place


def decide(run: Path) -> None:
    """`decisions.json` as the page of this run would save it: one picture is dropped."""
    samples = curvaudit.open_run(run).samples
    decided = {
        "index": 5,
        "id": samples.ids[5],
        "label": samples.classes[int(samples.labels[5])],
        "content_hash": f"{int(samples.content_hash[5]):016x}",
        "decision": "drop",
        "new_label": None,
    }
    Path("decisions.json").write_text(json.dumps({"schema": "curvaudit-decisions/1", "decisions": [decided]}))


def _datasets(place: Path) -> None:
    """The pictures of images/ as Parquet, as shards, and as the `datasets` library keeps them."""
    import datasets

    images = place / "images"
    for name in ("cifar100/train.parquet", "cifar100/test.parquet", "cifar100-train.parquet"):
        path = place / name
        path.parent.mkdir(exist_ok=True)
        write_parquet(images, path, label="fine_label")
    write_parquet(place / "data" / "train", place / "classes20.parquet", label="fine_label")
    write_parquet(images, place / "data" / "train-00000-of-00001.parquet")
    (place / "shards").mkdir()
    write_tar(images, 4)
    for number in range(4):
        (place / f"shard-{number:03d}.tar").rename(place / "shards" / f"train-{number:03d}.tar")
    shutil.copytree(images, place / "folder")
    datasets.load_dataset("imagefolder", data_dir=str(images), split="train").save_to_disk(place / "saved")


def run(monkeypatch, capsys, command: Command) -> tuple[int, str, str]:
    name, *_ = arguments = command.arguments
    arguments += TINY.get(name, ())
    if name == "scan" and "--resume" not in arguments:
        arguments += ("--overwrite",)
    if "decisions.json" in arguments:
        decide(Path(next((word for word in arguments if word.endswith(".h5")), "curvaudit.h5")))
    monkeypatch.setattr(sys, "argv", ["curvaudit", *arguments])
    with pytest.raises(SystemExit) as leave:
        main()
    told = capsys.readouterr()
    return int(leave.value.code or 0), told.out, told.err


@pytest.mark.parametrize("page", [page for page in PAGES if page != TUTORIAL], ids=names)
def test_commands_run(page, place, tmp_path, monkeypatch, capsys):
    here = shutil.copytree(place, tmp_path / "here")
    monkeypatch.chdir(here)
    for command in commands(page):
        if command.program != "curvaudit" or not_run(command):
            continue
        code, _, err = run(monkeypatch, capsys, command)
        # 1 and 2 are verdicts on data; what could not run at all says "Error".
        assert code in (0, 1, 2) and "Error" not in err, f"{command}\n{err}"
        assert code == 0 or command.arguments[0] in ("check", "duplicates", "compare"), f"{command}\n{err}"


PYTHON = [page for page in PAGES if fenced(page, "python") and page not in (TUTORIAL, HERE / "CONTRIBUTING.md")]


@pytest.mark.parametrize("page", PYTHON, ids=names)
def test_python_runs(page, place, tmp_path, monkeypatch):
    monkeypatch.chdir(shutil.copytree(place, tmp_path / "here"))
    policies = fenced(HERE / "docs" / "check.md", "toml")
    Path("curvaudit.toml").write_text(next(text for text in policies if text.startswith("# curvaudit.toml")))
    tiny = {"width": 4, "device": "cpu", "overwrite": True}
    for name in ("scan", "calibrate"):
        real = getattr(curvaudit, name)
        monkeypatch.setattr(
            curvaudit,
            name,
            lambda *given, real=real, **more: real(*given, **{**more, **tiny, "epochs": 1}),
            raising=False,
        )
    pixels = np.random.default_rng(0).integers(0, 256, (24, 12, 12, 3), np.uint8)
    labels = np.arange(24) % 2
    dataset = [(Image.fromarray(picture), int(label)) for picture, label in zip(pixels, labels, strict=True)]
    known = {"curvaudit": curvaudit, "np": np, "dataset": dataset, "images": pixels, "labels": labels,
             "ids": np.array([f"{row}.png" for row in range(24)]), "classes": np.array(["a", "b"])}  # fmt: skip
    for block in fenced(page, "python"):
        exec(compile(block, names(page), "exec"), known)


def test_the_tutorial_holds_line_by_line(tmp_path, monkeypatch, capsys):
    """Python, shell and curvaudit in the order of the page; what takes no training prints what the page shows."""
    monkeypatch.chdir(tmp_path)
    shown = 0
    for token in tokens(TUTORIAL):
        if token.type != "fence":
            continue
        if token.info == "python":
            exec(compile(token.content, "tutorial.md", "exec"), {})
        elif token.info == "bash" and "pip install" not in token.content:
            subprocess.run(["bash", "-ec", token.content], check=True)
        elif token.info == "console":
            for line, *output in prompts(token.content):
                command = Command(TUTORIAL, "curvaudit", tuple(shlex.split(line)[1:]))
                code, out, err = run(monkeypatch, capsys, command)
                assert "Error" not in err, f"{command}\n{err}"
                if command.arguments[:2] == ("check", "mydigits"):
                    assert out.splitlines() == output
                    assert code == (2 if any("INCOMPLETE" in text for text in output) else 0)
                    shown += 1
    assert shown == 2


def prompts(block: str) -> list[list[str]]:
    """Each command of a console block with the lines of output below it."""
    found: list[list[str]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append([line[2:]])
        else:
            found[-1].append(line)
    return found


def test_everything_public_is_in_the_reference():
    text = (HERE / "docs" / "api.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"^::: (\S+)$", text, re.MULTILINE))
    assert shown >= {f"curvaudit.{home}.{name}" for name, home in curvaudit._HOMES.items()}


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
