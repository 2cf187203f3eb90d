"""The same fact in other clothes: other codes, other resource types, other units, no course, no cycles.

What is exactly the same is read without a word; what is nearly the same is read and told; what only looks the
same is not read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from mappings import dump_case
from mappings.codec import ALIASES
from mappings.concepts.administration import ADMINISTRATION
from mappings.concepts.monoclonal_protein import HeavyChain, LightChain
from mappings.concepts.product import DRUGS
from mappings.terms import SILENT, SYSTEMS, TERMS, rows
from mappings.values import Duration, Quantity, Source, ValueOrAbsent
from tests.corpus import needs_corpus, path
from tests.sent import (
    FEVER,
    IVIG,
    PATIENT,
    SNOMED,
    amount,
    bundle,
    changed,
    clinical,
    coded,
    codes,
    condition,
    course,
    finding,
    infusion,
    issue,
    read,
    ref,
    weight,
)

Json = Any
DERIVED = ("course-derived", "cycle-grouped")


def section(document: Json, name: str) -> Any:
    """One section of the case, as its document has it."""
    return dump_case(read(document)[0]).get(name, [])


# --- other codes ----------------------------------------------------------------------------------

PROCEDURE: Json = {"resourceType": "Procedure", "id": "p", "status": "completed", "subject": ref("Patient/1")}
INBOUND = [pytest.param(*row[:3], row[4], id=" ".join((*row[:3], row[4]))) for row in rows("inbound.tsv")]
HELD = {
    "scleromyxedema": ("conditions", "role", "mucinosis"),
    "monoclonal-gammopathy": ("conditions", "role", "gammopathy"),
    "present": ("findings", "presence", "present"),
    "absent": ("findings", "presence", "absent"),
    "ivig": ("therapies", "kind", "drug"),
    "uva1-phototherapy": ("therapies", "kind", "procedure"),
    "extracorporeal-photopheresis": ("therapies", "kind", "procedure"),
}


def resource_of(term: str, code: Json) -> Json:
    """A resource whose meaning hangs on this code."""
    return {
        "conditions": lambda: condition(code=code, clinicalStatus=clinical("active")),
        "findings": lambda: finding(valueCodeableConcept=code),
        "therapies": lambda: course(medicationCodeableConcept=code) if term == "ivig" else PROCEDURE | {"code": code},
    }[HELD[term][0]]()


@pytest.mark.parametrize(("term", "system", "code", "how"), INBOUND)
def test_code_of_another_system(term: str, system: str, code: str, how: str) -> None:
    """Each row of inbound.tsv: the fact is read; only an equivalent code is read without a word."""
    held, field, word = HELD[term]
    case, report = read(bundle(PATIENT, resource_of(term, coded(SYSTEMS[system].uri, code))))
    (item,) = dump_case(case)[held]
    assert item[field] == word
    spelled = ["unknown-element"] if held == "findings" else []  # a word keeps no code
    assert codes(report) == (spelled if how in SILENT else ["inexact-code"])
    if how not in SILENT:
        told = issue(report, "inexact-code")
        assert (told.level, f"code {code} " in told.text, how in told.text) == ("warning", True, True)


def test_exact_code_beside_an_inexact_one() -> None:
    """Where an exact code stands beside one that is wider, nothing is inexact; both are kept, in order."""
    wide, exact = (SYSTEMS["icd10"].uri, "L98.5"), (SYSTEMS["ncit"].uri, "C85061")
    code = {"coding": [{"system": s, "code": c} for s, c in (wide, exact)]}
    case, report = read(bundle(PATIENT, condition(code=code, clinicalStatus=clinical("active"))))
    assert codes(report) == []
    assert [(c.system, c.code) for c in case.conditions[0].code.codings] == [wide, exact]


def test_codes_that_contradict_each_other() -> None:
    """Codes of two diagnoses in one resource: it is read by the first, and the report says so."""
    code = {"coding": [{"system": SYSTEMS["ncit"].uri, "code": c} for c in ("C35548", "C85061")]}
    case, report = read(bundle(PATIENT, condition(code=code, clinicalStatus=clinical("active"))))
    assert case.conditions[0].role == "gammopathy"
    assert issue(report, "code-conflict").level == "warning"


def test_local_codings_come_first_and_stay_in_order() -> None:
    """A hospital's own codings stand first: the drug is known by the one that is mapped, all are kept as sent."""
    own = {"system": "urn:oid:1.2.3", "version": "7", "code": "PRIV10", "display": "Priv 10", "userSelected": True}
    product = {"system": "http://hl7.org/fhir/sid/ndc", "code": "44206-0436-05"}
    code = {"coding": [own, *IVIG["coding"], product], "text": "Privigen 10%"}
    case, report = read(bundle(PATIENT, course(medicationCodeableConcept=code)))
    assert codes(report) == []
    assert dump_case(case)["therapies"][0]["code"] == {
        "text": "Privigen 10%",
        "codings": [
            {"system": "urn:oid:1.2.3", "code": "PRIV10", "display": "Priv 10", "version": "7", "user_selected": True},
            *IVIG["coding"],
            product,
        ],
    }


