"""Reports without training."""

import csv
import io
import json
import shutil
import tarfile
from types import SimpleNamespace

import numpy as np
import pytest
from made import draw_folder, write_run
from PIL import Image

import curvaudit
from curvaudit import exports, inspecting, inventory, sources
from curvaudit.cli import main
from curvaudit.errors import CurvauditError
from curvaudit.pictures import images
from curvaudit.records import Samples


def by_rule(report) -> dict[str, list[set[str]]]:
    found: dict[str, list[set[str]]] = {}
    for finding in report.findings:
        found.setdefault(finding.rule.id, []).append({sample.id for sample in finding.samples})
    return found


def spoil(folder) -> None:
    """One of each: conflict, copy, unreadable, flat, a small class."""
    (folder / "square" / "planted.png").write_bytes((folder / "circle" / "003.png").read_bytes())
    (folder / "stripe" / "copy.png").write_bytes((folder / "stripe" / "007.png").read_bytes())
    (folder / "circle" / "broken.png").write_bytes(b"\x89PNG broken")
    Image.new("RGB", (12, 12), "white").save(folder / "circle" / "flat.png")
    (folder / "tiny").mkdir()
    Image.fromarray(np.random.default_rng(9).integers(0, 255, (12, 12, 3), np.uint8)).save(folder / "tiny" / "one.png")


def test_all_that_needs_no_training_is_found_and_nothing_is_ranked(image_folder):
    spoil(image_folder)
    report = curvaudit.inspect(image_folder)
    found = by_rule(report)
    assert found == {
        "CA101": [{"circle/003.png", "square/planted.png"}],
        "CA111": [{"stripe/007.png", "stripe/copy.png"}],
        "CA301": [{"circle/broken.png"}],
        "CA302": [{"circle/flat.png"}],
        "CA501": [set()],
    }
    assert report.trainings == () and report.training == -1 and report.rank_by == ""
    assert report.order.tolist() == list(range(len(report.samples)))
    assert all(sample.rank is None and sample.score is None for f in report.findings for sample in f.samples)
    assert any("CA201" in caveat.message for caveat in report.caveats)
    assert any(caveat.severity == "error" and "CA301" in caveat.message for caveat in report.caveats)
    assert not curvaudit.check(report).passed


def test_every_export_renders_it(image_folder):
    spoil(image_folder)
    report = curvaudit.inspect(image_folder)
    files = exports.render_all(report)
    document = json.loads(files["findings.json"])
    assert document["run"]["trainings"] == [] and document["summary"]["memorized"] is None
    assert document["findings"][0]["samples"][0]["rank"] is None
    rows = list(csv.DictReader(io.StringIO(files["ranking.csv"].decode())))
    assert len(rows) == len(report.samples) and {row["score"] for row in rows} == {""}
    page = files["index.html"].decode()
    assert "nothing was trained" in page and "Ranked by" not in page and "curvaudit scan ./" not in page
    clean = page.split("Checked, nothing found:")[1].split("</p>")[0]
    assert "CA201" not in clean and "CA203" not in clean and "CA401" not in clean and "CA102" in clean


def test_one_class_is_enough_for_copies_and_none_is_refused(tmp_path, image_folder):
    alone = tmp_path / "alone"
    alone.mkdir()
    (image_folder / "circle").rename(alone / "circle")
    (alone / "circle" / "copy.png").write_bytes((alone / "circle" / "000.png").read_bytes())
    assert by_rule(curvaudit.inspect(alone)) == {"CA111": [{"circle/000.png", "circle/copy.png"}]}
    with pytest.raises(CurvauditError, match="only one class"):
        curvaudit.scan(alone, tmp_path / "run.h5")
    for picture in (alone / "circle").iterdir():
        picture.write_bytes(b"text")
    with pytest.raises(CurvauditError, match="no readable picture"):
        curvaudit.inspect(alone)


def test_pictures_are_shown_also_where_not_all_are_kept(image_folder, monkeypatch):
    spoil(image_folder)
    kept = curvaudit.inspect(image_folder)
    monkeypatch.setattr(inventory, "THUMBNAIL_BUDGET", 1000)
    drawn = curvaudit.inspect(image_folder)
    assert drawn.thumbnails == kept.thumbnails and drawn.thumbnails


