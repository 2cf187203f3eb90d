"""The one place that makes answers: every refusal is an OperationOutcome that says whether to send again."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from hashlib import sha256

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from adapter.bugs import bug
from adapter.service.asking import FHIR, drain
from adapter.service.context import stage
from adapter.service.limits import Spent
from mappings import Issue, MappingError, encode
from mappings.report import CATALOGUE, Json, outcome

#: The status of each issue code; every other one is 422: well-formed, and not convertible.
STATUS = {
    **dict.fromkeys(("not-json", "not-utf8", "duplicate-name", "bad-number", "bad-text", "too-deep", "not-gzip"), 400),
    **dict.fromkeys(("bad-request", "bad-option"), 400),
    "unauthenticated": 401,
    "forbidden": 403,
    "no-route": 404,
    "wrong-method": 405,
    "not-acceptable": 406,
    "timeout": 408,
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
    **dict.fromkeys((404, 405, 406, 415, 421), "never"),
    **dict.fromkeys((408, 429, 500, 503), "later"),
}
#: Seconds until a passing fault may be over.
RETRY_AFTER = {429: 2, 503: 5}
#: Issues that one answer lists.
MOST = 5000
#: Bytes below which packing gains nothing.
_SMALL = 1024
_LEVEL = 3
_CODES = {status: code for code, status in STATUS.items() if code not in ("bad-option", "too-costly")}
_NEVER_STORED = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Refused(MappingError):
    """A refusal with headers of its own, such as ``WWW-Authenticate``."""

    def __init__(self, issues: Issue | Sequence[Issue], headers: Mapping[str, str]) -> None:
        super().__init__(issues)
        self.headers = headers


def status_of(code: str) -> int:
    """The status with which an issue of this code is answered; 200 where it refuses nothing."""
    return STATUS.get(code, 422 if CATALOGUE[code].severity == "error" else 200)


def answer(json: Json, content_type: str, status: int = 200) -> Response:
    """JSON with its own digits, and its charset said."""
    return Response(encode(json), status, content_type=f"{content_type}; charset=utf-8")


def told(response: Response, issues: Sequence[Issue], counted: Sequence[Issue] | None = None) -> Response:
    """An answer that tells these issues: each leads to its entry in the catalogue; ``counted`` for the metrics."""
    g.issues += [issue.code for issue in (issues if counted is None else counted)]
    for code in list(dict.fromkeys(issue.code for issue in issues))[:10]:
        response.headers.add("Link", f'</errors#{code}>; rel="help"')
    return response


def refusal(issues: Sequence[Issue], status: int | None = None, headers: Mapping[str, str] | None = None) -> Response:
    """The one form of every answer that is no success; the status is the lowest that one of them has."""
    status = status or min(STATUS.get(issue.code, 422) for issue in issues)
    listed = [*issues[:MOST], Issue("unlisted")] if len(issues) > MOST else issues
    found = told(answer(outcome(listed), FHIR, status), listed)
    found.headers["X-Retry"] = RETRY.get(status, "later" if status >= 500 else "never")
    if status in RETRY_AFTER:
        found.headers["Retry-After"] = str(RETRY_AFTER[status])
    found.headers.update(headers or {})
    return found


def refuse(app: Flask) -> None:
    """The error path of the application: conversions, Werkzeug, the cost of one request, and our own bugs."""
    app.register_error_handler(MappingError, lambda error: _refused(app, error))
    app.register_error_handler(Spent, lambda error: refusal([error.issue]))
    app.register_error_handler(HTTPException, _http_refusal)
    app.register_error_handler(Exception, lambda error: _bug(app, bug(error).text))


def _refused(app: Flask, error: MappingError) -> Response:
    """A refusal, unless what is refused is our own."""
    ours = [issue.text for issue in error.issues if issue.code == "bug"]
    return _bug(app, " ".join(ours)) if ours else refusal(error.issues, headers=getattr(error, "headers", {}))


def finish(response: Response) -> Response:
    """What every answer carries: its ids, its hash, how it may be kept and packed, and its size."""
    if request.environ.get("wsgi.input_terminated"):
        drain()
    response.headers["X-Request-Id"] = g.request_id
    if g.correlation_id:
        response.headers["X-Correlation-Id"] = g.correlation_id
    for name, value in _NEVER_STORED.items():
        response.headers.setdefault(name, value)
    response.vary.update(("Accept", "Accept-Encoding", "Prefer"))
    if request.method in ("GET", "HEAD") and response.status_code == 200:
        response.set_etag(response.get_etag()[0] or sha256(response.get_data()).hexdigest())
        # without If-Match, which would make of the whole answer a 412: it is for what a caller writes
        response.make_conditional({name: value for name, value in request.environ.items() if name != "HTTP_IF_MATCH"})
    if response.status_code != 304 and len(raw := response.get_data()) >= _SMALL and _packed_is_wanted():
        with stage("encode"):
            response.set_data(gzip.compress(raw, _LEVEL, mtime=0))
        response.headers["Content-Encoding"] = "gzip"
        if (etag := response.get_etag()[0]) is not None:
            response.set_etag(etag, weak=True)
    g.sizes["out"] = len(response.get_data())
    return response


def _packed_is_wanted() -> bool:
    codings = request.accept_encodings
    return 0 < codings.quality("gzip") >= codings.quality("identity")


def _http_refusal(error: HTTPException) -> Response:
    """What Flask or Werkzeug refuse: their status, our form, and the methods that a path takes."""
    status = error.code or 500
    code = _CODES.get(status, "bad-request" if status < 500 else "bug")
    allowed = getattr(error, "valid_methods", None)
    return refusal([Issue(code)], status, {"Allow": ", ".join(sorted(allowed))} if allowed else None)


def _bug(app: Flask, text: str) -> Response:
    """Our own failure: an id for both sides, where it was for our log alone, a value or a trace for nobody."""
    g.bug = text
    app.logger.error("bug %s: %s", g.request_id, g.bug)
    return refusal([Issue("bug", f"The adapter failed; request id {g.request_id}.")])
