"""`curvaudit check` as a whole: exit codes of every path, baselines, a release in two versions."""

import json
import os
import shutil
import signal
import sys
import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

import h5py
import numpy as np
import pytest
from made import draw_folder
from PIL import Image

import curvaudit
from curvaudit import exports
from curvaudit.cli import main
from curvaudit.exports.checks import junit
from curvaudit.policy.baseline import Baseline
from curvaudit.policy.definition import Allowance, FailOn, Ignored, Policy, RulePolicy
from curvaudit.policy.outcome import Places
from curvaudit.store.texts import digest_of

TINY = {"epochs": 1, "width": 4, "batch_size": 32, "device": "cpu", "augment": False, "workers": 1}


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Sources and runs that the tests only read."""
    place = tmp_path_factory.mktemp("check")
    draw_folder(place / "clean", ("circle", "square", "stripe"), each=12, size=24)
    draw_folder(place / "other", ("circle", "square", "stripe"), each=12, size=24, seed=7)
    conflicting = place / "conflicting"
    shutil.copytree(place / "clean", conflicting)
    shutil.copy(conflicting / "circle" / "003.png", conflicting / "square" / "planted.png")
    shutil.copy(conflicting / "stripe" / "007.png", conflicting / "stripe" / "copy.png")
    partial = place / "partial"
    shutil.copytree(conflicting, partial)
    (partial / "circle" / "broken.png").write_bytes(b"\x89PNG broken")
    only_partial = place / "only-partial"
    shutil.copytree(place / "clean", only_partial)
    (only_partial / "circle" / "broken.png").write_bytes(b"\x89PNG broken")
    small = place / "small-class"
    shutil.copytree(place / "clean", small)
    for number in range(6):
        (small / "circle" / f"{number:03d}.png").unlink()
    unread = place / "unread"
    for name in ("a", "b"):
        (unread / name).mkdir(parents=True)
        (unread / name / "x.jpg").write_text("text")
    (place / "empty").mkdir()
    (place / "text.h5").write_text("no run")
    for name in ("clean", "partial"):
        curvaudit.scan(place / name, place / f"{name}.h5", **TINY)
    shutil.copy(place / "partial.h5", place / "conflicting.h5")
    with h5py.File(place / "conflicting.h5", "r+") as file:  # as if the broken file had never been there
        for name in ("id", "reason", "kind"):
            del file["skipped"][name]
            file["skipped"].create_dataset(name, (0,), h5py.string_dtype())
        file["skipped"].attrs["digest"] = digest_of(file["skipped"])
    shutil.copy(place / "clean.h5", place / "named-otherwise")
    (place / "baseline.json").write_text(json.dumps({"schema": "curvaudit-baseline/1", "accepted": []}))
    (place / "precious.json").write_text("{}")
    (place / "typo.toml").write_text('[rules.CA101]\nseverty = "error"\n')
    (place / "broken.toml").write_text("[rules\n")
    (place / "warning.toml").write_text('fail-on = "warning"\n')
    shutil.copy(place / "clean.h5", place / "unfinished.h5")
    with h5py.File(place / "unfinished.h5", "r+") as file:
        file["trainings/0"].attrs["finished"] = False
    shutil.copy(place / "clean.h5", place / "unverified.h5")
    with h5py.File(place / "unverified.h5", "r+") as file:  # every pair a candidate, and no picture kept
        file["samples/phash"][:] = 0
        file["samples/signature"][:] = file["samples/signature"][0]
        file["samples"].attrs["digest"] = digest_of(file["samples"])
        del file["thumbnails"]
    shutil.copy(place / "clean.h5", place / "damaged.h5")
    with h5py.File(place / "damaged.h5") as file:
        start = file["thumbnails/data"].id.get_chunk_info(0).byte_offset
    content = bytearray((place / "damaged.h5").read_bytes())
    content[start + 3] ^= 16
    (place / "damaged.h5").write_bytes(content)
    shutil.copytree(place / "clean", place / "divided" / "train")
    shutil.copytree(place / "other", place / "divided" / "test")
    shutil.copytree(place / "divided", place / "leaking")
    shutil.copy(place / "clean" / "circle" / "003.png", place / "leaking" / "test" / "circle" / "leak.png")
    shutil.copytree(place / "divided", place / "divided-partial")
    (place / "divided-partial" / "test" / "circle" / "broken.png").write_text("text")
    return place


def run(monkeypatch, capsys, *arguments: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["curvaudit", "check", *map(str, arguments)])
    with pytest.raises(SystemExit) as leave:
        main()
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return int(leave.value.code or 0), captured.out, captured.err


CASES = [
    # clean
    ("clean", [], 0, "PASSED"),
    ("clean.h5", [], 0, "PASSED"),
    ("named-otherwise", [], 0, "PASSED"),  # a run file by its content
    ("small-class", [], 0, "CA501"),  # a warning is reported and does not fail
    ("conflicting", ["--fail-on", "none"], 0, "CA101"),
    ("conflicting", ["--fail-on", "CA302"], 0, "CA101"),
    ("conflicting", ["--severity", "CA101=note"], 0, "CA101"),
    ("conflicting", ["--severity", "CA101=off"], 0, "Switched off: CA101"),
    ("conflicting", ["--allow", "CA101=1"], 0, "Allowed: CA101 1 of 1"),
    ("conflicting", ["--allow", "CA101=10%"], 0, "Allowed: CA101 1 of 10%"),
    ("conflicting", ["--ignore-label", "CA101=circle", "--ignore-label", "CA101=square"], 0, "Ignored"),
    ("conflicting", ["--ignore-path", "all=*/0*", "--ignore-id", "all=square/planted.png"], 0, "Ignored"),
    ("clean", ["--ignore-label", "CA101=circel"], 0, "Ignored by the policy, but not in this data set: 'circel'."),
    ("clean", ["--ignore-id", "CA101=gone.png", "--ignore-path", "all=old/*"], 0, "data set: 'gone.png', 'old/*'."),
    # the policy is violated
    ("conflicting", [], 1, "square/planted.png"),
    ("conflicting.h5", [], 1, "square/planted.png"),
    ("conflicting", ["--fail-on", "CA101"], 1, "square/planted.png"),
    ("conflicting", ["--fail-on", "conflicting-duplicates"], 1, "square/planted.png"),
    ("conflicting", ["--fail-on", "note"], 1, "stripe/copy.png"),
    ("conflicting", ["--severity", "CA111=error"], 1, "stripe/copy.png"),
    ("conflicting", ["--allow", "CA101=0"], 1, "CA101"),
    ("conflicting", ["--allow", "CA101=1%"], 1, "CA101"),
    ("conflicting", ["--ignore-label", "CA101=circle"], 1, "CA101"),  # it is about square too
    ("conflicting", ["--baseline", "baseline.json"], 1, "CA101"),
    ("small-class", ["--fail-on", "warning"], 1, "circle"),
    ("small-class", ["--policy", "warning.toml"], 1, "circle"),
    # not everything could be checked: 2 whatever the policy says about findings, and never 0
    ("only-partial", [], 2, "INCOMPLETE"),
    ("only-partial", ["--fail-on", "none"], 2, "broken.png"),
    ("only-partial", ["--severity", "CA301=off"], 2, "INCOMPLETE"),
    ("only-partial", ["--allow", "CA301=5"], 2, "INCOMPLETE"),
    ("only-partial", ["--ignore-path", "all=*"], 2, "INCOMPLETE"),
    ("partial", [], 2, "square/planted.png"),  # violations are shown all the same
    ("partial.h5", [], 2, "square/planted.png"),
    ("unfinished.h5", [], 2, "interrupted"),
    ("unverified.h5", [], 2, "not compared on pixels"),
    ("unverified.h5", ["--accept-incomplete", "unverified"], 0, "not compared on pixels"),
    ("damaged.h5", [], 2, "damaged"),
    ("damaged.h5", ["--accept-incomplete", "damaged"], 0, "damaged"),
    ("divided", ["--fail-on", "error,CA401"], 0, "PASSED"),
    ("divided-partial", [], 2, "test: circle/broken.png"),  # of another split
    ("leaking", [], 1, "test: circle/leak.png"),
    ("leaking", ["--against", "other"], 0, "PASSED"),
    ("clean", ["--against", "divided"], 1, "CA401"),
    ("clean", ["--against", "nowhere"], 2, "nowhere"),
    ("clean.h5", ["--against", "clean"], 2, "--against is for sources"),
    ("clean.h5", ["--label-column", "x"], 2, "--label-column is for sources"),
    ("clean", ["--label-column", "x"], 2, "--label-column"),
    ("clean", ["--max-pixels", "100"], 2, "no readable picture"),
    ("clean", ["--fail-on", "CA201"], 2, "not checked: CA201 takes a training"),
    ("clean", ["--severity", "CA203=error"], 2, "not checked: CA203 takes a training"),
    ("clean", ["--fail-on", "CA401"], 2, "not checked: CA401: there was no other split"),
    # … unless somebody says that it may be so; then CA301 alone decides
    ("only-partial", ["--accept-incomplete", "unreadable"], 1, "broken.png"),
    ("only-partial", ["--accept-incomplete", "unreadable", "--allow", "CA301=1"], 0, "could not be read"),
    ("unfinished.h5", ["--accept-incomplete", "unfinished,unreadable"], 0, "interrupted"),
    ("clean", ["--fail-on", "CA201", "--accept-incomplete", "untrained"], 0, "Not checked: CA201"),
    # could not run
    ("missing", [], 2, "missing"),
    ("missing.h5", [], 2, "no run file missing.h5"),
    ("empty", [], 2, "empty"),
    ("unread", [], 2, "no readable picture"),
    ("text.h5", [], 2, "text.h5"),
    ("clean", ["--fail-on", "eror"], 2, "Did you mean error?"),
    ("clean", ["--fail-on", "CA1O1"], 2, "Did you mean CA101?"),
    ("clean", ["--fail-on", "error,warning"], 2, "contradict"),
    ("clean", ["--fail-on", "CA101", "--severity", "CA101=off"], 2, "CA101 is switched off"),
    ("clean", ["--severity", "CA101"], 2, "--severity CA101 has no value"),
    ("clean", ["--severity", "CA101=fatal"], 2, "'fatal'"),
    ("clean", ["--allow", "CA101=some"], 2, "'some'"),
    ("clean", ["--allow", "CA101=-1"], 2, "'-1'"),
    ("clean", ["--allow", "all=1"], 2, "cannot be set for all rules"),
    ("clean", ["--ignore-path", "CA110=x"], 2, "CA110"),
    ("clean", ["--accept-incomplete", "unreadible"], 2, "Did you mean unreadable?"),
    ("clean", ["--policy", "typo.toml"], 2, "Did you mean severity?"),
    ("clean", ["--policy", "broken.toml"], 2, "broken.toml"),
    ("clean", ["--policy", "missing.toml"], 2, "missing.toml"),
    ("clean", ["--policy", "warning.toml", "--no-policy"], 2, "contradict"),
    ("clean", ["--baseline", "missing.json"], 2, "no baseline missing.json"),
    ("clean", ["--baseline", "precious.json"], 2, "precious.json is no baseline"),
    ("clean", ["--update-baseline"], 2, "--baseline FILE"),
    ("clean", ["--update-baseline", "--baseline", "precious.json"], 2, "left as it is"),
    ("only-partial", ["--update-baseline", "--baseline", "new.json"], 2, "left as it is"),
    ("clean", ["--format", "sarf"], 2, "Did you mean sarif?"),
    ("clean", ["--format", "json", "--format", "text"], 2, "cannot share"),
    ("clean", ["--format", "sarif="], 2, "names no file"),
    ("clean", ["--format", "json=a", "--format", "sarif=a"], 2, "same file"),
    ("clean", ["--format", "json=no/such/folder.json"], 2, "no/such"),
    ("clean", ["--training", "0"], 2, "--training is for run files"),
    ("clean.h5", ["--training", "7"], 2, "no training 7"),
    ("clean.h5", ["--split", "test"], 2, "--split is for sources"),
    ("clean.h5", ["--download"], 2, "--download is for sources"),
    ("clean", ["--workers", "0"], 2, "--workers"),
    ("clean", ["--no-such-option"], 2, "no-such-option"),
]


@pytest.mark.parametrize(("target", "options", "code", "says"), CASES, ids=[" ".join([c[0], *c[1]]) for c in CASES])
def test_exit_code_of_every_path(target, options, code, says, place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    before = (place / "precious.json").read_bytes(), (place / "baseline.json").read_bytes()
    found, out, err = run(monkeypatch, capsys, target, *options)
    assert found == code, out + err
    assert says in out + err
    assert before == ((place / "precious.json").read_bytes(), (place / "baseline.json").read_bytes())
    assert not (place / "new.json").exists()


def test_labels_that_no_epoch_could_judge_are_a_gap_where_the_policy_asks_for_them(image_folder, tmp_path):
    report = curvaudit.report(curvaudit.scan(image_folder, tmp_path / "run.h5", **{**TINY, "epochs": 1}))
    (caveat,) = [caveat for caveat in report.caveats if caveat.unchecked == "unjudged"]
    assert caveat.severity == "warning" and "CA201 was not checked" in caveat.message
    asked = curvaudit.check(report, fail_on={"CA201"})
    assert asked.exit_code == 2 and [gap.kind for gap in asked.gaps] == ["unjudged"]
    accepting = Policy(fail_on=FailOn(None, frozenset({"CA201"})), accept_incomplete=frozenset({"unjudged"}))
    assert curvaudit.check(report, policy=accepting).exit_code == curvaudit.check(report).exit_code == 0
    assert asked.unchecked_rules == curvaudit.check(report).unchecked_rules >= {"CA201", "CA401"}
    page = exports.render_all(report)["index.html"].decode()
    assert "likely-mislabelled (CA201): not checked, the remarks" in page and "Looks fine" not in page
    assert curvaudit.compare(tmp_path / "run.h5", tmp_path / "run.h5").complete


def test_what_an_interrupted_training_cannot_answer_is_not_called_clean(place):
    report = curvaudit.report(place / "unfinished.h5")
    assert not any(finding.rule.id == "CA203" for finding in report.findings)
    asked = Policy(
        fail_on=FailOn(None, frozenset({"CA203"})), accept_incomplete=frozenset({"unfinished", "unreadable"})
    )
    result = curvaudit.check(report, policy=asked)
    assert result.exit_code == 0 and "CA203" in result.unchecked_rules
    page = exports.render_all(report)["index.html"].decode()
    assert "not-memorized (CA203): not checked, the remarks" in page
    cases = ElementTree.fromstring(junit.render(result, Places())).iter("testcase")
    (case,) = [case for case in cases if "CA203" in (case.get("classname") or "")]
    assert case.find("skipped").get("message") == "not checked"


def end_by_key():
    raise KeyboardInterrupt


@pytest.mark.parametrize("end", [end_by_key, lambda: signal.raise_signal(signal.SIGTERM)], ids=["Ctrl-C", "SIGTERM"])
def test_interrupt_exits_130(place, monkeypatch, capsys, end):
    def interrupt(*arguments, **settings):
        end()

    monkeypatch.setattr("curvaudit.checking.check_target", interrupt)
    code, out, err = run(monkeypatch, capsys, place / "clean")
    assert code == 130 and "Interrupted" in err and out == ""


def test_a_defect_of_ours_does_not_look_like_a_violated_policy(place, monkeypatch, capsys):
    monkeypatch.setattr("curvaudit.checking.check_target", lambda *a, **k: 1 / 0)
    monkeypatch.setattr(sys, "argv", ["curvaudit", "check", str(place / "clean")])
    with pytest.raises(SystemExit) as leave:
        main()
    assert leave.value.code == 2
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_without_a_target_it_checks_the_run_file_in_the_folder(place, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, capsys)[0] == 2
    shutil.copy(place / "conflicting.h5", "curvaudit.h5")
    assert run(monkeypatch, capsys)[0] == 1


def test_json_is_findings_json_with_the_check_and_nothing_else(place, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(place)
    code, out, _ = run(monkeypatch, capsys, "conflicting.h5", "--format", "json", "--severity", "CA111=warning")
    document = json.loads(out)
    report = curvaudit.report("conflicting.h5")
    curvaudit.save(report, tmp_path / "report")
    saved = json.loads((tmp_path / "report" / "findings.json").read_text())
    check = document.pop("check")
    assert code == 1 and document == saved
    conflicts = [finding["fingerprint"] for finding in saved["findings"] if finding["rule"] == "CA101"]
    assert check["violations"] == conflicts and len(conflicts) == 1
    assert (check["passed"], check["complete"], check["exit_code"]) == (False, True, 1)
    assert check["severities"] == {"CA111": "warning"}
    named = [f for status in ("violations", "allowed", "reported", "accepted", "ignored", "off") for f in check[status]]
    assert sorted(named) == sorted(finding["fingerprint"] for finding in saved["findings"])


def test_several_formats_at_once(place, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(place)
    files = {name: tmp_path / f"out.{name}" for name in ("json", "sarif", "junit", "markdown", "text", "github")}
    code, out, _ = run(
        monkeypatch, capsys, "conflicting", "--format", "github", *[f"--format={n}={f}" for n, f in files.items()]
    )
    assert code == 1
    assert out == files["github"].read_text() and out.startswith("::error file=conflicting/circle/003.png,line=1,")
    assert all(file.stat().st_size > 100 for file in files.values())
    assert sorted(tmp_path.iterdir()) == sorted(files.values())  # nothing half-written is left
    code, out, err = run(monkeypatch, capsys, "conflicting", "--quiet", "--format", f"json={files['json']}")
    assert (code, out, err) == (1, "", "")


def test_links_stay_links_and_pipes_are_written_to(place, tmp_path, monkeypatch, capsys):
    (tmp_path / "real.json").write_text("old")
    (tmp_path / "link.json").symlink_to("real.json")
    os.mkfifo(tmp_path / "pipe")
    read = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()), daemon=True)
    reader.start()
    formats = [f"--format=json={tmp_path / 'link.json'}", f"--format=junit={tmp_path / 'pipe'}"]
    assert run(monkeypatch, capsys, place / "conflicting", *formats)[0] == 1
    reader.join(60)
    assert read and read[0].startswith(b"<?xml")
    assert (tmp_path / "link.json").is_symlink() and (tmp_path / "pipe").is_fifo()
    assert json.loads((tmp_path / "real.json").read_text())["schema"] == "curvaudit-findings/1"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["link.json", "pipe", "real.json"]


def test_a_policy_file_is_found_upwards_and_flags_win(place, tmp_path, monkeypatch, capsys):
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text('[tool.curvaudit.rules.CA101]\nseverity = "note"\n')
    (tmp_path / "a" / "pyproject.toml").write_text("[tool.other]\nx = 1\n")
    monkeypatch.chdir(below)
    code, out, _ = run(monkeypatch, capsys, place / "conflicting")
    assert code == 0 and str(tmp_path / "pyproject.toml") in out
    assert run(monkeypatch, capsys, place / "conflicting", "--no-policy")[0] == 1
    assert run(monkeypatch, capsys, place / "conflicting", "--severity", "CA101=error")[0] == 1
    (below / "curvaudit.toml").write_text('fail-on = ["CA111"]\n')  # nearer, and nothing is mixed
    code, out, _ = run(monkeypatch, capsys, place / "conflicting")
    assert code == 1 and "stripe/copy.png" in out and "planted" not in out
    (below / "curvaudit.toml").write_text('fail-onn = "error"\n')
    code, _, err = run(monkeypatch, capsys, place / "conflicting")
    assert code == 2 and "fail-onn" in err and "Did you mean fail-on?" in err and "curvaudit.toml" in err


@pytest.mark.parametrize("name", ["curvaudit.toml", "known.json"])
def test_what_the_policy_names_is_not_replaced(name, place, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("curvaudit.toml").write_text('baseline = "known.json"')
    Path("known.json").write_text('{"schema": "curvaudit-baseline/1", "accepted": []}')
    before = Path(name).read_text()
    code, _, err = run(monkeypatch, capsys, place / "clean.h5", "--format", f"json={name}")
    assert code == 2 and f"{name} is read here" in err and Path(name).read_text() == before


def test_a_baseline_accepts_what_is_known_and_fails_on_what_is_new(place, tmp_path, monkeypatch, capsys):
    source = tmp_path / "data"
    shutil.copytree(place / "conflicting", source)
    (tmp_path / "curvaudit.toml").write_text('baseline = "known.json"\n')
    monkeypatch.chdir(source)  # the policy is above; its baseline lies beside it
    code, out, _ = run(monkeypatch, capsys, ".", "--update-baseline")
    assert code == 0 and "Accepted before: CA101" in out
    accepted = json.loads((tmp_path / "known.json").read_text())
    assert accepted["schema"] == "curvaudit-baseline/1"
    assert [entry["rule"] for entry in accepted["accepted"]] == ["CA101", "CA111"]
    assert run(monkeypatch, capsys, ".")[0] == 0
    # Renamed and in another order: still the same findings.
    for folder in ("circle", "square", "stripe"):
        for number, file in enumerate(sorted((source / folder).iterdir(), reverse=True)):
            file.rename(file.with_name(f"new-{number:02d}.png"))
    code, out, _ = run(monkeypatch, capsys, ".")
    assert code == 0 and "not there any more" not in out
    # The same run, trained or not: the fingerprints are the same.
    code, out, _ = run(monkeypatch, capsys, place / "conflicting.h5")
    assert code == 0 and "Accepted before: CA101" in out
    # A third copy of an accepted pair is new, and the pair is gone.
    conflict = _copy_of(place / "conflicting" / "square" / "planted.png", source / "square")
    shutil.copy(conflict, source / "stripe" / "third.png")
    code, out, _ = run(monkeypatch, capsys, ".")
    assert code == 1 and "stripe/third.png" in out and "not there any more: 1" in out
    before = (tmp_path / "known.json").read_bytes()
    assert run(monkeypatch, capsys, ".", "--update-baseline")[0] == 0
    assert (tmp_path / "known.json").read_bytes() != before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["curvaudit.toml", "data", "known.json"]


def _copy_of(picture: Path, folder: Path) -> Path:
    return next(file for file in folder.iterdir() if file.read_bytes() == picture.read_bytes())


def test_two_equal_findings_need_two_acceptances(tmp_path, monkeypatch, capsys):
    draw_folder(tmp_path / "data", ("a", "b"), each=12)
    flat = Image.fromarray(np.full((12, 12, 3), 90, np.uint8))
    flat.save(tmp_path / "data" / "a" / "flat1.png")
    monkeypatch.chdir(tmp_path)
    options = ["data", "--fail-on", "CA302", "--baseline", "known.json"]
    assert run(monkeypatch, capsys, *options, "--update-baseline")[0] == 0
    assert run(monkeypatch, capsys, *options)[0] == 0
    flat.save(tmp_path / "data" / "a" / "flat2.png")  # same content and label, thus the same fingerprint
    assert run(monkeypatch, capsys, *options)[0] == 1
    assert run(monkeypatch, capsys, *options, "--update-baseline")[0] == 0
    assert run(monkeypatch, capsys, *options)[0] == 0


def decisions(report, choice: dict[str, str]) -> list[dict]:
    rows = {name: row for row, name in enumerate(report.samples.ids)}
    return [
        {
            "index": rows[name],
            "id": name,
            "label": report.label(rows[name]),
            "content_hash": f"{int(report.samples.content_hash[rows[name]]):016x}",
            "decision": decision,
            "new_label": None,
            "findings": [],
        }
        for name, decision in choice.items()
    ]


@pytest.mark.parametrize(
    ("choice", "code"),
    [
        ({"circle/003.png": "fine", "square/planted.png": "ambiguous"}, 0),
        ({"circle/003.png": "fine"}, 1),  # the other one was not looked at
        ({"circle/003.png": "fine", "square/planted.png": "drop"}, 1),  # to be mended, not accepted
        ({"circle/003.png": "wrong-label", "square/planted.png": "fine"}, 1),
        ({}, 1),
    ],
)
@pytest.mark.parametrize("kind", ["json", "csv"])
def test_decisions_from_the_page_are_a_baseline(choice, code, kind, place, tmp_path, monkeypatch, capsys):
    report = curvaudit.report(place / "conflicting.h5")
    rows = decisions(report, choice)
    file = tmp_path / f"decisions.{kind}"
    if kind == "json":
        file.write_text(json.dumps({"schema": "curvaudit-decisions/1", "run": "x", "decisions": rows}))
    else:
        lines = ["index,id,label,content_hash,decision,new_label,findings"]
        lines += [f"{r['index']},{r['id']},{r['label']},{r['content_hash']},{r['decision']},," for r in rows]
        file.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    assert run(monkeypatch, capsys, place / "conflicting.h5", "--baseline", file)[0] == code
    assert run(monkeypatch, capsys, place / "conflicting", "--baseline", file)[0] == code
    before = file.read_bytes()
    assert run(monkeypatch, capsys, place / "conflicting", "--baseline", file, "--update-baseline")[0] == 2
    assert file.read_bytes() == before


def test_decisions_from_the_anonymized_page_are_a_baseline_too(place, tmp_path, monkeypatch, capsys):
    open_report = curvaudit.report(place / "conflicting.h5")
    hidden = curvaudit.report(place / "conflicting.h5", anonymize=True)
    names = {name: hidden.samples.ids[row] for row, name in enumerate(open_report.samples.ids)}

    def saved(name, *rows):
        (tmp_path / name).write_text(json.dumps({"schema": "curvaudit-decisions/1", "decisions": rows}))
        return tmp_path / name

    one = decisions(open_report, {"circle/003.png": "fine"})
    other = decisions(hidden, {names["square/planted.png"]: "fine"})
    both = [saved("one.json", *one), saved("other.json", *other)]
    for target in (place / "conflicting.h5", place / "conflicting"):
        assert run(monkeypatch, capsys, target, "--baseline", both[0], "--baseline", both[1])[0] == 0
        assert run(monkeypatch, capsys, target, "--baseline", both[1])[0] == 1
        mended = saved("mended.json", *decisions(hidden, {names["circle/003.png"]: "drop"}))
        assert run(monkeypatch, capsys, target, *[f"--baseline={file}" for file in (*both, mended)])[0] == 1


def test_decisions_about_pictures_that_are_not_there_are_told(place, tmp_path, monkeypatch, capsys):
    rows = decisions(curvaudit.inspect(place / "conflicting"), {"circle/003.png": "fine", "square/planted.png": "drop"})
    strange = {"content_hash": "00000000000000aa", "label": "circle"}, {"label": "elsewhere"}
    rows += [{**row, **other} for row, other in zip(rows, strange, strict=True)]
    file = tmp_path / "decisions.json"
    file.write_text(json.dumps({"schema": "curvaudit-decisions/1", "decisions": rows[:2]}))
    for target in (place / "conflicting.h5", place / "conflicting"):
        assert "Decided about" not in run(monkeypatch, capsys, target, "--baseline", file)[1]
    file.write_text(json.dumps({"schema": "curvaudit-decisions/1", "decisions": rows}))
    for target in (place / "conflicting.h5", place / "conflicting"):
        code, out = run(monkeypatch, capsys, target, "--baseline", file)[:2]
        assert code == 1 and "Decided about 2 pictures that this data set does not hold with that label" in out
        document = run(monkeypatch, capsys, target, "--baseline", file, "--format", "json")[1]
        assert json.loads(document)["check"]["baseline"]["strangers"] == 2


def test_a_new_copy_of_a_picture_that_was_found_fine_is_new(place, tmp_path, monkeypatch, capsys):
    source = tmp_path / "data"
    shutil.copytree(place / "conflicting", source)
    rows = decisions(curvaudit.inspect(source), {"stripe/007.png": "fine", "stripe/copy.png": "fine"})
    file = tmp_path / "decisions.json"
    file.write_text(json.dumps({"schema": "curvaudit-decisions/1", "decisions": rows}))
    options = [source, "--fail-on", "CA111", "--baseline", file]
    assert run(monkeypatch, capsys, *options)[0] == 0
    shutil.copy(source / "stripe" / "copy.png", source / "stripe" / "another.png")
    assert run(monkeypatch, capsys, *options)[0] == 1


def test_a_release_in_two_versions(tmp_path, monkeypatch, capsys):
    """500 pictures; the second version has 20 new, 5 relabelled, 3 conflicting ones."""
    monkeypatch.chdir(tmp_path)
    classes = ("a", "b", "c", "d", "e")
    draw_folder(Path("v1"), classes, each=100, size=16)
    shutil.copy("v1/a/001.png", "v1/a/old-copy.png")
    shutil.copy("v1/a/002.png", "v1/b/old-conflict.png")
    options = ["--baseline", "known.json", "--severity", "CA111=error"]
    assert run(monkeypatch, capsys, "v1", *options, "--update-baseline")[0] == 0
    assert run(monkeypatch, capsys, "v1", *options)[0] == 0
    shutil.copytree("v1", "v2")
    for name in classes:  # every picture gets another name
        for number, file in enumerate(sorted((Path("v2") / name).iterdir(), reverse=True)):
            file.rename(file.with_name(f"{name}{number:04d}.png"))
    draw_folder(Path("fresh"), classes, each=4, size=16, seed=9)
    for name in classes:
        for file in (Path("fresh") / name).iterdir():
            shutil.copy(file, Path("v2") / name / f"fresh-{file.name}")
    for number in range(5):
        os.rename(f"v2/c/c{number + 50:04d}.png", f"v2/d/relabelled-{number}.png")
    code, out, _ = run(monkeypatch, capsys, "v2", *options)
    assert code == 0, out  # nothing that can be told without a training
    for number in range(3):
        shutil.copy(f"v2/e/e{number + 10:04d}.png", f"v2/a/conflicting-{number}.png")
    code, out, _ = run(monkeypatch, capsys, "v2", *options, "--format", "json")
    check = json.loads(out)
    violating = [f for f in check["findings"] if f["fingerprint"] in check["check"]["violations"]]
    assert code == 1
    assert [f["rule"] for f in violating] == ["CA101"] * 3
    assert sorted(sample["id"] for f in violating for sample in f["samples"]) == sorted(
        [f"a/conflicting-{n}.png" for n in range(3)] + [f"e/e{n + 10:04d}.png" for n in range(3)]
    )
    assert run(monkeypatch, capsys, "v2", *options, "--update-baseline")[0] == 0
    code, out, _ = run(monkeypatch, capsys, "v2", *options)
    assert code == 0 and "Accepted before: CA101 conflicting-duplicates 4" in out


def test_a_manifest_is_named_with_the_line(place, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = [f"{p.relative_to(place)},{p.parent.name}" for p in sorted((place / "conflicting").glob("*/*.png"))]
    (tmp_path / "list of all.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    (tmp_path / "conflicting").symlink_to(place / "conflicting")
    code, out, _ = run(monkeypatch, capsys, "list of all.csv", "--format", "sarif", "--fail-on", "CA101")
    (conflict,) = [item for item in json.loads(out)["runs"][0]["results"] if item["ruleId"] == "CA101"]
    found = [p["physicalLocation"] for p in (*conflict["locations"], *conflict["relatedLocations"])]
    lines = [
        2 + rows.index(f"conflicting/{name},{name.split('/')[0]}") for name in ("circle/003.png", "square/planted.png")
    ]
    assert code == 1
    assert [(p["artifactLocation"]["uri"], p["region"]["startLine"]) for p in found] == [
        ("list%20of%20all.csv", line) for line in lines
    ]
    # The same pictures as a folder have the same fingerprints.
    other = json.loads(run(monkeypatch, capsys, "conflicting", "--format", "json")[1])
    assert conflict["partialFingerprints"]["curvauditFingerprint/v1"] in other["check"]["violations"]


def test_two_versions_by_their_runs(place, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, capsys, place / "clean.h5", "--baseline", "known.json", "--update-baseline")[0] == 0
    code, out, _ = run(monkeypatch, capsys, place / "conflicting.h5", "--baseline", "known.json")
    assert code == 1 and "1 finding violates" in out and "square/planted.png" in out
    assert run(monkeypatch, capsys, place / "conflicting.h5", "--baseline", "known.json", "--update-baseline")[0] == 0
    assert run(monkeypatch, capsys, place / "conflicting.h5", "--baseline", "known.json")[0] == 0


def test_check_in_python(place):
    report = curvaudit.report(place / "conflicting.h5")
    assert curvaudit.check(report, fail_on={"CA302"}).passed
    assert curvaudit.check(report, fail_on="none").passed
    result = curvaudit.check(report, fail_on={"CA101"})
    assert not result.passed and result.complete and result.exit_code == 1
    assert [finding.rule.id for finding in result.violations] == ["CA101"]
    policy = curvaudit.read_policy(place / "warning.toml")
    assert policy.fail_on.severity == "warning"
    assert "CA101" in {finding.rule.id for finding in curvaudit.check(report, policy=policy).violations}
    with pytest.raises(curvaudit.CurvauditError, match="CA999"):
        curvaudit.check(report, fail_on={"CA999"})
    partial = curvaudit.check(curvaudit.report(place / "partial.h5"), fail_on={"CA302"})
    assert partial.passed and not partial.complete and not partial.clean and partial.exit_code == 2


def test_check_in_python_refuses_what_the_command_refuses(place):
    """Each of these would pass whatever is found."""
    report = curvaudit.report(place / "conflicting.h5")
    off = Policy(fail_on=FailOn(None), rules={"CA101": RulePolicy("off")})
    for policy, fail_on, says in (
        (off, {"CA101"}, "CA101 is switched off"),
        (replace(off, fail_on=FailOn(None, frozenset({"CA101"}))), None, "CA101 is switched off"),
        (None, [], "nothing is named"),
        (None, 5, "fail-on = 5"),
    ):
        with pytest.raises(curvaudit.CurvauditError, match=says):
            curvaudit.check(report, fail_on, policy)


@pytest.fixture
def shapes(tmp_path) -> Path:
    draw_folder(tmp_path / "shapes", ("circle", "square", "stripe"), each=12)
    return tmp_path / "shapes"


@pytest.mark.parametrize(("share", "violated"), [(Fraction(1, 37), False), (Fraction(1, 38), True)])
def test_an_allowed_share_is_one_of_the_audited_pictures(shapes, share, violated):
    shutil.copy(shapes / "circle" / "003.png", shapes / "square" / "planted.png")
    (shapes / "circle" / "broken.png").write_bytes(b"broken")
    policy = Policy(rules={"CA101": RulePolicy(allow=Allowance(share=share))})
    found = curvaudit.check(curvaudit.inspect(shapes), policy=policy).violations  # 37 audited, one unreadable
    assert any(finding.rule.id == "CA101" for finding in found) is violated


def test_what_was_accepted_before_does_not_use_up_what_is_allowed(shapes):
    for name in ("003", "007"):
        shutil.copy(shapes / "circle" / f"{name}.png", shapes / "circle" / f"copy{name}.png")
    report = curvaudit.inspect(shapes)
    policy = Policy(fail_on=FailOn(None, frozenset({"CA111"})), rules={"CA111": RulePolicy(allow=Allowance(1))})
    assert len(curvaudit.check(report, policy=policy).violations) == 2
    known = Baseline(fingerprints={report.findings[0].fingerprint: 1})
    judged = curvaudit.check(report, policy=policy, baseline=known).judged
    assert [item.status for item in judged] == ["known", "allowed"]


def test_an_ignored_id_may_be_that_of_a_file_that_was_left_out(shapes):
    (shapes / "circle" / "Thumbs.db").write_bytes(b"x")
    policy = Policy(ignore=Ignored(ids=frozenset({"circle/Thumbs.db", "gone"})))
    assert curvaudit.check(curvaudit.inspect(shapes), policy=policy).unmatched == ("gone",)


def test_a_rule_that_is_only_ignored_somewhere_is_not_asked_for(shapes):
    policy = Policy(rules={"CA401": RulePolicy(ignore=Ignored(ids=frozenset({"x"})))})
    assert policy.fails("CA401") and policy.demanded() == frozenset()
    assert curvaudit.check(curvaudit.inspect(shapes), policy=policy).complete


def test_two_baselines_that_accept_the_same_accept_it_once():
    one = Baseline(fingerprints={"f": 1}, fine={(7, "a"): 1})
    assert one.joined(one).fingerprints == {"f": 1} and one.joined(one).fine == {(7, "a"): 1}
