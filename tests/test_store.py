"""The run file: docs/format.md, item by item, and what happens when a write is cut short."""

import json
import os
import re
import tracemalloc
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

import curvaudit
from curvaudit import store
from curvaudit.errors import CurvauditError, DamagedRun
from curvaudit.records import EpochRow, MeasureInfo, RunInfo, Samples, Skipped, Thumbnails
from curvaudit.scores import build
from curvaudit.store import arrays, changing, commit, creating, epochs, texts
from curvaudit.store import beside as beside_run
from curvaudit.store import run as stored_run

N = 5
INFO = RunInfo(
    source="pictures",
    source_fingerprint="00ff",
    config={"seed": 0, "list": [1, 2]},
    environment={"python": "3"},
    created_by="curvaudit test",
    created_utc="2026-01-01T00:00:00Z",
)
SAMPLES = Samples(
    ids=("a/1.png", "a/ü\n2.png", "b/nul\0.png", "b/\udcff.png", "b/5.png"),
    labels=np.array([0, 0, 1, 1, 1], np.int32),
    classes=("a", "b", "empty"),
    content_hash=np.array([1, 2, 2**64 - 1, 4, 5], np.uint64),
    phash=np.array([0, 2**63, 3, 4, 5], np.uint64),
    width=np.array([1, 65_535, 3, 4, 5], np.uint16),
    height=np.full(N, 7, np.uint16),
    contrast=np.linspace(0, 0.5, N, dtype=np.float32),
)
SKIPPED = (Skipped("b/broken.png", "empty file (0 bytes)"), Skipped("Thumbs.db", "cache", "ignored"))
FEATURES = np.arange(3 * N, dtype=np.float16).reshape(N, 3)
PREVIEWS = Thumbnails(np.array([4]), (b"RIFF larger four",))
THUMBNAILS = Thumbnails(np.array([1, 4]), (b"\x89PNG one", b"RIFF four"))
MEASURES = {
    "curvature": MeasureInfo("(nat/pixel)^2", "equation 6", "high", {"n": 1, "h": 1e-3}),
    "margin": MeasureInfo("logit", "given minus largest other", "low"),
}


def epoch(number: int, **measures: float) -> EpochRow:
    values = {name: np.full(N, value, np.float32) for name, value in measures.items()}
    return EpochRow(number, 1.0 / number, 0.5, float("nan"), float("nan"), 0.1, 2.0, values)


@pytest.fixture
def path(tmp_path) -> Path:
    """One training of two epochs; curvature was measured in the first only, features are of the second."""
    out = tmp_path / "run.h5"
    store.create(out, INFO, SAMPLES, SKIPPED, THUMBNAILS)
    store.add_training(out, 0, 1e-4, 3, {"preset": "fast"}, MEASURES)
    store.append_epoch(out, 0, epoch(1, curvature=1, margin=2))
    store.append_epoch(out, 0, replace(epoch(2, margin=4), features=FEATURES))
    store.set_previews(out, PREVIEWS)
    return out


# --- layout --------------------------------------------------------------------------

LAYOUT = {
    "samples/id": ("text", (N,), None),
    "samples/classes": ("text", (3,), None),
    "samples/label": ("i4", (N,), None),
    "samples/content_hash": ("u8", (N,), None),
    "samples/phash": ("u8", (N,), None),
    "samples/width": ("u2", (N,), None),
    "samples/height": ("u2", (N,), None),
    "samples/contrast": ("f4", (N,), None),
    "samples/signature": ("i1", SAMPLES.signature.shape, None),
    "skipped/id": ("text", (2,), None),
    "skipped/reason": ("text", (2,), None),
    "skipped/kind": ("text", (2,), None),
    "thumbnails/rows": ("i8", (2,), None),
    "thumbnails/offsets": ("i8", (3,), None),
    "thumbnails/data": ("u1", (17,), None),
    "previews/rows": ("i8", (1,), None),
    "previews/offsets": ("i8", (2,), None),
    "previews/data": ("u1", (16,), None),
    "trainings/0/features": ("f2", (N, 3), None),
    "trainings/0/number": ("i4", (2,), (None,)),
    **{
        f"trainings/0/{name}": ("f8", (2,), (None,))
        for name in ("train_loss", "train_accuracy", "val_loss", "val_curvature", "learning_rate", "seconds")
    },
    "trainings/0/measures/curvature": ("f4", (2, N), (None, N)),
    "trainings/0/measures/margin": ("f4", (2, N), (None, N)),
}


