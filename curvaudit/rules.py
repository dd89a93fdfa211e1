"""The stable rule ids and all that is said about each. Numbers never change meaning; new rules get new numbers.

`reason` and `remedy` are the words of docs/rules, first paragraph and "What to do"; a test holds both together.
"""

from __future__ import annotations

from .records import Report, Rule

RULES: dict[str, Rule] = {
    rule.id: rule
    for rule in (
        Rule(
            id="CA101",
            name="conflicting-duplicates",
            severity="error",
            meaning="the same picture under different labels",
            counted=("picture stands under different labels", "pictures stand under different labels"),
            next_step="Fix these first: decide which label is right, and drop the other copy.",
            reason=(
                "At most one of the labels can be right, or the picture belongs to several classes at once. A network"
                " can only memorize one of them per picture, so such pairs cost accuracy whatever is trained on them."
            ),
            remedy=(
                "Look at the two side by side in the report's large view. Delete the copy under the wrong label; if "
                "both labels are true, decide what the class means, or leave the picture out."
            ),
            conflict=True,
        ),
        Rule(
            id="CA102",
            name="conflicting-near-duplicates",
            severity="error",
            meaning="near-identical picture (verified on pixels), different labels",
            counted=("near-identical group has different labels", "near-identical groups have different labels"),
            next_step="Fix these first: decide which label is right, and drop the other copy.",
            reason="The same photograph or drawing, after something was done to it, stands under several labels.",
            remedy=(
                "As for CA101. Look also for what made the copies: augmented pictures saved into the data set, or the"
                " same photograph collected twice."
            ),
            conflict=True,
        ),
        Rule(
            id="CA111",
            name="duplicates",
            severity="note",
            meaning="the same picture, same label",
            reason=(
                "The labels agree, so nothing is wrong with either. But copies count twice in training, and if one of"
                " them moves to another split it is a leak (CA401)."
            ),
            remedy=(
                "Delete all but one, unless the repetition is meant (oversampling of a rare class). In the report's "
                "review decide `drop` for the copies and export with `curvaudit export --to csv-fixed`."
            ),
        ),
        Rule(
            id="CA112",
            name="near-duplicates",
            severity="note",
            meaning="near-identical, same label",
            reason="Recompressed, resized, brightened, mirrored, turned or slightly cropped copies under one label.",
            remedy="Keep the best of each group. Before splitting a data set, keep each group within one split.",
        ),
        Rule(
            id="CA201",
            name="likely-mislabelled",
            severity="warning",
            meaning="the model kept preferring another class, at least until it memorized",
            counted=("picture probably carries a wrong label", "pictures probably carry a wrong label"),
            next_step="Look at these first: each shows the label that the network kept seeing instead.",
            reason=(
                "The network learned from all other pictures what such a picture is, and it is not what the label "
                "says. Only by memorizing this one picture did it come to agree."
            ),
            remedy=(
                "Look at it: the large view of the page shows its curvature and its prediction over the epochs. If "
                "the suggestion is right, decide *wrong label*; if the picture could be either, *ambiguous*."
            ),
            needs="training",
            most_resisted_first=True,
        ),
        Rule(
            id="CA202",
            name="atypical",
            severity="note",
            meaning="memorized, no better label: long tail, ambiguous, several objects",
            reason="The network had to bend around this picture alone, and no other class explains why.",
            remedy=(
                "Sort what you see: a wrong label that the network never contradicted, a picture that belongs to no "
                "class, or a good picture of a rare kind. Collect more of the last: the class is under-sampled there."
            ),
            needs="training",
            most_resisted_first=True,
        ),
        Rule(
            id="CA203",
            name="not-memorized",
            severity="warning",
            meaning="still wrong at the end of training",
            counted=("picture was not memorized", "pictures were not memorized"),
            next_step="Look at these, then scan again with more epochs.",
            reason=(
                "The audit compares what it takes to memorize each picture. For these it did not come to an end, so "
                "their rank means less."
            ),
            remedy=(
                "* A few: look at them first. What resists to the end is often a wrong label, or near-identical to a "
                "picture under another label (CA102).\n"
                "* Many: the network is too small or the schedule too short. Scan again with more `--epochs` or a "
                "larger `--width` or `--resolution`; if the loss jumps, with a smaller `--lr`."
            ),
            needs="training",
        ),
        Rule(
            id="CA301",
            name="unreadable",
            severity="error",
            meaning="could not be opened or decoded, or was cut short",
            counted=("file could not be read", "files could not be read"),
            next_step="Restore or remove the unreadable files, then scan again.",
            reason="The file is in the data set, and was not audited. Nothing else that the report says covers it.",
            remedy=(
                "Fetch the file again, or delete it. Text files are often Git LFS pointers that were not replaced by "
                "their pictures; web pages are downloads that failed."
            ),
        ),
        Rule(
            id="CA302",
            name="degenerate",
            severity="warning",
            meaning="flat, 1×1 or otherwise without content",
            counted=("picture shows nothing", "pictures show nothing"),
            next_step="Look at these and remove what does not belong.",
            reason="A picture that decodes and shows nothing.",
            remedy=(
                "Find out how it came about (a closed shutter, a failed export, a placeholder) and delete it: no "
                "label can be right."
            ),
        ),
        Rule(
            id="CA401",
            name="split-leak",
            severity="error",
            meaning="the same or near-identical picture in another split",
            counted=("picture leaks from another split", "pictures leak from another split"),
            next_step="Remove the copies from one of the splits: they make test results too good.",
            reason="A picture that is in the training set and in the test set makes the test result too good.",
            remedy=(
                "Take the picture out of one side, usually out of training, and evaluate again. Many leaks at once: "
                "the splits were drawn before copies were removed, or frames of one film went to both sides."
            ),
            needs="comparison",
        ),
        Rule(
            id="CA501",
            name="class-size",
            severity="warning",
            meaning="a class too small or too unbalanced to audit",
            counted=("class is too small to audit", "classes are too small to audit"),
            next_step="Add pictures to these classes, or read their ranks with care.",
            reason=(
                "In a class of a few pictures each one is memorized on its own, so that ranks within it say nothing."
            ),
            remedy=(
                "Collect more, merge the class with another one, or leave it out. An empty class is often a typing "
                "error in a folder's name, or a class all of whose files are unreadable (CA301)."
            ),
        ),
    )
}

NEEDS_TRAINING = frozenset(rule.id for rule in RULES.values() if rule.needs == "training")
NEEDS_COMPARISON = frozenset(rule.id for rule in RULES.values() if rule.needs == "comparison")
CONFLICTS = tuple(rule.id for rule in RULES.values() if rule.conflict)
# What to look at first; notes last. A rule that is not named here comes behind them.
_FIRST = ("CA101", "CA102", "CA401", "CA201", "CA203", "CA301", "CA302", "CA501", "CA202", "CA111", "CA112")
ORDER = (*_FIRST, *(id for id in RULES if id not in _FIRST))


def unanswered(report: Report) -> frozenset[str]:
    """Rules that a report cannot answer: where they stand among what was checked, silence would read as "clean"."""
    untrained = frozenset() if report.trainings else NEEDS_TRAINING
    uncompared = frozenset() if report.compared_with else NEEDS_COMPARISON
    return untrained | uncompared | frozenset().union(*(caveat.unanswered for caveat in report.caveats))
