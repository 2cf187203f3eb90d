"""The files of others: `FHIR_CORPUS`, else ``../shared/corpus`` beside the project; the project does not copy them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

CORPUS = Path(os.environ.get("FHIR_CORPUS") or Path(__file__).parent.parent.parent / "shared" / "corpus")
EXAMPLES = CORPUS / "hl7-r4-examples"
NAMES = sorted(file.name for file in EXAMPLES.glob("*.json")) if EXAMPLES.is_dir() else []
WHY = "The HL7 R4 examples are not here: FHIR_CORPUS names the folder that holds hl7-r4-examples."
needs_corpus = pytest.mark.skipif(not NAMES, reason=WHY)


def path(name: str) -> Path:
    """One file of the HL7 R4 examples."""
    return EXAMPLES / name


def each(names: list[str]) -> pytest.MarkDecorator:
    """A test of each of these files; where there are none, one that is skipped and says why."""
    missing = [pytest.param("none", marks=pytest.mark.skip(reason=WHY))]
    return pytest.mark.parametrize("name", names if NAMES else missing)
