"""What a finding means and what to do about it, for readers who see a result without the documentation.

The words are those of docs/rules, first paragraph and "What to do"; a test holds both together.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Advice:
    """Markdown without links."""

    reason: str
    remedy: str


ADVICE = {
    "CA101": Advice(
        reason=(
            "At most one of the labels can be right, or the picture belongs to several classes at once. A "
            "network can only memorize one of them per picture, so such pairs cost accuracy whatever is trained "
            "on them."
        ),
        remedy=(
            "Look at the two side by side in the report's large view. Delete the copy under the wrong label; if "
            "both labels are true, decide what the class means, or leave the picture out."
        ),
    ),
    "CA102": Advice(
        reason=("The same photograph or drawing, after something was done to it, stands under several labels."),
        remedy=(
            "As for CA101. Look also for what made the copies: augmented pictures saved into the data set, or "
            "the same photograph collected twice."
        ),
    ),
    "CA111": Advice(
        reason=(
            "The labels agree, so nothing is wrong with either. But copies count twice in training, and if one "
            "of them moves to another split it is a leak (CA401)."
        ),
        remedy=(
            "Delete all but one, unless the repetition is meant (oversampling of a rare class). In the report's "
            "review decide `drop` for the copies and export with `curvaudit export --to csv-fixed`."
        ),
    ),
    "CA112": Advice(
        reason=("Recompressed, resized, brightened, mirrored, turned or slightly cropped copies under one label."),
        remedy=("Keep the best of each group. Before splitting a data set, keep each group within one split."),
    ),
    "CA201": Advice(
        reason=(
            "The network learned from all other pictures what such a picture is, and it is not what the label "
            "says. Only by memorizing this one picture did it come to agree."
        ),
        remedy=(
            "Look at it: the large view of the page shows its curvature and its prediction over the epochs. If "
            "the suggestion is right, decide *wrong label*; if the picture could be either, *ambiguous*."
        ),
    ),
    "CA202": Advice(
        reason=("The network had to bend around this picture alone, and no other class explains why."),
        remedy=(
            "Sort what you see: a wrong label that the network never contradicted, a picture that belongs to no "
            "class, or a good picture of a rare kind. Collect more of the last: the class is under-sampled "
            "there."
        ),
    ),
    "CA203": Advice(
        reason=(
            "The audit compares what it takes to memorize each picture. For these it did not come to an end, so "
            "their rank means less."
        ),
        remedy=(
            "* A few: look at them first. What resists to the end is often a wrong label, or near-identical to "
            "a picture under another label (CA102).\n"
            "* Many: the network is too small or the schedule too short. Scan again with more `--epochs` or a "
            "larger `--width` or `--resolution`; if the loss jumps, with a smaller `--lr`."
        ),
    ),
    "CA301": Advice(
        reason=("The file is in the data set, and was not audited. Nothing else that the report says covers it."),
        remedy=(
            "Fetch the file again, or delete it. Text files are often Git LFS pointers that were not replaced "
            "by their pictures; web pages are downloads that failed."
        ),
    ),
    "CA302": Advice(
        reason=("A picture that decodes and shows nothing."),
        remedy=(
            "Find out how it came about (a closed shutter, a failed export, a placeholder) and delete it: no "
            "label can be right."
        ),
    ),
    "CA401": Advice(
        reason=("A picture that is in the training set and in the test set makes the test result too good."),
        remedy=(
            "Take the picture out of one side, usually out of training, and evaluate again. Many leaks at once: "
            "the splits were drawn before copies were removed, or frames of one film went to both sides."
        ),
    ),
    "CA501": Advice(
        reason=("In a class of a few pictures each one is memorized on its own, so that ranks within it say nothing."),
        remedy=(
            "Collect more, merge the class with another one, or leave it out. An empty class is often a typing "
            "error in a folder's name, or a class all of whose files are unreadable (CA301)."
        ),
    ),
}
