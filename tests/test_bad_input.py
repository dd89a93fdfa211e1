"""A folder with everything that broke other audit tools: nothing stops the scan, nothing is lost."""

import csv
import io
import json
import os

import numpy as np
import pytest
from PIL import Image

import curvaudit
from curvaudit.sources import load

HOSTILE = ("new\nline.png", "quo\"te's.png", "<script>alert(1).png", "ünï-日本.png", "=1+1.png")


def noise(seed: int, size: tuple[int, int] = (24, 24)) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3))
    return Image.fromarray(pixels.astype(np.uint8))


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def readable() -> dict[str, bytes]:
    """name -> content of every odd picture that can be read."""
    turned = Image.Exif()
    turned[0x0112] = 6
    alpha = Image.fromarray(np.random.default_rng(1).integers(0, 256, (24, 24)).astype(np.uint8))
    rgba, grey_alpha = noise(2), noise(3).convert("L")
    rgba.putalpha(alpha)
    grey_alpha.putalpha(alpha)
    deep = np.random.default_rng(4).integers(0, 65_536, (24, 24)).astype(np.uint16)
    return {
        "cmyk.jpg": encoded(noise(5).convert("CMYK"), "JPEG"),
        "sixteen.png": encoded(Image.fromarray(deep), "PNG"),
        "twelve.png": encoded(Image.fromarray(deep >> 4), "PNG"),
        "palette.png": encoded(noise(6).quantize(16), "PNG"),
        "la.png": encoded(grey_alpha, "PNG"),
        "rgba.png": encoded(rgba, "PNG"),
        "bits.png": encoded(noise(7).convert("1"), "PNG"),
        "moving.gif": encoded(noise(8), "GIF", save_all=True, append_images=[noise(9)]),
        "turned.jpg": encoded(noise(10, (24, 12)), "JPEG", exif=turned),
        "dot.png": encoded(Image.new("RGB", (1, 1), "red"), "PNG"),
        "wide.png": encoded(noise(11, (400, 20)), "PNG"),
        "flat.png": encoded(Image.new("RGB", (24, 24), "blue"), "PNG"),
        "LOUD.JPG": encoded(noise(12), "JPEG"),
        "new.webp": encoded(noise(13), "WEBP"),
        "old.bmp": encoded(noise(14), "BMP"),
        "scan.tif": encoded(noise(15), "TIFF"),
        "really-a-png.jpg": encoded(noise(16), "PNG"),
        "without-extension": encoded(noise(17), "JPEG"),
        **{name: encoded(noise(20 + place), "PNG") for place, name in enumerate(HOSTILE)},
    }


