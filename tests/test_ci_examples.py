"""action.yml and the examples for CI systems: valid, and run as they stand, `pip install` aside."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from made import draw_folder

HERE = Path(__file__).parents[1]
CODES = {"clean": 0, "conflicting": 1, "partial": 2}


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A repository with data sets, and programs named as the examples name them."""
    place = tmp_path_factory.mktemp("ci")
    draw_folder(place / "clean", ("circle", "square"), each=12)
    shutil.copytree(place / "clean", place / "conflicting")
    shutil.copy(place / "clean" / "circle" / "003.png", place / "conflicting" / "square" / "planted.png")
    shutil.copytree(place / "clean", place / "partial")
    (place / "partial" / "circle" / "broken.png").write_bytes(b"text")
    programs = place / "bin"
    programs.mkdir()
    python = shlex.quote(sys.executable)
    scripts = {
        "curvaudit": f'exec {python} -m curvaudit "$@"',
        "python": f'if [ "$1 $2 $3" = "-m pip install" ]; then echo "$@" >> "$PIP_LOG"; else exec {python} "$@"; fi',
    }
    for name, script in scripts.items():
        (programs / name).write_text(f"#!/bin/bash\n{script}\n")
        (programs / name).chmod(0o755)
    return place


@pytest.fixture
def job(place, tmp_path):
    """Runs a script in the repository as a CI system would; returns its process."""

    def run(script: str, shell: str, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [*shlex.split(shell), script],
            cwd=place,
            capture_output=True,
            text=True,
            env={
                **os.environ,
                "PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}",
                "PYTHONPATH": str(HERE),
                "PIP_LOG": str(tmp_path / "pip.log"),
                "GITHUB_STEP_SUMMARY": str(tmp_path / "step-summary.md"),
                "GITHUB_OUTPUT": str(tmp_path / "output"),
                "RUNNER_TEMP": str(tmp_path),
                **environment,
            },
        )

    return run


def read(name: str):
    return yaml.safe_load((HERE / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("github-actions", "action.yml"),
        ("github-workflows", "examples/github-workflow.yml"),
        ("gitlab-ci", "examples/gitlab-ci.yml"),
    ],
)
def test_the_files_are_valid(kind, name):
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{kind}", HERE / name],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def action_environment(step: dict, inputs: dict[str, str]) -> dict[str, str]:
    """The `env` of a step with its expressions filled in, as GitHub does."""
    known = {name: str(given.get("default", "")) for name, given in read("action.yml")["inputs"].items()}
    assert set(inputs) <= set(known)
    values = {f"inputs.{name}": value for name, value in {**known, **inputs}.items()}
    values["github.action_path"] = str(HERE)
    return {
        key: re.sub(r"\$\{\{ (.*?) \}\}", lambda found: values[found[1]], value) for key, value in step["env"].items()
    }


@pytest.mark.parametrize("target", CODES)
def test_the_action(target, job, tmp_path):
    inputs = {
        "target": target,
        "sarif": str(tmp_path / "out.sarif"),
        "junit": str(tmp_path / "out.xml"),
        "json": str(tmp_path / "out.json"),
        "arguments": "--allow\nCA111=1\n",
    }
    (tmp_path / "step-summary.md").write_text("from before\n")
    install, check = read("action.yml")["runs"]["steps"]
    # "bash" of a composite step, see GitHub's documentation of `shell`.
    shell = "bash --noprofile --norc -eo pipefail -c"
    assert job(install["run"], shell, **action_environment(install, inputs)).returncode == 0
    assert str(HERE) in (tmp_path / "pip.log").read_text()
    done = job(check["run"], shell, **action_environment(check, inputs))
    assert done.returncode == CODES[target], done.stdout + done.stderr
    assert (tmp_path / "output").read_text() == f"exit-code={CODES[target]}\n"
    summary = (tmp_path / "step-summary.md").read_text()
    assert summary.startswith("from before\n### ") and "curvaudit" in summary
    assert done.stdout.count("::error ") == (0, 1, 2)[CODES[target]]
    assert all((tmp_path / f"out.{kind}").stat().st_size for kind in ("sarif", "xml", "json"))


def test_the_action_runs_no_input(job, place):
    for hostile in ('"; touch owned; $(touch owned) `touch owned`', "--help"):
        inputs = dict.fromkeys(read("action.yml")["inputs"], hostile)
        check = read("action.yml")["runs"]["steps"][1]
        done = job(check["run"], "bash --noprofile --norc -eo pipefail -c", **action_environment(check, inputs))
        # `--help` among the further arguments is one; nothing else may succeed.
        assert done.returncode == (0 if hostile == "--help" else 2)
    assert not (place / "owned").exists()


def test_the_action_says_so_when_nothing_could_be_run(job, tmp_path):
    (tmp_path / "curvaudit-summary.md").write_text("stale")
    check = read("action.yml")["runs"]["steps"][1]
    done = job(check["run"], "bash -eo pipefail -c", **action_environment(check, {"target": "missing"}))
    assert done.returncode == 2 and "missing" in done.stderr
    assert not (tmp_path / "step-summary.md").exists()
    assert (tmp_path / "output").read_text() == "exit-code=2\n"


@pytest.mark.parametrize("target", ["clean", "conflicting"])
def test_the_github_workflow(target, job, place, tmp_path):
    steps = read("examples/github-workflow.yml")["jobs"]["curvaudit"]["steps"]
    scripts = [step["run"] for step in steps if "run" in step]
    assert len(scripts) == 2
    assert job(scripts[0], "bash -e -c").returncode == 0
    shutil.copytree(place / target, place / "data")
    try:
        done = job(scripts[1], "bash -e -c")
        assert done.returncode == CODES[target], done.stdout + done.stderr
        assert "curvaudit" in (tmp_path / "step-summary.md").read_text()
        upload = next(step for step in steps if "upload-sarif" in step.get("uses", ""))
        assert (place / upload["with"]["sarif_file"]).stat().st_size
        assert upload["with"]["sarif_file"] in upload["if"]
    finally:
        shutil.rmtree(place / "data")


@pytest.mark.parametrize("target", ["conflicting"])
def test_the_gitlab_job(target, job, place):
    description = read("examples/gitlab-ci.yml")["curvaudit"]
    shutil.copytree(place / target, place / "data")
    try:
        done = job("\n".join([*description["before_script"], *description["script"]]), "bash -eo pipefail -c")
        assert done.returncode == CODES[target], done.stdout + done.stderr
        made = [description["artifacts"]["reports"]["junit"], *description["artifacts"]["paths"]]
        assert all((place / name).stat().st_size for name in made)
    finally:
        shutil.rmtree(place / "data")


@pytest.mark.parametrize("target", ["conflicting"])
def test_the_pre_commit_hook(target, job):
    (hook,) = read(".pre-commit-hooks.yaml")
    assert {"id", "name", "entry", "language"} <= set(hook)
    assert hook["language"] == "python" and hook["pass_filenames"] is False
    # pre-commit runs `entry` and then what the user wrote into `args`.
    done = job(f"exec {hook['entry']} {target}", "bash -c")
    assert done.returncode == CODES[target], done.stdout + done.stderr
