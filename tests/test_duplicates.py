"""Copies that were changed, look-alikes, leaks between splits, and the command that reports them."""

import io
import json
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

import curvaudit
from curvaudit import inventory, sources, store
from curvaudit.cli import main
from curvaudit.copies import finer, matching, neighbours, registration, signatures
from curvaudit.exports import html
from curvaudit.exports.page_content.tiles import Tiles
from curvaudit.findings import duplicates
from curvaudit.records import RunInfo
from curvaudit.sources import SourceOptions


def photo(seed: int, size: int = 40) -> Image.Image:
    """Coarse and fine structure, as photographs have."""
    random = np.random.default_rng(seed)
    layers = sum(
        np.asarray(Image.fromarray(random.integers(0, 255, (n, n, 3), np.uint8)).resize((size, size), 3), float) * w
        for n, w in ((4, 0.5), (9, 0.3), (20, 0.2))
    )
    return Image.fromarray((20 + 0.75 * layers).astype(np.uint8))


def jpeg(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=30)
    return Image.open(buffer).convert("RGB")


CHANGED = {
    "mirrored": (lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), "mirrored"),
    "upside down": (lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM), "upside down"),
    "turned left": (lambda image: image.transpose(Image.Transpose.ROTATE_90), "rotated 90"),
    "turned right": (lambda image: image.transpose(Image.Transpose.ROTATE_270), "rotated 90"),
    "over the diagonal": (lambda image: image.transpose(Image.Transpose.TRANSPOSE), "mirrored diagonally"),
    "over the other": (lambda image: image.transpose(Image.Transpose.TRANSVERSE), "mirrored diagonally"),
    "turned over": (lambda image: image.transpose(Image.Transpose.ROTATE_180), "rotated 180"),
    "saved again": (jpeg, "slightly changed"),
    "half the size": (lambda image: image.resize((20, 20), Image.Resampling.BICUBIC), "resized"),
    "twice the size": (lambda image: image.resize((80, 80), Image.Resampling.BICUBIC), "resized"),
    "brighter": (lambda image: image.point(lambda value: min(255, value * 1.2)), "brightness"),
    "darker": (lambda image: image.point(lambda value: value * 0.8), "brightness"),
    "cropped": (lambda image: image.crop((2, 2, 38, 38)), "cropped"),
    "without colours": (lambda image: image.convert("L"), "in grey"),
    "cropped on one side": (lambda image: image.crop((2, 0, 40, 40)), "cropped"),
}


def write(folder, pictures: dict[str, Image.Image]) -> None:
    for name, image in pictures.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        image.save(folder / name)


@pytest.fixture
def photos(tmp_path):
    write(tmp_path / "set", {f"{'ab'[seed % 2]}/{seed:02d}.png": photo(seed) for seed in range(24)})
    return tmp_path / "set"


def copies(report) -> list[tuple[str, set[str], str]]:
    return [
        (finding.rule.id, {sample.id for sample in finding.samples}, finding.evidence["kind"])
        for finding in report.findings
        if finding.rule.id in ("CA101", "CA102", "CA111", "CA112", "CA401")
    ]


def test_every_kind_of_copy_is_found_and_called_by_its_name_and_nothing_else_is(photos):
    expected = []
    for seed, (change, kind) in enumerate(CHANGED.values()):
        name = f"{'ab'[seed % 2]}/{seed:02d}.png"
        other = f"{'ab'[seed % 4 // 2]}/copy{seed:02d}.png"
        write(photos, {other: change(photo(seed))})
        expected.append(("CA112" if name[0] == other[0] else "CA102", {name, other}, kind))
    found = copies(curvaudit.inspect(photos))

    def place(one: tuple[str, set[str], str]) -> list[str]:
        return sorted(one[1])  # the text of a set depends on the hash seed

    assert sorted(found, key=place) == sorted(expected, key=place)


