"""The endpoint over a socket: what is converted, what is refused with which status; no answer tells a value."""

from __future__ import annotations

import gzip
import io
import json
import re
import tracemalloc
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import adapter
from adapter.r4 import check
from adapter.reporting import full
from adapter.service import create_app
from adapter.service.answers import RETRY, STATUS, status_of
from adapter.service.limits import Spent
from mappings import Issue, Report, __version__, decode, dump_case, encode, from_fhir, load_case, to_fhir
from mappings.report import CATALOGUE
from mappings.wire import as_plain
from tests.served import ROOT, SECRET, SMALL, Server, serving

pytestmark = pytest.mark.xdist_group("http")
EXAMPLES = ROOT / "examples"
CASE = (EXAMPLES / "synthetic-course" / "case.json").read_bytes()
MINIMAL = (EXAMPLES / "minimal" / "case.json").read_bytes()
BUNDLE = encode(to_fhir(load_case(CASE)))
FHIR, JSON = "application/fhir+json", "application/json"
TO_FHIR, TO_CASE, VALIDATE = "/fhir/$to-fhir", "/fhir/$to-case", "/fhir/$validate"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two workers of gunicorn."""
    with serving(tmp_path_factory.mktemp("http") / "gunicorn.log") as running:
        yield running


# --- conversions --------------------------------------------------------------------------------


def test_to_fhir_answers_with_the_bundle_itself(server: Server) -> None:
    """The body is the Bundle that the library makes, to the byte, as FHIR JSON in UTF-8."""
    response = server.post(TO_FHIR, CASE)
    assert (response.status, response.body) == (200, BUNDLE)
    assert response.headers["Content-Type"] == "application/fhir+json; charset=utf-8"
    assert response.headers["X-Conversion-Issues"] == "0"


def test_to_case_answers_with_the_case_itself(server: Server) -> None:
    """The body is the case document, as JSON (a case is no FHIR), with every digit of the Bundle."""
    response = server.post(TO_CASE, BUNDLE, FHIR)
    assert (response.status, response.headers["Content-Type"]) == (200, "application/json; charset=utf-8")
    assert response.body == encode(dump_case(load_case(CASE)))


QUERIES: list[tuple[str, dict[str, Any]]] = [
    ("type=collection", {}),
    ("type=document&now=2024-07-15T10:00:00Z", {"bundle_type": "document", "now": "2024-07-15T10:00:00Z"}),
    ("type=transaction", {"bundle_type": "transaction"}),
    ("type=transaction&mode=conditional-update", {"bundle_type": "transaction", "mode": "conditional-update"}),
    ("type=transaction&subject=Patient/123", {"bundle_type": "transaction", "subject": "Patient/123"}),
    ("now=2024-07-15T10:00:00%2B02:00", {"now": "2024-07-15T10:00:00+02:00"}),
    ("now=2024-07-15T10:00:00+02:00", {"now": "2024-07-15T10:00:00+02:00"}),
    ("literature=false", {"literature": False}),
    ("literature=true", {}),
]


@pytest.mark.parametrize(("query", "options"), QUERIES, ids=[query for query, _ in QUERIES])
@pytest.mark.parametrize("case", [CASE, MINIMAL], ids=["synthetic", "minimal"])
def test_query_parameters_are_the_librarys_options(
    server: Server, case: bytes, query: str, options: dict[str, Any]
) -> None:
    """Each parameter does what the library's option does; a `+` in a time need not be escaped."""
    response = server.post(f"{TO_FHIR}?{query}", case)
    assert (response.status, response.body) == (200, encode(to_fhir(load_case(case), **options)))


def _foreign() -> bytes:
    bundle = decode(BUNDLE)
    bundle["entry"][0]["resource"]["maritalStatus"] = {"text": SECRET}
    bundle["entry"].append({"fullUrl": "urn:uuid:0", "resource": {"resourceType": "Basic", "code": {"text": SECRET}}})
    return encode(bundle)


def test_the_count_of_issues_is_of_what_is_worth_a_look(server: Server) -> None:
    """X-Conversion-Issues counts what was left, not the texts and the provenance that an adapter makes."""
    assert server.post(TO_CASE, BUNDLE).headers["X-Conversion-Issues"] == "0"
    assert server.post(f"{TO_CASE}?verify=off", _foreign()).headers["X-Conversion-Issues"] == "2"


def test_strict_refuses_with_all_that_is_not_mapped(server: Server) -> None:
    """strict=true makes of everything that is left an issue of a 422; strict=false is the default."""
    strict = server.post(f"{TO_CASE}?strict=true", _foreign())
    assert (strict.status, strict.codes) == (422, ["not-mapped-strict"] * 2)
    assert SECRET not in strict.text
    assert server.post(f"{TO_CASE}?strict=false", _foreign()).status == 200


def test_patient_says_which_of_several(server: Server) -> None:
    """Two Patients are a 422 until patient= names one."""
    bundle = json.loads(BUNDLE)
    bundle["entry"].append({"fullUrl": "urn:uuid:0", "resource": {"resourceType": "Patient", "id": "other"}})
    body, wanted = json.dumps(bundle).encode(), bundle["entry"][0]["resource"]["id"]
    refused = server.post(TO_CASE, body)
    assert (refused.status, refused.codes) == (422, ["several-patients"])
    assert json.loads(server.post(f"{TO_CASE}?patient={wanted}", body).body)["case_id"] == "synthetic-course"