def test_every_dataset_has_its_type_and_shape(path):
    with h5py.File(path, "r") as file:
        found = {}
        file.visititems(lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None)
        assert found.keys() == LAYOUT.keys()
        for name, (kind, shape, growing) in LAYOUT.items():
            data = found[name]
            assert data.shape == shape, name
            if kind == "text":
                text = h5py.check_string_dtype(data.dtype)
                assert text.encoding == "utf-8" and text.length and data.fletcher32, name
            else:
                assert data.dtype == np.dtype(kind), name
            if growing:
                assert data.maxshape == growing and data.fletcher32, name
                assert data.chunks == ((256,) if len(shape) == 1 else (1, N)), name
                assert data.compression is None


def test_every_attribute_is_there(path):
    with h5py.File(path, "r") as file:
        root = dict(file.attrs)
        assert root.keys() == {
            "format", "format_version", "created_by", "created_utc", "config", "source", "source_fingerprint",
            "n_samples", "n_classes", "environment", "text_digest",
        }  # fmt: skip
        assert (root["format"], root["format_version"]) == ("curvaudit-run", "1.0")
        assert (root["n_samples"], root["n_classes"]) == (N, 3)
        assert json.loads(root["config"]) == dict(INFO.config)
        assert json.loads(root["environment"]) == dict(INFO.environment)
        training = dict(file["trainings/0"].attrs)
        assert training.keys() == {"weight_decay", "seed", "recipe", "finished", "memorized", "text_digest"}
        assert training["weight_decay"] == 1e-4 and training["seed"] == 3
        assert json.loads(training["recipe"]) == {"preset": "fast"}
        assert training["memorized"].dtype == bool and not training["memorized"]
        score = dict(file["trainings/0/measures/curvature"].attrs)
        assert score.keys() == {"unit", "definition", "parameters", "direction", "text_digest"}
        assert json.loads(score["parameters"]) == {"n": 1, "h": 1e-3}


def test_wide_runs_are_chunked_by_65536_samples(tmp_path):
    count = 65_536 + 3
    many = Samples(
        ids=tuple(map(str, range(count))),
        labels=np.arange(count, dtype=np.int32) % 2,
        classes=("a", "b"),
        content_hash=np.arange(count, dtype=np.uint64),
        phash=np.zeros(count, np.uint64),
        width=np.ones(count, np.uint16),
        height=np.ones(count, np.uint16),
        contrast=np.ones(count, np.float32),
    )
    out = tmp_path / "wide.h5"
    store.create(out, INFO, many, (), Thumbnails(np.zeros(0, np.int64), ()))
    store.add_training(out, 0, 0, 0, {}, {"loss": MEASURES["margin"]})
    values = np.arange(count, dtype=np.float32)
    store.append_epoch(out, 0, replace(epoch(1), measures={"loss": values}))
    with h5py.File(out, "r") as file:
        assert file["trainings/0/measures/loss"].chunks == (1, 65_536)
    run = curvaudit.open_run(out)
    blocks = list(run.measure_blocks(0, "loss"))
    assert [columns for columns, _ in blocks] == [slice(0, 65_536), slice(65_536, count)]
    assert np.array_equal(np.concatenate([block[0] for _, block in blocks]), values)
    assert run.epoch_means(0, "loss")[0] == pytest.approx(values.mean(dtype=float))


# --- round trip ----------------------------------------------------------------------