def test_a_run_finds_the_same_without_the_pictures(photos, tmp_path):
    write(photos, {"b/mirrored.png": photo(0).transpose(Image.Transpose.FLIP_LEFT_RIGHT)})
    stock = inventory.take(sources.load(photos), 1, lambda done: None)
    info = RunInfo("photos", stock.fingerprint(), {}, {}, "test", "2026-01-01")
    store.create(tmp_path / "run.h5", info, stock.samples, (), stock.thumbnails)
    photos.rename(tmp_path / "gone")
    run = store.open_run(tmp_path / "run.h5")
    near = matching.near_pairs(run.samples, run.thumbnails)
    assert [{run.samples.ids[row] for row in pair} for pair in near.pairs] == [{"a/00.png", "b/mirrored.png"}]
    assert near.kinds == ("mirrored",) and near.unverified == 0
    assert matching.near_pairs(run.samples, lambda rows: {}).unverified == 1


def test_flat_pictures_and_look_alikes_match_nothing(photos):
    shape = np.asarray(photo(1), float)
    noise = np.random.default_rng(0)
    write(photos, {f"a/flat{value}.png": Image.new("RGB", (40, 40), (value, value, 0)) for value in (0, 9, 200)})
    for number in range(4):  # the same coarse shape with other details
        other = np.clip(0.6 * shape + 50 + noise.normal(0, 30, shape.shape), 0, 255)
        write(photos, {f"b/alike{number}.png": Image.fromarray(other.astype(np.uint8))})
    assert copies(curvaudit.inspect(photos)) == []


def test_equal_pictures_that_are_nearly_flat_are_copies_and_those_of_one_colour_are_not(photos):
    sky = np.full((200, 200), 4, np.uint8)
    sky[::60, 3::67] = 30  # stars: a standard deviation of 0.002
    for name in ("a/sky.png", "b/sky.png"):
        write(photos, {name: Image.fromarray(sky), name.replace("sky", "night"): Image.new("L", (200, 200), 4)})
    report = curvaudit.inspect(photos)
    assert copies(report) == [("CA101", {"a/sky.png", "b/sky.png"}, "exact")]
    said = {finding.message for finding in report.findings if finding.rule.id == "CA302"}
    assert {
        "a/sky.png (a) is nearly one flat colour (200×200 px).",
        "a/night.png (a) is one flat colour (200×200 px).",
    } < said


def form(seed: int, size: tuple[int, int] = (240, 320)) -> Image.Image:
    """Printed lines and boxes that all share, with entries of its own."""
    random = np.random.default_rng(seed)
    page = Image.new("RGB", size, (245, 245, 240))
    draw = ImageDraw.Draw(page)
    for line in range(10):
        draw.rectangle([10, 12 + 30 * line, size[0] - 10, 34 + 30 * line], outline=(40, 40, 40))
        draw.text((16, 17 + 30 * line), ("Name", "Street", "Town")[line % 3], fill=(20, 20, 20))
        entry = "".join(random.choice(list("abcdefghij 0123456789"), 18))
        draw.text((80, 17 + 30 * line), entry, fill=(30, 30, 60))
    return page


