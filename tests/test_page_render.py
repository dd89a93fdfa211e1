"""The page as text, the notebook view and the pandas frame; no browser."""

import base64
import hashlib
import json
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from page_report import CLASSES, CONFLICT, EPOCHS, HOSTILE, WRONG, make_report

import curvaudit
from curvaudit import store
from curvaudit.derived.trajectory import class_medians
from curvaudit.errors import CurvauditError
from curvaudit.exports import html
from curvaudit.exports.page_content import embedded, pages
from curvaudit.exports.page_content.class_view import class_rows, heat_map
from curvaudit.records import EpochRow, MeasureInfo, Thumbnails


@pytest.fixture(scope="module")
def page() -> str:
    return html.render(make_report()).decode()


@pytest.fixture(scope="module")
def data(page) -> dict:
    found = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert len(found) == 1
    return json.loads(found[0])


def column(data: dict, name: str) -> dict[int, object]:
    return dict(zip(data["samples"]["row"], data["samples"][name], strict=True))


def test_the_policy_names_exactly_our_style_and_script(page):
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', page).group(1).replace("&#39;", "'")

    def digests(pattern: str) -> set[str]:
        texts = re.findall(pattern, page, re.S)
        return {f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in texts}

    parts = dict(part.split(" ", 1) for part in policy.split("; "))
    assert parts["default-src"] == "'none'"
    assert set(parts["script-src"].split()) == digests(r"<script>(.*?)</script>")
    assert set(parts["style-src"].split()) == digests(r"<style>(.*?)</style>")


def test_nothing_outside_is_named_and_no_name_becomes_markup(page):
    assert set(re.findall(r"https?://[^\s\"'<)]+", page)) <= {"http://www.w3.org/2000/svg"}
    assert len(re.findall(r"<script", page)) == 2
    assert "<img" not in page and "<b>square" not in page
    names: set[str] = set()
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: names.update(name for name, _ in attributes)
    parser.feed(page)
    assert not [name for name in names if name.startswith("on") or name == "style"]
    assert "eval(" not in page


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Use `scan <x>`, then `check`.", "Use <code>scan &lt;x&gt;</code>, then <code>check</code>."),
        ("No command & no mark", "No command &amp; no mark"),
        ("A class called `<b>", "A class called `&lt;b&gt;"),
    ],
)
def test_commands_in_sentences_look_like_commands_and_nothing_becomes_markup(said, shown):
    assert pages.commands(said) == shown


def test_each_picture_is_embedded_once(page):
    rows = re.findall(r"\.p(\d+)\{background-image", page)
    assert len(rows) == len(set(rows))
    assert page.count("data:image/") == len(rows)
    # Sheet of 40, extremes, findings and the spread over the ranking.
    assert {str(row) for row in (0, 39, *CONFLICT, 115)} <= set(rows)


def test_the_page_is_complete_without_the_script(page):
    body = page[page.index("<body>") : page.index('<script type="application/json"')]
    assert body.count('<figure class="tile') == 40
    assert "Not fine yet: 1 picture stands under different labels" in body
    assert f'href="#t{CONFLICT[0]}"' in body and "also under" in body
    for hidden in re.findall(r'<(?:form|section|div)[^>]*class="[^"]*scripted[^"]*"[^>]*>', body):
        assert "hidden" in hidden  # a control that cannot work is not shown


def test_data_hold_what_the_report_holds(data):
    report = make_report()
    assert data["fingerprint"] == "0123abcd" and data["scores"] == ["curvature", "loss", "margin"]
    assert column(data, "id")[HOSTILE] == report.samples.ids[HOSTILE]
    assert column(data, "hash")[5] == f"{report.samples.content_hash[5]:016x}"
    assert data["classes"] == list(CLASSES)
    position = data["samples"]["row"].index(3)
    assert data["seen"][position] == [2, 2, 2, 2, 0, 0]
    np.testing.assert_allclose(data["curvature"][position], report.trajectories.curvature[:, 3], rtol=1e-3)
    np.testing.assert_allclose(data["medians"]["0"], np.linspace(0.2, 0.1, EPOCHS), rtol=1e-3)
    conflict = next(finding for finding in data["findings"] if finding["rule"] == "CA101")
    assert conflict["rows"] == list(CONFLICT) and conflict["distance"] == "identical in every pixel"
    expected = next(finding for finding in report.findings if finding.rule.id == "CA101").fingerprint
    assert conflict["fingerprint"] == expected


def test_decisions_of_reports_without_a_fingerprint_do_not_mix():
    report = make_report()
    nameless = replace(report, run=replace(report.run, source_fingerprint=""))
    other = replace(nameless, samples=replace(report.samples, content_hash=report.samples.content_hash + np.uint64(1)))
    keys = {json.loads(re.search(r'id="data">(.*?)</script>', html.render(made).decode(), re.S)[1])["store"]
            for made in (report, nameless, other)}  # fmt: skip
    assert len(keys) == 3 and "" not in keys


