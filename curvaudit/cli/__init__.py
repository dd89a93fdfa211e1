"""The command line: each command parses, calls one public function, prints. The only printer.

To add a command, write a file here that registers it with `app`, and name it in `_COMMANDS`.
"""

from __future__ import annotations

import os
import sys
import traceback
from contextlib import suppress
from importlib import import_module
from typing import NoReturn

import typer

from ..errors import CurvauditError
from .app import CLEAN, COULD_NOT_RUN, INTERRUPTED, app
from .interrupts import ended_by_signals
from .text import safe

# In the order that --help shows.
_COMMANDS = ("scan", "report", "check", "duplicates", "compare", "calibrate", "reproduce", "export", "info")

for _command in _COMMANDS:
    import_module(f".{_command}", __name__)


def main() -> None:
    """Run the command line and exit with 0, 1, 2 or 130."""
    _replace_closed_streams()
    try:
        with ended_by_signals():
            _run()
    except SystemExit as leave:
        code = leave.code
    # What is still buffered Python would write after us, and exit with 120 if it cannot.
    try:
        sys.stdout.flush()
    except OSError as error:
        if code != COULD_NOT_RUN and not isinstance(error, BrokenPipeError):
            typer.echo(f"Error: standard output cannot be written: {_said(error)}.", err=True)
        code = COULD_NOT_RUN
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _replace_closed_streams() -> None:
    """A stream that whoever started us has closed (`>&-`) takes what is said, and its number is not another file's."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, to the end


def _run() -> NoReturn:
    try:
        result = app(standalone_mode=False)
    except CurvauditError as error:
        typer.echo(f"Error: {safe(error.message)}", err=True)
        if error.hint:
            typer.echo(safe(error.hint), err=True)
        sys.exit(COULD_NOT_RUN)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(INTERRUPTED)
    except typer.Exit as leave:
        sys.exit(leave.exit_code)
    except MemoryError:
        _out_of_memory()
    except OSError as error:
        typer.echo(f"Error: {_said(error)}.", err=True)
        kept = "Finished epochs are kept; mend the cause, then use --resume."
        typer.echo(kept if _scanning() else "Mend the cause, then start again.", err=True)
        sys.exit(COULD_NOT_RUN)
    except SystemExit:
        # Whoever read our output has gone (`| head`). Typer says 1, which means that a policy is violated.
        sys.exit(COULD_NOT_RUN)
    except Exception as error:
        # Usage errors of the bundled click carry their own way of showing themselves.
        show = getattr(error, "show", None)
        # Torch has types of its own, and torch is not imported here.
        if type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error):
            _out_of_memory()
        if show is None:
            # A defect of ours. Python would exit with 1, which says that a policy is violated.
            traceback.print_exc()
        else:
            show()
            if str(getattr(error, "message", "")).startswith("Got unexpected extra argument"):
                # Most often a pattern that the shell has replaced by the names of several files.
                typer.echo("Quote a pattern, so that it stays one argument: 'data/*.parquet'.", err=True)
        sys.exit(COULD_NOT_RUN)
    sys.exit(result if isinstance(result, int) else CLEAN)


def _said(error: OSError) -> str:
    try:
        os.getcwd()
    except OSError:
        return "The folder that curvaudit was started in is gone"
    name = f": {error.filename}" if error.filename else ""
    return safe(f"{error.strerror or error}{name}")


def _out_of_memory() -> NoReturn:
    typer.echo("Error: out of memory.", err=True)
    if _scanning():
        typer.echo("Finished epochs are kept. Try a smaller --batch-size, --resolution or --width.", err=True)
    sys.exit(COULD_NOT_RUN)


def _scanning() -> bool:
    """Whether the command is the one that keeps epochs. No option stands before the name of a command."""
    return sys.argv[1:2] == ["scan"]
