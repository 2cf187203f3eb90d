"""Real FHIR R4 by others: every file of HL7's examples is read, accounted for to the leaf, and written back as it was.

A file that is refused is listed in `REFUSED` with the reason; what few of them hold of a case is listed in `READ`.
"""

from __future__ import annotations

import re
from typing import Any

from mappings import decode, dump_case, encode, from_fhir
from tests.corpus import NAMES, each, needs_corpus, path
from tests.foreign import leaves
from tests.sent import assert_account, codes, issue, read, refused

Json = Any
NO_PATIENT = "no-patient"
SEVERAL = "several-patients"
#: Files that hold no one patient, and why: what they are, or of whom.
REFUSED = {
    "Bundle-bundle-references.json": (SEVERAL, "four entries are Patients, two of them versions of one"),
    "Bundle-bundle-transaction.json": (SEVERAL, "it creates and updates five Patients"),
    "Bundle-bundle-request-medsallergies.json": (NO_PATIENT, "a batch of searches, without a resource"),
    "Bundle-bundle-request-simplesummary.json": (NO_PATIENT, "a batch of searches, without a resource"),
    "Bundle-bundle-search-warning.json": (NO_PATIENT, "an OperationOutcome alone"),
    "Group-101.json": (NO_PATIENT, "a group, its members named by no subject"),
    "Group-102.json": (NO_PATIENT, "a group, its members named by no subject"),
    "Group-example-patientlist.json": (NO_PATIENT, "a group, its members named by no subject"),
    "Group-herd1.json": (NO_PATIENT, "a herd of horses"),
    "List-current-allergies.json": (NO_PATIENT, "a list without a subject"),
    "List-example-empty.json": (NO_PATIENT, "a list without a subject"),
    "List-example-simple-empty.json": (NO_PATIENT, "a list without a subject"),
    "List-long.json": (NO_PATIENT, "a list without a subject"),
    "List-med-list.json": (NO_PATIENT, "a list without a subject"),
    "Observation-herd1.json": (NO_PATIENT, "of a Group"),
    "Provenance-consent-signature.json": (NO_PATIENT, "a Provenance has targets, no subject"),
    "Provenance-example-biocompute-object.json": (NO_PATIENT, "a Provenance has targets, no subject"),
    "Provenance-example-cwl.json": (NO_PATIENT, "a Provenance has targets, no subject"),
    "Provenance-example.json": (NO_PATIENT, "a Provenance has targets, no subject"),
    "Provenance-signature.json": (NO_PATIENT, "a Provenance has targets, no subject"),
    "Specimen-pooled-serum.json": (NO_PATIENT, "of a Group"),
}
#: Files with more than a patient's demographics: what is read of them.
READ: dict[str, Json] = {
    "Observation-body-length.json": {
        "measurements": [
            {
                "key": "observation-body-length",
                "kind": "body-height",
                "value": {"quantity": {"value": 25, "unit": "cm"}},
                "when": {"at": "1999-07-02"},
            }
        ]
    },
}
#: Files of which a resource that a table knows is not read, and the code that says why.
LEFT = {
    "Condition-f201.json": ("modifier", "a fever that is over"),
    "Observation-body-height.json": ("unreadable-resource", "a height in inches"),
    "Observation-example.json": ("unreadable-resource", "a weight in pounds"),
}
CASE = ("schema_version", "case_system", "case_id", "language", "recorded", "security", "tags", "patient")


@each([name for name in NAMES if name not in REFUSED])
def test_file_is_read_accounted_and_written_back(name: str) -> None:
    """No crash; mapped + rest is every leaf; `to_fhir(from_fhir(file)[0], onto=file)` is the file."""
    raw = path(name).read_bytes()
    case, _ = read(raw)
    told = {section: value for section, value in dump_case(case).items() if section not in CASE}
    assert encode(told) == encode(decode(encode(READ.get(name, {}))))


@each(sorted(REFUSED))
def test_file_is_refused_for_its_reason(name: str) -> None:
    """A file without one patient is refused as a whole, by name."""
    assert [found.code for found in refused(path(name).read_bytes())] == [REFUSED[name][0]]


@each(sorted(LEFT))
def test_what_is_left_says_why(name: str) -> None:
    """A resource that a table knows and that cannot be read is an error of the report; the file is read."""
    _, report = read(path(name).read_bytes())
    assert issue(report, LEFT[name][0]).level == "error"
    assert [found.code for found in report.errors] == [LEFT[name][0]]


@each([name for name in NAMES if name not in REFUSED and name not in LEFT])
def test_no_other_file_has_an_error(name: str) -> None:
    """What no table knows is told as information, not as an error."""
    _, report = from_fhir(path(name).read_bytes())
    assert report.errors == []


@needs_corpus
def test_lists_name_files_that_are_there() -> None:
    """Every name in the lists above is a file."""
    assert {*REFUSED, *READ, *LEFT} <= set(NAMES)


@each(["Bundle-bundle-references.json", "Bundle-bundle-transaction.json"])
def test_one_of_several_patients_is_read(name: str) -> None:
    """Each Patient of a file with several can be asked for, and then every leaf is accounted for too."""
    raw = path(name).read_bytes()
    entries = [e for e in decode(raw)["entry"] if e.get("resource", {}).get("resourceType") == "Patient"]
    for wanted in {e["fullUrl"] for e in entries}:
        _, report = from_fhir(raw, patient=wanted)
        assert_account(decode(raw), report)
        assert "other-subject" in codes(report)


@each([name for name in NAMES if name not in REFUSED])
def test_no_value_of_a_patient_is_in_the_report(name: str) -> None:
    """Messages quote codes and units; never a name, an address, a date, a number of the file."""
    raw = path(name).read_bytes()
    _, report = from_fhir(raw)
    held = {str(value) for pointer, value in leaves(decode(raw)) if PERSONAL.search(pointer)}
    for found in report.issues:
        quoted = {word.strip(".,()") for word in f"{found.text} {found.expected}".split()}
        assert not quoted & held


PERSONAL = re.compile(r"/(family|given|line|city|postalCode|value|birthDate|\w+DateTime|start|end)(/\d+)?$")
