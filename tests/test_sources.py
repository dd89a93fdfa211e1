"""Where pictures come from: folders, standard sets, digits, data sets from Python."""

import os
import shutil
import socket
from collections import UserDict
from pathlib import Path

import numpy as np
import pytest
import torch
from made import draw_folder
from PIL import Image
from torchvision.datasets import ImageFolder

import curvaudit
from curvaudit.errors import CurvauditError, UnreadableImage
from curvaudit.policy.definition import FailOn, Policy
from curvaudit.records import Notice
from curvaudit.sources import SourceOptions, load, names, splits
from curvaudit.sources.standard_layouts import standard_sets_in


def put(root, *files: str) -> None:
    for index, name in enumerate(files):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), index).save(root / name)


# --- folders -------------------------------------------------------------------------


def test_a_folder_of_classes_with_nested_files(tmp_path):
    put(tmp_path, "b/2.png", "b/deep/er/1.png", "a/1.png", "a/10.png", "a/9.png")
    source = load(tmp_path)
    assert source.classes == ("a", "b")
    assert source.ids == ("a/1.png", "a/10.png", "a/9.png", "b/2.png", "b/deep/er/1.png")
    assert source.labels.tolist() == [0, 0, 0, 1, 1] and source.labels.dtype == np.int32
    assert [source.open(row).getpixel((0, 0)) for row in range(5)] == [2, 3, 4, 0, 1]
    assert source.skipped == ()


def test_splits_above_the_classes(tmp_path):
    put(tmp_path, "train/a/1.png", "train/b/1.png", "val/a/2.png", "val/b/2.png", "test/a/3.png", "test/b/3.png")
    (tmp_path / "notes.txt").write_text("x")
    for split, file in ((None, "1.png"), ("train", "1.png"), ("val", "2.png"), ("test", "3.png")):
        source = load(tmp_path, SourceOptions(split=split))
        assert source.ids == (f"a/{file}", f"b/{file}")
        assert source.name == f"{tmp_path} ({split or 'train'})"
        assert [item.id for item in source.skipped] == ["../notes.txt"]


@pytest.mark.parametrize(("folder", "asked"), [("Training", "train"), ("valid", "val"), ("validation", "val")])
def test_other_names_of_the_splits(folder, asked, tmp_path):
    put(tmp_path, f"{folder}/a/1.png", f"{folder}/b/1.png", "test/a/2.png", "test/b/2.png")
    assert load(tmp_path, SourceOptions(split=asked)).ids == ("a/1.png", "b/1.png")


@pytest.mark.parametrize(
    ("present", "wanted", "chosen"),
    [
        (["training", "TRAIN", "train"], None, "train"),
        (["training", "TRAIN", "test"], "train", "TRAIN"),
        (["training", "test"], "Train", "training"),
        (["Valid", "validation"], "val", "Valid"),
    ],
)
def test_the_nearest_spelling_of_a_split_is_chosen(present, wanted, chosen):
    assert splits.choose(present, wanted, "x") == chosen


def test_a_class_may_be_called_test(tmp_path):
    put(tmp_path, "test/1.png", "exam/1.png")
    assert load(tmp_path).classes == ("exam", "test")
    put(tmp_path, "test/more/2.png")
    assert load(tmp_path).classes == ("exam", "test")


@pytest.mark.parametrize(
    ("files", "split", "says"),
    [
        (["a/1.png", "b/1.png"], "test", "no splits"),
        (["train/a/1.png", "train/b/1.png", "test/a/1.png"], "val", "no split 'val'"),
        (["val/a/1.png", "val/b/1.png", "test/a/1.png"], None, "no split 'train'"),
        (["train/a/1.png", "test/a/1.png", "test/b/1.png"], "train", "only one class"),
    ],
)
def test_a_split_that_is_not_there_is_named(files, split, says, tmp_path):
    put(tmp_path, *files)
    with pytest.raises(CurvauditError, match=says) as error:
        load(tmp_path, SourceOptions(split=split))
    assert error.value.hint


