"""What the case model takes, R4 takes: a case that loads never becomes a Bundle that breaks a rule of FHIR."""

from __future__ import annotations

from typing import Any

import pytest

from adapter.verify import written
from mappings import MappingError, from_fhir, load_case, to_fhir
from mappings.terms import TERMS

Json = Any
HEAD: Json = {"schema_version": "1.0", "case_system": "https://a.example/sid", "case_id": "1", "language": "en"}
HEAD |= {"patient": {}}
ENCOUNTER: Json = {"key": "e", "status": "finished"}
ENCOUNTER |= {"class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}}
WEIGHT: Json = {"key": "w", "kind": "body-weight", "value": {"quantity": {"value": 70, "unit": "kg"}}}


def refused_at(**sections: Json) -> list[str]:
    """Where a case is refused; nowhere if its Bundle keeps to R4 and gives it back."""
    try:
        case = load_case(HEAD | sections)
    except MappingError as error:
        return [issue.pointer for issue in error.issues]
    assert from_fhir(written(to_fhir(case), "all"))[0] == case
    return []


@pytest.mark.parametrize(
    "when",
    [
        {"absent": "unknown"},
        {"absent": "as-text", "text": "in spring"},
        {"encounter": "e"},
        {"relative": {"anchor": "e", "anchor_element": "period", "relation": "before"}},
    ],
    ids=lambda when: next(iter(when.values())) if "absent" in when else next(iter(when)),
)
def test_vital_sign_without_a_day(when: Json) -> None:
    """The vital-signs profiles want effective[x]; an element without a value, with an extension, is one."""
    assert refused_at(encounters=[ENCOUNTER], measurements=[WEIGHT | {"when": when}]) == []


FINDING: Json = {"key": "x", "presence": "present"}
MEASURE: Json = {"key": "x", "kind": "other", "value": {"text": "thinner"}}
SAME = [
    ("findings", "code", "severity", FINDING | {"severity": "mild"}),
    ("measurements", "code", "trend", MEASURE | {"trend": "decreased"}),
    ("measurements", "code", "layer", MEASURE | {"layer": "dermis"}),
    ("measurements", "code", "percent_change", MEASURE | {"percent_change": 5}),
    ("measurements", "code", "absolute_change", MEASURE | {"absolute_change": {"value": 5, "unit": "mm"}}),
    ("assessments", "domain", "score", {"key": "x", "value": {"text": "better"}, "score": 3}),
    ("assessments", "domain", "score", {"key": "x", "result": "improved", "score": 3}),
]
TERM = {"layer": TERMS.skin_layer, "percent_change": TERMS.percent_change_from_baseline}
TERM |= {"absolute_change": TERMS.absolute_change_from_baseline}


@pytest.mark.parametrize(("section", "code", "field", "item"), SAME, ids=lambda one: one if type(one) is str else "")
def test_component_with_the_code_of_its_observation(section: str, code: str, field: str, item: Json) -> None:
    """A component that has the Observation's own code beside a value breaks obs-7: one of the two is another."""
    term = TERM.get(field) or TERMS[field]
    codings = [{"system": one.system, "code": one.code} for one in term.codings]
    assert refused_at(**{section: [item | {code: {"codings": codings}}]}) == [f"/{section}/0/{field}"]
    assert refused_at(**{section: [item | {code: {"text": field}}]}) == []
    without = {name: value for name, value in item.items() if name != field}
    assert refused_at(**{section: [without | {code: {"codings": codings}}]}) == []
