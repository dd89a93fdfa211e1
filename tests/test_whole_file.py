"""Files that appear complete or not at all."""

import pytest

from curvaudit.errors import CurvauditError
from curvaudit.whole_file import write_whole


@pytest.mark.parametrize("name", ["file/x.json", "nowhere/x.json", "folder", "n" * 300])
def test_what_cannot_be_written_is_told_with_the_hint(tmp_path, name):
    (tmp_path / "file").write_text("a file where a folder should be")
    (tmp_path / "folder").mkdir()
    with pytest.raises(CurvauditError, match="cannot be written") as error:
        write_whole(tmp_path / name, b"{}", "Choose another place.")
    assert error.value.hint == "Choose another place."
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
