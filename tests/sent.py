"""Small documents as other systems send them, and what must hold of every document that is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from mappings import Case, Issue, MappingError, Report, dump_case, encode, from_fhir, to_fhir
from mappings.entries import entries_of
from mappings.values import Quantity, ValueOrAbsent
from mappings.wire import as_plain
from tests.foreign import leaves, received

Json = Any
SERVER = "http://server.example/fhir"
UCUM = "http://unitsofmeasure.org"
SNOMED = "http://snomed.info/sct"
PATIENT: Json = {"resourceType": "Patient", "id": "1", "gender": "female"}
IVIG: Json = {"coding": [{"system": "http://www.whocc.no/atc", "code": "J06BA02"}]}
FEVER: Json = {"coding": [{"system": "http://human-phenotype-ontology.org", "code": "HP:0001945"}]}
PRESENT, ABSENT = ("LA9633-4", "LA9634-2")


# --- resources --------------------------------------------------------------------------------


def coded(system: str, code: str, **more: Json) -> Json:
    """A CodeableConcept of one coding."""
    return {"coding": [{"system": system, "code": code}], **more}


def amount(value: Any, unit: str, **more: Json) -> Json:
    """A UCUM Quantity."""
    return {"value": value, "unit": unit, "system": UCUM, "code": unit, **more}


def ref(reference: str) -> Json:
    return {"reference": reference}


def weight(id_: str = "w", kg: Any = 60, **more: Json) -> Json:
    """A body weight of ``Patient/1``."""
    found = {"resourceType": "Observation", "id": id_, "status": "final", "code": coded("http://loinc.org", "29463-7")}
    found |= {"subject": ref("Patient/1"), "effectiveDateTime": "2024-01-01", "valueQuantity": amount(kg, "kg")}
    return found | more


def infusion(id_: str = "a", day: str = "2024-01-01", **more: Json) -> Json:
    """An infusion of IVIg to ``Patient/1``."""
    found = {"resourceType": "MedicationAdministration", "id": id_, "status": "completed"}
    return found | {"medicationCodeableConcept": IVIG, "subject": ref("Patient/1"), "effectiveDateTime": day} | more


def course(id_: str = "m", **more: Json) -> Json:
    """A course of IVIg of ``Patient/1``."""
    found = {"resourceType": "MedicationStatement", "id": id_, "status": "active", "medicationCodeableConcept": IVIG}
    return found | {"subject": ref("Patient/1")} | more


def finding(id_: str = "f", **more: Json) -> Json:
    """An Observation of fever in ``Patient/1``; whether it was there is for ``more`` to say."""
    found = {"resourceType": "Observation", "id": id_, "status": "final", "code": FEVER, "subject": ref("Patient/1")}
    return found | more


def condition(id_: str = "c", code: Json = FEVER, status: str = "confirmed", **more: Json) -> Json:
    """A Condition of ``Patient/1``."""
    base = "http://terminology.hl7.org/CodeSystem/condition"
    found = {"resourceType": "Condition", "id": id_, "verificationStatus": coded(f"{base}-ver-status", status)}
    return found | {"code": code, "subject": ref("Patient/1")} | more


def clinical(status: str) -> Json:
    """A clinicalStatus."""
    return coded("http://terminology.hl7.org/CodeSystem/condition-clinical", status)


# --- documents --------------------------------------------------------------------------------


def bundle(*resources: Json, type_: str = "collection", server: str | None = SERVER, **more: Json) -> Json:
    """A Bundle; what has neither ``resource`` nor ``request`` is a resource, and gets a fullUrl of the server."""
    return {"resourceType": "Bundle", "type": type_, "entry": [entry(one, server) for one in resources], **more}


def entry(one: Json, server: str | None = SERVER) -> Json:
    """A resource as an entry; an entry stays what it is."""
    if "resourceType" not in one:
        return one
    url = {"fullUrl": f"{server}/{one['resourceType']}/{one['id']}"} if server and "id" in one else {}
    return {**url, "resource": one}


# --- what must hold ---------------------------------------------------------------------------


def read(document: Any, **options: Any) -> tuple[Case, Report]:
    """The case and the report of a document, of which every leaf is accounted for and comes back as it was."""
    case, report = from_fhir(document, **options)
    plain = as_plain(document)
    assert_account(plain, report)
    assert encode(to_fhir(case, onto=document)) == encode(plain)
    return case, report


def assert_account(plain: Json, report: Report) -> None:
    """mapped + rest == leaves, counted anew; every issue speaks for the leaves at its pointer, and no leaf twice."""
    found = dict(leaves(plain))
    assert report.total == len(found)
    assert report.mapped + sum(issue.leaves for issue in report.issues) == len(found)
    told: set[str] = set()
    for issue in sorted(report.issues, key=lambda one: -one.pointer.count("/")):
        if issue.disposition in ("kept", "refused"):
            below = {pointer for pointer in found if f"{pointer}/".startswith(f"{issue.pointer}/")} - told
            if issue.disposition == "kept":  # a refused one points at what is wrong inside it
                contained = {pointer for pointer in below if "/contained/" in pointer.removeprefix(issue.pointer)}
                assert issue.leaves in (len(below), len(below - contained))
                told |= below


def codes(report: Report) -> list[str]:
    """The codes of the issues, but for what every document has, in order."""
    return [i.code for i in report.issues if i.code not in ("envelope", "narrative-generated")]


def issue(report: Report, code: str) -> Issue:
    """The one issue of this code."""
    found = [one for one in report.issues if one.code == code]
    assert len(found) == 1, [one.code for one in report.issues]
    return found[0]


def refused(document: Any, **options: Any) -> list[Issue]:
    """The issues of a document that is refused as a whole."""
    try:
        from_fhir(document, **options)
    except MappingError as error:
        return list(error.issues)
    raise AssertionError("it was read")


def kilos(case: Case) -> dict[str, str]:
    """The weights of a case by key, with their digits."""
    return {one.key: str(one.value.quantity.value) for one in case.measurements if one.value.quantity}


def changed(document: Any, edit: Callable[[Case], Case], **options: Any) -> dict[str, tuple[Json, Json]]:
    """The edit law: with ``edit`` written onto it the document is read as the edited case. Gives what differs.

    A leaf that is not there is None; narratives are left out.
    """
    now = edit(from_fhir(document, **options)[0])
    out = received(to_fhir(now, onto=document))
    assert encode(dump_case(from_fhir(out, **options)[0])) == encode(dump_case(now))
    was, new = dict(leaves(as_plain(document))), dict(leaves(out))
    return {
        pointer: (was.get(pointer), new.get(pointer))
        for pointer in was | new
        if encode(was.get(pointer)) != encode(new.get(pointer)) and "/text/" not in pointer
    }


def reweighed(key: str) -> Callable[[Case], Case]:
    """An edit: this weight is 61.50 kg."""

    def edit(case: Case) -> Case:
        value = ValueOrAbsent(quantity=Quantity(Decimal("61.50"), "kg"))
        found = tuple(replace(one, value=value) if one.key == key else one for one in case.measurements)
        assert found != case.measurements
        return replace(case, measurements=found)

    return edit


def hidden(document: Json) -> list[Json]:
    """Every resource of a document: entries, pages, contained ones."""
    return [node.resource for node in entries_of(document).nodes]
