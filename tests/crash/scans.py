"""Scans in processes of their own, made to be killed."""

from __future__ import annotations

import multiprocessing
import shutil
import time
from pathlib import Path

import numpy as np
import torch
import traced

import curvaudit
from curvaudit import records, scanning, store
from curvaudit.training import checkpoint

SETTINGS = {"epochs": 3, "width": 4, "batch_size": 16, "device": "cpu", "workers": 1, "weight_decay": (0, 0.01)}

PATIENCE = 1200  # seconds; only a scan that hangs takes as long, however busy the machine

# A fork of a process that has torch loaded starts at once; one that has used torch's threads would hang.
# The optimizer and the network load the others when they are first made.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(
    ["torch", "torch._dynamo", "torchvision", "imagehash", "curvaudit.scanning", "curvaudit.training.model",
     "curvaudit.training.loop", "scans"]
)  # fmt: skip


def scan(folder: Path, out: Path) -> None:
    torch.set_num_threads(1)
    curvaudit.scan(folder, out, resume=out.exists(), **SETTINGS)


def in_process(function, *arguments):
    process = processes.Process(target=function, args=arguments)
    process.start()
    return process


def finish(function, *arguments) -> None:
    process = in_process(function, *arguments)
    process.join(PATIENCE)
    assert process.exitcode == 0, f"exit code {process.exitcode}"


def timed_scan(folder: Path, out: Path) -> float:
    started = time.monotonic()
    finish(scan, folder, out)
    return time.monotonic() - started


def scan_in_steps(folder: Path, out: Path, steps: Path) -> None:
    """Scan, and keep in `steps/<training>-<epoch>` what a kill after each epoch would leave behind."""
    torch.set_num_threads(1)

    def keep(event) -> None:
        if isinstance(event, records.EpochDone):
            step = steps / f"{event.training}-{event.epoch}"
            step.mkdir(parents=True)
            for file in (out, checkpoint.path_for(out)):
                shutil.copy(file, step / file.name)

    scanning.scan(folder, out, on_event=keep, **SETTINGS)


def kill_in_commit(folder: Path, out: Path, training: int, epoch: int, call: int, queue) -> None:
    """Resume the scan and die before system call `call` of the commit of `epoch`; tell (killed, calls)."""

    def child(begin) -> None:
        torch.set_num_threads(1)
        save, append = checkpoint.save, store.append_epoch
        begun = []

        def trace():
            if not begun:
                begun.append(True)
                begin()

        def save_traced(path, state):
            if (state.training, state.epoch) == (training, epoch):
                trace()
            save(path, state)

        def append_traced(path, index, row):
            # First here where the scan was killed between checkpoint and run file.
            if (index, row.number) == (training, epoch):
                trace()
            append(path, index, row)

        checkpoint.save, store.append_epoch = save_traced, append_traced

        def stop_after(event) -> None:
            if isinstance(event, records.EpochDone) and (event.training, event.epoch) == (training, epoch):
                raise SystemExit

        try:
            scanning.scan(folder, out, resume=True, on_event=stop_after, **SETTINGS)
        except SystemExit:
            return
        raise AssertionError("the epoch never came")

    ended = traced.run(child, call)
    queue.put((ended.killed, ended.code, ended.calls))


def values(path: Path) -> dict[str, np.ndarray]:
    """Everything a run logged, but for the seconds."""
    run = curvaudit.open_run(path)
    found = {}
    for training in run.trainings:
        for name in training.measures:
            found[f"{training.index}/{name}"] = run.measure(training.index, name)
        for name in ("number", "train_loss", "train_accuracy", "learning_rate"):
            found[f"{training.index}/{name}"] = getattr(training.curves, name)
    return found


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k], equal_nan=True) for k in one)


def epochs(path: Path) -> int:
    return sum(training.epochs for training in curvaudit.open_run(path).trainings)


def scan_settings(folder: Path, out: Path, settings: dict, threads: int) -> None:
    torch.set_num_threads(threads)  # sums depend on it in the last bit
    curvaudit.scan(folder, out, **settings)
