"""What the case model takes, R4 takes: a case that loads never becomes a Bundle that breaks a rule of FHIR."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from adapter.verify import written
from mappings import MappingError, from_fhir, load_case, to_fhir
from mappings.terms import TERMS
from tests.sent import PATIENT, bundle, read, weight

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


LONG = 1024 * 1024


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ({"note": ["x" * LONG]}, None),
        ({"note": ["x" * (LONG + 1)]}, "note/0"),
        ({"note": ["\n" * (LONG + 1)]}, "note/0"),
        ({"code": {"text": "é" * (LONG + 1)}}, "code/text"),
        ({"code": {"codings": [{"system": "urn:x", "code": "x" * (LONG + 1)}]}}, "code/codings/0/code"),
        ({"code": {"codings": [{"system": "urn:" + "x" * LONG, "code": "x"}]}}, "code/codings/0/system"),
        ({"percent_change": Decimal("9.9E+99")}, None),
        ({"percent_change": Decimal("1E-99")}, None),
        ({"percent_change": Decimal("1E+400")}, "percent_change"),
        ({"percent_change": Decimal("-1E-400")}, "percent_change"),
        ({"percent_change": 10**100}, "percent_change"),
        ({"value": {"quantity": {"value": Decimal("1E+100"), "unit": "mm"}}}, "value/quantity/value"),
        ({"value": {"quantity": {"value": Decimal("1E-100"), "unit": "mm"}}}, "value/quantity/value"),
    ],
    ids=lambda one: repr(one)[:60],
)
def test_what_r4_has_no_room_for(more: Json, pointer: str | None) -> None:
    """A string of more than 1 MiB, and a number that nobody can be expected to keep, are refused where they stand."""
    item = MEASURE | {"code": {"text": "x"}} | more
    assert refused_at(measurements=[item]) == ([f"/measurements/0/{pointer}"] if pointer else [])


@pytest.mark.parametrize("number", ["1E+400", "-1E-400"])
def test_number_of_others_that_is_no_measurement(number: str) -> None:
    """It is not read, and told."""
    case, report = read(bundle(PATIENT, weight(kg=Decimal(number))))
    assert case.measurements == ()
    assert [i.code for i in report.errors] == ["unreadable-resource"]


def test_text_of_others_that_is_too_long() -> None:
    """A string that R4 does not allow is not taken over: it stays where it is, and that is told."""
    long = "x" * (LONG + 1)
    case, report = read(bundle(PATIENT, weight(note=[{"text": long}])))
    assert [one.note for one in case.measurements] == [()]
    assert [(i.code, i.level) for i in report.issues if "/note" in i.pointer] == [("unreadable-element", "warning")]
    case, report = read(bundle(PATIENT, weight(bodySite={"text": long})))
    assert case.measurements == ()
    assert [i.code for i in report.errors] == ["unreadable-resource"]


def test_period_at_the_edge_of_the_calendar() -> None:
    """Offsets lead out of the years that there are, and the order of the two moments is told all the same."""
    for start, end in (
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:58-11:00", "9999-12-31T23:59:59-11:00"),
    ):
        item = MEASURE | {"code": {"text": "x"}, "when": {"period": {"start": start, "end": end}}}
        assert refused_at(measurements=[item]) == []
