"""The command line: exit codes, messages, start-up."""

import subprocess
import sys

import pytest

from curvaudit.cli import main

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


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["scan", "empty"], "empty"),
        (["scan", "one"], "only one class"),
        (["scan", "flat"], "class folders"),
        (["scan", "unread"], "no readable picture"),
        (["scan", "missing"], "missing"),
        (["scan", "digit"], "Did you mean digits"),
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
    ],
)
def test_bad_input_exits_2_with_a_sentence_that_names_it(arguments, names, tmp_path, monkeypatch, capsys):
    bad_inputs(tmp_path)
    monkeypatch.chdir(tmp_path)
    code, out, err = run(monkeypatch, capsys, *arguments)
    assert code == 2
    assert names in err and "Traceback" not in err
    assert out == ""
    assert (tmp_path / "exists.h5").read_bytes() == b"precious"


def test_ctrl_c_exits_130_and_says_how_to_go_on(monkeypatch, capsys, tmp_path):
    def interrupt(*arguments, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("curvaudit.scanning.scan", interrupt)
    code, _, err = run(monkeypatch, capsys, "scan", "digits", "--seed", "3")
    assert code == 130
    assert "curvaudit scan digits --seed 3 --resume" in err


def test_unknown_score_is_named_with_the_known_ones(image_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, capsys, "scan", str(image_folder), *QUICK)[0] == 0
    code, _, err = run(monkeypatch, capsys, "report", "--rank-by", "beauty")
    assert code == 2 and "beauty" in err and "curvature" in err
