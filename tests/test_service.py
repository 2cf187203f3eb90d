"""The HTTP endpoint: what is converted, what is refused with which status, and that no answer tells a value."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

import adapter
import adapter.service.operations
from adapter.r4 import check
from adapter.service import create_app
from adapter.settings import Settings
from mappings import __version__, dump_case, encode, load_case, to_fhir

EXAMPLES = Path(__file__).parent.parent / "examples"
CASE = (EXAMPLES / "synthetic-course" / "case.json").read_bytes()
MINIMAL = (EXAMPLES / "minimal" / "case.json").read_bytes()
BUNDLE = encode(to_fhir(load_case(CASE)))
FHIR, JSON = "application/fhir+json", "application/json"
TO_FHIR, TO_CASE = "/fhir/$to-fhir", "/fhir/$to-case"
SECRET = "Mustermann"


@pytest.fixture
def client() -> FlaskClient:
    return create_app().test_client()


def post(client: FlaskClient, path: str, data: bytes, content_type: str | None = JSON, **headers: str) -> TestResponse:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(path, data=data, content_type=content_type, headers=names)


def codes(response: TestResponse) -> list[str]:
    """The stable codes of an answer, which must be an OperationOutcome that FHIR R4 allows."""
    assert response.content_type == "application/fhir+json; charset=utf-8"
    outcome = json.loads(response.data)
    assert [issue for issue in check(outcome) if issue.level == "error"] == []
    assert outcome["resourceType"] == "OperationOutcome"
    return [issue["details"]["coding"][0]["code"] for issue in outcome["issue"]]


# --- conversions --------------------------------------------------------------------------------


def test_to_fhir_answers_with_the_bundle_itself(client: FlaskClient) -> None:
    """The body is the Bundle that the library makes, to the byte, as FHIR JSON in UTF-8."""
    response = post(client, TO_FHIR, CASE)
    assert (response.status_code, response.data) == (200, BUNDLE)
    assert response.content_type == "application/fhir+json; charset=utf-8"
    assert response.headers["X-Conversion-Issues"] == "0"


def test_to_case_answers_with_the_case_itself(client: FlaskClient) -> None:
    """The body is the case document, as JSON (a case is no FHIR), with every digit of the Bundle."""
    response = post(client, TO_CASE, BUNDLE, FHIR)
    assert (response.status_code, response.content_type) == (200, "application/json; charset=utf-8")
    assert response.data == encode(dump_case(load_case(CASE)))


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
    client: FlaskClient, case: bytes, query: str, options: dict[str, Any]
) -> None:
    """Each parameter does what the library's option does; a `+` in a time need not be escaped."""
    response = post(client, f"{TO_FHIR}?{query}", case)
    assert (response.status_code, response.data) == (200, encode(to_fhir(load_case(case), **options)))


def _foreign() -> bytes:
    bundle = json.loads(BUNDLE)
    bundle["entry"][0]["resource"]["maritalStatus"] = {"text": SECRET}
    bundle["entry"].append({"fullUrl": "urn:uuid:0", "resource": {"resourceType": "Basic", "code": {"text": SECRET}}})
    return json.dumps(bundle).encode()


def test_the_count_of_issues_is_of_what_is_worth_a_look(client: FlaskClient) -> None:
    """X-Conversion-Issues counts what was left, not the texts and the provenance that an adapter makes."""
    assert post(client, TO_CASE, BUNDLE).headers["X-Conversion-Issues"] == "0"
    assert post(client, f"{TO_CASE}?verify=off", _foreign()).headers["X-Conversion-Issues"] == "2"


def test_strict_refuses_with_all_that_is_not_mapped(client: FlaskClient) -> None:
    """strict=true makes of everything that is left an issue of a 422; strict=false is the default."""
    strict = post(client, f"{TO_CASE}?strict=true", _foreign())
    assert (strict.status_code, codes(strict)) == (422, ["not-mapped-strict"] * 2)
    assert SECRET not in strict.text
    assert post(client, f"{TO_CASE}?strict=false", _foreign()).status_code == 200