def test_what_is_written_is_read(path):
    run = curvaudit.open_run(path)
    assert run.info == INFO
    assert run.samples.ids == ("a/1.png", "a/ü\n2.png", "b/nul\\x00.png", "b/\\udcff.png", "b/5.png")
    assert run.samples.classes == SAMPLES.classes
    for name in ("labels", "content_hash", "phash", "width", "height", "contrast"):
        read, wrote = getattr(run.samples, name), getattr(SAMPLES, name)
        assert read.dtype == wrote.dtype and np.array_equal(read, wrote), name
    assert run.skipped == SKIPPED
    assert run.thumbnail_rows().tolist() == [1, 4]
    assert run.thumbnails([0, 1, 4]) == {1: b"\x89PNG one", 4: b"RIFF four"}
    (training,) = run.trainings
    assert (training.index, training.weight_decay, training.seed, training.epochs) == (0, 1e-4, 3, 2)
    assert training.measures == MEASURES
    assert training.curves.number.tolist() == [1, 2]
    assert training.curves.train_loss.tolist() == [1.0, 0.5]
    assert run.measure(0, "margin").tolist() == [[2.0] * N, [4.0] * N]
    curvature = run.measure(0, "curvature")
    assert (curvature[0] == 1).all() and np.isnan(curvature[1]).all()
    assert run.last(0, "margin").tolist() == [4.0] * N
    assert run.epoch_means(0, "margin").tolist() == [2.0, 4.0]
    assert run.epoch_means(0, "curvature")[0] == 1 and np.isnan(run.epoch_means(0, "curvature")[1])
    assert run.previews([1, 4]) == {4: b"RIFF larger four"}
    assert run.features_epoch(0) == 2
    ((rows, features),) = run.features(0)
    assert rows == slice(0, N) and features.dtype == np.float32 and np.array_equal(features, FEATURES)
    assert np.array_equal(run.feature_rows(0, np.array([0, 3])), FEATURES[[0, 3]])


def test_a_run_without_features_or_previews_is_read(tmp_path):
    out = tmp_path / "old.h5"
    store.create(out, INFO, SAMPLES, SKIPPED, THUMBNAILS)
    store.add_training(out, 0, 0, 0, {}, MEASURES)
    run = curvaudit.open_run(out)
    assert run.features_epoch(0) is None and run.previews([1, 4]) == {}


def test_features_that_fit_no_sample_are_damage(path):
    with h5py.File(path, "r+") as file:
        del file["trainings/0/features"]
        epochs.put_features(file["trainings/0"], FEATURES[1:], 2)
    with pytest.raises(DamagedRun):
        curvaudit.open_run(path).features_epoch(0)


def test_thumbnails_are_replaced_as_a_whole(path):
    store.set_thumbnails(path, Thumbnails(np.array([0]), (b"zero",)))
    assert curvaudit.open_run(path).thumbnails([0, 1, 4]) == {0: b"zero"}


def test_a_training_is_finished_only_when_it_says_so(path):
    assert not curvaudit.open_run(path).trainings[0].finished
    store.finish_training(path, 0, memorized=True)
    training = curvaudit.open_run(path).trainings[0]
    assert training.finished and training.memorized


def test_ten_trainings_are_in_the_order_of_their_numbers(path):
    for index in range(1, 12):
        store.add_training(path, index, index / 100, 0, {}, MEASURES)
    assert [training.index for training in curvaudit.open_run(path).trainings] == list(range(12))


# --- long texts ------------------------------------------------------------------------

COUNT = 5000
POLYGONS = tuple("ä" * 500_000 if row == 7 else f"[{row}]" for row in range(COUNT))  # one of 1 MB
COLUMNS = {
    "site": tuple(f"site {row}" for row in range(COUNT)),
    "a/b": POLYGONS,
    "empty": ("",) * COUNT,
    "last": tuple(reversed(POLYGONS)),
}


@pytest.fixture
def long(tmp_path) -> Path:
    out = tmp_path / "long.h5"
    store.create(out, INFO, random_samples(COUNT, COLUMNS), SKIPPED, THUMBNAILS)
    return out


def test_one_long_text_costs_its_length_once_and_columns_keep_their_order(tmp_path, reserved):
    tracemalloc.start()
    try:
        out = tmp_path / "run.h5"
        store.create(out, INFO, random_samples(COUNT, COLUMNS), SKIPPED, THUMBNAILS)
        columns = curvaudit.open_run(out).samples.columns
        assert tracemalloc.get_traced_memory()[1] < 256 << 20
    finally:
        tracemalloc.stop()
    assert list(columns) == list(COLUMNS) and columns == COLUMNS
    assert out.stat().st_size <= reserved[-1]


