"""Who is who: ids, references and requests, for whole cases and for the pairs that are easily mixed up."""

from __future__ import annotations

import re
import uuid
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from mappings import MappingError, Report, from_fhir, load_case, to_fhir
from mappings.generated import SOFTWARE_ID

EXAMPLES = Path(__file__).parent.parent / "examples"
NAMES = ("minimal", "published-case", "synthetic-course")
Json = dict[str, Any]

each_example = pytest.mark.parametrize("name", NAMES)
each_way = pytest.mark.parametrize("options", [{}, {"mode": "conditional-update"}], ids=["put", "conditional-update"])


@cache
def _raw(name: str) -> bytes:
    return (EXAMPLES / name / "case.json").read_bytes()


def example(name: str, **options: Any) -> Json:
    """The Bundle of an example."""
    return to_fhir(load_case(_raw(name)), **options)


def transaction(name: str, **options: Any) -> Json:
    """The Bundle of an example, as a transaction."""
    return example(name, bundle_type="transaction", **options)


def document(**parts: Any) -> Json:
    """A small case document."""
    root = {"schema_version": "1.0", "case_system": "https://a.example/cases", "case_id": "1", "language": "en"}
    return {**root, "patient": {}, **parts}


def ids(source: Json) -> dict[str, str]:
    """The id of each resource of a case document's Bundle, by its item's key; without the shared Device."""
    bundle = to_fhir(load_case(source))
    resources = [entry["resource"] for entry in bundle["entry"]]
    return {_key(r): r["id"] for r in resources if r["id"] != SOFTWARE_ID}


def _key(resource: Json) -> str:
    own = resource.get("identifier", [{}])[0].get("value", resource["resourceType"])
    return str(own).partition("/")[2] or str(own)


def references(json: Any) -> set[str]:
    """Every reference in it."""
    if isinstance(json, dict):
        here = {json["reference"]} if isinstance(json.get("reference"), str) else set()
        return here.union(*map(references, json.values()))
    return set().union(*map(references, json)) if isinstance(json, list) else set()


# --- distinct ---------------------------------------------------------------------------------


COURSE = {"key": "course", "kind": "drug", "code": {"text": "IVIg"}, "status": "completed"}
DOSE = {"value": 75, "unit": "g"}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("field", ["case_system", "case_id"])
def test_two_cases_share_no_id(name: str, field: str) -> None:
    """Two hospitals with one case_id, or two cases of one hospital, share no id but that of the adapter itself."""
    case = load_case(_raw(name))
    other = {"case_system": "https://other.example/sid/case", "case_id": "another"}[field]
    moved = replace(case, **{field: other})
    mine, theirs = ({e["resource"]["id"] for e in to_fhir(c)["entry"]} for c in (case, moved))
    assert mine & theirs == {SOFTWARE_ID}
    assert len(mine) == len(theirs)


def test_system_and_case_are_not_run_together() -> None:
    """A case_system that ends where the case_id begins is another identity: no two spellings meet."""
    one = document(case_system="https://a.example/cases/1", case_id="1")
    two = document(case_system="https://a.example/cases/", case_id="1.1")
    assert set(ids(one).values()).isdisjoint(ids(two).values())


PAIRS = {
    "two infusions on one day": {
        "therapies": [
            COURSE
            | {
                "administrations": [
                    {"key": f"bag-{n}", "status": "given", "when": {"at": "2024-01-09"}, "dose": DOSE} for n in (1, 2)
                ]
            }
        ]
    },
    "two cycles of equal dose": {
        "therapies": [
            COURSE
            | {
                "administrations": [
                    {"key": f"cycle-{n}", "status": "given", "cycle": n, "when": {"absent": "unknown"}, "dose": DOSE}
                    for n in (1, 2)
                ]
            }
        ]
    },
    "two values at one time": {
        "measurements": [
            {"key": f"skin-{n}", "kind": "skin-thickness", "value": {"quantity": {"value": 2, "unit": "mm"}}}
            | {"when": {"at": "2024-01-09T09:00:00+01:00"}}
            for n in (1, 2)
        ]
    },
    "two courses of one drug": {"therapies": [COURSE, COURSE | {"key": "course-again"}]},
    "two equal findings": {
        "findings": [{"key": f"fever-{n}", "code": {"text": "fever"}, "presence": "present"} for n in (1, 2)]
    },
    "one finding at two sites": {
        "findings": [
            {"key": "papules", "code": {"text": "papules"}, "presence": "present"}
            | {"sites": [{"text": "neck"}, {"text": "elbows"}]}
        ]
    },
}


@pytest.mark.parametrize("what", PAIRS)
def test_equal_facts_have_their_own_ids(what: str) -> None:
    """Two facts that say the same are two resources: an id comes from a key and never from a value."""
    found = ids(document(**PAIRS[what]))
    assert len(set(found.values())) == len(found)
    items = [key for key in found if key not in ("patient", "course", "Provenance")]
    assert len(items) == 2 or what == "two courses of one drug"
    case = load_case(document(**PAIRS[what]))
    assert from_fhir(to_fhir(case))[0] == case


