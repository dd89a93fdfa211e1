"""`python -m curvaudit`"""

import os
import sys

from .cli import main
from .cli.app import INTERRUPTED

try:
    main()
except SystemExit as leave:
    if leave.code == INTERRUPTED:
        # Python remembers an interrupt that came within code made from text, as dataclasses make it, however it was
        # handled, and would end a `-m` program by the signal instead of the exit code.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(INTERRUPTED)
    raise