@pytest.mark.parametrize("system", ["L", "local codes", None], ids=["no URI", "spaces", "no system"])
def test_coding_without_a_whole_system_is_left(system: str | None) -> None:
    """A coding that no system can be told of stays in the Bundle, and the report says which; the others are read."""
    local = {"code": "FA"} | ({"system": system} if system else {})
    site = {"coding": [local, {"system": SNOMED, "code": "14975008"}], "text": "forearm"}
    case, report = read(bundle(PATIENT, weight(bodySite=site)))
    assert [c.code for c in case.measurements[0].site.codings] == ["14975008"]  # type: ignore[union-attr]
    assert issue(report, "unreadable-element").pointer == "/entry/1/resource/bodySite/coding/0"


def test_foreign_coding_of_the_patient_does_not_refuse_the_document() -> None:
    """What cannot be read of an identifier or a tag stays where it is; the patient is read."""
    local = {"coding": [{"system": "MRN types", "code": "MR"}], "text": "MRN"}
    patient = PATIENT | {"identifier": [{"type": local, "value": "9"}], "meta": {"tag": [{"system": "x", "code": "y"}]}}
    case, _ = read(bundle(patient, weight()))
    assert [(i.value, i.type and i.type.text) for i in case.patient.identifiers] == [("9", "MRN")]


# --- other resource types ------------------------------------------------------------------------


def test_statement_is_a_course() -> None:
    """A MedicationStatement is a course; its dose is no infusion."""
    dose = [{"sequence": 1, "doseAndRate": [{"doseQuantity": amount(2, "g/kg")}]}]
    (found,) = section(bundle(PATIENT, course(effectiveDateTime="2024-01-01", dosage=dose)), "therapies")
    assert found["doses"] == [{"sequence": 1, "amount": {"value": 2, "unit": "g/kg"}}]
    assert "administrations" not in found


@pytest.mark.parametrize("type_", ["MedicationRequest", "MedicationDispense", "ServiceRequest"])
@pytest.mark.parametrize("status", ["active", "completed"])
def test_order_is_never_read_as_given(type_: str, status: str) -> None:
    """What was ordered or handed out was not necessarily given: not mapped, and the report says why."""
    order = course("o", resourceType=type_, status=status, intent="order")
    case, report = read(bundle(PATIENT, order))
    assert case.therapies == ()
    told = issue(report, "unknown-resource")
    assert "given" in told.text or "done" in told.text


@pytest.mark.parametrize(
    ("term", "status", "word"),
    [("uva1-phototherapy", "completed", "completed"), ("ivig-therapy", "in-progress", "active"),
     ("extracorporeal-photopheresis", "stopped", "stopped"), ("plasmapheresis", "not-done", "not-given")],
)  # fmt: skip
def test_procedure_is_a_course_without_dose(term: str, status: str, word: str) -> None:
    """A Procedure of a therapy is a course: also of IVIg, where it was coded as a procedure."""
    code = {"coding": [{"system": c.system, "code": c.code} for c in TERMS[term].codings[:1]]}
    (found,) = section(bundle(PATIENT, PROCEDURE | {"status": status, "code": code}), "therapies")
    assert (found["kind"], found["status"]) == ("procedure", word)


DRUG_CASES = [pytest.param(term, id=term.name) for term in DRUGS]


