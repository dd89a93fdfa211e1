"""What is kept of one epoch: every score of every sample, of the network as it stands after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..scores import ScoreSettings, build, dealing
from ..scores.interface import Before
from .work import Pixels, Work

if TYPE_CHECKING:
    import torch

    from ..scores import Score
    from ..scores.threads import Gate

_CALIBRATED = 256  # pictures at once, as in training mode they take several times the memory of measuring
_MOSTLY = 0.5  # share of the samples above the bound on the loss from which one pass for all is the cheaper one
_VALIDATION_ROWS = 1 << 40  # probes of validation samples must not repeat those of the training set


@dataclass(frozen=True)
class Measured:
    """What one epoch leaves."""

    values: Mapping[str, np.ndarray]  # score -> (N,) float32
    validation: Mapping[str, np.ndarray]  # score -> (M,) float32; empty without a second split
    features: np.ndarray | None  # (N, D), in one epoch of a training

    @property
    def correct(self) -> np.ndarray:
        """Classified as labelled, (N,) bool."""
        found: np.ndarray = self.values["correct"] > 0
        return found

    def mean(self, score: str) -> float | None:
        """Over all samples; None where it was not measured."""
        return mean_of(self.values[score]) if score in self.values else None

    def validation_mean(self, score: str) -> float:
        """NaN where it was not measured."""
        return mean_of(self.validation[score]) if score in self.validation else float("nan")


@dataclass
class Gradients:
    """What the epochs say in which gradients were measured, the same whether just measured or read again."""

    total: np.ndarray  # (N,) float64, of each sample over these epochs
    epochs: int = 0
    usual: float = float("nan")  # mean of the samples in the last of them
    above: float = 1.0  # share of the samples above the bound on the loss in the last of them
    ratio: float = float("nan")  # of curvature to gradient in the last of them

    def add(self, values: Mapping[str, np.ndarray]) -> None:
        """One more epoch, (N,) each: nothing where gradients were not measured, or are no numbers."""
        gradient = values.get("gradient")
        if gradient is not None and np.isfinite(gradient).all():
            self.total = self.total + gradient
            self.epochs += 1
            self.usual = mean_of(gradient)
            self.above = float(np.mean(gradient != 0))
            if dealing.NAME in values:
                self.ratio = dealing.ratio(values, self.ratio)

    @property
    def before(self) -> Before | None:
        """What the next epoch is told of them; None: there was none."""
        return Before(self.total, self.epochs, self.usual) if self.epochs else None


class Measuring:
    """Measures the epochs of one training, in their order."""

    def __init__(self, work: Work, seed: int) -> None:
        recipe = work.recipe
        self.work = work
        self.settings = ScoreSettings(
            probes=recipe.probes,
            probes_at_most=recipe.probes_at_most,
            step=work.settings.step,
            seed=seed,
            least_loss=recipe.curvature_least_loss,
        )
        self.scores = build(self.settings)
        self.gradients = Gradients(np.zeros(len(work.data.labels)))

    def _of_validation(self, full: bool) -> list[Score]:
        """Scores of which a mean is logged: of as many probes for each sample, for nothing is known of it before."""
        scores = build(replace(self.settings, probes_at_most=None))
        return [score for score in scores if score.name == "loss" or (full and score.name == "curvature")]

    @property
    def asks_before(self) -> bool:
        """Whether how an epoch is measured depends on the epochs before."""
        recipe = self.work.recipe
        return recipe.probes_at_most is not None or recipe.curvature_least_loss > 0

    def measure(self, model: torch.nn.Module, number: int, gate: Gate, on_done: Callable[[int], None]) -> Measured:
        """All that is kept of one epoch.

        Parameters
        ----------
        model:
            The caller's own; its normalization statistics are replaced.
        on_done:
            Called with the number of samples that are finished.
        """
        from ..scores.measure import bears_rounding, measure
        from ..training import features
        from ..training.batch_norm import calibrate
        from ..training.device import measuring_batch
        from ..training.measured import as_measured

        work = self.work
        batch_size = measuring_batch(work.data.pixels.shape[-1], work.width, work.device)
        calibrate(model, work.data.pixels, min(batch_size, _CALIBRATED), work.device, work.processes, gate=gate)
        network = as_measured(model, work.device, bf16=work.bf16, rounding=bears_rounding(self.scores))
        full = work.recipe.measures_curvature(number)
        scores = [score for score in self.scores if full or score.needs == "forward"]

        def measure_all(
            data: Pixels,
            scores: Sequence[Score],
            first_row: int,
            before: Before | None,
            say: Callable[[int], None] | None,
        ) -> dict[str, np.ndarray]:
            count = len(data.labels)
            rows = work.processes.batches(count, batch_size)
            mine = measure(
                network,
                data.pixels[rows],
                data.labels[rows],
                scores,
                epoch=number,
                batch_size=batch_size,
                device=work.device,
                first_row=first_row + rows.start,
                before=None if before is None else before.part(rows),
                mostly_above=self.gradients.above >= _MOSTLY,
                gate=gate,
                on_batch=say,
            )
            return work.processes.merged(mine, rows, count)

        said = self.gradients.before
        values = measure_all(work.data, scores, 0, said, lambda count: on_done(count * work.processes.size))
        if dealing.NAME in values:
            ratio = dealing.ratio(values, self.gradients.ratio)
            values["curvature"] = dealing.completed(values, ratio)
        second: dict[str, np.ndarray] = {}
        if work.validation is not None:
            second = measure_all(work.validation, self._of_validation(full), _VALIDATION_ROWS, None, None)
        kept = None
        if number == features.logged_in(work.recipe):
            count = len(work.data.labels)
            rows = work.processes.batches(count, batch_size)
            pixels = work.data.pixels[rows]
            part = features.features(network, pixels, batch_size=batch_size, device=work.device, gate=gate)
            kept = work.processes.merged({"features": part}, rows, count)["features"]  # (N, D)
        return Measured(values, second, kept)


def mean_of(values: np.ndarray) -> float:
    """Of (N,) float32, the same to the last bit whether they were just measured or read again."""
    return float(values.mean(dtype=np.float64))
