"""Every format of one data set: same samples, same labels, same ranking."""

import json
import subprocess
import sys
import tarfile
from unittest import mock

import numpy as np
import pytest
from formats import add, listing, write_csv, write_jsonl, write_npz, write_parquet, write_tar
from PIL import Image

import curvaudit
from curvaudit import inventory, sources
from curvaudit.errors import CurvauditError
from curvaudit.sources import SourceOptions

SMALL = {"epochs": 2, "width": 4, "batch_size": 32, "device": "cpu"}
WRITERS = {"csv": write_csv, "jsonl": write_jsonl, "npz": write_npz, "parquet": write_parquet, "tar": write_tar}


def write(kind, folder):
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    return WRITERS[kind](folder)


def saved_to_disk(folder):
    datasets = pytest.importorskip("datasets")
    columns = {
        "image": [{"bytes": (folder / name).read_bytes(), "path": name} for name, _ in listing(folder)],
        "label": [label for _, label in listing(folder)],
    }
    classes = datasets.ClassLabel(names=sorted(set(columns["label"])))
    features = datasets.Features({"image": datasets.Image(), "label": classes})
    datasets.disable_progress_bars()
    datasets.Dataset.from_dict(columns, features=features).save_to_disk(str(folder.parent / "saved"))
    return f"hf:{folder.parent / 'saved'}"


def test_one_seed_gives_one_ranking_whatever_the_format_bit_for_bit(image_folder, tmp_path):
    (image_folder / "square" / "020.png").write_bytes((image_folder / "circle" / "003.png").read_bytes())
    given = {"folder": image_folder, "hf": saved_to_disk(image_folder)}
    given |= {kind: write(kind, image_folder) for kind in WRITERS}
    runs = {kind: curvaudit.scan(spec, tmp_path / f"{kind}.h5", **SMALL) for kind, spec in given.items()}
    first = runs["folder"]
    assert len(first.samples) == 61
    expected = curvaudit.report(first)
    for kind, run in runs.items():
        assert run.samples.classes == first.samples.classes, kind
        for name in ("labels", "content_hash", "phash", "width", "height", "contrast"):
            np.testing.assert_array_equal(getattr(run.samples, name), getattr(first.samples, name), err_msg=kind)
        for score in first.trainings[0].measures:
            np.testing.assert_array_equal(run.measure(0, score), first.measure(0, score), err_msg=f"{kind} {score}")
        report = curvaudit.report(run)
        np.testing.assert_array_equal(report.order, expected.order, err_msg=kind)
        # Findings are named by contents and labels, so that they are the same ones, too.
        assert [f.fingerprint for f in report.findings] == [f.fingerprint for f in expected.findings], kind
    assert runs["npz"].samples.ids == runs["parquet"].samples.ids == first.samples.ids
    assert runs["hf"].samples.ids == tuple(f"{row:02d}" for row in range(61))  # the library keeps no folders
    assert runs["csv"].samples.ids == runs["jsonl"].samples.ids == tuple(f"images/{i}" for i in first.samples.ids)
    assert runs["tar"].samples.ids == tuple(i.removesuffix(".png") for i in first.samples.ids)


@pytest.mark.parametrize("kind", ["npz", "parquet", "tar"])
def test_threads_see_the_same_pictures_as_one(kind, image_folder):
    source = sources.load(write(kind, image_folder))
    for workers in (1, 8):
        stock = inventory.take(source, workers, lambda done: None)
        expected = inventory.take(sources.load(image_folder), 1, lambda done: None)
        np.testing.assert_array_equal(stock.samples.content_hash, expected.samples.content_hash)


@pytest.mark.parametrize("kind", list(WRITERS))
def test_a_path_object_is_a_source_as_text_is(kind, image_folder):
    from pathlib import Path

    assert len(sources.load(Path(write(kind, image_folder))).ids) == 60


# --- class names and order -----------------------------------------------------------


def test_class_names_keep_the_order_that_the_format_carries(image_folder, tmp_path):
    pixels = np.zeros((4, 5, 5), np.uint8)
    np.savez(tmp_path / "n.npz", images=pixels, labels=[2, 0, 2, -1], classes=["zebra", "ape", "mouse"])
    source = sources.load(tmp_path / "n.npz")
    assert source.classes == ("zebra", "ape", "mouse")
    assert source.labels.tolist() == [2, 0, 2]
    assert [(item.id, item.reason) for item in source.skipped] == [("3", "its label is not one of the 3 classes: -1")]