@pytest.mark.parametrize("term", DRUG_CASES)
@pytest.mark.parametrize("how", ["concept", "entry", "contained"])
def test_drug_by_concept_or_reference(term: Any, how: str) -> None:
    """The drug of an infusion is told by a concept, a Medication, or one inside: a course of it is derived."""
    code = {"coding": [{"system": term.codings[0].system, "code": term.code}]}
    medication = {"resourceType": "Medication", "id": "x", "code": code, "batch": {"lotNumber": "L1"}}
    more: Json = {"medicationCodeableConcept": code}
    if how != "concept":
        more = {"medicationReference": ref("#x" if how == "contained" else "Medication/x")}
    given = {n: v for n, v in infusion().items() if n != "medicationCodeableConcept"} | more
    given |= {"contained": [medication]} if how == "contained" else {}
    case, _ = read(bundle(PATIENT, given, *([medication] if how == "entry" else [])))
    (therapy,) = case.therapies
    assert therapy.code.codings[0].code == term.code
    assert [one.lot for one in case.products] == ([] if how == "concept" else ["L1"])


STEROID = {"coding": [{"system": "http://www.whocc.no/atc", "code": "H02AB04"}], "text": "methylprednisolone"}
PROFILE = {"profile": [ADMINISTRATION.profile]}


@pytest.mark.parametrize("link", ["derivedFrom", "supportingInformation"])
def test_a_premedication_is_no_infusion_of_the_course(link: str) -> None:
    """Another drug that a course names as given with it is a course of its own, as if nothing named it."""
    linked = [infusion("a"), infusion("premed", medicationCodeableConcept=STEROID)]
    if link == "derivedFrom":
        named = [ref(f"MedicationAdministration/{one['id']}") for one in linked]
        document = bundle(PATIENT, course(derivedFrom=named), *linked)
    else:
        there = {"supportingInformation": [ref("MedicationStatement/m")]}
        document = bundle(PATIENT, course(), *({**one, **there} for one in linked))
    case, _ = read(document)
    found = {therapy.code.codings[0].code: len(therapy.administrations) for therapy in case.therapies}
    assert found == {"J06BA02": 1, "H02AB04": 1}


@pytest.mark.parametrize(
    "drug",
    [{"text": "placebo"}, {"coding": [{"system": "http://hospital.example", "code": "7"}]}],
    ids=["text", "code"],
)
def test_a_drug_that_is_not_known_is_not_that_of_the_course(drug: Json) -> None:
    """It is our kind of resource and names the course, which does not make it an infusion of IVIg."""
    there = {"supportingInformation": [ref("MedicationStatement/m")], "meta": PROFILE}
    case, report = read(bundle(PATIENT, course(), infusion("a", medicationCodeableConcept=drug, **there)))
    assert case.therapies[0].administrations == ()
    assert [issue.level for issue in report.issues if issue.disposition == "refused"] == ["error"]


@pytest.mark.parametrize("more", [{}, {"meta": PROFILE}], ids=["by code", "by profile"])
@pytest.mark.parametrize("contained", [True, False])
def test_a_medication_entered_in_error_says_no_drug(contained: bool, more: Json) -> None:
    """What was given with it stays as it is: nobody knows what it was."""
    medication = {"resourceType": "Medication", "id": "x", "status": "entered-in-error", "code": IVIG}
    given = infusion("a", supportingInformation=[ref("MedicationStatement/m")], **more)
    del given["medicationCodeableConcept"]
    given["medicationReference"] = ref("#x" if contained else "Medication/x")
    others = [] if contained else [medication]
    given |= {"contained": [medication]} if contained else {}
    case, _ = read(bundle(PATIENT, course(), given, *others))
    assert [therapy.administrations for therapy in case.therapies] == [()]


def test_unknown_drug_is_not_read() -> None:
    """A drug that no row knows is told as not mapped: no course is invented."""
    given = infusion(medicationCodeableConcept=coded("http://hl7.org/fhir/sid/ndc", "51144-050-01"))
    case, report = read(bundle(PATIENT, given))
    assert case.therapies == ()
    assert codes(report) == ["unknown-resource"]


# --- dose and rate --------------------------------------------------------------------------------


def given_dose(dosage: Json) -> tuple[Json, list[str]]:
    """What is read of the dosage of an infusion, and what the report says beside the derived course."""
    case, report = read(bundle(PATIENT, infusion(dosage=dosage)))
    (one,) = dump_case(case)["therapies"][0]["administrations"]
    held = {n: v for n, v in one.items() if n not in ("key", "source", "status", "cycle", "when")}
    return held, [code for code in codes(report) if code not in DERIVED]