UNREADABLE = {
    "truncated.jpg": (encoded(noise(30, (64, 64)), "JPEG")[:900], "cut short"),
    "zero.jpg": (b"", "empty file"),
    "text.jpg": (b"see attachment\n", "text"),
    "apple.jpg": (b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        ", "AppleDouble"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder; `odd` holds the odd files, `plain` ordinary ones, `empty` nothing."""
    root = tmp_path_factory.mktemp("bad") / "images"
    odd, plain = root / "odd", root / "plain"
    for path in (odd, plain, root / "empty", root / "<b>bold"):
        path.mkdir(parents=True)
    for name, content in readable().items():
        (odd / name).write_bytes(content)
    for name, (content, _) in UNREADABLE.items():
        (odd / name).write_bytes(content)
    (odd / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0 cache")
    for index in range(12):
        noise(100 + index).save(plain / f"{index:02d}.png")
        noise(200 + index).save(root / "<b>bold" / f"{index:02d}.png")
    outside = root.parent / "outside.png"
    noise(40).save(outside)
    (odd / "link.png").symlink_to(outside)
    (odd / "dangling.png").symlink_to(root / "nowhere.png")
    (odd / "loop").symlink_to(odd)
    (root / "readme.txt").write_text("labels by folder")
    return root


@pytest.fixture(scope="module")
def report(folder):
    run = curvaudit.scan(folder, folder.parent / "run.h5", epochs=1, width=4, device="cpu")
    return curvaudit.report(run)


def test_every_file_is_audited_or_named(folder, report):
    """The count adds up: nothing that lies below the folder is missing from the report."""
    there = set()
    for place, _, files in os.walk(folder):
        there |= {os.path.relpath(os.path.join(place, name), folder) for name in files}
    there |= {"odd/loop"}  # a link to a folder: os.walk does not count it as a file
    samples, skipped = set(report.samples.ids), {item.id for item in report.skipped if item.kind != "partial"}
    assert {item.id for item in report.skipped if item.kind == "partial"} == {"odd/moving.gif"}
    assert not samples & skipped
    assert samples | skipped == there
    assert len(report.samples) == len(samples) == len(readable()) + 24 + 1  # and the link


def test_every_unreadable_file_is_a_finding_with_its_reason(report):
    reasons = {f.samples[0].id: f.evidence["reason"] for f in report.findings if f.rule.id == "CA301"}
    wanted = {f"odd/{name}": reason for name, (_, reason) in UNREADABLE.items()}
    wanted["odd/dangling.png"] = "broken symbolic link"
    assert reasons.keys() == wanted.keys()
    for name, reason in wanted.items():
        assert reason in reasons[name], name
    assert any(f"{len(wanted)} files could not be read" in caveat.message for caveat in report.caveats)


def test_clutter_is_listed_and_no_finding(report):
    ignored = {item.id: item.reason for item in report.skipped if item.kind == "ignored"}
    assert ignored.keys() == {"odd/Thumbs.db", "odd/loop", "readme.txt"}
    assert all(ignored.values())


def test_pictures_without_content_and_an_empty_class_are_findings(report):
    named = {rule: [f for f in report.findings if f.rule.id == rule] for rule in ("CA302", "CA501")}
    assert {f.samples[0].id for f in named["CA302"]} == {"odd/dot.png", "odd/flat.png"}
    assert [f.evidence for f in named["CA501"]] == [{"class": "empty", "count": 0}]
    assert "empty" in report.samples.classes


def test_sizes_are_those_a_person_sees(report):
    size = {
        name: (int(report.samples.width[row]), int(report.samples.height[row]))
        for row, name in enumerate(report.samples.ids)
    }
    assert size["odd/turned.jpg"] == (12, 24)
    assert size["odd/wide.png"] == (400, 20)
    assert size["odd/dot.png"] == (1, 1)


def test_hostile_names_arrive_as_text_in_every_export(report, tmp_path):
    page = curvaudit.save(report, tmp_path).read_text("utf-8")
    assert "<script>alert" not in page and "<b>bold" not in page
    assert "&lt;script&gt;alert(1)" in page and "&lt;b&gt;bold" in page
    assert page.count("<script>") == page.count('<script type="application/json"') == 1  # ours: code, and data
    assert page.count("</script>") == 2
    with (tmp_path / "ranking.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(report.samples)
    assert {row["id"] for row in rows} == set(report.samples.ids)
    document = json.loads((tmp_path / "findings.json").read_text())
    assert document["summary"]["samples"] == len(report.samples)
    assert document["summary"]["skipped"] == {
        "unreadable": len(UNREADABLE) + 1,
        "ignored": 3,
        "doubtful": 0,
        "partial": 1,
    }


def test_every_score_of_every_sample_is_a_number(report):
    for name, values in report.scores.items():
        assert np.isfinite(values).all(), name


def test_names_that_are_not_utf8_are_kept_apart(tmp_path):
    for name in (b"\xff.png", b"\\xff.png"):
        for label in (b"a", b"b"):
            place = os.path.join(os.fsencode(tmp_path), label)
            os.makedirs(place, exist_ok=True)
            try:
                with open(os.path.join(place, name), "wb") as file:
                    file.write(encoded(noise(len(name)), "PNG"))
            except OSError:
                pytest.skip("this file system takes UTF-8 names only")
    source = load(str(tmp_path))
    assert len(set(source.ids)) == 4
    for index in range(4):
        assert source.open(index).size == (24, 24)
        source.ids[index].encode("utf-8")
