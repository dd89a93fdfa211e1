"""Reports without training."""

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

import curvaudit
from curvaudit import exports, inventory
from curvaudit.errors import CurvauditError


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
