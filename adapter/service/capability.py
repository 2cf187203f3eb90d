"""The CapabilityStatement: what this endpoint says of itself at ``GET /fhir/metadata``."""

from __future__ import annotations

from adapter import RELEASE_DATE
from adapter.service.contract import OPERATIONS
from mappings import __version__
from mappings.report import Json
from mappings.terms import BASE

FHIR_VERSION = "4.0.1"
#: The types of the published resources that it gives out by id.
READABLE = ("CapabilityStatement", "CodeSystem", "ConceptMap", "OperationDefinition", "StructureDefinition", "ValueSet")
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
                "resource": [{"type": type_, "interaction": [{"code": "read"}]} for type_ in READABLE],
                "operation": [
                    {
                        "name": name,
                        "definition": f"{BASE}/OperationDefinition/{name}",
                        "documentation": operation.documentation,
                    }
                    for name, operation in OPERATIONS.items()
                ],
            }
        ],
    }