def test_patient_says_which_of_several(client: FlaskClient) -> None:
    """Two Patients are a 422 until patient= names one."""
    bundle = json.loads(BUNDLE)
    bundle["entry"].append({"fullUrl": "urn:uuid:0", "resource": {"resourceType": "Patient", "id": "other"}})
    body, wanted = json.dumps(bundle).encode(), bundle["entry"][0]["resource"]["id"]
    refused = post(client, TO_CASE, body)
    assert (refused.status_code, codes(refused)) == (422, ["several-patients"])
    assert json.loads(post(client, f"{TO_CASE}?patient={wanted}", body).data)["case_id"] == "synthetic-course"


def test_same_request_same_bytes() -> None:
    """Two processes' worth of applications answer the same request with the same bytes: no clock, no random id."""
    answers = [post(create_app().test_client(), f"{TO_FHIR}?type=transaction", MINIMAL) for _ in range(2)]
    assert answers[0].data == answers[1].data
    own = [[pair for pair in one.headers if pair[0] != "X-Request-Id"] for one in answers]
    assert own[0] == own[1]


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
    "endless number": (TO_CASE, b'{"a": ' + b"9" * 1000 + b"}", 400, ["bad-number"]),
    "too deep": (TO_CASE, b"[" * 65 + b"]" * 65, 400, ["too-deep"]),
    "absurdly deep": (TO_CASE, b"[" * 200_000 + b"]" * 200_000, 400, ["too-deep"]),
    "half a surrogate pair": (TO_FHIR, b'{"a": "\\ud800"}', 422, ["bad-text"]),
    "no object": (TO_FHIR, b"[]", 422, ["wrong-type"]),
    "a wrong case": (TO_FHIR, _WRONG_CASE, 422, ["bad-value", "unknown-field"]),
    "a Bundle for a case": (TO_FHIR, b'{"resourceType": "Bundle"}', 422, ["unknown-field", *["missing-field"] * 5]),
    "no FHIR": (TO_CASE, b"{}", 422, ["not-fhir"]),
    "no patient": (TO_CASE, _PATIENT.replace(b"Patient", b"Basic"), 422, ["no-patient"]),
    "another version of FHIR": (TO_CASE, _R5, 422, ["other-version"]),
}


@pytest.mark.parametrize(("path", "data", "status", "expected"), BODIES.values(), ids=BODIES)
def test_a_wrong_body_is_refused(client: FlaskClient, path: str, data: bytes, status: int, expected: list[str]) -> None:
    """What is no JSON is 400, what is well-formed and cannot be converted is 422 with all issues; no value is told."""
    response = post(client, path, data)
    assert response.status_code == status
    assert sorted(codes(response)) == sorted(expected)
    assert SECRET not in response.text


def test_a_byte_order_mark_is_accepted(client: FlaskClient) -> None:
    """Some engines put a byte order mark before UTF-8."""
    assert post(client, TO_FHIR, b"\xef\xbb\xbf" + MINIMAL).status_code == 200