def test_same_request_same_bytes_from_every_worker(server: Server) -> None:
    """Whoever answers answers with the same bytes and the same hash of them: no clock, no random id."""
    with_ids = ("X-Request-Id", "Date", "Connection", "Keep-Alive")
    answers = {
        (one.body, *sorted(pair for pair in one.headers.items() if pair[0] not in with_ids))
        for one in (server.post(f"{TO_FHIR}?type=transaction", MINIMAL) for _ in range(20))
    }
    bundle = encode(to_fhir(load_case(MINIMAL), bundle_type="transaction"))
    assert [answer[0] for answer in answers] == [bundle]
    assert ("ETag", f'"{sha256(bundle).hexdigest()}"') in answers.pop()
    assert len(server.workers()) == 2


# --- refusals -----------------------------------------------------------------------------------

_WRONG_CASE = MINIMAL.replace(b'"patient": {}', b'"patient": {"sex": "M", "surname": "Mustermann"}')
_R5 = b'{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"MedicationUsage"}}]}'
_PATIENT = b'{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient"}}]}'

BODIES: dict[str, tuple[str, bytes, int, list[str]]] = {
    "no JSON": (TO_FHIR, b"Mustermann", 400, ["not-json"]),
    "cut off": (TO_CASE, BUNDLE[:-1], 400, ["not-json"]),
    "empty": (TO_CASE, b"", 400, ["not-json"]),
    "two documents": (TO_FHIR, MINIMAL + MINIMAL, 400, ["not-json"]),
    "not UTF-8": (TO_FHIR, b'{"Mustermann": "\xe4"}', 400, ["not-utf8"]),
    "a member twice": (TO_FHIR, b'{"a": 1, "a": 2}', 400, ["duplicate-name"]),
    "NaN": (TO_CASE, b'{"a": NaN}', 400, ["bad-number"]),
    "boundless number": (TO_CASE, b'{"a": 1e999999999}', 400, ["bad-number"]),
    "more than boundless": (TO_CASE, b'{"a": 1e99999999999999999999999}', 400, ["bad-number"]),
    "endless number": (TO_CASE, b'{"a": ' + b"9" * 1000 + b"}", 400, ["bad-number"]),
    "a wrong line": (TO_CASE, b'{"a": 1}\n{"a": 2}\n{"a": }', 400, ["not-json"]),
    "too deep": (TO_CASE, b"[" * 65 + b"]" * 65, 400, ["too-deep"]),
    "absurdly deep": (TO_CASE, b"[" * 200_000 + b"]" * 200_000, 400, ["too-deep"]),
    "half a surrogate pair": (TO_FHIR, b'{"a": "\\ud800"}', 400, ["bad-text"]),
    "no object": (TO_FHIR, b"[]", 422, ["wrong-type"]),
    "a wrong case": (TO_FHIR, _WRONG_CASE, 422, ["bad-value", "unknown-field"]),
    "a Bundle for a case": (TO_FHIR, b'{"resourceType": "Bundle"}', 422, ["unknown-field", *["missing-field"] * 5]),
    "no FHIR": (TO_CASE, b"{}", 422, ["not-fhir"]),
    "no patient": (TO_CASE, _PATIENT.replace(b"Patient", b"Basic"), 422, ["no-patient"]),
    "another version of FHIR": (TO_CASE, _R5, 422, ["other-version"]),
}


@pytest.mark.parametrize(("path", "data", "status", "expected"), BODIES.values(), ids=BODIES)
def test_a_wrong_body_is_refused(server: Server, path: str, data: bytes, status: int, expected: list[str]) -> None:
    """What is no JSON is 400, what is well-formed and cannot be converted is 422 with all issues; no value is told."""
    response = server.post(path, data)
    assert (response.status, response.headers["X-Retry"]) == (status, "after-fix")
    assert sorted(response.codes) == sorted(expected)
    if status == 400:
        assert re.search(r"line \d+", response.json["issue"][0]["diagnostics"])
    assert SECRET not in response.text


def test_a_byte_order_mark_is_accepted(server: Server) -> None:
    """Some engines put a byte order mark before UTF-8."""
    assert server.post(TO_FHIR, b"\xef\xbb\xbf" + MINIMAL).status == 200


