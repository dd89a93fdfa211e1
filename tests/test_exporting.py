"""Files for other programs, and the manifest with a reviewer's decisions applied."""

import csv
import io
import json
import math
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from made import draw_folder

import curvaudit
from curvaudit import decisions, inventory, store
from curvaudit.anonymizing import anonymized
from curvaudit.cli import main
from curvaudit.errors import CurvauditError
from curvaudit.exports import fixed_csv
from curvaudit.records import Thumbnails

SMALL = {"epochs": 2, "width": 4, "batch_size": 32, "device": "cpu"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on a manifest with a conflict, a copy, a repeated path and an unreadable picture."""
    root = tmp_path_factory.mktemp("exporting")
    draw_folder(root / "images", classes=("circle", "square"), each=8, size=20)
    (root / "images" / "square" / "conflict.png").write_bytes((root / "images" / "circle" / "000.png").read_bytes())
    (root / "images" / "circle" / "=copy, 1.png").write_bytes((root / "images" / "circle" / "001.png").read_bytes())
    (root / "images" / "circle" / "flat.png").write_bytes(b"no picture")
    paths = sorted((root / "images").glob("*/*"))
    rows = [[path.relative_to(root).as_posix(), path.parent.name, f"site {i % 2}"] for i, path in enumerate(paths)]
    rows.append(rows[3])
    with (root / "m.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path", "label", "site"], *rows])
    return curvaudit.scan(root / "m.csv", root / "run.h5", **SMALL)


def table(content):
    return list(csv.DictReader(io.StringIO(content, newline="")))


def decision(run, identity, what, new=None, **changes):
    row = run.samples.ids.index(identity)
    return {
        "index": row,
        "id": identity,
        "label": run.samples.classes[run.samples.labels[row]],
        "content_hash": f"{int(run.samples.content_hash[row]):016x}",
        "decision": what,
        "new_label": new,
        "findings": [],
        **changes,
    }


def write_decisions(path, run, *entries):
    document = {
        "schema": "curvaudit-decisions/1",
        "run": str(run.path),
        "source_fingerprint": run.info.source_fingerprint,
        "decisions": list(entries),
    }
    path.write_text(json.dumps(document))
    return path


# --- report --format -----------------------------------------------------------------


def test_parquet_holds_the_table_of_the_csv_with_types(run, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    report = curvaudit.report(run)
    path = curvaudit.save(report, tmp_path / "out", ["parquet", "csv"])
    assert path.name == "ranking.parquet" and not (tmp_path / "out" / "index.html").exists()
    typed = pq.read_table(path)
    plain = table((tmp_path / "out" / "ranking.csv").read_text())
    assert typed.column_names == list(plain[0])
    assert str(typed.schema.field("curvature").type) == "float" and str(typed.schema.field("rank").type) == "int64"
    for row, expected in zip(typed.to_pylist(), plain, strict=True):
        assert (row["rank"], row["index"]) == (int(expected["rank"]), int(expected["index"]))
        assert row["id"] == expected["id"] and row["rules"] == expected["rules"]
        assert (row["suggested_label"] or "") == expected["suggested_label"]
        assert row["loss"] == np.float32(expected["loss"]) and row["meta:site"] == expected["meta:site"]


@pytest.mark.parametrize(("formats", "says"), [(["pdf"], "'pdf'"), (["htlm"], "'htlm'"), ([], "No format")])
def test_unknown_formats_are_named_before_anything_is_written(formats, says, run, tmp_path):
    with pytest.raises(CurvauditError, match=says):
        curvaudit.save(curvaudit.report(run), tmp_path / "out", formats)
    assert not (tmp_path / "out").exists()


def test_report_writes_what_is_asked_for(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        sys, "argv", ["curvaudit", "report", str(run.path), "-o", str(tmp_path / "o"), "--format", "json, csv"]
    )
    with pytest.raises(SystemExit) as leave:
        main()
    assert not leave.value.code, capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == ["findings.json", "ranking.csv"]
    assert "File: " in capsys.readouterr().out


def test_parquet_without_pyarrow_names_the_install_command(run, tmp_path):
    code = (
        "import sys\n"
        "sys.modules['pyarrow'] = None\n"
        "from curvaudit.cli import main\n"
        f"sys.argv = ['curvaudit', 'report', {str(run.path)!r}, '-o', {str(tmp_path / 'o')!r}, '--format', 'parquet']\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2 and "pip install 'curvaudit[parquet]'" in done.stderr
    assert not (tmp_path / "o").exists()


# --- cleanlab and FiftyOne -----------------------------------------------------------


def test_cleanlab_columns_say_what_the_findings_say(run, tmp_path):
    curvaudit.export(run.path, "cleanlab", tmp_path / "c.csv")
    report = curvaudit.report(run)
    rows = table((tmp_path / "c.csv").read_text())
    assert [row["id"] for row in rows] == list(run.samples.ids)
    scores = np.array([float(row["label_score"]) for row in rows])
    assert scores.min() == 0 and scores.max() == 1
    assert np.argsort(scores, kind="stable").tolist() == report.order.tolist()
    conflict = run.samples.ids.index("images/square/conflict.png")
    original = run.samples.ids.index("images/circle/000.png")
    for here, there in ((conflict, original), (original, conflict)):
        assert rows[here]["is_label_issue"] == rows[here]["is_exact_duplicate_issue"] == "True"
        assert rows[here]["near_duplicate_score"] == "0"
        assert json.loads(rows[here]["near_duplicate_sets"]) == [there]
    copy = run.samples.ids.index("images/circle/=copy, 1.png")
    assert rows[copy]["is_exact_duplicate_issue"] == "True"
    for row, line in enumerate(rows):
        rules = set(report.rules_of(row))
        assert line["given_label"] == report.label(row)
        assert (line["is_label_issue"] == "True") == bool(rules & {"CA101", "CA102", "CA201"})
        assert (line["is_outlier_issue"] == "True") == ("CA202" in rules)
        if not rules & {"CA101", "CA102", "CA111", "CA112"}:
            assert line["near_duplicate_score"] == "1" and line["near_duplicate_sets"] == "[]"


def test_fiftyone_json_declares_every_field_that_its_samples_have(run, tmp_path):
    curvaudit.export(run.path, "fiftyone", tmp_path / "f.json")
    report = curvaudit.report(run)
    document = json.loads((tmp_path / "f.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert document["num_samples"] == len(document["samples"]) == len(run.samples)
    for place, sample in enumerate(document["samples"]):
        row = int(report.order[place])
        assert set(sample) == set(document["sample_fields"])
        assert sample["rank"] == place + 1
        assert sample["ground_truth"] == {"_cls": "Classification", "tags": [], "label": report.label(row)}
        assert sample["tags"] == list(report.rules_of(row))
        assert math.isclose(sample["score_loss"], report.scores["loss"][row], rel_tol=1e-12)
        # Relative to the manifest, and the true path where a manifest names one twice.
        assert (run.path.parent / sample["filepath"]).is_file()


def test_fiftyone_is_told_where_its_paths_begin(run, tmp_path):
    import formats

    draw_folder(tmp_path / "images", classes=("circle", "square"), each=4, size=20)
    arrays = curvaudit.scan(formats.write_npz(tmp_path / "images"), tmp_path / "run.h5", **SMALL)
    said = [
        " ".join(curvaudit.export(one, "fiftyone", tmp_path / one.info.source_fingerprint).notes)
        for one in (run, arrays)
    ]
    assert "at the scanned manifest: give that folder as rel_dir" in said[0] and "lead nowhere" in said[1]


# --- csv-fixed -----------------------------------------------------------------------


def test_decisions_are_applied_and_the_rest_is_left_as_it_is(run, tmp_path):
    entries = (
        decision(run, "images/square/conflict.png", "wrong-label", "circle"),
        decision(run, "images/circle/=copy, 1.png", "drop"),
        decision(run, "images/circle/003.png", "fine"),
        decision(run, "images/circle/004.png", "ambiguous"),
        decision(run, "images/circle/005.png", "wrong-label"),
        decision(run, "images/circle/006.png", "wrong-label", "triangle"),
    )
    made = curvaudit.export(
        run.path,
        "csv-fixed",
        run.path.parent / "fixed.csv",
        decisions=write_decisions(tmp_path / "d.json", run, *entries),
    )
    assert "1 dropped, 2 relabelled" in made.notes[0]
    assert made.notes[1] == "1 more could not be read, and is not among them."
    assert any("images/circle/005.png" in note for note in made.notes)
    assert any("triangle" in note for note in made.notes)
    before = table((run.path.parent / "m.csv").read_text())
    after = table(made.path.read_text())
    changed = {"images/square/conflict.png": "circle", "images/circle/006.png": "triangle"}
    gone = {"images/circle/=copy, 1.png", "images/circle/flat.png"}  # dropped; unreadable, thus not in the run
    expected = [{**row, "label": changed.get(row["path"], row["label"])} for row in before if row["path"] not in gone]
    assert after == expected
    # What was written is a manifest that can be scanned again.
    again = curvaudit.sources.load(made.path)
    assert again.classes == ("circle", "square", "triangle") and len(again.ids) == len(after)


def test_a_file_without_any_picture_says_so(run, tmp_path):
    decided = write_decisions(tmp_path / "d.json", run, *(decision(run, name, "drop") for name in run.samples.ids))
    made = curvaudit.export(run.path, "csv-fixed", tmp_path / "f.csv", decisions=decided)
    assert len(made.path.read_text().splitlines()) == 1 and any("Nothing is left" in note for note in made.notes)


def test_decisions_saved_as_csv_are_the_same(run, tmp_path):
    entries = [decision(run, "images/circle/=copy, 1.png", "drop"), decision(run, "images/circle/003.png", "fine")]
    entries[1]["new_label"] = ""
    entries[0]["new_label"] = ""
    with (tmp_path / "d.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(entries[0]))
        writer.writeheader()
        for entry in entries:
            writer.writerow({**entry, "findings": "a1 b2"})
    made = curvaudit.export(run, "csv-fixed", tmp_path / "f.csv", decisions=tmp_path / "d.csv")
    assert "1 dropped, 0 relabelled" in made.notes[0]
    assert "copy, 1" not in made.path.read_text()


@pytest.mark.parametrize("identity", ["a\rb.png", "a\r\nb.png", "a\nb.png", "\r.png", "n" * 200_000])
def test_decisions_saved_as_csv_name_ids_of_any_text(identity, tmp_path):
    # As the page quotes them: exports/page/decisions.js.
    name = f'"\'{identity}"' if identity.startswith("\r") else f'"{identity}"'
    content = f"index,id,label,content_hash,decision,new_label\n3,{name},cat,00ff,drop,\n"
    (tmp_path / "d.csv").write_bytes(b"\xef\xbb\xbf" + content.encode())
    (found,) = decisions.read(tmp_path / "d.csv")
    assert (found.id, found.label, found.content_hash) == (identity, "cat", 255)


@pytest.fixture
def thumbs(tmp_path):
    """A run on the thumbnails of a manifest, one of them twice; its further columns have the names of heads."""
    draw_folder(tmp_path / "images", classes=("circle", "square"), each=4, size=20)
    thumbs = [path.relative_to(tmp_path).as_posix() for path in sorted((tmp_path / "images").glob("*/*"))]
    thumbs.append(thumbs[0])
    further = ["path", "label", "Split ", "meta:path", "(path)"]
    rows = [["thumb", "species", "split", *further]]
    rows += [
        [thumb, thumb.split("/")[1], "train", *(f"{name} {i}" for name in further)] for i, thumb in enumerate(thumbs)
    ]
    (tmp_path / "m.jsonl").write_text(
        "".join(json.dumps(dict(zip(rows[0], row, strict=True))) + "\n" for row in rows[1:])
    )
    columns = {"image_column": "thumb", "label_column": "species"}
    return curvaudit.scan(tmp_path / "m.jsonl", tmp_path / "run.h5", **SMALL, **columns), thumbs


def test_the_audited_picture_is_written_whatever_other_columns_are_called(thumbs, tmp_path):
    run, paths = thumbs
    entries = [decision(run, paths[3], "fine")]
    made = curvaudit.export(
        run.path, "csv-fixed", tmp_path / "f.csv", decisions=write_decisions(tmp_path / "d", run, *entries)
    )
    rows = table(made.path.read_text())
    assert [row["path"] for row in rows] == paths
    assert [row["label"] for row in rows] == [path.split("/")[1] for path in paths]
    heads = {"meta:meta:path": "path", "meta:label": "label", "meta:Split": "Split ", "meta:path": "meta:path"}
    heads["(path) (2)"] = "(path)"
    assert list(rows[0]) == ["path", "label", *heads]
    assert all(row[head] == f"{name} {i}" for i, row in enumerate(rows) for head, name in heads.items())
    again = curvaudit.sources.load(made.path)
    assert again.ids == run.samples.ids and tuple(again.columns) == ("(path)", *heads)

    curvaudit.export(run.path, "fiftyone", tmp_path / "f.json")
    samples = json.loads((tmp_path / "f.json").read_text())["samples"]
    report = curvaudit.report(run)
    assert [sample["filepath"] for sample in samples] == [paths[row] for row in report.order]


@pytest.mark.parametrize(
    ("texts", "paths", "further"),
    [
        (("a", "b", "a"), ("a", "b", "a"), ()),  # what earlier versions kept
        (("a", "b", "c"), ("a", "b", "a (2)"), ("path",)),  # somebody's own column
        (("a", "b", "a (2)"), ("a", "b", "a (2)"), ("path",)),
    ],
)
def test_a_column_of_earlier_versions_is_told_from_one_of_the_user(texts, paths, further, run):
    samples = replace(run.samples, ids=("a", "b", "a (2)"), columns={"path": texts})
    assert samples.paths == paths and tuple(samples.further) == further


def test_names_that_begin_or_end_with_a_blank_read_back_as_they_are(run, tmp_path):
    # The same files in all, so that a blank that is lost names another picture and does not fail.
    classes = ("cat", " cat", "cat ", "\tcat", 'c"at ', "cat; ", "cat, ")
    draw_folder(tmp_path / "images", classes=classes, each=3, size=20)
    source = curvaudit.sources.load(tmp_path / "images")
    further = {" site": source.ids, "a;b;c;d": (" x", "y ", "\u00a0z", "q", '" "', " ", "") * 3}
    samples = replace(run.samples, ids=source.ids, labels=source.labels, classes=source.classes, columns=further)
    path = tmp_path / "images" / "fixed.csv"
    path.write_bytes(fixed_csv.render(samples, {}).content)
    again = curvaudit.sources.load(path)
    assert again.ids == source.ids and again.skipped == ()
    assert [again.classes[label] for label in again.labels] == [source.classes[label] for label in source.labels]
    assert list(again.columns.items()) == [("site", source.ids), ("a;b;c;d", further["a;b;c;d"])]
    for row in range(len(source.ids)):
        assert again.encoded(row) == source.encoded(row)


@pytest.mark.parametrize("kind", ["folder", "jsonl", "npz", "tar", "parquet", "python", "digits"])
def test_ids_that_are_no_paths_are_called_so(kind, run, tmp_path):
    import formats

    if kind == "parquet":
        pytest.importorskip("pyarrow")
    images = tmp_path / "images"
    draw_folder(images, classes=("circle", "square"), each=2, size=20)
    if kind in ("jsonl", "npz", "tar", "parquet"):
        spec = getattr(formats, f"write_{kind}")(images)
    else:
        spec = {"folder": images, "digits": "digits"}.get(
            kind, [(np.full((8, 8), i, np.uint8), i % 2) for i in range(4)]
        )
    stock = inventory.take(curvaudit.sources.load(spec), 1, lambda done: None)
    config = {**run.info.config, "source": None if kind == "python" else str(spec)}
    info = replace(run.info, config=config)
    store.create(tmp_path / "run.h5", info, stock.samples, (), Thumbnails(np.zeros(0, np.int64), ()))
    made = store.open_run(tmp_path / "run.h5")
    decided = write_decisions(tmp_path / "d", made, decision(made, made.samples.ids[0], "fine"))

    def notes(name):
        return " ".join(curvaudit.export(made.path, "csv-fixed", images / name, decisions=decided).notes)

    files = kind in ("folder", "jsonl")
    assert ("beside the class folders" in notes("a.csv")) == files
    assert ("cannot be scanned" in notes("b.csv")) == (not files)
    if kind == "folder":
        assert len(inventory.take(curvaudit.sources.load(images / "a.csv"), 1, lambda done: None).samples) == 4
        images.rename(tmp_path / "elsewhere")
        images.mkdir()
        assert "beside the class folders" in notes("c.csv")
        assert curvaudit.sources.ids_are_paths("~nobody-of-that-name/images") is None


@pytest.mark.parametrize("kind", ["folder", "manifest"])
def test_names_that_no_manifest_can_hold_are_counted(kind, run, tmp_path):
    images = tmp_path / "images"
    draw_folder(images, classes=("circle", "square"), each=3, size=20)
    if kind == "folder":
        try:
            for number in range(2):
                (images / "circle" / f"00{number}.png").rename(
                    os.fsdecode(os.fsencode(images / "circle") + b"/\xff%d.png" % number)
                )
        except OSError:
            pytest.skip("this file system knows UTF-8 only")
        spec = images
    else:  # written so by somebody
        spec = tmp_path / "m.csv"
        (images / "circle" / "000.png").rename(images / "circle" / "\\xff0.png")
        spec.write_text("path,label\nimages/circle/\\xff0.png,circle\nimages/square/000.png,square\n")
    stock = inventory.take(curvaudit.sources.load(spec), 1, lambda done: None)
    info = replace(run.info, config={**run.info.config, "source": str(spec)})
    store.create(tmp_path / "run.h5", info, stock.samples, (), Thumbnails(np.zeros(0, np.int64), ()))
    made = store.open_run(tmp_path / "run.h5")

    def notes(*dropped):
        decided = [decision(made, made.samples.ids[-1], "fine"), *(decision(made, name, "drop") for name in dropped)]
        decided = write_decisions(tmp_path / "d", made, *decided)
        return " ".join(
            curvaudit.export(made.path, "csv-fixed", tmp_path / "f.csv", decisions=decided, overwrite=True).notes
        )

    if kind == "manifest":
        assert "escapes" not in notes()
        return
    assert r"2 paths stand there with escapes such as \xff (circle/\xff0.png, circle/\xff1.png)" in notes()
    assert r"1 path stands there with escapes such as \xff (circle/\xff1.png)" in notes(r"circle/\xff0.png")
    assert "escapes" not in notes(r"circle/\xff0.png", r"circle/\xff1.png")


@pytest.mark.parametrize(
    "changes",
    [{"content_hash": "00000000000000ff"}, {"id": "images/circle/999.png"}, {"label": "square"}],
)
def test_decisions_of_another_data_set_are_refused_and_nothing_is_written(changes, run, tmp_path):
    good = decision(run, "images/circle/003.png", "fine")
    bad = decision(run, "images/circle/004.png", "drop", **changes)
    with pytest.raises(CurvauditError, match="belongs to another data set: 1 of 2"):
        curvaudit.export(
            run.path, "csv-fixed", tmp_path / "f.csv", decisions=write_decisions(tmp_path / "d.json", run, good, bad)
        )
    assert not (tmp_path / "f.csv").exists()


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_decisions_from_an_anonymized_page_are_applied_to_its_run(kind, run, tmp_path):
    names = ("images/circle/005.png", "images/square/conflict.png")
    plain = write_decisions(tmp_path / "d.json", run, decision(run, names[0], "drop"), decision(run, names[1], "fine"))
    hidden = anonymized(run)
    entries = [
        decision(hidden, hidden.samples.ids[run.samples.ids.index(name)], what)
        for name, what in zip(names, ("drop", "fine"), strict=True)
    ]
    assert not {entry["id"] for entry in entries} & set(run.samples.ids)
    file = write_decisions(tmp_path / "hidden.json", hidden, *entries)
    if kind == "csv":
        columns = ("index", "id", "label", "content_hash", "decision", "new_label", "findings")
        texts = [[str(one["index"]), *(one[name] or "" for name in columns[1:-1]), ""] for one in entries]
        file.write_text("".join(",".join(line) + "\n" for line in (columns, *texts)))
    made = [curvaudit.export(run.path, "csv-fixed", tmp_path / f"{i}.csv", decisions=each).path.read_bytes()
            for i, each in enumerate((plain, file))]  # fmt: skip
    assert made[0] == made[1] and b"circle/005" not in made[0]
    # Of one that is no longer as it was, or of another run, nobody knows which picture is meant.
    entries[0]["content_hash"] = "00000000000000ff"
    with pytest.raises(CurvauditError, match="another data set: 1 of 2") as caught:
        curvaudit.export(run.path, "csv-fixed", tmp_path / "f.csv",
                         decisions=write_decisions(file.with_name("other.json"), hidden, *entries))  # fmt: skip
    assert "an anonymized page fits no other" in caught.value.hint


def test_contradicting_decisions_are_refused(run, tmp_path):
    entries = [decision(run, "images/circle/003.png", what) for what in ("fine", "drop")]
    with pytest.raises(CurvauditError, match="twice about images/circle/003"):
        curvaudit.export(
            run.path, "csv-fixed", tmp_path / "f.csv", decisions=write_decisions(tmp_path / "d.json", run, *entries)
        )


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"schema": "curvaudit-decisions/2", "decisions": []}',
        '{"schema": "curvaudit-decisions/1"}',
        '{"schema": "curvaudit-decisions/1", "decisions": [5]}',
        '{"schema": "curvaudit-decisions/1", "decisions": [{"index": 1, "id": "a", "label": "b", '
        '"content_hash": "xyz", "decision": "fine", "new_label": null}]}',
        '{"schema": "curvaudit-decisions/1", "decisions": [{"index": 1, "id": "a", "label": "b", '
        '"content_hash": "10000000000000000", "decision": "fine", "new_label": null}]}',
        '{"schema": "curvaudit-decisions/1", "decisions": [{"index": 1, "id": "a", "label": "b", '
        '"content_hash": "-1", "decision": "fine", "new_label": null}]}',
        '{"schema": "curvaudit-decisions/1", "decisions": [{"index": 1, "id": "a", "label": "b", '
        '"content_hash": "ff", "decision": "maybe", "new_label": null}]}',
        "[" * 50_000,
        "index,id\n1,a\n",
    ],
)
def test_files_that_are_no_decisions_are_refused_with_a_sentence(content, run, tmp_path):
    (tmp_path / "d.json").write_text(content)
    with pytest.raises(CurvauditError, match=r"d\.json is no decisions file"):
        curvaudit.export(run.path, "csv-fixed", tmp_path / "f.csv", decisions=tmp_path / "d.json")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--to", "cleanlap"], "Did you mean cleanlab?"),
        (["--to", "csv-fixed"], "--decisions"),
        (["--to", "cleanlab", "--decisions", "d.json"], "--decisions"),
        (["--to", "csv-fixed", "--decisions", "none.json"], "none.json"),
        (["--to", "cleanlab", "-o", "there.csv"], "there.csv exists already"),
        (["--to", "cleanlab", "-o", "no/where.csv"], "no/where.csv"),
    ],
)
def test_the_command_exits_2_and_says_what_to_do(arguments, says, run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.csv").write_text("precious")
    monkeypatch.setattr(sys, "argv", ["curvaudit", "export", str(run.path), *arguments])
    with pytest.raises(SystemExit) as leave:
        main()
    assert leave.value.code == 2
    assert says in capsys.readouterr().err
    assert (tmp_path / "there.csv").read_text() == "precious"


def test_what_is_read_is_never_replaced(run, tmp_path):
    (tmp_path / "d.json").write_text("{}")
    (tmp_path / "link.h5").symlink_to(run.path)
    before = run.path.read_bytes()
    for given, to, out, read in (
        (run.path, "cleanlab", run.path, None),
        (run, "fiftyone", run.path, None),
        (tmp_path / "link.h5", "cleanlab", run.path, None),
        (run.path, "csv-fixed", tmp_path / "d.json", tmp_path / "d.json"),
    ):
        with pytest.raises(CurvauditError, match="is read here: it is not replaced"):
            curvaudit.export(given, to, out, decisions=read, overwrite=True)
    assert run.path.read_bytes() == before and (tmp_path / "d.json").read_text() == "{}"


def test_the_command_names_the_file_it_wrote(run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["curvaudit", "export", str(run.path), "--to", "fiftyone"])
    with pytest.raises(SystemExit) as leave:
        main()
    assert not leave.value.code
    said = capsys.readouterr().out
    assert "1 more could not be read, and is not among them." in said and "rel_dir" in said
    assert "File: fiftyone.json" in said and (tmp_path / "fiftyone.json").is_file()