def test_long_columns_lie_as_the_specification_says(long):
    with h5py.File(long) as file:
        assert list(file["samples/columns"]) == ["site", "empty"]
        assert set(file["samples/long_columns"]) == {"a%2Fb", "last"}
        group = file["samples/long_columns/a%2Fb"]
        offsets, data = group["offsets"], group["data"]
        assert group.attrs["position"] == 1 and file["samples/long_columns/last"].attrs["position"] == 3
        assert (offsets.shape, offsets.dtype, data.dtype) == ((COUNT + 1,), np.int64, np.uint8)
        assert offsets.fletcher32 and data.fletcher32 and data.compression == "gzip"
        for row in (0, 6, 7, COUNT - 1):
            assert data[offsets[row] : offsets[row + 1]].tobytes().decode() == POLYGONS[row]


@pytest.mark.parametrize("shape", [(3, 99), (N, 50), (N,)])
def test_signatures_that_do_not_fit_are_damage(path, shape):
    with h5py.File(path, "r+") as file:
        del file["samples/signature"]
        file["samples"].create_dataset("signature", data=np.zeros(shape, np.int8))
        file["samples"].attrs["digest"] = texts.digest_of(file["samples"])
    with pytest.raises(DamagedRun, match="signature"):
        curvaudit.open_run(path)


def test_what_a_run_does_not_hold_is_no_damage(path):
    run = curvaudit.open_run(path)
    with pytest.raises(CurvauditError, match="no score 'nope' in training 0") as told:
        run.measure(0, "nope")
    assert not isinstance(told.value, DamagedRun) and "margin" in told.value.hint
    for read in (lambda: run.measure(7, "margin"), lambda: run.last(7, "margin"), lambda: run.features_epoch(7)):
        with pytest.raises(CurvauditError, match="has no training 7") as told:
            read()
        assert not isinstance(told.value, DamagedRun)


@pytest.mark.parametrize("place", [0, 8, -1])
def test_long_columns_whose_offsets_do_not_fit_are_damage(long, place):
    with h5py.File(long, "r+") as file:
        file["samples/long_columns/last/offsets"][place] = 10**9
        file["samples"].attrs["digest"] = texts.digest_of(file["samples"])
        file["samples"].attrs["text_digest"] = texts.text_digest_of(file["samples"])
    with pytest.raises(DamagedRun, match="offsets"):
        curvaudit.open_run(long)


def test_columns_that_cost_little_are_padded_as_ever(tmp_path):
    kept = {"long all": ("x" * 5000,) * COUNT, "short": ("x" * 4096, *("",) * (COUNT - 1))}
    store.create(tmp_path / "run.h5", INFO, random_samples(COUNT, kept), SKIPPED, THUMBNAILS)
    with h5py.File(tmp_path / "run.h5") as file:
        assert "long_columns" not in file["samples"] and list(file["samples/columns"]) == list(kept)
    assert curvaudit.open_run(tmp_path / "run.h5").samples.columns == kept


def test_a_long_reason_takes_bounded_memory(tmp_path):
    """Outside the columns texts are padded whatever their length, a few at a time."""
    skipped = [Skipped(f"{row}.png", "x" * 20_000 if row == 3 else "no such file") for row in range(COUNT)]
    out = tmp_path / "run.h5"
    tracemalloc.start()
    try:
        store.create(out, INFO, SAMPLES, skipped, THUMBNAILS)
        assert curvaudit.open_run(out).skipped == tuple(skipped)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


# --- commit protocol -----------------------------------------------------------------


@pytest.mark.parametrize("number", [None, 0], ids=["marker missing", "marker not written"])
def test_rows_beyond_the_marker_do_not_count_and_are_overwritten(path, number):
    """What a kill leaves behind: values of epoch 3 are there, its number is not."""
    with h5py.File(path, "r+") as file:
        group = file["trainings/0"]
        for data in (*group["measures"].values(), group["train_loss"]):
            data.resize(3, axis=0)
            data[2] = 666
        if number is not None:
            group["number"].resize(3, axis=0)
            group["number"][2] = number
    run = curvaudit.open_run(path)
    assert run.trainings[0].epochs == 2
    assert run.measure(0, "margin").shape == (2, N)
    assert (run.last(0, "margin") == 4).all()
    assert len(run.trainings[0].curves.train_loss) == 2
    assert [block.shape for _, block in run.measure_blocks(0, "margin")] == [(2, N)]
    store.append_epoch(path, 0, epoch(3, margin=6))
    run = curvaudit.open_run(path)
    assert run.trainings[0].curves.number.tolist() == [1, 2, 3]
    assert (run.last(0, "margin") == 6).all()
    assert np.isnan(run.last(0, "curvature")).all()  # not the 666 of the killed attempt
    assert run.trainings[0].curves.train_loss[2] == pytest.approx(1 / 3)