def test_no_thumbnail_is_drawn_once_there_is_no_room_for_more(tmp_path, monkeypatch):
    pictures = np.random.default_rng(0).integers(0, 255, (5000, 8, 8), np.uint8)
    np.savez(tmp_path / "set.npz", images=pictures, labels=np.arange(5000) % 2)
    monkeypatch.setattr(inventory, "THUMBNAIL_BUDGET", 10_000)
    draw, drawn = images.thumbnail, []
    monkeypatch.setattr(images, "thumbnail", lambda picture: drawn.append(1) or draw(picture))
    taken = inventory.take(sources.load(tmp_path / "set.npz"), 2, lambda event: None)
    assert 10 < len(taken.drawn) < 1000  # 10,000 bytes hold as many
    assert len(drawn) < 2500  # threads are ahead by a block of 1,024


@pytest.mark.parametrize("kind", ["manifest", "npz", "parquet", "shards"])
def test_every_source_that_knows_its_splits_searches_the_others(kind, tmp_path, monkeypatch, capsys):
    chance = np.random.default_rng(3)
    pictures = chance.integers(0, 255, (9, 16, 16, 3), np.uint8)
    pictures[7] = pictures[2]  # in train and in test
    splits = ["train"] * 6 + ["test"] * 3
    source = tmp_path / "set"
    source.mkdir()
    if kind == "npz":
        source = tmp_path / "set.npz"
        labels = np.arange(9) % 2
        arrays = {"train_images": pictures[:6], "train_labels": labels[:6], "test_images": pictures[6:]}
        np.savez(source, **arrays, test_labels=labels[6:])
    elif kind == "manifest":
        for number, pixels in enumerate(pictures):
            Image.fromarray(pixels).save(source / f"{number}.png")
        rows = [f"{number}.png,{'ab'[number % 2]},{split}" for number, split in enumerate(splits)]
        source = source / "list.csv"
        source.write_text("\n".join(["file,kind,split", *rows]))
    else:
        for split in ("train", "test"):
            mine = [number for number in range(9) if splits[number] == split]
            (write_parquet if kind == "parquet" else write_tar)(source / f"{split}-000", pictures, mine)
    columns = ["--image-column", "file", "--label-column", "kind"] if kind == "manifest" else []
    for command in ("check", "duplicates"):
        monkeypatch.setattr("sys.argv", ["curvaudit", command, str(source), "--format", "json", *columns])
        with pytest.raises(SystemExit) as leave:
            main()
        document = json.loads(capsys.readouterr().out)
        leaks = [finding for finding in document["findings"] if finding["rule"] == "CA401"]
        assert leave.value.code == 1 and [len(leak["samples"]) for leak in leaks] == [2]
        assert leaks[0]["samples"][1]["id"].startswith("test: ")


@pytest.mark.parametrize(
    ("split", "others"), [(None, ("test",)), ("train", ("test",)), ("training", ("test",)), ("val", ("train",)),
                          ("validation", ("train",)), ("test", ("train",))]
)  # fmt: skip
def test_a_standard_set_is_never_searched_against_itself(split, others):
    from curvaudit.sources import SourceOptions, other_splits

    assert other_splits("mnist", SourceOptions(split=split)) == others


def test_an_array_that_is_named_has_no_other_splits(tmp_path):
    pictures = np.random.default_rng(3).integers(0, 255, (6, 16, 16, 3), np.uint8)
    np.savez(tmp_path / "a.npz", train_images=pictures, test_images=pictures[:2], train_labels=[0, 1] * 3,
             test_labels=[0, 1])  # fmt: skip
    report = curvaudit.inspect(
        tmp_path / "a.npz", image_column="train_images", label_column="train_labels", against=":splits"
    )
    assert report.compared_with == () and "CA401" not in by_rule(report)


def write_parquet(path, pictures, rows) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    table = {"image": [{"bytes": png(pictures[row]), "path": None} for row in rows], "label": [row % 2 for row in rows]}
    pq.write_table(pa.table(table), path.with_suffix(".parquet"))


