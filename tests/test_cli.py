"""The command line: exit codes, messages, start-up."""

import ast
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from made import draw_folder, write_run

import curvaudit
from curvaudit.cli import main
from curvaudit.records import Advanced, PhaseStarted

QUICK = ["--epochs", "1", "--width", "4", "--device", "cpu", "--no-augment"]


def run(monkeypatch, capsys, *arguments: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["curvaudit", *arguments])
    with pytest.raises(SystemExit) as leave:
        main()
    captured = capsys.readouterr()
    return int(leave.value.code or 0), captured.out, captured.err


def test_help_imports_nothing_heavy():
    code = (
        "import sys\n"
        "sys.argv = ['curvaudit', '--help']\n"
        "from curvaudit.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit as leave:\n    assert not leave.code, leave.code\n"
        "heavy = {'torch', 'torchvision', 'h5py', 'numpy', 'PIL', 'sklearn', 'imagehash'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for command in ("scan", "report", "info"):
        assert command in done.stdout


def test_two_commands_without_naming_the_run_file(image_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(monkeypatch, capsys, "scan", str(image_folder), *QUICK)
    assert code == 0, err
    assert "curvaudit report --top 100" in out
    code, out, err = run(monkeypatch, capsys, "report", "--top", "5")
    assert code == 0, err
    for name in ("index.html", "ranking.csv", "findings.json"):
        assert (tmp_path / "curvaudit-report" / name).stat().st_size > 100
    code, out, _ = run(monkeypatch, capsys, "info")
    assert code == 0 and "60 in 3 classes" in out


def bad_inputs(folder):
    (folder / "empty").mkdir()
    (folder / "one" / "only").mkdir(parents=True)
    (folder / "flat").mkdir()
    (folder / "flat" / "a.jpg").write_bytes(b"x")
    (folder / "file.jpg").write_bytes(b"x")
    (folder / "exists.h5").write_bytes(b"precious")
    (folder / "text.h5").write_text("no run")
    (folder / "unread" / "a").mkdir(parents=True)
    (folder / "unread" / "b").mkdir(parents=True)
    (folder / "unread" / "a" / "x.jpg").write_bytes(b"text")
    (folder / "unread" / "b" / "x.jpg").write_bytes(b"")
    (folder / "hollow" / "a").mkdir(parents=True)
    (folder / "hollow" / "b").mkdir(parents=True)
    for split in ("train", "test"):
        draw_folder(folder / "splits" / split, ("a", "b"), each=3)
    draw_folder(folder / "other" / "train", ("a", "b"), each=3)
    draw_folder(folder / "other" / "test", ("a", "c"), each=3)
    draw_folder(folder / "halves", ("a",), each=2)
    (folder / "halves" / "b").mkdir()
    (folder / "halves" / "b" / "x.jpg").write_bytes(b"text")
    with h5py.File(folder / "alien.h5", "w") as file:
        file["x"] = 1
    with h5py.File(folder / "newer.h5", "w") as file:
        file.attrs.update(format="curvaudit-run", format_version="7.1")
    write_run(folder / "run.h5")
    (folder / "cut.h5").write_bytes((folder / "run.h5").read_bytes()[:-900])
    write_run(folder / "bare.h5", epochs=0)
    (folder / "blocked").write_text("a file where the report folder should be")


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["scan", "empty"], "empty"),
        (["scan", "one"], "only one class"),
        (["scan", "flat"], "class folders"),
        (["scan", "unread"], "no readable picture"),
        (["scan", "missing"], "missing"),
        (["scan", "digit"], "Did you mean digits?"),
        (["scan", "file.jpg"], "file.jpg"),
        (["scan", "digits", "-o", "exists.h5"], "exists.h5"),
        (["scan", "digits", "--split", "test"], "split"),
        (["scan", "mnist", "--data-dir", "nowhere"], "nowhere"),
        (["scan", "digits", "--preset", "quick"], "quick"),
        (["scan", "digits", "--weight-decay", "0,much"], "0,much"),
        (["scan", "digits", "--weight-decay", "-1"], "-1"),
        (["scan", "digits", "--epochs", "0"], "--epochs"),
        (["scan", "digits", "--lr", "-0.1"], "--lr"),
        (["scan", "digits", "--width", "wide"], "--width"),
        (["scan", "digits", "--device", "warp9"], "warp9"),
        (["scan", "digits", "-o", "no/such/run.h5"], "no/such"),
        (["scan", "digits", "--resume"], "curvaudit.h5"),
        (["scan", "digits", "--resume", "--overwrite"], "--overwrite"),
        (["scan", "digits", "--no-such-option"], "no-such-option"),
        (["report"], "curvaudit.h5"),
        (["report", "text.h5"], "text.h5"),
        (["report", "text.h5", "--top", "0"], "--top"),
        (["info", "empty"], "empty"),
        (["info", "missing.h5"], "missing.h5"),
        (["scan", "hollow"], "hollow"),
        (["scan", "halves"], "only one class ('a')"),
        (["scan", ""], "source is empty"),
        (["scan", "splits", "--split", "best"], "no split 'best'"),
        (["scan", "halves", "--split", "test"], "has no splits"),
        (["scan", "other", "--validation", "test"], "'test' does not hold the same classes"),
        (["scan", "digits", "--preset", "fast", "--precision", "int4"], "int4"),
        (["scan", "digits", "--resolution", "-3"], "--resolution"),
        (["scan", "digits", "--batch-size", "1"], "--batch-size"),
        (["scan", "digits", "--curvature-every", "0"], "--curvature-every"),
        (["scan", "digits", "--probes", "0"], "--probes"),
        (["scan", "digits", "--step", "0"], "--step"),
        (["scan", "digits", "--step", "nan"], "--step"),
        (["scan", "digits", "--seed", "-1"], "--seed"),
        (["scan", "digits", "--repeats", "0"], "--repeats"),
        (["scan", "digits", "--max-pixels", "0"], "--max-pixels"),
        (["scan", "digits", "--workers", "0"], "--workers"),
        (["scan", "digits", "--weight-decay", "0,0"], "twice"),
        (["scan", "digits", "--weight-decay", "nan"], "nan"),
        (["scan", "digits", "-o", "empty"], "is a folder"),
        (["scan", "digits", "--epochs", "many"], "--epochs"),
        (["scan", "imagenet", "--download"], "ImageNet cannot be downloaded"),
        (["scan", "digits", "--resume", "-o", "cut.h5"], "cut.h5 is damaged"),
        (["scan", "splits", "--resume", "-o", "run.h5", "--width", "4"], "other settings"),
        (["report", "alien.h5"], "not of curvaudit"),
        (["report", "newer.h5"], "format 7.1"),
        (["report", "cut.h5"], "cut.h5 is damaged"),
        (["report", "bare.h5"], "no finished epoch"),
        (["report", "run.h5", "--training", "9"], "no training 9"),
        (["report", "run.h5", "--rank-by", "beauty"], "'beauty'"),
        (["report", "run.h5", "-o", "blocked"], "blocked"),
        ([], "Usage"),
        (["audit"], "audit"),
    ],
)
def test_bad_input_exits_2_with_a_sentence_that_names_it(arguments, names, tmp_path, monkeypatch, capsys):
    bad_inputs(tmp_path)
    monkeypatch.chdir(tmp_path)
    code, out, err = run(monkeypatch, capsys, *arguments)
    assert code == 2
    said = err + (out if not arguments else "")  # without a command there is only help to show
    assert names in said and "Traceback" not in said
    assert out == "" or not arguments
    if err.startswith("Error: "):
        sentence, hint, *rest = err.splitlines()
        assert sentence.endswith((".", "?")) and hint and not rest
    assert (tmp_path / "exists.h5").read_bytes() == b"precious"