def test_an_epoch_that_fails_half_way_does_not_count(path, monkeypatch):
    put = arrays.put

    def full_disk(data, position, value):
        if data.name.endswith("/margin"):
            raise OSError(28, "No space left on device")
        put(data, position, value)

    monkeypatch.setattr(epochs, "put", full_disk)
    with pytest.raises(CurvauditError, match="No space left"):
        store.append_epoch(path, 0, epoch(3, curvature=9, margin=9))
    monkeypatch.undo()
    assert curvaudit.open_run(path).trainings[0].epochs == 2
    store.append_epoch(path, 0, epoch(3, curvature=9, margin=9))
    assert (curvaudit.open_run(path).last(0, "margin") == 9).all()


def test_a_half_added_training_is_none(path, monkeypatch):
    monkeypatch.setattr(os, "replace", lambda *arguments: (_ for _ in ()).throw(OSError("killed")))
    with pytest.raises(CurvauditError):
        store.add_training(path, 1, 0, 0, {}, MEASURES)
    monkeypatch.undo()
    assert len(curvaudit.open_run(path).trainings) == 1
    store.add_training(path, 1, 0, 0, {}, MEASURES)
    assert len(curvaudit.open_run(path).trainings) == 2


def test_an_existing_file_is_replaced_only_when_asked(path):
    before = path.read_bytes()
    with pytest.raises(CurvauditError, match="exists already"):
        store.create(path, INFO, SAMPLES, (), THUMBNAILS)
    assert path.read_bytes() == before
    store.create(path, INFO, SAMPLES, (), THUMBNAILS, overwrite=True)
    assert curvaudit.open_run(path).trainings == ()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_threads_make_run_files_at_the_same_time(tmp_path):
    paths = [tmp_path / f"{number}.h5" for number in range(200)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda path: store.create(path, INFO, SAMPLES, SKIPPED, THUMBNAILS), paths))
    assert all(len(curvaudit.open_run(path).samples) == N for path in paths)


@pytest.fixture
def reserved(monkeypatch) -> list[int]:
    """How large each file was made before HDF5 wrote to it."""
    sizes, reserve = [], commit.reserve

    def noting(path, room):
        sizes.append(path.stat().st_size + room)
        reserve(path, room)

    for writer in (creating, changing, beside_run):
        monkeypatch.setattr(writer, "reserve", noting)
    return sizes


def random_samples(count: int, columns: Mapping[str, tuple[str, ...]]) -> Samples:
    """As incompressible as samples can be."""
    chance = np.random.default_rng(0)
    return Samples(
        ids=tuple(map(str, range(count))),
        labels=np.arange(count, dtype=np.int32) % 2,
        classes=("a", "b"),
        content_hash=chance.integers(0, 2**64, count, np.uint64),
        phash=chance.integers(0, 2**64, count, np.uint64),
        width=chance.integers(1, 2**16, count, np.uint16),
        height=chance.integers(1, 2**16, count, np.uint16),
        contrast=chance.random(count, np.float32),
        columns=columns,
        lines=np.arange(1, count + 1, dtype=np.int32) if columns else np.zeros(0, np.int32),
        signature=chance.integers(-128, 128, (count, 99), np.int8),
    )


@pytest.mark.parametrize("kind", ["plain", "columns", "pictures"])
def test_a_new_file_is_not_larger_than_the_space_reserved_for_it(tmp_path, reserved, kind):
    count, chance = 100_000, np.random.default_rng(1)
    columns = {"noise": tuple(chance.bytes(12).hex() for _ in range(count))} if kind == "columns" else {}
    pictures = tuple(chance.bytes(4) for _ in range(count if kind == "pictures" else 0))
    thumbnails = Thumbnails(np.arange(len(pictures)), pictures)
    out = tmp_path / "run.h5"
    store.create(out, INFO, random_samples(count, columns), SKIPPED, thumbnails)
    assert out.stat().st_size <= reserved[-1]
    store.set_previews(out, thumbnails)
    assert out.stat().st_size <= reserved[-1]


