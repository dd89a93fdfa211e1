"""The training that gives a report its ranking."""

from __future__ import annotations

from ..records import Report, TrainingInfo


def chosen_training(report: Report) -> TrainingInfo | None:
    """None for a report without any training, such as one on duplicates only."""
    return next((training for training in report.trainings if training.index == report.training), None)
