"""JUnit XML, as GitLab, Jenkins and others read it."""

from __future__ import annotations

from xml.etree import ElementTree

from ...policy.outcome import CheckResult, Places
from ...rules import RULES
from ...text.printable import printable
from . import wording


def render(result: CheckResult, places: Places) -> bytes:
    """One failed case for each violation, one passed or skipped case for each rule without any,
    and one for completeness."""
    cases = [*_rules(result, places), _completeness(result)]
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": str(sum(case.find("error") is not None for case in cases)),
        "skipped": str(sum(case.find("skipped") is not None for case in cases)),
    }
    root = ElementTree.Element("testsuites", {"name": "curvaudit", **counts})
    suite = ElementTree.SubElement(root, "testsuite", {"name": printable(result.report.run.source), **counts})
    suite.extend(cases)
    output = ElementTree.SubElement(suite, "system-out")
    said = [wording.verdict(result), wording.subject(result), *wording.asides(result)]
    output.text = "\n".join(printable(line) for line in said)
    ElementTree.indent(root)
    found: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"
    return found


def _rules(result: CheckResult, places: Places) -> list[ElementTree.Element]:
    violations = wording.by_rule(result.of("violation"))
    cases = []
    for rule in RULES.values():
        group = f"{rule.id} {rule.name}"
        if rule.id not in violations:
            case = _case(group, rule.meaning)
            if result.policy.severity(rule.id) == "off":
                ElementTree.SubElement(case, "skipped", {"message": "switched off by the policy"})
            elif rule.id in result.unchecked_rules:
                ElementTree.SubElement(case, "skipped", {"message": "not checked"})
            cases.append(case)
        for item in violations.get(rule.id, ()):
            finding = item.finding
            where = places.of(finding, result.report)
            first = finding.samples[0].id if finding.samples else str(finding.evidence.get("class", ""))
            case = _case(group, f"{first} [{finding.fingerprint}]", where[0])
            failure = {"type": item.severity, "message": printable(finding.message)}
            named = [f"{path}:{line}" for path, line in where]
            ElementTree.SubElement(case, "failure", failure).text = "\n".join(printable(place) for place in named)
            cases.append(case)
    return cases


def _completeness(result: CheckResult) -> ElementTree.Element:
    case = _case("completeness", "everything could be checked")
    if result.gaps:
        said = printable(" ".join(f"Not checked: {gap.message}" for gap in result.gaps))
        ElementTree.SubElement(case, "error", {"type": "incomplete", "message": said}).text = said
    return case


def _case(group: str, name: str, place: tuple[str, int] | None = None) -> ElementTree.Element:
    attributes = {"classname": group, "name": printable(name)}
    if place is not None:
        attributes |= {"file": printable(place[0]), "line": str(place[1])}
    return ElementTree.Element("testcase", attributes)
