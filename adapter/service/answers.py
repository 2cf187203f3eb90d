"""The one place that makes answers: every refusal is an OperationOutcome that says whether to send again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from adapter.bugs import bug
from adapter.service.asking import FHIR
from mappings import Issue, MappingError, encode
from mappings.report import Json, outcome

#: The status of each issue code; every other one is 422: well-formed, and not convertible.
STATUS = {
    **dict.fromkeys(("not-json", "not-utf8", "duplicate-name", "bad-number", "too-deep", "not-gzip"), 400),
    **dict.fromkeys(("bad-request", "bad-option"), 400),
    "unauthenticated": 401,
    "forbidden": 403,
    "no-route": 404,
    "wrong-method": 405,
    "not-acceptable": 406,
    "too-large": 413,
    "too-costly": 413,
    "unsupported-media-type": 415,
    "wrong-host": 421,
    "throttled": 429,
    "bug": 500,
    "unavailable": 503,
}
#: What a caller does with a status: mend the message or the credentials, send it again later, or never send it so.
RETRY = {
    **dict.fromkeys((400, 401, 403, 413, 422), "after-fix"),
    **dict.fromkeys((408, 429, 500, 503), "later"),
}
#: Seconds until a passing fault may be over.
RETRY_AFTER = {429: 2, 503: 5}
_CODES = {401: "unauthenticated", 403: "forbidden", 404: "no-route", 405: "wrong-method", 413: "too-large"}


class Refused(MappingError):
    """A refusal with headers of its own, such as ``WWW-Authenticate``."""

    def __init__(self, issues: Issue | Sequence[Issue], headers: Mapping[str, str]) -> None:
        super().__init__(issues)
        self.headers = headers


def answer(json: Json, content_type: str, status: int = 200) -> Response:
    """JSON with its own digits, and its charset said."""
    return Response(encode(json), status, content_type=f"{content_type}; charset=utf-8")


def refusal(issues: Sequence[Issue], status: int | None = None, headers: Mapping[str, str] | None = None) -> Response:
    """The one form of every answer that is no success; the status is the lowest that one of them has."""
    status = status or min(STATUS.get(issue.code, 422) for issue in issues)
    g.issues += [issue.code for issue in issues]
    found = answer(outcome(issues), FHIR, status)
    found.headers["X-Retry"] = RETRY.get(status, "later" if status >= 500 else "never")
    if status in RETRY_AFTER:
        found.headers["Retry-After"] = str(RETRY_AFTER[status])
    found.headers.update(headers or {})
    return found


def refuse(app: Flask) -> None:
    """The error path of the application: conversions, Werkzeug, and our own bugs."""
    app.register_error_handler(MappingError, lambda error: refusal(error.issues, headers=getattr(error, "headers", {})))
    app.register_error_handler(HTTPException, _http_refusal)
    app.register_error_handler(Exception, lambda error: _bug(app, error))


def finish(response: Response) -> Response:
    """What every answer carries: its ids and its size."""
    response.headers["X-Request-Id"] = g.request_id
    if g.correlation_id:
        response.headers["X-Correlation-Id"] = g.correlation_id
    g.sizes["out"] = response.calculate_content_length() or 0
    return response


def _http_refusal(error: HTTPException) -> Response:
    """What Flask or Werkzeug refuse: their status, our form, and the methods that a path takes."""
    status = error.code or 500
    expected = f"{request.max_content_length} bytes or fewer" if status == 413 else ""
    issue = Issue(_CODES.get(status, "bad-request" if status < 500 else "bug"), expected=expected)
    allowed = getattr(error, "valid_methods", None)
    return refusal([issue], status, {"Allow": ", ".join(sorted(allowed))} if allowed else None)


def _bug(app: Flask, error: Exception) -> Response:
    """Our own failure: an id for both sides, where it was for our log alone, a value or a trace for nobody."""
    g.bug = bug(error).text
    app.logger.error("bug %s: %s", g.request_id, g.bug)
    return refusal([Issue("bug", f"The adapter failed; request id {g.request_id}.")])
