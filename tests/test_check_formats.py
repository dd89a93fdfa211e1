"""What `check` prints and writes: readable by those who read it, whatever the names hold."""

import dataclasses
import json
import re
import shutil
from email.message import Message
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from junitparser import JUnitXml
from made import draw_folder
from markdown_it import MarkdownIt

import curvaudit
from curvaudit.checking import find_places
from curvaudit.exports.checks import FORMATS, sarif
from curvaudit.findings.interface import fingerprint
from curvaudit.inspecting import ALL_SPLITS
from curvaudit.policy.outcome import Places
from curvaudit.policy.settings import parse
from curvaudit.records import Caveat, Finding, Report, RunInfo, SampleRef, Samples, Skipped
from curvaudit.rules import RULES

HOSTILE = (
    "rose/plain.jpg",
    "::error file=x::pwned/a.png",
    "rose/line\nbreak\r::set-output name=x::y.png",
    "rose/##[add-path]x.png",
    "rose/\x1b[31mred\x1b[0m\x07\x00\x9b.png",
    "rose/<script>alert(1)</script>&amp;\"'.png",
    "rose/]]>--><!--.png",
    "rose/[link](http://evil.example) ![i](x) www.evil.example.png",
    "rose/`code` *b* _i_ ~s~ | cell | # h @octocat $x$ :smile:.png",
    "rose/50%,a:b%0A%3A.png",
    "rose/\u202egnp.\u2028\ufffe\ud800.png",
    "rose/ümlaut 花 🌹.png",
    "1. rose/- item.png",
    "../../etc/passwd",
    "/absolute/path.png",
)


def made_report(names=HOSTILE, lines=(), caveats=()) -> Report:
    """Half of the findings violate the default policy: every second picture conflicts with its neighbour."""
    count = len(names)
    samples = Samples(
        ids=tuple(names),
        labels=np.arange(count, dtype=np.int32) % 2,
        classes=("rose <b>", "::warning::tulip"),
        content_hash=np.arange(count, dtype=np.uint64) // 2,
        phash=np.zeros(count, np.uint64),
        width=np.full(count, 9, np.uint16),
        height=np.full(count, 9, np.uint16),
        contrast=np.ones(count, np.float32),
        lines=np.asarray(lines, np.int32),
    )
    findings = []
    for row, name in enumerate(names):
        rule = ("CA101", "CA201")[row % 2]
        refs = [SampleRef(name, row, samples.classes[row % 2])]
        if rule == "CA101" and row + 1 < count:
            refs.append(SampleRef(names[row + 1], row + 1, samples.classes[1]))
        findings.append(Finding(RULES[rule], f"{name} is {name}.", fingerprint(rule, [str(row)]), tuple(refs)))
    label = samples.classes[1]
    findings.append(
        Finding(RULES["CA501"], f"Class {label} is small.", fingerprint("CA501", [label]), (), {"class": label})
    )
    return Report(
        run=RunInfo("data\n::error::source", "0", {}, {}, "curvaudit", "2026-01-01T00:00:00Z"),
        run_path="",
        samples=samples,
        skipped=(Skipped("rose/\x1bbroken\n::error::x.png", "cut\nshort"),) if caveats else (),
        trainings=(),
        training=-1,
        rank_by="",
        top=0,
        scores={},
        order=np.arange(count),
        rank=np.arange(count) + 1,
        suggested=np.full(count, -1, np.int32),
        mean_curvature=np.zeros(0),
        memorized_share=np.zeros(0),
        findings=tuple(findings),
        caveats=tuple(caveats),
        thumbnails={},
    )


RESULTS = {
    "violated": curvaudit.check(made_report()),
    "all fail": curvaudit.check(made_report(), fail_on="note"),
    "nothing fails": curvaudit.check(made_report(), fail_on="none"),
    "incomplete": curvaudit.check(made_report(caveats=[Caveat("error", "1 file\n::error::unread <b>", "unreadable")])),
    "one": curvaudit.check(made_report(["only.png"])),
    "switched off": curvaudit.check(
        made_report(), policy=parse({"rules": {"CA101": {"severity": "off"}, "CA201": {"allow": 100}}}, "test")
    ),
}
PLACES = (Places(), Places(root="data set/50%"), Places(file="data/manifest.csv"))


