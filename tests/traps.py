"""The traps of the published report: what a quick reader says and the source does not.

One function a trap, over a Bundle alone: it gives a sentence for each place where the Bundle falls into it.
The numbers T1-T20 are those of the design; `test_traps` proves that each function sees a fallen Bundle.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from mappings.terms import BASE, TERMS, Term

Json = dict[str, Any]
OWN = f"{BASE}/StructureDefinition/"
SOURCE, COURSE, CYCLE = OWN + "smx-source-assertion", OWN + "smx-therapy-course", OWN + "smx-cycle"
RELATIVE = "http://hl7.org/fhir/StructureDefinition/cqf-relativeDateTime"
METHODLESS = {TERMS.m_protein_clone.code, TERMS.m_protein_panel.code, "94400-9"}


# --- looking into a Bundle --------------------------------------------------------------------


def resources(bundle: Json, *types: str) -> list[Json]:
    """The resources of these types."""
    return [entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] in types]


def patients_own(bundle: Json, *types: str) -> list[Json]:
    """The resources of these types whose subject is the patient, not the people of Table 1."""
    patient = next(e["fullUrl"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Patient")
    return [r for r in resources(bundle, *types) if r.get("subject", {}).get("reference") == patient]


def means(concept: Any, term: Term) -> bool:
    """Whether a CodeableConcept has one of the codes of the term."""
    codings = concept.get("coding", ()) if isinstance(concept, dict) else ()
    return any((c.get("system"), c.get("code")) in term.pairs for c in codings)


def coded(found: list[Json], term: Term) -> list[Json]:
    """Those whose code, or drug, is the term."""
    return [r for r in found if means(r.get("code"), term) or means(r.get("medicationCodeableConcept"), term)]


def every(json: Any) -> Iterator[Json]:
    """Every object in it, itself first, without the narratives."""
    if isinstance(json, dict):
        yield json
        for name, value in json.items():
            if name != "text" or isinstance(value, str):
                yield from every(value)
    elif isinstance(json, list):
        for value in json:
            yield from every(value)


def words(json: Any) -> str:
    """All its strings, narratives and attached texts too, in lower case."""
    if isinstance(json, dict):
        if json.get("contentType") == "text/plain" and "data" in json:
            json = json | {"data": base64.b64decode(json["data"]).decode()}
        return " ".join(words(value) for value in json.values())
    if isinstance(json, list):
        return " ".join(words(value) for value in json)
    return json.lower() if isinstance(json, str) else ""


def inner(element: Json, url: str) -> Json:
    """The parts of a complex extension by their url: the value of each."""
    parts = next((e.get("extension", []) for e in element.get("extension", ()) if e["url"] == url), [])
    return {part["url"]: next((v for n, v in part.items() if n.startswith("value")), None) for part in parts}


def basis(element: Json) -> str | None:
    """On what an element says it rests."""
    found: str | None = inner(element, SOURCE).get("basis")
    return found


def component(resource: Json, term: Term) -> Json:
    """The component with this code, or nothing."""
    return next((c for c in resource.get("component", ()) if means(c.get("code"), term)), {})


def numbers(resource: Json) -> list[str]:
    """The members that hold a value, of the resource and its components."""
    held = [resource, *resource.get("component", ())]
    return [name for one in held for name in one if re.match(r"value(Quantity|Range|Integer|Ratio|String)$", name)]


def unknown(resource: Json) -> bool:
    """Whether the reason for there being no value is `unknown`."""
    return means(resource.get("dataAbsentReason"), TERMS["dar-unknown"])


def amount(quantity: Json | None) -> tuple[Decimal, str] | None:
    """(number, UCUM code) of a Quantity."""
    return (Decimal(quantity["value"]), quantity["code"]) if quantity else None


def ratio(json: Json | None) -> tuple[Any, Any]:
    """Numerator and denominator of a Ratio."""
    return (amount((json or {}).get("numerator")), amount((json or {}).get("denominator")))


def rates(dosage: Json) -> Json:
    """The first dose and rate of a line."""
    found: Json = next(iter(dosage.get("doseAndRate", ())), {})
    return found


def literature(bundle: Json, number: int) -> list[Json]:
    """The resources of the people of one reference of Table 1: those whose subject is its Group."""
    label = f"({number})"
    titles = [r for r in resources(bundle, "DocumentReference") if label in words(r.get("content"))]
    groups = {r["subject"]["reference"] for r in titles}
    return [e["resource"] for e in bundle["entry"] if e["resource"].get("subject", {}).get("reference") in groups]


# --- the traps --------------------------------------------------------------------------------


def t1_no_thyroid_disease_told(bundle: Json) -> Iterator[str]:
    """Absence of thyroid disease is a criterion; of this patient nothing is said, neither present nor refuted."""
    for r in patients_own(bundle, "Condition", "Observation"):
        if coded([r], TERMS.thyroid_disease) or "thyroid" in words(r.get("code")):
            yield "a statement on the patient's thyroid"
    for r in coded(patients_own(bundle, "Observation"), TERMS.diagnostic_criteria):
        criterion = component(r, TERMS.no_thyroid_disease)
        if not unknown(criterion) or any(name.startswith("value") for name in criterion):
            yield "the criterion has a value"
        if basis(criterion) != "not-stated":
            yield "the criterion does not say that nothing is stated"


def t2_no_dermato_neuro_syndrome(bundle: Json) -> Iterator[str]:
    """The dermato-neuro syndrome is that of two reports of Table 1; the patient's neurological status was normal."""
    for r in patients_own(bundle, "Condition", "Observation"):
        if coded([r], TERMS.dermato_neuro_syndrome) or re.search(r"neuro.?syndrome", words(r.get("code"))):
            yield "the patient has a dermato-neuro syndrome"
    for r in coded(patients_own(bundle, "Observation"), TERMS.neurological_status):
        if not means(r.get("valueCodeableConcept"), TERMS.normal):
            yield "the neurological status is not normal"


