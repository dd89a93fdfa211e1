"""The report folder: what scripts read, and names that try to be more than names."""

import csv
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from curvaudit import exports
from curvaudit.errors import CurvauditError
from curvaudit.exports.page_content import tiles
from curvaudit.exports.page_content.verdict import verdict
from curvaudit.pictures.images import MAX_PIXELS
from curvaudit.records import (
    Caveat,
    Finding,
    MeasureInfo,
    Report,
    RunInfo,
    SampleRef,
    Samples,
    Skipped,
    TrainingCurves,
    TrainingInfo,
)
from curvaudit.reporting import save
from curvaudit.rules import RULES

IDS = (
    "=cmd|' /C calc'!A0",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "a,b",
    'quo"te',
    "line\nbreak",
    "</script><script>alert(1)</script>",
    '" onmouseover="alert(1)',
    "{{ 7 * 7 }}",
    "\udcff.png",
)
N = len(IDS)
PNG = b"\x89PNG\r\n\x1a\n picture"


def a_report(**changes) -> Report:
    curves = TrainingCurves(np.array([1, 2]), *[np.array([1.0, 0.5])] * 6)
    info = MeasureInfo("(nat/pixel)^2", "equation 6", "high", {"n": np.int64(1)})
    score = np.linspace(1, 0.1, N)
    score[-1] = np.nan
    what = {
        "run": RunInfo("<img src=x onerror=alert(1)>", "00ff", {"seed": 0, "source": "$(rm -rf)"}, {}, "me", "today"),
        "run_path": "run.h5",
        "samples": Samples(
            IDS,
            np.arange(N, dtype=np.int32) % 2,
            ("<b>cat</b>", "=dog"),
            np.arange(N, dtype=np.uint64),
            np.arange(N, dtype=np.uint64),
            np.full(N, 20, np.uint16),
            np.full(N, 20, np.uint16),
            np.full(N, 0.3, np.float32),
        ),
        "skipped": (Skipped("<i>.jpg", "empty <file>"), Skipped("Thumbs.db", "cache", "ignored")),
        "trainings": (TrainingInfo(0, 0.0, 0, {"preset": "fast"}, True, True, curves, {"curvature": info}),),
        "training": 0,
        "rank_by": "curvature",
        "top": N,
        "scores": {"curvature": score, "loss": np.full(N, np.inf)},
        "order": np.arange(N),
        "rank": np.arange(1, N + 1),
        "suggested": np.array([1] + [-1] * (N - 1), np.int32),
        "mean_curvature": np.array([1.0, np.nan]),
        "memorized_share": np.array([0.5, 1.0]),
        "findings": (
            Finding(
                RULES["CA101"],
                "the same <picture>",
                "f" * 16,
                (SampleRef(IDS[0], 0, "<b>cat</b>", 1, 1.0), SampleRef(IDS[9], 9, "=dog", 10, float("nan"))),
                {"kind": "exact", "hash_distance": np.int64(0), "pixel_distance": np.float32(0)},
            ),
            Finding(RULES["CA301"], "<i>.jpg could not be read", "e" * 16, (SampleRef("<i>.jpg"),), {"reason": "<x>"}),
        ),
        "caveats": (Caveat("warning", "beware of <blink>"),),
        "thumbnails": {row: PNG for row in range(N)},
    }
    return Report(**{**what, **changes})


# --- ranking.csv ---------------------------------------------------------------------


def rows_of(report: Report) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(exports.EXPORTS["csv"][1](report).decode("utf-8"), newline="")))


def test_csv_has_the_promised_columns_and_every_sample():
    rows = rows_of(a_report())
    assert list(rows[0]) == [
        "rank", "index", "id", "label", "score", "suggested_label", "rules", "curvature", "loss",
    ]  # fmt: skip
    assert [int(row["rank"]) for row in rows] == list(range(1, N + 1))
    assert sorted(int(row["index"]) for row in rows) == list(range(N))
    assert rows[0]["rules"] == "CA101" and rows[1]["rules"] == ""
    assert rows[0]["suggested_label"] == "'=dog" and rows[1]["suggested_label"] == ""
    assert rows[-1]["score"] == "" and rows[0]["score"] == "1.0" and rows[0]["loss"] == "inf"


