"""Several processes that do one scan, as `torchrun` starts them: the only module that knows of them.

The first process (rank 0) reads, writes and speaks. All of them train, each on its part of every
batch, and measure, each its part of the samples. With one process everything here does nothing, so
that what uses it reads the same.
"""

from __future__ import annotations

import json
import os
import socket
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import CurvauditError

if TYPE_CHECKING:
    import torch
    from torch import nn

# A process that says nothing for so long is taken for dead. Longer than the first one needs to commit an epoch.
_PATIENCE = timedelta(minutes=10)
_GLANCE = 0.05  # seconds between two looks for what the first process says
_joined = 0  # how often this process took part in a scan: each has its own names in the store


class ProcessLost(CurvauditError):
    """Another process of the scan has ended."""


def launched() -> tuple[int, int]:
    """(rank, number of processes) as the environment says; (0, 1) for an ordinary start.

    Raises
    ------
    CurvauditError
        What it says is no number.
    """
    size = _number("WORLD_SIZE", 1)
    return (_number("RANK", 0), size) if size > 1 and "MASTER_ADDR" in os.environ else (0, 1)


def _number(variable: str, usual: int) -> int:
    said = os.environ.get(variable) or str(usual)
    if not said.isdecimal():
        raise CurvauditError(
            f"The environment variable {variable} is {said!r}, no number of processes.",
            "It is set by torchrun; unset it for an ordinary scan.",
        )
    return int(said)