RATE = {"numerator": amount(1, "g/kg"), "denominator": amount(1, "d")}
DOSES: dict[str, tuple[Json, Json, list[str]]] = {
    "dose": ({"dose": amount(2, "g/kg")}, {"dose": {"value": 2, "unit": "g/kg"}}, []),
    "rate without dose": ({"rateQuantity": amount(60, "mL/h")}, {"rate": {"value": 60, "unit": "mL/h"}}, []),
    "rate as a ratio": (
        {"rateRatio": RATE},
        {"rate_ratio": {"numerator": {"value": 1, "unit": "g/kg"}, "denominator": {"value": 1, "unit": "d"}}},
        [],
    ),
    "dose for its time": (
        {"dose": amount(1, "g/kg"), "rateRatio": RATE},
        {"dose": {"value": 1, "unit": "g/kg"}, "over": {"value": 1, "unit": "d"}},
        ["unknown-element"],  # the unit "d" as its own display
    ),
    "a time where the rate should be": (
        {"dose": amount(2, "g/kg"), "rateQuantity": amount(20, "min")},
        {"dose": {"value": 2, "unit": "g/kg"}, "over": {"value": 20, "unit": "min"}},
        ["duration-as-rate", "unknown-element"],
    ),
    "a time, and no dose": ({"rateQuantity": amount(20, "min")}, {}, ["wrong-unit"]),
    "a unit that nobody knows": ({"dose": {"value": 2, "unit": "vials"}}, {}, ["wrong-unit"]),
    "a rate in a unit of no rate": ({"dose": amount(2, "g"), "rateQuantity": amount(1, "[drp]")},
                                    {"dose": {"value": 2, "unit": "g"}}, ["wrong-unit"]),
}  # fmt: skip


@pytest.mark.parametrize("name", DOSES)
def test_dose(name: str) -> None:
    """A dose, a rate, both, or what looks like one; nothing is converted and nothing guessed."""
    sent, held, told = DOSES[name]
    assert given_dose(sent) == (held, told)


@needs_corpus
def test_medadmin0305_of_hl7() -> None:
    """HL7's own example says 20 min as the rate of 1.8 mg/kg: read as the time that the dose took, and told."""
    from mappings import decode

    example = decode(path("MedicationAdministration-medadmin0305.json").read_bytes())
    example["contained"][0]["code"] = IVIG
    case, report = read(example)
    (one,) = case.therapies[0].administrations
    assert (str(one.dose), str(one.over), one.rate) == ("1.8 mg/kg", "20 minutes", None)
    assert issue(report, "duration-as-rate").level == "warning"

    def longer(case: Any) -> Any:
        therapy = case.therapies[0]
        other = replace(therapy.administrations[0], over=Duration(therapy.administrations[0].over.value * 3, "min"))
        return replace(case, therapies=(replace(therapy, administrations=(other,)),))

    found = changed(example, longer)
    assert {pointer.partition("/dosage/")[2].split("/")[0] for pointer in found} == {"rateQuantity", "rateRatio"}


# --- units ----------------------------------------------------------------------------------------

KNOWN = {alias: unit for alias, unit in ALIASES.items() if unit in ("g/kg", "um", "g")}


@pytest.mark.parametrize("how", ["unit", "code"])
@pytest.mark.parametrize("alias", KNOWN)
def test_unit_in_another_spelling(alias: str, how: str) -> None:
    """An alias is read as its UCUM code and told; the sender's spelling stays, in the case and in the Bundle."""
    sent: Json = {"value": 2, "unit": alias}
    sent |= {"system": "http://unitsofmeasure.org", "code": alias} if how == "code" else {}
    if KNOWN[alias] == "um":
        code = coded(TERMS.skin_thickness_hfus.codings[0].system, TERMS.skin_thickness_hfus.code)
        case, report = read(bundle(PATIENT, weight(code=code, valueQuantity=sent)))
        value = case.measurements[0].value.quantity
    else:
        case, report = read(bundle(PATIENT, infusion(dosage={"dose": sent})))
        value = case.therapies[0].administrations[0].dose
    assert value is not None
    assert (value.unit, value.display) == (KNOWN[alias], alias)
    assert issue(report, "unit-alias").text == f"A unit in another spelling is read as {KNOWN[alias]}."


