"""The HTTP endpoint: ``create_app()`` gives the Flask application.

Stateless. Bodies are raw JSON both ways. Whatever is not a 2xx is an OperationOutcome, Flask's and
Werkzeug's own refusals and our bugs included. Status codes are chosen for what integration engines
do with them: what would fail again is 4xx, and only our bug is 5xx.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from adapter.asking import FHIR, JSON, NDJSON, accepted, body, boolean, instant, one_of, query
from adapter.bugs import bug
from adapter.capability import capability_statement
from adapter.verify import LEVELS, findings, received, written
from mappings import Issue, MappingError, Report, dump_case, encode, from_fhir, load_case, to_fhir
from mappings.bundle import MODES, TYPES
from mappings.report import Json, outcome
from mappings.wire import as_plain

MAX_BODY = 10 * 2**20  # bytes
#: The status of each issue code; every other one is 422: well-formed, and not convertible.
STATUS = {
    **dict.fromkeys(("not-json", "not-utf8", "duplicate-name", "bad-number", "too-deep"), 400),
    **dict.fromkeys(("bad-request", "bad-option"), 400),
    "no-route": 404,
    "wrong-method": 405,
    "not-acceptable": 406,
    "too-large": 413,
    "unsupported-media-type": 415,
    "bug": 500,
}
_CODES = {404: "no-route", 405: "wrong-method", 413: "too-large"}


def create_app(max_body: int = MAX_BODY) -> Flask:
    """The application; ``max_body`` is the largest body in bytes."""
    app = Flask(__name__, static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=max_body, PROVIDE_AUTOMATIC_OPTIONS=False)
    app.url_map.merge_slashes = False  # /fhir//metadata would be answered by a redirect in HTML
    app.add_url_rule("/fhir/$to-fhir", "to-fhir", convert_to_fhir, methods=["POST"])
    app.add_url_rule("/fhir/$to-case", "to-case", convert_to_case, methods=["POST"])
    app.add_url_rule("/fhir/$validate", "validate", validate, methods=["POST"])
    app.add_url_rule("/fhir/metadata", "metadata", metadata, methods=["GET"])
    app.add_url_rule("/livez", "livez", livez, methods=["GET"])
    app.register_error_handler(MappingError, lambda error: refusal(error.issues))
    app.register_error_handler(HTTPException, _http_refusal)
    app.register_error_handler(Exception, lambda error: _bug(app, error))
    return app


# --- the operations -----------------------------------------------------------------------------


def convert_to_fhir() -> Response:
    """``POST /fhir/$to-fhir``: a case document becomes a Bundle."""
    content_type = accepted(FHIR, JSON)
    options = query(
        {
            "type": one_of(*TYPES),
            "mode": one_of(*MODES),
            "subject": str,
            "now": instant,
            "literature": boolean,
            "verify": one_of(*LEVELS),
        }
    )
    verify = options.pop("verify", LEVELS[0])
    bundle_type = options.pop("type", TYPES[0])
    if "mode" in options and bundle_type != "transaction":
        issue = Issue("bad-request", "The query parameter mode does nothing here.", expected="type=transaction with it")
        raise MappingError(issue)
    report = Report("case-to-fhir")
    bundle = to_fhir(load_case(body()), bundle_type=bundle_type, report=report, **options)
    return _converted(written(bundle, verify), report, content_type)


def convert_to_case() -> Response:
    """``POST /fhir/$to-case``: any FHIR R4 document of one patient becomes a case document."""
    content_type = accepted(JSON)
    options = query({"strict": boolean, "patient": str, "verify": one_of(*LEVELS)})
    verify = options.pop("verify", LEVELS[0])
    document = as_plain(body(*NDJSON))
    case, report = from_fhir(document, **options)
    report.issues += received(document, verify, options.get("strict", False))
    return _converted(dump_case(case), report, content_type)


def validate() -> Response:
    """``POST /fhir/$validate``: a FHIR resource or a case against its rules; 200 for any JSON, whatever it says."""
    content_type = accepted(FHIR, JSON)
    query({})
    raw = body(*NDJSON)
    as_plain(raw)  # what is no JSON is refused as elsewhere
    return answer(outcome(findings(raw), "All good."), content_type)


def metadata() -> Response:
    """``GET /fhir/metadata``: the CapabilityStatement."""
    content_type = accepted(FHIR, JSON)
    query({})
    return answer(capability_statement(), content_type)


def livez() -> Response:
    """``GET /livez``: the process is alive."""
    return answer({"status": "alive"}, JSON)


def _converted(result: Json, report: Report, content_type: str) -> Response:
    """A result, with the count of what is worth a look: what was made by an adapter is not."""
    found = answer(result, content_type)
    worth = sum(issue.disposition != "generated" for issue in report.issues)
    found.headers["X-Conversion-Issues"] = str(worth)
    return found


# --- answers ------------------------------------------------------------------------------------


def answer(json: Json, content_type: str, status: int = 200) -> Response:
    """JSON with its own digits, and its charset said."""
    return Response(encode(json), status, content_type=f"{content_type}; charset=utf-8")


def refusal(issues: Sequence[Issue], status: int | None = None) -> Response:
    """The one form of every answer that is no success; the status is the lowest that one of them has."""
    status = status or min(STATUS.get(issue.code, 422) for issue in issues)
    return answer(outcome(issues), FHIR, status)


def _http_refusal(error: HTTPException) -> Response:
    """What Flask or Werkzeug refuse: their status, our form, and the methods that a path takes."""
    status = error.code or 500
    issue = Issue(_CODES.get(status, "bad-request" if status < 500 else "bug"), expected=_expected(error))
    found = refusal([issue], status)
    if allowed := getattr(error, "valid_methods", None):
        found.headers["Allow"] = ", ".join(sorted(allowed))
    return found


def _expected(error: HTTPException) -> str:
    return f"{request.max_content_length} bytes or fewer" if error.code == 413 else ""


def _bug(app: Flask, error: Exception) -> Response:
    """Our own failure: an id for both sides, where it was for our log alone, a value or a trace for nobody."""
    request_id = str(uuid.uuid4())
    found = bug(error)
    app.logger.error("bug %s: %s", request_id, found.text)
    response = refusal([Issue("bug", f"The adapter failed; request id {request_id}.")])
    response.headers["X-Request-Id"] = request_id
    return response