def test_ranks_by_every_score_follow_its_direction(data):
    report = make_report()
    rows = data["samples"]["row"]
    low = np.argsort(np.argsort(report.scores["margin"])) + 1
    assert data["samples"]["ranks"][2] == low[rows].tolist()
    high = np.argsort(np.argsort(-report.scores["loss"])) + 1
    assert data["samples"]["ranks"][1] == high[rows].tolist()


def test_long_trainings_are_thinned_and_gaps_become_null():
    report = make_report()
    known = report.trajectories
    epochs = 500
    values = np.full((epochs, len(known.rows)), np.nan, np.float32)
    values[::2] = 0.123456
    long = replace(
        known,
        epochs=np.arange(1, epochs + 1, dtype=np.int32),
        curvature=values,
        probed=np.ones(values.shape, bool),
        class_median=np.full((epochs, len(CLASSES)), np.nan, np.float32),
        prediction=np.full(values.shape, -1, np.int32),
    )
    text = html.render(replace(report, trajectories=long)).decode()
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S).group(1))
    assert len(data["epochs"]) == 80 and data["epochs"][0] == 1 and data["epochs"][-1] == epochs
    assert set(data["curvature"][0]) == {None, 0.1235}
    assert data["seen"][0] == []


def test_a_report_without_trajectories_or_training_still_renders():
    report = make_report()
    text = html.render(replace(report, trajectories=None, spread=())).decode()
    assert '"curvature":[]' in text
    bare = replace(
        report, trainings=(), training=-1, rank_by="", scores={}, top=0, trajectories=None, spread=(),
        suggested=np.full(len(report.samples), -1, np.int32),
        mean_curvature=np.zeros(0), memorized_share=np.zeros(0),
    )  # fmt: skip
    text = html.render(bare).decode()
    assert "Pictures to review" in text and "curvature over" not in text
    assert f'id="t{CONFLICT[0]}"' in text
    assert "Labelled one way" not in text
    assert "1 conflicting-duplicates" in bare._repr_html_()


def test_heat_map_counts_suggestions_and_is_bounded():
    heat = heat_map(make_report())
    total = sum(cell.count for line in heat.cells for cell in line)
    assert total == len(WRONG) and heat.left_out == 0
    assert heat.cells[heat.given.index("circle")][heat.suggested.index("=stripe")].count == 1
    report = make_report()
    classes = tuple(f"class {number}" for number in range(60))
    many = replace(
        report,
        samples=replace(report.samples, classes=classes, labels=np.arange(120, dtype=np.int32) % 60),
        suggested=((np.arange(120) + 1) % 60).astype(np.int32),
    )
    heat = heat_map(many)
    assert len(heat.given) <= 16 and len(heat.suggested) <= 16
    assert heat.left_out + sum(cell.count for line in heat.cells for cell in line) == 120
    assert heat_map(replace(report, suggested=np.full(120, -1, np.int32))) is None


def test_a_class_with_many_doubtful_labels_is_marked():
    report = make_report()
    suggested = np.full(120, -1, np.int32)
    suggested[60:75] = 0  # half of "=stripe"
    rows = {row.name: row for row in class_rows(replace(report, suggested=suggested))}
    assert rows["=stripe"].bad and rows["=stripe"].better == 15
    assert not rows["circle"].bad and rows["circle"].conflicts == 2
    assert next(iter(rows)) == "=stripe"


def test_a_class_with_few_and_hard_pictures_looks_under_sampled():
    report = make_report()
    labels = np.repeat(np.arange(4, dtype=np.int32), (12, 36, 36, 36))
    for rows, marked in ((slice(None), {"circle"}), (slice(None, None, -1), set())):  # highest ranks, lowest ranks
        made = replace(report, samples=replace(report.samples, labels=labels[rows]))
        assert {row.name for row in class_rows(made) if row.few} == marked


def test_large_pictures_and_those_of_neighbours_go_to_the_first_ranks_as_far_as_they_fit(monkeypatch):
    report = make_report(top=10)
    report = replace(report, previews={row: b"RIFF" + bytes(5000) for row in range(120)})
    shown = [row for row in range(120) if row % 3 == 0]
    small = sum(len(report.thumbnails[row]) for row in shown)
    monkeypatch.setattr(embedded, "BUDGET", small + 3 * 6500 + 16 * 1000)
    chosen = embedded.embedded(report, shown, shown)
    large = [row for row in shown if chosen[row] == report.previews[row]]
    assert set(shown) <= set(chosen) and large == shown[: len(large)] and 1 <= len(large) < len(shown)
    assert set(report.neighbours.of(0)) <= set(chosen)
    assert sum(map(len, chosen.values())) <= small + 3 * 6500 + 16 * 1000
    monkeypatch.setattr(embedded, "BUDGET", 0)  # what the page shows it shows
    assert embedded.embedded(report, shown, shown) == {row: report.thumbnails[row] for row in shown}