def test_csv_runs_no_formula_and_loses_no_name():
    rows = rows_of(a_report())
    for row, name in zip(rows, IDS, strict=True):
        for value in (row["id"], row["label"], row["suggested_label"]):
            assert not value.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
        expected = name.encode("utf-8", "backslashreplace").decode()
        assert row["id"].removeprefix("'") == expected
        assert row["id"].startswith("'") == name.startswith(("=", "+", "-", "@", "\t"))


def test_csv_numbers_are_float32_and_no_longer():
    values = np.full(N, 0.1, np.float32)
    assert rows_of(a_report(scores={"curvature": values.astype(np.float64)}))[0]["score"] == "0.1"


def test_csv_follows_the_order():
    order = np.arange(N)[::-1]
    rank = np.empty(N, int)
    rank[order] = np.arange(1, N + 1)
    rows = rows_of(a_report(order=order, rank=rank))
    assert [int(row["index"]) for row in rows] == order.tolist()
    assert [int(row["rank"]) for row in rows] == list(range(1, N + 1))


# --- findings.json -------------------------------------------------------------------


def refuse(constant):
    raise AssertionError(f"{constant} is no JSON")


def test_json_is_strict_and_as_promised():
    content = exports.EXPORTS["json"][1](a_report())
    content.decode("ascii")
    document = json.loads(content, parse_constant=refuse)
    assert list(document) == ["schema", "run", "summary", "findings"]
    assert document["schema"] == "curvaudit-findings/1"
    conflict, unreadable = document["findings"]
    assert list(conflict) == ["rule", "name", "severity", "message", "fingerprint", "samples", "evidence"]
    assert (conflict["rule"], conflict["name"], conflict["severity"]) == ("CA101", "conflicting-duplicates", "error")
    assert conflict["samples"] == [
        {"index": 0, "id": IDS[0], "label": "<b>cat</b>", "rank": 1, "score": 1.0},
        {"index": 9, "id": IDS[9], "label": "=dog", "rank": 10, "score": None},
    ]
    assert conflict["evidence"] == {"kind": "exact", "hash_distance": 0, "pixel_distance": 0.0}
    assert unreadable["samples"] == [{"index": None, "id": "<i>.jpg", "label": None, "rank": None, "score": None}]
    summary = document["summary"]
    assert summary["samples"] == N and summary["classes"] == 2
    assert summary["skipped"] == {"unreadable": 1, "ignored": 1, "doubtful": 0, "partial": 0}
    assert summary["unreadable"] == [{"id": "<i>.jpg", "reason": "empty <file>"}]
    assert summary["findings_by_rule"] == {"CA101": 1, "CA301": 1}
    assert summary["findings_by_severity"] == {"error": 2, "warning": 0, "note": 0}
    assert summary["caveats"] == [{"severity": "warning", "message": "beware of <blink>"}]
    assert summary["memorized"] is True and summary["epochs"] == 2


def test_json_survives_names_that_are_not_unicode():
    reference = SampleRef("\udcff.png", 11, "<b>cat</b>", 12, 0.1)
    report = a_report(findings=(Finding(RULES["CA203"], "\udcff.png", "0" * 16, (reference,)),))
    document = json.loads(exports.EXPORTS["json"][1](report))
    assert document["findings"][0]["samples"][0]["id"] == "\\udcff.png"


# --- index.html ----------------------------------------------------------------------