@dataclass(frozen=True)
class Processes:
    """Those that do this scan."""

    rank: int = 0
    size: int = 1
    store: Any = None  # torch.distributed's table of names and bytes, which all of them see
    _told: Any = None  # counts what the first one has told

    @property
    def first(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """This process's part of `count` things: contiguous, sizes differ by one at most."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def batches(self, count: int, batch_size: int) -> slice:
        """This process's part of `count` samples in whole batches: those of a scan by one process."""
        part = self.share(-(-count // batch_size))
        return slice(min(count, part.start * batch_size), min(count, part.stop * batch_size))

    def check_batches(self, smallest: int) -> None:
        """Raises CurvauditError where a batch has fewer samples than there are processes."""
        if smallest < self.size:
            raise CurvauditError(
                f"{self.size} processes cannot share batches of {smallest} pictures.",
                "Start fewer, or give a larger --batch-size.",
            )

    def cores(self, threads: int) -> int:
        """How many threads one process may use while the others of this machine wait, if each has `threads`."""
        if self.size == 1:
            return threads
        where = [self.store.get(f"process/{rank}").decode().rsplit(" ", 1)[0] for rank in range(self.size)]
        count = where.count(socket.gethostname())
        # Where each process has been given cores of its own, those of the others are not to be had.
        return max(threads, min(threads * count, _own_cores()))

    def parallel(self, model: nn.Module) -> nn.Module:
        """What to train instead of `model`: the same weights, batch statistics of the whole batch, mean gradients."""
        if self.size == 1:
            return model
        from torch.nn.parallel import DistributedDataParallel

        from .shared_norm import with_shared_statistics

        # Of kernels of 1×1, whose strides mean nothing.
        warnings.filterwarnings("ignore", "Grad strides do not match", UserWarning)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch 2.14 renames the option
            return DistributedDataParallel(with_shared_statistics(model), broadcast_buffers=False)

    def spread(self, model: nn.Module) -> None:
        """Give all processes the weights of the first one, in place."""
        import torch.distributed as dist

        for parameter in model.parameters():
            dist.broadcast(parameter.data, 0)

    def total(self, value: torch.Tensor) -> torch.Tensor:
        """Sum of a CPU tensor over the processes."""
        if self.size > 1:
            import torch.distributed as dist

            value = value.clone()
            dist.all_reduce(value)
        return value

    def merged(self, values: Mapping[str, np.ndarray], rows: slice, count: int) -> dict[str, np.ndarray]:
        """Measured values of all samples, name -> (N, ...) float32, from those of `rows` in each process."""
        if self.size == 1:
            return dict(values)
        import torch

        found = {}
        for name, mine in values.items():
            whole = np.zeros((count, *mine.shape[1:]), np.float32)
            whole[rows] = mine
            # Everybody else adds 0, which changes no value.
            found[name] = self.total(torch.from_numpy(whole)).numpy()
        return found

    def told(self, say: Callable[[], Any]) -> Any:
        """What `say` returns in the first process, as JSON has it, in all; the others wait as long as it takes."""
        if self.size == 1:
            return say()
        key = f"told/{next(self._told)}"
        if self.first:
            said = json.dumps(say())
            self.store.set(key, said)
        else:
            self._wait(key)
            said = self.store.get(key).decode()
        return json.loads(said)

    def wait_for_first(self) -> None:
        """Until the first process has come here, too."""
        self.told(lambda: None)

    def array(self, values: np.ndarray | None) -> np.ndarray:
        """The array of the first process, in all of them."""
        if self.size == 1:
            assert values is not None
            return values
        import torch
        import torch.distributed as dist

        def form() -> tuple[tuple[int, ...], str]:
            assert values is not None
            return values.shape, values.dtype.str

        mine = np.empty(*self.told(form))
        if self.first:
            mine = np.ascontiguousarray(values)
        if mine.size:
            dist.broadcast(torch.from_numpy(mine.reshape(-1).view(np.uint8)), 0)
        return mine

    def _wait(self, key: str) -> None:
        # Not `store.wait`: signals would wait, too.
        while not self.store.check([key]):
            time.sleep(_GLANCE)

    def _lost(self) -> ProcessLost:
        why = ""
        with suppress(RuntimeError):
            if self.store.check(["failed"]):
                why = f": {self.store.get('failed').decode()}"
        return ProcessLost(
            f"Another of the {self.size} processes of this scan has ended{why or ' without a word'}.",
            "Every finished epoch is kept. Mend the cause, then --resume, with any number of processes.",
        )

    def _others_live(self) -> bool:
        """False where one of this machine's processes has gone."""
        with suppress(RuntimeError):
            for key in (f"process/{rank}" for rank in range(self.size)):
                if not self.store.check([key]):
                    continue
                host, number = self.store.get(key).decode().rsplit(" ", 1)
                try:
                    if host == socket.gethostname():
                        os.kill(int(number), 0)
                except ProcessLookupError:
                    return False
        return True


ALONE = Processes()


def _own_cores() -> int:
    # Not all systems can say.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def local_device(wanted: str) -> str:
    """The `--device` of this process: each on a machine takes a GPU of its own.

    Raises
    ------
    CurvauditError
        One GPU was named for several processes, or there are fewer GPUs than processes.
    """
    if launched()[1] == 1 or wanted == "cpu":
        return wanted
    import torch

    if wanted.startswith("cuda:"):
        raise CurvauditError(f"--device {wanted} names one GPU for several processes.", "Give --device cuda.")
    if wanted == "auto" and not torch.cuda.is_available():
        return wanted
    place = int(os.environ.get("LOCAL_RANK") or 0)
    if place >= torch.cuda.device_count():
        raise CurvauditError(
            f"Process {place} on this machine has no GPU: there are {torch.cuda.device_count()}.",
            "Start at most one process for each GPU (--nproc-per-node), or give --device cpu.",
        )
    torch.cuda.set_device(place)
    return "cuda"


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """The processes that were started together with this one; `ALONE` for an ordinary start.

    Parameters
    ----------
    device:
        As `--device` says; GPUs talk by NCCL, processors by gloo.

    Raises
    ------
    ProcessLost
        Another one ended, or said nothing for ten minutes.
    CurvauditError
        They cannot reach each other, or what happens in here raised it.
    """
    rank, size = launched()
    if size == 1:
        yield ALONE
        return
    import torch
    import torch.distributed as dist
    from torch.distributed.distributed_c10d import PrefixStore

    global _joined
    _joined += 1
    cuda = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
    try:
        store = PrefixStore(f"curvaudit/{_joined}", _rendezvous())
        store.set(f"process/{rank}", f"{socket.gethostname()} {os.getpid()}")
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if cuda else "gloo", store=store, rank=rank, world_size=size, timeout=_PATIENCE
        )
    except (RuntimeError, ValueError) as error:
        raise CurvauditError(
            f"The {size} processes cannot reach each other: {(str(error).splitlines() or [''])[0]}.",
            "Check the addresses that torchrun was given, and that nothing blocks them.",
        ) from error
    team = Processes(rank, size, store, iter(range(2**62)))
    try:
        yield team
    except BaseException as error:
        lost = isinstance(error, RuntimeError) and _concerns_others(error)
        if team.first and isinstance(error, KeyboardInterrupt):
            # torchrun ends the others by SIGTERM as soon as one has died.
            lost = not team._others_live()
        if lost:
            raise team._lost() from error
        if not team.first and not isinstance(error, KeyboardInterrupt):
            _leave_word(team, error)
        raise
    else:
        with suppress(RuntimeError):
            dist.destroy_process_group()


@cache
def _rendezvous() -> Any:
    from torch.distributed.rendezvous import rendezvous

    return next(iter(rendezvous("env://")))[0]


def _leave_word(team: Processes, error: BaseException) -> None:
    """Tell the first process why this one ends."""
    said = error.message.rstrip(".") if isinstance(error, CurvauditError) else f"{type(error).__name__}: {error}"
    with suppress(RuntimeError):
        team.store.set("failed", f"process {team.rank}: {said}")


def _concerns_others(error: RuntimeError) -> bool:
    import torch.distributed as dist

    said = str(error)
    return isinstance(error, dist.DistError) or any(
        mark in said for mark in ("gloo", "Gloo", "NCCL", "Connection closed", "Connection reset", "Broken pipe")
    )
