"""What others deny, doubt, take back or qualify is never read as so: a table of cases, none inverted, none given.

Each row of `CASES` is what is sent beside a patient, what the case may say of it (all that it says), and the code
of the report where it is not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from adapter.r4.rules import table
from mappings import dump_case, encode, from_fhir, load_case, to_fhir
from mappings.case import TABLES
from mappings.concepts.literature import LITERATURE_ROW
from mappings.resource import members
from mappings.terms import SYSTEMS
from tests.foreign import leaves
from tests.sent import (
    ABSENT,
    PATIENT,
    PRESENT,
    amount,
    bundle,
    changed,
    clinical,
    coded,
    condition,
    course,
    finding,
    infusion,
    read,
    ref,
    weight,
)

Json = Any
LOINC = "http://loinc.org"
INTERPRETATION = SYSTEMS["observation-interpretation"].uri
ACTOR = [{"actor": {"display": "Dr X"}, "function": {"text": "by"}}]
DAR = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
MODIFIER = {"modifierExtension": [{"url": "http://foreign.example/not", "valueBoolean": True}]}
YES, NO = coded(LOINC, PRESENT), coded(LOINC, ABSENT)
BOTH: Json = {"coding": [*YES["coding"], *NO["coding"]]}
SURE_AND_REFUTED: Json = {
    "coding": [
        {"system": "http://terminology.hl7.org/CodeSystem/condition-ver-status", "code": code}
        for code in ("confirmed", "refuted")
    ]
}
UVA1: Json = {"resourceType": "Procedure", "id": "p", "status": "completed", "subject": ref("Patient/1"),
              "code": coded("https://scleromyx.invalid/fhir/CodeSystem/smx", "uva1-phototherapy")}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """What is sent; the words that the case then holds in its sections; the code of what is not read."""

    name: str
    sent: Json
    said: tuple[str, ...] = ()
    code: str | None = None


def dose(**more: Json) -> Json:
    return {"dose": amount(2, "g/kg", **more)}


def line(**more: Json) -> Json:
    """A line of a regimen."""
    return [{"sequence": 1, "doseAndRate": [{"doseQuantity": amount(2, "g/kg", **more)}]}]


def ratio(**more: Json) -> Json:
    return {"numerator": amount(2, "g/kg", **more), "denominator": amount(2, "d")}


ERROR, OPAQUE, TURNED, ELSE = "entered-in-error", "unreadable-resource", "modifier", "other-subject"
CASES = (
    # denied
    Row("finding absent", finding(valueCodeableConcept=NO), ("absent",)),
    Row("finding present", finding(valueCodeableConcept=YES), ("present",)),
    *(Row(f"finding {code}", finding(valueCodeableConcept=coded(INTERPRETATION, code)), ("absent",))
      for code in ("ND", "NEG")),
    *(Row(f"finding {code}", finding(valueCodeableConcept=coded(INTERPRETATION, code)), ("present",))
      for code in ("DET", "POS")),
    Row("finding, no in v2-0136", finding(valueCodeableConcept=coded(SYSTEMS["v2-0136"].uri, "N")), ("absent",)),
    Row("sign refuted", condition(status="refuted"), ("absent",)),
    Row("diagnosis refuted", condition(code=coded(SYSTEMS["ncit"].uri, "C85061"), status="refuted"), ("refuted",)),
    Row("infusion not done", infusion(status="not-done"), ("not-given",)),
    Row("course not taken", course(status="not-taken"), ("not-given",)),
    Row("procedure not done", UVA1 | {"status": "not-done"}, ("not-given",)),
    Row("order not to give", course("o", resourceType="MedicationRequest", intent="order", doNotPerform=True), (),
        "unknown-resource"),
    # not said, or said in words that no row knows
    Row("finding without a value", finding(), (), OPAQUE),
    Row("finding false", finding(valueBoolean=False), (), OPAQUE),
    Row("finding true", finding(valueBoolean=True), (), OPAQUE),
    Row("finding in prose", finding(valueString="no fever"), (), OPAQUE),
    Row("finding as a number", finding(valueInteger=0), (), OPAQUE),
    Row("finding in a code of nobody's", finding(valueCodeableConcept=coded("urn:x", "no")), (), OPAQUE),
    Row("finding with a bare code", finding(valueCodeableConcept={"coding": [{"code": ABSENT}]}), (), OPAQUE),
    Row("finding by interpretation alone", finding(interpretation=[coded(INTERPRETATION, "NEG")]), (), OPAQUE),
    Row("sign without verification", {n: v for n, v in condition().items() if n != "verificationStatus"}, (), OPAQUE),
    Row("infusion without status", {n: v for n, v in infusion().items() if n != "status"}, (), OPAQUE),
    Row("infusion, status of nobody's", infusion(status="given"), (), OPAQUE),
    Row("course without status", {n: v for n, v in course().items() if n != "status"}, (), OPAQUE),
    # contradicted
    Row("finding present, interpreted as negative", finding(valueCodeableConcept=YES,
        interpretation=[coded(INTERPRETATION, "NEG")]), (), TURNED),
    Row("finding absent, interpreted as positive", finding(valueCodeableConcept=NO,
        interpretation=[coded(INTERPRETATION, "POS")]), (), TURNED),
    Row("finding present, interpreted so", finding(valueCodeableConcept=YES,
        interpretation=[coded(INTERPRETATION, "POS")]), ("present",)),
    Row("finding with a value and none", finding(valueCodeableConcept=YES, dataAbsentReason=coded(DAR, "error")), (),
        OPAQUE),
    Row("weight with a value and none", weight(dataAbsentReason=coded(DAR, "error")), (), OPAQUE),
    Row("finding present and absent", finding(valueCodeableConcept=BOTH), (), OPAQUE),
    Row("finding absent and present", finding(valueCodeableConcept={"coding": BOTH["coding"][::-1]}), (), OPAQUE),
    Row("finding present, in two codes", finding(valueCodeableConcept={"coding": [
        *YES["coding"], *coded(INTERPRETATION, "POS")["coding"]]}), ("present",)),
    Row("sign confirmed and refuted", condition(verificationStatus=SURE_AND_REFUTED), (), OPAQUE),
    # over
    *(Row(f"sign {status}", condition(clinicalStatus=clinical(status)), (), TURNED)
      for status in ("resolved", "remission", "inactive")),
    *(Row(f"sign with {name}", condition(**{name: value}), (), TURNED)
      for name, value in (("abatementDateTime", "2024"), ("abatementString", "soon"), ("abatementAge", {}))),
    Row("diagnosis resolved", condition(code=coded(SYSTEMS["ncit"].uri, "C85061"), clinicalStatus=clinical("resolved")),
        ("resolved", "confirmed")),
    # no value, and why
    Row("weight not done", {n: v for n, v in weight(dataAbsentReason=coded(DAR, "not-performed")).items()
                            if n != "valueQuantity"}, ("not-performed",)),
    Row("finding unknown", finding(dataAbsentReason=coded(DAR, "unknown")), ("unknown",)),
    Row("finding masked", finding(dataAbsentReason=coded(DAR, "masked")), (), OPAQUE),
    Row("finding absent for a reason of nobody's", finding(dataAbsentReason=coded("urn:x", "no")), (), OPAQUE),
    # taken back, or not final
    *(Row(f"in error: {one['resourceType']} {one['id']}", one | {"status": "entered-in-error"}, (), ERROR)
      for one in (weight(), finding(valueCodeableConcept=YES), infusion(), course(), UVA1)),
    Row("in error: sign", condition(status="entered-in-error"), (), ERROR),
    Row("in error: diagnosis", condition(code=coded(SYSTEMS["ncit"].uri, "C85061"), status="entered-in-error",
        clinicalStatus=clinical("active")), (), ERROR),
    *(Row(f"weight {status}", weight(status=status), (), OPAQUE)
      for status in ("registered", "preliminary", "cancelled", "unknown")),
    # of another
    Row("weight of another", weight(subject=ref("Patient/2")), (), ELSE),
    Row("weight of a donor", weight(focus=[{"display": "the donor"}]), (), ELSE),
    Row("weight of a fetus", weight(focus=[ref("Patient/2")]), (), ELSE),
    Row("weight of the patient, twice said", weight(focus=[ref("Patient/1")]), ("60",)),
    # modifiers
    *(Row(f"modifier on {one['resourceType']} {one['id']}", one | MODIFIER, (), TURNED)
      for one in (weight(), finding(valueCodeableConcept=YES), condition(), infusion(), course(), UVA1)),
    *(Row(f"other rules for {one['resourceType']} {one['id']}", one | {"implicitRules": "urn:x"}, (), TURNED)
      for one in (weight(), finding(valueCodeableConcept=YES), condition(), infusion(), course(), UVA1)),
    Row("modifier on a dosage", infusion(dosage=dose() | MODIFIER), (), TURNED),
    Row("modifier on a line", course(dosage=[line()[0] | MODIFIER]), (), TURNED),
    Row("modifier on its timing", course(dosage=[line()[0] | {"timing": {"repeat": {"count": 6}} | MODIFIER}]), (),
        TURNED),
    Row("modifier on a performer", infusion(performer=[ACTOR[0] | MODIFIER]), ("given",)),
    # comparators
    Row("dose below", infusion(dosage=dose(comparator="<")), (), TURNED),
    Row("dose of a line below", course(dosage=line(comparator="<")), (), TURNED),
    Row("dose of a range above", course(dosage=[{"sequence": 1, "doseAndRate": [
        {"doseRange": {"low": amount(1, "g/kg", comparator=">")}}]}]), (), TURNED),
    Row("rate below", infusion(dosage=dose() | {"rateQuantity": amount(60, "mL/h", comparator="<")}), (), TURNED),
    Row("rate of a ratio below", infusion(dosage=dose() | {"rateRatio": ratio(comparator="<")}), (), TURNED),
    Row("rate of a line below", course(dosage=[line()[0] | {"doseAndRate": [{"rateRatio": ratio(comparator="<")}]}]),
        (), TURNED),
    Row("a time below where the rate should be", infusion(dosage=dose() | {
        "rateQuantity": amount(20, "min", comparator="<")}), (), TURNED),
    Row("bounds below", course(dosage=[line()[0] | {"timing": {"repeat": {
        "boundsDuration": amount(6, "mo", comparator="<")}}}]), (), TURNED),
    Row("weight below", weight(valueQuantity=amount(60, "kg", comparator="<")), ("<", "60")),
    Row("weight of a comparator of nobody's", weight(valueQuantity=amount(60, "kg", comparator="~")), (), TURNED),
)  # fmt: skip
SECTIONS = ("conditions", "findings", "measurements", "therapies")
WORDS = ("presence", "status", "verification_status", "clinical_status", "reason", "comparator", "value")


def said(case: Any) -> tuple[str, ...]:
    """The words and numbers of a case that say yes, no, how much."""
    document = dump_case(case)
    held = {name: document[name] for name in SECTIONS if name in document}
    found = []
    for pointer, value in leaves(held):
        name = pointer.rpartition("/")[2]
        if name in WORDS and not (name == "status" and pointer.count("/") == 3 and value == "unknown"):
            found.append(str(value))
    return tuple(found)


@pytest.mark.parametrize("row", CASES, ids=lambda row: row.name)
def test_never_inverted_and_never_read_as_given(row: Row) -> None:
    """The case says exactly the words of the row; what is not read is in the report, whole, with its code."""
    case, report = read(bundle(PATIENT, row.sent))
    words = [word for word in said(case) if not (row.sent["resourceType"] == "MedicationStatement" and word == "2")]
    assert sorted(words) == sorted(row.said)
    loud = {issue.code for issue in report.issues if issue.disposition == "refused" or issue.code == row.code}
    assert loud == ({row.code} if row.code else set())
    if not row.said:
        assert [getattr(case, name) for name in SECTIONS] == [()] * 4


@pytest.mark.parametrize("row", [row for row in CASES if not row.said], ids=lambda row: row.name)
def test_strict_refuses_what_is_not_read(row: Row) -> None:
    """With ``strict`` the document is refused, and the reason is the same."""
    with pytest.raises(Exception) as error:
        from_fhir(bundle(PATIENT, row.sent), strict=True)
    assert row.code in {issue.rule for issue in error.value.issues}  # type: ignore[attr-defined]


# --- every table, every level --------------------------------------------------------------------

EXAMPLES = Path(__file__).parent.parent / "examples"


@cache
def ours(name: str) -> Json:
    """The Bundle of an example, as a transaction that a server kept: foreign to nobody's tables."""
    return to_fhir(load_case((EXAMPLES / name / "case.json").read_bytes()))


