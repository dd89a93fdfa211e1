"""Hashes kept from run to run: only what is new is decoded, and no trouble with the cache matters."""

import sqlite3
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from test_duplicates import photo, write
from test_inspecting import png, write_parquet, write_tar

import curvaudit
from curvaudit import inventory, sources
from curvaudit.cli import main
from curvaudit.pictures import hash_cache, images, portraits
from curvaudit.records import Notice


@pytest.fixture
def decoded(monkeypatch):
    """Counts the pictures that are decoded."""
    honest, count = images.decode, []

    def counting(data):
        count.append(1)
        return honest(data)

    monkeypatch.setattr(images, "decode", counting)
    return count


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Large enough that thumbnails are kept: nothing has to be drawn again."""
    monkeypatch.setattr(portraits, "DRAWN_FROM", 70 * 70)
    write(tmp_path / "set", {f"{'ab'[seed % 2]}/{seed:02d}.png": photo(seed, 80) for seed in range(12)})
    return tmp_path / "set"


def inspect(source, cache, **options):
    said = []
    report = curvaudit.inspect(source, cache=cache, on_event=said.append, **options)
    return report, [event for event in said if isinstance(event, Notice)]


def same(one, other) -> bool:
    arrays = ("content_hash", "phash", "signature", "contrast", "width", "height", "labels")
    return (
        all(np.array_equal(getattr(one.samples, name), getattr(other.samples, name)) for name in arrays)
        and [f.fingerprint for f in one.findings] == [f.fingerprint for f in other.findings]
        and one.thumbnails == other.thumbnails
    )


def test_a_second_run_decodes_nothing_and_a_release_only_what_is_new(photos, tmp_path, decoded):
    cache = tmp_path / "cache"
    write(photos, {"b/copy.png": photo(0, 80), "a/mirrored.png": photo(1, 80).transpose(0)})
    bare, said = inspect(photos, None)
    assert said == []
    decoded.clear()
    first, said = inspect(photos, cache)
    assert [notice.message for notice in said] == ["0 of 14 from the cache"] and len(decoded) == 14
    decoded.clear()
    second, said = inspect(photos, cache)
    assert [notice.message for notice in said] == ["14 of 14 from the cache"] and len(decoded) == 0
    assert same(bare, first) and same(first, second) and second.findings
    photos.rename(tmp_path / "release-2")  # names and places do not matter
    write(tmp_path / "release-2", {"a/new.png": photo(50, 80), "b/new.png": photo(51, 80)})
    _, said = inspect(tmp_path / "release-2", cache)
    assert [notice.message for notice in said] == ["14 of 16 from the cache"] and len(decoded) == 2


def test_small_pictures_are_decoded_again_only_as_candidates(tmp_path, decoded):
    write(tmp_path / "set", {f"{'ab'[seed % 2]}/{seed:02d}.png": photo(seed, 40) for seed in range(40)})
    write(tmp_path / "set", {"b/mirrored.png": photo(1, 40).transpose(Image.Transpose.FLIP_LEFT_RIGHT)})
    first, _ = inspect(tmp_path / "set", tmp_path / "cache")
    decoded.clear()
    second, said = inspect(tmp_path / "set", tmp_path / "cache")
    assert said[0].message == "41 of 41 from the cache" and 2 <= len(decoded) < 41
    assert same(first, second) and [finding.rule.id for finding in second.findings if "CA1" in finding.rule.id]


def test_a_scan_uses_it_and_writes_the_same_run(photos, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    settings = {"epochs": 1, "width": "4", "batch_size": 16, "resolution": "16", "device": "cpu"}
    curvaudit.scan(photos, tmp_path / "bare.h5", **settings)
    said = []
    for name in ("first.h5", "second.h5"):
        curvaudit.scan(photos, tmp_path / name, cache=tmp_path / "cache", on_event=said.append, **settings)
    told = [event.message for event in said if isinstance(event, Notice) and "cache" in event.message]
    assert told == ["0 of 12 from the cache", "12 of 12 from the cache"]
    runs = [curvaudit.open_run(tmp_path / name) for name in ("bare.h5", "first.h5", "second.h5")]
    for run in runs[1:]:
        assert run.info.source_fingerprint == runs[0].info.source_fingerprint
        assert run.thumbnails(range(12)) == runs[0].thumbnails(range(12))
        assert np.array_equal(run.samples.signature, runs[0].samples.signature)


@pytest.mark.parametrize("kind", ["manifest", "parquet", "tar"])
def test_every_source_of_encoded_pictures_shares_it(kind, tmp_path, decoded, monkeypatch):
    monkeypatch.setattr(portraits, "DRAWN_FROM", 70 * 70)
    pictures = np.random.default_rng(0).integers(0, 255, (6, 70, 70, 3), np.uint8)
    write(tmp_path / "folder", {f"{i % 2}/{i}.png": Image.fromarray(p) for i, p in enumerate(pictures)})
    inspect(tmp_path / "folder", tmp_path / "cache")
    decoded.clear()
    if kind == "manifest":
        source = tmp_path / "list.csv"
        source.write_text("path,label\n" + "".join(f"folder/{i % 2}/{i}.png,{i % 2}\n" for i in range(6)))
    elif kind == "parquet":
        source = tmp_path / "a.parquet"
        write_parquet(source, pictures, range(6))
    else:
        source = tmp_path / "a.tar"
        write_tar(source, pictures, range(6))
    assert png(pictures[0]) == (tmp_path / "folder/0/0.png").read_bytes()
    _, said = inspect(source, tmp_path / "cache")
    assert said[0].message == "6 of 6 from the cache" and not decoded


def test_arrays_are_not_looked_up(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 255, (6, 20, 20, 3), np.uint8)
    np.savez(tmp_path / "a.npz", images=pictures, labels=np.arange(6) % 2)
    assert inspect(tmp_path / "a.npz", tmp_path / "cache")[1] == []


# --- trouble -------------------------------------------------------------------------


def filled(photos, cache):
    report, _ = inspect(photos, cache)
    return report, cache / hash_cache.FILE


@pytest.mark.parametrize("trouble", ["text", "empty", "cut", "zeros", "other table", "folder", "a file for the folder"])
def test_a_damaged_cache_is_one_warning_and_the_same_result(trouble, photos, tmp_path):
    good, file = filled(photos, tmp_path / "cache")
    content = file.read_bytes()
    file.unlink()
    warnings = 1
    if trouble == "text":
        file.write_text("this is no database " * 100)
    elif trouble == "empty":
        file.write_bytes(b"")
        warnings = 0  # a new cache
    elif trouble == "cut":
        file.write_bytes(content[: len(content) // 2])
    elif trouble == "zeros":
        file.write_bytes(content[:4096] + bytes(len(content) - 4096))
    elif trouble == "other table":
        with sqlite3.connect(file) as database:
            database.execute("CREATE TABLE portraits (something)")
        database.close()
    elif trouble == "folder":
        file.mkdir()
    else:
        file.parent.rmdir()
        file.parent.write_text("a file")
    again, said = inspect(photos, tmp_path / "cache")
    assert same(good, again)
    told = [notice.message for notice in said if notice.severity == "warning"]
    assert len(told) == warnings and all(str(file) in message for message in told)


def test_flipped_bytes_never_become_hashes(photos, tmp_path):
    good, file = filled(photos, tmp_path / "cache")
    content = file.read_bytes()
    random = np.random.default_rng(0)
    for _ in range(40):
        damaged = bytearray(content)
        for place in random.integers(0, len(content), 20):
            damaged[place] ^= 1 << random.integers(0, 8)
        file.write_bytes(damaged)
        assert same(good, inspect(photos, tmp_path / "cache")[0])


def test_a_damaged_table_whose_text_is_not_utf_8_is_one_warning(photos, tmp_path):
    good, file = filled(photos, tmp_path / "cache")
    file.write_bytes(file.read_bytes().replace(b"CREATE TABLE portraits", b"CREATE \xa0ABLE portraits"))
    again, said = inspect(photos, tmp_path / "cache")
    assert same(good, again) and sum("cannot be used" in notice.message for notice in said) == 1


def test_a_value_changed_by_hand_is_not_believed(photos, tmp_path, decoded):
    good, file = filled(photos, tmp_path / "cache")
    database = sqlite3.connect(file)
    (facts,) = database.execute("SELECT facts FROM portraits LIMIT 1").fetchone()
    database.execute("UPDATE portraits SET facts = ?", (facts,))  # every picture like the first
    database.commit()
    database.close()
    decoded.clear()
    again, said = inspect(photos, tmp_path / "cache")
    assert same(good, again) and len(decoded) == 11 and said[0].message == "1 of 12 from the cache"


def test_a_locked_cache_is_one_warning(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(hash_cache, "_PATIENCE", 0.05)
    good, file = filled(photos, tmp_path / "cache")
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    again, said = inspect(photos, tmp_path / "cache")
    other.close()
    assert same(good, again)
    assert len([notice for notice in said if notice.severity == "warning"]) == 1


def test_a_cache_that_cannot_be_written_is_read(photos, tmp_path, monkeypatch, decoded):
    filled(photos, tmp_path / "cache")
    write(photos, {"a/new.png": photo(50, 80)})

    def refuse(*arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(hash_cache.os, "open", refuse)  # root may write everywhere
    decoded.clear()
    for _ in range(2):
        _, said = inspect(photos, tmp_path / "cache")
        assert sorted((n.severity, n.message.split(" ")[0]) for n in said) == [("note", "12"), ("warning", "the")]
    assert len(decoded) == 2


def test_the_oldest_go_first_when_it_is_full(tmp_path):
    limit, warned = 200_000, []
    portrait = portraits.Portrait(1, 2, np.zeros(99, np.int8), 80, 80, 0.1, False, bytes(1000))
    keys = [hash_cache.key(str(number).encode()) for number in range(1000)]
    for start in range(0, 1000, 100):
        with hash_cache.HashCache(tmp_path, warned.append, limit) as cache:
            for key in keys[start : start + 100]:
                cache.add(key, portrait)
        database = sqlite3.connect(tmp_path / hash_cache.FILE)
        database.execute("UPDATE portraits SET used = used - 1")
        database.commit()
        database.close()
    assert (tmp_path / hash_cache.FILE).stat().st_size < 2 * limit and not warned
    with hash_cache.HashCache(tmp_path, warned.append, limit) as cache:
        kept = [number for number, key in enumerate(keys) if cache.find(key) is not None]
    assert 50 < len(kept) < 200 and min(kept) > 700 and max(kept) == 999


def test_two_writers_at_once_lose_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(hash_cache, "_AT_ONCE", 10)
    monkeypatch.setattr(hash_cache, "_PATIENCE", 30.0)
    portrait = portraits.Portrait(1, 2, np.zeros(99, np.int8), 80, 80, 0.1, False, None)
    keys = [hash_cache.key(str(number).encode()) for number in range(400)]
    warned = []

    def write_some(mine):
        with hash_cache.HashCache(tmp_path, warned.append) as cache:
            for key in mine:
                cache.add(key, portrait)

    threads = [threading.Thread(target=write_some, args=(keys[start::2],)) for start in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with hash_cache.HashCache(tmp_path, warned.append) as cache:
        assert all(cache.find(key) is not None for key in keys)
    assert not warned


# --- what an entry stands for --------------------------------------------------------


def test_another_version_of_the_code_or_the_decoder_hashes_anew(photos, tmp_path, monkeypatch):
    filled(photos, tmp_path / "cache")
    monkeypatch.setattr(portraits, "version", lambda: "another Pillow")
    assert inspect(photos, tmp_path / "cache")[1][0].message == "0 of 12 from the cache"


def test_a_limit_of_pixels_holds_for_what_is_cached(photos, tmp_path):
    filled(photos, tmp_path / "cache")
    write(photos, {"a/small.png": photo(1, 20)})
    report, _ = inspect(photos, tmp_path / "cache", max_pixels=1000)
    assert len(report.samples) == 1 and "too large: 80×80" in report.skipped[0].reason


def test_portraits_do_not_depend_on_the_company(photos):
    source = sources.load(photos)
    pictures = [source.open(index) for index in range(len(source.ids))]
    together = portraits.finished([portraits.sketch(picture, True) for picture in pictures])
    for picture, portrait in zip(pictures, together, strict=True):
        (alone,) = portraits.finished([portraits.sketch(picture, True)])
        assert np.array_equal(alone.signature, portrait.signature)
        assert (alone.perceptual, alone.content) == (portrait.perceptual, portrait.content)
    assert inventory.take(source, 3, lambda done: None).samples.phash.tolist() == [p.perceptual for p in together]


# --- the commands --------------------------------------------------------------------


@pytest.mark.parametrize("command", ["duplicates", "check", "compare"])
def test_commands_say_how_much_they_knew(command, photos, tmp_path, monkeypatch, capsys):
    operands = [str(photos)] * (2 if command == "compare" else 1)

    def run(*options: str) -> str:
        monkeypatch.setattr(sys, "argv", ["curvaudit", command, *operands, *options])
        with pytest.raises(SystemExit):
            main()
        return capsys.readouterr().err

    assert "12 of 12 from the cache" not in run("--no-cache") and "cache" not in run("--no-cache")
    run()  # into the user's cache folder
    assert "12 of 12 from the cache" in run()
    assert "0 of 12 from the cache" in run("--cache", str(tmp_path / "own"))
    assert (tmp_path / "own" / hash_cache.FILE).exists()
    assert "contradict" in run("--cache", "x", "--no-cache")


def test_a_user_without_a_home_has_no_cache(monkeypatch):
    """As in containers that run under any number."""
    assert hash_cache.default_folder() is not None
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    assert hash_cache.default_folder() is None


def test_a_flipped_byte_of_a_kept_thumbnail_is_noticed(tmp_path):
    picture, known = photo(1, 80), b"k" * 16
    (portrait,) = portraits.finished([portraits.sketch(picture, every_thumbnail=True)])
    with hash_cache.HashCache(tmp_path, print) as cache:
        cache.add(known, replace(portrait, thumbnail=images.thumbnail(picture)))
    with sqlite3.connect(tmp_path / hash_cache.FILE) as database:
        (thumbnail,) = database.execute("SELECT thumbnail FROM portraits").fetchone()
        flipped = thumbnail[:-20] + bytes([thumbnail[-20] ^ 1]) + thumbnail[-19:]
        database.execute("UPDATE portraits SET thumbnail = ?", (flipped,))
    with hash_cache.HashCache(tmp_path, print) as cache:
        assert cache.find(known) is None