def test_two_items_with_one_id_are_an_error() -> None:
    """Sites whose names cannot be told apart as keys are refused, not merged."""
    sites = [{"text": "left hand"}, {"text": "Left-Hand"}]
    finding = {"key": "papules", "code": {"text": "papules"}, "presence": "present", "sites": sites}
    with pytest.raises(MappingError) as error:
        to_fhir(load_case(document(findings=[finding])))
    assert [issue.code for issue in error.value.issues] == ["id-collision"]


# --- stable -----------------------------------------------------------------------------------


def test_a_corrected_value_keeps_its_id() -> None:
    """A corrected value, unit, time or status is the same resource."""
    skin = {"key": "skin", "kind": "skin-thickness", "value": {"quantity": {"value": 2, "unit": "mm"}}}
    corrected = skin | {
        "value": {"quantity": {"value": 2100, "unit": "um"}},
        "when": {"at": "2024-01-09"},
        "record_status": "corrected",
    }
    assert ids(document(measurements=[skin])) == ids(document(measurements=[corrected]))


def test_the_order_and_the_neighbours_do_not_matter() -> None:
    """An item keeps its id wherever it stands in its list and whatever comes before it."""
    measured = [{"key": f"skin-{n}", "kind": "skin-thickness", "value": {"text": "thick"}} for n in range(3)]
    all_, turned, one = (
        ids(document(measurements=items)) for items in (measured, measured[::-1], measured[1:2])
    )  # fmt: skip
    assert all_ == turned
    assert one["skin-1"] == all_["skin-1"]


def test_another_kind_of_resource_is_another_id() -> None:
    """A course that turns from a drug into a procedure becomes another resource: an id belongs to a type."""
    drug = ids(document(therapies=[COURSE]))
    procedure = ids(document(therapies=[COURSE | {"kind": "procedure"}]))
    assert drug["course"] != procedure["course"]


@each_example
def test_ids_do_not_depend_on_the_bundle(name: str) -> None:
    """Collection, transaction and document give a resource the same id."""
    now = "2026-01-01T00:00:00Z"
    bundles = [example(name, bundle_type=type_, now=now) for type_ in ("collection", "transaction", "document")]
    by_type = [
        {(e["resource"]["resourceType"], _key(e["resource"])): e["resource"]["id"] for e in b["entry"]} for b in bundles
    ]
    for found in by_type[1:]:
        assert {key: id_ for key, id_ in found.items() if key in by_type[0]} == {
            key: id_ for key, id_ in by_type[0].items() if key in found
        }


# --- legal ------------------------------------------------------------------------------------


@each_example
@pytest.mark.parametrize("bundle_type", ["collection", "transaction", "document"])
def test_ids_are_legal_and_references_closed(name: str, bundle_type: str) -> None:
    """Ids are version 5 UUIDs in lower case, fullUrls their URNs and distinct, references lead to entries."""
    bundle = example(name, bundle_type=bundle_type, now="2026-01-01T00:00:00Z")
    urls = [entry["fullUrl"] for entry in bundle["entry"]]
    assert len(set(urls)) == len(urls)
    for entry in bundle["entry"]:
        id_ = entry["resource"]["id"]
        assert re.fullmatch(r"[a-z0-9-]{36}", id_)
        assert uuid.UUID(id_).version == 5
        assert entry["fullUrl"] == f"urn:uuid:{id_}"
    assert references(bundle) <= set(urls)


# --- requests ---------------------------------------------------------------------------------


