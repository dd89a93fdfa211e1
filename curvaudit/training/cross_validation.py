"""Probabilities from networks that have not seen the sample."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import torch
from sklearn.model_selection import StratifiedKFold
from torch import Tensor

from ..errors import CurvauditError
from ..scores.measure import as_images
from .batch_norm import calibrate
from .device import placed
from .loop import build_optimizer, train
from .model import build_model, pixel_statistics
from .recipe import Recipe

_BATCH = 256


def check_folds(labels: np.ndarray, folds: int) -> None:
    """Raises CurvauditError where no class of `labels` (N,) has as many samples as there are folds."""
    largest = int(np.bincount(labels).max())
    if folds > largest:
        raise CurvauditError(
            f"--folds {folds}: no class has that many pictures, the largest has {largest}.",
            "Give fewer folds, or leave Confident Learning out with --no-baselines.",
        )


def cross_validate(
    pixels: Tensor,
    labels: np.ndarray,
    recipe: Recipe,
    *,
    folds: int,
    classes: int,
    width: int,
    weight_decay: float,
    seed: int,
    device: torch.device,
    bf16: bool,
    on_fold: Callable[[int], None],
    on_epoch: Callable[[], None],
) -> np.ndarray:
    """Class probabilities of every sample by a network trained on the other folds.

    Each training runs the schedule of `recipe` to its planned end. It is not extended until all is
    memorized: what a network has still to memorize does not help it judge samples it has not seen.

    Parameters
    ----------
    pixels:
        (N, C, H, W) uint8.
    labels:
        (N,) class indices; folds are stratified by them.
    on_fold, on_epoch:
        Called with the number of a fold, from 1, before it is trained; and after each epoch.

    Returns
    -------
    (N, K) float32, rows sum to 1.

    Raises
    ------
    CurvauditError
        More folds than the largest class has samples, or a training diverged.
    """
    check_folds(labels, folds)
    pixels = placed(pixels, device)
    probabilities = np.zeros((len(labels), classes), np.float32)
    splits = StratifiedKFold(folds, shuffle=True, random_state=seed % 2**32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # classes smaller than the number of folds
        parts = list(splits.split(np.zeros(len(labels)), labels))
    targets = torch.from_numpy(np.asarray(labels, np.int64))
    for number, (seen, held_out) in enumerate(parts, 1):
        on_fold(number)
        known = pixels[torch.from_numpy(seen)]
        mean, std = pixel_statistics(known)
        model = build_model(
            classes=classes,
            channels=pixels.shape[1],
            resolution=pixels.shape[-1],
            width=width,
            mean=mean,
            std=std,
            seed=seed,
        ).to(device)
        optimizer = build_optimizer(model, recipe, weight_decay)
        for epoch in train(
            model,
            optimizer,
            known,
            targets[torch.from_numpy(seen)],
            recipe,
            seed=seed,
            first_epoch=1,
            device=device,
            bf16=bf16,
        ):
            if not np.isfinite(epoch.train_loss):
                raise CurvauditError(
                    f"Training of fold {number} diverged in epoch {epoch.number}: the loss is {epoch.train_loss}.",
                    "Try a smaller --lr, or leave Confident Learning out with --no-baselines.",
                )
            on_epoch()
            if epoch.number >= recipe.epochs:
                break
        calibrate(model, known, _BATCH, device)
        probabilities[held_out] = _predict(model, pixels, held_out, device)
    return probabilities


@torch.no_grad()
def _predict(model: torch.nn.Module, pixels: Tensor, rows: np.ndarray, device: torch.device) -> np.ndarray:
    found = []
    for start in range(0, len(rows), _BATCH):
        chosen = torch.from_numpy(rows[start : start + _BATCH])
        found.append(model(as_images(pixels[chosen], device)).float().softmax(dim=1).cpu().numpy())  # (B, K)
    return np.concatenate(found)