@pytest.mark.parametrize("places", PLACES, ids=str)
@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)
@pytest.mark.parametrize("name", FORMATS)
def test_no_control_character_gets_through(name, result, places):
    text = FORMATS[name](result, places).decode("utf-8")
    if name in ("json", "sarif"):
        assert text.isascii()
        json.loads(text)
    odd = {c for c in text if not c.isprintable()} - {"\n"}
    # The zero-width space that parts @ from a name is written as a reference, so it is none.
    assert not odd, odd


@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)
@pytest.mark.parametrize("name", ["text", "github"])
def test_no_name_starts_a_workflow_command(name, result):
    """GitHub's runner obeys `::command` at the start of a line, after spaces too, and `##[command]` anywhere."""
    lines = FORMATS[name](result, Places()).decode().splitlines()
    assert not any("##[" in line for line in lines)
    commands = [line for line in lines if line.lstrip().startswith("::")]
    if name == "text":
        assert commands == []
    else:
        form = re.compile(r"::(error|warning) (file=[^:,\n]*,line=[0-9]+,)?title=[^:,\n]*::.*")
        assert all(form.fullmatch(line) for line in commands), commands
        assert all(line.startswith("curvaudit: ") for line in lines if line not in commands)
        errors = sum(line.startswith("::error ") for line in lines)
        assert errors == min(10, len(result.violations) + len(result.gaps))
        # No name can smuggle in a line end that the runner decodes.
        assert not any(re.search("%0[AaDd]", line) for line in commands)


def test_github_shows_ten_of_a_level_and_says_how_many_more():
    result = curvaudit.check(made_report([f"{n}.png" for n in range(50)]))
    lines = FORMATS["github"](result, Places()).decode().splitlines()
    assert len(result.violations) == 25
    assert sum(line.startswith("::error ") for line in lines) == 10
    assert any("15 more" in line for line in lines)


def schema():
    return json.loads((Path(__file__).parent / "data" / "sarif-schema-2.1.0.json").read_text())


@pytest.mark.parametrize("places", PLACES, ids=str)
@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)
def test_sarif_is_valid_and_what_github_wants(result, places):
    log = json.loads(FORMATS["sarif"](result, places))
    checker = jsonschema.Draft7Validator(schema(), format_checker=jsonschema.FormatChecker())
    assert list(checker.iter_errors(log)) == []
    (made,) = log["runs"]
    driver = made["tool"]["driver"]
    assert [rule["id"] for rule in driver["rules"]] == list(RULES)
    assert len(made["results"]) == len(result.of("violation", "allowed", "reported"))
    for item in made["results"]:
        assert driver["rules"][item["ruleIndex"]]["id"] == item["ruleId"]
        assert item["partialFingerprints"]["primaryLocationLineHash"]
        assert "](" not in item["message"]["text"]
        (first,) = item["locations"]
        for location in (first, *item.get("relatedLocations", [])):
            uri = location["physicalLocation"]["artifactLocation"]["uri"]
            # Relative, nothing to be interpreted, nothing above the root.
            assert re.fullmatch(r"(?:[A-Za-z0-9._~/-]|%[0-9A-F]{2})+", uri), uri
            assert not uri.startswith("/") and ".." not in uri.split("/")
            assert location["physicalLocation"]["region"]["startLine"] >= 1
    (invocation,) = made["invocations"]
    assert invocation["exitCode"] == result.exit_code
    assert invocation["executionSuccessful"] == result.complete