# --- damage and other versions -------------------------------------------------------


def test_a_flipped_byte_is_an_error_and_no_wrong_number(path):
    content = bytearray(path.read_bytes())
    at = content.index(np.full(N, 4, np.float32).tobytes())
    content[at + 2] ^= 0x10
    path.write_bytes(content)
    run = curvaudit.open_run(path)
    with pytest.raises(CurvauditError, match="damaged"):
        run.last(0, "margin")


@pytest.mark.parametrize("length", [0, 10, 3000, -1000])
def test_a_file_that_was_cut_short_is_refused(path, length):
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(CurvauditError, match="damaged or no run file") as error:
        curvaudit.open_run(path)
    assert str(path) in error.value.message


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda file: file.attrs.update(format="other"), "not of curvaudit"),
        (lambda file: file.attrs.update(format_version="2.0"), "newer"),
        (lambda file: file.attrs.__delitem__("config"), "damaged"),
        (lambda file: file.attrs.update(config="{"), "damaged"),
        (lambda file: file.__delitem__("samples/label"), "damaged"),
        (lambda file: file.__delitem__("trainings"), "damaged"),
    ],
)
def test_other_files_are_refused(path, change, says):
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(CurvauditError, match=says):
        curvaudit.open_run(path)


def test_additions_of_a_later_minor_version_are_ignored(path):
    with h5py.File(path, "r+") as file:
        file.attrs.update(format_version="1.9", mood="sunny")
        file.attrs["text_digest"] = texts.text_digest_of(file)
        file.create_group("weather").create_dataset("rain", data=[1])
        file["samples"].create_dataset("colour", data=np.zeros(N))
        file["samples"].attrs["digest"] = texts.digest_of(file["samples"])
        file["trainings/0"].create_dataset("mood", data=[1])
    run = curvaudit.open_run(path)
    assert run.info.format_version == "1.9" and len(run.samples) == N


def test_a_run_without_thumbnails_is_read(path):
    with h5py.File(path, "r+") as file:
        del file["thumbnails"]
    run = curvaudit.open_run(path)
    assert run.thumbnails([1]) == {} and len(run.thumbnail_rows()) == 0


def test_nothing_keeps_the_file_open(path):
    run = curvaudit.open_run(path)
    blocks = run.measure_blocks(0, "margin")
    next(blocks)
    with h5py.File(path, "r+") as file:  # would raise while a reader holds it
        assert file.attrs["format"] == "curvaudit-run"


def test_the_specification_names_everything_in_the_file(path):
    page = (Path(__file__).parents[1] / "docs" / "format.md").read_text("utf-8")
    named = set(re.findall(r"`([^`\n]+)`", page))
    with h5py.File(path, "r") as file:
        names = [*file.attrs, *file["trainings/0"].attrs, *file["trainings/0/measures/margin"].attrs]
        file.visit(lambda name: names.append(name.rsplit("/", 1)[-1]))
    dynamic = {"0", "samples", "skipped", "thumbnails", "trainings", "measures"}
    assert {name for name in names if name not in dynamic} <= named
    assert {score.name for score in build()} <= named


@pytest.fixture
def large(path, monkeypatch):
    """The run with two more epochs that lie beside it, as for a run too large to be copied for each."""
    monkeypatch.setattr(changing, "_COPIED", 0)
    monkeypatch.setattr(changing, "_enough", lambda waiting, size: waiting >= 3 * size)
    store.append_epoch(path, 0, epoch(3, curvature=5, margin=6))
    store.append_epoch(path, 0, epoch(4, margin=8))
    return path


def beside(path):
    return sorted(file.name for file in path.parent.iterdir() if file != path)


def everything(run):
    measured = {name: run.measure(0, name) for name in MEASURES}
    for name, values in measured.items():
        blocks = np.concatenate([block for _, block in run.measure_blocks(0, name)], axis=1)
        for other in (blocks, np.stack(list(run.measure_epochs(0, name)))):
            np.testing.assert_array_equal(other, values)
        np.testing.assert_array_equal(run.last(0, name), values[-1])
        np.testing.assert_array_equal(run.epoch_means(0, name), values.mean(axis=1))
    return measured, vars(run.trainings[0].curves)