def test_every_error_says_what_to_do():
    """Whether a test reaches it or not: no error is raised without a hint."""
    found = 0
    for file in Path(curvaudit.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("CurvauditError", "DamagedRun"):
                found += 1
                assert len(node.args) == 2, f"{file.name}:{node.lineno}"
                assert ast.unparse(node.args[1]) not in ("''", '""'), f"{file.name}:{node.lineno}"
    assert found > 50


@pytest.mark.parametrize(
    ("exists", "created", "arguments", "advice"),
    [
        (False, True, ["--seed", "3"], "curvaudit scan digits --seed 3 --resume\n"),
        (True, False, ["--seed", "3", "--resume"], "curvaudit scan digits --seed 3 --resume\n"),
        (True, True, ["--overwrite", "--seed", "3"], "curvaudit scan digits --seed 3 --resume\n"),
        # Interrupted while reading pictures: there is nothing to resume, or only the older run.
        (False, False, ["--seed", "3"], "curvaudit scan digits --seed 3\n"),
        (True, False, ["--overwrite", "--seed", "3"], "curvaudit scan digits --overwrite --seed 3\n"),
    ],
)
def test_ctrl_c_exits_130_and_says_how_to_go_on(exists, created, arguments, advice, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    if exists:
        (tmp_path / "curvaudit.h5").write_bytes(b"older")

    def interrupt(*arguments, **settings):
        if created:
            (tmp_path / "new").write_bytes(b"newer")
            (tmp_path / "new").replace(tmp_path / "curvaudit.h5")
        raise KeyboardInterrupt

    monkeypatch.setattr("curvaudit.scanning.scan", interrupt)
    code, _, err = run(monkeypatch, capsys, "scan", "digits", *arguments)
    assert code == 130
    assert err.endswith(advice)


def allocate_on_the_cpu():
    torch.empty(2**60)


def allocate_on_an_accelerator():
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")


def allocate_in_numpy():
    np.empty(2**60, np.uint8)


@pytest.mark.parametrize("allocate", [allocate_on_the_cpu, allocate_on_an_accelerator, allocate_in_numpy])
def test_out_of_memory_exits_2_and_says_what_to_try(allocate, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("curvaudit.scanning.scan", lambda *arguments, **settings: allocate())
    code, _, err = run(monkeypatch, capsys, "scan", "digits")
    assert code == 2
    assert "out of memory" in err and "--batch-size" in err and "Traceback" not in err


def test_unknown_score_is_named_with_the_known_ones(image_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, capsys, "scan", str(image_folder), *QUICK)[0] == 0
    code, _, err = run(monkeypatch, capsys, "report", "--rank-by", "beauty")
    assert code == 2 and "beauty" in err and "curvature" in err


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError()])
@pytest.mark.parametrize(
    ("command", "function", "kept"),
    [
        (["scan", "digits"], "curvaudit.scanning.scan", True),
        (["report", "run.h5"], "curvaudit.reporting.report", False),
        (["check", "digits"], "curvaudit.checking.check_target", False),
        (["compare", "digits", "digits"], "curvaudit.comparing.compare", False),
    ],
)
def test_only_a_scan_says_that_epochs_are_kept(command, function, kept, error, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(function, fail)
    code, _, err = run(monkeypatch, capsys, *command)
    assert code == 2 and err.startswith("Error: ") and "Traceback" not in err
    assert ("epochs are kept" in err) == kept


def test_report_is_plain_in_a_pipe_silent_when_quiet_and_links_on_a_terminal(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "run.h5")
    code, out, err = run(monkeypatch, capsys, "report", "run.h5")
    assert code == 0 and err == "" and "\x1b" not in out and "Page: curvaudit-report" in out and "CA101" in out
    assert run(monkeypatch, capsys, "report", "run.h5", "--quiet") == (0, "", "")
    monkeypatch.setenv("FORCE_COLOR", "1")
    code, out, err = run(monkeypatch, capsys, "report", "run.h5")
    assert code == 0 and "looking for neighbours" in err
    assert (tmp_path / "curvaudit-report" / "index.html").as_uri() in out and "\x1b]8;" in out


def test_info_is_readable_at_a_glance(tmp_path, monkeypatch, capsys):
    write_run(tmp_path / "run.h5")
    code, out, _ = run(monkeypatch, capsys, "info", str(tmp_path / "run.h5"))
    assert code == 0
    for said in ("90 in 3 classes, 30 a class, 16×16 px", "1 unreadable", "features of epoch 2", "memorized", "Next: "):
        assert said in out
    write_run(tmp_path / "empty.h5", epochs=0)
    code, out, _ = run(monkeypatch, capsys, "info", str(tmp_path / "empty.h5"))
    assert code == 0 and "unfinished" in out and "--resume" in out


def test_a_report_says_what_it_does(tmp_path):
    write_run(tmp_path / "run.h5")
    heard = []
    curvaudit.report(tmp_path / "run.h5", on_event=heard.append)
    phases = [event.phase for event in heard if isinstance(event, PhaseStarted)]
    assert phases == ["reading scores", "looking for copies and wrong labels", "looking for neighbours"]
    done = sum(event.done for event in heard if isinstance(event, Advanced))
    assert done == sum(event.total for event in heard if isinstance(event, PhaseStarted))