@pytest.mark.parametrize(
    "sent",
    [{"value": 60, "unit": "stone"}, {"value": 60, "unit": "kg", "system": SNOMED, "code": "258683005"},
     amount(132, "[lb_av]"), {"value": 60}, {"value": "60", "unit": "kg"}],
    ids=["no unit of UCUM", "another system", "pounds", "no unit", "text"],
)  # fmt: skip
def test_unknown_unit_is_never_converted(sent: Json) -> None:
    """A weight in an unknown unit is no weight of the case; it is an error that says what was expected."""
    case, report = read(bundle(PATIENT, weight(valueQuantity=sent)))
    assert case.measurements == ()
    assert [i.code for i in report.errors] == ["unreadable-resource"]


# --- courses and cycles ---------------------------------------------------------------------------


def days(*starts: str, each: int = 1) -> list[str]:
    """``each`` days in a row from each start."""
    first = [date.fromisoformat(start) for start in starts]
    return [(day + timedelta(n)).isoformat() for day in first for n in range(each)]


def grouped(*resources: Json) -> list[tuple[int | None, int | None]]:
    """(cycle, day) of each infusion of the one course that is read."""
    case, _ = read(bundle(PATIENT, *resources))
    (therapy,) = case.therapies
    return [(one.cycle, one.day) for one in therapy.administrations]


SIX = days(*(f"2024-{month:02}-01" for month in range(1, 7)), each=2)


def test_twelve_infusions_are_six_cycles() -> None:
    """Two days in a row, six times, a month apart: six cycles of two days, basis derived, and told."""
    infusions = [infusion(f"a{n}", day) for n, day in enumerate(SIX)]
    assert grouped(*infusions) == [(cycle, day) for cycle in range(1, 7) for day in (1, 2)]
    case, report = read(bundle(PATIENT, *infusions))
    (therapy,) = case.therapies
    assert {one.source.basis for one in (therapy, *therapy.administrations) if one.source} == {"derived"}
    assert therapy.status == "unknown"
    assert issue(report, "cycle-grouped").text == "12 infusions, 6 cycles."
    assert issue(report, "course-derived").level == "warning"


def test_order_of_entries_means_nothing() -> None:
    """Infusions that come in any order are in the same cycles."""
    infusions = [infusion(f"a{n}", day) for n, day in enumerate(SIX)]
    found = grouped(*reversed(infusions))
    assert found[::-1] == grouped(*infusions)


def test_day_that_was_not_done_stays_not_given() -> None:
    """A not-done day belongs to its cycle and is not given."""
    infusions = [infusion(f"a{n}", day) for n, day in enumerate(SIX[:4])]
    infusions[1] |= {"status": "not-done", "statusReason": [{"text": "fever"}]}
    case, _ = read(bundle(PATIENT, *infusions))
    (therapy,) = case.therapies
    told = [(one.cycle, one.status) for one in therapy.administrations]
    assert told == [(1, "given"), (1, "not-given"), (2, "given"), (2, "given")]
    assert therapy.administrations[1].status_reasons[0].text == "fever"


@pytest.mark.parametrize(
    ("gap", "cycles"),
    [(1, [1, 1]), (5, [1, 1]), (6, [None] * 2), (13, [None] * 2), (14, [1, 2]), (70, [1, 2])],
)
def test_gap(gap: int, cycles: list[int | None]) -> None:
    """Up to five days apart is one cycle, from fourteen the next; between, nobody can tell: each stays alone."""
    second = (date(2024, 1, 1) + timedelta(gap)).isoformat()
    assert [c for c, _ in grouped(infusion("a", "2024-01-01"), infusion("b", second))] == cycles


def test_overlapping_drugs_are_courses_of_their_own() -> None:
    """Infusions of two drugs on the same days are two courses, each with cycles of its own."""
    other = coded(TERMS.cyclophosphamide.codings[0].system, TERMS.cyclophosphamide.code)
    found = [infusion(f"a{n}", day) for n, day in enumerate(SIX[:4])]
    found += [infusion(f"b{n}", day, medicationCodeableConcept=other) for n, day in enumerate(days("2024-01-15"))]
    case, _ = read(bundle(PATIENT, *found))
    assert [(one.key, [a.cycle for a in one.administrations]) for one in case.therapies] == [
        ("derived-ivig", [1, 1, 2, 2]),
        ("derived-cyclophosphamide", [1]),
    ]