def write_tar(path, pictures, rows) -> None:
    with tarfile.open(path.with_suffix(".tar"), "w") as archive:
        for row in rows:
            for ending, content in (("png", png(pictures[row])), ("cls", str(row % 2).encode())):
                info = tarfile.TarInfo(f"{row}.{ending}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))


def png(pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_limit_of_pixels(image_folder):
    assert not curvaudit.inspect(image_folder, max_pixels=144).skipped
    with images.pixel_limit(100):  # of somebody else, while this one's threads read
        assert not curvaudit.inspect(image_folder, max_pixels=144).skipped
    Image.new("RGB", (13, 12)).save(image_folder / "circle" / "large.png")
    (skipped,) = curvaudit.inspect(image_folder, max_pixels=144).skipped
    assert skipped.id == "circle/large.png" and "too large: 13×12" in skipped.reason
    with pytest.raises(CurvauditError, match="--max-pixels"):
        curvaudit.inspect(image_folder, max_pixels=0)


def test_another_source_is_searched_in_all_its_splits(tmp_path, image_folder):
    other = tmp_path / "other"
    for split in ("train", "test"):
        shutil.copytree(image_folder, other / split)
        for number, path in enumerate(sorted((other / split).rglob("*.png"))):
            pixels = np.random.default_rng([len(split), number]).integers(0, 255, (12, 12, 3), np.uint8)
            Image.fromarray(pixels).save(path)
    shutil.copy(image_folder / "circle" / "003.png", other / "test" / "circle" / "000.png")
    report = curvaudit.inspect(image_folder, against=str(other))
    assert report.compared_with == (f"{other} (train)", f"{other} (test)")
    assert by_rule(report)["CA401"] == [{"circle/003.png", f"{other} (test): circle/000.png"}]


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        ("flat", "holds files, but no class folders"),
        ("unreadable", "holds no readable picture"),
        ("empty", None),
        ("linked", None),
        ("broken link", "broken symbolic link"),
    ],
)
def test_a_split_that_cannot_be_searched_is_a_finding_and_the_rest_is_told(
    tmp_path, image_folder, spoilt, said, monkeypatch, capsys
):
    spoil(image_folder)
    (image_folder / "circle" / "broken.png").unlink()
    root, test = tmp_path / "both", tmp_path / "both" / "test"
    shutil.copytree(image_folder, root / "train")
    (root / "val" / "circle").mkdir(parents=True)
    shutil.copy(image_folder / "circle" / "005.png", root / "val" / "circle")
    if spoilt == "broken link":
        test.symlink_to(tmp_path / "nowhere")
    else:
        (test if spoilt == "flat" else test / "circle").mkdir(parents=True)
    if spoilt == "empty":
        (test / ".gitkeep").touch()
    if spoilt == "linked":  # its only class lies elsewhere
        shutil.rmtree(test)
        test.mkdir()
        (test / "circle").symlink_to(root / "val" / "circle")
    if spoilt == "flat":
        shutil.copy(image_folder / "circle" / "003.png", test)
    if spoilt == "unreadable":
        (test / "circle" / "a.png").write_bytes(b"version https://git-lfs")
    report = curvaudit.inspect(root, against=inspecting.ALL_SPLITS)
    assert set(report.compared_with) == ({"val", "test"} if spoilt == "linked" else {"val"})
    assert [item.id for item in report.skipped if said and said in item.reason] == (
        [] if said is None else ["../test" if spoilt == "broken link" else "test"]
    )
    found = by_rule(report)
    assert {"CA101", "CA401"} <= set(found) and ("CA301" in found) == (said is not None)
    monkeypatch.setattr("sys.argv", ["curvaudit", "check", str(root), "--no-policy", "--no-cache"])
    with pytest.raises(SystemExit) as leave:
        main()
    assert leave.value.code == (1 if said is None else 2)
    out = capsys.readouterr().out
    assert "CA101" in out and "CA401" in out and ("CA301" in out) == (said is not None)


def test_the_command_names_what_it_found(image_folder, monkeypatch, capsys):
    spoil(image_folder)
    monkeypatch.setattr("sys.argv", ["curvaudit", "duplicates", str(image_folder), "--no-cache"])
    with pytest.raises(SystemExit) as leave:
        main()
    assert leave.value.code == 2
    printed = capsys.readouterr().out
    assert printed.startswith("CA301 circle/broken.png could not be read: not an image")
    assert "CA302 circle/flat.png (circle) is one flat colour" in printed
    assert "CA501 Class tiny holds only 1 of at least" in printed


def test_a_class_that_cannot_be_reached_is_no_clutter(image_folder):
    (image_folder / "bird").symlink_to(image_folder / "nowhere")
    (image_folder / ".#lock").symlink_to("somebody@machine.1")  # of an editor
    report = curvaudit.inspect(image_folder)
    assert {item.id: item.kind for item in report.skipped} == {"bird": "unreadable", ".#lock": "ignored"}
    assert by_rule(report)["CA301"] == [{"bird"}]