PROFILES = {one.profile: one for one in TABLES}
OURS = [
    (name, index, resource["resourceType"], resource["meta"]["profile"][0])
    for name in ("published-case", "synthetic-course")
    for index, resource in enumerate(entry["resource"] for entry in ours(name)["entry"])
    if resource["meta"]["profile"][0] in PROFILES
]
#: One resource of each table.
EACH = {profile.rpartition("/")[2]: (name, index) for name, index, _, profile in reversed(OURS)}


def with_change(name: str, index: int, change: Any) -> Json:
    """The example with one resource changed in place."""
    document = dict(ours(name))
    document["entry"] = list(document["entry"])
    resource = deepcopy(document["entry"][index]["resource"])
    change(resource)
    document["entry"][index] = document["entry"][index] | {"resource": resource}
    return document


def is_read(document: Json, index: int) -> bool:
    """Whether the report accounts for the entry as mapped."""
    _, report = from_fhir(document)
    pointer = f"/entry/{index}/resource"
    return not any(i.disposition == "refused" and f"{i.pointer}/".startswith(f"{pointer}/") for i in report.issues)


def _in_error(resource: Json) -> None:
    if resource["resourceType"] == "Condition":
        system = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
        resource["verificationStatus"] = coded(system, "entered-in-error")
    else:
        resource["status"] = "entered-in-error"