@pytest.mark.parametrize(
    "more",
    [{"effectiveDateTime": "2024-01"}, {"effectiveDateTime": None, "effectivePeriod": {"end": "2024-01-02"}}],
    ids=["a month", "no start"],
)
def test_without_days_nothing_is_grouped(more: Json) -> None:
    """An infusion that has no day leaves no way to tell cycles apart."""
    second = {name: value for name, value in (infusion("b") | more).items() if value is not None}
    assert grouped(infusion(), second) == [(None, None), (None, None)]


def test_course_that_names_its_infusions_is_not_derived() -> None:
    """Where a course lists its infusions, or they name it, nothing is derived, and no cycle is made up."""
    listed = course(derivedFrom=[ref("MedicationAdministration/a")])
    naming = infusion("b", "2024-02-01", supportingInformation=[ref("MedicationStatement/m")])
    case, report = read(bundle(PATIENT, listed, infusion(), naming))
    (therapy,) = case.therapies
    assert [(one.key, one.cycle) for one in therapy.administrations] == [
        ("medicationadministration-a", None),
        ("medicationadministration-b", None),
    ]
    assert codes(report) == []


NOT_READ: dict[str, Json] = {
    "in error": {"status": "entered-in-error"},
    "of another": {"subject": ref("Patient/2")},
    "with a modifier": {"modifierExtension": [{"url": "urn:x", "valueBoolean": True}]},
}


@pytest.mark.parametrize("name", NOT_READ)
def test_no_course_is_derived_from_what_is_not_read(name: str) -> None:
    """An infusion that is not read leaves no trace in the case, neither a course nor its words."""
    named = infusion("x", medicationCodeableConcept=IVIG | {"text": "another's"}, **NOT_READ[name])
    assert read(bundle(PATIENT, named))[0].therapies == ()
    (therapy,) = read(bundle(PATIENT, named, infusion("y")))[0].therapies
    assert therapy.code.text is None
    assert [one.key for one in therapy.administrations] == ["medicationadministration-y"]


def _course(case: Any, **more: Any) -> Any:
    return replace(case, therapies=(replace(case.therapies[0], **more),))


def _infusion(case: Any, index: int, **more: Any) -> Any:
    found = list(case.therapies[0].administrations)
    found[index] = replace(found[index], **more)
    return _course(case, administrations=tuple(found))


