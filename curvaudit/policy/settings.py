"""From the names and values that people write to a `Policy`. TOML and flags mean the same.

A setting that does not exist is an error: a policy with a typing error would pass for ever.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import SequenceMatcher, get_close_matches
from fractions import Fraction
from typing import Any, cast, get_args

from ..errors import CurvauditError
from ..records import Severity, Unchecked
from ..rules import RULES
from .definition import Allowance, FailOn, Ignored, Level, Policy, RulePolicy

ALL = "all"  # in place of a rule: what holds for every rule
_LEVELS = get_args(Level)
_SEVERITIES = get_args(Severity)
_UNCHECKED = get_args(Unchecked)
_NAMES = {rule.name: rule.id for rule in RULES.values()}


def parse(settings: Mapping[str, Any], where: str, base: Policy | None = None) -> Policy:
    """A policy from the content of `curvaudit.toml`.

    Parameters
    ----------
    settings:
        `fail-on`, `accept-incomplete`, `baseline`, and `rules`: a table for each rule (id or name)
        with `severity`, `allow`, `ignore-ids`, `ignore-labels`, `ignore-paths`; the table `all`
        knows only the last three.
    where:
        What is read, for messages.
    base:
        What holds where nothing is set. Pictures to ignore are added, all else is replaced.

    Raises
    ------
    CurvauditError
        A setting, rule or value that does not exist, with the nearest that does.
    """
    policy = base or Policy()
    readers: dict[str, Callable[[Policy, Any], Policy]] = {
        "fail-on": lambda p, value: replace(p, fail_on=fail_on(_texts(value, where, "fail-on"), where)),
        "accept-incomplete": lambda p, value: replace(p, accept_incomplete=_unchecked(value, where)),
        "baseline": lambda p, value: replace(p, baseline=_texts(value, where, "baseline")),
        "rules": lambda p, value: _rules(p, value, where),
    }
    for key, value in settings.items():
        if key not in readers:
            raise _unknown(where, "setting", key, readers)
        policy = readers[key](policy, value)
    off = sorted(rule for rule in policy.fail_on.rules if policy.severity(rule) == "off")
    if off:
        raise CurvauditError(
            f"{where}: {off[0]} is switched off and also a reason to fail.", "Take it out of fail-on, or switch it on."
        )
    return policy


def fail_on(names: Iterable[str], where: str = "fail_on") -> FailOn:
    """What fails, from severities and rules: `error`, `CA101,CA201`, `warning,CA112`, `none`.

    Raises
    ------
    CurvauditError
        A name that is neither, or several severities.
    """
    words = [word.strip() for name in names for word in name.split(",") if word.strip()]
    if not words:
        raise CurvauditError(
            f"{where}: nothing is named that fails.", "Name a severity or rules; `none` lets all findings pass."
        )
    severities = {word for word in words if word in _SEVERITIES}
    if len(severities) > 1 or ("none" in words and len(words) > 1):
        raise CurvauditError(
            f"{where}: {', '.join(words)} contradict each other.",
            "Name one severity, from which on all fail, and rules besides; or only `none`.",
        )
    rules = {
        rule_id(word, where, (*_SEVERITIES, "none")) for word in words if word not in severities and word != "none"
    }
    return FailOn(cast("Severity | None", next(iter(severities), None)), frozenset(rules))


def rule_id(name: str, where: str, others: Sequence[str] = ()) -> str:
    """The id of a rule that is named by id or name.

    Raises
    ------
    CurvauditError
        There is no such rule; the hint names the nearest.
    """
    found = _NAMES.get(name, name.upper())
    if found not in RULES:
        raise _unknown(where, "rule", name, (*RULES, *_NAMES, *others))
    return found


def from_flags(
    fail_on: Sequence[str] = (),
    accept_incomplete: Sequence[str] = (),
    baseline: Sequence[str] = (),
    **by_rule: Sequence[str],
) -> dict[str, Any]:
    """What flags say, in the form of `curvaudit.toml`; for `parse`.

    Parameters
    ----------
    by_rule:
        Name of a rule's setting with `_` -> texts `RULE=VALUE`.

    Raises
    ------
    CurvauditError
        A text without `=`.
    """
    settings: dict[str, Any] = {}
    for key, values in (("fail-on", fail_on), ("accept-incomplete", accept_incomplete), ("baseline", baseline)):
        if values:
            settings[key] = list(values)
    rules: dict[str, dict[str, Any]] = {}
    for name, texts in by_rule.items():
        key = name.replace("_", "-")
        for text in texts:
            rule, equals, value = text.partition("=")
            if not equals or not value:
                raise CurvauditError(f"--{key} {text} has no value.", f"Write --{key} RULE=VALUE.")
            own = rules.setdefault(rule if rule == ALL else rule_id(rule, f"--{key} {text}", (ALL,)), {})
            if key.startswith("ignore-"):
                own.setdefault(f"{key}s", []).append(value)  # one each time: --ignore-id; all of them: ignore-ids
            else:
                own[key] = value
    if rules:
        settings["rules"] = rules
    return settings


def _rules(policy: Policy, tables: Any, where: str) -> Policy:
    named: dict[str, str] = {}  # rule -> the table that set it
    for name, table in _table(tables, f"{where}: rules").items():
        own_where = f"{where}: rules.{name}"
        own = _table(table, own_where)
        if name == ALL:
            for key in own:
                if key not in _IGNORES:
                    raise CurvauditError(
                        f"{own_where}: {key} cannot be set for all rules at once.",
                        f"For all rules there are {', '.join(_IGNORES)}; fail-on sets what fails.",
                    )
            policy = replace(policy, ignore=_ignored(policy.ignore, own, own_where))
        else:
            rule = rule_id(name, where, (ALL,))
            if (before := named.setdefault(rule, name)) != name:
                raise CurvauditError(
                    f"{where}: rules.{before} and rules.{name} are one rule.", "Write one table for it."
                )
            policy = replace(
                policy, rules={**policy.rules, rule: _rule(policy.rules.get(rule, RulePolicy()), own, own_where)}
            )
    return policy


def _rule(old: RulePolicy, table: Mapping[str, Any], where: str) -> RulePolicy:
    rule = replace(old, ignore=_ignored(old.ignore, table, where))
    for key, value in table.items():
        if key == "severity":
            if value not in _LEVELS:
                raise _unknown(where, "severity", value, _LEVELS)
            rule = replace(rule, severity=cast(Level, value))
        elif key == "allow":
            rule = replace(rule, allow=_allowance(value, where))
        elif key not in _IGNORES:
            raise _unknown(where, "setting", key, ("severity", "allow", *_IGNORES))
    return rule


def _ignored(old: Ignored, table: Mapping[str, Any], where: str) -> Ignored:
    more = {key: _texts(table[key], where, key) for key in _IGNORES if key in table}
    return Ignored(
        ids=old.ids | frozenset(more.get("ignore-ids", ())),
        labels=old.labels | frozenset(more.get("ignore-labels", ())),
        paths=(*old.paths, *more.get("ignore-paths", ())),
    )


_IGNORES = ("ignore-ids", "ignore-labels", "ignore-paths")


def _allowance(value: Any, where: str) -> Allowance:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return Allowance(count=value)
    if isinstance(value, str):
        # Python makes no number of more than 4,300 digits.
        if re.fullmatch(r"[0-9]{1,20}", value):
            return Allowance(count=int(value))
        percent = re.fullmatch(r"([0-9]{1,20}(?:\.[0-9]{1,20})?) ?%", value)
        if percent and Fraction(percent[1]) <= 100:
            return Allowance(share=Fraction(percent[1]) / 100)
    raise CurvauditError(
        f"{where}: allow = {value!r} is neither a count nor a share.",
        'Write a count such as 10, or a share such as "1%".',
    )


def _unchecked(value: Any, where: str) -> frozenset[Unchecked]:
    words = [word.strip() for text in _texts(value, where, "accept-incomplete") for word in text.split(",")]
    for word in words:
        if word not in _UNCHECKED:
            raise _unknown(where, "kind of gap", word, _UNCHECKED)
    return frozenset(cast("list[Unchecked]", words))


def _texts(value: Any, where: str, key: str) -> tuple[str, ...]:
    texts = (value,) if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) and text for text in texts):
        raise CurvauditError(f"{where}: {key} = {value!r} is neither a text nor a list of texts.", "See docs/check.md.")
    return tuple(texts)


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise CurvauditError(f"{where} is no table of settings.", "See docs/check.md.")
    return value


def _unknown(where: str, what: str, name: Any, known: Iterable[str]) -> CurvauditError:
    known = list(known)
    folded = {text.lower(): text for text in known}
    meant = str(name).lower()
    # Of equally close ones that which has most letters in place: CA1O1 means CA101, not CA112.
    close = get_close_matches(meant, folded, len(folded), 0.5)
    nearest = max(
        (text for text in folded if text in close),
        key=lambda text: (SequenceMatcher(None, meant, text).ratio(), _in_place(meant, text)),
        default=None,
    )
    if meant in _NOTHING:  # whose nearest by letters, "note", is the opposite
        nearest = next((text for text in ("off", "none") if text in folded), None)
    hint = f"Did you mean {folded[nearest]}?" if nearest else f"There are {', '.join(known)}."
    return CurvauditError(f"{where}: there is no {what} {name!r}.", hint)


_NOTHING = {"none", "off", "never", "ignore", "ignored", "disable", "disabled", "false", "no"}


def _in_place(one: str, other: str) -> int:
    return sum(a == b for a, b in zip(one, other, strict=False))
