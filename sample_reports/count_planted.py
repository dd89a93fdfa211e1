"""How many of the planted defects a report names, and how much of what it names was planted.

    python sample_reports/count_planted.py TRUTH.csv REPORT_FOLDER

Prints Markdown. A defect is found if a finding of its own rule names its picture; for copies, together with the
picture that was copied.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import defaultdict
from pathlib import Path

RULE = {  # which rule should name which kind
    "conflict": "CA101",
    "near-conflict": "CA102",
    "duplicate": "CA111",
    "near-duplicate": "CA112",
    "wrong label": "CA201",
    "outlier": "CA202",
    "unreadable": "CA301",
    "flat": "CA302",
}
SCORES = ("curvature", "gradient", "loss", "margin", "el2n", "correct", "consensus")
LOW = ("margin", "correct")  # of these, low is suspicious
HEADS = (24, 50, 100)


def rows(path: Path) -> list[dict[str, str]]:
    """A CSV file with a header."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def count(truth: Path, report: Path) -> str:
    """A table with a row for each kind of defect, and a list of what its rule did not name."""
    planted = rows(truth)
    ranking = {row["id"]: row for row in rows(report / "ranking.csv")}
    named: dict[str, list[set[str]]] = defaultdict(list)  # rule -> the pictures of each of its findings
    for finding in json.loads((report / "findings.json").read_text(encoding="utf-8"))["findings"]:
        named[finding["rule"]].append({sample["id"] for sample in finding["samples"]})
    table = ["| planted | rule | found | findings of the rule | of them planted so |", "|---|---|---|---|---|"]
    missed = []
    for kind, rule in RULE.items():
        defects = [row for row in planted if row["kind"] == kind]
        wanted = [{row["id"], row["partner"]} - {""} for row in defects]
        found = [any(ids <= pictures for pictures in named[rule]) for ids in wanted]
        right = sum(any(ids <= pictures for ids in wanted) for pictures in named[rule])
        table.append(f"| {kind} | {rule} | {sum(found)} of {len(defects)} | {len(named[rule])} | {right} |")
        for row, hit in zip(defects, found, strict=True):
            if not hit:
                rank = ranking[row["id"]]
                shows = f", shows {row['shows']}" if row["shows"] else ""
                missed.append(f"* {kind} `{row['id']}`{shows}: rank {rank['rank']}, {rank['rules'] or 'no rule'}")
    mended = [row for row in planted if row["kind"] == "wrong label" and ranking[row["id"]]["suggested_label"]]
    right = sum(ranking[row["id"]]["suggested_label"] == row["shows"] for row in mended)
    table += [
        "",
        f"The suggested label is the right one for {right} of {len(mended)} wrong labels with a suggestion.",
        "",
    ]
    return "\n".join(
        [*table, *heads(planted, ranking), *(["", "Not named by their own rule:", "", *missed] if missed else []), ""]
    )


def heads(planted: list[dict[str, str]], ranking: dict[str, dict[str, str]]) -> list[str]:
    """How many of the wrong labels stand at the top by each score, as far down as a reviewer may look."""
    wrong = {row["id"] for row in planted if row["kind"] == "wrong label"}
    table = ["| wrong labels by | " + " | ".join(f"in the first {place}" for place in HEADS) + " |"]
    table.append("|---" * (1 + len(HEADS)) + "|")
    for score in SCORES:
        values = {name: float(row[score]) for name, row in ranking.items() if row.get(score)}
        order = sorted(values, key=values.__getitem__, reverse=score not in LOW)
        counts = [str(len(wrong.intersection(order[:place]))) for place in HEADS]
        if values:
            table.append(f"| {score} | {' | '.join(counts)} |")
    return table if len(table) > 2 else []  # a report without training ranks nothing


def main() -> None:
    parser = argparse.ArgumentParser(description="Count which planted defects a report names.")
    parser.add_argument("truth", type=Path)
    parser.add_argument("report", type=Path)
    arguments = parser.parse_args()
    print(count(arguments.truth, arguments.report))


if __name__ == "__main__":
    main()
