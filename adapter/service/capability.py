"""The CapabilityStatement: what this endpoint says of itself at ``GET /fhir/metadata``."""

from __future__ import annotations

from adapter import RELEASE_DATE
from mappings import __version__
from mappings.report import Json
from mappings.terms import BASE

FHIR_VERSION = "4.0.1"
OPERATIONS = {
    "to-fhir": "POST /fhir/$to-fhir: a case document (application/json) becomes a Bundle of type collection, document"
    " or transaction.",
    "to-case": "POST /fhir/$to-case: a Bundle, a resource or NDJSON becomes a case document (application/json). With"
    " strict=true a document of which anything is not mapped is refused.",
    "validate": "POST /fhir/$validate: a resource, a Bundle, NDJSON or a case is held against its rules; the answer is"
    " an OperationOutcome.",
}
_TITLE = "Two-way mapping between a scleromyxedema case and FHIR R4"


def capability_statement() -> dict[str, Json]:
    """The statement of this version; its date is that of the release, so that the same version says the same bytes."""
    return {
        "resourceType": "CapabilityStatement",
        "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{_TITLE}</p></div>'},
        "name": "ScleromyxedemaFhirAdapter",
        "title": _TITLE,
        "status": "active",
        "date": RELEASE_DATE,
        "kind": "instance",
        "software": {"name": "scleromyxedema-fhir-adapter", "version": __version__, "releaseDate": RELEASE_DATE},
        "implementation": {"description": "Stateless: nothing that is sent is stored, no URL in it is followed."},
        "fhirVersion": FHIR_VERSION,
        "format": ["json"],
        "rest": [
            {
                "mode": "server",
                "operation": [
                    {"name": name, "definition": f"{BASE}/OperationDefinition/{name}", "documentation": text}
                    for name, text in OPERATIONS.items()
                ],
            }
        ],
    }