@pytest.mark.parametrize("profile", [p for p in EACH if p not in ("smx-patient", "smx-literature-group")])
@pytest.mark.parametrize("how", ["in error", "modifier", "implicitRules"])
def test_resource_of_each_table_is_not_read(profile: str, how: str) -> None:
    """Of every table a resource that is in error, or that a modifier may turn round, is an error and not read."""
    name, index = EACH[profile]
    change = {
        "in error": _in_error,
        "modifier": lambda resource: resource.update(MODIFIER),
        "implicitRules": lambda resource: resource.update(implicitRules="urn:x"),
    }[how]
    document = with_change(name, index, change)
    case, report = from_fhir(document)
    key = document["entry"][index]["resource"]["identifier"][0]["value"].partition("/")[2]
    told = [i for i in report.errors if i.pointer.startswith(f"/entry/{index}/resource")]
    assert [i.code for i in told] == ["entered-in-error" if how == "in error" else "modifier"]
    assert key not in {value for pointer, value in leaves(dump_case(case)) if pointer.endswith("/key")}


def backbones(resource: Json) -> Iterator[str]:
    """The pointers of the elements of a resource that can have a modifier extension in R4."""
    yield from _backbones(resource, "", table().types[resource["resourceType"]]["at"], "")


def _backbones(json: Json, pointer: str, at: Json, path: str) -> Iterator[str]:
    for element in at.get(path, ()):
        name, types = element[0], element[3]
        value = json.get(name)
        listed = value if isinstance(value, list) else [value] if isinstance(value, dict) else []
        for number, inner in enumerate(listed):
            here = f"{pointer}/{name}/{number}" if isinstance(value, list) else f"{pointer}/{name}"
            for type_ in {"BackboneElement", "Element", "Dosage", "Timing"} & set(types):
                if type_ != "Element":
                    yield here
                own = type_ in ("BackboneElement", "Element")
                inside = (at, f"{path}.{name}".lstrip(".")) if own else (table().types[type_]["at"], "")
                yield from _backbones(inner, here, *inside)


