"""Reports that can be passed on: without pictures, without names."""

import numpy as np
import pytest

import curvaudit
from curvaudit import exports

SMALL = {"epochs": 2, "width": 4, "batch_size": 16, "device": "cpu", "workers": 1}


@pytest.fixture
def run(image_folder, tmp_path):
    (image_folder / "square" / "planted.png").write_bytes((image_folder / "circle" / "003.png").read_bytes())
    (image_folder / "circle" / "secret patient.png").write_bytes(b"\x89PNG broken")
    return curvaudit.scan(image_folder, tmp_path / "private-place.h5", **SMALL)


def test_without_thumbnails_the_page_holds_no_picture(run):
    whole, bare = curvaudit.report(run), curvaudit.report(run, thumbnails=False)
    assert b"data:image/png" in exports.render_all(whole)["index.html"]
    page = exports.render_all(bare)["index.html"]
    assert b"data:image/" not in page
    assert b"left out of this report on request" in page
    assert [finding.fingerprint for finding in bare.findings] == [finding.fingerprint for finding in whole.findings]


def test_anonymized_files_name_nothing_and_say_the_same(run, image_folder):
    whole, hidden = curvaudit.report(run), curvaudit.report(run, anonymize=True)
    contents = exports.render_all(hidden)
    for name, content in contents.items():
        text = content.decode()
        for secret in ("000.png", "planted", "secret patient", "private-place", str(image_folder)):
            assert secret not in text, (name, secret)
        assert run.info.source_fingerprint not in text
        for value in run.samples.content_hash:
            assert f"{int(value):016x}" not in text and str(int(value)) not in text
    np.testing.assert_array_equal(whole.order, hidden.order)
    assert [f.rule.id for f in hidden.findings] == [f.rule.id for f in whole.findings]
    conflicts = [{sample.index for sample in f.samples} for f in hidden.findings if f.rule.id == "CA101"]
    assert conflicts == [{sample.index for sample in f.samples} for f in whole.findings if f.rule.id == "CA101"] != []
    assert not {f.fingerprint for f in hidden.findings if f.samples[0].index is not None} & {
        f.fingerprint for f in whole.findings
    }
    assert hidden.samples.classes == whole.samples.classes
    assert len(set(hidden.samples.ids)) == len(hidden.samples.ids)


def test_two_anonymized_reports_of_one_run_can_be_compared(run):
    one, two = (curvaudit.report(run, anonymize=True, rank_by=score) for score in ("loss", "margin"))
    assert one.samples.ids == two.samples.ids
