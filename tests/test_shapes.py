"""Documents of every shape: Bundles of every type, pages, a history, one resource, lines, contained resources.

Each row of `SHAPES` is a document, the weights that are read from it, what the report says, and where the
weight ``observation-w`` lies, so that an edit can be seen to land there and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from mappings import MappingError, encode, from_fhir, load_case, to_fhir
from tests.foreign import leaves
from tests.goldens import case_bytes
from tests.sent import (
    IVIG,
    PATIENT,
    SERVER,
    amount,
    bundle,
    changed,
    codes,
    infusion,
    issue,
    kilos,
    read,
    ref,
    refused,
    reweighed,
    weight,
)

Json = Any
URN = "urn:uuid:04121321-4af5-424c-a0e1-ed3aab1c349d"


@dataclass(frozen=True)
class Shape:
    """A document; the digits of its weights; the codes of its report; where the weight ``w`` is, if it is read."""

    name: str
    document: Any
    weights: dict[str, str]
    codes: tuple[str, ...] = ()
    at: str | None = "/entry/1/resource"


def page(*resources: Json, links: dict[str, str] | None = None, **more: Json) -> Json:
    """One page of a search."""
    listed = [{"relation": relation, "url": f"{SERVER}?page={url}"} for relation, url in (links or {}).items()]
    return bundle(*resources, type_="searchset", **({"link": listed} if listed else {}), **more)


def pages(*found: Json) -> Json:
    """Pages as Parameters."""
    return {"resourceType": "Parameters", "parameter": [{"name": "page", "resource": one} for one in found]}


def hit(resource: Json, mode: str = "match", **more: Json) -> Json:
    """An entry of a search."""
    url = f"{SERVER}/{resource['resourceType']}/{resource.get('id')}"
    return {"fullUrl": url, "resource": resource, "search": {"mode": mode}, **more}


def version(resource: Json, number: str | None = None, time: str | None = None, method: str = "PUT") -> Json:
    """An entry of a history: one version of a resource."""
    meta = {name: value for name, value in (("versionId", number), ("lastUpdated", time)) if value}
    url = f"{resource['resourceType']}/{resource['id']}"
    found = resource | ({"meta": meta} if meta else {})
    return {"fullUrl": f"{SERVER}/{url}", "resource": found, "request": {"method": method, "url": url}}


def deletion(url: str, etag: str | None = None, time: str | None = None) -> Json:
    """An entry of a history: the end of a resource."""
    told = {name: value for name, value in (("etag", etag), ("lastModified", time)) if value}
    return {"request": {"method": "DELETE", "url": url}, "response": {"status": "204", **told}}


def asked(resource: Json | None, method: str, url: str, full_url: str | None = None, **more: Json) -> Json:
    """An entry of a transaction or batch."""
    found = {"fullUrl": full_url} if full_url else {}
    return found | ({"resource": resource} if resource else {}) | {"request": {"method": method, "url": url, **more}}


def lines(*resources: Json) -> bytes:
    """NDJSON."""
    return b"\n".join(encode(one) for one in resources) + b"\n"


def history(*entries: Json) -> Json:
    return bundle(*entries, type_="history")


W60, W62 = weight(kg=60), weight(kg=62)
WEIGHED = {"observation-w": "60"}
NEW = {"observation-w": "62"}
P = version(PATIENT)
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": "not-found"}]}
IDENTIFIED = PATIENT | {"identifier": [{"system": "urn:oid:1.2.3", "value": "A|7"}]}
NO_ID = {name: value for name, value in PATIENT.items() if name != "id"}
PATCH = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [{"name": "p", "resource": W62}]}]}

SHAPES = (
    # searches
    Shape("searchset", page(hit(PATIENT, "include"), hit(W60)), WEIGHED),
    Shape("searchset without fullUrl", page(PATIENT, W60, server=None), WEIGHED),
    Shape("searchset with entry.response", page(hit(PATIENT), hit(W60, response={"status": "200"})), WEIGHED),
    Shape("searchset with an outcome", page(PATIENT, W60, hit(OUTCOME, "outcome")), WEIGHED, ("sender-outcome",)),
    Shape("first page", page(PATIENT, W60, links={"self": "1", "next": "2"}), WEIGHED, ("incomplete-page",)),
    Shape("last page", page(PATIENT, W60, links={"self": "2", "previous": "1"}), WEIGHED),
    Shape(
        "all pages; the patient is on each",
        pages(
            page(PATIENT, W60, links={"self": "1", "next": "2"}),
            page(PATIENT, weight("x", 61), links={"self": "2", "previous": "1"}),
        ),
        WEIGHED | {"observation-x": "61"},
        ("duplicate-entry",),
        "/parameter/0/resource/entry/1/resource",
    ),
    Shape(
        "all pages, without fullUrl and self links",
        pages(page(PATIENT, W60, links={"next": "2"}, server=None), page(PATIENT, weight("x", 61), server=None)),
        WEIGHED | {"observation-x": "61"},
        ("duplicate-entry",),
        "/parameter/0/resource/entry/1/resource",
    ),
    Shape(
        "the page in the middle is missing",
        pages(page(PATIENT, W60, links={"self": "1", "next": "2"}), page(weight("x", 61), links={"self": "3"})),
        WEIGHED | {"observation-x": "61"},
        ("incomplete-page",),
        "/parameter/0/resource/entry/1/resource",
    ),
    Shape("two versions of a resource", page(PATIENT, version(W60, "9"), version(W62, "10")), NEW,
          ("older-version", "unknown-element"), "/entry/2/resource"),
    Shape("one fullUrl, two contents, no versions", page(PATIENT, W60, W62), {}, ("unreadable-resource",) * 2, None),
    Shape("one id, two contents, no fullUrl", page(PATIENT, W60, W62, server=None), {},
          ("unreadable-resource",) * 2, None),
    # histories
    Shape("history, newest first", history(P, version(W62), version(W60)), NEW, ("older-version",)),
    Shape("history by number", history(P, version(W60, "9"), version(W62, "10")), NEW,
          ("older-version", "unknown-element"), "/entry/2/resource"),
    Shape(
        "history by time, across time zones",
        history(
            P,
            version(W60, None, "2024-01-01T00:30:00+02:00"),
            version(W62, None, "2023-12-31T23:00:00Z"),
        ),
        NEW,
        ("older-version", "unknown-element"),
        "/entry/2/resource",
    ),
    Shape("history, deleted", history(P, deletion("Observation/w"), version(W60)), {}, ("deleted",), None),
    Shape("history, deleted later by number", history(P, version(W60, "1"), deletion("Observation/w", 'W/"2"')), {},
          ("deleted",), None),
    Shape("history, created anew", history(P, version(W62, method="POST"), deletion("Observation/w"), version(W60)),
          NEW, ("older-version",)),
    Shape(
        "history, created anew by time, oldest first",
        history(
            P,
            version(W60, None, "2024-01-01T00:00:00Z"),
            deletion(f"{SERVER}/Observation/w/_history/2", None, "2024-01-02T00:00:00.5Z"),
            version(W62, None, "2024-01-02T00:00:00.51Z"),
        ),
        NEW,
        ("older-version", "unknown-element"),
        "/entry/3/resource",
    ),
    Shape("pages of a history", pages(history(P, version(W62, "2")), history(version(W60, "1"))), NEW,
          ("unknown-element", "older-version"), "/parameter/0/resource/entry/1/resource"),
    # requests
    Shape(
        "transaction with a conditional create and a conditional reference",
        bundle(
            asked(IDENTIFIED, "POST", "Patient", URN, ifNoneExist="identifier=urn:oid:1.2.3|A"),
            asked(weight(subject=ref("Patient?identifier=urn:oid:1.2.3%7CA%7C7")), "POST", "Observation"),
            type_="transaction",
        ),
        WEIGHED,
    ),
    Shape(
        "batch with requests that hold no resource",
        bundle(
            asked(PATIENT, "PUT", "Patient/1"),
            asked(W60, "PUT", "Observation/w"),
            asked(None, "DELETE", "Observation/w2"),
            asked(None, "GET", "Observation?code=x"),
            asked(PATCH, "PATCH", "Observation/w"),
            type_="batch",
        ),
        WEIGHED,
        ("request-only",) * 3,
    ),
    Shape(
        "answer to a transaction",
        bundle(
            {"response": {"status": "201", "location": "Observation/9"}},
            {"resource": W60, "response": {"status": "200", "outcome": OUTCOME}},
            {"resource": PATIENT, "response": {"status": "200"}},
            type_="transaction-response",
        ),
        WEIGHED,
    ),
    # the others
    Shape("collection", bundle(PATIENT, W60), WEIGHED),
    Shape("no type", {"resourceType": "Bundle", "entry": bundle(PATIENT, W60)["entry"]}, WEIGHED),
    Shape("document", bundle({"resourceType": "Composition", "id": "c", "title": "Letter"}, W60, PATIENT,
                             type_="document"), WEIGHED, ("unknown-resource",)),
    Shape("message", bundle({"resourceType": "MessageHeader", "id": "h", "focus": [ref("Observation/w")]}, W60,
                            PATIENT, type_="message"), WEIGHED, ("unknown-resource",)),
    Shape("a Bundle in a Bundle", bundle(PATIENT, bundle(W60) | {"id": "b"}), WEIGHED, (),
          "/entry/1/resource/entry/0/resource"),
    Shape("nested parameters", {"resourceType": "Parameters", "parameter": [
        {"name": "all", "part": [{"name": "p", "resource": PATIENT}, {"name": "o", "resource": W60}]}]},
        WEIGHED, (), "/parameter/0/part/1/resource"),
    Shape("one resource, its patient elsewhere", W60, WEIGHED, (), ""),
    Shape("NDJSON", lines(PATIENT, W60), WEIGHED),
    Shape("NDJSON, a blank line", lines(PATIENT) + b"\n" + lines(W60), WEIGHED),
    Shape("a patient inside the resource", weight(subject=ref("#p"), contained=[PATIENT | {"id": "p"}]), WEIGHED, (),
          ""),
    Shape("a patient whom only references name", bundle(W60, weight("x", 61, subject=ref(f"{SERVER}/Patient/1"))),
          WEIGHED | {"observation-x": "61"}, (), "/entry/0/resource"),
)  # fmt: skip
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)


@each_shape
def test_shape_is_read_accounted_and_written_back(shape: Shape) -> None:
    """The case, the exact account of every leaf, what the report says, and the same bytes back."""
    case, report = read(shape.document)
    assert kilos(case) == shape.weights
    assert sorted(codes(report)) == sorted(shape.codes)


@pytest.mark.parametrize("shape", [s for s in SHAPES if s.at is not None], ids=lambda shape: shape.name)
def test_edit_lands_in_the_right_place(shape: Shape) -> None:
    """Another weight changes that one leaf, wherever the resource lies."""
    old = int(shape.weights["observation-w"])
    found = {f"{shape.at}/valueQuantity/value": (old, pytest.approx(61.5))}
    assert changed(shape.document, reweighed("observation-w")) == found


@each_shape
def test_reading_twice_gives_the_same(shape: Shape) -> None:
    """The same document gives the same case: keys come from what it holds."""
    assert from_fhir(shape.document)[0] == from_fhir(shape.document)[0]


def test_what_is_not_carried_out_is_told_by_its_weight() -> None:
    """A DELETE or PATCH that is not carried out is a warning, a GET a note; a patch's resource is not read."""
    shape = next(shape for shape in SHAPES if shape.name.startswith("batch"))
    found = [(i.pointer, i.level) for i in read(shape.document)[1].issues if i.code == "request-only"]
    assert found == [("/entry/2", "warning"), ("/entry/3", "information"), ("/entry/4", "warning")]


