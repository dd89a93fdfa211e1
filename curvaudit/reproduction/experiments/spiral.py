"""Figure 7, appendix A: two spirals in the plane, few of their points moved, a network that fits them all."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ...engine.settings import require_seeds
from ...records import Advanced, PhaseStarted
from .. import plots
from ..result import Figure, Outcome, Table
from .interface import Experiment, Settings

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

# Appendix A.
LAYERS = (2, 100, 100, 500, 200, 100, 1000)
EPOCHS = 150
RATE, MOMENTUM, DECAY = 0.1, 0.9, 5e-4
TRAIN, TEST = 15, 100  # points a class
MOVED, NOISE = 0.3, 0.3  # share of the training points that are moved; largest step along each axis, radii
# The paper names h and n for pictures in [0, 1]; these points lie in [-1, 1].
STEP, PROBES = 1e-3, 10
SNAPSHOTS = (1, 5, 10, 20, 40, 80, 150)
_GRID = 120  # points a side of a decision map
_TURNS = 1.75  # half turns of the TensorFlow playground's spiral
_ROOM = 1.25  # of the maps, radii


@dataclass(frozen=True)
class Trace:
    """One training. E epochs, M training points, S snapshots."""

    train: np.ndarray  # (M, 2)
    labels: np.ndarray  # (M,)
    moved: np.ndarray  # (M,) bool
    test: np.ndarray  # (T, 2)
    test_labels: np.ndarray  # (T,)
    loss: np.ndarray  # (E,)
    test_loss: np.ndarray  # (E,)
    curvature: np.ndarray  # (E,) mean over the training points
    accuracy: np.ndarray  # (E,)
    gap: np.ndarray  # (E,) mean distance of a training point's two logits
    shots: tuple[int, ...]  # epochs
    logits: np.ndarray  # (S, M, 2)
    maps: np.ndarray  # (S, grid, grid) probability of class 1

    @property
    def memorized(self) -> int:
        """First epoch from which on every point is on its right side; E if never."""
        wrong = np.flatnonzero(self.accuracy < 1)
        return int(wrong[-1]) + 2 if len(wrong) else 1

    @property
    def peak(self) -> int:
        """Epoch of the highest curvature of the smoothed curve."""
        return int(np.argmax(smoothed(self.curvature))) + 1


def spirals(each: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """`each` points on either arm, (2 each, 2) in the unit disc, and their classes (2 each,)."""
    share = (np.arange(each) + random.random(each)) / each  # spread along the arm
    points = []
    for arm in (0, 1):
        angle = _TURNS * share * 2 * np.pi + arm * np.pi
        points.append(np.stack([share * np.sin(angle), share * np.cos(angle)], axis=1))
    return np.concatenate(points).astype(np.float32), np.repeat([0, 1], each)


def smoothed(values: np.ndarray) -> np.ndarray:
    """Running mean over five epochs, (E,), shorter at the ends."""
    kernel = np.ones(min(5, len(values)))
    return np.convolve(values, kernel, "same") / np.convolve(np.ones(len(values)), kernel, "same")


def trace(seed: int, epochs: int = EPOCHS, shots: tuple[int, ...] = SNAPSHOTS) -> Trace:
    """Train once, with every number of appendix A, and measure each epoch with the package's own scores."""
    import torch
    import torch.nn.functional as F

    from ...scores import ScoreSettings, build
    from ...scores.measure import measure

    random = np.random.default_rng([seed, 7])
    points, labels = spirals(TRAIN, random)
    moved = np.zeros(len(points), bool)
    moved[random.choice(len(points), round(MOVED * len(points)), replace=False)] = True
    points[moved] += random.uniform(-NOISE, NOISE, (int(moved.sum()), 2)).astype(np.float32)
    test, test_labels = spirals(TEST, random)
    x, y = torch.from_numpy(points), torch.from_numpy(labels)
    tx, ty = torch.from_numpy(test), torch.from_numpy(test_labels)
    line = np.linspace(-_ROOM, _ROOM, _GRID, dtype=np.float32)
    grid = torch.from_numpy(np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2))  # (grid², 2)
    cpu = torch.device("cpu")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _network()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM, weight_decay=DECAY)
    settings = ScoreSettings(probes=PROBES, step=STEP, seed=seed)
    scores = [score for score in build(settings) if score.name in ("loss", "curvature", "correct")]
    curves: dict[str, list[float]] = {name: [] for name in ("loss", "test", "curvature", "correct", "gap")}
    logits, maps = [], []
    for epoch in range(1, epochs + 1):
        model.train()
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(F.cross_entropy(model(x), y))  # one batch an epoch
        optimizer.step()
        _settle(model, x)
        found = measure(model, x, y, scores, epoch=epoch, batch_size=len(x), device=cpu)
        model.eval()
        with torch.no_grad():
            out = model(x)  # (M, 2)
            curves["test"].append(float(F.cross_entropy(model(tx), ty)))
            if epoch in shots:
                logits.append(out.numpy())
                maps.append(model(grid).softmax(1)[:, 1].reshape(_GRID, _GRID).numpy())
        for name in ("loss", "curvature", "correct"):
            curves[name].append(float(found[name].mean(dtype=np.float64)))
        curves["gap"].append(float((out[:, 0] - out[:, 1]).abs().mean()))
    return Trace(
        train=points, labels=labels, moved=moved, test=test, test_labels=test_labels,
        loss=np.array(curves["loss"]), test_loss=np.array(curves["test"]), curvature=np.array(curves["curvature"]),
        accuracy=np.array(curves["correct"]), gap=np.array(curves["gap"]),
        shots=tuple(shot for shot in shots if shot <= epochs), logits=np.array(logits), maps=np.array(maps),
    )  # fmt: skip