def t3_no_method_for_the_protein(bundle: Json) -> Iterator[str]:
    """How the monoclonal protein was found, how much it was, and when, is not said."""
    for term in (TERMS.m_protein_panel, TERMS.m_protein_clone):
        for r in coded(patients_own(bundle, "Observation"), term):
            if "method" in r or "specimen" in r:
                yield "a method or a specimen"
            if {c["code"] for c in r["code"]["coding"]} - METHODLESS:
                yield "a code that names a method"
            if numbers(r):
                yield "a quantity"
            if any(name.startswith("effective") for name in r):
                yield "a date"


def t4_no_thickness_values(bundle: Json) -> Iterator[str]:
    """Figure 2 is a picture: no number, and a reduction only for IVIg."""
    found = coded(patients_own(bundle, "Observation"), TERMS.skin_thickness_hfus)
    if len(found) != 4:
        yield "not four phases"
    for r in found:
        if numbers(r) or not unknown(r):
            yield "a number read from the picture"
    courses = {e["fullUrl"] for e in bundle["entry"] if coded([e["resource"]], TERMS.ivig)}
    for r in found:
        during_ivig = any(part["reference"] in courses for part in r.get("partOf", ()))
        change = component(r, TERMS.trend).get("valueCodeableConcept")
        if (change is not None) != during_ivig or (change and not means(change, TERMS.trend_decreased)):
            yield "another change than the reduction under IVIg"
        if "interpretation" in r:
            yield "a graded interpretation"


