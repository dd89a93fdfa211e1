"""Whether everything was memorized, as CA203 counts it: with several seeds, by more than half of the trainings."""

from __future__ import annotations

from math import floor

import numpy as np

from ..records import Report


def all_memorized(report: Report) -> bool | None:
    """None where nothing was trained, or where the run is damaged so that nobody knows."""
    training = report.chosen_training
    if training is None:
        return None
    if report.stability is None:
        return training.memorized
    return None if np.isnan(report.stability.memorized) else report.stability.memorized == 1


def memorized_in_words(report: Report) -> str:
    """Yes, not yet or no, and how much; "" where nothing was trained."""
    training = report.chosen_training
    if training is None:
        return ""
    if not training.finished:
        return f"not yet: the scan stopped after {training.epochs} epochs"
    if report.stability is not None:
        share, when = report.stability.memorized, f"by more than half of {len(report.stability.seeds)} trainings"
    else:
        finite = report.memorized_share[np.isfinite(report.memorized_share)]
        share, when = float(finite[-1]) if len(finite) else np.nan, f"after {training.epochs} epochs"
    if all_memorized(report) is None:
        return "not known: the run file is damaged"
    if all_memorized(report):
        return f"yes: every picture that can be memorized is classified as labelled {when}"
    if np.isnan(share):
        return f"no: not everything is classified as labelled {when}"
    # Rounded down: 100.0 % would be a yes.
    return f"no: {floor(1000 * share) / 10:.1f} % of what can be memorized is classified as labelled {when}"
