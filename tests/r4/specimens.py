"""Sound resources for the tests of the R4 checker, and `patched`, which breaks one thing in one of them."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

Json = Any
DROP = object()
UCUM, LOINC = "http://unitsofmeasure.org", "http://loinc.org"
TERMINOLOGY, CORE = "http://terminology.hl7.org/CodeSystem/", "http://hl7.org/fhir/StructureDefinition/"
BASE = "http://example.org/fhir/"
DIV = '<div xmlns="http://www.w3.org/1999/xhtml">%s</div>'


def uuid(number: int) -> str:
    """Make a UUID of one digit."""
    return f"{str(number) * 8}-{str(number) * 4}-4{str(number) * 3}-8{str(number) * 3}-{str(number) * 12}"


def urn(number: int) -> str:
    """Make a fullUrl of one digit."""
    return "urn:uuid:" + uuid(number)


def resource(kind: str, **elements: Json) -> Json:
    """Make a resource with a narrative."""
    return {"resourceType": kind, "text": {"status": "generated", "div": DIV % "<p>a</p>"}, **elements}


def coded(system: str, code: str) -> Json:
    """Make a CodeableConcept."""
    return {"coding": [{"system": system, "code": code}]}


def quantity(value: str, unit: str) -> Json:
    """Make a UCUM quantity."""
    return {"value": Decimal(value), "unit": unit, "system": UCUM, "code": unit}


def ref(target: str) -> Json:
    """Make a reference."""
    return {"reference": target}


def entry(number: int, one: Json, **more: Json) -> Json:
    """Make an entry whose fullUrl is a urn."""
    return {"fullUrl": urn(number), "resource": {**one, "id": uuid(number)}, **more}


ABSENT = {"url": CORE + "data-absent-reason", "valueCode": "unknown"}
RELATIVE = {
    "url": CORE + "cqf-relativeDateTime",
    "extension": [
        {"url": "target", "valueReference": ref("Encounter/1")},
        {"url": "targetPath", "valueString": "Encounter.period"},
        {"url": "relationship", "valueCode": "before-start"},
        {"url": "offset", "valueDuration": quantity("3", "mo")},
    ],
}

PATIENT = resource(
    "Patient",
    id="p1",
    active=True,
    gender="male",
    birthDate="1960-02-29",
    meta={"profile": [CORE + "Patient"], "security": [{"system": TERMINOLOGY + "v3-ActReason", "code": "HTEST"}]},
    identifier=[{"system": "urn:ietf:rfc:3986", "value": urn(1)}],
    name=[{"id": "n1", "given": ["A", None], "_given": [None, {"extension": [ABSENT]}], "family": "B"}],
    contact=[{"name": {"text": "C"}}],
    telecom=[{"system": "phone", "value": "1", "rank": 1}],
    photo=[{"contentType": "image/png", "data": "aGVsbG8="}],
    extension=[{"url": "http://example.org/colour", "valueString": "blue"}],
)
OBSERVATION = resource(
    "Observation",
    id="o1",
    status="final",
    subject=ref("Patient/p1"),
    effectiveDateTime="2023-06-21",
    category=[coded(TERMINOLOGY + "observation-category", "laboratory")],
    code={"coding": [{"system": LOINC, "code": "2465-3", "display": "IgG"}], "text": "IgG"},
    valueQuantity=quantity("1.80", "g/L"),
    interpretation=[coded(TERMINOLOGY + "v3-ObservationInterpretation", "H")],
    referenceRange=[{"low": quantity("0.7", "g/L"), "high": quantity("1.6", "g/L")}],
    component=[{"code": {"text": "kappa"}, "valueString": "x"}],
)
WEIGHT = resource(
    "Observation",
    id="w1",
    status="final",
    subject=ref("Patient/p1"),
    effectiveDateTime="2023-06-21",
    category=[coded(TERMINOLOGY + "observation-category", "vital-signs")],
    code=coded(LOINC, "29463-7"),
    valueQuantity=quantity("70", "kg"),
)
PRESSURE = {
    **WEIGHT,
    "id": "b1",
    "code": coded(LOINC, "85354-9"),
    "component": [
        {"code": coded(LOINC, "8480-6"), "valueQuantity": quantity("120", "mm[Hg]")},
        {"code": coded(LOINC, "8462-4"), "valueQuantity": quantity("80", "mm[Hg]")},
    ],
}
del PRESSURE["valueQuantity"]
CONDITION = resource(
    "Condition",
    id="c1",
    subject=ref("Patient/p1"),
    onsetAge=quantity("63", "a"),
    recordedDate="2023",
    clinicalStatus=coded(TERMINOLOGY + "condition-clinical", "active"),
    verificationStatus=coded(TERMINOLOGY + "condition-ver-status", "confirmed"),
    category=[coded(TERMINOLOGY + "condition-category", "problem-list-item")],
    code={"text": "s"},
    stage=[{"summary": {"text": "I"}}],
    evidence=[{"code": [{"text": "e"}]}],
    extension=[{"url": CORE + "condition-dueTo", "valueCodeableConcept": {"text": "d"}}],
)
STATEMENT = resource(
    "MedicationStatement",
    id="m1",
    status="active",
    subject=ref("Patient/p1"),
    contained=[{"resourceType": "Medication", "id": "drug", "code": {"text": "IVIg"}}],
    medicationReference=ref("#drug"),
    effectivePeriod={"start": "2023-01", "end": "2023-06"},
    dosage=[
        {
            "timing": {
                "repeat": {
                    "frequency": 1,
                    "period": 4,
                    "periodUnit": "wk",
                    "duration": Decimal("2.0"),
                    "durationUnit": "d",
                }
            },
            "doseAndRate": [{"doseQuantity": quantity("2", "g/kg")}],
            "maxDosePerPeriod": {"numerator": quantity("4", "g"), "denominator": quantity("1", "d")},
        }
    ],
)
ADMINISTRATION = resource(
    "MedicationAdministration",
    id="a1",
    status="completed",
    medicationCodeableConcept={"text": "IVIg"},
    subject=ref("Patient/p1"),
    _effectiveDateTime={"extension": [RELATIVE]},
    dosage={"dose": quantity("140", "g")},
)
GROUP = resource("Group", id="g1", type="person", actual=True, member=[{"entity": ref("Patient/p1")}])
LIST = resource("List", id="l1", status="current", mode="snapshot", entry=[{"item": ref("Condition/c1")}])
COMPOSITION = resource(
    "Composition",
    id="k1",
    status="final",
    type={"text": "case"},
    date="2023-06-21T06:20:00Z",
    title="t",
    subject=ref(urn(1)),
    author=[{"display": "a"}],
    section=[{"title": "s", "entry": [ref(urn(2))]}],
)
ENCOUNTER = resource(
    "Encounter",
    id="e1",
    status="finished",
    subject=ref("Patient/p1"),
    **{"class": {"system": TERMINOLOGY + "v3-ActCode", "code": "IMP"}},
    period={"start": "2023-06-21T06:20:00Z", "end": "2023-06-21T09:20:00+02:00"},
)
REPORT = resource(
    "DiagnosticReport",
    id="r1",
    status="final",
    code={"text": "biopsy"},
    subject=ref("Patient/p1"),
    result=[ref("Observation/o1")],
)
PROVENANCE = resource(
    "Provenance",
    id="v1",
    target=[ref("Patient/p1")],
    recorded="2023-06-21T06:20:00Z",
    agent=[{"who": {"display": "a"}}],
    entity=[{"role": "source", "what": {"display": "s"}}],
)
PLAIN = {**OBSERVATION, "subject": ref(urn(1))}
COLLECTION = {"resourceType": "Bundle", "id": "x1", "type": "collection", "entry": [entry(1, PATIENT), entry(2, PLAIN)]}
DOCUMENT = {
    "resourceType": "Bundle",
    "id": "x2",
    "type": "document",
    "timestamp": "2023-06-21T06:20:00Z",
    "identifier": {"system": "urn:ietf:rfc:3986", "value": urn(5)},
    "entry": [entry(3, COMPOSITION), entry(1, PATIENT), entry(2, PLAIN)],
}
TRANSACTION = {
    "resourceType": "Bundle",
    "id": "x3",
    "type": "transaction",
    "entry": [
        entry(1, PATIENT, request={"method": "PUT", "url": "Patient/" + uuid(1)}),
        entry(2, PLAIN, request={"method": "PUT", "url": "Observation/" + uuid(2)}),
    ],
}
SERVER = {
    "resourceType": "Bundle",
    "id": "x4",
    "type": "collection",
    "entry": [
        {"fullUrl": BASE + "Patient/p1", "resource": PATIENT},
        {"fullUrl": BASE + "Observation/o1", "resource": OBSERVATION},
    ],
}

SOUND: dict[str, Json] = {
    "patient": PATIENT,
    "observation": OBSERVATION,
    "weight": WEIGHT,
    "pressure": PRESSURE,
    "condition": CONDITION,
    "statement": STATEMENT,
    "administration": ADMINISTRATION,
    "group": GROUP,
    "list": LIST,
    "composition": COMPOSITION,
    "encounter": ENCOUNTER,
    "report": REPORT,
    "provenance": PROVENANCE,
    "collection": COLLECTION,
    "document": DOCUMENT,
    "transaction": TRANSACTION,
    "server": SERVER,
}


def patched(name: str, path: str, value: Json) -> Json:
    """Copy a sound resource with one value set, or dropped, at a path such as ``code.coding.0.code``."""
    copied = copy.deepcopy(SOUND[name])
    *above, last = path.split(".")
    at = copied
    for step in above:
        at = at[int(step)] if isinstance(at, list) else at[step]
    key = int(last) if isinstance(at, list) else last
    if value is DROP:
        del at[key]
    elif isinstance(at, list) and key == len(at):
        at.append(value)
    else:
        at[key] = value
    return copied
