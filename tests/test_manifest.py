"""Manifests as people and programs write them, well or badly."""

import csv
import json
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from curvaudit import inventory, sources
from curvaudit.errors import CurvauditError
from curvaudit.sources import SourceOptions
from curvaudit.sources.labelling import label_all


def take(path, **options):
    return inventory.take(sources.load(path, SourceOptions(**options)), 2, lambda done: None)


def write(folder, text, name="m.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def reasons(stock):
    return {item.id: item.reason for item in stock.skipped}


def test_paths_are_relative_to_the_manifest_and_columns_and_lines_are_kept(image_folder, tmp_path):
    (tmp_path / "tables").mkdir()
    text = (
        "File_Name,site,Label,note\n"
        "../images/circle/000.png,north,round,\n"
        '../images/square/000.png,,angular,"two\nlines, and a comma"\n'
        f"{image_folder}/square/001.png,=1+1,angular,x\n"
    )
    stock = take(write(tmp_path / "tables", text))
    assert stock.samples.ids == (
        "../images/circle/000.png",
        "../images/square/000.png",
        f"{image_folder}/square/001.png",
    )
    assert stock.samples.classes == ("angular", "round")
    assert stock.samples.columns == {"site": ("north", "", "=1+1"), "note": ("", "two\nlines, and a comma", "x")}
    assert stock.samples.lines.tolist() == [2, 3, 5]
    assert stock.skipped == ()


def test_rows_that_cannot_be_used_are_named_and_the_rest_is_audited(image_folder, tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "broken.png").symlink_to("nowhere.png")
    text = (
        "path,label\r\n"
        "images/circle/000.png,a\r\n"
        "\r\n"
        "images/circle/001.png\r\n"
        ",a\r\n"
        "images/circle/002.png,\r\n"
        "images/a,b.png,c\r\n"
        "missing.png,a\r\n"
        "images,a\r\n"
        "pipe.png,a\r\n"
        "broken.png,b\r\n"
        "/dev/zero,b\r\n"
        "nul\0.png,b\r\n"
        "images/circle/004.png,b\0\r\n"
        f"{'x' * 5000}.png,b\r\n"
        "https://example.org/a.png,b\r\n"
        "m.csv,b\r\n"
        "images\\square\\000.png,b\r\n"
        "images/circle/003.png,b,,\r\n"
    )
    stock = take(write(tmp_path, text))
    assert stock.samples.ids == ("images/circle/000.png", "images\\square\\000.png", "images/circle/003.png")
    assert stock.samples.lines.tolist() == [2, 18, 19]
    found = reasons(stock)
    assert found.pop("x" * 5000 + ".png").startswith("cannot be opened")
    assert found == {
        "images/circle/001.png": "it has no label",
        "line 5": "it names no picture",
        "images/circle/002.png": "it has no label",
        "line 7": "it has 3 fields, the header only 2: quote fields with commas",
        "missing.png": "there is no such file",
        "images": "a folder, not a file",
        "pipe.png": "neither a file nor a folder",
        "broken.png": "broken symbolic link",
        "/dev/zero": "neither a file nor a folder",
        "nul\0.png": "its path holds a NUL character",
        "images/circle/004.png": "its label holds a NUL character",
        "https://example.org/a.png": "an address, not a file: nothing is loaded from the network",
        "m.csv": "not an image, or of a format that Pillow does not read",
    }
    assert all(item.kind == "unreadable" for item in stock.skipped)


def test_a_path_that_stands_twice_is_audited_twice(image_folder, tmp_path):
    rows = "path,label\nimages/circle/000.png,a\nimages/circle/000.png,b\nimages/circle/000.png,a\n"
    stock = take(write(tmp_path, rows))
    assert stock.samples.ids == tuple(f"images/circle/000.png{end}" for end in ("", " (2)", " (3)"))
    assert stock.samples.columns == {"(path)": ("images/circle/000.png",) * 3}
    assert len(set(stock.samples.content_hash.tolist())) == 1


def test_the_split_column_chooses_rows_but_not_classes(image_folder, tmp_path):
    rows = ["path,label,split"]
    rows += [f"images/circle/{i:03d}.png,{'ab'[i % 2]},{('Train', 'valid', 'test')[i % 3]}" for i in range(12)]
    rows += ["images/square/000.png,c,test", "images/square/001.png,a,"]
    path = write(tmp_path, "\n".join(rows))
    train = take(path)
    assert train.source.name.endswith("m.csv (Train)") and len(train.samples) == 4
    assert train.samples.classes == ("a", "b", "c")
    assert "split" not in train.samples.columns
    assert [(item.id, item.kind) for item in train.skipped] == [("line 15", "doubtful")]
    assert len(take(path, split="validation").samples) == 4
    assert len(take(path, split="test").samples) == 5
    with pytest.raises(CurvauditError, match="fold3") as caught:
        sources.load(path, SourceOptions(split="fold3"))
    assert "Train, valid, test" in caught.value.hint
    plain = write(tmp_path, "path,label\nimages/circle/000.png,a\n", "plain.csv")
    with pytest.raises(CurvauditError, match="no splits"):
        sources.load(plain, SourceOptions(split="train"))


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffpath,label\nimages/circle/000.png,a\nimages/square/000.png,b\n",
        "path;label\nimages/circle/000.png;a\nimages/square/000.png;b\n",
        "\ufeffsep=;\r\npath;label\r\nimages/circle/000.png;a\r\nimages/square/000.png;b\r\n",
        "path\tlabel\nimages/circle/000.png\ta\nimages/square/000.png\tb",
        "path, label\rimages/circle/000.png, a\rimages/square/000.png, b\r",
        "label,image,n\na,images/circle/000.png\nb,./images/square/000.png,3\n",
    ],
)
def test_what_spreadsheets_write_is_read(text, image_folder, tmp_path):
    stock = take(write(tmp_path, text))
    assert len(stock.samples) == 2 and stock.samples.classes == ("a", "b") and stock.skipped == ()


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_blanks_around_a_cell_do_not_count_unless_they_are_in_quotes(delimiter, image_folder, tmp_path):
    lines = [
        " path ,label , note",
        "images/circle/000.png,a, x y ",
        "  images/circle/001.png  ,  a  ,",
        ' "images/circle/002.png" ,"a "  , "two, ""three"" \n , lines" ',
        'images/circle/003.png," a",5" wide',
        "images/circle/004.png,b ,",
        "  images/circle/005.png,  ,",
        "  ,b,",
        "images/circle/006.png,b, ",
    ]
    stock = take(write(tmp_path, "\n".join(lines).replace(",", delimiter)))
    assert stock.samples.ids == tuple(f"images/circle/00{i}.png" for i in (0, 1, 2, 3, 4, 6))
    labels = [stock.samples.classes[label] for label in stock.samples.labels]
    assert labels == ["a", "a", "a ", " a", "b", "b"]
    two = 'two, "three" \n , lines'.replace(",", delimiter)
    assert stock.samples.columns == {"note": ("x y", "", two, '5" wide', "", "")}
    assert stock.samples.lines.tolist() == [2, 3, 4, 6, 7, 10]
    assert reasons(stock) == {"images/circle/005.png": "it has no label", "line 9": "it names no picture"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no rows"),
        ("path,label\n", "no rows"),
        ("\n \n", "no rows"),
        ("path,kind\nx,y\n", "no label column; it has path, kind"),
        ("a,b\nx,y\n", "no path column; it has a, b"),
        ("path,label,label\nx,y,z\n", "'label' twice"),
        ("path,label\nx,y\nna\u00efve,z\n".encode("latin-1"), "line 3"),
        ("path,label\nx,y\n".encode("utf-16"), "UTF-16"),
        ("path,label\nx,y\n".encode("utf-16-le"), "no path column"),
        ('path,label\nx,y\n"a,b\nc,d\n', "line 3"),
        ('path,label\n"a"b,c\n', "line 2"),
        ('path,label\nx,y\n"' + "x" * 200_000 + ",y\n", "line 3"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "not UTF-8"),
    ],
)
def test_manifests_that_cannot_be_read_are_refused_with_place_and_remedy(text, says, tmp_path):
    with pytest.raises(CurvauditError, match=says) as caught:
        sources.load(write(tmp_path, text))
    assert "m.csv" in caught.value.message and caught.value.hint


