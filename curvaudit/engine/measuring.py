"""What is kept of one epoch: every score of every sample, of the network as it stands after it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..scores import ScoreSettings, build
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

    means: list[float] = field(default_factory=list)  # over all samples, one for each of these epochs
    above: float = 1.0  # share of the samples above the bound on the loss in the last of them

    @classmethod
    def of(cls, logged: Iterable[np.ndarray]) -> Gradients:
        """Of the epochs of a run file, (N,) each."""
        found = cls()
        for gradient in logged:
            found.add(gradient)
        return found

    def add(self, gradient: np.ndarray) -> None:
        """One more epoch, (N,): nothing where it was not measured, or is not a number, which says nothing of a mean."""
        if np.isfinite(gradient).all():
            self.means.append(mean_of(gradient))
            self.above = float(np.mean(gradient != 0))

    @property
    def usual(self) -> float | None:
        """None before the first of these epochs."""
        return float(np.mean(self.means)) if self.means else None


class Measuring:
    """Measures the epochs of one training, in their order."""

    def __init__(self, work: Work, seed: int) -> None:
        recipe = work.recipe
        self.work = work
        self.scores = build(
            ScoreSettings(
                probes=recipe.probes,
                most_probes=recipe.most_probes,
                step=work.settings.step,
                seed=seed,
                least_loss=recipe.curvature_least_loss,
            )
        )
        self.gradients = Gradients()

    @property
    def asks_before(self) -> bool:
        """Whether how an epoch is measured depends on the epochs before."""
        recipe = self.work.recipe
        return recipe.most_probes is not None or recipe.curvature_least_loss > 0

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
            data: Pixels, scores: Sequence[Score], first_row: int, say: Callable[[int], None] | None
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
                usual_gradient=self.gradients.usual,
                mostly_above=self.gradients.above >= _MOSTLY,
                gate=gate,
                on_batch=say,
            )
            return work.processes.merged(mine, rows, count)

        values = measure_all(work.data, scores, 0, lambda count: on_done(count * work.processes.size))
        second: dict[str, np.ndarray] = {}
        if work.validation is not None:
            both = [score for score in scores if score.name in ("loss", "curvature")]
            second = measure_all(work.validation, both, _VALIDATION_ROWS, None)
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
