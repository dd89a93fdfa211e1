"""Two versions of a data set, as folders, manifests and runs."""

import json
import os
import re
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path

import h5py
import numpy as np
import pytest
from made import draw_folder, write_run
from PIL import Image

import curvaudit
from curvaudit import cli
from curvaudit.errors import CurvauditError

TINY = {"epochs": 2, "width": 4, "batch_size": 16, "device": "cpu", "workers": 1}
CLASSES = ("circle", "square", "stripe")


def picture(seed: int, size: int = 12) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (size, size, 3), np.uint8))


def run(monkeypatch, capsys, *arguments) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["curvaudit", "compare", *map(str, arguments)])
    with pytest.raises(SystemExit) as leave:
        cli.main()
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return int(leave.value.code or 0), captured.out, captured.err


def names(pairs) -> list[tuple[str, str]]:
    return [(pair.old.shown, pair.new.shown) for pair in pairs]


def nothing_else(made, *but: str) -> bool:
    lists = ("added", "removed", "changed", "relabelled", "moved", "renamed", "conflicts", "rises", "gaps")
    return not any(getattr(made, name) for name in lists if name not in but)


@pytest.fixture
def versions(tmp_path):
    draw_folder(tmp_path / "v1", CLASSES, each=6)
    shutil.copytree(tmp_path / "v1", tmp_path / "v2")
    return tmp_path / "v1", tmp_path / "v2"


def test_the_same_is_no_change(versions):
    made = curvaudit.compare(*versions)
    assert nothing_else(made) and made.same and made.complete and made.exit_code == 0
    assert made.old.pictures == made.new.pictures == 18


def test_renames_and_reordering_are_no_change(versions):
    old, new = versions
    for name in CLASSES:
        for number, file in enumerate(sorted((new / name).iterdir(), reverse=True)):
            file.rename(file.with_name(f"other-{number}.png"))
    made = curvaudit.compare(old, new)
    assert made.same and nothing_else(made, "renamed")
    assert ("circle/005.png", "circle/other-0.png") in names(made.renamed) and len(made.renamed) == 18


def test_every_kind_of_change_is_told_apart(versions):
    old, new = versions
    picture(1).save(new / "circle" / "fresh.png")  # added
    (new / "circle" / "000.png").unlink()  # removed
    picture(2).save(new / "circle" / "001.png")  # changed
    (new / "square" / "002.png").rename(new / "stripe" / "moved.png")  # relabelled
    shutil.copy(new / "stripe" / "003.png", new / "circle" / "twin.png")  # added and conflicting
    (new / "stripe" / "004.png").rename(new / "stripe" / "four.png")  # renamed
    made = curvaudit.compare(old, new)
    assert [one.id for one in made.added] == ["circle/fresh.png", "circle/twin.png"]
    assert [one.id for one in made.removed] == ["circle/000.png"]
    assert names(made.changed) == [("circle/001.png", "circle/001.png")]
    assert [(p.old.id, p.old.label, p.new.id, p.new.label) for p in made.relabelled] == [
        ("square/002.png", "square", "stripe/moved.png", "stripe")
    ]
    assert names(made.renamed) == [("stripe/004.png", "stripe/four.png")]
    assert [(f.rule.id, {s.id for s in f.samples}) for f in made.conflicts] == [
        ("CA101", {"circle/twin.png", "stripe/003.png"})
    ]
    assert not made.same and made.exit_code == 0 and nothing_else(
        made, "added", "removed", "changed", "relabelled", "renamed", "conflicts"
    )  # fmt: skip
    back = curvaudit.compare(new, old)
    assert [one.id for one in back.removed] == [one.id for one in made.added] and not back.conflicts


def test_a_known_conflict_is_not_new_and_a_third_copy_is(versions):
    old, new = versions
    for version in versions:
        shutil.copy(version / "circle" / "000.png", version / "square" / "twin.png")
    assert not curvaudit.compare(old, new).conflicts
    shutil.copy(new / "circle" / "000.png", new / "stripe" / "third.png")
    made = curvaudit.compare(old, new)
    assert [len(finding.samples) for finding in made.conflicts] == [3]
    assert [one.id for one in made.added] == ["stripe/third.png"] and not made.relabelled and not made.renamed