LEVELS = sorted(
    {
        (profile.rpartition("/")[2], "".join(f"/{step}" for step in pointer.split("/")[1:] if not step.isdigit()))
        for name, index, _, profile in OURS
        for pointer in backbones(ours(name)["entry"][index]["resource"])
    }
)


@pytest.mark.parametrize(("profile", "level"), LEVELS)
def test_modifier_at_every_level(profile: str, level: str) -> None:
    """A modifier extension on any element inside a resource: nothing below it is read as a fact."""
    tried = 0
    for name, index, _, found in OURS:
        if found.rpartition("/")[2] != profile:
            continue
        for pointer in backbones(ours(name)["entry"][index]["resource"]):
            if "".join(f"/{step}" for step in pointer.split("/")[1:] if not step.isdigit()) != level or tried > 2:
                continue
            tried += 1
            document = with_change(name, index, lambda resource, p=pointer: at(resource, p).update(MODIFIER))
            _, report = from_fhir(document)
            here = f"/entry/{index}/resource{pointer}"
            told = [i for i in report.issues if i.disposition in ("kept", "refused")]
            whole = any(i.disposition == "refused" and i.pointer.startswith(f"/entry/{index}/resource") for i in told)
            below = {p for p, _ in leaves(document) if p.startswith(f"{here}/")}
            kept = {p for p in below for i in told if f"{p}/".startswith(f"{i.pointer}/")}
            assert whole or kept == below
    assert tried


