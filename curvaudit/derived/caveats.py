"""What a reader must know before trusting the ranking of a report."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import store
from ..records import Caveat, Stability, TrainingInfo
from ..scores.consensus import NAME as CONSENSUS
from ..scores.consensus import PARTS

SMALLEST_SET = 500
# Of the pictures predicted as labelled while labels are judged; docs/evidence.md has what is found on either side.
KNOWS = 2 / 3
# Below these, two seeds tell different stories. For orientation: two rankings that have nothing to do
# with each other share as much of the top as it is of the whole set, and correlate at 0.
AGREE_SPEARMAN = 0.6
AGREE_OVERLAP = 0.5


def of_seeds(stable: Stability, samples: int) -> Caveat:
    """Whether the seeds that rank together agree."""
    # Not `<`: where all samples are alike to a seed, the correlation is no number.
    strong = not (stable.spearman >= AGREE_SPEARMAN and stable.overlap >= AGREE_OVERLAP)
    figures = f"rank correlation (Spearman) {stable.spearman:.2f}"
    if 0 < stable.top < samples:  # all have all in common
        figures += f", {stable.overlap:.0%} of the top {stable.top} in common"
    if not strong:
        return Caveat("note", f"Ranks are the mean of {len(stable.seeds)} seeds, which agree: {figures}.")
    return Caveat(
        "warning",
        f"The {len(stable.seeds)} seeds disagree strongly: {figures}. Trust the mean ranking of this "
        "report more than any single one, and a single rank only within rank_best to rank_worst.",
    )


def of_unscored(found: Mapping[str, np.ndarray], rank_by: str) -> tuple[Caveat, ...]:
    """Samples that cannot be ranked must not look harmless, wherever the ranking has put them.

    Parameters
    ----------
    found:
        Score -> (N,).
    """
    # `consensus` is a number always: it puts first what is none in a score that it is made of.
    parts = PARTS if rank_by == CONSENSUS else (rank_by,)
    held = [name for name in parts if name in found] or [rank_by]  # seeds may hold different ones
    values = np.stack([found[name] for name in held])
    count = int((~np.isfinite(values)).any(axis=0).sum())
    if not count:
        return ()
    pictures = "1 picture" if count == 1 else f"{count} pictures"
    message = f"{pictures} of {values.shape[1]}: {rank_by} is no finite number, so that the rank means nothing."
    return (Caveat("error", message, "unscored"),)


def of_equal(values: np.ndarray, rank_by: str, order: np.ndarray, top: int) -> tuple[Caveat, ...]:
    """A ranking that for the most part is that of the loss: equal scores are in its order, see `ordering`.

    A warning where they are among those that are looked at first.

    Parameters
    ----------
    values:
        (N,), the score that ranks.
    order:
        (N,) rows, from the most suspicious down; the first `top` are looked at.
    """
    found, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    if len(found) == 0 or 2 * (count := int(counts.max())) <= counts.sum():
        return ()
    commonest = found[counts.argmax()]
    message = f"{count} of {counts.sum()} pictures have the same {rank_by} ({commonest:.3g}): the order among them is "
    message += "that of the loss. Rank by another score (`--rank-by loss`)"
    if rank_by == "curvature":
        message += ", or scan again with fewer --epochs or --curvature-every 1: of what was learned before the first "
        message += "measurement it is 0"
    return (Caveat("warning" if (values[order[:top]] == commonest).any() else "note", f"{message}."),)


def of_deep_grey(described: Any) -> tuple[Caveat, ...]:
    """Pictures of which the scale that all share leaves hardly anything.

    Parameters
    ----------
    described:
        `config.deep_grey` of a run; None where all pictures have 8 bits, and in runs of earlier versions.
    """
    if not isinstance(described, Mapping) or not (described.get("narrow") or described.get("apart")):
        return ()
    ranges = (described.get(name) for name in ("integers", "floats"))
    spans = " and ".join(f"{low:,g} to {high:,g}" for low, high in (span for span in ranges if span))
    of = f"of {described['pictures']} pictures in grey of more than 8 bits"
    found = []
    if described.get("narrow"):
        message = (
            f"{described['narrow']} {of} use no more than a sixteenth of the range by which all are scaled ({spans}), "
            "and look nearly flat. If they should not, bring all pictures to one range, or make 8-bit ones."
        )
        found.append(Caveat("warning", message))
    if described.get("apart"):
        message = (
            f"{described['apart']} {of} go far beyond the range of the others ({spans}): each of them was scaled by "
            "itself, and its brightness cannot be compared. A single bright or broken pixel is enough for that."
        )
        found.append(Caveat("warning", message))
    return tuple(found)


def of_unjudged(chosen: TrainingInfo) -> tuple[Caveat, ...]:
    """Why there was no epoch that could judge labels."""
    if missing := sorted({"prediction", "margin"} - chosen.measures.keys()):
        why = f"the run does not hold {' and '.join(missing)}."
    elif not chosen.finished:
        why = "the scan was interrupted before any epoch could."
    else:
        why = "no epoch lies between the warm-up and memorization. Scan again with more --epochs or a smaller --lr."
    return (
        Caveat(
            "warning",
            f"Labels were not judged, CA201 was not checked: {why}",
            "unjudged",
            unanswered=frozenset({"CA201"}),
        ),
    )


def of_unsure(right: float, found: bool) -> tuple[Caveat, ...]:
    """A network that knew too little when it judged labels: without a word, few findings would look like few errors.

    Parameters
    ----------
    right:
        Share of the samples that it predicted as labelled then; NaN where it judged none.
    found:
        Whether it doubted any label all the same; if not, the rule is no clean one.
    """
    if not right < KNOWS:
        return ()
    message = (
        f"While labels were judged (CA201) the network was right on {right:.0%} of the pictures only. It misses most "
        "wrong labels of such a set, and part of what it names are its own mistakes. Look through the highest by "
        "`--rank-by consensus`, too; more pictures of each class help."
    )
    return (Caveat("warning", message, unanswered=frozenset() if found else frozenset({"CA201"})),)


def of_scan(name: str, run: store.Run, chosen: TrainingInfo, alone: bool) -> tuple[Caveat, ...]:
    """A scan that has not come to its end.

    Parameters
    ----------
    name:
        Of the run file, as it may be told.
    alone:
        Whether `chosen` was asked for, so that nobody misses the other trainings.
    """
    if not chosen.finished:
        message = f"The scan was interrupted after {chosen.epochs} finished epochs: the ranking is provisional."
        unanswered = frozenset({"CA203"})
    elif run.missing and not alone:
        finished = sum(training.finished for training in run.trainings)
        message = f"The scan was interrupted: of {finished + run.missing} trainings {finished} "
        message += f"{'is' if finished == 1 else 'are'} finished, and the others do not rank with "
        message += f"{'it' if finished == 1 else 'them'} yet."
        unanswered = frozenset()
    else:
        return ()
    return (Caveat("warning", f"{message} {how_to_continue(name)}", "unfinished", unanswered),)


def of_training(chosen: TrainingInfo, last: np.ndarray, can: np.ndarray, count: int = 1) -> tuple[Caveat, ...]:
    """What was not memorized, and too few pictures.

    Parameters
    ----------
    last, can:
        (N,) bool: classified as labelled in the last epoch, by more than half of the trainings; can be memorized.
    count:
        Of the trainings that rank together, of which `chosen` is one.
    """
    caveats = []
    left = int((~last & can).sum())
    if chosen.finished and left:
        by = f" by at least half of {count} trainings" if count > 1 else ""
        of = f"{len(last)} samples" if can.all() else f"the {int(can.sum())} samples that can be memorized"
        caveats.append(
            Caveat(
                "warning",
                f"Training ended before everything was memorized: {left} of {of} {'is' if left == 1 else 'are'} still "
                f"classified wrongly{by} (CA203). Their rank means less; scan again with more --epochs.",
            )
        )
    if len(last) < SMALLEST_SET:
        caveats.append(
            Caveat(
                "warning",
                f"{len(last)} pictures are few: below about {SMALLEST_SET} a rank depends much on chance. "
                "Duplicates and unreadable files are found all the same.",
            )
        )
    return tuple(caveats)


def how_to_continue(run: Path | str) -> str:
    """What to do about a run that was interrupted."""
    command = f"curvaudit scan SOURCE --resume -o {shlex.quote(str(run))}"
    return f"Continue it with `{command}`, with the settings of the first start."