def test_a_cell_may_be_as_long_as_in_json_lines(image_folder, tmp_path):
    polygons = "[[1, 2], [3, 4]], " * 20_000
    cells = {"path": "images/circle/000.png", "label": "a", "polygons": polygons.strip()}
    table = f'{",".join(cells)}\nimages/circle/000.png,a,"{polygons}"\nimages/square/000.png,b,\n'
    lines = f"{json.dumps(cells)}\n" + json.dumps({"path": "images/square/000.png", "label": "b"})
    found = [take(write(tmp_path, *given)).samples for given in ((table.strip(),), (lines, "m.jsonl"))]
    assert found[0].columns["polygons"][0].strip() == found[1].columns["polygons"][0]
    assert found[0].ids == found[1].ids and len(found[0].ids) == 2


def test_the_limit_of_csv_is_that_of_others_in_the_program_again(image_folder, tmp_path):
    with pytest.raises(CurvauditError):
        sources.load(write(tmp_path, 'path,label\n"' + "x" * 200_000))
    sources.load(write(tmp_path, f"path,label,note\nx,a,{'y' * 200_000}\nz,b,\n"))
    with pytest.raises(csv.Error, match="field larger"):
        next(csv.reader(["x" * 200_000]))


def test_threads_that_read_do_not_take_the_limit_from_each_other(tmp_path):
    path = write(tmp_path, "path,label,note\n" + f"x,a,{'y' * 200_000}\nz,b,\n" * 20)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: len(sources.load(path).ids), range(40)))
    assert found == [40] * 40


