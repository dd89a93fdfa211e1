"""Files of several pages or frames: the first is audited, and nobody has to guess that there are others."""

import io
import json

import numpy as np
import pytest
from PIL import Image

import curvaudit
from curvaudit.cli import main
from curvaudit.pictures import images
from curvaudit.records import Notice

LOSSLESS = {"WEBP": {"lossless": True}}
SETTINGS = {"epochs": 1, "width": "4", "batch_size": 16, "resolution": "16", "device": "cpu"}


def frames() -> list[Image.Image]:
    """Made anew, since saving leaves settings behind on them."""
    random = np.random.default_rng(1)
    return [Image.fromarray(random.integers(0, 256, (20, 24, 3)).astype(np.uint8)) for _ in range(3)]


def written(kind: str, count: int) -> bytes:
    buffer = io.BytesIO()
    first, *others = frames()
    first.save(buffer, kind, save_all=True, append_images=others[: count - 1], **LOSSLESS.get(kind, {}))
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("count", [1, 3])
def test_pages_and_frames_are_counted(kind, count):
    first = images.decode(written(kind, count))
    assert first.info.get(images.FRAMES, 1) == count
    assert first.tobytes() == images.decode(written(kind, 1)).tobytes()


def test_what_telephones_write_behind_a_jpeg_is_no_frame():
    assert images.decode(written("MPO", 2)).info == {}


@pytest.mark.parametrize(("kind", "counted"), [(0, 3), (1, 1), (4, 1)])
def test_smaller_copies_and_masks_in_a_tiff_are_none(kind, counted):
    buffer = io.BytesIO()
    first, *others = frames()
    for frame in others:
        frame.encoderinfo = {"tiffinfo": {254: kind}}
    first.save(buffer, "TIFF", save_all=True, append_images=others)
    assert images.decode(buffer.getvalue()).info.get(images.FRAMES, 1) == counted


def test_damage_behind_the_first_page_is_told_and_leaves_that_whole():
    data = bytearray(written("TIFF", 1))
    directory = int.from_bytes(data[4:8], "little")
    entries = int.from_bytes(data[directory : directory + 2], "little")
    where = directory + 2 + 12 * entries
    data[where : where + 4] = len(data).to_bytes(4, "little")  # the next page is where the file ends
    first = images.decode(bytes(data))
    assert first.tobytes() == frames()[0].tobytes() and first.info == {images.FRAMES: 0}


@pytest.fixture
def animated(image_folder):
    for name in ("a.gif", "b.tif"):
        (image_folder / "circle" / name).write_bytes(written("GIF" if name == "a.gif" else "TIFF", 3))
    return image_folder


def test_scan_report_and_info_say_how_many_there_are(animated, tmp_path, capsys, monkeypatch):
    said = []
    run = curvaudit.scan(animated, tmp_path / "run.h5", on_event=said.append, **SETTINGS)
    told = (
        "2 files were audited in part: circle/a.gif (only the first of its 3 pages or frames was looked at); circle/b"
    )
    assert any(event.message.startswith(told) for event in said if isinstance(event, Notice))
    for report in (curvaudit.report(run), curvaudit.inspect(animated)):
        (caveat,) = [one for one in report.caveats if one.message.startswith(told)]
        assert caveat.severity == "warning"
        assert "circle/a.gif" in report.samples.ids  # its first frame is a picture like others
        assert not [finding for finding in report.findings if finding.rule.id == "CA301"]
    curvaudit.save(curvaudit.report(run), tmp_path / "report")
    summary = json.loads((tmp_path / "report" / "findings.json").read_text())["summary"]
    assert summary["skipped"]["partial"] == 2 and summary["partial"][0]["id"] == "circle/a.gif"
    page = (tmp_path / "report" / "index.html").read_text()
    assert "2 files were audited in part" in page and "Of 2 files all pages, frames or pictures but the first" in page
    assert "Every file of the source was opened and audited" not in page
    monkeypatch.setattr("sys.argv", ["curvaudit", "info", str(tmp_path / "run.h5")])
    with pytest.raises(SystemExit, match="0"):
        main()
    assert "parts of 2" in capsys.readouterr().out


def test_the_cache_knows_it_too(animated, tmp_path):
    for _ in range(2):
        report = curvaudit.inspect(animated, cache=tmp_path / "cache")
        assert [item.id for item in report.skipped if item.kind == "partial"] == ["circle/a.gif", "circle/b.tif"]