def test_moves_between_splits_of_folders(tmp_path):
    for version in ("v1", "v2"):
        draw_folder(tmp_path / version / "train", CLASSES, each=4)
        draw_folder(tmp_path / version / "test", CLASSES, each=3, seed=5)  # the same names, other pictures
    new = tmp_path / "v2"
    (new / "test" / "circle" / "001.png").rename(new / "train" / "circle" / "from-test.png")
    (new / "train" / "square" / "003.png").rename(new / "test" / "square" / "003.png")
    shutil.copy(new / "train" / "stripe" / "000.png", new / "test" / "circle" / "leak.png")
    made = curvaudit.compare(tmp_path / "v1", new)
    assert names(made.moved) == [
        ("test: circle/001.png", "train: circle/from-test.png"),
        ("train: square/003.png", "test: square/003.png"),
    ]
    assert [one.shown for one in made.added] == ["test: circle/leak.png"]
    assert [{s.id for s in f.samples} for f in made.conflicts] == [
        {"train: stripe/000.png", "test: circle/leak.png"}
    ]  # across splits
    assert nothing_else(made, "moved", "added", "conflicts")
    only = curvaudit.compare(tmp_path / "v1", new, split="test")
    assert [one.id for one in only.removed] == ["circle/001.png"] and not only.moved
    assert [one.id for one in only.added] == ["circle/leak.png", "square/003.png"]


def test_moves_between_splits_of_manifests_and_the_columns_asked_for(tmp_path, monkeypatch, capsys):
    draw_folder(tmp_path / "p", CLASSES, each=4)
    files = sorted((tmp_path / "p").glob("*/*.png"))

    def manifest(name: str, test: set[int]) -> Path:
        rows = [
            f"{f.relative_to(tmp_path)},{f.parent.name},{'test' if i in test else 'train'}" for i, f in enumerate(files)
        ]
        (tmp_path / name).write_text("\n".join(["where,what,split", *rows]))
        return tmp_path / name

    old, new = manifest("old.csv", {0, 5, 9}), manifest("new.csv", {0, 5, 10})
    made = curvaudit.compare(old, new, image_column="where", label_column="what")
    assert names(made.moved) == [
        ("test: p/stripe/001.png", "train: p/stripe/001.png"),
        ("train: p/stripe/002.png", "test: p/stripe/002.png"),
    ]
    assert nothing_else(made, "moved") and made.old.pictures == 12
    code, out, _ = run(
        monkeypatch, capsys, old, new, "--image-column", "where", "--label-column", "what", "--format", "json"
    )
    assert code == 0 and [pair["new"]["split"] for pair in json.loads(out)["moved"]] == ["train", "test"]
    assert run(monkeypatch, capsys, old, new, "--image-column", "nothing")[0] == 2


