"""The policy as people write it: TOML and flags mean the same, and nothing unknown passes."""

import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import get_args

import pytest
from typer.main import get_command

from curvaudit.cli import app
from curvaudit.errors import CurvauditError
from curvaudit.exports.checks import FORMATS
from curvaudit.policy.definition import Allowance, FailOn, Ignored, Policy, RulePolicy
from curvaudit.policy.file import nearest_policy, read_policy
from curvaudit.policy.settings import from_flags, parse
from curvaudit.records import Unchecked

TOML = """
fail-on = ["warning", "CA111"]
accept-incomplete = ["unreadable"]
baseline = ["known.json", "sub/decisions.csv"]

[rules.all]
ignore-paths = ["scratch/*"]

[rules.CA202]
severity = "warning"
allow = "1.5%"

[rules.likely-mislabelled]
allow = 10
ignore-ids = ["rose/a.jpg"]
ignore-labels = ["rose", "a=b"]
"""

FLAGS = {
    "fail_on": ["warning,CA111"],
    "accept_incomplete": ["unreadable"],
    "baseline": ["known.json", "sub/decisions.csv"],
    "severity": ["CA202=warning"],
    "allow": ["ca202=1.5%", "CA201=10"],
    "ignore_id": ["likely-mislabelled=rose/a.jpg"],
    "ignore_label": ["CA201=rose", "CA201=a=b"],
    "ignore_path": ["all=scratch/*"],
}


def test_toml_and_flags_mean_the_same(tmp_path):
    (tmp_path / "curvaudit.toml").write_text(TOML)
    written = read_policy(tmp_path / "curvaudit.toml")
    rules = {
        "CA202": RulePolicy("warning", Allowance(share=Fraction(3, 200))),
        "CA201": RulePolicy(None, Allowance(10), Ignored(frozenset({"rose/a.jpg"}), frozenset({"rose", "a=b"}))),
    }
    assert written.fail_on == FailOn("warning", frozenset({"CA111"}))
    assert written.rules == rules
    assert written.ignore == Ignored(paths=("scratch/*",))
    assert written.baseline == (str(tmp_path / "known.json"), str(tmp_path / "sub" / "decisions.csv"))
    typed = parse(from_flags(**FLAGS), "command line")
    assert (typed.fail_on, typed.rules, typed.ignore) == (written.fail_on, written.rules, written.ignore)
    assert typed.accept_incomplete == written.accept_incomplete == {"unreadable"}
    assert typed.baseline == ("known.json", "sub/decisions.csv")


def test_a_byte_order_mark_is_no_part_of_the_policy(tmp_path):
    for name, encoding in (("plain.toml", "utf-8"), ("marked.toml", "utf-8-sig")):
        (tmp_path / name).write_text(TOML, encoding=encoding)
    plain, marked = (read_policy(tmp_path / name) for name in ("plain.toml", "marked.toml"))
    assert replace(marked, origin=plain.origin) == plain and plain.rules


def test_the_table_in_pyproject_is_the_same_policy(tmp_path):
    (tmp_path / "curvaudit.toml").write_text(TOML)
    own = read_policy(tmp_path / "curvaudit.toml")
    head, *tables = TOML.split("[rules.")
    (tmp_path / "pyproject.toml").write_text(
        "[project]\nname = 'x'\n[tool.curvaudit]" + head + "".join(f"[tool.curvaudit.rules.{table}" for table in tables)
    )
    shared = read_policy(tmp_path / "pyproject.toml")
    assert (shared.fail_on, shared.rules, shared.ignore) == (own.fail_on, own.rules, own.ignore)
    assert nearest_policy(tmp_path).origin.endswith("curvaudit.toml")


def test_flags_replace_what_the_file_sets_and_add_to_what_it_ignores():
    file = parse({"fail-on": "note", "rules": {"CA201": {"severity": "note", "allow": 3, "ignore-ids": ["a"]}}}, "file")
    both = parse(from_flags(fail_on=["CA101"], allow=["CA201=0"], ignore_id=["CA201=b"]), "command line", file)
    assert both.fail_on == FailOn(None, frozenset({"CA101"}))
    assert both.rules["CA201"] == RulePolicy("note", Allowance(0), Ignored(frozenset({"a", "b"})))


