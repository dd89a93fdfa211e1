"""One process of a scan by several, of which the second one gets into trouble: `processes_scan.py TROUBLE ARGUMENTS`.

TROUBLE is the number of an epoch after which it dies, or `unseen`: its machine does not see the pixels.
"""

import os
import signal
import sys

from curvaudit.cli import main
from curvaudit.pictures import pixels
from curvaudit.scores import measure as measuring

if __name__ == "__main__":
    trouble = sys.argv.pop(1)
    second = os.environ["RANK"] == "1"
    whole = measuring.measure

    def measure(*arguments, epoch, **options):
        if second and str(epoch) == trouble:
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(*arguments, epoch=epoch, **options)

    def unseen(file):
        raise FileNotFoundError(2, "No such file or directory", str(file))

    measuring.measure = measure
    if second and trouble == "unseen":
        pixels.mapped = unseen
    main()