def test_what_cannot_be_read_is_neither_removed_nor_added(versions, monkeypatch, capsys):
    old, new = versions
    (new / "circle" / "003.png").write_bytes(b"\x89PNG broken")
    made = curvaudit.compare(old, new)
    assert nothing_else(made, "gaps") and made.exit_code == 2 and [s.id for s in made.new.unreadable] == [
        "circle/003.png"
    ]  # fmt: skip
    code, out, _ = run(monkeypatch, capsys, old, new)
    assert code == 2 and "new: circle/003.png" in out and "INCOMPLETE" in out
    code, out, _ = run(monkeypatch, capsys, new, old, "--format", "json")
    document = json.loads(out)
    assert code == 2 and not document["complete"] and document["old"]["unreadable"][0]["id"] == "circle/003.png"
    assert document["added"] == [] and document["schema"] == "curvaudit-comparison/1"
    with pytest.raises(CurvauditError, match="12×12"):
        curvaudit.compare(old, old, max_pixels=100)
    picture(3, size=20).save(old / "circle" / "large.png")
    assert "20×20" in curvaudit.compare(old, old, max_pixels=200).old.unreadable[0].reason


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two versions, a run on each; in the second one picture is relabelled and one has become the first by far."""
    place = tmp_path_factory.mktemp("runs")
    draw_folder(place / "v1", CLASSES, each=6)
    shutil.copytree(place / "v1", place / "v2")
    (place / "v2" / "square" / "002.png").rename(place / "v2" / "stripe" / "002b.png")
    for version in ("v1", "v2"):
        curvaudit.scan(place / version, place / f"{version}.h5", **TINY)
    order = curvaudit.report(place / "v1.h5").order
    ids = curvaudit.open_run(place / "v1.h5").samples.ids
    risen = next(ids[row] for row in order[::-1] if ids[row] != "square/002.png")
    row = curvaudit.open_run(place / "v2.h5").samples.ids.index(risen)
    with h5py.File(place / "v2.h5", "r+") as file:
        file["trainings/0/measures/curvature"][:, row] = 1e9
    return place, risen


def test_two_runs_say_what_rose(runs):
    place, risen = runs
    made = curvaudit.compare(place / "v1.h5", place / "v2.h5")
    assert [pair.new.id for pair in made.relabelled] == ["stripe/002b.png"]
    first = next(rise for rise in made.rises if rise.new_rank == 1)
    before = curvaudit.report(place / "v1.h5")
    assert first.pair.new.id == risen and first.new_share == 0
    assert first.old_rank == before.rank[before.samples.ids.index(risen)] and first.old_share > 0.9
    far = [rise.old_share - rise.new_share for rise in made.rises]
    assert min(far) > 0 and far == sorted(far, reverse=True) and len(far) > 1
    assert curvaudit.compare(place / "v1.h5", place / "v2.h5", top=1).rises == made.rises[:1]
    assert made.new.thumbnails[first.pair.new.row] and made.exit_code == 0
    itself = curvaudit.compare(place / "v1.h5", place / "v1.h5")
    assert not itself.rises and nothing_else(itself)


def test_a_run_and_a_source_agree(runs):
    place, _ = runs
    assert nothing_else(curvaudit.compare(place / "v1.h5", place / "v1"))
    made = curvaudit.compare(place / "v1", place / "v2.h5")
    assert len(made.relabelled) == 1 and made.rank_by == "" and nothing_else(made, "relabelled")


def test_a_run_on_one_split_is_compared_with_that_split(tmp_path):
    for name, seed in (("train", 0), ("test", 5)):
        draw_folder(tmp_path / "v" / name, CLASSES, each=3, seed=seed)
    curvaudit.scan(tmp_path / "v", tmp_path / "test.h5", split="test", **TINY)
    assert nothing_else(curvaudit.compare(tmp_path / "test.h5", tmp_path / "v"))
    assert len(curvaudit.compare(tmp_path / "test.h5", tmp_path / "v", split="train").added) == 9


def test_a_damaged_or_unfinished_run_is_no_whole_comparison(runs, tmp_path):
    place, _ = runs
    damaged = tmp_path / "damaged.h5"
    shutil.copy(place / "v1.h5", damaged)
    with h5py.File(damaged) as file:
        start = file["thumbnails/data"].id.get_chunk_info(0).byte_offset
    content = bytearray(damaged.read_bytes())
    content[start + 3] ^= 16
    damaged.write_bytes(content)
    made = curvaudit.compare(damaged, place / "v1")
    assert made.exit_code == 2 and "damaged" in made.gaps[0]
    with h5py.File(place / "v1.h5", "r") as file:
        assert file["trainings/0"].attrs["finished"]
    shutil.copy(place / "v1.h5", tmp_path / "unfinished.h5")
    with h5py.File(tmp_path / "unfinished.h5", "r+") as file:
        file["trainings/0"].attrs["finished"] = False
    assert curvaudit.compare(tmp_path / "unfinished.h5", place / "v2.h5").exit_code == 2
    assert curvaudit.compare(tmp_path / "unfinished.h5", place / "v1").exit_code == 0


def test_exit_codes(runs, tmp_path, monkeypatch, capsys):
    place, risen = runs
    code, out, _ = run(monkeypatch, capsys, place / "v1.h5", place / "v2.h5")
    assert code == 0 and "1 relabelled." in out and risen in out
    assert run(monkeypatch, capsys, place / "v1", place / "v2", "-q")[:2] == (0, "")
    shutil.copytree(place / "v2", tmp_path / "v3")
    shutil.copy(tmp_path / "v3" / "circle" / "001.png", tmp_path / "v3" / "square" / "twin.png")
    code, out, _ = run(monkeypatch, capsys, place / "v2", tmp_path / "v3")
    assert code == 0 and "Newly conflicting: 1" in out  # to fail is the job of check
    for arguments in ([place / "v1", "nowhere"], [place / "v1.h5", "none.h5"], [place / "v1.h5", "nowhere"]):
        code, _, err = run(monkeypatch, capsys, *arguments)
        assert code == 2 and str(arguments[1]) in err and "reading" not in err  # before an hour of reading
    for arguments, said in (
        (["nowhere", place / "v1"], "nowhere"),
        ([place / "v1", "none.h5"], "none.h5"),
        ([place / "v1", place / "v2", "--format", "xml"], "xml"),
        ([place / "v1", place / "v2", "--top", "0"], "--top"),
        ([place / "v1.h5", place / "v2.h5", "--split", "test"], "--split"),
        ([place / "v1", place / "v2", "--label-column", "x"], "--label-column"),
        ([place / "v1.h5", place / "v2.h5", "--rank-by", "beauty"], "beauty"),
        ([place / "v1", place / "v2", "-o", place / "no" / "such" / "place"], "place"),
        ([place / "v1"], "NEW"),
    ):
        code, out, err = run(monkeypatch, capsys, *arguments)
        assert code == 2 and out == "" and said in err, arguments


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_shows_pictures_and_names_stay_names(tmp_path, monkeypatch, capsys):
    hostile = ("<script>alert(1)<|script>", '" onerror="alert(1)')
    files = ("<img src=x onerror=alert(1)>.png", "\x1b[31mred.png", "{{ 7*7 }}.png", "new\nline.png")
    for version in ("v1", "v2"):
        for number, label in enumerate(hostile):
            (tmp_path / version / label).mkdir(parents=True)
            for place, name in enumerate(files):
                picture(10 * number + place).save(tmp_path / version / label / name, "PNG")
    new = tmp_path / "v2"
    picture(99).save(new / hostile[0] / files[0], "PNG")
    os.rename(new / hostile[0] / files[1], new / hostile[1] / f"to{files[1]}")
    shutil.copy(new / hostile[0] / files[2], new / hostile[1] / f"copy{files[2]}")
    (new / hostile[0] / "<marquee>broken\x1b.png").write_bytes(b"text")
    out = tmp_path / "page.html"
    assert run(monkeypatch, capsys, tmp_path / "v1", new, "--format", "html", "-o", out)[0] == 2
    source = out.read_text()
    page = Page()
    page.feed(source)
    assert "script" not in page.tags and not {"img", "marquee"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not [v for name, v in page.attributes if name in ("href", "src") and not (v or "").startswith("#")]
    assert "49" not in re.sub(r"<style>.*?</style>", "", source, flags=re.DOTALL) and hostile[0] in "".join(page.text)
    assert any((v or "").startswith("default-src 'none';") for name, v in page.attributes if name == "content")
    # old and new of the changed one, the relabelled, both of the conflict, of which one is added too
    assert source.count("background-image:url(data:image/png") == 5 and "picture not kept" not in source
    code, text, _ = run(monkeypatch, capsys, tmp_path / "v1", new)
    assert code == 2 and not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text)
    document = json.loads(run(monkeypatch, capsys, tmp_path / "v1", new, "--format", "json")[1])
    assert document["relabelled"][0]["old"] == {
        "index": document["relabelled"][0]["old"]["index"],
        "id": f"{hostile[0]}/{files[1]}",
        "label": hostile[0],
        "split": None,
    }


def test_among_equal_scores_nothing_rises(tmp_path):
    """`fast` logs a curvature of 0 where nothing can be found: the order of files must not decide who rose."""
    from made import write_run

    for name, shift, first in (("v1", 0, 10), ("v2", 40, 5)):  # five more are at 0 now: the others did not rise
        write_run(tmp_path / f"{name}.h5")
        with h5py.File(tmp_path / f"{name}.h5", "r+") as file:
            measures = file["trainings/0/measures"]
            measures["curvature"][:, first:] = 0
            measures["loss"][:, 10:] = np.roll(measures["loss"][:, 10:], shift, axis=1)
    reports = [curvaudit.report(tmp_path / f"{name}.h5") for name in ("v1", "v2")]
    assert (reports[0].rank != reports[1].rank).any()
    risen = {rise.pair.new.row for rise in curvaudit.compare(tmp_path / "v1.h5", tmp_path / "v2.h5").rises}
    assert risen <= set(range(5))  # whoever stood behind one of those that fell


def test_the_order_of_a_manifest_in_which_one_path_stands_twice_changes_nothing(tmp_path):
    for number in range(3):
        picture(number).save(tmp_path / f"{number}.png")
    rows = ["0.png,cat", "0.png,dog", "1.png,dog", "2.png,cat", "2.png,cat"]
    for name, order in (("old.csv", [0, 1, 2, 3, 4]), ("new.csv", [4, 1, 2, 0, 3])):
        (tmp_path / name).write_text("\n".join(["path,label", *(rows[place] for place in order)]))
    made = curvaudit.compare(tmp_path / "old.csv", tmp_path / "new.csv")
    assert made.same and not made.renamed
    (tmp_path / "new.csv").write_text("\n".join(["path,label", "0.png,bird", *rows[2:], rows[0]]))
    made = curvaudit.compare(tmp_path / "old.csv", tmp_path / "new.csv")
    assert [(pair.old.label, pair.new.label) for pair in made.relabelled] == [("dog", "bird")] and not made.renamed


def test_why_a_comparison_is_incomplete_is_said_where_its_document_goes_into_a_file(tmp_path, monkeypatch, capsys):
    for name in ("old", "new"):
        draw_folder(tmp_path / name, CLASSES, each=3, size=12)
    (tmp_path / "new" / "circle" / "000.png").write_bytes(b"")
    both = tmp_path / "old", tmp_path / "new"
    code, out, _ = run(monkeypatch, capsys, *both, "--format", "json", "-o", tmp_path / "made.json")
    assert code == 2 and "not compared: new: 1 file could not be read" in out and "INCOMPLETE" in out
    assert json.loads((tmp_path / "made.json").read_text())["complete"] is False
    assert run(monkeypatch, capsys, *both, "-o", tmp_path / "made.txt", "--quiet")[:2] == (2, "")


def test_where_one_side_tells_no_splits_the_id_has_to_do(tmp_path):
    for split, seed in (("train", 0), ("test", 5)):
        draw_folder(tmp_path / "v1" / split, CLASSES, each=4, seed=seed)
    shutil.copytree(tmp_path / "v1" / "train", tmp_path / "v2")
    picture(1).save(tmp_path / "v2" / "circle" / "001.png")
    made = curvaudit.compare(tmp_path / "v1", tmp_path / "v2")
    assert [(pair.old.id, pair.new.id) for pair in made.changed] == [("circle/001.png", "circle/001.png")]
    assert not made.added and not made.moved and len(made.removed) == 12


def test_classes_that_are_called_like_splits_are_none(tmp_path):
    draw_folder(tmp_path / "v1", ("test", "train", "other"), each=4)
    shutil.copytree(tmp_path / "v1", tmp_path / "v2")
    (tmp_path / "v2" / "test" / "001.png").rename(tmp_path / "v2" / "train" / "new.png")
    made = curvaudit.compare(tmp_path / "v1", tmp_path / "v2")
    assert len(made.relabelled) == 1 and not made.moved


def test_the_furthest_rise_comes_first_not_the_highest_rank(tmp_path):
    for name in ("v1", "v2"):
        write_run(tmp_path / f"{name}.h5")
        with h5py.File(tmp_path / f"{name}.h5", "r+") as file:
            scores = np.arange(90.0)[::-1]
            if name == "v2":
                scores[[1, 80]] = [95, 60.5]  # from rank 2 to 1, and from rank 81 to about 31
            file["trainings/0/measures/curvature"][:] = scores
    rises = curvaudit.compare(tmp_path / "v1.h5", tmp_path / "v2.h5", top=1).rises
    assert [(rise.pair.new.row, rise.old_rank) for rise in rises] == [(80, 81)]