def test_class_medians_equal_numpy():
    random = np.random.default_rng(3)
    labels = random.integers(0, 7, 200)
    labels[labels == 4] = 5  # a class without samples
    values = random.normal(size=200).astype(np.float32)
    values[::9] = np.nan
    got = class_medians(values, labels, 7)
    for label in range(7):
        mine = values[(labels == label) & ~np.isnan(values)]
        np.testing.assert_allclose(got[label], np.median(mine) if len(mine) else np.nan, rtol=1e-6)
    assert np.isnan(class_medians(np.full(3, np.nan), np.zeros(3, int), 2)).all()


def test_a_run_file_gives_trajectories_and_a_spread(tmp_path, monkeypatch):
    made = make_report()
    count = len(made.samples)
    random = np.random.default_rng(5)
    names = ("curvature", "loss", "margin", "el2n", "correct", "prediction", "probes")
    logged = [{name: random.random(count).astype(np.float32) for name in names} for _ in range(3)]
    for epoch in logged:
        epoch["correct"] = np.ones(count, np.float32)
        epoch["prediction"] = made.samples.labels.astype(np.float32)
        epoch["probes"] = random.integers(0, 3, count).astype(np.float32)
    logged[1]["curvature"][:] = np.nan  # not measured in every epoch
    thumbnails = Thumbnails(np.arange(count), tuple(made.thumbnails[row] for row in range(count)))
    path = tmp_path / "run.h5"
    store.create(path, made.run, made.samples, (), thumbnails)
    store.add_training(path, 0, 0.0, 0, {}, {name: MeasureInfo("", "", "high") for name in names})
    for number, epoch in enumerate(logged, 1):
        store.append_epoch(path, 0, EpochRow(number, 1.0, 0.9, np.nan, np.nan, 0.1, 1.0, epoch))
    report = curvaudit.report(path, top=5)
    known = report.trajectories
    assert set(report.order[:5]) <= set(known.rows) and set(report.spread) <= set(known.rows)
    assert report.order[0] in report.spread and report.order[-1] in report.spread
    assert set(report.spread) <= set(report.thumbnails)
    curvature = np.stack([epoch["curvature"] for epoch in logged])
    np.testing.assert_array_equal(known.curvature, curvature[:, known.rows])
    np.testing.assert_array_equal(known.probed, np.stack([epoch["probes"][known.rows] > 0 for epoch in logged]))
    np.testing.assert_array_equal(known.prediction, np.tile(made.samples.labels[known.rows], (3, 1)))
    mine = curvature[:, made.samples.labels == 1]
    np.testing.assert_allclose(known.class_median[::2, 1], np.median(mine[::2], axis=1), rtol=1e-6)
    assert np.isnan(known.class_median[1]).all()

    def damaged(run, training, name):
        yield logged[0][name]
        raise CurvauditError("damaged", "restore it")

    monkeypatch.setattr(store.Run, "measure_epochs", damaged)
    known = curvaudit.report(path, top=5).trajectories  # no curve rather than no report
    assert np.isnan(known.curvature).all() and np.isnan(known.class_median).all() and (known.prediction == -1).all()


def test_notebook_view_is_compact_and_text():
    shown = make_report()._repr_html_()
    assert "Not fine yet" in shown and shown.count("<img") == 24 and len(shown) < 200_000
    assert "onerror=alert(1)>" not in shown and "<b>square" not in shown
    assert "<script" not in shown


def test_frame_matches_the_csv(tmp_path):
    pandas = pytest.importorskip("pandas")
    report = make_report()
    frame = report.to_pandas()
    csv = pandas.read_csv(curvaudit.save(report, tmp_path).with_name("ranking.csv"))
    assert [*frame.reset_index().columns] == [*csv[["index", *csv.columns.drop("index")]].columns]
    np.testing.assert_array_equal(frame.index, csv["index"])
    np.testing.assert_array_equal(frame["rank"], csv["rank"])
    np.testing.assert_allclose(frame["margin"], csv["margin"], rtol=1e-6)
    assert frame.loc[3, "suggested_label"] == "=stripe" and pandas.isna(frame.loc[0, "suggested_label"])
    assert frame.loc[5, "rules"] == "CA101"


def test_without_pandas_the_message_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(CurvauditError) as caught:
        make_report().to_pandas()
    assert "pip install 'curvaudit[pandas]'" in caught.value.hint