@pytest.mark.parametrize("page", ["https://docs.example/curvaudit/", "docs/", None])
def test_sarif_links_to_the_page_of_a_rule_where_the_package_names_its_documentation(page, monkeypatch):
    described = Message()
    described["Project-URL"] = "Source, https://code.example"
    if page is not None:
        described["Project-URL"] = f"Documentation, {page}"
    monkeypatch.setattr(sarif.metadata, "metadata", lambda name: described)
    log = json.loads(sarif.render(RESULTS["violated"], Places()))
    jsonschema.validate(log, schema())
    links = [rule.get("helpUri") for rule in log["runs"][0]["tool"]["driver"]["rules"]]
    if page == "https://docs.example/curvaudit/":
        assert links == [f"https://docs.example/curvaudit/rules/{rule}.html" for rule in RULES]
    else:
        assert set(links) == {None}  # nothing, rather than a link that leads nowhere


def test_the_schema_test_can_fail():
    log = json.loads(FORMATS["sarif"](RESULTS["violated"], Places()))
    log["runs"][0]["results"][0]["level"] = "fatal"
    assert not jsonschema.Draft7Validator(schema()).is_valid(log)


def test_sarif_stays_within_githubs_limits_and_keeps_what_fails():
    report = made_report([f"{n}.png" for n in range(12_000)])
    policy = parse({"fail-on": "CA201", "rules": {"CA201": {"severity": "note"}}}, "test")
    result = curvaudit.check(report, policy=policy)
    (made,) = json.loads(FORMATS["sarif"](result, Places()))["runs"]
    assert len(made["results"]) == 5_000
    assert {item["ruleId"] for item in made["results"]} == {"CA201"}  # 6,000 fail; conflicts do not here
    notes = [note["message"]["text"] for note in made["invocations"][0]["toolExecutionNotifications"]]
    assert any("7,001 further findings" in note for note in notes)


def test_a_finding_of_many_pictures_names_a_hundred_places():
    report = made_report([f"{n}.png" for n in range(300)])
    refs = tuple(SampleRef(name, row, "rose <b>") for row, name in enumerate(report.samples.ids))
    report = dataclasses.replace(report, findings=(Finding(RULES["CA101"], "many", "00", refs),))
    (made,) = json.loads(FORMATS["sarif"](curvaudit.check(report), Places()))["runs"]
    (item,) = made["results"]
    assert len(item["locations"]) + len(item["relatedLocations"]) == 100
    assert item["properties"]["samples"] == 300
    text = FORMATS["text"](curvaudit.check(report), Places()).decode()
    assert "and 280 more" in text


def test_the_region_is_the_line_in_the_manifest():
    report = made_report(["a.png", "b.png", "c.png"], lines=[12, 0, 40])
    log = json.loads(FORMATS["sarif"](curvaudit.check(report), Places(file="data/all of it.csv")))
    found = [
        (place["artifactLocation"]["uri"], place["region"]["startLine"])
        for item in log["runs"][0]["results"]
        for place in [location["physicalLocation"] for location in item["locations"]]
    ]
    assert found == [("data/all%20of%20it.csv", line) for line in (12, 40, 1, 1)]


@pytest.mark.parametrize("places", PLACES, ids=str)
@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)
def test_junit_is_read_by_a_parser(result, places):
    parsed = JUnitXml.fromstring(FORMATS["junit"](result, places))
    (suite,) = parsed
    cases = list(suite)
    failed = [case for case in cases if any(type(r).__name__ == "Failure" for r in case.result)]
    errors = [case for case in cases if any(type(r).__name__ == "Error" for r in case.result)]
    assert len(failed) == suite.failures == len(result.violations)
    assert len(errors) == suite.errors == (0 if result.complete else 1)
    assert len(cases) == suite.tests and len({(case.classname, case.name) for case in cases}) == len(cases)
    assert {case.classname.split()[0] for case in cases} == {*RULES, "completeness"}
    messages = {r.message for case in failed for r in case.result}
    assert len(messages) == len({finding.message for finding in result.violations})