def test_other_columns_are_named_by_the_options(image_folder, tmp_path):
    path = write(tmp_path, "where,label,species\nimages/circle/000.png,x,a\nimages/square/000.png,x,b\n")
    stock = take(path, image_column="where", label_column="species")
    assert stock.samples.classes == ("a", "b") and stock.samples.columns == {"label": ("x", "x")}
    with pytest.raises(CurvauditError, match="weight") as caught:
        sources.load(path, SourceOptions(image_column="where", label_column="weight"))
    assert "where, label, species" in caught.value.hint


def test_json_lines_are_read_and_bad_ones_named(image_folder, tmp_path):
    good = [{"path": f"images/circle/{i:03d}.png", "label": i % 2, "more": {"x": [i, None]}} for i in range(3)]
    lines = [json.dumps(item) for item in good]
    lines += [
        "",
        '{"path": "images/circle/003.png", "label": ',
        "[1, 2]",
        "[" * 100_000,
        '{"path": "images/circle/004.png", "label": [1]}',
        '{"path": "images/circle/005.png", "label": null}',
        '{"path": 5, "label": 1}',
        '{"label": 1}',
        '{"path": "\\ud800.png", "label": 1}',
        '{"path": "images/circle/006.png", "label": 1.5}',
        '{"path": "images/circle/007.png", "label": 1.0, "other": "\\ud800"}',
        '{"path": "images/circle/008.png", "label": ' + "9" * 5000 + "}",
    ]
    stock = take(write(tmp_path, "\n".join(lines), "m.jsonl"))
    assert stock.samples.ids == (*(item["path"] for item in good), "images/circle/007.png")
    assert stock.samples.classes == ("0", "1")
    assert stock.samples.columns["more"][1] == '{"x": [1, null]}'
    assert stock.samples.columns["other"] == ("", "", "", "\\ud800")
    assert stock.samples.lines.tolist() == [1, 2, 3, 14]
    assert set(reasons(stock)) == {
        "line 5",
        "line 6",
        "line 7",
        "images/circle/004.png",
        "images/circle/005.png",
        "line 10",
        "line 11",
        "\\ud800.png",
        "images/circle/006.png",
        "line 15",
    }