def test_epochs_beside_a_large_run_are_read_as_if_they_were_in_it(large):
    assert beside(large) == ["run.h5.epoch-0-3", "run.h5.epoch-0-4"]
    with h5py.File(large) as file:
        assert file["trainings/0/number"].shape == (2,)
    with h5py.File(f"{large}.epoch-0-3") as file:
        assert file["trainings/0/measures/margin"][:].tolist() == [[6] * N]
    run = store.open_run(large)
    assert run.trainings[0].curves.number.tolist() == [1, 2, 3, 4]
    assert run.measure(0, "margin")[:, 0].tolist() == [2, 4, 6, 8]
    before = everything(run)
    store.finish_training(large, 0, memorized=True)
    assert beside(large) == []
    np.testing.assert_equal(everything(run), before)  # of a reader that came before they were taken in
    np.testing.assert_equal(everything(store.open_run(large)), before)


def test_features_beside_a_large_run_are_read_as_if_they_were_in_it(large, monkeypatch):
    assert store.open_run(large).features_epoch(0) == 2  # none beside it: those in the run count
    later = FEATURES + 100
    store.append_epoch(large, 0, replace(epoch(5, margin=10), features=later))
    store.append_epoch(large, 0, epoch(6, margin=12))
    assert beside(large) == [f"run.h5.epoch-0-{number}" for number in (3, 4, 5, 6)]
    monkeypatch.setattr(stored_run, "FEATURES", 2)
    run = store.open_run(large)
    blocks = run.features(0)
    for taken_in in (False, True):
        assert run.features_epoch(0) == 5
        assert np.array_equal(run.feature_rows(0, np.array([0, 3])), later[[0, 3]])
        if not taken_in:
            read = [next(blocks)[1]]
            store.finish_training(large, 0, memorized=True)  # between two blocks of a reader
            assert beside(large) == []
    assert np.array_equal(np.concatenate([*read, *(block for _, block in blocks)]), later)


def test_epochs_are_taken_in_when_they_are_large_enough_together(large):
    number = 4
    while beside(large):
        number += 1
        store.append_epoch(large, 0, epoch(number, margin=number))
    assert number < 40
    with h5py.File(large) as file:
        assert file["trainings/0/number"][:].tolist() == list(range(1, number + 1))
        assert file["trainings/0/measures/margin"][-1].tolist() == [number] * N


def test_an_epoch_that_is_in_the_run_already_counts_once(large, tmp_path):
    kept = {name: (tmp_path / name).read_bytes() for name in beside(large)}
    store.finish_training(large, 0, memorized=True)
    for name, content in kept.items():  # a kill came before they were removed
        (tmp_path / name).write_bytes(content)
    assert store.open_run(large).trainings[0].epochs == 4
    store.append_epoch(large, 0, epoch(5, margin=10))
    assert store.open_run(large).measure(0, "margin")[:, 0].tolist() == [2, 4, 6, 8, 10]


def test_an_epoch_of_another_run_is_neither_read_nor_taken_in_nor_removed(large):
    """The run file was replaced by hand, and what lay beside it stayed."""
    other = replace(INFO, created_utc="2026-11-28T00:00:00+00:00")
    kept = {name: (large.parent / name).read_bytes() for name in beside(large)}
    store.create(large, other, SAMPLES, SKIPPED, THUMBNAILS, overwrite=True)
    store.add_training(large, 0, 0.0, 0, {}, MEASURES)
    for number in (1, 2):
        store.append_epoch(large, 0, epoch(number, margin=number))
    store.finish_training(large, 0, memorized=True)
    for name, content in kept.items():
        (large.parent / name).write_bytes(content)
    for use in (store.open_run, lambda path: store.finish_training(path, 0, memorized=True)):
        with pytest.raises(CurvauditError, match="epoch-0-3 is an epoch of another run") as error:
            use(large)
        assert "Move it" in error.value.hint
    assert beside(large) == sorted(kept)


def test_a_missing_epoch_beside_the_run_is_damage(large):
    Path(f"{large}.epoch-0-3").unlink()
    with pytest.raises(CurvauditError, match="an epoch of training 0 that lay beside it is missing"):
        store.open_run(large)
    store.create(large, INFO, SAMPLES, SKIPPED, THUMBNAILS, overwrite=True)
    assert beside(large) == [] and store.open_run(large).trainings == ()