def test_whole_numbers_are_ordered_by_value_and_text_by_its_characters(tmp_path):
    pixels = np.zeros((3, 5, 5), np.uint8)
    np.savez(tmp_path / "numbers.npz", images=pixels, labels=[10, 9, 100])
    assert sources.load(tmp_path / "numbers.npz").classes == ("9", "10", "100")
    np.savez(tmp_path / "text.npz", images=pixels, labels=["10", "9", "100"])
    assert sources.load(tmp_path / "text.npz").classes == ("10", "100", "9")


# --- .npz ----------------------------------------------------------------------------


def test_npz_arrays_may_be_divided_into_splits(tmp_path):
    arrays = {f"{split}_images": np.full((n, 4, 4, 3), n, np.uint8) for split, n in (("train", 3), ("test", 2))}
    arrays |= {f"{split}_labels": np.arange(n)[:, None] for split, n in (("train", 3), ("test", 2))}
    np.savez(tmp_path / "m.npz", **arrays)
    assert len(sources.load(tmp_path / "m.npz").ids) == 3
    assert sources.load(tmp_path / "m.npz", SourceOptions(split="test")).ids == ("test/0", "test/1")
    with pytest.raises(CurvauditError, match="val"):
        sources.load(tmp_path / "m.npz", SourceOptions(split="val"))


def test_npz_names_may_stand_in_one_column(tmp_path):
    pixels, names = np.zeros((2, 4, 4), np.uint8), np.array([["a"], ["b"]])
    np.savez(tmp_path / "n.npz", images=pixels, labels=[1, 0], ids=names, classes=names)
    source = sources.load(tmp_path / "n.npz")
    assert source.ids == source.classes == ("a", "b") and source.labels.tolist() == [1, 0]


def test_npz_arrays_are_named_by_the_options(tmp_path):
    np.savez(tmp_path / "o.npz", pixels=np.zeros((2, 4, 4), np.uint8), fine=[0, 1])
    with pytest.raises(CurvauditError, match="pixels, fine") as caught:
        sources.load(tmp_path / "o.npz")
    assert "--image-column" in caught.value.hint
    assert len(sources.load(tmp_path / "o.npz", SourceOptions(image_column="pixels", label_column="fine")).ids) == 2


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"images": np.array([object(), object()]), "labels": [0, 1]}, "Python objects"),
        ({"images": np.zeros((2, 4, 4), np.uint8), "labels": np.array(["a", None])}, "Python objects"),
        ({"images": np.zeros((2, 3, 32, 32), np.uint8), "labels": [0, 1]}, "shape"),
        ({"images": np.zeros((2, 4, 4), np.uint8), "labels": [0, 1, 1]}, "2 images but 3 labels"),
        ({"images": np.zeros((2, 4, 4), np.uint8), "labels": np.eye(2)}, "shape"),
        ({"images": np.zeros((2, 4, 4), "U3"), "labels": [0, 1]}, "not pixels"),
        *(
            ({"images": np.zeros((2, 4, 4), np.uint8), "labels": [0, 1], name: array}, rf"array {name} .*{shape}")
            for name in ("ids", "classes")
            for array, shape in (
                ([["a", "b"], ["c", "d"]], r"\(2, 2\)"),
                ([[["a"]], [["b"]]], r"\(2, 1, 1\)"),
                ("a", r"\(\)"),
            )
        ),
        ({"labels": [0, 1]}, "no array called images"),
    ],
)
def test_unusable_npz_files_are_refused_with_a_sentence(arrays, says, tmp_path):
    np.savez(tmp_path / "bad.npz", **{name: np.asarray(array) for name, array in arrays.items()})
    with pytest.raises(CurvauditError, match=says) as caught:
        sources.load(tmp_path / "bad.npz")
    assert "bad.npz" in caught.value.message and caught.value.hint