REQUESTS: dict[str, tuple[str, str, dict[str, str], int, str]] = {
    "unknown path": ("GET", "/fhir/Patient/Mustermann", {}, 404, "no-route"),
    "unknown operation": ("POST", "/fhir/$to-csv", {}, 404, "no-route"),
    "another page": ("GET", "/page/../settings.py", {}, 404, "no-route"),
    "another resource": ("GET", "/fhir/CodeSystem/..%2F..%2Freport", {}, 404, "no-route"),
    "slash behind": ("GET", "/fhir/metadata/", {}, 404, "no-route"),
    "slashes doubled": ("GET", "/fhir//metadata", {}, 404, "no-route"),
    "static": ("GET", "/static/x", {}, 404, "no-route"),
    "GET on an operation": ("GET", TO_FHIR, {}, 405, "wrong-method"),
    "OPTIONS": ("OPTIONS", TO_CASE, {}, 405, "wrong-method"),
    "a method of one's own": ("BREW", TO_CASE, {}, 405, "wrong-method"),
    "POST on metadata": ("POST", "/fhir/metadata", {}, 405, "wrong-method"),
    "XML wanted": ("POST", TO_FHIR, {"Accept": "application/fhir+xml"}, 406, "not-acceptable"),
    "R5 wanted": ("POST", TO_FHIR, {"Accept": "application/fhir+json; fhirVersion=5.0"}, 406, "not-acceptable"),
    "no JSON wanted": ("POST", TO_FHIR, {"Accept": "*/*;q=0"}, 406, "not-acceptable"),
    "FHIR wanted for a case": ("POST", TO_CASE, {"Accept": FHIR}, 406, "not-acceptable"),
    "_format=xml": ("GET", "/fhir/metadata?_format=xml", {}, 406, "not-acceptable"),
    "no Content-Type": ("POST", TO_FHIR, {}, 415, "unsupported-media-type"),
    "text": ("POST", TO_FHIR, {"Content-Type": "text/plain"}, 415, "unsupported-media-type"),
    "XML sent": ("POST", TO_CASE, {"Content-Type": "application/fhir+xml"}, 415, "unsupported-media-type"),
    "a form": ("POST", TO_CASE, {"Content-Type": "application/x-www-form-urlencoded"}, 415, "unsupported-media-type"),
    "Latin-1": ("POST", TO_CASE, {"Content-Type": f"{JSON}; charset=iso-8859-1"}, 415, "unsupported-media-type"),
    "R5 sent": ("POST", TO_CASE, {"Content-Type": f"{FHIR}; fhirVersion=5.0"}, 415, "unsupported-media-type"),
    "unknown parameter": ("POST", f"{TO_CASE}?strct=true", {"Content-Type": JSON}, 400, "bad-request"),
    "FHIR's own parameter": ("POST", f"{TO_CASE}?_summary=true", {"Content-Type": JSON}, 400, "bad-request"),
    "a parameter of the other": ("POST", f"{TO_FHIR}?strict=true", {"Content-Type": JSON}, 400, "bad-request"),
    "a parameter with a value": ("POST", f"{TO_FHIR}?Herr%20Mustermann", {"Content-Type": JSON}, 400, "bad-request"),
    "a parameter twice": ("POST", f"{TO_CASE}?strict=true&strict=false", {"Content-Type": JSON}, 400, "bad-request"),
    "no boolean": ("POST", f"{TO_CASE}?strict=yes", {"Content-Type": JSON}, 400, "bad-request"),
    "no type": ("POST", f"{TO_FHIR}?type=Mustermann", {"Content-Type": JSON}, 400, "bad-request"),
    "mode alone": ("POST", f"{TO_FHIR}?mode=put", {"Content-Type": JSON}, 400, "bad-request"),
    "no time": ("POST", f"{TO_FHIR}?now=Mustermann", {"Content-Type": JSON}, 400, "bad-option"),
    "no Patient": (
        "POST", f"{TO_FHIR}?type=transaction&subject=Mustermann", {"Content-Type": JSON}, 400, "bad-option",
    ),
    "metadata with a parameter": ("GET", "/fhir/metadata?mode=full", {}, 400, "bad-request"),
}  # fmt: skip


