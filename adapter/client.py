"""A FHIR server over HTTP: the one place from which anything leaves this machine.

A request is repeated only where the server cannot have acted on it: the connection was refused, or
it answered 429 or 503 and said when to come back. After anything else a write is of unknown
outcome, which is said and not mended by sending it once more. No redirect is followed. Texts of a
server enter no message, they may quote the patient: only status, codes and paths do.
"""

from __future__ import annotations

import re
from functools import cached_property
from time import monotonic
from typing import Any, NamedTuple, Self

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from adapter.settings import LOOPBACK, url_parts
from mappings import Issue, MappingError, __version__, decode, encode
from mappings.report import Json
from mappings.resource import members

FHIR, AGENT = "application/fhir+json", f"scleromyxedema-fhir-adapter/{__version__}"
CONNECT_SECONDS = 10.0
REPEATS = 4
LONGEST_WAIT = 60.0
MOST_BYTES = 200 * 2**20


class Answer(NamedTuple):
    """The status of an answer and its JSON; None where it has none."""

    status: int
    document: Json


class _Repeats(Retry):
    """Repeats what was never taken: a refused connection, a 429 or 503 with a `Retry-After` that is worth waiting."""

    RETRY_AFTER_STATUS_CODES = frozenset({429, 503})

    def increment(
        self, method: str | None = None, url: str | None = None, response: Any = None, *args: Any, **more: Any
    ) -> Self:
        too_long = response is not None and (self.get_retry_after(response) or 0) > LONGEST_WAIT
        patience = self.new(total=0) if too_long else self
        return super(_Repeats, patience).increment(method, url, response, *args, **more)


class _Session(requests.Session):
    """Looks at no redirect, which may lead to what is no address."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


class Server:
    """A FHIR R4 server by its base address; ``seconds`` is how long an answer may take.

    ``certificate`` is the files of a client certificate and its key. Certificates of servers are
    checked; REQUESTS_CA_BUNDLE names those of an authority of one's own.
    """

    def __init__(
        self, base: str, *, token: str | None = None, certificate: tuple[str, str] | None = None, seconds: float = 60.0
    ) -> None:
        self.base, self.seconds = _address(base, token is not None), seconds
        #: the body of the last answer as it came
        self.answered = b""
        self._session = _Session()
        self._session.auth = _Bearer(token)
        self._session.cert = certificate
        # HAPI answers a search from its memory for a minute unless it is told not to
        self._session.headers.update({"Accept": FHIR, "Cache-Control": "no-cache", "User-Agent": AGENT})
        repeats = _Repeats(
            total=REPEATS,
            read=0,
            other=0,
            redirect=0,
            allowed_methods=None,
            backoff_factor=0.5,
            backoff_jitter=0.5,
            retry_after_max=int(10 * LONGEST_WAIT),
            raise_on_status=False,
        )
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=repeats))

    @cached_property
    def capability(self) -> dict[str, Json]:
        """What the server states about itself: its CapabilityStatement."""
        document = self.get("metadata")
        if document.get("resourceType") != "CapabilityStatement":
            raise MappingError(self.strange("a CapabilityStatement", "metadata"))
        return document

    @property
    def rest(self) -> dict[str, Json]:
        """The part of the CapabilityStatement about the server's REST interface."""
        return next((rest for rest in members(self.capability, "rest") if rest.get("mode") == "server"), {})

    @property
    def resources(self) -> dict[str, dict[str, Json]]:
        """What is stated about each type of resource."""
        return {str(stated.get("type")): stated for stated in members(self.rest, "resource")}

    def get(self, path: str) -> dict[str, Json]:
        """The resource at a path under the base, or at an absolute URL; anything else raises `MappingError`."""
        url = path if path.startswith(("http://", "https://")) else f"{self.base}/{path}"
        answer = self._request("GET", url)
        if answer.status != 200:
            raise MappingError(self.refusal(answer, path.partition("?")[0]))
        if not isinstance(answer.document, dict) or "resourceType" not in answer.document:
            raise MappingError(self.strange("a resource in JSON", path.partition("?")[0]))
        return answer.document

    def read(self, path: str) -> dict[str, Json] | None:
        """The resource at a path; None where the server does not give it."""
        answer = self._request("GET", f"{self.base}/{path}")
        document = answer.document
        return document if answer.status == 200 and isinstance(document, dict) else None

    def post(self, bundle: dict[str, Json], *, writes: bool = True) -> Answer:
        """Post a Bundle to the base. What fails on the way raises `MappingError`; the status is the caller's to read.

        ``writes`` tells whether an outcome that is not known matters.
        """
        return self._request("POST", self.base, encode(bundle), writes)

    def _request(self, method: str, url: str, body: bytes | None = None, writes: bool = False) -> Answer:
        headers = {"Content-Type": FHIR} if body is not None else {}
        headers |= {"Prefer": "return=minimal"} if writes else {}
        try:
            with self._session.request(
                method,
                url,
                data=body,
                headers=headers,
                timeout=(CONNECT_SECONDS, self.seconds),
                allow_redirects=False,
                stream=True,
            ) as response:
                self.answered = self._whole(response)
                status, place = response.status_code, response.headers.get("Location", "")
        except (requests.RequestException, HTTPError) as error:
            raise MappingError(self._failure(error, writes)) from None
        if 300 <= status < 400:
            raise MappingError(self._redirect(place))
        try:
            answer = Answer(status, decode(self.answered))
        except MappingError:
            answer = Answer(status, None)
        if status in (401, 429, 503):
            raise MappingError(self.refusal(answer))
        return answer

    def _whole(self, response: requests.Response) -> bytes:
        """The body, of bounded size, in bounded time, however slowly it drips."""
        until, parts, size = monotonic() + self.seconds, [], 0
        while part := response.raw.read1(2**16, decode_content=True):
            parts.append(part)
            size += len(part)
            if monotonic() > until:
                raise requests.ReadTimeout
            if size > MOST_BYTES:
                raise requests.ConnectionError
        return b"".join(parts)

    def _failure(self, error: Exception, wrote: bool) -> Issue:
        """The issue for a request that got no whole answer; the error's own text is left out, it quotes the URL."""
        cause: Any = error.args[0] if error.args else error
        cause = getattr(cause, "reason", cause)
        reasons = (
            (NewConnectionError, "the connection was refused, or there is no such host"),
            (ConnectTimeoutError, f"no connection in {CONNECT_SECONDS:g} s"),
            (SSLError, "TLS failed: a certificate is not trusted, or not that of this host"),
            (ProxyError, "the proxy did not connect"),
        )
        for kind, reason in reasons:
            if isinstance(cause, kind) and not (wrote and kind in (SSLError, ProxyError)):
                return Issue("not-reached", f"{self.base}: {reason}.")
        timed_out = isinstance(cause, ReadTimeoutError) or isinstance(error, requests.Timeout)
        reason = f"no whole answer in {self.seconds:g} s" if timed_out else "the connection broke"
        return Issue("unknown-outcome" if wrote else "not-reached", f"{self.base}: {reason}.")

    def _redirect(self, place: str) -> Issue:
        there = url_parts(place)
        host = f"{there.scheme}://{there.hostname}" if there.hostname else "another path"
        return Issue(
            "server-refused",
            f"{self.base} redirects to {host}, which is not followed.",
            remedy="Give that address as --server, if it is the right one.",
        )

    def refusal(self, answer: Answer, what: str = "this", wrote: bool = False) -> Issue:
        """The issue for an answer that is not 2xx."""
        if wrote and answer.status in UNKNOWN:
            return Issue("unknown-outcome", f"{self.base} answered {answer.status}{told(answer.document)}.")
        if answer.status == 413:
            return Issue("too-large", f"{self.base} does not take {what} of this size (413).")
        text = f"{self.base} answered {answer.status} to {what}{told(answer.document)}."
        return Issue("server-refused", text, remedy=REMEDIES.get(answer.status, ""))

    def strange(self, expected: str, what: str = "this") -> Issue:
        """The issue for an answer that is not what FHIR says."""
        text = f"{self.base} answered something else to {what}."
        return Issue("server-answer", text, expected=expected)