def test_page_with_a_next_one_is_a_warning() -> None:
    """`incomplete-page` says which page; nothing is fetched."""
    _, report = read(page(PATIENT, W60, links={"next": "2"}))
    told = issue(report, "incomplete-page")
    assert (told.level, told.pointer, told.path) == ("warning", "/link", "Bundle.link")


@pytest.mark.parametrize(("severity", "level"), [("information", "information"), ("error", "warning")])
def test_outcome_of_the_sender_is_told_in_codes(severity: str, level: str) -> None:
    """What the sender says of the search is in the report, without its words."""
    outcome = {"resourceType": "OperationOutcome", "issue": [
        {"severity": severity, "code": "timeout", "diagnostics": "Jane Doe"}]}  # fmt: skip
    told = issue(read(page(PATIENT, hit(outcome, "outcome")))[1], "sender-outcome")
    assert (told.level, told.text) == (level, f"The sender says: {severity} timeout.")


# --- patients -----------------------------------------------------------------------------------

TWO = bundle(
    asked(None, "DELETE", "Patient/9"),
    PATIENT,
    PATIENT | {"id": "2", "gender": "male"},
    W60,
    weight("x", 80, subject=ref("Patient/2")),
)


def test_several_patients_are_refused_with_their_entries() -> None:
    """Two patients and no word on which is meant: refused, by the numbers of their entries in the document."""
    assert [(i.code, i.text) for i in refused(TWO)] == [("several-patients", "Patients at entry 1, entry 2.")]


