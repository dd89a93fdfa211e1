"""Every path that a user names is read alike, and a run is found wherever the program goes."""

import os
import sys
from pathlib import Path

import pytest
from made import draw_folder, write_run

import curvaudit
from curvaudit import Policy
from curvaudit.cli import main
from curvaudit.errors import CurvauditError

TINY = {"epochs": 1, "width": 4, "device": "cpu"}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder with pictures and a run; the current folder is another one."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    draw_folder(tmp_path / "home" / "data", ("a", "b"), each=6)
    write_run(tmp_path / "home" / "run.h5")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "home"


def report() -> curvaudit.Report:
    return curvaudit.report("~/run.h5")


def test_the_home_folder_is_known_in_python(home):
    curvaudit.scan("~/data", "~/scanned.h5", cache="~/cache", **TINY)
    assert curvaudit.open_run("~/scanned.h5").path == home / "scanned.h5" and (home / "cache").is_dir()
    assert curvaudit.save(report(), "~/report", "html") == home / "report" / "index.html"
    assert curvaudit.save(report(), "~/report", iter(["csv", "json"])) == home / "report" / "ranking.csv"
    assert curvaudit.export("~/run.h5", "cleanlab", "~/out.csv").path == home / "out.csv"
    curvaudit.inspect("~/data", cache="~/inspected")
    curvaudit.compare("~/run.h5", "~/data", cache="~/compared")
    assert (home / "inspected").is_dir() and (home / "compared").is_dir()
    (home / "baseline.json").write_text('{"schema": "curvaudit-baseline/1", "accepted": []}')
    (home / "curvaudit.toml").write_text('baseline = "~/baseline.json"')
    assert curvaudit.check(report(), policy=curvaudit.read_policy("~/curvaudit.toml")).baseline
    assert not os.listdir()


@pytest.mark.parametrize(
    ("arguments", "made"),
    [
        (["check", "~/run.h5", "--no-policy", "--format=json=~/made.json"], "made.json"),
        (["check", "~/data", "--no-policy", "--baseline=~/made.json", "--update-baseline"], "made.json"),
        (["compare", "~/run.h5", "~/run.h5", "--out=~/made.html", "--format", "html"], "made.html"),
        (["report", "~/run.h5", "--out=~/made"], "made/index.html"),
        (["duplicates", "~/data", "--out=~/made", "--cache=~/kept"], "kept"),
        (["export", "~/run.h5", "--to", "cleanlab", "--out=~/made.csv"], "made.csv"),
        (["info", "~/run.h5"], "run.h5"),
    ],
)
def test_the_home_folder_is_known_to_every_command(arguments, made, home, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["curvaudit", *arguments])
    with pytest.raises(SystemExit):
        main()
    assert (home / made).exists() and not os.listdir()


NUL = "a\0b"


@pytest.mark.parametrize(
    "call",
    [
        lambda: curvaudit.scan("~/data", NUL),
        lambda: curvaudit.scan(NUL),
        lambda: curvaudit.inspect("~/data", cache=NUL),
        lambda: curvaudit.open_run(NUL),
        lambda: curvaudit.save(report(), NUL),
        lambda: curvaudit.export("~/run.h5", "cleanlab", NUL),
        lambda: curvaudit.export("~/run.h5", "csv-fixed", decisions=NUL),
        lambda: curvaudit.calibrate("~/data", NUL),
        lambda: curvaudit.reproduce("spiral", NUL),
        lambda: curvaudit.compare(NUL, "~/data"),
        lambda: curvaudit.check(report(), baseline=NUL),
        lambda: curvaudit.check(report(), policy=Policy(baseline=(NUL,))),
        lambda: curvaudit.read_policy(NUL),
    ],
)
def test_a_name_that_no_file_can_have_is_told(call, home):
    with pytest.raises(CurvauditError, match="NUL"):
        call()


def test_a_report_and_a_run_equal_themselves_alone(home):
    for made, again in ((report(), report()), (curvaudit.open_run("~/run.h5"), curvaudit.open_run("~/run.h5"))):
        assert made == made and made != again and len({made, again}) == 2


def test_a_run_is_read_wherever_the_program_goes(home, monkeypatch):
    monkeypatch.chdir(home)
    run = curvaudit.open_run("run.h5")
    whole = run.measure(0, "loss").tolist()
    monkeypatch.chdir(home.parent)
    assert run.path == Path("run.h5") and run.measure(0, "loss").tolist() == whole
    curvaudit.save(curvaudit.report(run), "report")
    with pytest.raises(CurvauditError, match="is read here"):
        curvaudit.export(run, "cleanlab", home / "run.h5", overwrite=True)
    (home / "run.h5").rename(home / "moved.h5")
    with pytest.raises(CurvauditError, match=r"The run file run\.h5 is gone") as error:
        curvaudit.report(run)
    assert str(home / "run.h5") in error.value.hint
