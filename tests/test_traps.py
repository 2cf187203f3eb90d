"""The traps of the published report, each on the Bundle itself and on Bundles that fell into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mappings import load_case, to_fhir
from mappings.codec import term_json
from mappings.terms import TERMS
from tests import traps
from tests.traps import COURSE, Json, coded, component, literature, patients_own, resources

EXAMPLE = Path(__file__).parent.parent / "examples" / "published-case" / "case.json"
Fall = Callable[[Json], None]


@cache
def _made(bundle_type: str) -> Json:
    return to_fhir(load_case(EXAMPLE.read_bytes()), bundle_type=bundle_type, now="2026-01-01T00:00:00Z")


@pytest.fixture(params=["collection", "document"])
def bundle(request: pytest.FixtureRequest) -> Json:
    """The published case as a Bundle, in each shape that carries all of it."""
    return deepcopy(_made(request.param))


def holds(trap: Callable[[Json], Iterator[str]], bundle: Json, *falls: Fall) -> None:
    """The Bundle does not fall into the trap; each fallen variant of it is noticed."""
    assert list(trap(bundle)) == []
    for number, fall in enumerate(falls):
        fallen = deepcopy(bundle)
        fall(fallen)
        assert fallen != bundle, f"fall {number} changes nothing"
        assert list(trap(fallen)), f"fall {number} is not noticed"


# --- how a Bundle falls -----------------------------------------------------------------------


def one(found: list[Json], index: int = 0) -> Json:
    """One of them, or a failure that says that there is none."""
    assert len(found) > index, "nothing to make fall"
    return found[index]


def observation(bundle: Json, term: str, index: int = 0) -> Json:
    """An Observation of the patient by its code."""
    return one(coded(patients_own(bundle, "Observation"), TERMS[term]), index)


def course(bundle: Json, term: str, index: int = 0) -> Json:
    """A drug course of the patient by its drug."""
    return one(coded(patients_own(bundle, "MedicationStatement"), TERMS[term]), index)


def cycle(bundle: Json, index: int = 0) -> Json:
    """An administration of the patient."""
    return one(patients_own(bundle, "MedicationAdministration"), index)


def clone(bundle: Json, heavy: str) -> Json:
    """The clone with this heavy chain."""
    found = coded(patients_own(bundle, "Observation"), TERMS.m_protein_clone)
    chain = TERMS.m_protein_heavy_chain
    return one([r for r in found if traps.means(component(r, chain)["valueCodeableConcept"], TERMS[heavy])])


def add(bundle: Json, type_: str, **members: Any) -> None:
    """One more resource about the patient."""
    patient = next(e["fullUrl"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Patient")
    resource = {"resourceType": type_, "subject": {"reference": patient}} | members
    bundle["entry"].append({"fullUrl": f"urn:uuid:fallen-{len(bundle['entry'])}", "resource": resource})


def quantity(value: str, unit: str) -> Json:
    """A UCUM Quantity."""
    return {"value": Decimal(value), "system": "http://unitsofmeasure.org", "code": unit}


def concept(name: str) -> Json:
    """A term as a CodeableConcept."""
    return term_json(TERMS[name])


def put(**members: Any) -> Callable[[Json], None]:
    """Set members of a resource; None takes one away."""

    def change(resource: Json) -> None:
        for name, value in members.items():
            if value is None:
                resource.pop(name, None)
            else:
                resource[name] = value

    return change


# --- one test a trap --------------------------------------------------------------------------


def test_t1_thyroid(bundle: Json) -> None:
    """T1: no thyroid disease, present or refuted, of the patient; the criterion is unknown and not stated."""

    def criterion(b: Json) -> Json:
        return component(observation(b, "diagnostic-criteria"), TERMS.no_thyroid_disease)

    def refuted(b: Json) -> None:
        add(b, "Condition", code=concept("thyroid-disease"), verificationStatus=concept("ver-refuted"))

    holds(
        traps.t1_no_thyroid_disease_told,
        bundle,
        refuted,
        lambda b: add(b, "Observation", code={"text": "thyroid disease"}, valueCodeableConcept=concept("absent")),
        lambda b: put(valueCodeableConcept=concept("present"), dataAbsentReason=None)(criterion(b)),
        lambda b: put(extension=None)(criterion(b)),
    )


def test_t2_dermato_neuro_syndrome(bundle: Json) -> None:
    """T2: the dermato-neuro syndrome belongs to two reports of Table 1 and not to the patient."""

    def moved(b: Json) -> None:
        found = coded(resources(b, "Condition"), TERMS.dermato_neuro_syndrome)
        one(found)["subject"] = one(patients_own(b, "Condition"))["subject"]

    holds(
        traps.t2_no_dermato_neuro_syndrome,
        bundle,
        moved,
        lambda b: add(b, "Observation", code={"text": "Dermato-neuro syndrome"}),
        lambda b: put(valueCodeableConcept=concept("abnormal"))(observation(b, "neurological-status")),
    )


def test_t3_method_of_the_protein(bundle: Json) -> None:
    """T3: no method, no quantity, no date for the monoclonal protein; its LOINC code names no method."""

    def by_electrophoresis(b: Json) -> None:
        clone(b, "igm")["code"]["coding"].append({"system": "http://loinc.org", "code": "33358-3"})

    holds(
        traps.t3_no_method_for_the_protein,
        bundle,
        lambda b: put(method=concept("immunofixation"))(clone(b, "igg")),
        lambda b: put(method=concept("immunofixation"))(observation(b, "m-protein-panel")),
        by_electrophoresis,
        lambda b: put(valueQuantity=quantity("12", "g/L"), dataAbsentReason=None)(clone(b, "igg")),
        lambda b: put(effectiveDateTime="2009")(clone(b, "igm")),
    )


def test_t4_thickness(bundle: Json) -> None:
    """T4: four phases without a number; decreased under IVIg and nowhere else."""

    def thickness(b: Json, index: int) -> Json:
        return observation(b, "skin-thickness-hfus", index)

    def trend(b: Json) -> None:
        change = component(thickness(b, 3), TERMS.trend)
        thickness(b, 2).setdefault("component", []).append(change)

    def percent(b: Json) -> None:
        code = concept("percent-change-from-baseline")
        thickness(b, 3)["component"].append({"code": code, "valueQuantity": quantity("-40", "%")})

    holds(
        traps.t4_no_thickness_values,
        bundle,
        lambda b: put(valueQuantity=quantity("2.1", "mm"), dataAbsentReason=None)(thickness(b, 0)),
        trend,
        percent,
        lambda b: put(component=None)(thickness(b, 3)),
        lambda b: put(interpretation=[concept("better")])(thickness(b, 3)),
        lambda b: b["entry"].remove(next(e for e in b["entry"] if e["resource"] is thickness(b, 1))),
    )


def test_t5_lambda(bundle: Json) -> None:
    """T5: λ of IgM is stated; λ of IgG is inferred, on the component itself, with a note."""

    def light(b: Json, heavy: str) -> Json:
        return component(clone(b, heavy), TERMS.m_protein_light_chain)

    holds(
        traps.t5_lambda_of_igg_is_a_reading,
        bundle,
        lambda b: put(extension=None)(light(b, "igg")),
        lambda b: put(extension=light(b, "igg")["extension"])(light(b, "igm")),
        lambda b: put(note=None)(clone(b, "igg")),
        lambda b: put(valueCodeableConcept=concept("igm"))(component(clone(b, "igg"), TERMS.m_protein_heavy_chain)),
    )


def test_t6_daily_split(bundle: Json) -> None:
    """T6: 2 g/kg over 2 days, six times; no days, no 1 g/kg."""

    def day(b: Json) -> None:
        extension = next(e for e in cycle(b)["extension"] if e["url"] == traps.CYCLE)
        extension["extension"].append({"url": "day", "valuePositiveInt": 1})

    def again(b: Json) -> None:
        b["entry"].append({"fullUrl": "urn:uuid:again", "resource": deepcopy(cycle(b))})

    holds(
        traps.t6_no_daily_split,
        bundle,
        day,
        again,
        lambda b: cycle(b)["dosage"].update(dose=quantity("1", "g/kg")),
        lambda b: cycle(b)["dosage"].update(dose=quantity("150", "g")),
        lambda b: cycle(b)["dosage"]["rateRatio"].update(denominator=quantity("1", "d")),
        lambda b: cycle(b)["dosage"].pop("rateRatio"),
        lambda b: cycle(b)["dosage"].update(text="1 g/kg a day"),
        lambda b: course(b, "ivig")["dosage"][0]["doseAndRate"][0].update(doseQuantity=quantity("1.0", "g/kg")),
    )


def test_t7_route(bundle: Json) -> None:
    """T7: no route for cyclophosphamide and hydroxychloroquine."""
    oral, intravenous = concept("oral"), concept("intravenous")
    holds(
        traps.t7_no_route_where_none_is_stated,
        bundle,
        lambda b: course(b, "cyclophosphamide")["dosage"][0].update(route=intravenous),
        lambda b: course(b, "hydroxychloroquine", 0)["dosage"][1].update(route=oral),
        lambda b: course(b, "hydroxychloroquine", 1)["dosage"][0].update(route=oral),
    )


def test_t8_daily(bundle: Json) -> None:
    """T8: 600 mg for a day, not 600 mg once a day."""

    def once(b: Json) -> None:
        repeat = {"frequency": 1, "period": 1, "periodUnit": "d"}
        course(b, "hydroxychloroquine")["dosage"][0]["timing"] = {"repeat": repeat}

    def single(b: Json) -> None:
        course(b, "hydroxychloroquine")["dosage"][0]["doseAndRate"] = [{"doseQuantity": quantity("600", "mg")}]

    holds(traps.t8_daily_is_not_once_a_day, bundle, once, single)


def test_t9_two_months(bundle: Json) -> None:
    """T9: 2 and 12 months are the courses', not a line's."""

    def on_a_line(b: Json) -> None:
        bounds = {"repeat": {"boundsDuration": quantity("2", "mo")}}
        course(b, "hydroxychloroquine")["dosage"][1]["timing"] = bounds

    def not_on_the_course(b: Json) -> None:
        extension = next(e for e in course(b, "hydroxychloroquine")["extension"] if e["url"] == COURSE)
        extension["extension"] = [part for part in extension["extension"] if part["url"] != "duration"]

    holds(traps.t9_two_months_are_the_courses, bundle, on_a_line, not_on_the_course)


def test_t10_axillary_hair(bundle: Json) -> None:
    """T10: absent axillary hair is present."""
    holds(
        traps.t10_absent_hair_is_present,
        bundle,
        lambda b: put(valueCodeableConcept=concept("absent"))(observation(b, "absent-axillary-hair")),
        lambda b: put(code={"text": "axillary hair"}, valueCodeableConcept=concept("absent"))(
            observation(b, "absent-axillary-hair")
        ),
    )


def test_t11_fibrosis(bundle: Json) -> None:
    """T11: three findings on the skin, no fibrosis."""

    def seen(b: Json) -> None:
        finding = deepcopy(observation(b, "dermal-mucin-deposition"))
        add(b, "Observation", **finding | {"code": concept("dermal-fibrosis")})

    holds(
        traps.t11_no_fibrosis_seen,
        bundle,
        seen,
        lambda b: put(conclusion="mucin, fibroblasts, fibrosis")(one(resources(b, "DiagnosticReport"))),
    )


def test_t12_stain(bundle: Json) -> None:
    """T12: hematoxylin, not hematoxylin and eosin."""

    def stain(b: Json) -> Json:
        return one([r for r in resources(b, "Specimen") if "processing" in r])["processing"][0]

    holds(
        traps.t12_no_eosin,
        bundle,
        lambda b: stain(b).update(procedure=concept("hematoxylin-eosin-stain")),
        lambda b: stain(b).update(procedure={"text": "H&E (hematoxylin and eosin)"}),
    )


def test_t13_laboratory(bundle: Json) -> None:
    """T13: one absent infectious state; six tests without a result."""

    def glucose(b: Json) -> Json:
        named = [o for o in patients_own(b, "Observation") if o["code"].get("text") == "blood glucose"]
        return one(named)

    holds(
        traps.t13_no_normal_panels,
        bundle,
        lambda b: put(valueCodeableConcept=concept("normal"), dataAbsentReason=None)(glucose(b)),
        lambda b: put(interpretation=[concept("normal-interpretation")])(glucose(b)),
        lambda b: put(valueCodeableConcept=concept("present"))(observation(b, "infectious-state")),
        lambda b: put(conclusion="all normal")(one(resources(b, "DiagnosticReport"), 2)),
    )


def test_t14_age_at_onset(bundle: Json) -> None:
    """T14: three years before the presentation, never at the age of 60, no year of birth."""

    def condition(b: Json) -> Json:
        return one(coded(patients_own(b, "Condition"), TERMS.scleromyxedema))

    holds(
        traps.t14_no_age_at_onset,
        bundle,
        lambda b: put(onsetAge=quantity("60", "a"), onsetString=None, _onsetString=None)(condition(b)),
        lambda b: put(_onsetString=None)(condition(b)),
        lambda b: put(birthDate="1946", _birthDate=None)(one(resources(b, "Patient"))),
        lambda b: add(b, "Observation", code=concept("age"), valueQuantity=quantity("60", "a")),
    )


def test_t15_scleroderma(bundle: Json) -> None:
    """T15: scleroderma as printed, without a code, marked sic."""

    def condition(b: Json) -> Json:
        return one([r for r in literature(b, 13) if "sclero" in str(r.get("code", {}).get("text"))])

    holds(
        traps.t15_scleroderma_stays_as_printed,
        bundle,
        lambda b: put(code=concept("scleromyxedema"))(condition(b)),
        lambda b: condition(b)["code"].update(coding=concept("scleromyxedema")["coding"]),
        lambda b: put(note=None)(condition(b)),
    )


def test_t16_decimal_comma(bundle: Json) -> None:
    """T16: 1,5 g/kg is 1.5, and stays 1,5 in words."""

    def line(b: Json, number: int) -> Json:
        found: Json = one([r for r in literature(b, number) if coded([r], TERMS.ivig)])["dosage"][0]
        return found

    holds(
        traps.t16_decimal_comma,
        bundle,
        lambda b: line(b, 7)["doseAndRate"][0].update(doseQuantity=quantity("15", "g/kg")),
        lambda b: line(b, 12)["doseAndRate"][0].update(doseQuantity=quantity("4", "g/kg")),
        lambda b: line(b, 7).update(text="1.5 g/kg body weight, once monthly"),
    )


def test_t17_spelling(bundle: Json) -> None:
    """T17: photophoresis and melphalane as the source spells them, with the right codes."""

    def light(b: Json) -> Json:
        found: Json = one([r for r in patients_own(b, "Procedure") if "photoph" in str(r["code"])])["code"]
        return found

    def drug(b: Json) -> Json:
        found: Json = one(coded(literature(b, 9), TERMS.melphalan))["medicationCodeableConcept"]
        return found

    holds(
        traps.t17_spelling_of_the_source,
        bundle,
        lambda b: light(b).update(text="extracorporeal photopheresis"),
        lambda b: light(b).update(coding=concept("uva1-phototherapy")["coding"]),
        lambda b: drug(b).update(text="melphalan"),
        lambda b: drug(b).update(coding=concept("cyclophosphamide")["coding"]),
    )


def test_t18_dentures(bundle: Json) -> None:
    """T18: dentures became possible; nobody made them here."""
    holds(
        traps.t18_dentures_became_possible,
        bundle,
        lambda b: add(b, "Procedure", status="completed", code={"text": "new dentures"}),
        lambda b: put(valueString="new dentures were made")(observation(b, "functional-outcome")),
    )


def test_t19_people_of_table_1(bundle: Json) -> None:
    """T19: no sex, no age, no persons for the patients of Table 1."""

    def sex(b: Json) -> None:
        characteristic = {"code": {"text": "sex"}, "valueCodeableConcept": {"text": "male"}, "exclude": False}
        one(resources(b, "Group")).setdefault("characteristic", []).append(characteristic)

    def age(b: Json) -> None:
        group = next(e["fullUrl"] for e in b["entry"] if e["resource"]["resourceType"] == "Group")
        add(b, "Observation", code=concept("age"), subject={"reference": group}, valueQuantity=quantity("55", "a"))

    holds(
        traps.t19_nothing_on_the_people_of_table_1,
        bundle,
        sex,
        age,
        lambda b: b["entry"].append({"fullUrl": "urn:uuid:p2", "resource": {"resourceType": "Patient"}}),
    )


def test_t20_cyclophosphamide(bundle: Json) -> None:
    """T20: a temporary improvement, then stopped for intolerance."""

    def answer(b: Json, word: str) -> None:
        url = next(e["fullUrl"] for e in b["entry"] if e["resource"] is course(b, "cyclophosphamide"))
        found = coded(patients_own(b, "Observation"), TERMS.overall_response)
        one([r for r in found if {"reference": url} in r["focus"]])["valueCodeableConcept"] = concept(word)

    holds(
        traps.t20_helped_for_a_time_and_was_stopped,
        bundle,
        lambda b: answer(b, "no-response"),
        lambda b: answer(b, "improved"),
        lambda b: put(status="completed")(course(b, "cyclophosphamide")),
        lambda b: put(statusReason=None)(course(b, "cyclophosphamide")),
    )


def test_every_trap_has_its_test() -> None:
    """There are twenty traps, and a test of each."""
    functions = {name.split("_")[0] for name in vars(traps) if name.startswith("t") and name[1:2].isdigit()}
    tests = {name.split("_")[1] for name in globals() if name.startswith("test_t") and name[6:7].isdigit()}
    assert functions == tests == {f"t{number}" for number in range(1, 21)}
