"""The operations and their parameters, each said once: what is read, and what the descriptions tell of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from adapter.verify import LEVELS
from mappings.bundle import MODES, TYPES
from mappings.report import Json


class Parameter(NamedTuple):
    """One parameter: its FHIR type, its JSON Schema, an example where the schema shows none."""

    name: str
    type: str
    documentation: str
    schema: dict[str, Json]
    example: str = ""

    def read(self, value: str) -> Any:
        """The value that a query parameter means; raises `ValueError` that says what was expected."""
        return _reader(self.schema)(value)


class Operation(NamedTuple):
    """One operation: ``takes`` and ``gives`` are raw bodies, ``parameters`` stand in the query.

    ``onto`` is a second document, where the first one comes as a part of multipart/form-data.
    """

    title: str
    documentation: str
    takes: Parameter
    gives: Parameter
    parameters: tuple[Parameter, ...] = ()
    onto: Parameter | None = None


def _choice(name: str, about: str, words: tuple[str, ...]) -> Parameter:
    told = f"{about}: {', '.join(words)}. Default: {words[0]}."
    return Parameter(name, "code", told, {"type": "string", "enum": list(words)})


def _switch(name: str, about: str, default: bool) -> Parameter:
    return Parameter(name, "boolean", f"{about} Default: {str(default).lower()}.", {"type": "boolean"})


def _reader(schema: dict[str, Json]) -> Callable[[str], Any]:
    if schema["type"] == "boolean":
        return lambda value: _one_of("true", "false")(value) == "true"
    if "enum" in schema:
        return _one_of(*schema["enum"])
    # a + arrives as a space where the sender did not write it as %2B, and no time has a space
    return (lambda value: value.replace(" ", "+")) if schema.get("format") == "date-time" else str


def _one_of(*words: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return value

    return read


_BODY: dict[str, Json] = {"type": "object"}
_REFERENCE = r"^(https?://[^\s|]+/)?Patient/[A-Za-z0-9.\-]{1,64}$"
VERIFY = _choice("verify", "What is held against R4", LEVELS)
OPERATIONS = {
    "to-fhir": Operation(
        "Case to FHIR",
        "POST /fhir/$to-fhir: a case document (application/json) becomes a Bundle of type collection, document"
        " or transaction. As multipart/form-data with the parts case and onto, the facts are written onto a received"
        " Bundle, and all else in it stays as it is.",
        Parameter("case", "Binary", "The case document: the raw body, application/json.", _BODY),
        Parameter("return", "Bundle", "The Bundle.", _BODY),
        (
            _choice("type", "The type of the Bundle", TYPES),
            _choice("mode", "Of a transaction", MODES),
            Parameter(
                "subject",
                "string",
                "Of a transaction: the Patient that exists, such as Patient/123.",
                {"type": "string", "pattern": _REFERENCE},
                "Patient/123",
            ),
            Parameter(
                "now",
                "instant",
                "The time of making, where the case has no `recorded`.",
                {"type": "string", "format": "date-time"},
                "2024-07-15T10:00:00+02:00",
            ),
            _switch("literature", "Whether the literature is written.", True),
            VERIFY,
        ),
        Parameter("onto", "Bundle", "A received Bundle, as a part beside the case.", _BODY),
    ),
    "to-case": Operation(
        "FHIR to case",
        "POST /fhir/$to-case: a Bundle, a resource or NDJSON becomes a case document (application/json). With"
        " strict=true a document of which anything is not mapped is refused.",
        Parameter("resource", "Resource", "A Bundle, or a single resource: the raw body.", _BODY),
        Parameter("return", "Binary", "The case document: application/json.", _BODY),
        (
            _switch("strict", "Whether to refuse what is not mapped.", False),
            Parameter("patient", "string", "The id of the Patient, where there are several.", {"type": "string"}, "p1"),
            VERIFY,
        ),
    ),
    "validate": Operation(
        "Validate",
        "POST /fhir/$validate: a resource, a Bundle, NDJSON or a case is held against its rules; the answer is"
        " an OperationOutcome.",
        Parameter("resource", "Resource", "Any resource, or a case document as Binary: the raw body.", _BODY),
        Parameter("return", "OperationOutcome", "Every problem at once, with place and remedy.", _BODY),
    ),
}
