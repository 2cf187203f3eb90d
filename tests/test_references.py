"""What a reference means: every form that R4 has, and those that senders have; ambiguous is told, never guessed.

`FORMS` is the table: how an infusion names its course, in a document where the course has this address.
HL7's own example `bundle-references` holds resolvable, versioned, identifier-only and ambiguous references.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from mappings import from_fhir
from mappings.entries import entries_of
from mappings.index import Index
from tests.corpus import needs_corpus, path
from tests.sent import PATIENT, SERVER, bundle, codes, course, infusion, issue, kilos, read, ref, weight

Json = Any
URN = "urn:uuid:04121321-4af5-424c-a0e1-ed3aab1c349d"
OID = "urn:oid:1.2.40.0.34.99.1"
OTHER = "http://other.example/fhir"
IDENTIFIER = {"system": "urn:oid:1.2.3", "value": "A7"}


@dataclass(frozen=True)
class Form:
    """A reference from an entry at ``here`` to the course at ``there``; whether it is found; codes of the report."""

    name: str
    reference: Json
    there: str | None = f"{SERVER}/MedicationStatement/m"
    here: str | None = f"{SERVER}/MedicationAdministration/a"
    found: bool = True
    codes: tuple[str, ...] = ()
    more: Json = None


LENIENT = ("lenient-reference",)
OUT = ("course-derived", "cycle-grouped", "unresolved-reference")
FORMS = (
    Form("relative", ref("MedicationStatement/m")),
    Form("absolute", ref(f"{SERVER}/MedicationStatement/m")),
    Form("absolute, from a urn", ref(f"{SERVER}/MedicationStatement/m"), here=URN),
    Form("urn:uuid", ref(URN), there=URN),
    Form("urn:oid", ref(OID), there=OID),
    Form("relative, no fullUrl at all", ref("MedicationStatement/m"), None, None),
    Form("relative, beside a urn", ref("MedicationStatement/m"), there=URN, codes=LENIENT),
    Form("relative, from a urn", ref("MedicationStatement/m"), here=URN, codes=LENIENT),
    Form("versioned, this version", ref("MedicationStatement/m/_history/2"), more={"meta": {"versionId": "2"}},
         codes=("unknown-element",)),
    Form("versioned, and no version told", ref("MedicationStatement/m/_history/2")),
    Form("versioned, another version", ref("MedicationStatement/m/_history/1"), more={"meta": {"versionId": "2"}},
         found=False, codes=(*OUT, "unknown-element")),
    Form("identifier", {"identifier": IDENTIFIER}, more={"identifier": [IDENTIFIER]},
         codes=("unknown-element",) * 2),
    Form("identifier and type", {"type": "MedicationStatement", "identifier": IDENTIFIER},
         more={"identifier": [IDENTIFIER]}, codes=("unknown-element",) * 2),
    Form("identifier of another type", {"type": "Patient", "identifier": IDENTIFIER},
         more={"identifier": [IDENTIFIER]}, found=False, codes=("unknown-element", *OUT)),
    Form("conditional", ref("MedicationStatement?identifier=urn:oid:1.2.3|A7"), more={"identifier": [IDENTIFIER]},
         codes=("unknown-element",)),
    Form("conditional, escaped", ref("MedicationStatement?identifier=urn:oid:1.2.3%7CA7"),
         more={"identifier": [IDENTIFIER]}, codes=("unknown-element",)),
    Form("conditional, nothing fits", ref("MedicationStatement?identifier=urn:oid:1.2.3|B8"), found=False, codes=OUT),
    Form("conditional by another parameter", ref("MedicationStatement?status=active"), found=False, codes=OUT),
    Form("display only", {"display": "the course"}, found=False, codes=("unknown-element", *OUT[:2])),
    Form("a server elsewhere", ref(f"{OTHER}/MedicationStatement/m"), found=False, codes=OUT),
    Form("the same id on another server", ref("MedicationStatement/m"), there=f"{OTHER}/MedicationStatement/m",
         found=False, codes=OUT),
    Form("contained that is not there", ref("#m"), found=False, codes=OUT),
)  # fmt: skip


def document(form: Form) -> Json:
    """A patient, a course, and an infusion that names the course in this form."""
    given = infusion(supportingInformation=[form.reference], subject=ref(f"{SERVER}/Patient/1"))
    entries = [(form.here, given), (form.there, course(subject=ref(f"{SERVER}/Patient/1")) | (form.more or {}))]
    named = [({"fullUrl": url} if url else {}) | {"resource": resource} for url, resource in entries]
    return bundle(PATIENT) | {"entry": [*bundle(PATIENT)["entry"], *named]}


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_form(form: Form) -> None:
    """The infusion is put into the course that it names, or into none that it does not; the report says which."""
    case, report = read(document(form))
    holding = [one.key for one in case.therapies if one.administrations]
    assert holding == (["medicationstatement-m"] if form.found else ["derived-ivig"])
    assert sorted(codes(report)) == sorted(form.codes)


def test_contained() -> None:
    """``#id`` means the resource inside this one, not one of the same id inside another."""
    drug = {"resourceType": "Medication", "id": "m", "code": infusion()["medicationCodeableConcept"]}

    def given(id_: str, lot: str) -> Json:
        made = infusion(id_, contained=[drug | {"batch": {"lotNumber": lot}}], medicationReference=ref("#m"))
        return {name: value for name, value in made.items() if name != "medicationCodeableConcept"}

    case, _ = read(bundle(PATIENT, given("a", "L1"), given("b", "L2")))
    lots = {one.key: one.lot for one in case.products}
    (therapy,) = case.therapies
    assert [lots[str(one.product)] for one in therapy.administrations] == ["L1", "L2"]