@pytest.mark.parametrize("patient", ["2", "Patient/2", f"{SERVER}/Patient/2"])
def test_patient_says_which_one(patient: str) -> None:
    """With ``patient`` one is read; the other and what is about it are told by entry, and never read."""
    case, report = read(TWO, patient=patient)
    assert (case.patient.sex, kilos(case)) == ("male", {"observation-x": "80"})
    told = [i.pointer for i in report.issues if i.code == "other-subject"]
    assert told == ["/entry/1/resource", "/entry/3/resource/subject"]


@pytest.mark.parametrize("mine", [0, 1])
def test_two_cases_in_one_bundle_stay_apart(mine: int) -> None:
    """Products, devices, literature and the time of recording, which name no patient, go with their own case."""
    cases = [load_case(case_bytes(name)) for name in ("published-case", "synthetic-course")]
    cases[0] = replace(cases[0], recorded="2024-01-01T00:00:00Z")
    both = [to_fhir(case)["entry"] for case in cases]
    software = both[1].pop(next(i for i, e in enumerate(both[1]) if e in both[0]))
    document = {"resourceType": "Bundle", "type": "collection", "entry": [*both[0], *both[1]]}
    assert software["resource"]["resourceType"] == "Device"
    case, _ = read(document, patient=both[mine][0]["fullUrl"])
    assert case == cases[mine]