def at(json: Json, pointer: str) -> Json:
    """The element at a pointer."""
    for step in pointer.split("/")[1:]:
        json = json[int(step)] if isinstance(json, list) else json[step]
    return json


def test_group_that_excludes() -> None:
    """``exclude`` true says that the patients of a report did not have it: the row is not read."""
    name, index = EACH[LITERATURE_ROW.name]
    assert is_read(ours(name), index)
    for exclude in (True, None):
        for number, _ in enumerate(members(ours(name)["entry"][index]["resource"], "characteristic")):

            def change(resource: Json, number: int = number, exclude: Any = exclude) -> None:
                found = resource["characteristic"][number]
                found.pop("exclude")
                found.update({} if exclude is None else {"exclude": exclude})

            document = with_change(name, index, change)
            _, report = from_fhir(document)
            told = [i.code for i in report.errors if i.pointer.startswith(f"/entry/{index}/resource")]
            assert told == ["modifier"]


@pytest.mark.parametrize(
    ("most", "repeat"),
    [
        ("countMax", {"count": 6, "countMax": 8}),
        ("frequencyMax", {"frequency": 2, "frequencyMax": 3, "period": 1, "periodUnit": "d"}),
        ("periodMax", {"frequency": 1, "period": 4, "periodMax": 6, "periodUnit": "wk"}),
        ("durationMax", {"duration": 2, "durationMax": 4, "durationUnit": "h"}),
    ],
)
def test_low_end_of_a_range_is_no_number(most: str, repeat: Json) -> None:
    """With its Max a number is the least of a range: it is left, and told; without, it is read."""
    line = {"sequence": 1, "text": "as told", "timing": {"repeat": repeat}}
    case, report = read(bundle(PATIENT, course(dosage=[line])))
    assert dump_case(case)["therapies"][0]["doses"] == [{"sequence": 1, "text": "as told"}]
    assert {i.level for i in report.issues if "/timing" in i.pointer} == {"warning"}
    sure = {name: value for name, value in repeat.items() if name != most}
    case, report = read(bundle(PATIENT, course(dosage=[line | {"timing": {"repeat": sure}}])))
    assert len(dump_case(case)["therapies"][0]["doses"][0]) > 2
    assert not any("/timing" in i.pointer for i in report.issues)


def test_row_that_was_deleted() -> None:
    """An entry that is marked as deleted says that its row is no longer in the list."""
    name, index = EACH["smx-literature-list"]
    for deleted, told in ((True, ["modifier"]), ("true", ["modifier"]), (False, [])):
        document = with_change(name, index, lambda resource, said=deleted: resource["entry"][0].update(deleted=said))
        case, report = from_fhir(document)
        assert [i.code for i in report.errors if i.pointer == f"/entry/{index}/resource/entry/0/deleted"] == told
        assert (case.literature is None) is bool(told)


def test_group_of_nobody() -> None:
    """A Group that is not actual describes persons and has none: its number is of no patients."""
    name, index = EACH[LITERATURE_ROW.name]
    for actual, told in ((False, ["modifier"]), (None, ["modifier"]), (True, [])):
        document = with_change(name, index, lambda resource, said=actual: resource.update(actual=said))
        _, report = from_fhir(document)
        assert [i.code for i in report.errors if i.pointer == f"/entry/{index}/resource/actual"] == told


OUT_OF_USE = [
    ("smx-patient", "active", True, False),
    ("smx-patient", "link", None, [{"other": {"display": "another"}, "type": "replaced-by"}]),
    ("smx-specimen", "status", "available", "unsatisfactory"),
    ("smx-specimen", "status", "available", "unavailable"),
    ("smx-device-ultrasound", "status", "active", "inactive"),
    ("smx-medication", "status", "active", "inactive"),
    ("smx-literature-group", "active", True, False),
]


@pytest.mark.parametrize(("profile", "element", "usual", "said"), OUT_OF_USE, ids=str)
def test_modifier_element_that_no_table_has(profile: str, element: str, usual: Json, said: Json) -> None:
    """What R4 calls a modifier and the case has no place for is told as a warning, unless it says the usual."""
    name, index = EACH[profile]
    for value, levels in ((usual, {"information"}), (said, {"warning"})):
        if value is not None:
            document = with_change(name, index, lambda resource, value=value: resource.update({element: value}))
            _, report = from_fhir(document)
            told = [i for i in report.issues if i.pointer == f"/entry/{index}/resource/{element}"]
            assert {i.level for i in told} == levels


