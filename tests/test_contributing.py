"""CONTRIBUTING.md, done as it says in a copy of the package: scorer, source, finding, export, command."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import indent

import numpy as np
import pytest
from documents import HERE, fenced
from made import draw_folder
from PIL import Image

PAGE = HERE / "CONTRIBUTING.md"
# What the page asks to change in files that are there.
NAMED = [
    ("scores/__init__.py", "correct, curvature,", "correct, curvature, entropy,"),
    ("scores/__init__.py", "_BUILDERS = (", "_BUILDERS = (\n    entropy.score,"),
    ("findings/__init__.py", "from . import atypical,", "from . import stretched, atypical,"),
    ("findings/__init__.py", "_FINDERS = (", "_FINDERS = (\n    stretched.find,"),
    ("exports/__init__.py", "from . import cleanlab_csv,", "from . import ids_txt, cleanlab_csv,"),
    ("exports/__init__.py", '    "html":', '    "ids": ("ids.txt", ids_txt.render),\n    "html":'),
    ("cli/__init__.py", "_COMMANDS = (", '_COMMANDS = (\n    "rules", '),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """The package with the five additions, and a flat folder of pictures."""
    place = tmp_path_factory.mktemp("contributing")
    shutil.copytree(HERE / "curvaudit", place / "curvaudit", ignore=shutil.ignore_patterns("__pycache__"))
    written = []
    for block in fenced(PAGE, "python"):
        if named := re.match(r"# (curvaudit/\S+)\n", block):
            assert not (place / named[1]).exists(), f"{named[1]} is there already"
            (place / named[1]).write_text(block[named.end() :], encoding="utf-8")
            written.append(named[1])
        else:
            after = '        Rule(\n            id="CA501"'
            NAMED.append(("rules.py", after, f"{indent(block.strip(), ' ' * 8)},\n{after}"))
    assert len(written) == 5
    for name, old, new in NAMED:
        file = place / "curvaudit" / name
        text = file.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{name} no longer holds {old!r} once"
        file.write_text(text.replace(old, new), encoding="utf-8")
    draw_folder(place / "classes", ("circle", "square"), each=12, size=16)
    (place / "flat").mkdir()
    for picture in (place / "classes").rglob("*.png"):
        shutil.copy(picture, place / "flat" / f"{picture.parent.name}.{picture.name}")
    wide = np.random.default_rng(0).integers(0, 255, (16, 160, 3), np.uint8)
    Image.fromarray(wide).save(place / "flat" / "circle.wide.png")
    return place


def run(place: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "curvaudit", *arguments],
        cwd=place,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(place)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_command_lists_the_new_rule(place):
    assert re.search("^CA303  warning  stretched: far longer", run(place, "rules"), re.MULTILINE)


def test_a_new_rule_has_a_place_in_sarif_without_advice_of_its_own(place):
    run(place, "check", "flat:flat", "--format", "sarif=out.sarif", "--fail-on", "none", "--no-policy")
    rules = json.loads((place / "out.sarif").read_text())["runs"][0]["tool"]["driver"]["rules"]
    (new,) = (rule for rule in rules if rule["id"] == "CA303")
    assert new["help"]["text"].startswith("Far longer than wide")


def test_scorer_source_finding_and_export_work_together(place):
    run(place, "scan", "flat:flat", "-o", "run.h5", "--epochs", "1", "--width", "4", "--device", "cpu", "--quiet")
    run(place, "report", "run.h5", "--rank-by", "entropy", "--top", "7", "--format", "csv,ids,html", "-o", "report")
    rows = list(csv.DictReader((place / "report" / "ranking.csv").open(encoding="utf-8")))
    assert len(rows) == 25 and {row["label"] for row in rows} == {"circle", "square"}
    entropy = [float(row["entropy"]) for row in rows]
    assert entropy == sorted(entropy, reverse=True) and min(entropy) > 0 and max(entropy) <= np.log(2) + 1e-6
    assert [row["id"] for row in rows if "CA303" in row["rules"].split()] == ["circle.wide.png"]
    page = (place / "report" / "index.html").read_text(encoding="utf-8")
    # A new warning is never silent, with words of its own or without.
    assert re.search(r"but look again: .*\b1 finding of stretched", page)
    assert (place / "report" / "ids.txt").read_text().split() == [row["id"] for row in rows[:7]]


@pytest.mark.parametrize("check", [["ruff", "check"], ["ruff", "format", "--check"]], ids=lambda check: " ".join(check))
def test_the_additions_are_in_style(place, check):
    files = [place / re.match(r"# (\S+)\n", block)[1] for block in fenced(PAGE, "python") if block.startswith("# cur")]
    done = subprocess.run(
        [sys.executable, "-m", *check, "--config", str(HERE / "pyproject.toml"), *map(str, files)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
