"""What a document implies and does not say: the course of administrations that name none, their cycles, and the
panel of clones that a laboratory sends one by one.

Nothing is written for it unless facts are added: the course is a node without a place in the
document. Its basis is `derived`, and the report says so.
"""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

from mappings.codec import Unread, dar_json, term_json
from mappings.concepts.administration import ADMINISTRATION
from mappings.concepts.monoclonal_protein import CLONE_AS_RESULT, MONOCLONAL_PROTEIN
from mappings.concepts.product import DRUGS
from mappings.concepts.therapy import DRUG
from mappings.generated import resource_id
from mappings.received import Received, is_withdrawn
from mappings.report import Json
from mappings.resource import SOURCE, Node, ResourceMap, members
from mappings.terms import TERMS
from mappings.values import Period, Source, When

#: Infusions this many days apart at most are of one cycle; a gap of so many begins the next.
SAME_CYCLE, NEXT_CYCLE = 5, 14


def derive_courses(received: Received) -> None:
    """Give each drug whose administrations belong to no course one course of basis `derived`; anew at each reading.

    A course is one of a drug: what was given beside it, such as a premedication, belongs to it by no reference.
    """
    received.forget()
    listing: dict[int, list[Node]] = {}
    for course in received.everyone:
        if course.table is DRUG:
            for target in _targets(received, course, "derivedFrom"):
                listing.setdefault(id(target), []).append(course)
    by_drug: dict[str, list[Node]] = {}
    for node in received.everyone:
        if node.table is not ADMINISTRATION:
            continue
        courses = [t for t in _targets(received, node, "supportingInformation") if t.table is DRUG]
        courses += listing.get(id(node), [])
        if any(_may_be_of(received, node, course) for course in courses):
            continue
        name = _drug(received, node)
        if name is not None:
            by_drug.setdefault(name, []).append(node)
        elif courses:
            node.table = None
            node.refused = Unread("another-drug", "The drug is not that of its course.", "the drug of the course")
    for name, nodes in by_drug.items():
        received.add(_course(received, name, nodes))
        nodes[0].notes.append(
            ("course-derived", f"{_count(len(nodes), 'administration')} of one drug, without a course.")
        )


def _may_be_of(received: Received, node: Node, course: Node) -> bool:
    """Whether what was given is the drug of the course; a Medication that is referred to speaks for itself."""
    given, medication = node.resource.get("medicationCodeableConcept"), received.medication(node)
    if given is None or given == course.resource.get("medicationCodeableConcept"):
        return medication is None or not is_withdrawn(medication)
    codes = received.codes(node, "medicationCodeableConcept"), received.codes(course, "medicationCodeableConcept")
    return not {*codes[0]}.isdisjoint(codes[1]) or _drug(received, node) == _drug(received, course) is not None


def _targets(received: Received, node: Node, name: str) -> list[Node]:
    return received.meant(node, members(node.resource, name))


def _drug(received: Received, node: Node) -> str | None:
    for pair in received.codes(node, "medicationCodeableConcept"):
        for term in DRUGS:
            if pair in term.pairs or pair in term.loose:
                return term.name
    return None


def _course(received: Received, name: str, nodes: list[Node]) -> Node:
    """The course as a resource that nobody sent: its drug as the first administration has it."""
    facts = {"status": "unknown", "medicationCodeableConcept": _concept(received, nodes[0])}
    return _implied(received, DRUG, f"derived-{name}", facts, nodes, "administrations")


def derive_panel(received: Received) -> None:
    """Give the clones that a laboratory sends one by one, in no panel, one panel of unknown clonality."""
    in_panels = {
        id(t) for n in received.everyone if n.table is MONOCLONAL_PROTEIN for t in _targets(received, n, "hasMember")
    }
    nodes = [n for n in received.everyone if n.table is CLONE_AS_RESULT and id(n) not in in_panels]
    if nodes:
        facts = {
            "status": "final",
            "code": term_json(TERMS.m_protein_panel),
            "dataAbsentReason": dar_json("unknown", None),
        }
        received.add(_implied(received, MONOCLONAL_PROTEIN, "derived-monoclonal-protein", facts, nodes, "clones"))
        nodes[0].notes.append(("panel-derived", f"{_count(len(nodes), 'clone')}, without a panel."))


def _implied(
    received: Received, table: ResourceMap, key: str, facts: dict[str, Json], parts: list[Node], slot: str
) -> Node:
    """A resource that nobody sent and that holds these parts."""
    if any(node.key == key and node.table is not None for node in received.nodes):
        key += "-too"
    system, case_id = received.identity
    id_ = resource_id(SimpleNamespace(case_system=system, case_id=case_id), table.type, key)
    resource: dict[str, Json] = {
        "resourceType": table.type,
        "id": id_,
        "extension": [{"url": SOURCE, "extension": [{"url": "basis", "valueCode": "derived"}]}],
        **facts,
        "subject": parts[0].resource.get("subject"),
    }
    node = Node(-1, f"({key})", table.type, resource, table.type, f"urn:uuid:{id_}", key, key, table=table)
    node.container = parts[0].container or parts[0]  # where its references mean what they mean there
    for part in parts:
        part.owner, part.slot, part.given = node, slot, True
    return node


def _concept(received: Received, node: Node) -> Json:
    json, medication = node.resource.get("medicationCodeableConcept"), received.medication(node)
    return medication.resource.get("code") if json is None and medication is not None else json


def group_cycles(received: Received) -> None:
    """Number the cycles of derived courses by the days of their infusions, where the gaps leave no doubt."""
    by_course: dict[int, list[tuple[date, Node]]] = {}
    for node in received.everyone:
        if node.given and node.table is ADMINISTRATION and node.owner is not None:
            day = _day(node.into)
            by_course.setdefault(id(node.owner), []).append((day or date.min, node))
    for found in by_course.values():
        days = sorted({day for day, _ in found})
        gaps = [(later - earlier).days for earlier, later in pairwise(days)]
        told = any("cycle" in node.into or "part_of" in node.into for _, node in found)
        if date.min in days or told or any(SAME_CYCLE < gap < NEXT_CYCLE for gap in gaps):
            continue
        _number(found, days, gaps)


def _day(into: dict[str, Any]) -> date | None:
    when: When | None = into.get("when")
    period: Period | None = when.period if when else None
    start = (when.at if when else None) or (period.start if period else None)
    return date.fromisoformat(start[:10]) if isinstance(start, str) and len(start) >= 10 else None


def _number(found: list[tuple[date, Node]], days: list[date], gaps: list[int]) -> None:
    cycle, first, place = 1, days[0], {days[0]: (1, 1)}
    for day, gap in zip(days[1:], gaps, strict=True):
        if gap >= NEXT_CYCLE:
            cycle, first = cycle + 1, day
        place[day] = (cycle, (day - first).days + 1)
    several = {cycle for cycle, day in place.values() if day > 1}
    for day, node in found:
        number, of_cycle = place[day]
        told = set(node.into)
        node.into |= {"cycle": number} | ({"day": of_cycle} if number in several else {})
        node.into.setdefault("source", Source("derived"))
        node.derived = tuple(name for name in ("cycle", "day", "source") if name not in told)
    found[0][1].notes.append(("cycle-grouped", f"{_count(len(found), 'infusion')}, {_count(cycle, 'cycle')}."))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number > 1 else ''}"