# --- of the patient -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "deceased"),
    [({}, None), ({"deceasedBoolean": False}, False), ({"deceasedBoolean": True}, True)],
)
def test_nobody_is_said_to_be_dead(more: Json, deceased: bool | None) -> None:
    """Alive, dead, and not said are three."""
    found = read(bundle(PATIENT | more))[0].patient.deceased
    assert (found.value if found else None) is deceased


def test_old_identifier_is_not_read_as_valid() -> None:
    """An identifier that is no longer in use stays in the Bundle."""
    case, report = read(bundle(PATIENT | {"identifier": [{"use": "old", "system": "urn:x", "value": "9"}]}))
    assert case.patient.identifiers == ()
    assert encode("9") not in encode(dump_case(case))
    assert report.mapped < report.total


@pytest.mark.parametrize("how", [MODIFIER, {"implicitRules": "urn:x"}], ids=["modifier", "implicitRules"])
def test_patient_that_may_mean_another_refuses_the_document(how: Json) -> None:
    """Whose case it is must be sure."""
    with pytest.raises(Exception, match="modifier"):
        from_fhir(bundle(PATIENT | how, weight()))


def test_part_of_a_resource_is_told() -> None:
    """A server that sent only some elements may have left out the one that denies: a warning."""
    tag = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
    case, report = read(bundle(PATIENT | {"meta": {"tag": [tag]}}, weight(meta={"tag": [tag]})))
    assert [(i.code, i.level) for i in report.issues if i.code == "subsetted"] == [("subsetted", "warning")] * 2
    assert case.tags == ()


# --- there, and said to be missing ------------------------------------------------------------------------

MISSING: Json = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason"}]}
MISSING["extension"][0]["valueCode"] = "error"
DISOWNED = [
    (PATIENT, "gender", "warning"),
    (PATIENT | {"birthDate": "1960"}, "birthDate", "warning"),
    (PATIENT | {"deceasedBoolean": True}, "deceasedBoolean", "warning"),
    (infusion(), "status", "error"),
    (infusion(), "effectiveDateTime", "error"),  # which an infusion has
    (finding(valueCodeableConcept=YES, effectiveDateTime="2024"), "effectiveDateTime", "warning"),
    (finding(valueCodeableConcept=YES, component=[
        {"code": coded("https://scleromyx.invalid/fhir/CodeSystem/smx", "severity"), "valueString": "mild"}]),
     "component.0.valueString", "warning"),
    (finding(valueCodeableConcept=YES, component=[{"code": {"text": "colour"}, "valueString": "red"}]),
     "component.0.valueString", "warning"),
    (weight(), "status", "error"),
    (weight(), "effectiveDateTime", "error"),  # the vital-signs profile wants it
    (weight(), "valueQuantity.value", "error"),
    (course(effectivePeriod={"start": "2024", "end": "2025"}), "effectivePeriod.end", "warning"),
    (infusion(dosage=dose()), "dosage.dose.value", "warning"),
    (course(dosage=[line()[0] | {"timing": {"repeat": {"boundsDuration": amount(6, "mo")}}}]),
     "dosage.0.timing.repeat.boundsDuration.value", "warning"),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "path", "level"), DISOWNED, ids=lambda one: one if type(one) is str else "")
def test_value_that_is_said_to_be_missing(sent: Json, path: str, level: str) -> None:
    """A value whose extension says why there is none is read as neither; that is told."""
    sent = deepcopy(sent)
    *above, name = path.split(".")
    element = at(sent, "/".join(("", *above)))
    element[f"_{name}"] = MISSING
    others = () if sent["resourceType"] == "Patient" else (PATIENT,)
    case, report = read(bundle(*others, sent))
    here = "/".join((f"/entry/{len(others)}/resource", *path.split(".")))
    told = [
        i for i in report.issues if i.disposition in ("kept", "refused") and (f"{here}/".startswith(f"{i.pointer}/"))
    ]
    assert [i.level for i in told] == [level]
    left_out = deepcopy(sent)
    inner = at(left_out, "/".join(("", *above)))
    del inner[name], inner[f"_{name}"]
    if level == "warning" and len(above) == 0:
        assert dump_case(read(bundle(*others, left_out))[0]) == dump_case(case)