def test_container() -> None:
    """``#`` from inside means the resource around it."""
    inner = {"resourceType": "Provenance", "id": "p", "target": [ref("#")]}
    nodes = entries_of(weight(contained=[inner])).nodes
    assert [node.type for node in nodes] == ["Observation", "Provenance"]
    assert Index(nodes).resolve(ref("#"), nodes[1]) is nodes[0]


AMBIGUOUS = {
    "by identifier": ({"identifier": IDENTIFIER}, {"identifier": [IDENTIFIER]}),
    "conditional": (ref("MedicationStatement?identifier=urn:oid:1.2.3|A7"), {"identifier": [IDENTIFIER]}),
    "relative beside two urns": (ref("MedicationStatement/m"), {"id": "m"}),
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_ambiguous_is_told_and_never_guessed(name: str) -> None:
    """Two courses fit: the infusion belongs to neither, and stays readable; the document says so once."""
    reference, both = AMBIGUOUS[name]
    urns = [URN, URN.replace("349d", "349e")]
    courses = [{"fullUrl": u, "resource": course(f"m{i}") | both | {"note": [{"text": u}]}} for i, u in enumerate(urns)]
    case, report = read(bundle(PATIENT, infusion(supportingInformation=[reference]), *courses))
    holding = {one.key: len(one.administrations) for one in case.therapies if one.administrations}
    assert holding == {"derived-ivig": 1}
    told = issue(report, "ambiguous-reference")
    assert told.level == "warning"
    assert told.pointer.startswith("/entry/1/resource/supportingInformation/0")


def test_ambiguous_subject_is_not_the_patient() -> None:
    """Whose a weight is must not be guessed: two patients share an identifier."""
    both = {"identifier": [IDENTIFIER]}
    found = bundle(PATIENT | both, PATIENT | {"id": "2"} | both, weight(subject={"identifier": IDENTIFIER}))
    case, report = read(found, patient="1")
    assert kilos(case) == {}
    assert [i.pointer for i in report.issues if i.code == "other-subject"][-1] == "/entry/2/resource/subject"


@pytest.mark.parametrize(
    ("subject", "kept"),
    [
        (ref("Patient/1"), True),
        (ref(f"{SERVER}/Patient/1"), True),
        (ref("Patient/1/_history/2"), True),
        (ref("Patient/1/_history/1"), True),  # the same person, in another version
        ({"identifier": IDENTIFIER}, True),
        (ref("Patient?identifier=urn:oid:1.2.3|A7"), True),
        (ref(f"{OTHER}/Patient/1"), False),
        (ref("Patient/2"), False),
        (ref("Group/1"), False),
        (ref("#p"), False),
        ({"display": "Jane Doe"}, False),
        ({}, False),
        (None, False),
    ],
)
def test_subject(subject: Json, kept: bool) -> None:
    """What is surely about the patient is read; what may be about another is told and left."""
    patient = PATIENT | {"meta": {"versionId": "2"}, "identifier": [IDENTIFIER]}
    made = {name: value for name, value in weight(subject=subject).items() if value is not None}
    case, report = read(bundle(patient, made))
    assert (kilos(case) != {}) == kept
    assert ("other-subject" in codes(report)) != kept
    assert ("version-mismatch" in codes(report)) == (subject == ref("Patient/1/_history/1"))


def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    """No reference, link or fullUrl opens a connection."""

    def refuse(*args: Any, **options: Any) -> Any:
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    for form in FORMS:
        from_fhir(document(form))


# --- HL7's example --------------------------------------------------------------------------------


@needs_corpus
def test_bundle_references_of_hl7() -> None:
    """The comments of the example, as facts: which entry each subject means."""
    nodes = entries_of(from_corpus()).nodes
    index = Index(nodes)
    where = {id(node): number for number, node in enumerate(nodes)}

    def means(number: int) -> int | None:
        target = index.resolve(nodes[number].resource["subject"], nodes[number])
        return None if target is None else where[id(target)]

    assert means(2) == 0, "relative, from http://example.org/fhir/Observation/123"
    assert means(3) == 0, "absolute"
    assert means(4) == 1, "urn:uuid"
    assert means(5) is None, "absolute, to another server: not in the Bundle"
    assert means(6) is None, "relative, from http://example.org/fhir-2: another server's Patient/23"
    assert means(9) == 8, "versioned: of the two versions of Patient/45 the second"
    assert means(10) == 0, "by identifier"


def from_corpus() -> Json:
    """The example as plain JSON."""
    from mappings import decode

    return decode(path("Bundle-bundle-references.json").read_bytes())


@needs_corpus
def test_bundle_references_of_hl7_as_a_document() -> None:
    """It holds four patients, one of them twice: refused without a word on which; two versions are one patient."""
    document = from_corpus()
    case, report = read(document, patient="45")
    assert case.case_id == "45"
    assert "older-version" in codes(report)
    case, report = read(document, patient="23")
    assert [i.pointer for i in report.issues if i.code == "other-subject"]