class Elements(HTMLParser):
    """Tags and attributes of a page, as a browser would see them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def page() -> str:
    return exports.EXPORTS["html"][1](a_report()).decode("utf-8")


def test_page_takes_names_for_text(page):
    seen = Elements(page)
    assert [attributes.get("type") for tag, attributes in seen.tags if tag == "script"] == ["application/json", None]
    assert not {"img", "blink", "x", "picture"} & {tag for tag, _ in seen.tags}
    assert not [name for _, attributes in seen.tags for name in attributes if name.startswith("on")]
    whole = "".join(seen.text)
    for name in (*IDS[:-1], "<b>cat</b>", "<i>.jpg", "<x>", "beware of <blink>", "<img src=x onerror=alert(1)>"):
        assert re.sub(r"\s+", " ", name).strip() in re.sub(r"\s+", " ", whole), name


def test_page_loads_nothing_from_outside(page):
    seen = Elements(page)
    for tag, attributes in seen.tags:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, name, value)
    assert not re.findall(r"url\((?!data:)", page) and "@import" not in page
    policy = next(a["content"] for tag, a in seen.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy and "unsafe-inline" not in policy


def test_page_names_conflicts_with_both_labels_and_links_the_twin(page):
    seen = Elements(page)
    dots = [a for tag, a in seen.tags if tag == "a" and a.get("class") == "dot"]
    assert {dot["title"] for dot in dots} == {
        "also under =dog: go to the twin",
        "also under <b>cat</b>: go to the twin",
    }
    anchors = {a["id"] for _, a in seen.tags if "id" in a}
    links = {a["href"][1:] for tag, a in seen.tags if tag == "a" and a.get("href", "").startswith("#")}
    assert links <= anchors


def test_page_has_one_tile_for_each_of_the_top(page):
    assert len([1 for tag, a in Elements(page).tags if (a.get("class") or "").startswith("tile")]) == N
    few = exports.EXPORTS["html"][1](a_report(top=3)).decode()
    assert len([1 for tag, a in Elements(few).tags if (a.get("class") or "").startswith("tile")]) == 3


def test_page_quotes_the_command_for_the_shell(page):
    assert "curvaudit scan &#39;$(rm -rf)&#39; --seed 0" in page


def test_page_tells_of_settings_that_are_not_the_usual_ones():
    run = a_report().run
    for given, said in (({"repeats": 2, "max_pixels": 100}, True), ({"repeats": 1, "max_pixels": MAX_PIXELS}, False)):
        report = a_report(run=replace(run, config={**run.config, **given}))
        page = exports.render_all(report)["index.html"].decode()
        assert ("--repeats 2" in page) == ("--max-pixels 100" in page) == said
        assert ("--repeats" in page) == ("--max-pixels" in page) == said


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"lr": 0.0123456789}, "--lr 0.0123456789"), ({"lr": 0.05}, "--lr 0.05"),
     ({"weight_decay": [0.0, 1 / 3000]}, "--weight-decay 0,0.0003333333333333333")],
)  # fmt: skip
def test_the_command_of_the_page_repeats_the_scan_to_the_last_digit(settings, said):
    run = a_report().run
    page = exports.render_all(a_report(run=replace(run, config={**run.config, **settings})))["index.html"].decode()
    assert said in page


def test_page_offers_no_command_for_data_from_python():
    run = RunInfo("Pairs", "00", {"seed": 0, "source": None}, {}, "me", "today")
    assert "curvaudit scan Pairs" not in exports.EXPORTS["html"][1](a_report(run=run)).decode()


def test_pictures_that_are_not_kept_are_said_to_be():
    assert "picture not kept" in exports.EXPORTS["html"][1](a_report(thumbnails={})).decode()


def test_a_clean_report_says_so_first():
    page = exports.EXPORTS["html"][1](a_report(findings=(), caveats=(), skipped=())).decode()
    heading = re.search(r"<h1>(.*?)</h1>", page, re.S).group(1)
    assert heading.startswith("Looks fine")
    conflicts = re.search(r"<h1>(.*?)</h1>", exports.EXPORTS["html"][1](a_report()).decode(), re.S).group(1)
    assert conflicts.startswith("Not fine yet: 1 picture stands under different labels")


# --- the folder ----------------------------------------------------------------------


def test_save_writes_all_files_and_replaces_older_ones(tmp_path):
    folder = tmp_path / "deep" / "report"
    for _ in range(2):
        assert save(a_report(), folder) == folder / "index.html"
    assert {path.name for path in folder.iterdir()} == {"index.html", "ranking.csv", "findings.json"}
    with pytest.raises(CurvauditError, match="cannot be written"):
        save(a_report(), folder / "index.html" / "below")


def test_a_warning_alone_keeps_the_verdict_from_being_fine():
    warned = a_report(findings=(), caveats=(Caveat("warning", "The scan was interrupted."),))
    told = verdict(warned, {})
    assert told.severity == "warning" and "limits" in told.sentence


def test_pictures_of_findings_come_before_the_rest_of_the_sheet(monkeypatch):
    report = a_report()
    monkeypatch.setattr(tiles, "_FIRST", 2)
    first: list[int] = []
    monkeypatch.setattr(tiles, "embedded", lambda report, rows, order: first.extend(order) or {})
    made = tiles.Tiles(report)
    for row in report.order.tolist():
        made.of(row)
    made.pictures()
    named = {sample.index for finding in report.findings for sample in finding.samples if sample.index is not None}
    late = named - set(report.order[:2].tolist())
    assert late and first[:2] == report.order[:2].tolist() and set(first[2 : 2 + len(late)]) == late
