"""The description at ``GET /openapi.json``: OpenAPI 3.1, made of the same tables that the endpoint runs on."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from http import HTTPStatus
from typing import Any

from apispec import APISpec
from flask import Response

from adapter.service.answers import RETRY, RETRY_AFTER, STATUS
from adapter.service.asking import FHIR, JSON, MULTIPART, NDJSON, query
from adapter.service.capability import READABLE, capability_statement
from adapter.service.contract import OPERATIONS
from adapter.skeleton import skeleton
from mappings import Issue, __version__, case_json_schema, dump_case, encode, to_fhir
from mappings.report import Json, outcome

Spec = dict[str, Any]
_ABOUT = (
    "Stateless: nothing that is sent is stored, no URL in it is followed. Bodies may come packed"
    " (`Content-Encoding: gzip`). The same request gets the same bytes and the same `ETag`. Whatever is not 2xx is an"
    " OperationOutcome; `X-Retry` says whether to send again. `/errors` lists every issue code."
)
#: The statuses that requests with a document can get, those for what is given out, and those that any can.
_OF_DOCUMENTS = (400, 401, 403, 406, 408, 413, 415, 421, 422, 429, 500, 503)
_OF_READS = (400, 404, 406, 421, 500)
_OF_ALL = (421, 500)
_HEADERS = {
    "X-Request-Id": "The id of this request, as the service's log has it.",
    "X-Correlation-Id": "The X-Request-Id that came with the request.",
    "ETag": "The hash of the result: the same for a resend.",
    "X-Conversion-Issues": "How many issues of the conversion are worth a look; `Prefer: return=OperationOutcome`"
    " lists them.",
    "Preference-Applied": "The preference that was obeyed.",
    "X-Retry": "`after-fix`: mend the message and send it again; `later`: send it again as it is; `never`: this request"
    " cannot be served.",
    "Link": "The entries of the issues in the error catalogue.",
    "Retry-After": "Seconds until a passing fault may be over.",
    "WWW-Authenticate": "The credentials that are taken.",
    "Allow": "The methods that the path takes.",
}
_ISSUE = {
    "type": "object",
    "required": ["severity", "code"],
    "properties": {
        "severity": {"enum": ["fatal", "error", "warning", "information"]},
        "code": {"type": "string"},
        "details": {"type": "object", "description": "A stable code of /errors, and what to do."},
        "diagnostics": {"type": "string", "description": "What is wrong, what was expected, a JSON pointer."},
        "expression": {"type": "array", "items": {"type": "string"}},
    },
}


def openapi() -> Response:
    """``GET /openapi.json``."""
    query()
    return Response(_raw(), content_type=f"{JSON}; charset=utf-8")


@cache
def _raw() -> bytes:
    return encode(description())


def description() -> dict[str, Json]:
    """The whole description as plain JSON."""
    spec = APISpec("Scleromyxedema and FHIR R4", __version__, "3.1.0", info={"description": _ABOUT})
    _components(spec)
    case, bundle = dump_case(skeleton()), to_fhir(skeleton())
    documents = {name: {"schema": _ref("schemas", name)} for name in ("Case", "Bundle", "Resource")}
    case_body, bundle_body = documents["Case"] | {"example": case}, documents["Bundle"] | {"example": bundle}
    any_body = documents["Resource"] | {"example": bundle}
    lines: Spec = {"schema": {}}
    report = {"schema": _ref("schemas", "OperationOutcome")}
    form = {"case": _ref("schemas", "Case"), "onto": _ref("schemas", "Bundle")}
    parts: Spec = {
        "schema": {"type": "object", "properties": form, "required": ["case"], "additionalProperties": False}
    }
    parts["encoding"] = {name: {"contentType": JSON} for name in form}
    bodies: dict[str, tuple[Spec, Spec]] = {
        "to-fhir": (
            {JSON: case_body, FHIR: case_body, MULTIPART: parts},
            {FHIR: _either(bundle_body, report), JSON: _either(bundle_body, report)},
        ),
        "to-case": (
            {FHIR: any_body, JSON: any_body, NDJSON[0]: lines},
            {JSON: _either(case_body, report), FHIR: report},
        ),
        "validate": (
            {FHIR: {"schema": {}, "example": bundle}, JSON: {"schema": {}}, NDJSON[0]: lines},
            {FHIR: report, JSON: report},
        ),
    }
    for name, (takes, gives) in bodies.items():
        spec.path(f"/fhir/${name}", operations={"post": _operation(name, takes, gives)})
    kinds = {"type": "string", "enum": list(READABLE)}
    named = [_parameter("type", "path", kinds), _parameter("id", "path", {"type": "string"}, "smx")]
    resource = {"schema": _ref("schemas", "Resource")}
    _read(spec, "/fhir/{type}/{id}", "A published conformance resource", FHIR, resource, _OF_READS, named)
    stated = resource | {"example": capability_statement()}
    _read(spec, "/fhir/metadata", "The CapabilityStatement", FHIR, stated, (400, 406, *_OF_ALL))
    _read(spec, "/openapi.json", "This description", JSON, {"schema": {"type": "object"}}, (400, *_OF_ALL))
    _read(spec, "/livez", "Whether the process is alive", JSON, {"example": {"status": "alive"}}, _OF_ALL)
    ready = {"example": {"status": "ready"}}
    _read(spec, "/readyz", "Whether a conversion works here", JSON, ready, (503, *_OF_ALL))
    _read(spec, "/metrics", "Counts and durations, for Prometheus", "text/plain", {}, (401, 403, 503, *_OF_ALL))
    _read(spec, "/errors", "Every issue code", "text/html", {}, _OF_ALL)
    _read(spec, "/", "The web page", "text/html", {}, _OF_ALL)
    return spec.to_dict()


def _operation(name: str, takes: Spec, gives: Spec) -> Spec:
    operation = OPERATIONS[name]
    asked = [_parameter(one.name, "query", one.schema, one.example, one.documentation) for one in operation.parameters]
    asked.append(_parameter("X-Request-Id", "header", {"type": "string"}, "message-17"))
    headers = _headers("X-Request-Id", "X-Correlation-Id")
    answers = {"200": {"description": operation.gives.documentation, "content": gives, "headers": headers}}
    if name != "validate":
        about = "`return=` representation (default), minimal, or OperationOutcome: the full report."
        asked.append(_parameter("Prefer", "header", {"type": "string"}, "return=representation", about))
        headers |= _headers("ETag", "X-Conversion-Issues", "Preference-Applied")
        answers["204"] = {"description": "Converted; `Prefer: return=minimal` asks for no body.", "headers": headers}
    return {
        "operationId": name,
        "summary": operation.title,
        "description": operation.documentation,
        "security": [{}, {"bearer": []}],
        "parameters": [*asked, _format()],
        "requestBody": {"required": True, "content": takes},
        "responses": answers | _refusals(_OF_DOCUMENTS),
    }


def _read(
    spec: APISpec, path: str, title: str, kind: str, content: Spec, statuses: Iterable[int], asked: Iterable[Spec] = ()
) -> None:
    """One path that is read."""
    parameters = [*asked, *([_format()] if kind == FHIR else [])]
    kinds = {FHIR: content, JSON: content} if kind == FHIR else {kind: content}
    answers = {"200": {"description": title, "content": kinds, "headers": _headers("X-Request-Id", "ETag")}}
    told = {"summary": title, "parameters": parameters, "responses": answers | _refusals(statuses)}
    spec.path(path, operations={"get": told})


# --- parts ----------------------------------------------------------------------------------------


def _components(spec: APISpec) -> None:
    case = _moved(case_json_schema())
    for name, schema in case.pop("$defs").items():
        spec.components.schema(name, schema)
    del case["$schema"]
    kind = {"type": "object", "required": ["resourceType"]}
    spec.components.schema("Case", case)
    spec.components.schema("Resource", kind | {"properties": {"resourceType": {"type": "string"}}})
    spec.components.schema("Bundle", kind | {"properties": {"resourceType": {"const": "Bundle"}}})
    listed = {"resourceType": {"const": "OperationOutcome"}, "issue": {"type": "array", "minItems": 1, "items": _ISSUE}}
    spec.components.schema("OperationOutcome", kind | {"properties": listed})
    for name, about in _HEADERS.items():
        spec.components.header(name, {"description": about, "schema": {"type": "string"}})
    for status in sorted({*_OF_DOCUMENTS, *_OF_READS}):
        spec.components.response(str(status), _refusal(status))
    about = "An API key (`fhir-adapter keys new`) or a JWT of the configured issuer."
    spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer", "description": about})


def _refusal(status: int) -> Spec:
    codes = [code for code, of in STATUS.items() if of == status] or ["missing-field"]
    names = ["X-Request-Id", "X-Correlation-Id", "X-Retry", "Link"]
    names += ["Retry-After"] * (status in RETRY_AFTER) + ["WWW-Authenticate"] * (status == 401)
    example = outcome([Issue(codes[0])])
    listed = "any other code of /errors" if status == 422 else ", ".join(codes)
    return {
        "description": f"{HTTPStatus(status).phrase}: {listed}. X-Retry: {RETRY[status]}.",
        "headers": _headers(*names),
        "content": {FHIR: {"schema": _ref("schemas", "OperationOutcome"), "example": example}},
    }


def _refusals(statuses: Iterable[int]) -> Spec:
    return {str(status): _ref("responses", str(status)) for status in sorted(statuses)}


def _headers(*names: str) -> Spec:
    return {name: _ref("headers", name) for name in names}


def _parameter(name: str, place: str, schema: Spec, example: str = "", about: str = "") -> Spec:
    told = {"name": name, "in": place, "schema": schema, "required": place == "path", "description": about}
    return told | ({"example": example} if example else {})


def _format() -> Spec:
    formats = {"type": "string", "enum": ["json", FHIR, JSON]}
    return _parameter("_format", "query", formats, "", "Goes before the header Accept.")


def _either(one: Spec, other: Spec) -> Spec:
    return one | {"schema": {"anyOf": [one["schema"], other["schema"]]}}


def _ref(kind: str, name: str) -> Spec:
    return {"$ref": f"#/components/{kind}/{name}"}


def _moved(schema: Json) -> Json:
    """A JSON Schema whose definitions are components."""
    if isinstance(schema, dict):
        return {
            name: value.replace("#/$defs/", "#/components/schemas/") if name == "$ref" else _moved(value)
            for name, value in schema.items()
        }
    return [_moved(one) for one in schema] if isinstance(schema, list) else schema
