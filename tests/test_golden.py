"""Run files of every version are read for ever, and the report on them says the same."""

import csv
import json
from pathlib import Path

import pytest

import curvaudit

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The report folder of the golden run."""
    folder = tmp_path_factory.mktemp("golden")
    report = curvaudit.report(GOLDEN / "run-1.0.h5")
    curvaudit.save(report, folder)
    return folder


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_ranking_is_the_same(written):
    now, then = table(written / "ranking.csv"), table(GOLDEN / "ranking.csv")
    assert len(now) == len(then) == 38
    for new, old in zip(now, then, strict=True):
        for column, text in old.items():
            if column in ("rank", "index", "id", "label", "suggested_label", "rules"):
                assert new[column] == text, (old["id"], column)
            else:
                assert float(new[column]) == pytest.approx(float(text), rel=1e-5), (old["id"], column)


def test_the_findings_are_the_same(written):
    """Rules, fingerprints and samples: what baselines of users refer to. Messages may improve."""

    def essence(path):
        found = json.loads(path.read_text())["findings"]
        return [
            (f["rule"], f["fingerprint"], [(s["index"], s["id"], s["label"], s["rank"]) for s in f["samples"]])
            for f in found
        ]

    then = essence(GOLDEN / "findings.json")
    assert {rule for rule, *_ in then} >= {"CA101", "CA102", "CA111", "CA112", "CA201", "CA202", "CA203", "CA301"}
    assert essence(written / "findings.json") == then


def test_facts_about_the_run_are_the_same(written):
    now, then = (json.loads((folder / "findings.json").read_text()) for folder in (written, GOLDEN))
    assert now["schema"] == then["schema"] == "curvaudit-findings/1"
    for name in ("source", "source_fingerprint", "format_version", "created_by", "created_utc", "config"):
        assert now["run"][name] == then["run"][name]
    for name in ("samples", "classes", "memorized", "epochs", "findings_by_rule"):
        assert now["summary"][name] == then["summary"][name]
    assert now["summary"]["skipped"] == {**then["summary"]["skipped"], "doubtful": 0, "partial": 0}  # not known then
