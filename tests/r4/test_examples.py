"""The official examples of R4: no error, but for the real ones in them."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path

import pytest

from adapter.r4 import check

CORPUS = Path(os.environ.get("FHIR_CORPUS", Path(__file__).parents[3] / "shared" / "corpus")) / "hl7-r4-examples"
FILES = sorted(CORPUS.glob("*.json"))

#: What is really wrong in the official examples: file -> rule -> why. The HL7 validator says the same but for age-1.
REAL = {
    "Bundle-bundle-search-warning": {"bundle-fullurl": "the OperationOutcome of the searchset has no fullUrl"},
    "Bundle-father": {
        "ucum": "`tbl` is no UCUM unit",
        "bundle-relative": "a urn entry refers relatively to a Practitioner whose fullUrl is http",
    },
    "DiagnosticReport-example-pgx": {"attachment-hash": "the hash is not that of the data"},
    "List-example-double-cousin-relationship": {"age-1": "an age is given in `b`, which is the barn"},
    "MedicationAdministration-medadmin0312": {"code": "`patch` is not in v3-orderableDrugForm"},
    "MedicationStatement-example001": {"code": "`Tab` is not in v3-orderableDrugForm, `TAB` is"},
    "MedicationStatement-example002": {"code": "`Tab` is not in v3-orderableDrugForm, `TAB` is"},
    "MedicationStatement-example003": {"code": "`tab` is not in v3-orderableDrugForm, `TAB` is"},
    "Observation-f202": {"vital-signs": "a body temperature without a time"},
}


def test_corpus_present() -> None:
    """Without the examples the tests below do not run, and say so."""
    if not FILES:
        pytest.skip(f"no official examples in {CORPUS.name}; FHIR_CORPUS names their folder")
    assert len(FILES) > 90


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_example(file: Path) -> None:
    """An official example has only the errors that are listed with their reasons."""
    document = json.loads(file.read_text(encoding="utf-8"), parse_float=Decimal)
    found = {issue.rule for issue in check(document) if issue.level == "error"}
    assert found == set(REAL.get(file.stem, {}))
