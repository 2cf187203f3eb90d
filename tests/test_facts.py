"""The facts of the published report, one test a fact, on the Bundle that the example becomes.

The facts themselves stand in `tests.facts`. Here each is held against the Bundle, and shown to be missed when
any resource of it is lost or any of its values is altered; and nothing stands in the Bundle beyond them.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mappings import load_case, to_fhir
from mappings.generated import is_generated
from tests.facts import AWAITED, FACTS, Fact, part
from tests.query import FRAME, Json, Look, is_own, item_key

EXAMPLE = Path(__file__).parent.parent / "examples" / "published-case" / "case.json"
#: Words for people beside a code, which may change with a release of the code system.
WORDS = ("display", "unit")
each_fact = pytest.mark.parametrize("fact", FACTS, ids=[f"{fact.id} {fact.sentence}" for fact in FACTS])


@cache
def _made() -> Json:
    return to_fhir(load_case(EXAMPLE.read_bytes()))


@pytest.fixture
def look() -> Look:
    """The published case as a collection, to be asked."""
    return Look(deepcopy(_made()))


@each_fact
def test_fact(fact: Fact, look: Look) -> None:
    """The Bundle says the fact, all of it and no more."""
    assert list(fact.misses(look)) == []


# --- a fact that is lost or altered is missed -------------------------------------------------


@each_fact
def test_a_lost_resource_is_missed(fact: Fact, look: Look) -> None:
    """Without any one of its resources the fact is not told."""
    for key in [key for key in fact.says if key in look.by_key]:
        taken = look.by_key.pop(key)
        assert list(fact.misses(look)), key
        look.by_key[key] = taken


@each_fact
def test_an_altered_value_is_missed(fact: Fact, look: Look) -> None:
    """No value can be altered or taken away without the fact being missed; a part answers for its own elements."""
    for key in [key for key in fact.says if key in look.by_key]:
        before = look.told(key)
        for altered in _altered(look.by_key[key]):
            after = look.told(key)
            seen = {name for name in before | after if before.get(name) != after.get(name)}
            answers_for = seen & set(fact.says[key]) if isinstance(fact.says[key], part) else seen
            assert seen, altered
            assert list(fact.misses(look)) or answers_for <= set(AWAITED.get(key, ())), altered
        assert look.told(key) == before


def _altered(resource: Json) -> Iterator[str]:
    """The resource with one value altered or gone, once for each value and kind of change; then as it was."""
    own = {name: value for name, value in resource.items() if name not in (*FRAME, "identifier")}
    own["identifier"] = [one for one in resource.get("identifier", ()) if not is_own(one)]
    for holder, step, path in [*_leaves(own, "")]:
        holder = resource if holder is own else holder
        value = holder[step]
        for other in _others(value):
            holder[step] = other
            yield f"{path}: {value!r} -> {other!r}"
        holder[step] = value
        if isinstance(holder, dict):
            items = list(holder.items())
            del holder[step]
            yield f"{path} gone"
            holder.clear()
            holder.update(items)


def _leaves(json: Any, path: str) -> Iterator[tuple[Any, Any, str]]:
    """(holder, step, path) of every value that is no object or array."""
    for step, value in json.items() if isinstance(json, dict) else enumerate(json):
        if isinstance(value, dict | list):
            yield from _leaves(value, f"{path}/{step}")
        elif step not in WORDS:
            yield json, step, f"{path}/{step}"


def _others(value: Any) -> list[Any]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | Decimal):
        return [value + 1, Decimal(f"{value}.0") if Decimal(value) == int(value) else Decimal(f"{value}0")]
    return [f"{value}~"]


# --- nothing beyond the facts -----------------------------------------------------------------


def test_every_resource_is_told_by_one_fact(look: Look) -> None:
    """Each resource of the case is given in full by exactly one fact: none is added, none is told twice."""
    told = sorted(key for fact in FACTS for key, says in fact.says.items() if not isinstance(says, part))
    awaited = [key for key, elements in AWAITED.items() if "*" in elements]
    assert told == sorted([*look.by_key, *awaited])


def test_every_other_resource_is_the_adapters_own(look: Look) -> None:
    """What comes from no item of the case is Provenance and the adapter's Device."""
    others = [entry["resource"] for entry in look.entries if item_key(entry["resource"]) is None]
    assert sorted(r["resourceType"] for r in others) == ["Device", "Provenance"]
    assert all(map(is_generated, others))


def test_every_observation_says_that_its_performer_is_not_told(look: Look) -> None:
    """The report does not say who examined him."""
    assert {r["performer"][0]["display"] for r in look.all("Observation") if "performer" in r} == {"not stated"}


def test_the_facts_are_those_of_the_ledger() -> None:
    """F01 to F50, each once, each with a sentence."""
    assert [fact.id for fact in FACTS] == [f"F{number:02}" for number in range(1, 51)]
    assert all(fact.sentence.endswith(".") and fact.says for fact in FACTS)


def test_a_part_agrees_with_the_whole() -> None:
    """Where two facts speak of one resource, they say the same of it."""
    whole = {key: says for fact in FACTS for key, says in fact.says.items() if not isinstance(says, part)}
    for fact in FACTS:
        for key, says in fact.says.items():
            assert all(whole[key][element] == said for element, said in says.items()), (fact.id, key)


def test_what_is_awaited_is_still_awaited(look: Look) -> None:
    """An element of the example that has been mended is taken off the list of those that are awaited."""
    whole = {key: says for fact in FACTS for key, says in fact.says.items() if not isinstance(says, part)}
    for key, elements in AWAITED.items():
        found = look.told(key)
        if "*" in elements:
            assert not found, f"{key} is there: take it off AWAITED"
        else:
            mended = [element for element in elements if whole[key].get(element) == found.get(element)]
            assert mended == [], f"{key} is mended: take it off AWAITED"