def t5_lambda_of_igg_is_a_reading(bundle: Json) -> Iterator[str]:
    """The λ is stated for IgM; that it holds for IgG too is inferred, and the resource says so in words."""
    clones = coded(patients_own(bundle, "Observation"), TERMS.m_protein_clone)
    for heavy, rests_on in ((TERMS.igg, "inferred"), (TERMS.igm, None)):
        mine = [
            r for r in clones if means(component(r, TERMS.m_protein_heavy_chain).get("valueCodeableConcept"), heavy)
        ]
        if len(mine) != 1:
            yield f"not one clone of {heavy.display}"
        for r in mine:
            light = component(r, TERMS.m_protein_light_chain)
            if basis(light) != rests_on:
                yield f"the light chain of {heavy.display} rests on something else"
            if rests_on and not any("λ" in note["text"] for note in r.get("note", ())):
                yield "no note on the reading"


def t6_no_daily_split(bundle: Json) -> Iterator[str]:
    """2 g/kg over two days is not 1 g/kg a day: one resource a cycle, no days, no 1 g/kg anywhere."""
    if any(amount(q) == (1, "g/kg") for q in every(bundle) if "value" in q and q.get("code") == "g/kg"):
        yield "1 g/kg as a quantity"
    if re.search(r"(?<![\d.,])1([.,]0+)? ?g/kg", words(bundle)):
        yield "1 g/kg in words"
    cycles = []
    for r in patients_own(bundle, "MedicationAdministration"):
        place = inner(r, CYCLE)
        cycles.append(place.get("number"))
        if "day" in place:
            yield "a day within a cycle"
        if amount(r["dosage"].get("dose")) != (2, "g/kg"):
            yield "another dose than 2 g/kg"
        if ratio(r["dosage"].get("rateRatio")) != ((2, "g/kg"), (2, "d")):
            yield "another rate than 2 g/kg in 2 days"
    if cycles != [1, 2, 3, 4, 5, 6]:
        yield "not one resource for each of six cycles"


def t7_no_route_where_none_is_stated(bundle: Json) -> Iterator[str]:
    """The ways of cyclophosphamide and hydroxychloroquine are not stated."""
    for r in patients_own(bundle, "MedicationStatement", "MedicationAdministration"):
        if coded([r], TERMS.cyclophosphamide) or coded([r], TERMS.hydroxychloroquine):
            lines = r.get("dosage", [])
            if any("route" in line for line in (lines if isinstance(lines, list) else [lines])):
                yield "a route"


def t8_daily_is_not_once_a_day(bundle: Json) -> Iterator[str]:
    """ "600 mg daily" is an amount for a day; how often is not said."""
    lines = [
        d for r in coded(patients_own(bundle, "MedicationStatement"), TERMS.hydroxychloroquine) for d in r["dosage"]
    ]
    found = [ratio(rates(line).get("rateRatio")) for line in lines]
    if found != [((600, "mg"), (1, "d")), ((200, "mg"), (1, "d")), ((200, "mg"), (1, "d"))]:
        yield "other daily doses than 600, 200 and 200 mg"
    for line in lines:
        if {"frequency", "timeOfDay", "when", "count"} & set(line.get("timing", {}).get("repeat", {})):
            yield "a number of times a day"
        if "doseQuantity" in rates(line):
            yield "a single dose"


def t9_two_months_are_the_courses(bundle: Json) -> Iterator[str]:
    """Whether the 2 months cover both doses is not said: durations belong to the course, not to a line."""
    courses = coded(patients_own(bundle, "MedicationStatement"), TERMS.hydroxychloroquine)
    if [amount(inner(r, COURSE).get("duration")) for r in courses] != [(2, "mo"), (12, "mo")]:
        yield "the courses do not last 2 and 12 months"
    for line in (line for r in courses for line in r["dosage"]):
        if any(name.startswith("bounds") for name in line.get("timing", {}).get("repeat", {})):
            yield "a duration on one line"