@pytest.mark.parametrize(("reference", "read_"), [({"reference": "Medication/x"}, True), (None, False)])
def test_of_two_patients_a_product_is_whose_infusion_names_it(reference: Json, read_: bool) -> None:
    """One that nothing names may be the other's."""
    lot = {"resourceType": "Medication", "id": "x", "code": IVIG, "batch": {"lotNumber": "L"}}
    given = infusion("a", **({"medicationReference": reference} if reference else {}))
    if reference:
        del given["medicationCodeableConcept"]
    for other in ({**PATIENT, "id": "2"}, weight(subject=ref("Patient/2"))):
        patients = [PATIENT, other] if other["resourceType"] == "Patient" else [other]
        case, _ = read(bundle(*patients, lot, given), patient="1")
        assert bool(case.products) == read_


def test_one_patient_sent_twice_is_one() -> None:
    """A product that nothing names is then hers, on whatever page it is."""
    lot = {"resourceType": "Medication", "id": "x", "code": IVIG, "batch": {"lotNumber": "L"}}
    case, _ = read(pages(page(PATIENT), page(PATIENT, lot)))
    assert len(case.products) == 1


def test_edit_of_one_of_two_patients() -> None:
    """The case says which patient it is of; the other's resources stay as they are."""
    found = changed(TWO, reweighed("observation-x"), patient="2")
    assert list(found) == ["/entry/4/resource/valueQuantity/value"]