@pytest.mark.parametrize("more", [{}, {"id": "g"}])
@pytest.mark.parametrize(
    "patient", [PATIENT, {n: v for n, v in PATIENT.items() if n != "gender"}], ids=["there", "not"]
)
def test_fact_written_where_it_was_said_to_be_missing(patient: Json, more: Json) -> None:
    """The new fact is not said to be missing: the reason goes, what else hung there stays."""
    document = bundle(patient | {"_gender": MISSING | more})
    found = changed(document, lambda case: replace(case, patient=replace(case.patient, sex="male")))
    here = "/entry/0/resource"
    gone = {f"{here}/gender": (patient.get("gender"), "male")}
    gone |= {f"{here}/_gender/extension/0/{n}": (v, None) for n, v in MISSING["extension"][0].items()}
    assert found == gone


# --- in the components ------------------------------------------------------------------------------


def components() -> Iterator[tuple[str, int, int]]:
    """Every component that our examples write a value in: example, entry, place."""
    for name, index, _, _ in OURS:
        for place, one in enumerate(members(ours(name)["entry"][index]["resource"], "component")):
            if any(member.startswith("value") for member in one):
                yield name, index, place


@pytest.mark.parametrize(("name", "index", "place"), sorted(components()), ids=str)
def test_component_with_a_value_and_none(name: str, index: int, place: int) -> None:
    """A value beside the reason why there is none is not read in a component either; that is told."""

    def change(resource: Json) -> None:
        resource["component"][place]["dataAbsentReason"] = coded(DAR, "error")

    document = with_change(name, index, change)
    case, report = from_fhir(document)
    here = f"/entry/{index}/resource/component/{place}"
    near = [
        i for i in report.issues if f"{i.pointer}/".startswith(f"{here}/") or f"{here}/".startswith(f"{i.pointer}/")
    ]
    told = [i for i in near if i.disposition in ("kept", "refused")]
    assert {i.level for i in told} <= {"warning", "error"}
    assert any("obs-6" in i.message or i.level == "error" for i in told)
    kept = {p for p, _ in leaves(document) if p.startswith(f"{here}/value")}
    assert kept <= {p for p in kept for i in told if f"{p}/".startswith(f"{i.pointer}/")}
    assert encode(to_fhir(case, onto=document)) == encode(document)


# --- contradicted by the interpretation ---------------------------------------------------------------

OWN = "https://scleromyx.invalid/fhir/CodeSystem/smx"
#: Table -> a value that says that something is there, and one that says that nothing is; none: it says so by being.
THERE = {
    "smx-clinical-finding": (YES, NO),
    "smx-tolerance": (YES, NO),
    "smx-monoclonal-protein-panel": (coded(OWN, "biclonal"), coded(OWN, "none-detected")),
    "smx-monoclonal-protein": (None,),
    "smx-adverse-event": (None,),
}
IMMUNOFIXATION: Json = {
    "resourceType": "Observation", "id": "i", "status": "final", "subject": ref("Patient/1"),
    "code": coded(LOINC, "25700-6"), "valueString": "IgG lambda",
}  # fmt: skip


@pytest.mark.parametrize("code", ["NEG", "ND", "POS", "DET"])
@pytest.mark.parametrize(("profile", "value"), [(name, value) for name, values in THERE.items() for value in values])
def test_interpretation_that_says_the_opposite(profile: str, value: Json, code: str) -> None:
    """What is there and interpreted as negative, or the other way, is not read: neither is believed."""
    name, index = EACH[profile]

    def change(resource: Json) -> None:
        resource["interpretation"] = [coded(INTERPRETATION, code)]
        if value is not None:
            resource.pop("hasMember", None)
            resource.pop("dataAbsentReason", None)
            resource["valueCodeableConcept"] = value

    _, report = from_fhir(with_change(name, index, change))
    told = [i.code for i in report.errors if i.pointer == f"/entry/{index}/resource/interpretation"]
    is_there = value in (None, THERE[profile][0])
    assert told == (["modifier"] if is_there == (code in ("NEG", "ND")) else [])


@pytest.mark.parametrize(("more", "read_"), [({}, True), ({"interpretation": [coded(INTERPRETATION, "ND")]}, False)])
def test_clone_that_was_not_detected(more: Json, read_: bool) -> None:
    """An immunofixation that is interpreted as not detected is no clone."""
    case, _ = read(bundle(PATIENT, IMMUNOFIXATION | more))
    assert bool(case.monoclonal_protein) is read_