@each_example
def test_put_urls_equal_ids(name: str) -> None:
    """In mode `put` every entry is a PUT to its own id, and the body carries that id."""
    for entry in transaction(name)["entry"]:
        resource = entry["resource"]
        assert entry["request"] == {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"}


@each_example
def test_conditional_updates_search_by_identifier(name: str) -> None:
    """In mode `conditional-update` an entry is found by system|value, percent-encoded, and its body has no id."""
    case = load_case(_raw(name))
    found = []
    for entry in transaction(name, mode="conditional-update")["entry"]:
        resource, request = entry["resource"], entry["request"]
        assert "id" not in resource
        if request["method"] == "POST":
            assert request["url"] == resource["resourceType"]
            continue
        parts = urlsplit(request["url"])
        assert (request["method"], parts.path) == ("PUT", resource["resourceType"])
        assert re.fullmatch(r"identifier=[A-Za-z0-9%._~:/-]+%7C[A-Za-z0-9%._~/-]+", parts.query)
        system, _, value = unquote(parts.query.removeprefix("identifier=")).partition("|")
        assert {"system": system, "value": value} == {n: resource["identifier"][0][n] for n in ("system", "value")}
        assert system == case.case_system
        assert value.startswith(f"{case.case_id}/")
        found.append(value)
    assert len(set(found)) == len(found)


def test_conditional_updates_escape_what_a_search_would_read() -> None:
    """Marks that mean something in a URL or in a FHIR search (& + # % , $) are escaped in the system."""
    system = "https://a.example/sid?x=1&y=2+3#z%20,$"
    bundle = to_fhir(load_case(document(case_system=system)), bundle_type="transaction", mode="conditional-update")
    url = next(e["request"]["url"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Patient")
    query = url.partition("?")[2]
    assert not set(query.removeprefix("identifier=")) & set("&+#,$|= ")
    token = unquote(query.removeprefix("identifier="))
    assert re.sub(r"\\([\\,$|])", r"\1", token) == f"{system}|1/patient"
    assert "\\," in token
    assert "\\$" in token


def test_the_shared_device_is_never_overwritten() -> None:
    """The adapter's own Device is created only where it is missing; what has no identifier is told as created anew."""
    report = Report("case-to-fhir")
    bundle = to_fhir(load_case(document()), bundle_type="transaction", mode="conditional-update", report=report)
    requests = {entry["resource"]["resourceType"]: entry["request"] for entry in bundle["entry"]}
    assert requests["Device"]["method"] == "POST"
    assert requests["Device"]["ifNoneExist"].startswith("identifier=")
    assert requests["Provenance"] == {"method": "POST", "url": "Provenance"}
    places = [issue.pointer for issue in report.issues if issue.code == "not-idempotent"]
    assert [bundle["entry"][int(pointer.split("/")[2])]["resource"]["resourceType"] for pointer in places] == [
        "Provenance"
    ]


# --- bound to a Patient that exists -------------------------------------------------------------


@each_example
@each_way
@pytest.mark.parametrize("subject", ["Patient/123", "https://ehr.example/fhir/Patient/a.B-1"])
def test_subject_binds(name: str, options: Json, subject: str) -> None:
    """With `subject=` no Patient is written, every reference to the patient is the given one, and it is told."""
    report = Report("case-to-fhir")
    case = load_case(_raw(name))
    bundle = to_fhir(case, bundle_type="transaction", subject=subject, report=report, **options)
    free = to_fhir(case, bundle_type="transaction", **options)
    patient = next(e["fullUrl"] for e in free["entry"] if e["resource"]["resourceType"] == "Patient")
    assert [e for e in bundle["entry"] if e["resource"]["resourceType"] == "Patient"] == []
    urls = {entry["fullUrl"] for entry in bundle["entry"]}
    assert references(bundle) <= urls | {subject}
    assert patient not in references(bundle)
    for entry in bundle["entry"]:
        was = next(e["resource"] for e in free["entry"] if e["fullUrl"] == entry["fullUrl"])
        if "subject" in was and was["subject"]["reference"] == patient:
            assert entry["resource"]["subject"] == {"reference": subject}
    assert [issue.code for issue in report.issues if issue.level == "warning"].count("subject-bound") == 1


@pytest.mark.parametrize(
    "subject", ["123", "Patient/", "Patient/a b", "Patient?identifier=1", "Group/1", "Patient/" + "x" * 65, ""]
)
def test_subject_that_is_no_patient_is_refused(subject: str) -> None:
    """`subject=` takes a reference to one Patient and nothing else."""
    with pytest.raises(MappingError) as error:
        to_fhir(load_case(document()), bundle_type="transaction", subject=subject)
    assert [(issue.code, issue.path) for issue in error.value.issues] == [("bad-option", "subject")]


def test_subject_needs_a_transaction() -> None:
    """Other Bundles hold their Patient, so `subject=` is refused for them."""
    with pytest.raises(MappingError) as error:
        to_fhir(load_case(document()), subject="Patient/123")
    assert [(issue.code, issue.path) for issue in error.value.issues] == [("bad-option", "subject")]


# --- keys come back -----------------------------------------------------------------------------


@each_example
def test_keys_survive_a_server_that_gives_other_ids(name: str) -> None:
    """A server may rename every resource: keys come back from the identifiers, and the case is the same."""
    bundle = deepcopy(example(name))
    names = {
        e["fullUrl"]: f"https://ehr.example/fhir/{e['resource']['resourceType']}/{n}"
        for n, e in enumerate(bundle["entry"])
    }
    for entry in bundle["entry"]:
        entry["fullUrl"] = names[entry["fullUrl"]]
        entry["resource"]["id"] = entry["fullUrl"].rpartition("/")[2]
    case, report = from_fhir(_renamed(bundle, names))
    assert case == load_case(_raw(name))
    assert report.errors == []


def _renamed(json: Any, names: dict[str, str]) -> Any:
    if isinstance(json, dict):
        return {n: names.get(v, v) if n == "reference" else _renamed(v, names) for n, v in json.items()}
    return [_renamed(one, names) for one in json] if isinstance(json, list) else json