def test_links_are_followed_once(tmp_path):
    put(tmp_path, "data/a/1.png", "data/b/1.png", "far/2.png", "far/sub/3.png")
    root = tmp_path / "data"
    (root / "a" / "linked.png").symlink_to(tmp_path / "far" / "2.png")
    (root / "b" / "linked").symlink_to(tmp_path / "far")
    (root / "b" / "again").symlink_to(tmp_path / "far")
    (root / "b" / "up").symlink_to(root)
    (root / "c").symlink_to(tmp_path / "far")
    source = load(root)
    assert source.ids == (
        "a/1.png", "a/linked.png", "b/1.png", "b/again/2.png", "b/again/sub/3.png", "c/2.png", "c/sub/3.png",
    )  # fmt: skip
    assert {item.id: item.kind for item in source.skipped} == {"b/linked": "ignored", "b/up": "ignored"}


def test_hidden_folders_are_no_classes_but_are_listed(tmp_path):
    put(
        tmp_path,
        "a/1.png",
        "b/1.png",
        ".cache/1.png",
        "__MACOSX/a/1.png",
        "a/.ipynb_checkpoints/1.png",
        "a/.thumbnails/1.png",
    )
    source = load(tmp_path)
    assert source.classes == ("a", "b") and len(source.ids) == 2
    assert {item.id for item in source.skipped} == {".cache", "__MACOSX", "a/.ipynb_checkpoints", "a/.thumbnails"}
    assert all(item.reason and item.kind == "ignored" for item in source.skipped)


def test_a_list_beside_the_pictures_is_pointed_to(tmp_path):
    put(tmp_path, "1.png")
    (tmp_path / "metadata.csv").write_text("file_name,label")
    with pytest.raises(CurvauditError) as refused:
        load(tmp_path)
    assert f"give {tmp_path}/metadata.csv instead" in refused.value.hint


