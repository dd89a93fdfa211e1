"""A report with something of everything, made without training: for the tests of the page."""

import io
from functools import cache

import numpy as np
from PIL import Image

from curvaudit import findings
from curvaudit.derived.memorization import memorizable
from curvaudit.findings.interface import Evidence
from curvaudit.pictures import portraits
from curvaudit.records import (
    Caveat,
    MeasureInfo,
    Neighbours,
    Report,
    RunInfo,
    Samples,
    Skipped,
    TrainingCurves,
    TrainingInfo,
    Trajectories,
)

CLASSES = ("circle", "</script><b>square</b>", "=stripe", "dot")
EACH, EPOCHS, SIDE = 30, 6, 24
CONFLICT = (5, 35)  # the same picture as circle and as square
NEAR = (8, 68)  # near-identical, circle and stripe
WRONG = (3, 12, 40)  # labelled circle, circle, square; seen as stripe, square, circle
SEEN = (2, 1, 0)
HOSTILE = 7  # the row whose name is markup


@cache
def make_report(top: int = 40) -> Report:
    """120 pictures in four classes; curvature falls with the row, so rank = row + 1."""
    count = EACH * len(CLASSES)
    pixels = _pixels(count)
    names = [f"{'abcd'[row // EACH]}/{row:03d}.png" for row in range(count)]
    names[HOSTILE] = "a/<img src=x onerror=alert(1)>\"'.png"
    names[11] = "=HYPERLINK(1),\n.png"
    labels = np.repeat(np.arange(len(CLASSES), dtype=np.int32), EACH)
    images = [Image.fromarray(array) for array in pixels]
    looks = portraits.finished([portraits.sketch(image, every_thumbnail=False) for image in images])
    samples = Samples(
        ids=tuple(names),
        labels=labels,
        classes=CLASSES,
        content_hash=np.array([look.content for look in looks], np.uint64),
        phash=np.array([look.perceptual for look in looks], np.uint64),
        width=np.full(count, SIDE, np.uint16),
        height=np.full(count, SIDE, np.uint16),
        contrast=np.array([look.contrast for look in looks], np.float32),
    )
    order = np.arange(count)
    curvature = 2.0 ** -(np.arange(count) / 8)  # (N,)
    random = np.random.default_rng(1)
    scores = {"curvature": curvature, "loss": random.random(count), "margin": random.normal(size=count)}
    suggested = np.full(count, -1, np.int32)
    suggested[list(WRONG)] = SEEN
    training = _training()
    evidence = Evidence(
        samples=samples,
        skipped=(Skipped("a/broken.jpg", "empty file (0 bytes)"),),
        order=order,
        rank=order + 1,
        score=curvature,
        scores=scores,
        suggested=suggested,
        final_correct=np.ones(count, bool),
        memorizable=memorizable(samples),
        thumbnails=lambda rows: {int(row): _png(images[row]) for row in rows},
        training=training,
    )
    found = findings.find_all(evidence)
    over = np.linspace(2, 1, EPOCHS)[:, None]  # (E, 1)
    prediction = np.tile(labels, (EPOCHS, 1))
    prediction[:4] = np.where(suggested >= 0, suggested, labels)
    return Report(
        run=RunInfo("shapes", "0123abcd", {"seed": 0, "epochs": EPOCHS}, {}, "curvaudit 0", "2026-01-01T00:00:00Z"),
        run_path="shapes.h5",
        samples=samples,
        skipped=evidence.skipped,
        trainings=(training,),
        training=0,
        rank_by="curvature",
        top=top,
        scores=scores,
        order=order,
        rank=order + 1,
        suggested=suggested,
        mean_curvature=np.linspace(2, 1, EPOCHS),
        memorized_share=np.linspace(0.5, 1, EPOCHS),
        findings=found,
        caveats=(Caveat("warning", "Only <b>120</b> pictures."),),
        thumbnails={row: _png(image) for row, image in enumerate(images)},
        trajectories=Trajectories(
            rows=order,
            epochs=training.curves.number,
            curvature=(over * curvature).astype(np.float32),
            probed=np.arange(EPOCHS)[:, None] % 2 == order % 2,
            class_median=np.tile(over, (1, len(CLASSES))).astype(np.float32) / 10,
            prediction=prediction.astype(np.int32),
        ),
        spread=tuple(range(0, count, 5)),
        neighbours=_neighbours(count),
    )


def _neighbours(count: int) -> Neighbours:
    """The next eight rows around the circle; all looked for but the last ten."""
    rows = np.arange(count - 10)
    nearest = (rows[:, None] + np.arange(1, 9)) % count
    return Neighbours(rows, nearest, np.tile(np.linspace(0.9, 0.2, 8, dtype=np.float32), (len(rows), 1)), 4)


def _pixels(count: int) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    pixels = [random.integers(0, 256, (6, 6, 3)).astype(np.uint8).repeat(4, 0).repeat(4, 1) for _ in range(count)]
    pixels[CONFLICT[1]] = pixels[CONFLICT[0]]
    near = pixels[NEAR[0]].copy()
    near[0, :4] ^= 9
    pixels[NEAR[1]] = near
    return pixels


def _training() -> TrainingInfo:
    number = np.arange(1, EPOCHS + 1, dtype=np.int32)
    nothing = np.full(EPOCHS, np.nan)
    curves = TrainingCurves(number, 1 / number, number / EPOCHS, nothing, nothing, nothing, nothing)
    measures = {
        "curvature": MeasureInfo("(nat/pixel)^2", "", "high"),
        "loss": MeasureInfo("nat", "", "high"),
        "margin": MeasureInfo("", "", "low"),
    }
    return TrainingInfo(0, 0.0, 0, {}, True, True, curves, measures)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
