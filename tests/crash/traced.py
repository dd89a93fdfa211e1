"""Run a function in a child process and kill it between two of its system calls (Linux)."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

_TRACEME, _SYSCALL = 0, 24
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Ended:
    killed: bool
    code: int | None
    calls: int  # system calls that were begun since `begin()`


def run(function: Callable[[Callable[[], None]], None], kill_before: int | None = None) -> Ended:
    """Call `function(begin)` in a forked child.

    From the moment it calls `begin()` its system calls are counted; the child is killed when it
    is about to make number `kill_before` (counted from 1), after the one before has ended.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            function(_begin)
            code = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(code)
    calls, entering = 0, True
    while True:
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            return Ended(False, os.WEXITSTATUS(status), calls)
        if os.WIFSIGNALED(status):
            return Ended(os.WTERMSIG(status) == signal.SIGKILL, None, calls)
        stop, deliver = os.WSTOPSIG(status), 0
        if stop == signal.SIGTRAP:  # each call stops twice: when it begins and when it ends
            calls += entering
            if entering and calls == kill_before:
                os.kill(child, signal.SIGKILL)
                continue
            entering = not entering
        elif stop != signal.SIGSTOP:
            deliver = stop
        _ptrace(_SYSCALL, child, deliver)


def needed() -> None:
    """Skip the test where processes cannot be traced."""
    if not sys.platform.startswith("linux"):
        pytest.skip("tracing system calls is written for Linux")
    try:
        ended = run(lambda begin: begin())
    except OSError as error:
        pytest.skip(f"processes may not be traced here: {error}")
    if ended.code != 0:
        pytest.skip("processes may not be traced here")


def _begin() -> None:
    _ptrace(_TRACEME, 0, 0)
    os.kill(os.getpid(), signal.SIGSTOP)


def _ptrace(request: int, process: int, data: int) -> None:
    if _libc.ptrace(ctypes.c_long(request), ctypes.c_long(process), None, ctypes.c_void_p(data)) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