def test_texts_named_after_a_picture_accompany_it_and_everything_else_is_opened(tmp_path):
    put(tmp_path, "a/1.png", "a/2.JPG", "a/deep/3.tif", "a/5.png", "b/1.png")
    texts = {
        **{"a/1.json": "{}", "a/1.png.json": "{}", "a/2.txt": "", "a/deep/3.tif.aux.xml": "<x/>", "a/1.tfw": "0.5\r\n"},
        **{"a/3.txt": "its picture lies elsewhere", "a/notes.txt": "of no picture", "a/1.svg": "<svg/>"},
        **{"a/1.jpg": "<!doctype html>", "a/1.pgm": "P2 1 1 9 5", "a/5": "no ending", "a/.5.txt": "hidden"},
        "a/1.nef": "version https://git-lfs.github.com/spec/v1\noid sha256:ab\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    Image.new("L", (4, 4), 7).save(tmp_path / "a" / "5.data", "PNG")
    source = load(tmp_path)
    left_out = {item.id: (item.reason, item.kind) for item in source.skipped}
    assert left_out.keys() == {"a/1.json", "a/1.png.json", "a/2.txt", "a/deep/3.tif.aux.xml", "a/1.tfw"}
    assert left_out["a/1.png.json"] == ("text of 1.png, not taken for a picture", "ignored")
    pictures = {"a/1.png", "a/2.JPG", "a/deep/3.tif", "a/5.png", "a/5.data", "b/1.png"}
    assert set(source.ids) == pictures | (texts.keys() - left_out.keys())


def test_texts_named_after_their_class_are_no_pictures_but_in_a_lone_folder_they_may_be_its_labels(tmp_path):
    put(tmp_path, "n01/images/n01_0.png", "n02/images/n02_0.png")
    for name in (
        "n01/n01_boxes.txt",
        "n02/n02_boxes.txt",
        "n02/n01_boxes.txt",
        "n02/n02boxes.txt",
        "n02/images/n02_x.txt",
    ):
        (tmp_path / name).write_text("n01_0.png 0 0 3 3")
    (tmp_path / "n01" / "n01_x.dat").write_bytes(bytes(range(30)))
    source = load(tmp_path)
    left_out = {item.id: (item.reason, item.kind) for item in source.skipped}
    text = "text of n0{}, not taken for a picture"
    assert left_out == {f"n0{i}/n0{i}_boxes.txt": (text.format(i), "ignored") for i in (1, 2)}
    shutil.rmtree(tmp_path / "n02")
    shutil.rmtree(tmp_path / "n01" / "images")
    put(tmp_path, "n01/0.png")
    assert "n01/n01_boxes.txt" in load(tmp_path, SourceOptions(least_classes=1)).ids


def test_what_macos_leaves_beside_a_file_is_no_picture_but_a_picture_of_such_a_name_is(tmp_path):
    put(tmp_path, "a/1.png", "b/1.png", "b/._2.png")
    (tmp_path / "a" / "._1.png").write_bytes(b"\0\5\x16\7" + bytes(200))
    source = load(tmp_path)
    assert source.ids == ("a/1.png", "b/._2.png", "b/1.png")
    assert [(item.id, item.kind) for item in source.skipped] == [("a/._1.png", "ignored")]


@pytest.mark.parametrize(
    ("folders", "doubtful"),
    [
        # A split taken for a class, for it stands beside something else; a class of that name has no classes in it.
        (["train/cat", "train/dog", "unlabeled"], {"train"}),
        (["train/cat", "train/dog", "car/cat", "car/dog"], {"train"}),
        (["train", "car", "bus"], set()),
        (["train/steam", "car", "bus"], set()),
        # Folds above the classes; parts of a series that hold other things are classes.
        (["fold1/cat", "fold1/dog", "fold2/cat", "fold2/dog"], {"fold1", "fold2"}),
        (["fold1/cat", "fold1/dog", "fold2/cow", "fold2/dog"], set()),
        (["part1", "part2"], set()),
        (["cat/2021", "cat/2022", "dog/2021", "dog/2022"], set()),
        # Beside the splits: the same classes are data, anything else is not.
        (["train/cat", "train/dog", "test/cat", "test/dog", "raw/cat"], {"../raw"}),
        # Called like splits, by other names, or with the pictures right in them; a test tube is no test of trains.
        (["seg_train/cat", "seg_train/dog", "seg_test/cat", "seg_pred"], {"seg_train", "seg_test"}),
        (["seg_train/seg_train/cat", "seg_test/seg_test/cat"], {"seg_train", "seg_test"}),
        (["Training Set/cat", "TestSet/cat"], {"Training Set", "TestSet"}),
        (["train_a/cat", "test_b/cat"], set()),
        (["train2017/cat", "val2017/cat"], {"train2017", "val2017"}),
        (["trainset", "testset"], {"trainset", "testset"}),
        (["train", "test"], {"train", "test"}),
        (["train", "Training", "cat"], set()),
        (["bullet train", "test tube"], set()),
        # Within the classes; and copies of the classes, or what belongs to their pictures.
        (["cat/train", "cat/test", "dog/train", "dog/test"], {"cat/train", "cat/test"}),
        (["cat/train", "dog/train"], set()),
        (["cat", "dog", "augmented/cat", "augmented/dog"], {"augmented"}),
        (["cat", "dog", "wild/cat"], set()),
        (["cat/images", "cat/masks", "dog/images", "dog/masks"], {"cat/masks"}),
        # Domains above the classes; sites or years within them.
        (["art/cat", "art/cow", "art/dog", "real/cat", "real/cow", "real/dog"], {"art", "real"}),
        (["art/cat", "art/cow", "art/dog", "real/cat", "real/cow", "real/cot"], set()),
        (["cat/1", "cat/2", "cat/3", "cow/1", "cow/2", "cow/3", "dog/1", "dog/2", "dog/3"], set()),
        (["train/cat", "train/dog", "test/cat", "test/dog", "scripts/old", ".git/cat"], set()),
        (["train/cat", "train/dog", "dev/cat", "dev/dog"], set()),
        # What belongs to pictures, beside them; where no folder is called so, masks are a class.
        (["images", "masks"], {"masks"}),
        (["Images", "labels"], {"labels"}),
        (["masks", "gloves"], set()),
    ],
)
def test_what_may_have_been_meant_otherwise_is_said(tmp_path, folders, doubtful):
    put(tmp_path, *(f"{folder}/1.png" for folder in folders))
    found = {item.id: item for item in load(tmp_path).skipped if item.kind == "doubtful"}
    assert set(found) == doubtful
    assert all(item.reason.startswith(("taken for", "audited with", "no split")) for item in found.values())


@pytest.mark.parametrize(
    ("folders", "doubtful"),
    [
        (["images"], {"images"}),
        (["scans_part_1", "scans_part_2"], {"scans_part_1", "scans_part_2"}),
        (["images_001/images", "images_002/images"], {"images_001", "images_002"}),
        (["cat", "dog"], set()),  # such as the list that `export --to csv-fixed` writes there
    ],
)
def test_pictures_in_one_folder_may_have_their_labels_in_a_list_beside_it(tmp_path, folders, doubtful):
    put(tmp_path, *(f"{folder}/1.png" for folder in folders))
    options = SourceOptions(least_classes=1)
    assert not [item for item in load(tmp_path, options).skipped if item.kind == "doubtful"]
    (tmp_path / "labels.csv").write_text("path,label")
    found = {item.id: item.reason for item in load(tmp_path, options).skipped if item.kind == "doubtful"}
    assert set(found) == doubtful and all("labels.csv" in reason for reason in found.values())
    if len(folders) == 1:
        with pytest.raises(CurvauditError) as refused:
            load(tmp_path)
        assert f"give {tmp_path}/labels.csv instead" in refused.value.hint


def test_a_source_that_may_be_meant_otherwise_is_no_clean_one(tmp_path, image_folder):
    (image_folder / "train").mkdir()
    for name in ("circle", "square"):
        shutil.copytree(image_folder / name, image_folder / "train" / name)
    report = curvaudit.inspect(image_folder)
    (gap,) = curvaudit.check(report, fail_on="none").gaps
    assert gap.kind == "layout" and "train (taken for a class, but it holds the folders circle, square" in gap.message
    accepting = Policy(accept_incomplete=frozenset({"layout"}), fail_on=FailOn(None))
    assert curvaudit.check(report, policy=accepting).clean
    told = []
    curvaudit.scan(image_folder, tmp_path / "run.h5", epochs=1, width=4, device="cpu", on_event=told.append)
    notices = [event.message for event in told if isinstance(event, Notice)]
    assert any(message.startswith("train: taken for a class") for message in notices)
    assert "layout" in {gap.kind for gap in curvaudit.check(curvaudit.report(tmp_path / "run.h5")).gaps}


def test_what_makes_a_folder_unreadable_is_named_not_the_clutter_beside_it(tmp_path):
    for name in ("README.md", "cat/0.jpg", "cat/1.jpg", "dog/0.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1")
    with pytest.raises(CurvauditError, match=r"no readable picture \(cat/0.jpg: not an image .*, and 2 more\)"):
        curvaudit.inspect(tmp_path)


@pytest.mark.parametrize("above", ["", "train"])
def test_what_curvaudit_wrote_beside_the_classes_is_no_class(tmp_path, monkeypatch, above):
    draw_folder(tmp_path / above, ("a", "b"), each=3)
    monkeypatch.chdir(tmp_path)
    curvaudit.save(curvaudit.inspect("."), "curvaudit-report")
    own = tmp_path / "curvaudit-reproduction"
    put(own, "spiral.png")
    (own / "spiral.svg").write_text("<svg/>")
    (own / "reproduction.json").write_text('{\n "schema": "curvaudit-reproduction/1"\n}')
    source = load(".")
    assert source.classes == ("a", "b") and len(source.ids) == 6
    skipped = {Path(item.id).name: item.kind for item in source.skipped}
    assert skipped == {"curvaudit-report": "ignored", "curvaudit-reproduction": "ignored"}
    # A folder that holds a picture besides stays a class: what is left out must be ours alone.
    put(own, "photo.png")
    assert "curvaudit-reproduction" in load(".").classes
    (own / "photo.png").unlink()
    # As does one whose document is somebody else's.
    put(tmp_path / above, "c/1.png")
    (tmp_path / above / "c" / "findings.json").write_text('{"schema": "mine"}')
    assert "c" in load(".").classes


def test_a_pipe_does_not_block(tmp_path):
    put(tmp_path, "a/1.png", "b/1.png")
    os.mkfifo(tmp_path / "a" / "pipe.png")
    source = load(tmp_path)
    assert [item.id for item in source.skipped] == ["a/pipe.png"]
    os.mkfifo(tmp_path / "pipe.dat")
    with pytest.raises(CurvauditError, match="neither a file nor a folder"):
        load(tmp_path / "pipe.dat")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_named(tmp_path):
    put(tmp_path, "a/1.png", "a/shut/2.png", "b/1.png")
    (tmp_path / "a" / "1.png").chmod(0)
    (tmp_path / "a" / "shut").chmod(0)
    source = load(tmp_path)
    assert [item.id for item in source.skipped] == ["a/shut"]
    with pytest.raises(UnreadableImage, match="permission denied"):
        source.open(0)
    (tmp_path / "a" / "shut").chmod(0o700)


# --- names ---------------------------------------------------------------------------


def test_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    source = load("digits")
    assert len(source.ids) == 1797 and source.classes == tuple("0123456789")
    data = load_digits()
    for row in (0, 17, 1796):
        pixels = np.asarray(source.open(row)).astype(float) * 16 / 255
        np.testing.assert_allclose(pixels, data.images[row], atol=0.04)
    assert source.labels.tolist() == data.target.tolist()


def test_known_names():
    assert {"digits", "mnist", "fashion-mnist", "cifar10", "cifar100", "imagenet"} <= set(names())


@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST")])
def test_standard_sets_are_torchvisions(name, folder, shared_data):
    import torchvision

    if not (shared_data / folder).is_dir():
        pytest.skip(f"no {folder}")
    for split, train, count in ((None, True, 60_000), ("test", False, 10_000), ("val", False, 10_000)):
        source = load(name, SourceOptions(split=split, data_dir=str(shared_data)))
        theirs = getattr(torchvision.datasets, folder)(str(shared_data), train=train)
        assert len(source.ids) == len(set(source.ids)) == count
        assert source.labels.tolist() == theirs.targets.tolist()
        assert len(source.classes) == 10
        for row in (0, 4321, count - 1):
            image = source.open(row)
            assert image.mode == "L"
            assert np.array_equal(np.asarray(image), theirs.data[row].numpy())
    assert standard_sets_in(shared_data / folder) == ((name, str(shared_data)),)
    spelt = ("test", "val", "validation", "testing")
    test, *others = (load(name, SourceOptions(split=s, data_dir=str(shared_data))).ids for s in spelt)
    assert all(other == test for other in others)  # one split, one set of ids


@pytest.mark.parametrize(
    ("file", "given", "told"),
    [
        ("MNIST/raw/train-images-idx3-ubyte", "my data", "`mnist --data-dir 'my data'`"),
        ("MNIST/raw/train-images-idx3-ubyte", "my data/MNIST", "`mnist --data-dir 'my data'`"),
        (
            "FashionMNIST/raw/train-images-idx3-ubyte",
            "my data/FashionMNIST/raw",
            "`fashion-mnist --data-dir 'my data'`",
        ),
        ("cifar-10-batches-py/data_batch_1", "my data/cifar-10-batches-py", "`cifar10 --data-dir 'my data'`"),
        ("cifar-100-python/train", "my data", "`cifar100 --data-dir 'my data'`"),
    ],
)
def test_a_folder_that_holds_a_standard_set_leads_to_its_name(tmp_path, monkeypatch, file, given, told):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my data" / file).parent.mkdir(parents=True)
    (tmp_path / "my data" / file).touch()
    with pytest.raises(CurvauditError, match="in torchvision's layout") as error:
        load(given, SourceOptions())
    assert told in error.value.hint
    draw_folder(tmp_path / "my data" / "train", ("a", "b"), each=1)
    draw_folder(tmp_path / "my data" / "test", ("a", "b"), each=1)
    if given == "my data":  # splits of pictures beside it are a folder of pictures
        assert len(load(given, SourceOptions()).ids) == 2


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10", "cifar100", "imagenet"])
def test_nothing_is_downloaded_without_being_asked(name, tmp_path, monkeypatch):
    def refuse(*arguments, **settings):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    with pytest.raises(CurvauditError) as error:
        load(name, SourceOptions(data_dir=str(tmp_path)))
    assert str(tmp_path) in error.value.message
    assert "--data-dir" in error.value.hint
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("asked", [False, True])
def test_download_is_handed_on_as_it_was_asked(asked, tmp_path, monkeypatch):
    import torchvision

    seen = []

    class Recorder:
        classes = ("0", "1")
        targets = (0, 1)

        def __init__(self, root, train, download):
            seen.append((root, train, download))

        def __len__(self):
            return 2

    monkeypatch.setattr(torchvision.datasets, "MNIST", Recorder)
    load("mnist", SourceOptions(data_dir=str(tmp_path), download=asked))
    assert seen == [(str(tmp_path), True, asked)]


def test_imagenet_is_not_downloadable_and_has_no_test_split(tmp_path):
    with pytest.raises(CurvauditError, match="cannot be downloaded"):
        load("imagenet", SourceOptions(download=True, data_dir=str(tmp_path)))
    with pytest.raises(CurvauditError, match="no split 'test'"):
        load("imagenet", SourceOptions(split="test", data_dir=str(tmp_path)))


def test_a_folder_called_like_a_set_is_reached_by_its_path(tmp_path, monkeypatch):
    put(tmp_path, "digits/a/1.png", "digits/b/1.png")
    monkeypatch.chdir(tmp_path)
    assert len(load("digits").ids) == 1797
    assert load("./digits").ids == ("a/1.png", "b/1.png")


# --- data sets from Python -----------------------------------------------------------


class Listed:
    """A data set of what it is given."""

    def __init__(self, *items, **attributes):
        self.items = items
        vars(self).update(attributes)

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        item = self.items[index]
        if isinstance(item, Exception):
            raise item
        return item


GREY = Image.new("L", (5, 5), 9)


def test_a_tensor_dataset():
    pictures = torch.arange(2 * 3 * 4 * 4, dtype=torch.uint8).reshape(2, 3, 4, 4)
    source = load(torch.utils.data.TensorDataset(pictures, torch.tensor([7, 3])))
    assert source.classes == ("3", "7") and source.labels.tolist() == [1, 0]
    assert np.array_equal(np.asarray(source.open(1)), pictures[1].permute(1, 2, 0).numpy())


def test_an_image_folder_of_torchvision_has_the_ids_of_its_folder(tmp_path):
    put(tmp_path / "set", "cat/b.png", "cat/deep/a.png", "dog/a.png")
    (tmp_path / "set" / "dog" / "broken.png").write_text("x" * 99)
    source, folder = load(ImageFolder(str(tmp_path / "set"))), load(tmp_path / "set")
    assert source.classes == folder.classes
    assert set(source.ids) == set(folder.ids) - {"dog/broken.png"}
    assert [item.id for item in source.skipped] == ["dog/broken.png"]
    assert dict(zip(source.ids, source.labels.tolist(), strict=True)) == {
        key: label for key, label in zip(folder.ids, folder.labels.tolist(), strict=True) if key in source.ids
    }


@pytest.mark.parametrize(
    "samples", [[("elsewhere/a.png", 0), ("elsewhere/b.png", 1)], [("x/a.png", 0)], [3, 4], "ab", [(3, 0), (4, 1)]]
)
def test_what_is_called_as_the_paths_of_an_image_folder_may_be_something_else(samples):
    assert load(Listed((GREY, 0), (GREY, 1), samples=samples, root="x")).ids == ("0", "1")


def test_class_names_are_taken_where_they_fit():
    assert load(Listed((GREY, 0), (GREY, 1), classes=["cat", "dog", "owl"])).classes == ("cat", "dog", "owl")
    assert load(Listed((GREY, 0), (GREY, 5), classes=["cat", "dog"])).classes == ("0", "5")
    assert load(Listed((GREY, 0), (GREY, 1), classes=2)).classes == ("0", "1")  # some data sets count them
    assert load(Listed((GREY, "b"), (GREY, "a"))).classes == ("a", "b")
    assert load(Listed((GREY, 0), (GREY, 1), classes=["cat", "cat"])).classes == ("cat", "cat (2)")


def test_items_that_raise_are_skipped_and_named():
    source = load(Listed((GREY, 0), OSError("disk on fire"), (GREY, 1)))
    assert source.ids == ("0", "2")
    assert [(item.id, item.kind) for item in source.skipped] == [("1", "unreadable")]
    assert "disk on fire" in source.skipped[0].reason


class Shaky(Listed):
    """Another picture each time, as with random transforms."""

    def __getitem__(self, index):
        noise = np.random.default_rng().integers(0, 255, (5, 5)).astype(np.uint8)
        return Image.fromarray(noise), index % 2


@pytest.mark.parametrize(
    ("data", "options", "says"),
    [
        (Listed(), {}, "empty"),
        (Listed((GREY, 0), (GREY, 0)), {}, "only one class"),
        (Listed((GREY, 0), (GREY, 0.5)), {}, "not .image, whole number"),
        (Listed((GREY, 0), (GREY, "a")), {}, "partly text"),
        (Listed(GREY, GREY), {}, "not .image, whole number"),
        (Listed(*({"image": GREY, "label": number} for number in range(2))), {}, r"dicts \(image, label\)"),
        (Listed(*(UserDict(image=GREY, label=number, n=1) for number in range(2))), {}, r"dicts \(image, label, n\)"),
        (Listed(ValueError("no"), ValueError("no")), {}, "No item"),
        (Listed((GREY, 0), (GREY, 1)), {"split": "test"}, "split"),
        (Shaky(1, 2, 3), {}, "another picture each time"),
    ],
)
def test_data_sets_that_cannot_be_audited_say_why(data, options, says):
    with pytest.raises(CurvauditError, match=says) as error:
        load(data, SourceOptions(**options))
    assert error.value.hint


def test_a_data_set_of_hugging_face_is_taken_as_the_hint_says(tmp_path):
    datasets = pytest.importorskip("datasets")
    data = datasets.Dataset.from_dict({"image": [GREY, GREY], "label": [0, 1]}).cast_column("image", datasets.Image())
    with pytest.raises(CurvauditError, match="dicts") as error:
        load(data)
    assert "save_to_disk(FOLDER), and give FOLDER" in error.value.hint
    datasets.disable_progress_bars()
    data.save_to_disk(str(tmp_path / "saved"))
    assert load(tmp_path / "saved").classes == ("0", "1")


@pytest.mark.parametrize("thing", [3, None, {"a": 1}, ""])
def test_what_is_no_source_is_refused(thing):
    with pytest.raises(CurvauditError, match="source"):
        load(thing)


def test_a_loader_is_told_from_its_data_set():
    loader = torch.utils.data.DataLoader([(torch.zeros(1, 8, 8), 0), (torch.ones(1, 8, 8), 1)])
    with pytest.raises(CurvauditError, match="DataLoader is not a source") as refused:
        load(loader)
    assert "`dataset`" in refused.value.hint
    assert len(load(loader.dataset).ids) == 2
