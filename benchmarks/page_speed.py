"""How large the page of a report is, and how soon it can be used: measured in chromium.

    python benchmarks/page_speed.py --tiles 1000

Draws photographs (noise with the spectrum of natural pictures, 256 px), writes a run file with scores of
30 epochs, features and thumbnails, makes the report, and opens it from disk in headless chromium. Printed are
sizes and, as median of the repetitions in fresh browsers: first contentful paint, the moment from which the page
answers keys (its script has run), the longest task that blocks it, layout shift, and how long typical actions take.
Needs selenium, chromium and chromedriver.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

import curvaudit
from curvaudit import store
from curvaudit.pictures import images
from curvaudit.records import EpochRow, RunInfo, Samples, Thumbnails
from curvaudit.scores import build

SIDE, CLASSES, EPOCHS, DRAWN = 256, 20, 30, 400
WATCH = """
window.shift = 0; window.blocked = 0;
const watch = (type, see) => {
  new PerformanceObserver((list) => list.getEntries().forEach(see)).observe({ type, buffered: true });
};
watch("layout-shift", (entry) => { if (!entry.hadRecentInput) window.shift += entry.value; });
watch("longtask", (entry) => { window.blocked = Math.max(window.blocked, entry.duration); });
new MutationObserver(() => {
  if (document.documentElement?.dataset.ready && !window.usable) window.usable = performance.now();
}).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-ready"] });
"""
TIMES = """
const paint = performance.getEntriesByType("paint").find((entry) => entry.name === "first-contentful-paint");
return { "first content": paint.startTime, usable: window.usable, "longest task": window.blocked, shift: window.shift };
"""
ACTIONS = """
const took = {};
const time = (name, act) => {
  const from = performance.now();
  act();
  document.body.offsetHeight;
  took[name] = performance.now() - from;
};
const set = (id, value, kind) => {
  document.getElementById(id).value = value;
  document.getElementById(id).dispatchEvent(new Event(kind));
};
const press = (key) => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
time("search", () => set("by-id", "017", "input"));
time("clear", () => set("by-id", "", "input"));
time("sort", () => set("sort", "2", "change"));
document.getElementById("start").click();
time("decide", () => press("2"));
time("arrow down", () => press("ArrowDown"));
time("large view", () => press("Enter"));
return took;
"""


def photograph(chance: np.random.Generator) -> Image.Image:
    """Noise whose amplitude falls with frequency, as in photographs; about as many bytes as one."""
    total = np.zeros((SIDE, SIDE, 3), np.float32)
    for cells in (2, 4, 8, 16, 32, 64, 128):
        grid = chance.normal(128, 40, (cells, cells, 3)).clip(0, 255).astype(np.uint8)
        total += (
            np.asarray(Image.fromarray(grid).resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float32) / cells**0.4
        )
    total -= total.min()
    return Image.fromarray((255 * total / total.max()).astype(np.uint8))


def write_run(path: Path, count: int) -> None:
    """A run file as a scan of `count` photographs would leave it."""
    chance = np.random.default_rng(0)
    drawn = [photograph(chance) for _ in range(DRAWN)]
    small, large = [images.thumbnail(one) for one in drawn], [images.preview(one) or b"" for one in drawn]
    labels = chance.integers(0, CLASSES, count).astype(np.int32)
    samples = Samples(
        ids=tuple(f"class {label:02d}/photograph_{row:06d}.jpg" for row, label in enumerate(labels.tolist())),
        labels=labels,
        classes=tuple(f"class {number:02d}" for number in range(CLASSES)),
        content_hash=np.arange(count, dtype=np.uint64),
        phash=chance.integers(0, 2**63, count).astype(np.uint64),
        width=np.full(count, 500, np.uint16),
        height=np.full(count, 500, np.uint16),
        contrast=np.full(count, 0.2, np.float32),
    )
    every = np.arange(count)
    info = RunInfo("photographs", "0" * 32, {"epochs": EPOCHS}, {}, "curvaudit", "2026-01-01T00:00:00Z")
    store.create(path, info, samples, (), Thumbnails(every, tuple(small[row % DRAWN] for row in every)))
    scores = build()
    store.add_training(path, 0, 0.0, 0, {"epochs": EPOCHS, "plain_epochs": 20}, {one.name: one.info for one in scores})
    hard = chance.gamma(1.0, size=count)
    wrong = chance.random(count) < 0.03
    centres = chance.normal(size=(CLASSES, 64))
    for epoch in range(1, EPOCHS + 1):
        values = {one.name: (hard * chance.gamma(5.0, size=count)).astype(np.float32) for one in scores}
        right = ~wrong & (chance.random(count) < epoch / 10) | (epoch > 20)
        values["correct"] = right.astype(np.float32)
        values["prediction"] = np.where(right, labels, (labels + 1) % CLASSES).astype(np.float32)
        values["margin"] = np.where(wrong, -8, 4).astype(np.float32) + chance.normal(size=count).astype(np.float32)
        kept = centres[(labels + wrong) % CLASSES] + chance.normal(size=(count, 64)) if epoch == 10 else None
        row = EpochRow(epoch, 1 / epoch, float(right.mean()), np.nan, np.nan, 0.1, 1.0, values, kept)
        store.append_epoch(path, 0, row)
    store.finish_training(path, 0, True)
    shown = every[:2000]
    store.set_previews(path, Thumbnails(shown, tuple(large[row % DRAWN] for row in shown)))


def measure(page: Path, profile: Path) -> tuple[dict[str, float], dict[str, float]]:
    """Times of one fresh browser in ms, on opening and of actions."""
    options = webdriver.ChromeOptions()
    options.binary_location = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
    )
    flags = "--headless=new --no-sandbox --disable-gpu --no-first-run --window-size=1400,900"
    for flag in (*flags.split(), f"--user-data-dir={profile}"):
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
        browser.get(page.as_uri())
        time.sleep(1)
        return browser.execute_script(TIMES), browser.execute_script(ACTIONS)
    finally:
        browser.quit()


def median(rows: list[dict[str, float]]) -> str:
    """The middle of each column, in words."""
    middle = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    return ", ".join(
        f"{name} {value:.3f}" if name == "shift" else f"{name} {value:.0f} ms" for name, value in middle.items()
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--tiles", type=int, default=1000)
    arguments.add_argument("--pictures", type=int, default=5000)
    arguments.add_argument("--repeat", type=int, default=5)
    arguments.add_argument("--out", type=Path, help="keep the report here")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run.h5"
        write_run(run, given.pictures)
        begun = time.perf_counter()
        report = curvaudit.report(run, top=given.tiles)
        made = time.perf_counter()
        page = curvaudit.save(report, given.out or Path(folder) / "report")
        saved = time.perf_counter()
        text = page.read_text("utf-8")
        print(
            f"{given.tiles} tiles of {given.pictures} pictures; report {made - begun:.1f} s, files {saved - made:.1f} s"
        )
        pictures = sum(len(part.split(")")[0]) for part in text.split("base64,")[1:])
        print(f"page {len(text) / 1e6:.2f} MB, of it {text.count('base64,')} pictures {pictures / 1e6:.2f} MB")
        print(f"run file {run.stat().st_size / 1e6:.1f} MB")
        both = [measure(page.resolve(), Path(folder) / f"profile{number}") for number in range(given.repeat)]
    print(f"opening, median of {given.repeat}: {median([opening for opening, _ in both])}")
    print(f"actions: {median([actions for _, actions in both])}")


if __name__ == "__main__":
    sys.exit(main())