EDITS: dict[str, tuple[Any, set[str]]] = {
    "another status of one": (lambda case: _infusion(case, 1, status="not-given"), {"/entry/2/resource/status"}),
    "a fact of the course": (lambda case: _course(case, status="completed"), set()),
    "another cycle of one": (lambda case: _infusion(case, 1, cycle=2, day=3), set()),
    "another day of one": (lambda case: _infusion(case, 1, when=replace(case.therapies[0].administrations[1].when,
                                                                     at="2024-01-20")), set()),
    "no cycles": (lambda case: _course(case, administrations=tuple(
        replace(one, cycle=None, day=None, source=None) for one in case.therapies[0].administrations)), set()),
    "one more": (lambda case: _course(case, administrations=(*case.therapies[0].administrations, replace(
        case.therapies[0].administrations[0], key="new", cycle=3))), set()),
    "a course of its own": (lambda case: _course(case, key="mine"), set()),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_edit_of_what_was_derived(name: str) -> None:
    """What follows from the dates is not written; where it no longer follows, course and cycles are written out."""
    edit, leaves = EDITS[name]
    found = changed(bundle(PATIENT, *(infusion(f"a{n}", day) for n, day in enumerate(SIX[:4]))), edit)
    if leaves:
        assert set(found) == leaves
    else:
        added = {new for pointer, (_, new) in found.items() if pointer.endswith("/resourceType")}
        assert "MedicationStatement" in added


def test_written_out_course_does_not_swallow_others() -> None:
    """A course that was derived once and is now in the Bundle; infusions that come later get one beside it."""
    mine = course("derived", identifier=[]) | {"derivedFrom": [ref("MedicationAdministration/a")]}
    case, _ = read(bundle(PATIENT, mine, infusion(), infusion("b", "2024-03-01")))
    assert [len(one.administrations) for one in case.therapies] == [1, 1]
    assert len({one.key for one in case.therapies}) == 2


# --- findings as Conditions -----------------------------------------------------------------------

CONDITIONS: dict[str, tuple[Json, str | None, str | None]] = {
    "confirmed": (condition(), "present", None),
    "confirmed and active": (condition(clinicalStatus=clinical("active")), "present", None),
    "recurring": (condition(clinicalStatus=clinical("recurrence")), "present", None),
    "refuted": (condition(status="refuted"), "absent", None),
    "unconfirmed": (condition(status="unconfirmed"), "unknown", None),
    "resolved": (condition(clinicalStatus=clinical("resolved")), None, "modifier"),
    "in remission": (condition(clinicalStatus=clinical("remission")), None, "modifier"),
    "inactive": (condition(clinicalStatus=clinical("inactive")), None, "modifier"),
    "in error": (condition(status="entered-in-error"), None, "entered-in-error"),
    "a guess": (condition(status="provisional"), None, "unreadable-resource"),
    "one of several guesses": (condition(status="differential"), None, "unreadable-resource"),
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_sign_as_condition(name: str) -> None:
    """A sign that is kept as a Condition is a finding: refuted is absent; one that is over is not present."""
    sent, presence, told = CONDITIONS[name]
    case, report = read(bundle(PATIENT, sent))
    assert [one.presence for one in case.findings] == ([presence] if presence else [])
    assert case.conditions == ()
    assert [i.code for i in report.errors] == ([told] if told else [])


def test_edit_of_a_sign_as_condition() -> None:
    """The Condition stays a Condition: another presence is another verification status, in its place."""

    def denied(case: Any) -> Any:
        return replace(case, findings=(replace(case.findings[0], presence="absent"),))

    found = changed(bundle(PATIENT, condition(note=[{"text": "seen"}])), denied)
    assert "/entry/1/resource/verificationStatus/coding/0/code" in found
    assert all(pointer.startswith("/entry/1/resource/verificationStatus/") for pointer in found)


# --- M-protein --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["m-protein-total", "m-protein-band-1", "m-protein-band-2"])
def test_amount_of_m_protein_without_isotype(name: str) -> None:
    """An amount of which chain nobody says is a measurement by its code: exact, and no clone is made up."""
    code = {"coding": [{"system": c.system, "code": c.code} for c in TERMS[name].codings[:1]]}
    case, report = read(bundle(PATIENT, weight("m", code=code, valueQuantity=amount(12, "g/L"))))
    (one,) = case.measurements
    assert (one.kind, str(one.value.quantity)) == ("other", "12 g/L")
    assert (case.monoclonal_protein, codes(report)) == ((), [])


LAMBDA = ("igg", "lambda")
LAB = "https://lab.example/cs"
ANSWERS: dict[str, tuple[Json, tuple[str, str] | None]] = {
    "text": ({"valueString": "IgG lambda"}, LAMBDA),
    "Greek": ({"valueString": " IgG-λ "}, LAMBDA),
    "kappa": ({"valueString": "igM Kappa"}, ("igm", "kappa")),
    "coded, with text": ({"valueCodeableConcept": coded(LAB, "igg_lambda") | {"text": "IgG lambda"}}, LAMBDA),
    "coded, with display": ({"valueCodeableConcept": {"coding": [{"code": "7", "display": "IgG lambda"}]}}, LAMBDA),
    "two": ({"valueCodeableConcept": {"coding": [{"display": "IgG lambda"}, {"display": "IgM lambda"}]}}, None),
    "a code alone": ({"valueCodeableConcept": coded(LAB, "7")}, None),
    "two clones": ({"valueString": "IgG lambda and IgM lambda"}, None),
    "prose": ({"valueString": "No IgG lambda seen"}, None),
    "a doubt": ({"valueString": "IgG lambda?"}, None),
    "half": ({"valueString": "IgG"}, None),
    "nothing": ({}, None),
}  # fmt: skip


def immunofixation(id_: str = "ife", **more: Json) -> dict[str, Json]:
    """The result of an immunofixation, whatever it is."""
    code = coded("http://loinc.org", TERMS.immunofixation_interpretation.code)
    return {n: v for n, v in weight(id_, code=code).items() if n != "valueQuantity"} | more


@pytest.mark.parametrize("name", ANSWERS)
def test_isotype_as_a_laboratory_says_it(name: str) -> None:
    """Words such as IgG lambda and no more are a clone, in a derived panel of unknown clonality; prose is left."""
    sent, chains = ANSWERS[name]
    case, report = read(bundle(PATIENT, immunofixation(**sent)))
    found = [(c.heavy_chain.type, c.light_chain.type) for panel in case.monoclonal_protein for c in panel.clones]
    assert found == ([chains] if chains else [])
    if chains:
        (panel,) = case.monoclonal_protein
        assert (panel.clonality, panel.source, panel.clones[0].quantity.absent.reason) == (
            "unknown", Source("derived"), "unknown",
        )  # fmt: skip
    assert codes(report)[0] == ("panel-derived" if chains else "unreadable-resource")
    assert set(codes(report)[1:]) <= {"unknown-element"}  # the sender's own spelling


def test_two_immunofixations_are_two_clones_of_one_panel() -> None:
    """How many clones there are is not counted: nobody says that these were all."""
    sent = [immunofixation("a", valueString="IgG lambda"), immunofixation("b", valueString="IgM lambda")]
    case, _ = read(bundle(PATIENT, *sent))
    (panel,) = case.monoclonal_protein
    assert ([c.heavy_chain.type for c in panel.clones], panel.clonality) == (["igg", "igm"], "unknown")


def _of_clone(**facts: Any) -> Callable[[Any], Any]:
    """An edit of the one clone."""

    def edit(case: Any) -> Any:
        (panel,) = case.monoclonal_protein
        return replace(case, monoclonal_protein=(replace(panel, clones=(replace(panel.clones[0], **facts),)),))

    return edit


def _clonality(case: Any) -> Any:
    """The panel is told now: it has to be written out."""
    return replace(case, monoclonal_protein=(replace(case.monoclonal_protein[0], clonality="monoclonal"),))


CLONE_EDITS: dict[str, tuple[Callable[[Any], Any], set[str]]] = {
    "another chain": (_of_clone(heavy_chain=HeavyChain(type="iga")), {"valueString"}),
    "half of it": (_of_clone(light_chain=None), {"valueString", "component"}),
    "on what a chain rests": (_of_clone(light_chain=LightChain(type="lambda", source=Source("inferred"))),
                              {"valueString", "component"}),
    "a quantity": (_of_clone(quantity=ValueOrAbsent(Quantity(Decimal("1.80"), "g/L"))), {"component"}),
    "a band": (_of_clone(band=2), {"component"}),
}  # fmt: skip


@pytest.mark.parametrize("name", CLONE_EDITS)
def test_edit_of_an_immunofixation(name: str) -> None:
    """The laboratory's Observation stays what it is; the changed fact is written into it."""
    edit, elements = CLONE_EDITS[name]
    sent = immunofixation(valueString="IgG lambda", note=[{"text": "seen twice"}])
    found = changed(bundle(PATIENT, sent), edit)
    assert {pointer.split("/")[4] for pointer in found} == elements


def test_panel_that_is_told_is_written_out() -> None:
    """A derived panel with a fact of its own becomes a resource that names the laboratory's Observation."""
    found = changed(bundle(PATIENT, immunofixation(valueString="IgG lambda")), _clonality)
    assert any(pointer.endswith("/hasMember/0/reference") for pointer in found)


# --- nothing is invented ----------------------------------------------------------------------------


def test_bundle_without_scleromyxedema_invents_none() -> None:
    """Another disease, another drug: a patient and a report, no diagnosis, no course."""
    asthma = condition(code=coded(SNOMED, "195967001"), clinicalStatus=clinical("active"))
    case, report = read(bundle(PATIENT, asthma))
    assert (case.conditions, case.findings, case.therapies, case.patient.sex) == ((), (), (), "female")
    assert codes(report) == ["unknown-resource"]


def test_unusual_is_not_refused() -> None:
    """A skin score of 145, a cycle of five days, an interval of ten weeks, 0.1 g/kg: told nowhere as wrong."""
    score = coded(TERMS.skin_score.codings[0].system, TERMS.skin_score.code)
    found = [infusion(f"a{n}", day, dosage={"dose": amount(1, "mg/kg")}) for n, day in enumerate(
        days("2024-01-01", "2024-03-11", each=5))]  # fmt: skip
    case, report = read(bundle(PATIENT, weight("s", code=score, valueQuantity=amount(145, "{score}")), *found))
    assert [one.cycle for one in case.therapies[0].administrations] == [1] * 5 + [2] * 5
    assert (report.errors, codes(report)) == ([], list(DERIVED))
    assert FEVER["coding"][0]["code"] not in str(case)