@pytest.mark.parametrize(("method", "path", "headers", "status", "code"), REQUESTS.values(), ids=REQUESTS)
def test_a_wrong_request_is_refused(
    server: Server, method: str, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    """Every refusal is an OperationOutcome with the status that makes an engine do the right thing."""
    response = server.call(method, path, MINIMAL if "Content-Type" in headers else None, headers)
    assert (response.status, response.codes) == (status, [code])
    assert (
        response.headers["X-Retry"]
        == {400: "after-fix", 404: "never", 405: "never", 406: "never", 415: "never"}[status]
    )
    assert SECRET not in response.text


def test_all_wrong_parameters_are_told_at_once(server: Server) -> None:
    """An engineer mends the query once, not parameter by parameter."""
    response = server.post(f"{TO_FHIR}?type=x&literature=no&strict=true", MINIMAL)
    assert (response.status, response.codes) == (400, ["bad-request"] * 3)
    assert all(name in response.text for name in ("type", "literature", "strict"))


@pytest.mark.parametrize(("path", "allowed"), [(TO_FHIR, "POST"), ("/fhir/metadata", "GET, HEAD")])
def test_a_wrong_method_tells_the_right_ones(server: Server, path: str, allowed: str) -> None:
    """405 carries Allow."""
    assert server.call("DELETE", path).headers["Allow"] == allowed


# --- sizes --------------------------------------------------------------------------------------


def test_a_body_may_be_ten_mebibytes_and_no_more(server: Server) -> None:
    """The limit is told in the answer; one byte less is read (and is no case)."""
    over, under = server.post(TO_FHIR, b" " * (10 * 2**20 + 1)), server.post(TO_FHIR, b" " * 10 * 2**20)
    assert (over.status, over.codes) == (413, ["too-large"])
    assert "10485760 bytes" in over.text
    assert (under.status, under.codes) == (400, ["not-json"])
    assert server.call("POST", "/nowhere", b" " * 20 * 2**20).codes == ["no-route"]  # told to who is still sending


_LONG = b'{"a": "' + b"x" * 49_000 + b'"}'
LIMITS: dict[str, tuple[Any, dict[str, str], int, str]] = {
    "body": (b" " * 20_001, {}, 413, "too-large"),
    "body of unsaid length": (iter([b" " * 20_000, b" "]), {}, 413, "too-large"),
    "body of unsaid length, within": (iter([b" " * 20_000]), {}, 400, "not-json"),
    "packed body": (b" " * 20_001, {"Content-Encoding": "gzip"}, 413, "too-large"),
    "unpacked, within": (gzip.compress(_LONG), {"Content-Encoding": "gzip"}, 422, "not-fhir"),
    "unpacked": (gzip.compress(_LONG + b" " * 1500), {"Content-Encoding": "gzip"}, 413, "too-large"),
    "unpacked a thousandfold": (gzip.compress(b" " * 10_000_000), {"Content-Encoding": "gzip"}, 413, "too-large"),
    "nesting, within": (b"[" * 12 + b"]" * 12, {}, 422, "not-fhir"),
    "nesting": (b"[" * 13 + b"]" * 13, {}, 400, "too-deep"),
    "entries, within": (b'{"resourceType":"Bundle","entry":[' + b"{}," * 49 + b"{}]}", {}, 422, "no-patient"),
    "entries": (b'{"resourceType":"Bundle","entry":[' + b"{}," * 50 + b"{}]}", {}, 413, "too-costly"),
    "lines": (b'{"resourceType":"Basic"}\n' * 51, {"Content-Type": "application/fhir+ndjson"}, 413, "too-costly"),
    "pages": (b'{"resourceType":"Parameters","parameter":[' + b"{}," * 50 + b"{}]}", {}, 413, "too-costly"),
    "values": (b'{"resourceType":"Basic","a":[' + b"0," * 5000 + b"0]}", {}, 413, "too-costly"),
}


@pytest.mark.parametrize(("body", "headers", "status", "code"), LIMITS.values(), ids=LIMITS)
def test_limits(server: Server, body: Any, headers: dict[str, str], status: int, code: str) -> None:
    """Each limit refuses what is over it and nothing else, and says so with the limit."""
    response = server.call("POST", f"/small{TO_CASE}", body, {"Content-Type": FHIR, **headers})
    assert (response.status, response.codes) == (status, [code])
    if status == 413:
        limits = (SMALL.max_body, SMALL.max_unpacked, SMALL.max_entries, 100 * SMALL.max_entries)
        assert any(f"Expected: {limit} " in response.json["issue"][0]["diagnostics"] for limit in limits)


def test_a_conversion_that_takes_too_long_is_ended(server: Server) -> None:
    """The time of one conversion is checked entry by entry; it would repeat, so it is no 5xx."""
    entries = json.loads(BUNDLE)["entry"]
    many = [{**one, "fullUrl": f"urn:uuid:{n}"} for n in range(2000) for one in entries[1:2]]
    bundle = json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries[:1] + many}).encode()
    case = decode(CASE)
    case["measurements"] += [case["measurements"][0] | {"key": f"again-{n}"} for n in range(1000)]
    for path, body in ((TO_CASE, bundle), (VALIDATE, bundle), (TO_FHIR, encode(case))):
        response = server.post(f"/brief{path}", body)
        assert (response.status, response.codes, response.headers["X-Retry"]) == (413, ["too-costly"], "after-fix")


def test_every_conversion_ticks_once_a_resource_and_ends_when_the_tick_says_so() -> None:
    """What raises in the tick comes out: nothing that tries a conversion takes it for a refusal."""
    case, bundle = load_case(CASE), decode(BUNDLE)
    works: dict[str, Callable[[Callable[[], None]], Any]] = {
        "to_fhir": lambda tick: to_fhir(case, tick=tick),
        "onto": lambda tick: to_fhir(case, onto=bundle, tick=tick),
        "from_fhir": lambda tick: from_fhir(bundle, tick=tick),
        "check": lambda tick: check(bundle, tick),
        "report": lambda tick: full(BUNDLE, as_plain(BUNDLE), case, Report("fhir-to-case"), tick),
    }
    for name, work in works.items():
        ticks = count()
        work(lambda ticks=ticks: next(ticks))
        assert next(ticks) >= len(bundle["entry"]) - 2, name  # our own Device and Provenance are no items

        def stop() -> None:
            raise Spent(Issue("too-costly"))

        with pytest.raises(Spent):
            work(stop)


@pytest.mark.parametrize(("state", "status", "code"), [("full", 429, "throttled"), ("draining", 503, "unavailable")])
def test_what_passes_is_to_be_sent_again(server: Server, state: str, status: int, code: str) -> None:
    """A full queue and a service that stops say so, and when to come back; what takes no work is still answered."""
    response = server.post(f"/{state}{TO_FHIR}", MINIMAL)
    assert (response.status, response.codes, response.headers["X-Retry"]) == (status, [code], "later")
    assert int(response.headers["Retry-After"]) > 0
    assert server.get(f"/{state}/fhir/metadata").status == 200


# --- packed bodies ------------------------------------------------------------------------------

_HALVES = gzip.compress(MINIMAL[:100]) + gzip.compress(MINIMAL[100:])
PACKED: dict[str, tuple[str, bytes, int]] = {
    "gzip": ("gzip", gzip.compress(MINIMAL), 200),
    "its old name": ("X-GZIP", gzip.compress(MINIMAL), 200),
    "not at all": ("identity", MINIMAL, 200),
    "in two members": ("gzip", _HALVES, 200),
    "cut off": ("gzip", gzip.compress(MINIMAL)[:-1], 400),
    "a bit turned": ("gzip", gzip.compress(MINIMAL)[:-5] + b"\0" + gzip.compress(MINIMAL)[-4:], 400),
    "something behind": ("gzip", gzip.compress(MINIMAL) + b"x", 400),
    "no gzip": ("gzip", MINIMAL, 400),
    "nothing": ("gzip", b"", 400),
    "twice": ("gzip, gzip", gzip.compress(gzip.compress(MINIMAL)), 415),
    "brotli": ("br", b"", 415),
}