def vessels(seed: int) -> Image.Image:
    """The back of an eye: the same disc in all, crossed by fine lines of its own."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:160, :160] - 80
    disc = (np.hypot(x, y) < 75)[..., None] * np.array([180, 80, 40]) * (1 - 0.3 * np.hypot(x, y)[..., None] / 75)
    disc[np.hypot(x - 36, y) < 11] = (240, 200, 130)
    eye = Image.fromarray(disc.astype(np.uint8))
    for _ in range(8):
        angle, path = random.uniform(0, 6.28), [(116.0, 80.0)]
        for _ in range(12):
            angle += random.normal(0, 0.25)
            path.append((path[-1][0] + 8 * np.cos(angle), path[-1][1] + 8 * np.sin(angle)))
        ImageDraw.Draw(eye).line(path, fill=(110, 30, 20), width=2)
    return eye


@pytest.mark.parametrize("draw", [form, vessels])
def test_pictures_on_one_template_are_no_copies_and_copies_of_them_are(draw, tmp_path, monkeypatch):
    write(tmp_path, {f"{'ab'[seed % 2]}/{seed:02d}.png": draw(seed) for seed in range(24)})
    assert copies(curvaudit.inspect(tmp_path)) == []
    write(tmp_path, {"b/saved.png": jpeg(draw(0)), "b/turned.png": draw(2).transpose(Image.Transpose.ROTATE_180)})
    assert [names for _, names, _ in copies(curvaudit.inspect(tmp_path))] == [
        {"a/00.png", "b/saved.png"},
        {"a/02.png", "b/turned.png"},
    ]
    monkeypatch.setattr(finer, "enough", lambda size: False)
    assert max(len(names) for _, names, _ in copies(curvaudit.inspect(tmp_path))) > 4, "at 32 px they are the same"


def line_of_text(seed: int) -> Image.Image:
    words = ["invoice", "total", "date", "order", "amount", "street", "city", "due", "paid", "item"]
    strip = Image.new("RGB", (300, 20), "white")
    text = " ".join(np.random.default_rng(seed).choice(words, 6))
    ImageDraw.Draw(strip).text((4, 4), text, fill="black")
    return strip


def test_lines_of_text_are_no_copies_and_copies_of_long_strips_are(tmp_path):
    write(tmp_path, {f"{'ab'[seed % 2]}/{seed:02d}.png": line_of_text(seed) for seed in range(60)})
    assert copies(curvaudit.inspect(tmp_path)) == []
    strips = {f"a/strip{seed}.png": scene(seed, 300).crop((0, 100, 300, 140)) for seed in range(3)}
    one, two, three = strips.values()
    changed = {
        "b/saved.png": jpeg(one),
        "b/half.png": two.resize((150, 20), Image.Resampling.LANCZOS),
        "b/turned.png": three.transpose(Image.Transpose.ROTATE_90),
        "b/text.png": line_of_text(1).resize((600, 40), Image.Resampling.BICUBIC),
    }
    write(tmp_path, strips | changed)
    found = {frozenset(names) for _, names, _ in copies(curvaudit.inspect(tmp_path))}
    assert found == {frozenset(pair) for pair in zip((*strips, "b/01.png"), changed, strict=True)}


def scene(seed: int, size: int = 200) -> Image.Image:
    """A large photograph, with structure that only shows at 64 px and above."""
    fine = np.random.default_rng(1000 + seed).integers(-30, 30, (size // 3, size // 3), np.int16)
    fine = np.asarray(Image.fromarray((128 + fine).astype(np.uint8)).resize((size, size), 3), float) - 128
    return Image.fromarray(np.clip(np.asarray(photo(seed, size), float) + fine[..., None], 0, 255).astype(np.uint8))


LARGE = CHANGED | {
    "half the size": (lambda image: image.resize((100, 100), Image.Resampling.LANCZOS), "resized"),
    "a third of the size": (lambda image: image.resize((66, 66), Image.Resampling.LANCZOS), "resized"),
    "twice the size": (lambda image: image.resize((400, 400), Image.Resampling.BICUBIC), "resized"),
    "cropped": (lambda image: image.crop((10, 10, 190, 190)), "cropped"),
    "cropped on one side": (lambda image: image.crop((10, 0, 200, 200)), "cropped"),
    "less contrast": (lambda image: image.point(lambda value: 64 + value / 2), "brightness"),
    "turned a little": (lambda image: image.rotate(3, 3).crop((12, 12, 188, 188)), "cropped"),
    "blurred": (lambda image: image.filter(ImageFilter.GaussianBlur(1)), "slightly changed"),
}


def test_every_kind_of_copy_of_large_pictures_is_found(tmp_path):
    write(tmp_path, {f"a/{seed:02d}.png": scene(seed) for seed in range(30)})
    write(tmp_path, {f"b/{seed:02d}.png": change(scene(seed)) for seed, (change, _) in enumerate(LARGE.values())})
    assert {(min(names), kind) for _, names, kind in copies(curvaudit.inspect(tmp_path))} == {
        (f"a/{seed:02d}.png", kind) for seed, (_, kind) in enumerate(LARGE.values())
    }


def test_a_text_at_twice_the_resolution_is_found_and_another_text_is_not(tmp_path):
    write(tmp_path, {f"a/{seed:02d}.png": form(seed) for seed in range(12)})
    write(tmp_path, {f"b/{seed:02d}.png": form(seed + 50).resize((480, 640), 3) for seed in range(12)})
    write(tmp_path, {"b/double.png": form(3).resize((480, 640), 3)})
    assert copies(curvaudit.inspect(tmp_path)) == [("CA102", {"a/03.png", "b/double.png"}, "resized")]


def test_a_chain_is_not_called_a_group_of_near_identical_pictures(photos):
    wide = photo(60, 120)
    frames = {f"a/frame{place:02d}.png": wide.crop((place, 0, place + 60, 60)) for place in range(0, 21, 2)}
    write(photos, frames)
    (found,) = (one for one in curvaudit.inspect(photos).findings if one.rule.id == "CA112")
    assert len(found.samples) == len(frames)
    assert found.message == "11 pictures linked by near-identical pairs (cropped), all under a."


def test_of_many_kinds_the_commonest_three_are_named():
    names = ("resized", "cropped", "cropped", "mirrored", "mirrored", "brightness", "brightness", "in grey")
    count = len(names)
    near = matching.NearPairs(np.zeros((count, 2), int), np.zeros(count, int), np.zeros(count), names, 0)
    assert duplicates.kinds(near, np.arange(count)) == "brightness; cropped; mirrored; …"
    assert duplicates.kinds(near, np.arange(4)) == "cropped; mirrored; resized"


def tinted(image: Image.Image, red: int) -> Image.Image:
    grey = np.asarray(image.convert("L"), float)[..., None]
    return Image.fromarray(np.clip(2 * grey - 120 + np.array([red, 0, -red]), 0, 255).astype(np.uint8))


def test_a_copy_in_other_colours_is_no_conflict_and_one_in_grey_is(photos):
    write(photos, {"a/warm.png": tinted(photo(50), 9), "a/cold.png": tinted(photo(50), -9)})
    write(photos, {"a/yellow.png": tinted(photo(51), 9), "b/blue.png": tinted(photo(51), -9)})
    write(photos, {"a/brown.png": tinted(photo(52), 9), "b/grey.png": tinted(photo(52), 0)})
    assert sorted(copies(curvaudit.inspect(photos)), key=lambda one: one[0]) == [
        ("CA102", {"a/brown.png", "b/grey.png"}, "in grey"),
        ("CA112", {"a/warm.png", "a/cold.png"}, "recoloured"),
    ]


def stripes(period: int, upright: bool, dark: tuple[int, ...], light: tuple[int, ...]) -> Image.Image:
    place = np.mgrid[:64, :64][int(upright)]
    return Image.fromarray(np.where((place % period < period / 2)[..., None], dark, light).astype(np.uint8))


def test_stripes_in_other_colours_are_no_conflict(photos):
    write(
        photos,
        {
            "a/blue.png": stripes(16, True, (42, 1, 196), (195, 131, 160)),
            "b/green.png": stripes(16, False, (53, 82, 160), (183, 163, 124)),
            "a/violet.png": stripes(4, True, (159, 62, 229), (190, 93, 158)),
            "b/rose.png": stripes(4, False, (123, 56, 210), (167, 104, 78)),
        },
    )
    assert copies(curvaudit.inspect(photos)) == []


def sign(form: tuple[int, ...], ground: tuple[int, ...]) -> Image.Image:
    image = Image.new("RGB", (96, 96), ground)
    ImageDraw.Draw(image).polygon([(10, 84), (52, 8), (70, 40), (88, 84), (60, 60)], fill=form)
    return image


def test_a_sign_in_another_tone_is_no_conflict_and_a_darkened_one_is(photos):
    violet, white = (150, 40, 110), (255, 255, 255)
    write(photos, {"a/violet.png": sign(violet, white), "b/black.png": sign((0, 0, 0), white)})
    assert copies(curvaudit.inspect(photos)) == []
    darker = (tuple(value * 3 // 4 for value in colour) for colour in (violet, white))
    write(photos, {"c/darker.png": sign(*darker)})
    assert copies(curvaudit.inspect(photos)) == [("CA102", {"a/violet.png", "c/darker.png"}, "brightness")]


def cut_out(seed: int) -> Image.Image:
    """Something of strong colours on white ground."""
    bright = photo(seed).point(lambda value: 90 + value * 2 // 3)
    mask = Image.new("L", bright.size)
    ImageDraw.Draw(mask).ellipse((4, 8, 36, 34), fill=255)
    return Image.composite(bright, Image.new("RGB", bright.size, "white"), mask)


def test_a_brightened_copy_is_found_though_colours_are_cut_off_beside_white_ground(photos):
    def brightened(image: Image.Image) -> Image.Image:
        return image.point(lambda value: min(255, value * 1.25))

    write(photos, {f"a/{seed}.png": cut_out(seed) for seed in range(70, 76)})
    write(photos, {f"b/{seed}.png": brightened(cut_out(seed)) for seed in range(70, 76)})
    assert copies(curvaudit.inspect(photos)) == [
        ("CA102", {f"a/{seed}.png", f"b/{seed}.png"}, "brightness") for seed in range(70, 76)
    ]


def test_a_shirt_in_another_brightness_is_no_copy_where_nothing_is_cut_off(tmp_path, shared_data):
    """They differ in collar or buttons; a factor without an offset would be one more way to be alike."""
    pairs = [(1395, 8226), (4263, 4787), (5086, 55294)]
    for split, rows in zip(("test", "train"), zip(*pairs, strict=True), strict=True):
        source = sources.load("fashion-mnist", SourceOptions(split=split, data_dir=str(shared_data)))
        write(tmp_path, {f"{split}_shirts/{row}.png": source.open(row) for row in rows})
    assert copies(curvaudit.inspect(tmp_path)) == []


def test_a_signature_changed_is_the_signature_of_the_changed_picture():
    image = photo(3, 32)
    for change in signatures.CHANGES:
        pixels = change.apply(np.asarray(image)[None, ..., 0])[0]
        cut = round(change.crop * 32)
        copy = Image.fromarray(np.ascontiguousarray(pixels[cut : 32 - cut, cut : 32 - cut]))
        given, changed = (signatures.signatures(signatures.reduced(one)[None]) for one in (image.getchannel(0), copy))
        foretold = signatures.vectors(given, change)
        seen = signatures.vectors(changed, signatures.UPRIGHT)
        assert np.linalg.norm(foretold - seen) < 0.2, change
        assert change is signatures.UPRIGHT or np.linalg.norm(
            signatures.vectors(given, signatures.UPRIGHT) - seen
        ) > 2 * np.linalg.norm(foretold - seen)


def test_neighbours_are_those_of_brute_force():
    random = np.random.default_rng(0)
    points = random.normal(size=(3000, 12)).astype(np.float32)
    points[1500:] = points[:1500] + 0.05 * random.normal(size=(1500, 12))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    query, rows, distance = neighbours.Index.build(points).search(points, 3, 0.2)
    alike = points @ points.T
    np.fill_diagonal(alike, -2)
    nearest = alike.argmax(axis=1)
    near = np.flatnonzero(alike.max(axis=1) >= 1 - 0.2**2 / 2)
    assert len(near) > 1500
    assert np.isin(near, query).mean() > 0.99
    assert (rows[:, 0] == nearest[query]).mean() > 0.99
    assert not (rows == query[:, None]).any()
    found = np.linalg.norm(points[query] - points[rows[:, 0]], axis=1)
    np.testing.assert_allclose(distance[:, 0], found, atol=1e-3)


def test_registration_recovers_a_crop():
    image = photo(5, 64)
    pair = [np.asarray(picture.resize((32, 32), 2))[None] for picture in (image.crop((4, 0, 64, 56)), image)]
    fit = registration.fit(*pair, np.zeros(1, np.float32), np.zeros(1, bool))
    np.testing.assert_allclose(fit.scale[0], [56 / 64 - 1, 60 / 64 - 1], atol=0.01)
    np.testing.assert_allclose(fit.shift[0], [-2, 1], atol=0.1)
    assert fit.detail[0] > 0.95 and fit.worst[0] < 5


def test_candidates_without_signatures_come_from_the_perceptual_hash(photos):
    from dataclasses import replace

    write(photos, {"b/again.png": jpeg(photo(0))})
    samples = curvaudit.inspect(photos).samples
    old = replace(samples, signature=samples.signature[:0])
    pair = sorted([samples.ids.index("a/00.png"), samples.ids.index("b/again.png")])
    assert pair in np.sort(matching.candidates(old).pairs, axis=1).tolist()


# --- splits and the command ----------------------------------------------------------


def run(monkeypatch, capsys, *arguments) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["curvaudit", "duplicates", *map(str, arguments)])
    with pytest.raises(SystemExit) as leave:
        main()
    captured = capsys.readouterr()
    return int(leave.value.code or 0), captured.out, captured.err


@pytest.fixture
def divided(tmp_path):
    root = tmp_path / "divided"
    write(root / "train", {f"{'ab'[seed % 2]}/{seed:02d}.png": photo(seed) for seed in range(24)})
    write(root / "test", {f"{'ab'[seed % 2]}/{seed:02d}.png": photo(100 + seed) for seed in range(24)})
    return root


def test_leaks_between_splits_are_named_the_audited_side_first(divided, monkeypatch, capsys):
    assert run(monkeypatch, capsys, divided, "-q")[0] == 0
    write(divided / "test", {"a/leak.png": photo(2), "b/turned.png": photo(3).transpose(Image.Transpose.ROTATE_90)})
    code, out, _ = run(monkeypatch, capsys, divided, "--format", "json")
    assert code == 1
    document = json.loads(out)
    leaks = [finding for finding in document["findings"] if finding["rule"] == "CA401"]
    named = [[(s["id"], s["index"], s["label"]) for s in leak["samples"]] for leak in leaks]
    assert named == [
        [("a/02.png", 1, "a"), ("test: a/leak.png", None, "a")],
        [("b/03.png", 13, "b"), ("test: b/turned.png", None, "b")],
    ]
    assert [leak["evidence"]["kind"] for leak in leaks] == ["exact", "rotated 90"]
    code, out, _ = run(monkeypatch, capsys, divided, "--split", "test", "--format", "json")
    sides = [leak["samples"][0]["id"] for leak in json.loads(out)["findings"] if leak["rule"] == "CA401"]
    assert code == 1 and sides == ["a/leak.png", "b/turned.png"]


def test_leaks_against_another_set_keep_labels_by_name(divided, photos, tmp_path, monkeypatch, capsys):
    other = tmp_path / "other"
    write(other, {f"z/{seed}.png": photo(200 + seed) for seed in range(12)} | {"y/same.png": photo(4)})
    report = curvaudit.inspect(photos, against=other)
    assert copies(report) == [("CA401", {"a/04.png", f"{other}: y/same.png"}, "exact")]
    (leak,) = (finding for finding in report.findings if finding.rule.id == "CA401")
    assert [sample.label for sample in leak.samples] == ["a", "y"]
    assert report.compared_with == (str(other),)
    assert not any("y" in finding.evidence.get("class", "") for finding in report.findings)
    page = curvaudit.save(report, tmp_path / "report").read_text()
    assert "this report looks at one split only" not in page


def test_exit_codes(photos, tmp_path, monkeypatch, capsys):
    code, out, _ = run(monkeypatch, capsys, photos)
    assert code == 0 and "No findings" in out
    write(photos, {"a/copy.png": photo(0)})
    assert run(monkeypatch, capsys, photos)[0] == 0  # the same label twice is a note
    write(photos, {"b/conflict.png": photo(0)})
    code, out, _ = run(monkeypatch, capsys, photos, "-o", tmp_path / "out")
    assert code == 1 and "CA101" in out and "b/conflict.png" in out
    assert (tmp_path / "out" / "index.html").exists()
    (photos / "a" / "broken.png").write_bytes(b"\x89PNG broken")
    code, out, _ = run(monkeypatch, capsys, photos)
    assert code == 2 and "CA301" in out
    code, out, err = run(monkeypatch, capsys, photos, "-q")
    assert (code, out) == (2, "") and err.startswith("error: 1 file could not be read")
    for arguments in (["nowhere"], [photos, "--format", "xml"], [photos, "--against", "nowhere"]):
        code, out, err = run(monkeypatch, capsys, *arguments)
        assert code == 2 and out == "" and "Error" in err and "reading" not in err  # before an hour of reading


def test_an_unreadable_file_of_the_other_split_is_no_clean_result(divided, monkeypatch, capsys):
    (divided / "test" / "a" / "broken.png").write_bytes(b"text")
    assert run(monkeypatch, capsys, divided)[0] == 2
    assert "test: a/broken.png" in curvaudit.inspect(divided, against=":splits").findings[-1].message


def test_flowers_hold_four_conflicts_and_two_copies(shared_data):
    report = curvaudit.inspect(shared_data / "flowers5")
    exact = [(rule, {name.split("/")[0] for name in names}) for rule, names, kind in copies(report) if kind == "exact"]
    assert exact == [("CA101", {"rose", "tulip"})] * 4 + [("CA111", {"sunflower"})] * 2
    assert not any(rule == "CA102" for rule, _, _ in copies(report))


def test_a_recompressed_copy_is_found_in_the_last_of_several_splits(tmp_path):
    for number, (split, each) in enumerate((("train", 4), ("dev", 3), ("test", 5), ("val", 4))):
        write(tmp_path / split, {f"{'ab'[i % 2]}/{i}.png": photo(100 * number + i) for i in range(each)})
    write(tmp_path / "val", {"a/copy.png": jpeg(photo(1))})
    found = copies(curvaudit.inspect(tmp_path, against=":splits"))
    assert found == [("CA401", {"b/1.png", "val: a/copy.png"}, "slightly changed")]


@pytest.mark.parametrize("darker_first", [False, True])
def test_a_picture_three_times_as_bright_is_no_copy_from_either_side(photos, darker_first):
    dark = photo(0).point(lambda value: value * 0.3)
    write(photos, {"a/00.png": dark, "b/bright.png": photo(0)} if darker_first else {"a/dark.png": dark})
    assert copies(curvaudit.inspect(photos)) == []


_ALIKE = {
    "distance": 0.0, "detail": 1.0, "worst": 0.0, "scale": (0.0, 0.0), "shift": (0.0, 0.0), "gain": 1.0,
    "structure": 1.0, "colour": 0.0, "in_grey": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "last", "beyond"),
    [
        ("distance", 0.2, 0.21),
        ("detail", 0.8, 0.79),
        ("worst", 8.0, 8.1),
        ("gain", 2.19, 2.21),
        ("gain", 1 / 2.19, 1 / 2.21),
        ("scale", (0.0, -0.17), (0.0, -0.18)),
        ("scale", (0.17, 0.0), (0.18, 0.0)),
        ("shift", (0.0, -1.6), (0.0, -1.7)),
        ("shift", (1.6, 0.0), (1.7, 0.0)),
    ],
)
def test_how_far_a_copy_may_be_from_its_picture(name, last, beyond):
    def same(**changed) -> bool:
        fit = {which: np.array([value]) for which, value in {**_ALIKE, **changed}.items()}
        return bool(matching._same(registration.Fit(**fit))[0])

    assert same() and same(**{name: last}) and not same(**{name: beyond})


def test_thumbnails_of_another_program_that_are_too_large_are_not_decoded():
    def png(side: int) -> bytes:
        buffer = io.BytesIO()
        Image.new("RGB", (side, 20)).save(buffer, "PNG")
        return buffer.getvalue()

    assert set(matching._small({0: png(512), 1: png(513)})) == {0}


def test_the_page_shows_every_label_of_a_conflict_however_many_copies_carry_one(tmp_path):
    copy = photo(1)
    write(tmp_path, {f"apple/{i:02d}.png": copy for i in range(30)} | {"zebra/x.png": copy, "zebra/y.png": photo(2)})
    report = curvaudit.inspect(tmp_path)
    (conflict,) = (finding for finding in report.findings if finding.rule.id == "CA101")
    shown = html._shown(Tiles(report), conflict)
    assert len(shown.tiles) == html._GROUP and shown.hidden == 31 - html._GROUP
    assert [tile.label for tile in shown.tiles].count("zebra") == 1
