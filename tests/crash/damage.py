"""Makes a run file without training, damages it, and tries `curvaudit report` on what is left."""

from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
import random
import signal
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from curvaudit import images, scores, store
from curvaudit.cli import main
from curvaudit.records import EpochRow, RunInfo, Samples, Skipped, Thumbnails

N, EPOCHS, SECONDS = 90, 4, 20

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["damage"])


def write_run(path: Path) -> None:
    chance = np.random.default_rng(1)
    pictures = chance.integers(0, 255, (N, 16, 16, 3), np.uint8)
    pictures[7] = pictures[3]
    samples = Samples(
        ids=tuple(f"class/{i}.png" for i in range(N)),
        labels=(np.arange(N) % 3).astype(np.int32),
        classes=("ant", "bee", "cat"),
        content_hash=np.array([7 if i == 3 else i for i in range(N)], np.uint64),
        phash=chance.integers(0, 2**63, N).astype(np.uint64),
        width=np.full(N, 16, np.uint16),
        height=np.full(N, 16, np.uint16),
        contrast=np.full(N, 0.2, np.float32),
    )
    thumbnails = Thumbnails(np.arange(N), tuple(images.thumbnail(Image.fromarray(p)) for p in pictures))
    info = RunInfo("folder", "0" * 32, {"epochs": EPOCHS}, {"python": "3"}, "test", "2000-01-01T00:00:00Z")
    store.create(path, info, samples, [Skipped("class/x.png", "empty file (0 bytes)")], thumbnails)
    logged = scores.build()
    store.add_training(path, 0, 0.0, 0, {}, {score.name: score.info for score in logged})
    for number in range(1, EPOCHS + 1):
        values = {score.name: chance.gamma(1.0, size=N).astype(np.float32) for score in logged}
        values["correct"] = (chance.random(N) < (0.3, 0.6, 0.85, 0.9)[number - 1]).astype(np.float32)
        values["prediction"] = chance.integers(0, 3, N).astype(np.float32)
        accuracy = float(values["correct"].mean())
        store.append_epoch(path, 0, EpochRow(number, 1.0, accuracy, np.nan, np.nan, 0.1, 1.0, values))
    store.finish_training(path, 0, True)


def mutate(content: bytes, chance: random.Random) -> tuple[str, bytes]:
    """One kind of damage: (what it is, the bytes)."""
    data = bytearray(content)
    kind = chance.choice(("flip", "flips", "truncate", "zeros", "noise", "head", "insert", "remove"))
    place, length = chance.randrange(len(data)), chance.choice((1, 8, 64, 512, 4096))
    if kind == "flip":
        data[place] ^= 1 << chance.randrange(8)
    elif kind == "flips":
        for _ in range(chance.choice((2, 10, 100))):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    elif kind == "truncate":
        del data[place:]
    elif kind == "zeros":
        data[place : place + length] = bytes(len(data[place : place + length]))
    elif kind == "noise":
        data[place : place + length] = chance.randbytes(len(data[place : place + length]))
    elif kind == "head":
        data[chance.randrange(2048)] = chance.randrange(256)
    elif kind == "insert":
        data[place:place] = chance.randbytes(length)
    else:
        del data[place : place + length]
    return f"{kind} at {place}", bytes(data)


def try_all(good: Path, folder: Path, count: int) -> None:
    """Report on `count` mutations of `good`; one line of tried.jsonl each, so that a crash names itself."""
    content, before = good.read_bytes(), _report(good, folder / "good")[3]
    with open(folder / "tried.jsonl", "w") as log:
        for number in range(count):
            what, data = mutate(content, random.Random(number))
            bad = folder / "bad.h5"
            bad.write_bytes(data)
            code, out, err, files = _report(bad, folder / "report")
            outcome, wrong = _judge(code, out, err, files, before)
            log.write(json.dumps({"number": number, "what": what, "outcome": outcome, "wrong": wrong}) + "\n")
            log.flush()


def _judge(code, out, err, files, before) -> tuple[str, str]:
    if "Traceback" in err or "Exception ignored" in err:
        return "traceback", err[-800:]
    if code == 2:
        sentence = err.splitlines()
        fine = out == "" and sentence and sentence[0].startswith("Error: ") and "bad.h5" in sentence[0]
        return "refused", "" if fine else f"{out!r} {err!r}"
    if code != 0:
        return "other", f"exit code {code}: {err}"
    if files == before:
        return "unharmed", ""
    caveats = json.loads(files["findings.json"])["summary"]["caveats"]
    stated = any("damaged" in caveat["message"] for caveat in caveats)
    return "damage stated", "" if stated else f"another report without a word: {caveats}"


def _report(run: Path, folder: Path) -> tuple[int, str, str, dict[str, bytes]]:
    sys.argv = ["curvaudit", "report", str(run), "-o", str(folder), "-q"]
    out, err = io.StringIO(), io.StringIO()
    code = 0
    signal.setitimer(signal.ITIMER_PROF, SECONDS)  # of computing; ends the process, also where HDF5 itself hangs
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as leave:
        code = leave.code or 0
    except BaseException:
        import traceback

        err.write(traceback.format_exc())
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    files = {}
    if code == 0:
        ranking, findings = folder / "ranking.csv", folder / "findings.json"
        # The path of the run is another one and is said in the file.
        told = findings.read_bytes().replace(json.dumps(str(run)).encode(), b'"RUN"') if findings.exists() else b""
        files = {"ranking.csv": ranking.read_bytes() if ranking.exists() else b"", "findings.json": told}
    return code, out.getvalue(), err.getvalue(), files