@pytest.mark.parametrize(("coding", "body", "status"), PACKED.values(), ids=PACKED)
def test_packed_bodies(server: Server, coding: str, body: bytes, status: int) -> None:
    """gzip is taken; what is not whole is the sender's fault, what is packed otherwise not supported."""
    response = server.post(TO_FHIR, body, Content_Encoding=coding)
    assert response.status == status
    if status != 200:
        assert response.codes == [{400: "not-gzip", 415: "unsupported-media-type"}[status]]


@pytest.mark.parametrize(
    ("accept", "packed"),
    [
        ("gzip", True),
        ("br, *", True),
        ("gzip;q=0", False),
        ("gzip;q=0.5, identity", False),
        ("br", False),
        (None, False),
    ],
)
def test_answers_are_packed_on_request(server: Server, accept: str | None, packed: bool) -> None:
    """Packed answers hold the same; their hash is a weak one; caches are told what an answer depends on."""
    response = server.post(TO_FHIR, CASE, **({"Accept-Encoding": accept} if accept else {}))
    assert (response.status, response.body, response.headers["Content-Encoding"]) == (
        200, BUNDLE, "gzip" if packed else None,
    )  # fmt: skip
    assert response.headers["ETag"] == ("W/" if packed else "") + f'"{sha256(BUNDLE).hexdigest()}"'
    assert response.headers["Vary"] == "Accept, Accept-Encoding, Prefer"


def test_packed_answers_are_the_same_at_any_time(server: Server) -> None:
    """No time stands in the head of gzip."""
    head = b"GET /fhir/metadata HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"
    assert server.send(head).partition(b"\r\n\r\n")[2][:8] == b"\x1f\x8b\x08" + bytes(5)


def test_a_bomb_is_unpacked_no_further_than_the_limit() -> None:
    """Twenty megabytes of spaces cost no memory."""
    client, bomb = create_app(SMALL).test_client(), gzip.compress(b" " * 20_000_000, 9)
    tracemalloc.start()
    try:
        answer = client.post(TO_CASE, data=bomb, content_type=FHIR, headers={"Content-Encoding": "gzip"})
        assert (answer.status_code, tracemalloc.get_traced_memory()[1] < 2_000_000) == (413, True)
    finally:
        tracemalloc.stop()


# --- preferences --------------------------------------------------------------------------------


def test_prefer_minimal_converts_and_sends_nothing(server: Server) -> None:
    """204 has the headers of the result, and no body."""
    response = server.post(TO_FHIR, CASE, Prefer="respond-async, return=minimal; x=1")
    assert (response.status, response.body, response.headers["Content-Type"]) == (204, b"", None)
    assert response.headers["ETag"] == f'"{sha256(BUNDLE).hexdigest()}"'
    assert response.headers["Preference-Applied"] == "return=minimal"
    assert response.headers["X-Conversion-Issues"] == "0"


@pytest.mark.parametrize("prefer", ["return=representation", "return=everything", "handling=strict", "return", ",;="])
def test_other_preferences_change_nothing(server: Server, prefer: str) -> None:
    """The result is the default; what is not known is no fault."""
    assert server.post(TO_FHIR, CASE, Prefer=prefer).body == BUNDLE


@pytest.mark.parametrize(("path", "body"), [(TO_FHIR, CASE), (TO_CASE, BUNDLE)])
def test_prefer_operation_outcome_gives_the_full_report(server: Server, path: str, body: bytes) -> None:
    """The report says what was sent, what would be answered, and whether the way back holds."""
    response = server.post(path, body, Prefer='return="OperationOutcome"', Accept=FHIR)
    told = response.json["issue"][0]["diagnostics"]
    assert response.status == 200
    assert response.codes is not None
    assert f"input_sha256 {sha256(body).hexdigest()}" in told
    assert f"output_sha256 {response.headers['ETag'].strip(chr(34))}" in told
    assert "reversible yes" in told


# --- writing onto a received Bundle -------------------------------------------------------------


def _form(*parts: tuple[str, bytes]) -> tuple[bytes, str]:
    """multipart/form-data and its content type."""
    head = 'Content-Disposition: form-data; name="{}"; filename="f.json"\r\nContent-Type: application/json\r\n\r\n'
    body = b"".join(b"--limit\r\n" + head.format(name).encode() + raw + b"\r\n" for name, raw in parts)
    return body + b"--limit--\r\n", "multipart/form-data; boundary=limit"


def test_onto_keeps_what_is_foreign(server: Server) -> None:
    """A case without changes gives the received Bundle to the byte; a change is made in it, and nothing else."""
    onto = encode(decode(_foreign()))
    body, kind = _form(("case", CASE), ("onto", onto))
    assert server.post(TO_FHIR, body, kind).body == onto
    assert server.post(TO_FHIR, gzip.compress(body), kind, Content_Encoding="gzip").body == onto
    body, kind = _form(("onto", onto), ("case", CASE.replace(b'"female"', b'"male"')))
    changed = server.post(TO_FHIR, body, kind)
    assert changed.status == 200
    assert changed.body != onto
    assert SECRET in changed.text
    assert server.post(TO_FHIR, *_form(("case", CASE))).body == BUNDLE