@pytest.mark.parametrize(
    ("settings", "names", "hint"),
    [
        ({"fail-onn": "error"}, "fail-onn", "fail-on"),
        ({"base-line": "x"}, "base-line", "baseline"),
        ({"rules": {"CA1O1": {}}}, "CA1O1", "CA101"),
        ({"rules": {"conflicting-duplicate": {}}}, "conflicting-duplicate", "conflicting-duplicates"),
        ({"rules": {"ALLL": {}}}, "ALLL", "all"),
        ({"rules": {"CA101": {"severty": "error"}}}, "severty", "severity"),
        ({"rules": {"CA101": {"ignore-path": ["x"]}}}, "ignore-path", "ignore-paths"),
        ({"rules": {"CA101": {"severity": "warn"}}}, "warn", "warning"),
        ({"rules": {"CA101": {"severity": ["error"]}}}, "error", ""),
        ({"rules": {"CA101": {"severity": "none"}}}, "none", "mean off?"),
        ({"rules": {"CA101": {"severity": "ignore"}}}, "ignore", "mean off?"),
        ({"rules": {"CA101": {"severity": False}}}, "False", "mean off?"),
        ({"rules": {"CA101": {"allow": "9" * 5000}}}, "999", "count"),
        ({"rules": {"CA101": {"allow": f"0.{'9' * 5000}%"}}}, "999", "share"),
        ({"fail-on": "off"}, "off", "mean none?"),
        ({"rules": {"CA101": {"allow": True}}}, "True", "count"),
        ({"rules": {"CA101": {"allow": 1.5}}}, "1.5", "count"),
        ({"rules": {"CA101": {"allow": "101%"}}}, "101%", "share"),
        ({"rules": {"CA101": {"allow": "ten"}}}, "ten", "count"),
        ({"rules": {"CA101": "error"}}, "rules.CA101", ""),
        ({"rules": ["CA101"]}, "rules", ""),
        ({"rules": {"all": {"severity": "off"}}}, "severity", "ignore-paths"),
        ({"fail-on": 3}, "3", ""),
        ({"fail-on": ["error", 3]}, "3", ""),
        ({"fail-on": []}, "nothing", "none"),
        ({"fail-on": "none,CA101"}, "contradict", "none"),
        ({"accept-incomplete": "unreadble"}, "unreadble", "unreadable"),
        ({"baseline": [""]}, "baseline", ""),
    ],
)
def test_what_does_not_exist_is_named_with_the_nearest_that_does(settings, names, hint):
    with pytest.raises(CurvauditError) as error:
        parse(settings, "curvaudit.toml")
    assert error.value.message.startswith("curvaudit.toml")
    assert names in error.value.message
    assert hint in error.value.hint and error.value.hint


@pytest.mark.parametrize(
    ("allow", "findings", "pictures", "permitted"),
    [
        (Allowance(), 0, 100, True),
        (Allowance(), 1, 100, False),
        (Allowance(3), 3, 100, True),
        (Allowance(3), 4, 100, False),
        (Allowance(share=Fraction("1") / 100), 1, 100, True),
        (Allowance(share=Fraction("1") / 100), 1, 99, False),
        (Allowance(share=Fraction("0.1") / 100), 7, 7000, True),  # in floating point 7 > 0.001 × 7000
        (Allowance(share=Fraction("0.1") / 100), 8, 7000, False),
    ],
)
def test_allowances_are_exact(allow, findings, pictures, permitted):
    assert allow.permits(findings, pictures) is permitted


def test_the_default_policy_fails_on_errors():
    policy = Policy()
    assert [rule for rule in ("CA101", "CA102", "CA301", "CA401") if policy.fails(rule)] == [
        "CA101",
        "CA102",
        "CA301",
        "CA401",
    ]
    assert not any(policy.fails(rule) for rule in ("CA111", "CA112", "CA201", "CA202", "CA203", "CA302", "CA501"))
    assert policy.demanded() == frozenset()


def test_the_documentation_names_every_setting_and_flag():
    text = (Path(__file__).parents[1] / "docs" / "check.md").read_text(encoding="utf-8")
    source = (Path(__file__).parents[1] / "curvaudit" / "cli" / "check.py").read_text(encoding="utf-8")
    body = source[source.index("def check(") : source.index(") -> None")]
    flags = {f"--{name.replace('_', '-')}" for name in re.findall(r"^    (\w+): Annotated", body, re.M)} - {"--target"}
    assert len(flags) > 15
    assert {flag for flag in flags if flag not in text} == set()
    (option,) = (one for one in get_command(app).commands["check"].params if one.name == "accept_incomplete")
    assert all(kind in option.help for kind in get_args(Unchecked))
    for word in (*get_args(Unchecked), *FORMATS, "fail-on", "accept-incomplete", "baseline", "severity", "allow"):
        assert f"`{word}`" in text or f".{word}`" in text, word


def test_the_example_in_the_documentation_is_a_policy(tmp_path):
    text = (Path(__file__).parents[1] / "docs" / "check.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "curvaudit.toml").write_text(example)
    policy = read_policy(tmp_path / "curvaudit.toml")
    assert policy.severity("CA202") == "off" and policy.allowance("CA111") == Allowance(10)