def test_damaged_npz_files_are_refused_with_a_sentence(tmp_path, image_folder):
    whole = write_npz(image_folder).read_bytes()
    broken = bytearray(whole)
    broken[2000:2100] = bytes(100)
    for content in (b"", b"no archive", whole[: len(whole) // 2], bytes(broken), b"\x80\x04pickle"):
        (tmp_path / "bad.npz").write_bytes(content)
        with pytest.raises(CurvauditError, match=r"bad\.npz"):
            sources.load(tmp_path / "bad.npz")


# --- .parquet ------------------------------------------------------------------------


def test_a_folder_of_nothing_but_parquet_files_is_one_data_set_with_splits(image_folder, tmp_path):
    pytest.importorskip("pyarrow")
    data = tmp_path / "published" / "data"
    data.mkdir(parents=True)
    for name in ("README.md", "published.py"):  # as some have a script that loads them
        (data.parent / name).write_text("a data set")
    for name in ("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"):
        write_parquet(image_folder, data / f"{name}.parquet")
    assert len(sources.load(tmp_path / "published").ids) == 120
    test = sources.load(tmp_path / "published", SourceOptions(split="test"))
    assert len(test.ids) == 60 and test.name.endswith("published (test)")
    assert len(sources.load(f"{data}/t*.parquet").ids) == 180
    assert len(sources.load(f"{data}/t*.parquet", SourceOptions(split="training")).ids) == 120
    with pytest.raises(CurvauditError, match="val"):
        sources.load(data, SourceOptions(split="val"))
    # Ids repeat over the shards: row numbers stand for them.
    assert sources.load(tmp_path / "published").ids[:2] == ("000", "001")


def test_a_stray_parquet_file_leaves_an_image_folder_one(image_folder):
    pytest.importorskip("pyarrow")
    write_parquet(image_folder, image_folder / "metadata.parquet")
    source = sources.load(image_folder)
    assert len(source.ids) == 60
    assert [item.id for item in source.skipped] == ["metadata.parquet"]


def test_parquet_columns_missing_pictures_and_labels(tmp_path, image_folder):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    content = [(image_folder / name).read_bytes() for name, _ in listing(image_folder)[::10]]
    pictures = [{"bytes": item, "path": None} for item in content]
    pictures[1] = None
    pictures[2] = {"bytes": None, "path": "elsewhere.png"}
    pictures[3] = {"bytes": b"not a picture", "path": None}
    table = pa.table({"scan": pictures, "kind": ["a", "b", "b", "a", None, "b"], "site": [1, 2, 3, 4, 5, None]})
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(CurvauditError, match="scan, kind, site"):
        sources.load(tmp_path / "x.parquet")
    stock = inventory.take(
        sources.load(tmp_path / "x.parquet", SourceOptions(label_column="kind")), 2, lambda done: None
    )
    assert stock.samples.ids == ("0", "5")
    assert stock.samples.columns == {"site": ("1", "")}
    assert {item.id: item.reason for item in stock.skipped} == {
        "1": "the picture is missing",
        "2": "no picture is stored, only its path: elsewhere.png",
        "3": "not an image (text)",
        "4": "it has no label",
    }
    for options in (SourceOptions(image_column="nothing"), SourceOptions(image_column="site", label_column="kind")):
        with pytest.raises(CurvauditError, match=r"nothing|no encoded pictures"):
            sources.load(tmp_path / "x.parquet", options)


def test_parquet_columns_are_kept_however_their_text_is_stored(tmp_path, image_folder):
    pa = pytest.importorskip("pyarrow", minversion="18")  # of before, views could not be written
    import pyarrow.parquet as pq

    names = [name for name, _ in listing(image_folder)[::20]]
    texts = pa.array(["u", None, "v"])
    numbers = pa.array([3, 3, None]).dictionary_encode()
    columns = {"category": texts.dictionary_encode(), "view": texts.cast(pa.string_view()), "number": numbers}
    data = pa.array([(image_folder / name).read_bytes() for name in names], pa.binary_view())
    pictures = pa.StructArray.from_arrays([data, pa.array(names, pa.string_view())], ["bytes", "path"])
    pq.write_table(pa.table({"image": pictures, "label": ["a", "b", "c"], **columns}), tmp_path / "x.parquet")
    stock = inventory.take(sources.load(tmp_path / "x.parquet"), 2, lambda done: None)
    assert stock.samples.ids == tuple(names)
    assert stock.samples.columns == {"category": ("u", "", "v"), "view": ("u", "", "v"), "number": ("3", "3", "")}


def test_two_label_features_must_be_chosen_between(tmp_path, image_folder):
    pytest.importorskip("pyarrow")
    import json

    import pyarrow.parquet as pq

    table = pq.read_table(write_parquet(image_folder))
    table = table.rename_columns(["img", "fine"]).append_column("coarse", table.column("label"))
    named = {name: {"_type": "ClassLabel", "names": ["x", "y", f"{name} z"]} for name in ("fine", "coarse")}
    meta = {"huggingface": json.dumps({"info": {"features": {"img": {"_type": "Image"}, **named}}})}
    pq.write_table(table.replace_schema_metadata(meta), tmp_path / "two.parquet")
    with pytest.raises(CurvauditError, match="fine, coarse") as caught:
        sources.load(tmp_path / "two.parquet")
    assert "--label-column" in caught.value.hint
    chosen = sources.load(tmp_path / "two.parquet", SourceOptions(label_column="coarse"))
    assert chosen.classes == ("x", "y", "coarse z")


def test_one_damaged_parquet_shard_is_a_finding_and_all_damaged_an_error(image_folder, tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "set").mkdir()
    write_parquet(image_folder, tmp_path / "set" / "a.parquet")
    (tmp_path / "set" / "b.parquet").write_bytes(b"PAR1 cut short")
    source = sources.load(tmp_path / "set")
    assert len(source.ids) == 60
    assert [(item.id, item.kind) for item in source.skipped] == [("b.parquet", "unreadable")]
    (tmp_path / "set" / "a.parquet").unlink()
    with pytest.raises(CurvauditError, match="Parquet"):
        sources.load(tmp_path / "set")


def test_parquet_shards_that_the_names_count_and_are_not_there_are_findings(image_folder, tmp_path):
    pytest.importorskip("pyarrow")
    (data := tmp_path / "set").mkdir()
    for number in (0, 2):
        write_parquet(image_folder, data / f"train-{number:05d}-of-00004.parquet")
    write_parquet(image_folder, data / "test-00001-of-00001-a1b2.parquet")  # whole, counted from one
    for spec in (data, f"{data}/train-*.parquet"):
        source = sources.load(spec)
        assert [(item.id, item.kind) for item in source.skipped] == [("train-00001-of-00004.parquet", "unreadable")]
        assert "it and 1 more are not there" in source.skipped[0].reason
    # Who names some of them means those.
    for spec in (f"{data}/train-0000[02]*.parquet", f"{data}/train-00002-of-00004.parquet"):
        assert not sources.load(spec).skipped
    assert not sources.load(data, SourceOptions(split="test")).skipped


@pytest.mark.parametrize(
    "pattern",
    ["./set/x-*.parquet", "set//x-*.parquet", "./**/x-*.parquet", "**/*.parquet", "set/x-*-of-00003-*.parquet"],
)
def test_missing_shards_are_found_however_the_pattern_is_written(pattern, image_folder, tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    (data := tmp_path / "set").mkdir()
    for number in (0, 2):
        write_parquet(image_folder, data / f"x-{number:05d}-of-00003-a{number}.parquet")
    monkeypatch.chdir(tmp_path)
    assert [item.id for item in sources.load(pattern).skipped] == ["x-00001-of-00003.parquet"]


def test_files_in_no_split_are_named_and_no_clean_result(image_folder, tmp_path):
    pytest.importorskip("pyarrow")
    (data := tmp_path / "set").mkdir()
    for name in ("train-0", "extra-0"):
        write_parquet(image_folder, data / f"{name}.parquet")
    assert [(item.id, item.kind) for item in sources.load(data).skipped] == [("extra-0.parquet", "doubtful")]


def test_columns_that_only_some_parquet_files_have_are_empty_in_the_others(image_folder, tmp_path):
    pytest.importorskip("pyarrow")
    (data := tmp_path / "set").mkdir()
    import pyarrow as pa
    import pyarrow.parquet as pq

    for number, name in enumerate(("site", "camera")):
        path = write_parquet(image_folder, data / f"{number}.parquet")
        table = pq.read_table(path)
        pq.write_table(table.append_column(name, pa.array([name] * 60)), path)
    source = sources.load(data)
    assert len(source.ids) == 120 and not source.skipped
    assert source.columns == {"site": ("site",) * 60 + ("",) * 60, "camera": ("",) * 60 + ("camera",) * 60}


def test_row_groups_beyond_what_pyarrow_reads_in_one_piece_are_not_damaged(image_folder, tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    import pyarrow as pa
    import pyarrow.parquet as pq

    def refuse(*args, **options):  # as it does from 2 GiB on
        raise pa.ArrowNotImplementedError("Nested data conversions not implemented for chunked array outputs")

    path = write_parquet(image_folder, rows=1000)
    monkeypatch.setattr(pq.ParquetFile, "read_row_group", refuse)
    stock = inventory.take(sources.load(path), 2, lambda done: None)
    assert len(stock.samples) == 60 and not stock.skipped
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", mock.Mock(side_effect=pa.ArrowMemoryError("malloc failed")))
    with pytest.raises(CurvauditError, match="does not fit into memory"):
        inventory.take(sources.load(path), 2, lambda done: None)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n", "git lfs pull"),
        (b"\x1f\x8b\x08", "gunzip"),
        (b"Rar!\x1a", "unpack it"),
    ],
)
@pytest.mark.parametrize("ending", ["parquet", "tar", "npz"])
def test_what_stands_in_for_a_file_of_data_is_told(ending, content, says, tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / f"x.{ending}").write_bytes(content)
    with pytest.raises(CurvauditError, match=says):
        sources.load(tmp_path / f"x.{ending}")


def test_a_column_of_splits_that_divides_nothing_is_no_clean_result(image_folder, tmp_path):
    pytest.importorskip("pyarrow")
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = write_parquet(image_folder)
    columns = {"part": ["train"] * 40 + ["test"] * 20, "kind": ["train", "boat"] * 30, "of": ["train"] * 60}
    table = pq.read_table(path)
    for name, texts in columns.items():
        table = table.append_column(name, pa.array(texts))
    pq.write_table(table, path)
    rows = [f"images/{name},{label},{columns['part'][i]}" for i, (name, label) in enumerate(listing(image_folder))]
    (tmp_path / "m.csv").write_text("\n".join(["path,label,subset", *rows]))
    for spec, column in ((path, "column part"), (tmp_path / "m.csv", "column subset")):
        assert [(item.id, item.kind) for item in sources.load(spec).skipped] == [(column, "doubtful")]
    (tmp_path / "m.csv").write_text("\n".join(["path,label,split", *rows]))
    assert not sources.load(tmp_path / "m.csv").skipped


def test_a_damaged_row_group_costs_its_rows_only(image_folder, tmp_path):
    pytest.importorskip("pyarrow")
    path = write_parquet(image_folder)
    content = bytearray(path.read_bytes())
    place = content.index((image_folder / "circle" / "005.png").read_bytes()[:60])
    content[place - 400 : place + 400] = bytes(800)
    path.write_bytes(bytes(content))
    stock = inventory.take(sources.load(path), 2, lambda done: None)
    assert 0 < len(stock.skipped) <= 16
    assert len(stock.samples) + len(stock.skipped) == 60


# --- .tar ----------------------------------------------------------------------------


def tar(path, *members, end=True):
    import tarfile

    with tarfile.open(path, "w") as archive:
        for name, content in members:
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
            else:
                add(archive, name, content)
    return path


def picture(image_folder, index=0):
    return (image_folder / listing(image_folder)[index][0]).read_bytes()


def link(name, target, kind):
    import tarfile

    info = tarfile.TarInfo(name)
    info.type = getattr(tarfile, kind)
    info.linkname = target
    return info


def test_tar_links_escapes_and_incomplete_samples_are_named_and_not_followed(image_folder, tmp_path):
    png = picture(image_folder)
    tar(
        tmp_path / "odd.tar",
        ("a/1.png", png),
        ("a/1.cls", b"cat\n"),
        ("a/2.seg.png", b"mask"),
        ("a/2.png", png),
        ("a/2.json", b'{"label": "dog", "more": [1]}'),
        ("../out.png", png),
        ("/etc/passwd.png", png),
        ("s", link("3.png", "/etc/hostname", "SYMTYPE")),
        ("h", link("4.png", "a/1.png", "LNKTYPE")),
        ("p", link("5.png", "", "FIFOTYPE")),
        ("6.cls", b"cat"),
        ("7.png", png),
        ("8.txt", b"only words"),
        ("a/1.png", b"again"),
        ("9.json", b'{"label": '),
        ("9.png", png),
    )
    source = sources.load(tmp_path / "odd.tar")
    assert source.ids == ("a/1", "a/2")
    assert source.classes == ("cat", "dog")
    assert source.open(0).size == (12, 12)
    reasons = {item.id: item.reason for item in source.skipped}
    assert reasons == {
        "odd.tar: ../out.png": "its name leads out of the archive",
        "odd.tar: /etc/passwd.png": "its name leads out of the archive",
        "odd.tar: 3.png": "a link, which is not followed",
        "odd.tar: 4.png": "a link, which is not followed",
        "odd.tar: 5.png": "not a plain file",
        "odd.tar: a/1.png": "it stands in the archive twice; the first is taken",
        "6": "no picture among its members (cls)",
        "8": "no picture among its members (txt)",
        "7": "it has no label",
        "9": "it has no label",
    }
    kinds = {item.id: item.kind for item in source.skipped}
    assert kinds["8"] == "ignored" and kinds["6"] == "unreadable"


def test_tar_members_and_keys_are_named_by_the_options(image_folder, tmp_path):
    members = [(f"{i}.{kind}", picture(image_folder, i)) for i in range(4) for kind in ("left.png", "right.png")]
    members += [(f"{i}.json", b'{"label": 1, "species": "%d"}' % (i + 8)) for i in range(4)]
    tar(tmp_path / "t.tar", *members)
    source = sources.load(tmp_path / "t.tar", SourceOptions(image_column="right.png", label_column="species"))
    assert source.classes == ("8", "9", "10", "11")  # whole numbers, as WebDataset reads them
    assert len(source.ids) == 4


def test_further_pictures_of_a_tar_sample_are_told_unless_one_is_chosen(image_folder, tmp_path):
    png = picture(image_folder)
    members = ("1.png", png), ("1.jpg", png), ("1.seg.png", png), ("1.cls", b"x"), ("2.jpg", png), ("2.cls", b"y")
    path = tar(tmp_path / "t.tar", *members)
    source = sources.load(path)
    assert [(item.id, item.kind) for item in source.skipped] == [("1", "partial")]
    assert "not jpg" in source.skipped[0].reason
    chosen = sources.load(path, SourceOptions(image_column="jpg"))
    assert chosen.ids == ("1", "2") and not chosen.skipped


@pytest.mark.parametrize("cut", ["in a picture", "between members", "no end mark", "damaged header", "more behind"])
def test_a_tar_that_was_not_read_to_its_end_says_so(cut, image_folder, tmp_path):
    members = [
        item for i in range(6) for item in ((f"{i}.cls", b"%d" % (i % 2)), (f"{i}.png", picture(image_folder, i)))
    ]
    whole = tar(tmp_path / "w.tar", *members).read_bytes()
    import tarfile

    with tarfile.open(tmp_path / "w.tar") as archive:
        last = archive.getmembers()[-1]
        middle = archive.getmembers()[6]
    content = {
        "in a picture": whole[: last.offset_data + 100],
        "between members": whole[: last.offset],
        "no end mark": whole[: last.offset_data + (last.size + 511) // 512 * 512],
        "damaged header": whole[: middle.offset] + b"\xff" * 512 + whole[middle.offset + 512 :],
        "more behind": whole + whole,
    }[cut]
    (tmp_path / "c.tar").write_bytes(content)
    stock = inventory.take(sources.load(tmp_path / "c.tar"), 2, lambda done: None)
    assert len(stock.samples) >= 3
    assert any(item.kind == "unreadable" for item in stock.skipped), stock.skipped


def test_tar_labels_with_leading_zeros_are_names_as_in_a_folder(image_folder, tmp_path):
    path = tmp_path / "padded.tar"
    with tarfile.open(path, "w") as archive:
        for number, label in enumerate((b"00", b"10", b"0")):
            add(archive, f"{number}.png", picture(image_folder, number))
            add(archive, f"{number}.cls", label)
    assert sources.load(path).classes == ("0", "00", "10")


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ((b"true", b"false", b"true"), ("false", "true")),
        ((b"true", b"2", b"10"), ("10", "2", "true")),
        ((b"2", b"10", b"2"), ("2", "10")),
    ],
)
def test_tar_labels_in_json_are_the_classes_of_json_lines(labels, classes, image_folder, tmp_path):
    with tarfile.open(tmp_path / "j.tar", "w") as archive:
        for number, label in enumerate(labels):
            add(archive, f"{number}.png", picture(image_folder, number))
            add(archive, f"{number}.json", b'{"label": ' + label + b"}")
    lines = [b'{"path": "x.png", "label": ' + label + b"}" for label in labels]
    (tmp_path / "j.jsonl").write_bytes(b"\n".join(lines))
    assert sources.load(tmp_path / "j.tar").classes == sources.load(tmp_path / "j.jsonl").classes == classes


def test_tar_labels_of_other_samples_are_not_said_to_be_missing(tmp_path, image_folder):
    path = tar(tmp_path / "t.tar", ("A.png", picture(image_folder)), ("a.cls", b"cat"))
    assert {item.id: item.reason for item in sources.load(path).skipped} == {
        "a": "no picture among its members (cls)",
        "A": "it has no label",
    }


def test_files_that_are_no_tar_are_refused_with_a_sentence(tmp_path):
    import gzip

    for content in (b"", b"words " * 400, gzip.compress(b"x" * 5000)):
        (tmp_path / "bad.tar").write_bytes(content)
        with pytest.raises(CurvauditError, match=r"bad\.tar"):
            sources.load(tmp_path / "bad.tar")


def test_a_gap_in_a_range_of_shards_is_an_error(image_folder):
    pattern = write_tar(image_folder)
    with pytest.raises(CurvauditError, match=r"shard-002\.tar"):
        sources.load(str(pattern).replace("001}", "003}"))
    assert len(sources.load(str(pattern.parent / "shard-*.tar")).ids) == 60
    for spec in ("none-*.tar", "{0..999999999}.tar", "{0..9999}{0..9999}.tar"):
        with pytest.raises(CurvauditError):
            sources.load(str(pattern.parent / spec))


# --- hf: -----------------------------------------------------------------------------


def test_further_columns_of_pictures_are_told(image_folder, tmp_path):
    datasets = pytest.importorskip("datasets")
    columns = {"image": [{"bytes": picture(image_folder), "path": None}] * 4, "label": [0, 1] * 2}
    data = datasets.Dataset.from_dict({**columns, "mask": columns["image"]})
    data = data.cast_column("image", datasets.Image()).cast_column("mask", datasets.Image())
    data.save_to_disk(str(tmp_path / "saved"))
    data.to_parquet(str(tmp_path / "x.parquet"))
    for spec in (tmp_path / "saved", tmp_path / "x.parquet"):
        assert [(item.id, item.kind) for item in sources.load(spec).skipped] == [("column mask", "ignored")]
        chosen = sources.load(spec, SourceOptions(image_column="mask"))
        assert [item.id for item in chosen.skipped] == ["column image"]


def test_a_saved_column_of_bytes_is_told_how_it_becomes_pictures(image_folder, tmp_path):
    datasets = pytest.importorskip("datasets")
    columns = {"image": [picture(image_folder)] * 4, "label": [0, 1] * 2, "part": ["train", "test"] * 2}
    data = datasets.Dataset.from_dict(columns)
    data.save_to_disk(str(tmp_path / "bytes"))
    with pytest.raises(CurvauditError, match="picture column") as caught:
        sources.load(tmp_path / "bytes")
    assert "datasets.Image()" in caught.value.hint and "Give a column" not in caught.value.hint
    data.cast_column("image", datasets.Image()).save_to_disk(str(tmp_path / "pictures"))
    skipped = sources.load(tmp_path / "pictures").skipped
    assert [(item.id, item.kind) for item in skipped] == [("column part", "doubtful")]


def test_a_saved_dataset_dict_has_splits_and_is_recognized_as_a_folder(image_folder, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    one = datasets.load_from_disk(saved_to_disk(image_folder).removeprefix("hf:"))
    datasets.DatasetDict({"train": one, "validation": one.select(range(30))}).save_to_disk(str(tmp_path / "both"))
    assert len(sources.load(tmp_path / "both").ids) == 60
    assert len(sources.load(f"hf:{tmp_path / 'both'}", SourceOptions(split="val")).ids) == 30
    with pytest.raises(CurvauditError, match="test"):
        sources.load(f"hf:{tmp_path / 'both'}", SourceOptions(split="test"))


def test_folders_that_load_dataset_reads_are_sources(image_folder, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    before = datasets.config.HF_HUB_OFFLINE
    (tmp_path / "tables").mkdir()
    write_parquet(image_folder, tmp_path / "tables" / "train.parquet")
    for name in ("tables", "images"):
        source = sources.load(f"hf:{tmp_path / name}")
        assert source.classes == ("circle", "square", "stripe")
        assert source.ids == tuple(path for path, _ in listing(image_folder)), name
        stock = inventory.take(source, 4, lambda done: None)
        expected = inventory.take(sources.load(image_folder), 1, lambda done: None)
        np.testing.assert_array_equal(stock.samples.content_hash, expected.samples.content_hash)
    assert before == datasets.config.HF_HUB_OFFLINE  # what others do in this process is theirs to decide


def test_a_folder_that_load_dataset_reads_without_a_shard_is_no_clean_result(image_folder, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "tables" / "data").mkdir(parents=True)
    for name in ("train-00000-of-00002", "test-00000-of-00001"):
        write_parquet(image_folder, tmp_path / "tables" / "data" / f"{name}.parquet")
    skipped = sources.load(f"hf:{tmp_path / 'tables'}").skipped
    assert [(item.id, item.kind) for item in skipped] == [("data/train-00001-of-00002.parquet", "unreadable")]
    assert not sources.load(f"hf:{tmp_path / 'tables'}", SourceOptions(split="test")).skipped


def test_nothing_is_fetched_from_the_hub_unless_asked(monkeypatch):
    pytest.importorskip("datasets")
    import socket

    def refuse(*arguments, **more):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(CurvauditError, match="nobody/such-a-set") as caught:
        sources.load("hf:nobody/such-a-set")
    assert "--download" in caught.value.hint and "AssertionError" not in str(caught.value)


# --- options and extras --------------------------------------------------------------


def test_column_options_without_effect_are_refused(image_folder):
    with pytest.raises(CurvauditError, match="--label-column"):
        sources.load(image_folder, SourceOptions(label_column="kind"))


@pytest.mark.parametrize(
    ("name", "package", "extra"), [("x.parquet", "pyarrow", "parquet"), ("hf:anything", "datasets", "hf")]
)
def test_a_missing_extra_names_the_install_command(name, package, extra, tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    code = (
        "import sys\n"
        f"sys.modules[{package!r}] = None\n"
        "from curvaudit.cli import main\n"
        f"sys.argv = ['curvaudit', 'scan', {name!r}]\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert f"pip install 'curvaudit[{extra}]'" in done.stderr and "Traceback" not in done.stderr


def test_a_label_of_its_own_ending_without_a_picture_is_a_loss(tmp_path, image_folder):
    members = [
        item for i in range(6) for item in ((f"{i}.breed", b"%d" % (i % 2)), (f"{i}.png", picture(image_folder, i)))
    ]
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, content in [*members, ("6.breed", b"1"), ("7.txt", b"nothing")]:
            add(archive, name, content)
    source = sources.load(str(tmp_path / "a.tar"), SourceOptions(label_column="breed"))
    assert {item.id: item.kind for item in source.skipped} == {"6": "unreadable", "7": "ignored"}


def test_classes_of_all_splits_together_stay_in_the_order_of_the_source(tmp_path):
    for number in range(4):
        Image.new("L", (16, 16), 50 * number).save(tmp_path / f"{number}.png")
    rows = [{"path": f"{n}.png", "label": (2, 10)[n % 2], "split": ("train", "test")[n // 2]} for n in range(4)]
    (tmp_path / "l.jsonl").write_text("\n".join(map(json.dumps, rows)))
    joined = sources.load_all(tmp_path / "l.jsonl", SourceOptions())
    assert joined.classes == ("2", "10") and joined.labels.tolist() == [0, 1, 0, 1]


def test_ids_of_an_npz_go_by_its_splits(tmp_path):
    pictures = np.random.default_rng(3).integers(0, 255, (3, 16, 16), np.uint8)
    train = {"train_images": pictures, "train_labels": [0, 1, 0], "train_ids": ["x", "y", "z"]}
    test = {"test_images": pictures[:2], "test_labels": [0, 1], "test_ids": ["u", "v"]}
    np.savez(tmp_path / "a.npz", **train, **test)
    assert sources.load(tmp_path / "a.npz").ids == ("x", "y", "z")
    assert sources.load(tmp_path / "a.npz", SourceOptions(split="test")).ids == ("u", "v")
