"""Run files that were damaged: `report` tells, with exit code 0 or 2, and never shows a traceback."""

from __future__ import annotations

import json
import random
import shutil

import damage
import h5py
import pytest
from made import write_run

from curvaudit.errors import CurvauditError, DamagedRun
from curvaudit.reporting import report
from curvaudit.store import open_run


@pytest.fixture
def run_file(tmp_path):
    path = tmp_path / "run.h5"
    write_run(path)
    return path


def test_mutated_run_files(run_file, tmp_path, long_form, crash_seed):
    wanted = 2000 if long_form else 100
    numbers = range(crash_seed * wanted, (crash_seed + 1) * wanted)
    process = damage.processes.Process(target=damage.try_all, args=(run_file, tmp_path, numbers))
    process.start()
    process.join(3 * 3600)  # one that hangs ends itself much earlier
    tried = [json.loads(line) for line in (tmp_path / "tried.jsonl").read_text().splitlines()]
    assert process.exitcode == 0, f"exit code {process.exitcode} after {tried[-1:]}"
    wrong = [one for one in tried if one["wrong"]]
    assert not wrong, wrong[:3]
    counts = {what: sum(one["outcome"] == what for one in tried) for what in ("refused", "damage stated", "unharmed")}
    print(f"{len(tried)} mutated run files: {counts}")
    assert len(tried) == wanted and counts["refused"] > wanted / 10


def test_truncated_anywhere(run_file, tmp_path):
    content = run_file.read_bytes()
    chance = random.Random(5)
    cut = tmp_path / "cut.h5"
    for size in [0, 1, 7, 8, 100, len(content) - 1, *(chance.randrange(len(content)) for _ in range(40))]:
        cut.write_bytes(content[:size])
        with pytest.raises(CurvauditError, match=r"cut\.h5 is damaged or no run file"):
            report(cut)


def test_another_programs_file_and_a_newer_format(run_file, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = [1, 2]
    with pytest.raises(CurvauditError, match="not of curvaudit"):
        open_run(tmp_path / "other.h5")
    with h5py.File(run_file, "r+") as file:
        file.attrs["format_version"] = "2.0"
    with pytest.raises(CurvauditError, match=r"format 2\.0; this curvaudit reads format 1") as raised:
        open_run(run_file)
    assert "newer" in raised.value.hint


def flip_in(path, name):
    """Flip one bit in the values of a dataset."""
    with h5py.File(path) as file:
        data = file[name]
        place = data.id.get_chunk_info(0).byte_offset if data.chunks else data.id.get_offset()
    content = bytearray(path.read_bytes())
    content[place + 3] ^= 16
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["gradient", "prediction"])
def test_damage_in_one_score_leaves_the_rest(run_file, name):
    whole = report(run_file)
    flip_in(run_file, f"trainings/0/measures/{name}")
    rest = report(run_file)
    assert any(caveat.severity == "error" and name in caveat.message for caveat in rest.caveats)
    assert set(whole.scores) - set(rest.scores) == ({name} if name == "gradient" else set())
    assert (rest.order == whole.order).all()


def test_damage_in_the_score_that_ranks_is_refused(run_file):
    flip_in(run_file, "trainings/0/measures/curvature")
    with pytest.raises(DamagedRun, match="curvature") as raised:
        report(run_file)
    assert "--rank-by" in raised.value.hint
    rest = report(run_file, rank_by="loss")
    assert any("curvature" in caveat.message for caveat in rest.caveats)


def test_a_consensus_of_nothing_is_left_out(run_file, recwarn):
    for name in ("loss", "margin", "el2n"):
        flip_in(run_file, f"trainings/0/measures/{name}")
    assert set(report(run_file).scores) == {"curvature", "gradient", "correct"}
    assert not recwarn.list


def test_damaged_pictures_leave_the_rest(run_file):
    flip_in(run_file, "thumbnails/data")
    rest = report(run_file)
    assert not rest.thumbnails
    assert any("picture" in caveat.message and caveat.severity == "error" for caveat in rest.caveats)


@pytest.mark.parametrize("name", ["samples/label", "samples/content_hash", "samples/id"])
def test_a_flipped_bit_in_the_samples_is_refused(run_file, name):
    flip_in(run_file, name)
    with pytest.raises(DamagedRun):
        open_run(run_file)


def test_a_run_of_before_the_checksums_is_read(run_file, tmp_path):
    old = tmp_path / "old.h5"
    shutil.copy(run_file, old)
    with h5py.File(old, "r+") as file:
        for group in ("samples", "skipped"):
            del file[group].attrs["digest"]
    assert (report(old).order == report(run_file).order).all()