def t10_absent_hair_is_present(bundle: Json) -> Iterator[str]:
    """Absent axillary hair is a positive finding: the finding is present."""
    found = coded(patients_own(bundle, "Observation"), TERMS.absent_axillary_hair)
    if len(found) != 1:
        yield "not one finding of absent axillary hair"
    if any(not means(r.get("valueCodeableConcept"), TERMS.present) for r in found):
        yield "the finding is not present"
    for r in patients_own(bundle, "Observation"):
        if r not in found and "hair" in words(r.get("code")):
            yield "another finding on hair"


def t11_no_fibrosis_seen(bundle: Json) -> Iterator[str]:
    """Fibrosis is in the criteria; the legend of the patient's histology does not name it."""
    for r in patients_own(bundle, "Observation", "DiagnosticReport", "Condition"):
        if coded([r], TERMS.dermal_fibrosis) or "fibrosis" in words(
            [r.get("code"), r.get("conclusion"), r.get("note")]
        ):
            yield "fibrosis of the patient"
    specimens = {
        e["fullUrl"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Specimen"
        and "skin" in words(e["resource"].get("type"))
    }  # fmt: skip
    seen = [r for r in patients_own(bundle, "Observation") if r.get("specimen", {}).get("reference") in specimens]
    if len(seen) != 3:
        yield "not three findings on the skin specimen"


def t12_no_eosin(bundle: Json) -> Iterator[str]:
    """The legend says hematoxylin stain, not hematoxylin and eosin."""
    for r in resources(bundle, "Specimen"):
        steps = [step.get("procedure", {}) for step in r.get("processing", ())]
        if any(means(step, TERMS.hematoxylin_eosin_stain) or "104210008" in words(step) for step in steps):
            yield "the code of hematoxylin and eosin"
    if "eosin" in words(bundle):
        yield "eosin in words"


def t13_no_normal_panels(bundle: Json) -> Iterator[str]:
    """The tests showed no infection; that six of them were normal is not said."""
    lab = [r for r in resources(bundle, "DiagnosticReport") if means(r.get("code"), TERMS.laboratory_report)]
    named = {ref["reference"] for r in lab for ref in r.get("result", ())}
    results = [e["resource"] for e in bundle["entry"] if e["fullUrl"] in named]
    infection = coded(results, TERMS.infectious_state)
    if [means(r.get("valueCodeableConcept"), TERMS.absent) for r in infection] != [True]:
        yield "not one absent infectious state"
    tests = [r for r in results if r not in infection]
    if len(tests) != 6:
        yield "not six tests"
    for r in tests:
        if not unknown(r) or numbers(r) or "valueCodeableConcept" in r or "interpretation" in r or "component" in r:
            yield "a result of a test"
    if re.search(r"\bnormal\b", words([r.get("conclusion") for r in lab])):
        yield "a normal conclusion"


def t14_no_age_at_onset(bundle: Json) -> Iterator[str]:
    """63 less 3 is 60, give or take a year: the onset is three years before, never an age or a year of birth."""
    if any("onsetAge" in r for r in resources(bundle, "Condition")):
        yield "an age at onset"
    if any("birthDate" in r for r in resources(bundle, "Patient")):
        yield "a birth date"
    if any(amount(q) == (60, "a") for q in every(bundle) if "value" in q and q.get("code") == "a"):
        yield "60 years"
    for r in coded(patients_own(bundle, "Condition"), TERMS.scleromyxedema):
        told = inner(r.get("_onsetString", {}), RELATIVE)
        if (told.get("relationship"), amount(told.get("offset"))) != ("before-start", (3, "a")):
            yield "the onset is not three years before"


def t15_scleroderma_stays_as_printed(bundle: Json) -> Iterator[str]:
    """Reference 13 says scleroderma, probably a slip: as printed, without a code, marked sic."""
    found = [
        r for r in literature(bundle, 13) if r["resourceType"] == "Condition" and "sclero" in r["code"].get("text", "")
    ]
    if [r["code"].get("text") for r in found] != ["scleroderma with dermatoneuro-syndrome"]:
        yield "not as printed"
    for r in found:
        if "coding" in r["code"]:
            yield "a code for the slip"
        if not any(note["text"].startswith("sic") for note in r.get("note", ())):
            yield "not marked sic"


def t16_decimal_comma(bundle: Json) -> Iterator[str]:
    """Table 1 prints 1,5 g/kg: the value is 1.5, the words stay as printed."""
    doses = {7: "1,5", 14: "0,5", 12: "0,4", 13: "0,4", 15: "0,5"}
    for number, printed in doses.items():
        lines = [d for r in literature(bundle, number) if coded([r], TERMS.ivig) for d in r.get("dosage", ())]
        if [amount(rates(d).get("doseQuantity")) for d in lines] != [(Decimal(printed.replace(",", ".")), "g/kg")]:
            yield f"another dose in reference {number}"
        if not all(d.get("text", "").startswith(f"{printed} g/kg") for d in lines):
            yield f"other words in reference {number}"


def t17_spelling_of_the_source(bundle: Json) -> Iterator[str]:
    """The source spells photophoresis and melphalane: its words stay, the codes are right."""
    every_course = resources(bundle, "Procedure", "MedicationStatement")
    courses = [r for r in every_course if "photop" in words(r.get("code"))]
    if not courses or any(not means(r["code"], TERMS.extracorporeal_photopheresis) for r in courses):
        yield "the wrong code for photopheresis"
    if any(r["code"].get("text") != "extracorporeal photophoresis" for r in courses):
        yield "photopheresis in other words"
    drugs = [r["medicationCodeableConcept"] for r in literature(bundle, 9) if "medicationCodeableConcept" in r]
    if [means(d, TERMS.melphalan) for d in drugs if d.get("text") == "melphalane"] != [True]:
        yield "melphalane in other words or with another code"


def t18_dentures_became_possible(bundle: Json) -> Iterator[str]:
    """New dentures became possible; that they were made is not said."""
    if any("denture" in words(r) for r in resources(bundle, "Procedure", "Device", "DeviceUseStatement")):
        yield "dentures as a deed"
    told = [r.get("valueString", "") for r in coded(patients_own(bundle, "Observation"), TERMS.functional_outcome)]
    if not told or not all("denture" in text and "possible" in text for text in told):
        yield "not as a possibility"


def t19_nothing_on_the_people_of_table_1(bundle: Json) -> Iterator[str]:
    """Sex and age of the patients of Table 1 are not given; they are groups, not persons."""
    if len(resources(bundle, "Patient")) != 1:
        yield "another Patient"
    for r in resources(bundle, "Group"):
        if "member" in r or re.search(r"\b(sex|gender|male|female|age|years)\b", words(r.get("characteristic"))):
            yield "a characteristic of persons"
    about = patients_own(bundle, "Observation")
    for r in resources(bundle, "Observation"):
        if r not in about and (coded([r], TERMS.age) or coded([r], TERMS.age_calculated)):
            yield "an age"


def t20_helped_for_a_time_and_was_stopped(bundle: Json) -> Iterator[str]:
    """Cyclophosphamide helped for a time and was stopped for intolerance: neither a failure nor a success."""
    own = patients_own(bundle, "MedicationStatement")
    courses = [e for e in bundle["entry"] if e["resource"] in coded(own, TERMS.cyclophosphamide)]
    if [e["resource"].get("status") for e in courses] != ["stopped"]:
        yield "the course was not stopped"
    for e in courses:
        if not any("intolerance" in words(reason) for reason in e["resource"].get("statusReason", ())):
            yield "no reason for stopping"
    urls = {e["fullUrl"] for e in courses}
    answers = [
        r for r in coded(patients_own(bundle, "Observation"), TERMS.overall_response)
        if any(focus["reference"] in urls for focus in r.get("focus", ()))
    ]  # fmt: skip
    if [means(r.get("valueCodeableConcept"), TERMS.temporary_improvement) for r in answers] != [True]:
        yield "another response than a temporary one"