FORMS: dict[str, tuple[bytes, str, str, int, str]] = {
    "no case": (*_form(("onto", BUNDLE)), "", 400, "bad-request"),
    "another part": (*_form(("case", CASE), ("Mustermann", CASE)), "", 400, "bad-request"),
    "a part twice": (*_form(("case", CASE), ("case", CASE)), "", 400, "bad-request"),
    "many parts": (*_form(*((str(n), b"") for n in range(100))), "", 400, "bad-request"),
    "no boundary": (_form(("case", CASE))[0], "multipart/form-data", "", 400, "bad-request"),
    "cut off": (_form(("case", CASE))[0][:-20], "multipart/form-data; boundary=limit", "", 400, "bad-request"),
    "no JSON": (*_form(("case", CASE), ("onto", b"Mustermann")), "", 400, "not-json"),
    "not UTF-8": (*_form(("case", b'{"Mustermann": "\xe4"}')), "", 400, "not-utf8"),
    "no FHIR": (*_form(("case", CASE), ("onto", b"{}")), "", 422, "not-fhir"),
    "a type": (*_form(("case", CASE), ("onto", BUNDLE)), "?type=document", 400, "bad-request"),
}


@pytest.mark.parametrize(("body", "kind", "query", "status", "code"), FORMS.values(), ids=FORMS)
def test_a_wrong_form_is_refused(server: Server, body: bytes, kind: str, query: str, status: int, code: str) -> None:
    """A form that is not the two parts is refused like any wrong body; parameters that would do nothing, too."""
    response = server.post(TO_FHIR + query, body, kind)
    assert (response.status, response.codes) == (status, [code])
    assert SECRET not in response.text


# --- content types ------------------------------------------------------------------------------

ACCEPTED = {
    None: FHIR,
    "*/*": FHIR,
    FHIR: FHIR,
    JSON: JSON,
    "application/fhir+json; fhirVersion=4.0": FHIR,
    'application/fhir+json; charset=utf-8; fhirVersion="4.0"': FHIR,
    "application/json, application/fhir+json;q=0.5": JSON,
    "application/fhir+xml, application/fhir+json;q=0.1": FHIR,
    "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": FHIR,
}


@pytest.mark.parametrize(("accept", "given"), ACCEPTED.items(), ids=map(str, ACCEPTED))
def test_answers_have_the_type_that_was_asked_for(server: Server, accept: str | None, given: str) -> None:
    """A Bundle is FHIR JSON unless plain JSON is preferred; parameters of the range do not hide it."""
    response = server.post(TO_FHIR, MINIMAL, **({"Accept": accept} if accept else {}))
    assert (response.status, response.headers["Content-Type"]) == (200, f"{given}; charset=utf-8")


@pytest.mark.parametrize(
    ("wanted", "given"), [("json", FHIR), (FHIR, FHIR), ("application/fhir%2Bjson", FHIR), (JSON, JSON)]
)
def test_format_in_the_query_goes_before_accept(server: Server, wanted: str, given: str) -> None:
    """`_format` is for clients that cannot set headers, so it wins over the header that they cannot set."""
    response = server.get(f"/fhir/metadata?_format={wanted}", Accept="text/html")
    assert (response.status, response.headers["Content-Type"]) == (200, f"{given}; charset=utf-8")


SENT = (
    JSON, FHIR, f"{JSON}; charset=utf-8", f"{FHIR};charset=UTF-8", f'{FHIR}; charset="utf-8"; fhirVersion=4.0',
    f"{FHIR}; fhirVersion=4.0.1", "Application/FHIR+JSON",
)  # fmt: skip


@pytest.mark.parametrize("content_type", SENT)
def test_json_may_be_sent_under_both_names(server: Server, content_type: str) -> None:
    """Engines have one content type for all they send: both are taken by both operations."""
    assert server.post(TO_FHIR, MINIMAL, content_type).status == 200
    assert server.post(TO_CASE, BUNDLE, content_type).status == 200


def test_bulk_data_may_be_sent_as_it_is(server: Server) -> None:
    """NDJSON, a resource a line, is read like the Bundle of its resources; a case is never NDJSON."""
    resources = [encode(entry["resource"]) for entry in to_fhir(load_case(MINIMAL))["entry"]]
    read = server.post(TO_CASE, b"\n".join(resources), "application/fhir+ndjson")
    refused = server.post(TO_FHIR, MINIMAL, "application/fhir+ndjson")
    assert (read.status, read.body) == (200, encode(dump_case(load_case(MINIMAL))))
    assert (refused.status, refused.codes) == (415, ["unsupported-media-type"])


# --- metadata and life --------------------------------------------------------------------------


def test_metadata_is_a_valid_r4_capability_statement(server: Server) -> None:
    """The statement is valid FHIR 4.0.1, names its operations, and its date is the release's, not today's."""
    response = server.get("/fhir/metadata")
    statement = json.loads(response.body)
    assert (response.status, response.headers["Content-Type"]) == (200, "application/fhir+json; charset=utf-8")
    assert check(statement) == []
    assert (statement["kind"], statement["fhirVersion"], statement["format"]) == ("instance", "4.0.1", ["json"])
    assert statement["date"] == adapter.RELEASE_DATE
    assert statement["software"]["version"] == __version__
    assert [operation["name"] for operation in statement["rest"][0]["operation"]] == ["to-fhir", "to-case", "validate"]


