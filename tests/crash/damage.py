"""Damages a run file and tries `curvaudit report` on what is left."""

from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
import random
import signal
import sys
from pathlib import Path

from curvaudit.cli import main

SECONDS = 20

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["damage"])


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


def try_all(good: Path, folder: Path, numbers: range) -> None:
    """Report on the mutations of `good` with these numbers.

    One line of tried.jsonl each, so that a crash names itself.
    """
    content, before = good.read_bytes(), _report(good, folder / "good")[3]
    with open(folder / "tried.jsonl", "w") as log:
        for number in numbers:
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
