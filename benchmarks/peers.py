"""imagededup 0.3.3 and CleanVision 0.3.7 on a folder of pictures, with their default settings.

    PEERS/bin/python benchmarks/peers.py imagededup FOLDER
    PEERS/bin/python benchmarks/peers.py cleanvision FOLDER

For an environment of their own: `python -m venv PEERS && PEERS/bin/pip install imagededup==0.3.3
cleanvision==0.3.7`. Prints one line of JSON: seconds to hash and to search, and pairs of paths
relative to the folder. The other benchmarks call it with --peers-python.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sys
import time
import types
import warnings
from itertools import combinations
from pathlib import Path


def imagededup(folder: str) -> dict[str, object]:
    """PHash, find_duplicates within 10 bits (its default), all cores, its brute force in Cython (its default)."""
    # Its package fetches the weights of a network when imported; hashing needs none of that.
    cnn = types.ModuleType("imagededup.methods.cnn")
    cnn.CNN = None
    sys.modules["imagededup.methods.cnn"] = cnn
    from imagededup.methods import PHash

    logging.disable(logging.CRITICAL)
    hasher = PHash(verbose=False)
    start = time.perf_counter()
    encodings = hasher.encode_images(image_dir=folder, recursive=True)
    hashed = time.perf_counter()
    found = hasher.find_duplicates(encoding_map=encodings, max_distance_threshold=10)
    searched = time.perf_counter()
    pairs = {tuple(sorted((one, other))) for one, others in found.items() for other in others}
    return {"hash": hashed - start, "search": searched - hashed, "pairs": sorted(pairs)}


def cleanvision(folder: str) -> dict[str, object]:
    """exact_duplicates and near_duplicates of Imagelab; its hashes and groups come in one call."""
    from cleanvision import Imagelab

    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        lab = Imagelab(data_path=folder)
        lab.find_issues({"exact_duplicates": {}, "near_duplicates": {}}, verbose=False)
    seconds = time.perf_counter() - start
    root = Path(folder).resolve()
    sets = lab.info["exact_duplicates"]["sets"] + lab.info["near_duplicates"]["sets"]
    named = [[Path(path).resolve().relative_to(root).as_posix() for path in group] for group in sets]
    pairs = {tuple(sorted(pair)) for group in named for pair in combinations(group, 2)}
    return {"hash": seconds, "search": 0.0, "pairs": sorted(pairs)}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(json.dumps({"imagededup": imagededup, "cleanvision": cleanvision}[sys.argv[1]](sys.argv[2])))