def _network() -> nn.Sequential:
    """Seven linear layers, the last one to the two logits; batch normalization and ReLU after each but that."""
    from torch import nn

    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(LAYERS):
        layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(LAYERS[-1], 2))


def _settle(model: nn.Sequential, x: Tensor) -> None:
    """Batch-normalization statistics of the network as it stands: with one batch an epoch running averages
    trail far behind, and the network in eval mode would be another one than the network just trained."""
    import torch
    from torch import nn

    layers: list[torch.nn.BatchNorm1d] = [layer for layer in model if isinstance(layer, nn.BatchNorm1d)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
    model.train()
    with torch.no_grad():
        model(x)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum


def run(settings: Settings) -> Outcome:
    """Several seeds; the first one that memorized all points is drawn."""
    repeats = settings.seeds or (5 if settings.small else 20)
    require_seeds(settings.seed, repeats)
    epochs = settings.epochs or EPOCHS
    settings.on_event(PhaseStarted("spiral", repeats, "trainings"))
    traces = []
    for seed in range(settings.seed, settings.seed + repeats):
        traces.append(trace(seed, epochs))
        settings.on_event(Advanced(1))
    shown = next((number for number, t in enumerate(traces) if t.accuracy[-1] == 1), 0)
    drawn = traces[shown]
    falls = sum(t.peak < len(t.loss) and smoothed(t.curvature)[-1] < smoothed(t.curvature).max() / 2 for t in traces)
    rises = sum(smoothed(t.curvature).max() > 2 * t.curvature[0] for t in traces)
    done = [t for t in traces if t.accuracy[-1] == 1]
    sentences = [
        f"Curvature rises from the first epoch to its peak to more than twice its value in {rises} of {repeats} "
        f"trainings, and has fallen to less than half of its peak at the end in {falls} of {repeats}.",
        f"All {2 * TRAIN} points are on their right side at the end in {len(done)} of {repeats} trainings.",
    ]
    if done:
        sentences.append(
            f"There the peak comes {np.median([t.peak - t.memorized for t in done]):+.0f} epochs (median) from the "
            "epoch of that, and the distance of the two logits still grows "
            f"{np.median([t.gap[-1] / t.gap[t.memorized - 1] for t in done]):.1f} times afterwards."
        )
    rows = tuple(
        (
            f"seed {settings.seed + number}", t.memorized if t.accuracy[-1] == 1 else None, t.peak,
            float(t.curvature[0]), float(smoothed(t.curvature).max()), float(t.curvature[-5:].mean()),
            float(t.loss[-1]), float(t.test_loss[-1]),
        )
        for number, t in enumerate(traces)
    )  # fmt: skip
    summary = Table(
        "spiral",
        "Each training",
        ("", "all points right from epoch", "epoch of the highest curvature", "curvature, epoch 1", "highest",
         "mean of the last 5 epochs", "training loss at the end", "test loss at the end"),
        rows,
        "Curvature by equation 6, mean over the 30 training points; peak and highest of its running mean over 5 "
        "epochs. The paper gives no numbers for this figure, only its course.",
    )  # fmt: skip
    per_epoch = Table(
        "spiral-epochs",
        f"Every epoch, seed {settings.seed + shown}",
        ("epoch", "training loss", "test loss", "curvature", "share of points right", "distance of the logits"),
        tuple(
            (number, *map(float, values))
            for number, values in enumerate(
                zip(drawn.loss, drawn.test_loss, drawn.curvature, drawn.accuracy, drawn.gap, strict=True), 1
            )
        ),
        long=True,
    )
    caveats = (
        'The paper\'s "noise ratio of 0.3 introduced to 30 % of the data" is read as: 30 % of the training points are '
        "moved by up to 0.3 radii along each axis, uniformly. h = 0.001 and n = 10 as for pictures.",
        "Before each measurement the statistics of batch normalization are computed anew from all points; the paper "
        "does not say what it did.",
    )
    figures = (_curves(drawn, settings.seed + shown), _panel(drawn, settings.seed + shown))
    return Outcome(tuple(sentences), (summary, per_epoch), figures, caveats)


def _curves(t: Trace, seed: int) -> Figure:
    figure, axes = plots.canvas(1, 4, 12.5, 3.1)
    for spot, points, labels, title in (
        (axes[0, 0], t.train, t.labels, "training points (circled: moved)"),
        (axes[0, 1], t.test, t.test_labels, "test points"),
    ):
        _points(spot, points, labels)
        spot.set_title(title, fontsize=9)
    axes[0, 0].scatter(*t.train[t.moved].T, s=60, facecolors="none", edgecolors="black", linewidths=0.8)
    epochs = np.arange(1, len(t.loss) + 1)
    plots.curves(
        axes[0, 2],
        [plots.Line("training", epochs, t.loss), plots.Line("test", epochs, t.test_loss)],
        "epoch", "loss, nat", log=True,
    )  # fmt: skip
    plots.curves(
        axes[0, 3],
        [plots.Line("each epoch", epochs, t.curvature, colour="#b9c7e2"),
         plots.Line("mean of 5", epochs, smoothed(t.curvature), colour=plots.BLUE)],
        "epoch", "curvature (equation 6)",
    )  # fmt: skip
    for spot in axes[0, 2:] if t.accuracy[-1] == 1 else ():
        spot.axvline(t.memorized, color=plots.GREY, linestyle=":", linewidth=1.2)
    return Figure(
        "spiral-curves",
        f"Figure 7, top: data, loss, and curvature of the training points (seed {seed}). The dotted line is the epoch "
        "from which on every training point is on its right side.",
        f"Curvature is {t.curvature[0]:.3g} in epoch 1, {smoothed(t.curvature).max():.3g} at its peak in epoch "
        f"{t.peak} and {t.curvature[-1]:.3g} in epoch {len(t.loss)}.",
        figure,
    )


def _panel(t: Trace, seed: int) -> Figure:
    figure, axes = plots.canvas(2, len(t.shots), 1.9 * len(t.shots), 4.2)
    for place, shot in enumerate(t.shots):
        top, bottom = axes[:, place]
        _points(top, t.logits[place], t.labels, equal=False)
        low, high = t.logits[place].min(), t.logits[place].max()
        room = 0.08 * (high - low)
        ends = (low - room, high + room)
        top.plot(ends, ends, color=plots.GREY, linewidth=0.8)
        top.set_xlim(ends)
        top.set_ylim(ends)
        top.set_title(f"epoch {shot}", fontsize=9)
        bottom.imshow(
            t.maps[place], origin="lower", extent=(-_ROOM, _ROOM, -_ROOM, _ROOM), cmap="RdBu_r", vmin=0, vmax=1,
            interpolation="bilinear",
        )  # fmt: skip
        _points(bottom, t.train, t.labels, edge="white")
    axes[0, 0].set_ylabel("logit of class 1")
    axes[0, 0].set_xlabel("logit of class 0")
    axes[1, 0].set_ylabel("the plane")
    return Figure(
        "spiral-panel",
        f"Figure 7, bottom: the two logits of each training point, and the probability of the red class over the plane "
        f"(seed {seed}).",
        "One column an epoch, from the first to the last.",
        figure,
    )


def _points(spot, points: np.ndarray, labels: np.ndarray, equal: bool = True, edge: str = "none") -> None:  # type: ignore[no-untyped-def]
    for label, colour in ((0, plots.BLUE), (1, plots.RED)):
        spot.scatter(*points[labels == label].T, s=14, color=colour, edgecolors=edge, linewidths=0.5)
    if equal:
        spot.set_aspect("equal")
        spot.set_xlim(-_ROOM, _ROOM)
        spot.set_ylim(-_ROOM, _ROOM)
    spot.tick_params(labelsize=7)


EXPERIMENT = Experiment(
    name="spiral",
    title="Two spirals: curvature rises, then falls after memorization",
    paper="Figure 7 and appendix A: on 30 points of two spirals, some of them moved, the curvature around the training "
    "points grows until all are on their right side, and falls while the logits move further apart.",
    takes=frozenset({"seeds", "epochs"}),
    run=run,
)
