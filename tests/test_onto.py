"""Writing onto a received document: whose it is, how it spells its references, and what it says that we derive."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mappings import Case, MappingError, Report, from_fhir, load_case, to_fhir
from tests.goldens import case_bytes
from tests.sent import PATIENT, SERVER, bundle, read, weight

Json = Any


def example(name: str = "synthetic-course") -> Case:
    return load_case(case_bytes(name))


# --- whose it is --------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"case_id": "another"}, {"case_system": "https://other.example/sid"}])
def test_a_bundle_of_another_case_is_refused(change: dict[str, str]) -> None:
    """Cases of one system share many keys: written onto each other, one would become the other without a word."""
    case = example()
    other = to_fhir(replace(case, patient=replace(case.patient, sex="male"), **change))
    with pytest.raises(MappingError) as error:
        to_fhir(case, onto=other)
    assert [(issue.code, issue.path) for issue in error.value.issues] == [("bad-option", "onto")]


def test_a_patient_of_two_cases_is_that_of_each() -> None:
    """Another system may have marked it as well."""
    case = example("minimal")
    document = to_fhir(case)
    patient = document["entry"][0]["resource"]
    mine = patient["identifier"][0]
    patient["identifier"] = [{**mine, "system": "https://other.example/sid"}, mine]
    assert to_fhir(case, onto=document) == document


@pytest.mark.parametrize(("change", "told"), [({}, []), ({"case_id": "another"}, ["other-identity"])])
def test_a_patient_without_a_mark_may_be_anyone(change: dict[str, str], told: list[str]) -> None:
    """The case that was read there has the patient's address for its identity; of another one it is told."""
    document = bundle(PATIENT, weight())
    case, _ = read(document)
    report = Report("case-to-fhir")
    to_fhir(replace(case, **change), onto=document, report=report)
    assert [issue.code for issue in report.issues if issue.code == "other-identity"] == told


# --- how it spells its references ---------------------------------------------------------------


def served(document: Json, relative: bool, version: str) -> Json:
    """The Bundle as a server hands it out: other addresses, the references spelled in one way."""
    names = {e["fullUrl"]: f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in document["entry"]}

    def spelled(json: Json) -> Json:
        if isinstance(json, list):
            return [spelled(one) for one in json]
        if not isinstance(json, dict):
            return json
        url = names.get(json.get("reference", ""))
        if url is None:
            return {name: spelled(value) for name, value in json.items()}
        return json | {"reference": ("" if relative else f"{SERVER}/") + url + version}

    entries = [
        {"fullUrl": f"{SERVER}/{names[e['fullUrl']]}", "resource": spelled(e["resource"])} for e in document["entry"]
    ]
    return {**document, "entry": entries}


@pytest.mark.parametrize("version", ["", "/_history/1"], ids=["plain", "versioned"])
@pytest.mark.parametrize("relative", [True, False], ids=["relative", "absolute"])
@pytest.mark.parametrize("reasons", [(), ("cond-gammopathy",)], ids=["none", "another"])
def test_what_follows_from_a_course_follows_its_change(relative: bool, version: str, reasons: tuple[str, ...]) -> None:
    """No infusion keeps an indication that the course no longer has, however the references are spelled."""
    document = served(to_fhir(example()), relative, version)
    case, report = read(document)
    assert [issue.pointer for issue in report.issues if issue.disposition == "kept"] == []
    courses = [replace(one, reasons=reasons) if one.key == "course-ivig" else one for one in case.therapies]
    changed = replace(case, therapies=tuple(courses))
    out = to_fhir(changed, onto=document)
    found = [e["resource"] for e in out["entry"]]
    (course,) = (one["id"] for one in found if keys(one) == ["course-ivig"])
    given = [one for one in found if course in str(one.get("supportingInformation"))]
    assert len(given) == 11
    assert {len(one.get("reasonReference", [])) for one in given} == {len(reasons)}
    assert from_fhir(out)[0] == changed


def keys(resource: Json) -> list[str]:
    """The keys of the item that it is."""
    return [one["extension"][0].get("valueString") for one in resource.get("identifier", []) if "extension" in one]
