"""The links between a case and a FHIR document, held against what changing a fact really changes."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mappings import Case, decode, dump_case, encode, from_fhir, lens, load_case, to_fhir
from mappings.case import TABLES
from mappings.generated import is_generated
from mappings.links import Link, links
from tests.strategies import edited, seeded
from tests.test_laws import LABELS, handled

Json = Any
EXAMPLES = Path(__file__).parent.parent / "examples"
#: Fields of the case itself: they are on every resource, or in none.
FRAME = {"schema_version", "case_system", "case_id", "recorded", *LABELS}
#: Fields that choose the table of an item; they say which resource it is as a whole.
CHOOSE = {table.only[0] for table in TABLES if table.only}


@cache
def example(name: str) -> Case:
    """One of the example cases."""
    return load_case((EXAMPLES / name / "case.json").read_bytes())


def at(document: Json, pointer: str) -> Json:
    """The value at a pointer; raises if there is none."""
    for step in pointer.split("/")[1:]:
        document = document[int(step)] if isinstance(document, list) else document[step]
    return document


def within(pointer: str, other: str) -> bool:
    """Whether a pointer leads into the value at another; what stands beside a primitive (_text) belongs to it."""
    return f"{pointer}/".replace("/_", "/").startswith(f"{other}/".replace("/_", "/"))


def gone(before: Json, after: Json) -> list[str]:
    """The topmost parts of resources of items, their narrative apart, that the document has no more."""
    there = {entry["fullUrl"]: entry["resource"] for entry in after["entry"] if "fullUrl" in entry}
    found = []
    for index, entry in enumerate(before["entry"]):
        now = there.get(entry.get("fullUrl"))
        if now is not None and not is_generated(now) and now["resourceType"] == entry["resource"]["resourceType"]:
            parts = [pointer for pointer, _ in lens.rest(entry["resource"], now)]
            found += [f"/entry/{index}/resource{part}" for part in parts if not within(part, "/text")]
    return found


def loose(pairs: list[Link], field: str, parts: list[str]) -> list[str]:
    """The parts that no link of the field, or of what is in it, leads to."""
    linked = [there for here, there in pairs if within(here, field)]
    return [part for part in parts if not any(within(part, there) or within(there, part) for there in linked)]


@pytest.mark.parametrize("name", ["published-case", "synthetic-course", "minimal"])
def test_every_fact_of_an_example_is_linked_to_elements_that_are_there(name: str) -> None:
    """Both ends of each link lead to something; of the case only the frame and the choice of a table have none."""
    case = example(name)
    document, bundle = decode(encode(dump_case(case))), to_fhir(case)
    found = links(bundle)
    for here, there in found:
        at(document, here)
        at(bundle, there)
    linked = {here for here, _ in found}
    bare = [here for here in _leaves(document, "") if here not in linked]
    assert {here for here in bare if here.split("/")[1] not in FRAME and here.rpartition("/")[2] not in CHOOSE} == set()


def _leaves(json: Json, pointer: str) -> list[str]:
    if isinstance(json, dict):
        return [leaf for name, value in json.items() for leaf in _leaves(value, f"{pointer}/{name}")]
    if isinstance(json, list):
        return [leaf for index, value in enumerate(json) for leaf in _leaves(value, f"{pointer}/{index}")]
    return [pointer]


def test_an_ivig_cycle_is_linked_to_its_administration() -> None:
    """What a reader points at first: the cycle, its dose, and the drug that the course has."""
    case = example("published-case")
    course = next(i for i, therapy in enumerate(case.therapies) if therapy.administrations)
    bundle, cycle = to_fhir(case), f"/therapies/{course}/administrations/0"
    found = links(bundle)
    entry = next(there for here, there in found if here == cycle)
    assert at(bundle, entry)["resourceType"] == "MedicationAdministration"
    number = next(there for here, there in found if here == f"{cycle}/cycle")
    assert within(number, entry)
    assert at(bundle, number) == 1
    drug = {there for here, there in found if within(here, f"/therapies/{course}/code")}
    assert any(within(there, f"{entry}/medicationCodeableConcept") for there in drug)


def _own(case: Case, seed: int) -> Json:
    return to_fhir(case)


def _foreign(case: Case, seed: int) -> Json:
    return handled(random.Random(seed).randrange, to_fhir(case), calm=True)


@pytest.mark.parametrize("document", [_own, _foreign])
def test_a_changed_fact_changes_only_what_it_is_linked_to(document: Callable[[Case, int], Json]) -> None:
    """The oracle: of a field that is changed in a document, own or foreign, every part that goes is linked to it.

    A field that had no value is linked to nothing, and one that chooses a table makes another resource.
    """
    tried = 0
    for seed in range(12):
        bundle = document(seeded(seed, most=2), seed)
        was, _ = from_fhir(bundle)
        pairs, choose = links(bundle), random.Random(seed).randrange
        for _ in range(4):
            now, pointer = edited(choose, was)
            if pointer.split("/")[1] in LABELS or pointer.rpartition("/")[2] in CHOOSE or _had_none(was, pointer):
                continue
            out = to_fhir(now, onto=bundle)
            assert loose(pairs, pointer, gone(bundle, out)) == [], pointer
            tried += 1
    assert tried > 20


def _had_none(case: Case, pointer: str) -> bool:
    try:
        at(decode(encode(dump_case(case))), pointer)
    except (KeyError, IndexError):
        return True
    return False