@pytest.mark.parametrize("format", ["text", "markdown"])
def test_every_label_of_a_conflict_is_shown_however_many_copies_carry_one(format):
    names = [f"picture{number}x.png" for number in range(40)]
    report = made_report(names)
    refs = [SampleRef(name, row, "zebra" if row == 30 else "horse") for row, name in enumerate(names)]
    conflict = dataclasses.replace(report.findings[0], samples=tuple(refs), message="The same picture stands 40 times.")
    result = curvaudit.check(dataclasses.replace(report, findings=(conflict,)))
    shown = FORMATS[format](result, Places()).decode()
    assert "picture30x" in shown and "picture0x" in shown and "picture29x" not in shown and " more" in shown


@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)
def test_markdown_shows_names_and_acts_on_none(result):
    source = FORMATS["markdown"](result, Places()).decode()
    assert len(source) < 2**20
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(source)
    flat = [inner for token in tokens for inner in (token.children or [token])]
    kinds = {token.type for token in flat}
    assert not kinds & {"link_open", "image", "em_open", "s_open", "code_inline", "ordered_list_open"}
    assert "www." not in source and "://" not in source  # GitHub makes links of these by itself
    html = {token.content.strip() for token in flat if token.type.startswith("html")}
    for piece in html:
        allowed = r"(?:<details open>|<summary>[A-Za-z0-9 -]*</summary>|</details>|</?code>|\s)*"
        assert re.fullmatch(allowed, piece), piece
    assert not re.search(r"@\w", "".join(token.content for token in flat if token.type == "text"))
    if result.violations:
        shown = "".join(token.content for token in flat if token.type in ("text", "text_special"))
        assert "<script>alert(1)</script>" in shown or len(result.violations) == 1
        assert "[link](http://evil.example)" in shown or len(result.violations) == 1


def test_places_are_found_below_the_folder_that_paths_are_relative_to(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    picture = tmp_path / "repo" / "data" / "train" / "a" / "x.png"
    picture.parent.mkdir(parents=True)
    picture.touch()

    def found(source: str, base: str) -> Places:
        report = made_report(["a/x.png"])
        return find_places(dataclasses.replace(report, run=dataclasses.replace(report.run, source=source)), Path(base))

    assert found("repo/data/train", "repo") == Places(root="data/train")
    assert found("repo/data (train)", ".") == Places(root="repo/data/train")
    assert found(str(tmp_path / "repo" / "data" / "train"), "repo/data/train") == Places()
    assert found("repo/data/train", "elsewhere") == Places()
    assert found("digits", ".") == Places()
    assert found("x" * 5000, ".") == Places()
    assert found("~nobody-of-this-name/x", ".") == found("~nobody-of-this-name (train)", ".") == Places()
    (tmp_path / "list.csv").touch()
    assert found("list.csv", ".") == Places(file="list.csv")


def test_pictures_of_other_splits_and_sources_are_pointed_at_where_they_lie(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw_folder(tmp_path / "data" / "train", ("a", "b"), each=2)
    for copy in ("data/Test/a/leak.png", "other/b/x.png"):
        Path(copy).parent.mkdir(parents=True)
        shutil.copy("data/train/a/000.png", copy)
    (tmp_path / "data" / "Test" / "a" / "broken.png").write_text("text")
    (tmp_path / "more.csv").write_text("path,label\nother/b/x.png,b\n")

    def uris(source, against):
        result = curvaudit.check(curvaudit.inspect(source, against=against))
        (run,) = json.loads(FORMATS["sarif"](result, find_places(result.report, Path())))["runs"]
        return {
            (one["ruleId"], place["physicalLocation"]["artifactLocation"]["uri"])
            for one in run["results"]
            for place in (*one["locations"], *one.get("relatedLocations", ()))
            if one["ruleId"] in ("CA301", "CA401")
        }

    audited = ("CA401", "data/train/a/000.png")
    assert uris("data", ALL_SPLITS) == {audited, ("CA401", "data/Test/a/leak.png"), ("CA301", "data/Test/a/broken.png")}
    assert uris("data/train", "other") == {audited, ("CA401", "other/b/x.png")}
    assert uris("data/train", "more.csv") == {audited, ("CA401", "more.csv")}
