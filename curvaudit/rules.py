"""The stable rule ids. Numbers never change meaning; new rules get new numbers."""

from __future__ import annotations

from .records import Rule

RULES: dict[str, Rule] = {
    rule.id: rule
    for rule in (
        Rule("CA101", "conflicting-duplicates", "error", "the same picture under different labels"),
        Rule(
            "CA102",
            "conflicting-near-duplicates",
            "error",
            "near-identical picture (verified on pixels), different labels",
        ),
        Rule("CA111", "duplicates", "note", "the same picture, same label"),
        Rule("CA112", "near-duplicates", "note", "near-identical, same label"),
        Rule(
            "CA201",
            "likely-mislabelled",
            "warning",
            "memorized, and the model kept preferring another class before it memorized",
        ),
        Rule("CA202", "atypical", "note", "memorized, no better label: long tail, ambiguous, several objects"),
        Rule("CA203", "not-memorized", "warning", "still wrong at the end of training"),
        Rule("CA301", "unreadable", "error", "could not be opened or decoded, or was cut short"),
        Rule("CA302", "degenerate", "warning", "flat, 1×1 or otherwise without content"),
        Rule("CA401", "split-leak", "error", "the same or near-identical picture in another split"),
        Rule("CA501", "class-size", "warning", "a class too small or too unbalanced to audit"),
    )
}

# Rules that only a training can decide.
NEEDS_TRAINING = frozenset({"CA201", "CA202", "CA203"})
# Rules that need another split or data set to compare with.
NEEDS_COMPARISON = frozenset({"CA401"})