@pytest.mark.parametrize("seed", range(10))
def test_classes_of_others_are_numbered_as_by_searching_the_list(seed):
    random = np.random.default_rng(seed)

    def stock_of(classes: int) -> SimpleNamespace:
        names = tuple(f"class {number}" for number in random.permutation(12)[:classes])
        labels = random.integers(0, classes, 30).astype(np.int32)
        whole = np.zeros(30, np.uint64)
        ids = tuple(map(str, range(30)))
        return SimpleNamespace(samples=Samples(ids, labels, names, whole, whole, whole, whole, whole))

    stock, others = stock_of(5), [(name, stock_of(int(random.integers(1, 8)))) for name in ("x", "y")]
    classes, labels = list(stock.samples.classes), []
    for _, other in others:
        classes += [label for label in other.samples.classes if label not in classes]
        labels += [classes.index(other.samples.classes[label]) for label in other.samples.labels]
    mine, elsewhere = inspecting._together(stock, others)
    assert mine is stock.samples and elsewhere is not None
    assert elsewhere.classes == tuple(classes) and elsewhere.labels.tolist() == labels


def test_rows_without_a_split_are_told_once(tmp_path):
    classes = ("circle", "square", "stripe")
    draw_folder(tmp_path / "p", classes, each=4)
    rows = [f"p/{c}/{n:03d}.png,{c},{s}" for c in classes for n, s in enumerate(("train", "train", "test", ""))]
    (tmp_path / "l.csv").write_text("\n".join(["path,label,split", *rows]))
    report = curvaudit.inspect(tmp_path / "l.csv", against=inspecting.ALL_SPLITS)
    assert [item.id for item in report.skipped if item.kind == "doubtful"] == ["line 5", "line 9", "line 13"]


def test_the_columns_asked_for_are_those_of_the_audited_source_alone(tmp_path):
    classes = ("circle", "square", "stripe")
    draw_folder(tmp_path / "p", classes, each=4)
    rows = [f"p/{c}/{n:03d}.png,{c}" for c in classes for n in range(4)]
    (tmp_path / "l.csv").write_text("\n".join(["where,what", *rows]))
    report = curvaudit.inspect(tmp_path / "l.csv", image_column="where", label_column="what", against=tmp_path / "p")
    assert sum(finding.rule.id == "CA401" for finding in report.findings) == 12


def test_where_standard_sets_lie_is_said_once_for_two_sources(image_folder):
    """Digits are embedded, but go by name as the sets that `data_dir` is for."""
    report = curvaudit.inspect(image_folder, against="digits", data_dir="sets")
    assert report.compared_with == ("digits",)
    assert len(curvaudit.compare("digits", image_folder, data_dir="sets").added) == len(report.samples)
    for use in (
        lambda: curvaudit.inspect(image_folder, data_dir="sets"),
        lambda: curvaudit.inspect(image_folder, against=image_folder, data_dir="sets"),
        lambda: curvaudit.compare(image_folder, image_folder, data_dir="sets"),
    ):
        with pytest.raises(CurvauditError, match="--data-dir 'sets' says nothing about"):
            use()


def test_what_a_prompt_prints_of_results_is_a_line(tmp_path, image_folder):
    write_run(tmp_path / "run.h5")
    run, report = curvaudit.open_run(tmp_path / "run.h5"), curvaudit.inspect(image_folder)
    check, comparison = curvaudit.check(report), curvaudit.compare(image_folder, image_folder)
    for result in (run, report, curvaudit.report(run), check, comparison):
        assert str(result) == repr(result) and len(repr(result)) < 300 + len(str(tmp_path)) * 2, type(result)
    assert f"pictures {len(report.samples)}, findings 0" in repr(report)
    assert "ranked by curvature" in repr(curvaudit.report(run))
    assert "passed=True, complete=True, violations 0" in repr(check) and "relabelled 0" in repr(comparison)


@pytest.mark.parametrize(("side", "told"), [(12, True), (16, False)])
def test_near_copies_are_not_among_what_was_checked_where_none_could_be_looked_for(tmp_path, side, told):
    rng = np.random.default_rng(0)
    for number in range(4):
        path = tmp_path / "pictures" / f"class{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(path)
    report = curvaudit.inspect(tmp_path / "pictures")
    near = {"CA102", "CA112"}
    assert near & curvaudit.check(report).unchecked_rules == (near if told else set())
    page = exports.render_all(report)["index.html"].decode()
    clean = page.split("Checked, nothing found:")[1].split("</p>")[0]
    assert ("CA102" not in clean) == told and "CA101" in clean
    why = "conflicting-near-duplicates (CA102): not checked, the remarks above say why."
    assert (why in page) == told