def test_truth_values_are_the_classes_false_and_true(image_folder, tmp_path):
    lines = [{"path": f"images/circle/{i:03d}.png", "label": label} for i, label in enumerate((True, False, True))]
    path = write(tmp_path, "\n".join(map(json.dumps, lines)), "m.jsonl")
    stock = take(path)
    assert stock.samples.classes == ("false", "true") and stock.samples.labels.tolist() == [1, 0, 1]
    path.write_text(path.read_text() + '\n{"path": "images/circle/003.png", "label": 1}')
    assert take(path).samples.classes == ("1", "false", "true")
    found = label_all([np.True_, False], ["no", "yes"])
    assert found.classes == ("no", "yes") and found.rows.tolist() == [1, 0]


def test_a_gap_in_a_column_of_numbers_is_no_label():
    found = label_all([1.0, float("nan"), np.float32("nan"), 2.0])
    assert found.rows.tolist() == [0, -1, -1, 1] and set(found.reasons.values()) == {"it has no label"}


def test_a_json_document_is_no_json_lines(tmp_path):
    path = write(tmp_path, json.dumps([{"path": "a.png", "label": "a"}], indent=1), "m.jsonl")
    with pytest.raises(CurvauditError, match="no rows"):
        sources.load(path)


def test_a_column_invented_on_every_line_does_not_fill_the_memory(image_folder, tmp_path):
    lines = [json.dumps({"path": f"images/circle/{i % 20:03d}.png", "label": i % 2, f"key {i}": i}) for i in range(400)]
    source = sources.load(write(tmp_path, "\n".join(lines), "m.jsonl"))
    assert len(source.columns) == 257  # 256 and the paths, since they repeat
    assert [(item.id, item.kind) for item in source.skipped] == [("m.jsonl", "ignored")]


def test_nothing_readable_says_why(tmp_path):
    with pytest.raises(CurvauditError, match="there is no such file"):
        take(write(tmp_path, "path,label\na.png,a\nb.png,b\n"))


def test_the_command_keeps_the_columns_in_the_run_and_refuses_to_resume_with_others(
    image_folder, tmp_path, monkeypatch, capsys
):
    import sys

    import curvaudit
    from curvaudit.cli import main

    monkeypatch.chdir(tmp_path)
    rows = [f"images/{kind}/{i:03d}.png,{kind},{'ab'[i % 2]}" for kind in ("circle", "square") for i in range(8)]
    write(tmp_path, "\n".join(["where,label,species", *rows]))
    given = ["curvaudit", "scan", "m.csv", "--epochs", "1", "--width", "4", "--device", "cpu"]
    given += ["--image-column", "where"]
    for more, code in (([], 0), (["--resume", "--label-column", "species"], 2)):
        monkeypatch.setattr(sys, "argv", [*given, *more])
        with pytest.raises(SystemExit) as leave:
            main()
        assert (leave.value.code or 0) == code, capsys.readouterr().err
    assert "label_column was None and is now 'species'" in capsys.readouterr().err
    run = curvaudit.open_run("curvaudit.h5")
    assert run.info.config["image_column"] == "where" and run.samples.classes == ("circle", "square")
    assert run.samples.columns == {"species": tuple("ab" * 8)}
    assert run.samples.lines.tolist() == list(range(2, 18))


@pytest.mark.parametrize(
    ("written", "lies", "told"),
    [
        ("0.jpg", "train_images/0.jpg", ", but one at train_images/0.jpg"),
        ("0", "train_images/0.jpg", ", but one at train_images/0.jpg"),
        ("0", "0.png", ", but one at 0.png"),
        ("a/0.jpg", "b/a/0.jpg", ", but one at b/a/0.jpg"),
        ("0.jpg", "b/c/0.jpg", ""),
    ],
)
def test_a_first_picture_that_lies_elsewhere_is_pointed_at(tmp_path, written, lies, told):
    (tmp_path / lies).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / lies).touch()
    (tmp_path / "train.csv").write_text(f"image_id,label\n{written},cat\nx,dog\n")
    with pytest.raises(CurvauditError) as error:
        take(tmp_path / "train.csv", image_column="image_id")
    assert f"({written}: there is no such file{told}, and 1 more)" in error.value.message
    assert "relative to its folder" in error.value.hint