def test_every_operation_of_the_statement_is_there(server: Server) -> None:
    """What /fhir/metadata promises answers, if only with a refusal of an empty body."""
    for operation in server.get("/fhir/metadata").json["rest"][0]["operation"]:
        assert server.post(f"/fhir/${operation['name']}", b"").status == 400


def test_livez_says_alive(server: Server) -> None:
    """A probe gets 200, by GET and by HEAD."""
    assert server.get("/livez").json == {"status": "alive"}
    assert server.call("HEAD", "/livez").status == 200


# --- what is published --------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted((ROOT / "mappings" / "fhir").glob("*.json")), ids=lambda path: path.stem)
def test_published_resources_are_given_out(server: Server, path: Path) -> None:
    """Every conformance resource is there by type and id, and the statement names its type."""
    published = json.loads(path.read_bytes())
    response = server.get(f"/fhir/{published['resourceType']}/{published['id']}")
    assert (response.status, response.json) == (200, published)
    read = {one["type"] for one in server.get("/fhir/metadata").json["rest"][0]["resource"]}
    assert published["resourceType"] in read


@pytest.mark.parametrize("path", ["/", "/errors", "/openapi.json", "/fhir/metadata", "/fhir/CodeSystem/issue"])
def test_what_is_read_need_not_be_sent_twice(server: Server, path: str) -> None:
    """If-None-Match with the hash of before is answered 304 without a body, packed or not."""
    etag = server.get(path).headers["ETag"]
    for sent in (etag, f"W/{etag}", "*"):
        again = server.get(path, If_None_Match=sent)
        assert (again.status, again.body, again.headers["ETag"]) == (304, b"", etag)
    assert server.get(path, If_None_Match='"other"').status == 200
    assert server.get(path, If_Match='"other"').status == 200
    assert server.get(path, Accept_Encoding="gzip").headers["ETag"].removeprefix("W/") == etag


@pytest.mark.parametrize("path", ["/", "/page/index.html", "/errors"])
def test_pages_run_nothing_of_others(server: Server, path: str) -> None:
    """A page may load and call this endpoint alone, nobody frames it, and it is not guessed what it is."""
    headers = server.get(path).headers
    policy = dict(one.split(" ", 1) for one in headers["Content-Security-Policy"].split("; "))
    assert policy == {
        "default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "img-src": "'self' data:",
        "connect-src": "'self'", "form-action": "'none'", "base-uri": "'none'", "frame-ancestors": "'none'",
    }  # fmt: skip
    assert (headers["X-Content-Type-Options"], headers["Referrer-Policy"]) == ("nosniff", "no-referrer")
    assert headers["Content-Type"] == "text/html; charset=utf-8"


def test_pages_need_nothing_of_others() -> None:
    """No file of the page names another host, and no inline script or style stands in it."""
    for path in (Path(adapter.__file__).parent / "page").iterdir():
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"""(src|href|action)=["'](https?:)?//|<script>|<style|\son[a-z]+=|@import""", text)


def test_answers_are_not_stored(server: Server) -> None:
    """Neither a result nor a refusal stays in a cache or is taken for something else."""
    for response in (server.post(TO_FHIR, MINIMAL), server.post(TO_FHIR, b"")):
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_every_issue_code_has_an_entry(server: Server) -> None:
    """The catalogue lists every code with its status; what an answer tells leads there."""
    page = server.get("/errors").body.decode()
    for code, kind in CATALOGUE.items():
        row = re.search(rf'<tr id="{code}">.*?</tr>', page)
        assert row is not None
        assert f"<td>{kind.severity}</td><td>{kind.issue_type}</td><td>{status_of(code)}</td>" in row[0]
    assert STATUS.keys() <= CATALOGUE.keys()
    assert set(STATUS.values()) <= RETRY.keys()
    refused = server.post(TO_FHIR, _WRONG_CASE)
    assert refused.headers.get_all("Link") == [f'</errors#{c}>; rel="help"' for c in dict.fromkeys(refused.codes)]


# --- ids and retries ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "told"),
    [("message-17", "message-17"), ("a/b:c@d=", "a/b:c@d="), ("x" * 200, "x" * 128), ("<a b>\xe4", "ab"), ("", None)],
)
def test_every_answer_has_our_id_and_theirs(server: Server, sent: str, told: str | None) -> None:
    """X-Request-Id is ours and new each time; theirs comes back as X-Correlation-Id, without odd characters."""
    answers = [server.post(path, MINIMAL, X_Request_Id=sent) for path in (TO_FHIR, TO_CASE, "/nowhere")]
    assert [one.headers["X-Correlation-Id"] for one in answers] == [told] * 3
    assert len({one.headers["X-Request-Id"] for one in answers} - {None}) == 3


# --- our own failures ---------------------------------------------------------------------------


