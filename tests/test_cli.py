"""The command line: exit codes, messages, start-up."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import pytest
import torch
from made import write_run

import curvaudit
from curvaudit.cli import main, source_options
from curvaudit.cli.interrupts import ended_by_signals
from curvaudit.pictures import images
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


def test_the_limit_that_help_shows_is_that_of_the_decoder():
    assert source_options.MAX_PIXELS == images.MAX_PIXELS


def test_two_commands_without_naming_the_run_file(image_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(monkeypatch, capsys, "scan", str(image_folder), *QUICK)
    assert code == 0, err
    assert "curvaudit report --top 100" in out
    assert "curvature not measured" in err and re.search(r"curvature \d", err) and "nan" not in err
    code, out, err = run(monkeypatch, capsys, "report", "--top", "5")
    assert code == 0, err
    for name in ("index.html", "ranking.csv", "findings.json"):
        assert (tmp_path / "curvaudit-report" / name).stat().st_size > 100
    code, out, _ = run(monkeypatch, capsys, "info")
    assert code == 0 and "60 in 3 classes" in out


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


def test_a_pattern_that_the_shell_took_apart_is_to_be_quoted(monkeypatch, capsys):
    code, out, err = run(monkeypatch, capsys, "scan", "a.parquet", "b.parquet")
    assert (code, out) == (2, "") and "b.parquet" in err and "Quote a pattern" in err
    code, _, err = run(monkeypatch, capsys, "scan", "--epoch", "3")
    assert code == 2 and "Quote" not in err


@pytest.mark.parametrize("given", [["--weight-decay", "abc"], ["--cache", "x", "--no-cache"]])
def test_of_several_processes_one_says_what_is_wrong(given, monkeypatch, capsys):
    for rank, says in (("0", "Error: "), ("1", "")):
        for name, value in (("WORLD_SIZE", "2"), ("MASTER_ADDR", "127.0.0.1"), ("RANK", rank)):
            monkeypatch.setenv(name, value)
        code, out, err = run(monkeypatch, capsys, "scan", "digits", *given)
        assert (code, out) == (2, "") and err.startswith(says) and bool(err) == bool(says)


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
        (["compare", "digits", "digits"], "curvaudit.comparison.comparing.compare", False),
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


def test_report_is_plain_in_a_pipe_brief_when_quiet_and_links_on_a_terminal(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "run.h5")
    code, out, err = run(monkeypatch, capsys, "report", "run.h5")
    assert code == 0 and err == "" and "\x1b" not in out and "Page: curvaudit-report" in out and "CA101" in out
    code, out, err = run(monkeypatch, capsys, "report", "run.h5", "--quiet")
    assert (code, out) == (0, "") and "warning: 90 pictures are few" in err
    assert "error: 1 file could not be read" in err and "note:" not in err
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


@pytest.mark.parametrize(
    "arguments", [["check", "run.h5", "--format", "json=run.h5"], ["compare", "run.h5", "run.h5", "-o", "run.h5"]]
)
def test_a_run_file_is_not_replaced_by_what_is_said_about_it(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "run.h5")
    before = (tmp_path / "run.h5").read_bytes()
    code, out, err = run(monkeypatch, capsys, *arguments)
    assert code == 2 and "run.h5 is read here" in err and not out
    assert (tmp_path / "run.h5").read_bytes() == before


def test_an_interrupt_within_code_made_from_text_exits_with_130_as_well(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nfrom curvaudit import cli\n"
        "def main():\n    try:\n        exec('raise KeyboardInterrupt')\n"
        "    except KeyboardInterrupt:\n        print('Interrupted')\n        sys.exit(130)\n"
        "cli.main = main\n"
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-m", "curvaudit"], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert (done.returncode, done.stdout) == (130, "Interrupted\n")


def test_an_interrupt_that_python_drops_is_raised_again():
    """As in the callbacks of weak references, of which h5py has one for each object that it closes."""

    class Dropping:
        def __del__(self):
            raise KeyboardInterrupt

    class DroppingAgain:
        def __del__(self):
            time.sleep(60)

    def installed():
        return sys.unraisablehook, signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGALRM)

    before = installed()
    with pytest.raises(KeyboardInterrupt), ended_by_signals():
        Dropping()
        DroppingAgain()
        time.sleep(60)
    assert installed() == before


@pytest.fixture
def heeded():
    """What a shell starts in the background ignores Ctrl-C, and so do its children: such as this test."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_waits_until_a_lock_is_taken_or_freed(number, heeded):
    """Python's own locks for threads are Python code, too: raised within, it would leave them locked for ever."""

    class Lock:
        def __init__(self, signalled):
            self.signalled, self.held = signalled, None

        def __enter__(self):
            if self.signalled == "taken":
                signal.raise_signal(number)
            self.held = True

        def __exit__(self, *error):
            if self.signalled == "freed":
                signal.raise_signal(number)
            self.held = False

    taken, freed = Lock("taken"), Lock("freed")
    with pytest.raises(KeyboardInterrupt), ended_by_signals(), taken:
        assert taken.held
        time.sleep(60)
    assert taken.held is False
    with pytest.raises(KeyboardInterrupt), ended_by_signals():
        with freed:
            pass
        assert freed.held is False
        time.sleep(60)
    assert freed.held is False


def test_an_interrupt_at_the_very_end_does_not_come_when_nobody_listens_any_more():
    class Dropping:
        def __del__(self):
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt), ended_by_signals():
        Dropping()
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_several_signals_at_once_are_one_interrupt(monkeypatch, heeded):
    """Ctrl-C reaches torchrun and its processes, to which it then sends SIGINT and SIGTERM as well."""
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with ended_by_signals():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        now += 2
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)


def test_who_ignores_interrupts_goes_on_doing_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell starts what runs in the background
    try:
        with ended_by_signals():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