REQUESTS: dict[str, tuple[str, str, dict[str, str], int, str]] = {
    "unknown path": ("GET", "/fhir/Patient/Mustermann", {}, 404, "no-route"),
    "unknown operation": ("POST", "/fhir/$to-csv", {}, 404, "no-route"),
    "root": ("GET", "/", {}, 404, "no-route"),
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
    "gzip": ("POST", TO_CASE, {"Content-Type": JSON, "Content-Encoding": "gzip"}, 415, "unsupported-media-type"),
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
    client: FlaskClient, method: str, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    """Every refusal is an OperationOutcome with the status that makes an engine do the right thing."""
    response = client.open(path, method=method, headers=headers, data=MINIMAL if "Content-Type" in headers else None)
    assert (response.status_code, codes(response)) == (status, [code])
    assert SECRET not in response.text


def test_all_wrong_parameters_are_told_at_once(client: FlaskClient) -> None:
    """An engineer mends the query once, not parameter by parameter."""
    response = post(client, f"{TO_FHIR}?type=x&literature=no&strict=true", MINIMAL)
    assert (response.status_code, codes(response)) == (400, ["bad-request"] * 3)
    assert all(name in response.text for name in ("type", "literature", "strict"))


@pytest.mark.parametrize(("path", "allowed"), [(TO_FHIR, "POST"), ("/fhir/metadata", "GET, HEAD")])
def test_a_wrong_method_tells_the_right_ones(client: FlaskClient, path: str, allowed: str) -> None:
    """405 carries Allow."""
    assert client.delete(path).headers["Allow"] == allowed


# --- sizes --------------------------------------------------------------------------------------


def test_a_body_may_be_ten_mebibytes_and_no_more(client: FlaskClient) -> None:
    """The limit is told in the answer; one byte less is read (and is no case)."""
    over, under = post(client, TO_FHIR, b" " * (10 * 2**20 + 1)), post(client, TO_FHIR, b" " * 10 * 2**20)
    assert (over.status_code, codes(over)) == (413, ["too-large"])
    assert "10485760 bytes" in over.text
    assert (under.status_code, codes(under)) == (400, ["not-json"])


def test_a_body_of_unsaid_length_is_limited_too() -> None:
    """A chunked body is cut off at the limit, not read to its end."""
    stream = io.BytesIO(b" " * 1001)
    response = create_app(Settings(max_body=1000)).test_client().post(
        TO_FHIR, input_stream=stream, content_type=JSON, environ_overrides={"wsgi.input_terminated": True}
    )  # fmt: skip
    assert (response.status_code, codes(response)) == (413, ["too-large"])


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
def test_answers_have_the_type_that_was_asked_for(client: FlaskClient, accept: str | None, given: str) -> None:
    """A Bundle is FHIR JSON unless plain JSON is preferred; parameters of the range do not hide it."""
    response = post(client, TO_FHIR, MINIMAL, **({"Accept": accept} if accept else {}))
    assert (response.status_code, response.content_type) == (200, f"{given}; charset=utf-8")


@pytest.mark.parametrize(
    ("wanted", "given"), [("json", FHIR), (FHIR, FHIR), ("application/fhir%2Bjson", FHIR), (JSON, JSON)]
)
def test_format_in_the_query_goes_before_accept(client: FlaskClient, wanted: str, given: str) -> None:
    """`_format` is for clients that cannot set headers, so it wins over the header that they cannot set."""
    response = client.get(f"/fhir/metadata?_format={wanted}", headers={"Accept": "text/html"})
    assert (response.status_code, response.content_type) == (200, f"{given}; charset=utf-8")


SENT = (
    JSON, FHIR, f"{JSON}; charset=utf-8", f"{FHIR};charset=UTF-8", f'{FHIR}; charset="utf-8"; fhirVersion=4.0',
    f"{FHIR}; fhirVersion=4.0.1", "Application/FHIR+JSON",
)  # fmt: skip


@pytest.mark.parametrize("content_type", SENT)
def test_json_may_be_sent_under_both_names(client: FlaskClient, content_type: str) -> None:
    """Engines have one content type for all they send: both are taken by both operations."""
    assert post(client, TO_FHIR, MINIMAL, content_type).status_code == 200
    assert post(client, TO_CASE, BUNDLE, content_type).status_code == 200


def test_bulk_data_may_be_sent_as_it_is(client: FlaskClient) -> None:
    """NDJSON, a resource a line, is read like the Bundle of its resources; a case is never NDJSON."""
    resources = [encode(entry["resource"]) for entry in to_fhir(load_case(MINIMAL))["entry"]]
    read = post(client, TO_CASE, b"\n".join(resources), "application/fhir+ndjson")
    refused = post(client, TO_FHIR, MINIMAL, "application/fhir+ndjson")
    assert (read.status_code, read.data) == (200, encode(dump_case(load_case(MINIMAL))))
    assert (refused.status_code, codes(refused)) == (415, ["unsupported-media-type"])


# --- metadata and life --------------------------------------------------------------------------


def test_metadata_is_a_valid_r4_capability_statement(client: FlaskClient) -> None:
    """The statement is valid FHIR 4.0.1, names its operations, and its date is the release's, not today's."""
    response = client.get("/fhir/metadata")
    statement = json.loads(response.data)
    assert (response.status_code, response.content_type) == (200, "application/fhir+json; charset=utf-8")
    assert check(statement) == []
    assert (statement["kind"], statement["fhirVersion"], statement["format"]) == ("instance", "4.0.1", ["json"])
    assert statement["date"] == adapter.RELEASE_DATE
    assert statement["software"]["version"] == __version__
    assert [operation["name"] for operation in statement["rest"][0]["operation"]] == ["to-fhir", "to-case", "validate"]


def test_every_operation_of_the_statement_is_there(client: FlaskClient) -> None:
    """What /fhir/metadata promises answers, if only with a refusal of an empty body."""
    for operation in client.get("/fhir/metadata").get_json()["rest"][0]["operation"]:
        assert post(client, f"/fhir/${operation['name']}", b"").status_code == 400


def test_livez_says_alive(client: FlaskClient) -> None:
    """A probe gets 200, by GET and by HEAD."""
    assert client.get("/livez").get_json() == {"status": "alive"}
    assert client.head("/livez").status_code == 200


# --- our own failures ---------------------------------------------------------------------------


def test_a_bug_is_500_with_an_id_and_nothing_else(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug answers with a request id; the log has the id, the error's type and its place; neither has a value."""

    def fail(_: bytes) -> None:
        raise KeyError(SECRET)

    monkeypatch.setattr(adapter.service.operations, "load_case", fail)
    with caplog.at_level(logging.DEBUG):
        response = post(client, TO_FHIR, MINIMAL)
    request_id = response.headers["X-Request-Id"]
    assert (response.status_code, codes(response)) == (500, ["bug"])
    assert request_id in response.text
    assert [request_id in line and "KeyError in adapter.service.operations:" in line for line in caplog.messages] == [
        True
    ]
    assert SECRET not in response.text + caplog.text
    assert "Traceback" not in response.text + caplog.text


def test_nothing_is_logged_of_what_is_converted_or_refused(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither a conversion nor a refusal leaves a line that holds anything of the document."""
    with caplog.at_level(logging.DEBUG):
        post(client, TO_FHIR, _WRONG_CASE)
        post(client, TO_CASE, _foreign())
        client.get(f"/fhir/{SECRET}")
    assert SECRET not in caplog.text


@pytest.mark.parametrize(("status", "code"), [(408, "bad-request"), (418, "bad-request"), (503, "bug")])
def test_what_werkzeug_refuses_has_our_form_and_its_status(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, status: int, code: str
) -> None:
    """A status that this module does not know is kept, its HTML is not."""

    class Refusal(HTTPException):
        description = SECRET

    def refuse(_: bytes) -> None:
        refusal = Refusal()
        refusal.code = status
        raise refusal

    monkeypatch.setattr(adapter.service.operations, "load_case", refuse)
    response = post(client, TO_FHIR, MINIMAL)
    assert (response.status_code, codes(response)) == (status, [code])
    assert SECRET not in response.text


@pytest.mark.parametrize(
    "coding",
    [
        {"system": "urn:uuid:x", "code": "a"},
        {"system": "http://unitsofmeasure.org", "code": "no unit"},
        {"system": "http://terminology.hl7.org/CodeSystem/v3-RouteOfAdministration", "code": "none"},
    ],
)
def test_a_code_that_r4_knows_to_be_wrong_is_the_fault_of_the_case(client: FlaskClient, coding: dict[str, str]) -> None:
    """A case's own codings travel as they are; one that breaks R4 is a 422 that names the place, not our 500."""
    case = json.loads(MINIMAL)
    case["conditions"] = [
        {"key": "c", "role": "comorbidity", "code": {"codings": [coding]}, "verification_status": "refuted"}
    ]
    response = post(client, TO_FHIR, json.dumps(case).encode())
    assert response.status_code == 422
    assert "coding[0]" in response.get_json()["issue"][0]["expression"][0]


def test_shapes_that_no_table_expects_are_no_bug(client: FlaskClient) -> None:
    """A label whose system is an object is left where it is."""
    bundle = json.loads(BUNDLE)
    bundle["entry"][0]["resource"].setdefault("meta", {})["security"] = [{"system": {}, "code": "HTEST"}]
    assert post(client, TO_CASE, json.dumps(bundle).encode()).status_code == 200
