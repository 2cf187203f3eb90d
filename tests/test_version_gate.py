"""Documents of other versions of FHIR are refused by name: "This is STU3: MedicationAdministration.notGiven."

What is half-read may mean the opposite: the infusion that STU3 marks as not given looks given to an R4 reader.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from adapter.r4.rules import table
from mappings.versions import OTHER_MEMBERS, OTHER_TYPES
from tests.sent import (  # fmt: skip
    IVIG,
    PATIENT,
    bundle,
    clinical,
    coded,
    codes,
    condition,
    course,
    finding,
    infusion,
    kilos,
    read,
    ref,
    refused,
    weight,
)

Json = Any
DAY = "2024-01-01"
GIVEN: Json = {"resourceType": "MedicationAdministration", "id": "a", "status": "completed"}
TAKEN: Json = {"resourceType": "MedicationStatement", "id": "m", "status": "active"}
DRUG: Json = {"medicationCodeableConcept": IVIG}
ENCOUNTER: Json = {"resourceType": "Encounter", "id": "e", "status": "finished"}

#: What is said -> the resource in the shape of another version.
OTHERS: dict[str, Json] = {
    # as Oracle Health's DSTU2 endpoint serves it beside R4
    "DSTU2: MedicationAdministration.patient": GIVEN | DRUG | {"patient": ref("Patient/1")},
    "DSTU2: MedicationAdministration.wasNotGiven": GIVEN | DRUG | {"wasNotGiven": True},
    "DSTU2: MedicationAdministration.effectiveTimeDateTime": GIVEN | DRUG | {"effectiveTimeDateTime": DAY},
    "DSTU2: MedicationStatement.wasNotTaken": TAKEN | DRUG | {"wasNotTaken": True},
    "DSTU2: MedicationOrder": {"resourceType": "MedicationOrder", "id": "o"},
    "DSTU2: Condition.dateRecorded": condition(dateRecorded=DAY),
    "DSTU2: Condition.patient": condition(patient=ref("Patient/1")),
    "DSTU2: Condition.category as an object": condition(category=coded("urn:x", "diagnosis")),
    "DSTU2: Observation.comments": weight(comments="seen"),
    "DSTU2: Procedure.notPerformed": {"resourceType": "Procedure", "id": "p", "notPerformed": True},
    "DSTU2: Encounter.class as a string": ENCOUNTER | {"class": "inpatient"},
    "DSTU2: Patient.careProvider": PATIENT | {"id": "2", "careProvider": []},
    "DSTU2 or STU3: Condition.clinicalStatus as a string": condition(clinicalStatus="active"),
    "DSTU2 or STU3: Condition.verificationStatus as a string": condition() | {"verificationStatus": "refuted"},
    "DSTU2 or STU3: Observation.interpretation as an object": finding(interpretation=coded("urn:x", "NEG")),
    "DSTU2 or STU3: ProcedureRequest": {"resourceType": "ProcedureRequest", "id": "r"},
    # STU3
    "STU3: MedicationAdministration.notGiven": infusion(notGiven=True),
    "STU3: MedicationStatement.taken": course(taken="n"),
    "STU3: Condition.assertedDate": condition(assertedDate=DAY),
    "STU3: Observation.comment": weight(comment="seen"),
    "STU3: Procedure.notDone": {"resourceType": "Procedure", "id": "p", "notDone": True},
    "STU3: Medication.isOverTheCounter": {"resourceType": "Medication", "id": "x", "isOverTheCounter": True},
    "STU3: DeviceComponent": {"resourceType": "DeviceComponent", "id": "d"},
    # R5
    "R5: MedicationStatement.adherence": course(adherence={"code": coded("urn:x", "not-taking")}),
    "R5: MedicationStatement.medication": TAKEN | {"medication": {"concept": IVIG}},
    "R5: MedicationAdministration.medication": GIVEN | {"medication": {"concept": IVIG}},
    "R5: MedicationAdministration.occurenceDateTime": infusion(occurenceDateTime=DAY),
    "R5: Procedure.occurrencePeriod": {"resourceType": "Procedure", "id": "p", "occurrencePeriod": {"start": DAY}},
    "R5: Observation.triggeredBy": weight(triggeredBy=[]),
    "R5: Encounter.class as an array": ENCOUNTER | {"class": [coded("urn:x", "IMP")]},
    "R5: Condition.participant": condition(clinicalStatus=clinical("active"), participant=[]),
    "R5: ImagingSelection": {"resourceType": "ImagingSelection", "id": "i"},
}


@pytest.mark.parametrize("said", OTHERS)
def test_other_version_is_refused_by_name(said: str) -> None:
    """One such resource refuses the document: the issue says which version, by which member, at which entry."""
    issues = refused(bundle(PATIENT, weight(), OTHERS[said]))
    found = {issue.text: issue for issue in issues}
    told = found[f"This is {said}."]
    assert {issue.code for issue in issues} == {"other-version"}
    assert (told.path, told.expected) == ("Bundle.entry[2].resource", "FHIR R4 4.0.1")
    assert told.pointer.startswith("/entry/2/resource")


@pytest.mark.parametrize("said", ["STU3: MedicationAdministration.notGiven", "R5: ImagingSelection"])
def test_other_version_is_refused_in_every_shape(said: str) -> None:
    """Alone, contained, on a page, in an old version of a history: nothing is half-read."""
    resource = OTHERS[said]
    version = {"resource": resource, "request": {"method": "PUT", "url": f"{resource['resourceType']}/a"}}
    for document in (
        resource,
        weight(contained=[resource]),
        {"resourceType": "Parameters", "parameter": [{"name": "p", "resource": bundle(PATIENT, resource)}]},
        bundle(PATIENT, version, version, type_="history"),
    ):
        assert f"This is {said}." in [issue.text for issue in refused(document)]


def test_all_is_said_at_once() -> None:
    """Every resource of another version is named, not only the first."""
    issues = refused(bundle(PATIENT, *OTHERS.values()))
    assert {f"This is {said}." for said in OTHERS} <= {issue.text for issue in issues}


def _members(version: str, type_: str) -> set[str]:
    """The members of a type in a version, as the package fhir.resources has it."""
    module = import_module(f"fhir.resources.{version}{type_.lower()}")
    return {field.alias or name for name, field in getattr(module, type_).model_fields.items()}


@pytest.mark.parametrize("type_", OTHER_MEMBERS)
def test_members_are_those_of_other_versions_only(type_: str) -> None:
    """No member that gives another version away is one of R4B; those of STU3 and R5 are members there."""
    assert not OTHER_MEMBERS[type_].keys() & _members("R4B.", type_)
    for version, package in (("STU3", "STU3."), ("R5", "")):
        told = {name for name, versions in OTHER_MEMBERS[type_].items() if version in versions}
        assert not told or told <= _members(package, type_)


def test_types_are_those_of_other_versions_only() -> None:
    """No resource type that is refused is one of R4."""
    assert not OTHER_TYPES.keys() & table().resources


@pytest.mark.parametrize("type_", ["SubscriptionTopic", "Ingredient", "MedicinalProductDefinition", "NutritionProduct"])
def test_r4b_is_read_where_it_agrees(type_: str) -> None:
    """A type that only R4B has is left like any that no table knows; the rest is read."""
    case, report = read(bundle(PATIENT, weight(), {"resourceType": type_, "id": "x"}))
    assert kilos(case) == {"observation-w": "60"}
    assert codes(report) == ["unknown-resource"]


def test_r4b_model_is_read() -> None:
    """A Bundle of fhir.resources' R4B models is read like its JSON."""
    from fhir.resources.R4B.bundle import Bundle

    document = bundle(PATIENT, weight())
    case, _ = read(Bundle.model_validate(document))
    assert kilos(case) == {"observation-w": "60"}
