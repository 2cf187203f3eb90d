"""The operations of the endpoint, with their parameters: OperationDefinitions, and the CapabilityStatement."""

from __future__ import annotations

from typing import NamedTuple

from adapter.artifacts.frame import published
from adapter.service.capability import OPERATIONS as DOCUMENTED
from adapter.service.capability import capability_statement
from adapter.verify import LEVELS
from mappings.bundle import MODES, TYPES
from mappings.report import Json
from mappings.terms import BASE

Resources = list[dict[str, Json]]


class Parameter(NamedTuple):
    """One parameter of an operation; those that go in beside the body are query parameters."""

    name: str
    use: str
    type: str
    min: int
    documentation: str


class Operation(NamedTuple):
    """One operation of the system; what it does is documented in `adapter.service.capability`, or here until it is."""

    title: str
    parameters: tuple[Parameter, ...]
    documentation: str = ""


VERIFY = Parameter("verify", "in", "code", 0, f"What is held against R4: {', '.join(LEVELS)}. Default: {LEVELS[0]}.")
OPERATIONS = {
    "to-fhir": Operation(
        "Case to FHIR",
        (
            Parameter("case", "in", "Binary", 1, "The case document: the raw body, application/json."),
            Parameter("type", "in", "code", 0, f"The type of the Bundle: {', '.join(TYPES)}. Default: {TYPES[0]}."),
            Parameter("mode", "in", "code", 0, f"Of a transaction: {', '.join(MODES)}. Default: {MODES[0]}."),
            Parameter("subject", "in", "string", 0, "Of a transaction: the Patient that exists, such as Patient/123."),
            Parameter("now", "in", "instant", 0, "The time of making, where the case has no `recorded`."),
            Parameter("literature", "in", "boolean", 0, "Whether the literature is written. Default: true."),
            VERIFY,
            Parameter("return", "out", "Bundle", 1, "The Bundle."),
        ),
    ),
    "to-case": Operation(
        "FHIR to case",
        (
            Parameter("resource", "in", "Resource", 1, "A Bundle, or a single resource: the raw body."),
            Parameter("strict", "in", "boolean", 0, "Whether to refuse what is not mapped. Default: false."),
            Parameter("patient", "in", "string", 0, "The id of the Patient, where there are several."),
            VERIFY,
            Parameter("return", "out", "Binary", 1, "The case document: application/json."),
        ),
    ),
    "validate": Operation(
        "Validate",
        (
            Parameter("resource", "in", "Resource", 1, "Any resource, or a case document as Binary: the raw body."),
            Parameter("return", "out", "OperationOutcome", 1, "Every problem at once, with place and remedy."),
        ),
        "POST /fhir/$validate: whether a resource follows the rules of FHIR R4 (4.0.1), or a case document its model.",
    ),
}


def documentation(code: str) -> str:
    """What an operation does."""
    return DOCUMENTED.get(code, OPERATIONS[code].documentation)


def definitions() -> Resources:
    """The OperationDefinition of each operation."""
    return [
        published(
            "OperationDefinition",
            code,
            operation.title,
            documentation(code),
            kind="operation",
            affectsState=False,
            code=code,
            system=True,
            type=False,
            instance=False,
            parameter=[one._asdict() | {"max": "1"} for one in operation.parameters],
        )
        for code, operation in OPERATIONS.items()
    ]


def capability() -> dict[str, Json]:
    """What the software can do; a running endpoint has a statement of its own, of kind instance."""
    stated = capability_statement()
    title, about = stated["title"], stated["implementation"]["description"]
    kept = {name: stated[name] for name in ("software", "fhirVersion", "format")}
    listed = [
        {"name": code, "definition": f"{BASE}/OperationDefinition/{code}", "documentation": documentation(code)}
        for code in OPERATIONS
    ]
    rest = [{"mode": "server", "operation": listed}]
    return published("CapabilityStatement", "adapter", title, about, kind="capability", rest=rest, **kept)
