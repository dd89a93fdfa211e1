"""How the search for near-identical candidates grows: seconds and memory for 10,000 to 200,000 signatures.

    python benchmarks/search_growth.py

The signatures are synthetic: independent coefficients, as the weights of `copies.signatures` make them in
natural pictures, and a copy with noise for one in fifty. Each size runs in a process of its own; the
exponent is that of the growth from one size to the next, 1 being linear, 2 all pairs.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys


def search(count: int) -> dict[str, float]:
    """One size, in this process."""
    import resource
    import time

    import numpy as np

    from curvaudit.copies import matching
    from curvaudit.records import Samples

    random = np.random.default_rng(0)
    looks = random.normal(size=(count, 99)).astype(np.float32)
    copies = count // 50
    looks[-copies:] = looks[:copies] + 0.05 * random.normal(size=(copies, 99))
    signature = np.rint(looks * (127 / np.abs(looks).max(axis=1, keepdims=True))).astype(np.int8)
    del looks
    side = np.full(count, 32, np.uint16)
    rows = np.arange(count)
    samples = Samples(
        ids=tuple(str(row) for row in range(count)),
        labels=np.zeros(count, np.int32),
        classes=("one",),
        content_hash=rows.astype(np.uint64),
        phash=rows.astype(np.uint64),
        width=side,
        height=side,
        contrast=np.full(count, 0.2, np.float32),
        signature=signature,
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start = time.perf_counter()
    found = matching.candidates(samples)
    seconds = time.perf_counter() - start
    planted = {(row, count - copies + row) for row in range(copies)}
    got = planted & {(min(pair), max(pair)) for pair in map(tuple, found.pairs.tolist())}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "before": before, "peak": peak, "recall": len(got) / copies}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("sizes", type=int, nargs="*", default=[10_000, 50_000, 200_000])
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(search(arguments.one)))
        return
    print("| signatures | seconds | µs each | exponent | peak memory, MB | planted copies among the candidates |")
    print("|---|---|---|---|---|---|")
    last: tuple[int, float] | None = None
    for size in arguments.sizes:
        command = [sys.executable, __file__, "--one", str(size)]
        took = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        seconds = took["seconds"]
        exponent = "" if last is None else f"{math.log(seconds / last[1]) / math.log(size / last[0]):.2f}"
        last = size, seconds
        print(
            f"| {size:,} | {seconds:.1f} | {seconds / size * 1e6:.0f} | {exponent} | {took['peak']:.0f} "
            f"| {took['recall']:.1%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