@pytest.mark.parametrize(
    "document",
    [OUTCOME, bundle(), bundle(OUTCOME), weight(subject=ref("Group/1")), weight(subject={"display": "Jane"})],
    ids=["outcome", "empty", "only an outcome", "a group", "a name"],
)
def test_no_patient_is_refused(document: Json) -> None:
    """Nothing in the document says whose it is."""
    assert [i.code for i in refused(document)] == ["no-patient"]


@pytest.mark.parametrize("document", [TWO, bundle(W60)], ids=["two", "a subject"])
def test_a_patient_who_is_not_there_is_refused(document: Json) -> None:
    """Those who are there are named, and who is asked for is not: it may be a name."""
    with pytest.raises(MappingError) as error:
        from_fhir(document, patient="Jane")
    (issue,) = error.value.issues
    assert (issue.code, "Jane" in issue.line()) == ("no-patient", False)
    assert "at entry " in issue.text or "of entry " in issue.text
    assert "Patient/id" in issue.what_to_do


def test_subjects_of_two_patients_are_refused() -> None:
    """References name two patients that are not in the document: refused, unless one is asked for."""
    document = bundle(W60, weight("x", 61, subject=ref("Patient/2")))
    assert [(i.code, i.text) for i in refused(document)] == [
        ("several-patients", "Patients at subject of entry 0, subject of entry 1.")
    ]
    assert kilos(read(document, patient="2")[0]) == {"observation-x": "61"}


# --- writing onto ---------------------------------------------------------------------------------


def test_contained_resource_is_written_in_its_place() -> None:
    """The lot of a contained Medication is a fact of the case; another lot lands inside the container."""
    medication = {"resourceType": "Medication", "id": "m", "code": infusion()["medicationCodeableConcept"]}
    given = infusion(contained=[medication | {"batch": {"lotNumber": "L1"}}], medicationReference=ref("#m"))
    del given["medicationCodeableConcept"]
    document = bundle(PATIENT, given)
    case, _ = read(document)
    assert [one.lot for one in case.products] == ["L1"]

    def relabelled(case: Any) -> Any:
        return replace(case, products=(replace(case.products[0], lot="L2"),))

    assert changed(document, relabelled) == {"/entry/1/resource/contained/0/batch/lotNumber": ("L1", "L2")}


def test_fact_of_a_patient_who_is_only_referred_to() -> None:
    """The Patient becomes an entry at the address that the references have; nothing else changes."""

    def known(case: Any) -> Any:
        return replace(case, patient=replace(case.patient, sex="female"))

    found = changed(bundle(W60), known)
    assert found["/entry/1/fullUrl"] == (None, f"{SERVER}/Patient/1")
    assert all(pointer.startswith("/entry/1/") for pointer in found)


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (W60, "no room"),
        (bundle(weight(subject=ref("#p"), contained=[PATIENT | {"id": "p"}])), "inside another"),
    ],
    ids=["one resource", "contained patient"],
)
def test_new_resource_without_a_place_is_refused(document: Json, why: str) -> None:
    """What cannot hold the case's new resources says so, and nothing is written."""
    case, _ = from_fhir(document)
    more = replace(case, measurements=(*case.measurements, replace(case.measurements[0], key="another")))
    with pytest.raises(Exception, match=why):
        to_fhir(more, onto=document)


def test_patient_that_lives_elsewhere_is_not_replaced_by_a_transaction() -> None:
    """A PUT of the little that is known would wipe out the rest on the server."""
    document = bundle(asked(W60, "PUT", "Observation/w"), type_="transaction")
    case, _ = from_fhir(document)
    with pytest.raises(Exception, match="would replace"):
        to_fhir(replace(case, patient=replace(case.patient, sex="female")), onto=document)


def test_written_back_is_not_the_input_handed_back() -> None:
    """An edited document shares no more than the parts that did not change."""
    document = bundle(PATIENT, W60, weight("x", amount(5, "kg")["value"]))
    out = to_fhir(reweighed("observation-w")(from_fhir(document)[0]), onto=document)
    assert out is not document
    assert dict(leaves(document))["/entry/1/resource/valueQuantity/value"] == 60