#: Answers to a write that do not tell whether it was carried out: timeouts, and failures of a server or gateway.
UNKNOWN = (408, 500, 502, 504)
REMEDIES = {
    401: "Set FHIR_SERVER_TOKEN or --token-file, or give a client certificate.",
    403: "Ask whoever runs the server for the right to do this.",
    404: "Check the address (the base of the FHIR interface) and the id.",
    405: "The server does not do this.",
    409: "Look at the resource that is named; someone may be changing it. Then send again.",
    410: "The resource was deleted on the server.",
    412: "Several resources have this identifier, or the version is another: look at them on the server.",
    429: "Wait, then do it again: what is there is not written twice.",
    503: "Wait, then do it again: what is there is not written twice.",
}
_CODE, _PATH = re.compile(r"[A-Za-z0-9._:/#-]{1,80}"), re.compile(r"[A-Za-z0-9_.\[\]]{1,160}")


def told(outcome: Json) -> str:
    """What an OperationOutcome says, in codes and paths only: its texts may quote the patient."""
    found = []
    for issue in members(outcome, "issue"):
        details = members(issue.get("details"), "coding")
        codes = [issue.get("severity"), issue.get("code"), *(coding.get("code") for coding in details)]
        places = issue.get("expression") or issue.get("location") or []
        words = [word for word in codes if isinstance(word, str) and _CODE.fullmatch(word)]
        words += [f"at {place}" for place in places if isinstance(place, str) and _PATH.fullmatch(place)]
        found.append(" ".join(words))
    more = f"; and {len(found) - 10} more" if len(found) > 10 else ""
    return f" ({'; '.join(found[:10])}{more})" if found else ""


class _Bearer(requests.auth.AuthBase):
    """The token on each request. It is there without one too, so that no password of a .netrc is sent."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _address(base: str, secret: bool) -> str:
    """The base address without its last slash; a secret goes over TLS only, or stays on this machine."""
    parts = url_parts(base)
    try:
        plain = base.isprintable() and " " not in base and parts.port != 0
    except ValueError:
        plain = False
    sound = plain and parts.scheme in ("http", "https") and parts.hostname
    if not sound or parts.username or parts.query or parts.fragment:
        raise MappingError(
            Issue("bad-option", path="--server", expected="http(s)://host/path, without user, query and fragment")
        )
    if secret and parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise MappingError(Issue("bad-option", "A token would be readable on the way.", "--server", expected="https"))
    return base.rstrip("/")
