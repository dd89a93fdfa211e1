"""The run file: the only package that knows HDF5. docs/format.md is its specification.

HDF5 changes a file in place by many writes, and a file cut between two of them may be lost. So
every change is made on a copy beside the run file, which then takes its name: whoever opens the
run, at whatever moment, sees it before or after an epoch, never within. docs/durability.md says
what was tried. An epoch counts once its row in `number` is written.

`creating` and `changing` write, by `commit` and `beside`; `opening` and `run` read, by `access`; how things are laid
out is in `layout`, `texts`, `arrays`, `pictures` and `epochs`.
"""

from .changing import add_training, append_epoch, finish_training, set_previews, set_thumbnails
from .creating import create
from .layout import looks_like_run
from .opening import open_run, opened
from .run import Run

__all__ = [
    "Run",
    "add_training",
    "append_epoch",
    "create",
    "finish_training",
    "looks_like_run",
    "open_run",
    "opened",
    "set_previews",
    "set_thumbnails",
]
