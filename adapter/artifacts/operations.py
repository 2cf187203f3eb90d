"""The operations of the endpoint as OperationDefinitions, and the CapabilityStatement of the software."""

from __future__ import annotations

from adapter.artifacts.frame import published
from adapter.service.capability import capability_statement
from adapter.service.contract import OPERATIONS, Operation, Parameter
from mappings.report import Json

Resources = list[dict[str, Json]]


def definitions() -> Resources:
    """The OperationDefinition of each operation."""
    return [
        published(
            "OperationDefinition",
            code,
            operation.title,
            operation.documentation,
            kind="operation",
            affectsState=False,
            code=code,
            system=True,
            type=False,
            instance=False,
            parameter=_parameters(operation),
        )
        for code, operation in OPERATIONS.items()
    ]


def _parameters(operation: Operation) -> list[Json]:
    beside = (operation.onto,) if operation.onto else ()
    return [
        _parameter(operation.takes, "in", 1),
        *(_parameter(one, "in", 0) for one in (*beside, *operation.parameters)),
        _parameter(operation.gives, "out", 1),
    ]


def _parameter(one: Parameter, use: str, least: int) -> dict[str, Json]:
    told = {"documentation": one.documentation, "type": one.type}
    return {"name": one.name, "use": use, "min": least, "max": "1", **told}


def capability() -> dict[str, Json]:
    """What the software can do; a running endpoint has a statement of its own, of kind instance."""
    stated = capability_statement()
    title, about = stated["title"], stated["implementation"]["description"]
    kept = {name: stated[name] for name in ("software", "fhirVersion", "format", "rest")}
    return published("CapabilityStatement", "adapter", title, about, kind="capability", **kept)
