"""The report of a reading on one screen: most severe first, what is alike together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from adapter.reporting import FullReport
from mappings import Case, Issue, dump_case
from mappings.entries import entries_of, type_shown
from mappings.generated import is_generated
from mappings.report import Json, Severity
from mappings.wire import steps

LEVELS: tuple[Severity, ...] = ("error", "warning", "information")


class Group(NamedTuple):
    """Issues that say the same of the same element of the same type."""

    level: Severity
    code: str
    place: str
    issues: list[Issue]

    @property
    def leaves(self) -> int:
        """The leaves that they speak for."""
        return sum(issue.leaves for issue in self.issues)


def groups(issues: Iterable[Issue], document: Json = None) -> list[Group]:
    """The issues by level, code and place without indices; most severe first, then by leaves."""
    found: dict[tuple[str, str, str, str], Group] = {}
    for issue in issues:
        place = _place(issue, document)
        key = (issue.level, issue.code, place, issue.rule)
        found.setdefault(key, Group(issue.level, issue.code, place, [])).issues.append(issue)
    return sorted(found.values(), key=lambda group: (LEVELS.index(group.level), -group.leaves, -len(group.issues)))


def _place(issue: Issue, document: Json) -> str:
    """Where an issue is: below the innermost resource, without indices, such as ``Patient.name``."""
    names: list[str] = []
    here, type_ = document, _type(document)
    for step in steps(issue.pointer):
        if isinstance(here, dict) and step in here:
            here = here[step]
        elif isinstance(here, list) and step.isdigit() and int(step) < len(here):
            here = here[int(step)]
        else:
            here = None
        if inner := _type(here):
            type_, names = inner, []
        elif not step.isdigit():
            names.append(step if _NAME.fullmatch(step) else "?")
    return ".".join([type_, *names]) if type_ else re.sub(r"\[\d+]", "", issue.path)


def _type(json: Json) -> str:
    """The type of a resource; of anything else nothing."""
    type_ = json.get("resourceType") if isinstance(json, dict) else None
    return type_shown(type_) if isinstance(type_, str) else ""


_NAME = re.compile(r"_?[A-Za-z][A-Za-z0-9]{0,40}")


def screen(full: FullReport, most: int = 12) -> str:
    """What was read, the way back, and the issues, like ones together; ``most`` kinds of each level."""
    return "\n".join(_lines(full, most))


def _lines(full: FullReport, most: int) -> Iterator[str]:
    yield f"{'READABLE' if full.readable else 'REFUSED'}  input sha256 {full.input_sha256[:16]}"
    if full.case is not None:
        yield from _read(full, full.case)
    found = groups(full.report.issues, full.document)
    for level in LEVELS:
        mine = [group for group in found if group.level == level]
        if not mine:
            continue
        count = sum(len(group.issues) for group in mine)
        yield f"\n{level.upper()}: {_count(count, 'issue')}"
        yield from (_notes(mine) if level == "information" else _loud(mine, most))


def _read(full: FullReport, case: Case) -> Iterator[str]:
    report = full.report
    made = sum(issue.leaves for issue in report.issues if issue.disposition == "generated")
    left = f"{made} frame or generated text, {report.rest - made} left as they are"
    back = "identical: written onto the document, the case gives it back" if full.reversible else "DIFFERENT"
    yield f"case      {_sections(case) or 'a patient, nothing else'}"
    yield f"leaves    {report.total}: {report.mapped} mapped, {left}"
    yield f"way back  {back}"
    for type_, states in sorted(_fates(full).items()):
        yield f"  {type_:<26} {', '.join(f'{number} {state}' for state, number in states.most_common())}"


def _sections(case: Case) -> str:
    """How many items of each section were read."""
    document = dump_case(case)
    found = [(n, value) for n, value in document.items() if isinstance(value, list) and n not in ("security", "tags")]
    given = sum(len(one.administrations) for one in case.therapies)
    counted = [f"{name.replace('_', ' ')} {len(value)}" for name, value in found]
    return ", ".join(counted + ([f"administrations {given}"] if given else []))


def _fates(full: FullReport) -> dict[str, Counter[str]]:
    """What became of the resources, by type."""
    fates: dict[str, str] = {}
    nodes = entries_of(full.document).nodes
    pointers = {node.pointer for node in nodes}
    for issue in full.report.issues:
        here = issue.pointer
        while here and here not in pointers:
            here = here.rpartition("/")[0]
        if issue.disposition == "refused":
            fates[here] = f"not read ({issue.code})"
        elif issue.code in ("unknown-resource", "sender-outcome"):
            fates[here] = "not mapped"
    found: dict[str, Counter[str]] = {}
    for node in nodes:
        own = "made by this adapter" if is_generated(node.resource) else "read"
        found.setdefault(type_shown(node.type), Counter())[fates.get(node.pointer, own)] += 1
    return found


def _loud(found: list[Group], most: int) -> Iterator[str]:
    """Errors and warnings: what, how often, where first, what to do."""
    for group in found[:most]:
        first = group.issues[0]
        yield f"  {group.code} {first.rule}".rstrip() + f"  {group.place}  {_weight([group])}"
        yield f"      {first.text}{f' Expected: {first.expected}.' if first.expected else ''}"
        yield f"      first at {first.pointer or first.path or 'the document'} -> {first.what_to_do}"
    if len(found) > most:
        yield f"  and {_count(len(found) - most, 'kind')} more (--format json shows all)"


def _notes(found: list[Group], most: int = 6) -> Iterator[str]:
    """What is only worth knowing: a line a code."""
    by_code: dict[str, list[Group]] = {}
    for group in found:
        by_code.setdefault(group.code, []).append(group)
    for code, mine in by_code.items():
        more = f" and {_count(len(mine) - most, 'other place')}" if len(mine) > most else ""
        yield f"  {code}  {_weight(mine)}: {', '.join(map(_named, mine[:most]))}{more}"


def _named(group: Group) -> str:
    """The place, and why it is not read where there is more to say than that no table knows it."""
    why = group.issues[0].text.partition(" is not mapped: ")[2].rstrip(".")
    return f"{group.place} ({why})" if why else group.place


def _weight(found: list[Group]) -> str:
    leaves = sum(group.leaves for group in found)
    times = _count(sum(len(group.issues) for group in found), "time")
    return f"{times}, {_count(leaves, 'leaf')}" if leaves else times


def _count(number: int, what: str) -> str:
    plural = {"leaf": "leaves"}.get(what, f"{what}s")
    return f"{number} {what if number == 1 else plural}"