@pytest.mark.parametrize(("state", "said"), [("broken", "KeyError"), ("unsound", "breaks a rule")])
def test_a_bug_is_500_with_an_id_and_nothing_else(server: Server, state: str, said: str) -> None:
    """A bug answers with a request id; the log has the id, the error's type and its place; neither has a value.

    Output that breaks R4 is a bug like any other.
    """
    response = server.get(f"/{state}/livez")
    request_id = response.headers["X-Request-Id"]
    assert (response.status, response.codes, response.headers["X-Retry"]) == (500, ["bug"], "later")
    assert request_id in response.json["issue"][0]["diagnostics"]
    log = server.log.read_text(encoding="utf-8")
    assert len([line for line in log.splitlines() if request_id in line and said in line]) == 1
    assert SECRET not in response.text + log
    assert said not in response.text
    assert "Traceback" not in response.text + log


@pytest.mark.parametrize(("status", "code"), [(408, "timeout"), (418, "bad-request"), (503, "unavailable")])
def test_what_werkzeug_refuses_has_our_form_and_its_status(server: Server, status: int, code: str) -> None:
    """A status that this module does not know is kept, its HTML is not."""
    response = server.get(f"/refusing-{status}/livez")
    assert (response.status, response.codes) == (status, [code])
    assert SECRET not in response.text


BROKEN_OFF: dict[str, bytes] = {
    "shorter than said": b"Content-Length: 100\r\n\r\n{}",
    "no chunk": b"Transfer-Encoding: chunked\r\n\r\nMustermann\r\n",
    "a chunk cut off": b"Transfer-Encoding: chunked\r\n\r\n10\r\n{}",
}


@pytest.mark.parametrize("rest", BROKEN_OFF.values(), ids=BROKEN_OFF)
def test_a_body_that_breaks_off_is_the_senders_fault(server: Server, rest: bytes) -> None:
    """What does not come to its end is a 400, not a bug."""
    head = f"POST {TO_CASE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FHIR}\r\nConnection: close\r\n"
    answer = server.send(head.encode() + rest)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"OperationOutcome"' in answer
    assert SECRET.encode() not in answer


@pytest.fixture(scope="module", autouse=True)
def _nothing_is_logged(server: Server) -> Iterator[None]:
    """After all tests: none of what was converted or refused stands in a line."""
    yield
    log = server.log.read_text(encoding="utf-8")
    assert SECRET not in log
    assert "synthetic-course" not in log


def test_a_body_that_does_not_come_is_waited_for_once() -> None:
    """The answer is not kept back until the caller has been silent for as long again."""

    class Silent(io.BytesIO):
        waits = 0

        def read(self, *_: object) -> bytes:
            self.waits += 1
            raise TimeoutError

    body = Silent()
    more = {"wsgi.input_terminated": True, "CONTENT_LENGTH": "20"}
    client = create_app().test_client()
    answer = client.post(VALIDATE, input_stream=body, content_type=JSON, environ_overrides=more)
    assert (answer.status_code, body.waits) == (408, 1)


def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    """URLs, next pages and references elsewhere are read as text: no socket is opened, no name is looked up."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("something is fetched")

    client = create_app().test_client()
    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    bundle = json.loads(BUNDLE) | {"type": "searchset"}
    bundle["link"] = [{"relation": "next", "url": "http://127.0.0.1:9/next"}]
    resource = bundle["entry"][1]["resource"]
    resource["meta"]["profile"].append("http://127.0.0.1:9/StructureDefinition/x")
    resource["extension"] = [*resource.get("extension", []), {"url": "http://127.0.0.1:9/x", "valueUrl": "file:///x"}]
    resource["encounter"] = {"reference": "http://127.0.0.1:9/Encounter/1"}
    raw = json.dumps(bundle).encode()
    told = [client.post(path, data=raw, content_type=FHIR) for path in (TO_CASE, VALIDATE)]
    onto, kind = _form(("case", CASE), ("onto", raw))
    told.append(client.post(TO_FHIR, data=onto, content_type=kind))
    assert [one.status_code for one in told] == [200, 200, 200]
    assert '"incomplete-page"' in client.post(
        TO_CASE, data=raw, content_type=FHIR, headers={"Prefer": "return=OperationOutcome"}
    ).text  # fmt: skip


@pytest.mark.parametrize(
    "coding",
    [
        {"system": "urn:uuid:x", "code": "a"},
        {"system": "URN:oid:1.2.3", "code": "a"},
        {"system": "http://unitsofmeasure.org", "code": "no unit"},
        {"system": "http://terminology.hl7.org/CodeSystem/v3-RouteOfAdministration", "code": "none"},
    ],
)
def test_a_code_that_r4_knows_to_be_wrong_is_the_fault_of_the_case(server: Server, coding: dict[str, str]) -> None:
    """A case's own codings travel as they are; one that breaks R4 is a 422 that names the place, not our 500."""
    case = json.loads(MINIMAL)
    case["conditions"] = [
        {"key": "c", "role": "comorbidity", "code": {"codings": [coding]}, "verification_status": "refuted"}
    ]
    response = server.post(TO_FHIR, json.dumps(case).encode())
    assert response.status == 422
    assert "coding[0]" in response.json["issue"][0]["expression"][0]


def test_shapes_that_no_table_expects_are_no_bug(server: Server) -> None:
    """A label whose system is an object is left where it is."""
    bundle = json.loads(BUNDLE)
    bundle["entry"][0]["resource"].setdefault("meta", {})["security"] = [{"system": {}, "code": "HTEST"}]
    assert server.post(TO_CASE, json.dumps(bundle).encode()).status == 200
