"""Files that appear complete or not at all."""

import pytest

from curvaudit.errors import CurvauditError
from curvaudit.files.whole_file import write_whole
from curvaudit.replacing import keep_apart


@pytest.mark.parametrize("name", ["file/x.json", "nowhere/x.json", "folder", "n" * 300])
def test_what_cannot_be_written_is_told_with_the_hint(tmp_path, name):
    (tmp_path / "file").write_text("a file where a folder should be")
    (tmp_path / "folder").mkdir()
    with pytest.raises(CurvauditError, match="cannot be written") as error:
        write_whole(tmp_path / name, b"{}", "Choose another place.")
    assert error.value.hint == "Choose another place."
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_what_is_read_is_not_written(tmp_path):
    (tmp_path / "labels.csv").write_text("file,label\n")
    (tmp_path / "link.csv").symlink_to("labels.csv")
    keep_apart([None, tmp_path / "new.json"], [str(tmp_path / "labels.csv"), None, "mnist", tmp_path])
    with pytest.raises(CurvauditError, match=r"link\.csv is read here"):
        keep_apart([tmp_path / "link.csv"], ["mnist", str(tmp_path / "labels.csv")])
    (tmp_path / "001.JPG").write_bytes(b"a picture of the data set")
    keep_apart([tmp_path / "002.jpg"], [])
    with pytest.raises(CurvauditError, match=r"001\.JPG is a picture"):
        keep_apart([tmp_path / "001.JPG"], [str(tmp_path)])
    (tmp_path / "cut.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(CurvauditError, match=r"cut\.h5 is a run file"):
        keep_apart([tmp_path / "cut.h5"], [])
    with pytest.raises(CurvauditError, match=r"later\.json is read here"):
        keep_apart([tmp_path / "later.json"], [str(tmp_path / "." / "later.json")])
