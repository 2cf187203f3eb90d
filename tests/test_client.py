"""Into a FHIR server and out again: what is sent, what is told of it, and what comes back."""

from __future__ import annotations

import datetime
import ipaddress
import json
import re
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from adapter import client, fetching
from adapter.cli import main
from adapter.client import Server, told
from adapter.sending import send
from mappings import MappingError, decode, dump_case, encode, load_case, to_fhir
from tests.fhir_servers import Asked, Fake, Reply, Sekmet, outcome, sekmet

ROOT = Path(__file__).parent.parent
SYNTHETIC, PUBLISHED, MINIMAL = (
    ROOT / "examples" / name / "case.json" for name in ("synthetic-course", "published-case", "minimal")
)
SECRET = "Mustermann"


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back-off without waiting, and no token of whoever runs the tests."""
    monkeypatch.setattr(client._Repeats, "_sleep_backoff", lambda self: None)
    monkeypatch.delenv("FHIR_SERVER_TOKEN", raising=False)


def run(*arguments: str | Path, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, [str(one) for one in arguments], env=env)


def sent(what: Path, fake: Fake | Sekmet, *more: str | Path, env: dict[str, str] | None = None) -> Result:
    return run("send", what, "--server", fake.base, "--timeout", "10", *more, env=env)


def counts(done: Result) -> str:
    """The last line of the report, without the server."""
    return done.stdout.splitlines()[-1].rpartition(": ")[2]


def without_literature(path: Path) -> bytes:
    return encode(dump_case(replace(load_case(path.read_bytes()), literature=None)), pretty=True)


def identifier(path: Path) -> str:
    case = load_case(path.read_bytes())
    return f"{case.case_system}|{case.case_id}/patient"


# --- there and back -----------------------------------------------------------------------------

WAYS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "put, $everything": (["--mode", "put"], {}),
    "by identifier, $everything in pages": (["--mode", "conditional-update"], {"pages": 7}),
    "put, searches in pages": (["--mode", "put"], {"everything": False, "pages": 3}),
}


@pytest.mark.parametrize(
    ("path", "options", "server"),
    [*((SYNTHETIC, *way) for way in WAYS.values()), (PUBLISHED, [], {}), (MINIMAL, [], {})],
    ids=[*WAYS, "the published case", "the least case"],
)
def test_what_was_sent_comes_back_as_the_same_case(
    path: Path, options: list[str], server: dict[str, Any], tmp_path: Path
) -> None:
    """To the byte, by either mode, by $everything or by searches, whole or in pages."""
    with Fake(**server) as fake:
        assert sent(path, fake, *options).exit_code == 0
        back, bundle = tmp_path / "case.json", tmp_path / "bundle.json"
        done = run(
            "fetch", "--server", fake.base, "--patient-identifier", identifier(path), "-o", back, "--bundle", bundle
        )
    assert done.exit_code == 0, done.stderr
    assert back.read_bytes() == without_literature(path)
    assert json.loads(bundle.read_bytes())["type"] == "searchset"
    assert fake.base in done.stderr


def corrected(folder: Path, path: Path = SYNTHETIC) -> Path:
    """The case with an age corrected by one."""
    document = decode(path.read_bytes())
    document["patient"]["ages"][0]["age"]["value"] += 1
    out = folder / "corrected.json"
    out.write_bytes(encode(document))
    return out


@pytest.mark.parametrize("mode", ["put", "conditional-update"])
def test_sending_again_writes_nothing_and_a_correction_one_resource(mode: str, tmp_path: Path) -> None:
    """Three times the same case is one transaction; one corrected value is a second one, with one entry."""
    with Fake() as fake:
        done = [sent(SYNTHETIC, fake, "--mode", mode) for _ in range(3)]
        assert [counts(one) for one in done] == ["79 created", "79 unchanged", "79 unchanged"]
        assert [len(post.body["entry"]) for post in fake.posts] == [79]
        kept = sorted(fake.kept)
        done = [sent(corrected(tmp_path), fake, "--mode", mode) for _ in range(2)]
        assert [counts(one) for one in done] == ["78 unchanged, 1 updated", "79 unchanged"]
        assert [len(post.body["entry"]) for post in fake.posts] == [79, 1]
        assert sorted(fake.kept) == kept


def test_a_case_is_bound_to_a_chart_that_exists() -> None:
    """With --subject no Patient is written, and everything is about the one that is named."""
    with Fake() as fake:
        fake.kept["Patient/123"] = {"resourceType": "Patient", "id": "123"}
        assert counts(sent(SYNTHETIC, fake, "--subject", "Patient/123")) == "78 created"
        subjects = [r["subject"]["reference"] for r in fake.kept.values() if "subject" in r]
        assert set(subjects) == {"Patient/123"}


def test_a_bundle_is_sent_as_it_is(tmp_path: Path) -> None:
    """A transaction of one's own goes as it is, checked against R4; what it creates each time is named."""
    path = tmp_path / "bundle.json"
    bundle = to_fhir(load_case(MINIMAL.read_bytes()), bundle_type="transaction")
    path.write_bytes(encode(bundle))
    with Fake() as fake:
        assert counts(sent(path, fake)) == "3 created"
        assert sent(path, fake, "--mode", "put").exit_code == 2
        note = {"resourceType": "Basic", "code": {"text": "note"}}
        bundle["entry"] = [{"resource": note, "fullUrl": "urn:uuid:5ab5e0ae-7b51-4c57-9cbc-56ee1e0ae1c3"}]
        bundle["entry"][0]["request"] = {"method": "POST", "url": "Basic"}
        path.write_bytes(encode(bundle))
        fake.states = lambda capability: capability["rest"][0]["resource"].append({"type": "Basic"})
        done = sent(path, fake)
        assert (done.exit_code, counts(done)) == (0, "1 created")
        assert "[not-idempotent]" in done.stderr
        bundle["type"] = "collection"
        path.write_bytes(encode(bundle))
        assert "[bad-value]" in sent(path, fake).stderr
        bundle["type"], request = "transaction", bundle["entry"][0]["request"]
        bundle["entry"][0]["request"] = {"method": "DELETE", "url": "Basic/1"}
        path.write_bytes(encode(bundle))
        assert "[bad-value]" in sent(path, fake).stderr
        bundle["entry"][0] |= {"request": request, "resource": {"resourceType": "Observation"}}
        path.write_bytes(encode(bundle))
        assert "[r4]" in sent(path, fake).stderr


def test_the_report_as_json() -> None:
    """Server, mode, counts, and each entry with its id and status; no values."""
    with Fake() as fake:
        report = json.loads(sent(MINIMAL, fake, "--format", "json").stdout)
    assert (report["server"], report["mode"], report["whole"]) == (fake.base, "put", True)
    assert report["counts"] == {"created": 3}
    assert report["entries"][0].keys() == {"entry", "resource", "outcome", "status", "why"}


# --- what the server states ---------------------------------------------------------------------


def _resources(**changed: Any) -> Callable[[Any], None]:
    def states(capability: Any) -> None:
        for resource in capability["rest"][0]["resource"]:
            resource.update(changed)

    return states


MODE: dict[str, tuple[Callable[[Any], None], str]] = {
    "states both": (lambda capability: None, "put"),
    "no word on put": (_resources(updateCreate=None), "conditional-update"),
    "no put": (_resources(updateCreate=False), "conditional-update"),
    "no update by identifier": (_resources(conditionalUpdate=False), "put"),
    "states neither": (_resources(updateCreate=None, conditionalUpdate=None), "put"),
}


@pytest.mark.parametrize(("states", "mode"), MODE.values(), ids=MODE)
def test_the_mode_is_the_one_that_the_server_states(states: Callable[[Any], None], mode: str) -> None:
    """Put where it is stated, else by identifier where that is, else what is not ruled out."""
    with Fake(states=states) as fake:
        assert json.loads(sent(MINIMAL, fake, "--format", "json").stdout)["mode"] == mode


def _other(capability: Any) -> None:
    capability.update(fhirVersion="5.0.0", format=["xml"])
    capability["rest"][0]["interaction"] = []
    for resource in capability["rest"][0]["resource"]:
        resource.update(updateCreate=False)
    capability["rest"][0]["resource"] = [r for r in capability["rest"][0]["resource"] if r["type"] != "Provenance"]


def test_every_gap_is_told_at_once_and_nothing_is_sent() -> None:
    """Version, format, transactions, put, a type: all in one answer, before anything leaves."""
    with Fake(states=_other) as fake:
        done = sent(MINIMAL, fake, "--mode", "put")
        assert (done.exit_code, [asked.method for asked in fake.asked]) == (1, ["GET"])
    _, *lines = done.stderr.splitlines()
    for element, line in zip(("fhirVersion", "format", "rest.interaction", "rest.resource"), lines, strict=True):
        assert f"CapabilityStatement.{element}" in line
    assert done.stderr.count("[server-gap]") == 4
    assert "Device, Patient, Provenance" in done.stderr


# --- what goes wrong on the way -----------------------------------------------------------------


class Times:
    """A twist that answers so many transactions with this, and the rest as ever."""

    def __init__(self, reply: Reply | Callable[[], Reply], times: int = 1) -> None:
        self.reply, self.times = reply, times

    def __call__(self, asked: Asked) -> Reply | None:
        if asked.method != "POST" or asked.body["type"] != "transaction" or self.times == 0:
            return None
        self.times -= 1
        return self.reply() if callable(self.reply) else self.reply


def _slow() -> Reply:
    time.sleep(2)
    return Reply(200, {})


def _drip() -> Reply:
    return Reply(200, raw=b" " * 10, headers={"Content-Length": "100"})


WAIT = {"Retry-After": "0"}
#: the answer to the first transaction -> what is told, how many transactions were made, exit status
ONCE: dict[str, tuple[Reply | Callable[[], Reply], str, int]] = {
    "429 with Retry-After": (Reply(429, outcome(SECRET), WAIT), "", 2),
    "503 with Retry-After": (Reply(503, outcome(SECRET), WAIT), "", 2),
    "429 without": (Reply(429, outcome(SECRET)), "server-refused", 1),
    "503 without": (Reply(503, outcome(SECRET)), "server-refused", 1),
    "503 for an hour": (Reply(503, outcome(SECRET), {"Retry-After": "3600"}), "server-refused", 1),
    "slow": (_slow, "unknown-outcome", 1),
    "cut off": (Reply(0), "unknown-outcome", 1),
    "cut off in the answer": (_drip, "unknown-outcome", 1),
    "500": (Reply(500, outcome(SECRET)), "unknown-outcome", 1),
    "504 of a gateway": (Reply(504, raw=b"<html>"), "unknown-outcome", 1),
    "400": (Reply(400, outcome(SECRET)), "server-refused", 1),
    "401": (Reply(401, outcome(SECRET)), "server-refused", 1),
    "412": (Reply(412, outcome(SECRET)), "server-refused", 1),
    "413": (Reply(413, raw=b"big"), "too-large", 1),
    "redirected": (Reply(307, {}, {"Location": "https://elsewhere.example/Mustermann"}), "server-refused", 1),
}


@pytest.mark.parametrize(("reply", "code", "times"), ONCE.values(), ids=ONCE)
def test_what_is_repeated_and_what_is_not(reply: Any, code: str, times: int) -> None:
    """Only what the server says it did not take, and when to come back; the next sending mends the rest."""
    with Fake(Times(reply)) as fake:
        done = sent(MINIMAL, fake, "--timeout", "1")
        assert (done.exit_code, len(fake.posts)) == (1 if code else 0, times)
        assert f"[{code}]" in done.stderr if code else "[" not in done.stderr
        assert SECRET not in done.output
        assert counts(sent(MINIMAL, fake)) == ("3 created" if code else "3 unchanged")


def test_a_connection_that_is_refused_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was sent then; at last it says so."""
    with Fake() as fake:
        pass
    slept: list[float] = []
    monkeypatch.setattr(client._Repeats, "_sleep_backoff", lambda self: slept.append(self.get_backoff_time()))
    done = sent(MINIMAL, fake)
    assert (done.exit_code, len(slept)) == (1, client.REPEATS)
    assert slept[0] == 0 < slept[1] < slept[3] < 10
    assert "[not-reached]" in done.stderr
    assert "refused" in done.stderr


# --- servers that do half, or lie ---------------------------------------------------------------


def _lies(fake: Fake, asked: Asked, lie: str) -> Reply | None:
    """An answer of status 200 to a transaction, with something else behind it."""
    if asked.method != "POST" or asked.body["type"] != "transaction":
        return None
    honest: Any = fake.answer(asked).body if lie != "stored nothing" else None
    made = [
        {"response": {"status": "201", "location": e["request"]["url"] + "/_history/1"}} for e in asked.body["entry"]
    ]
    if lie == "stored nothing":
        honest = {"resourceType": "Bundle", "type": "transaction-response", "entry": made}
    elif lie == "failed inside":
        place = asked.body["entry"][1]["request"]["url"]
        fake.kept.pop(place)
        honest["entry"][1] = {"response": {"status": "422 Unprocessable", "outcome": outcome(SECRET)}}
    elif lie == "a batch":
        honest["type"] = "batch-response"
    elif lie == "an entry short":
        honest["entry"].pop()
    elif lie == "no statuses":
        honest["entry"] = [{} for _ in made]
    elif lie == "another value":
        resource = next(r for r in fake.kept.values() if r["resourceType"] == "Patient")
        resource["gender"] = SECRET
    return Reply(200, honest) if lie != "a page" else Reply(200, raw=b"<html>")


LIES = {
    "failed inside": ("2 created, 1 refused", "stored-differently", 1),
    "stored nothing": ("3 missing", "", 1),
    "a batch": ("3 created", "server-answer", 0),
    "an entry short": ("3 created", "server-answer", 0),
    "no statuses": ("3 created", "", 0),
    "a page": ("3 created", "server-answer", 0),
    "another value": ("3 created", "stored-differently", 0),
}


@pytest.mark.parametrize(("lie", "counted", "code", "status"), [(lie, *row) for lie, row in LIES.items()], ids=LIES)
def test_not_the_status_tells_but_what_is_there(lie: str, counted: str, code: str, status: int) -> None:
    """Entries are read one by one, and the server's own resources are read back."""
    with Fake() as fake:
        fake.twist = lambda asked: _lies(fake, asked, lie)
        done = sent(MINIMAL, fake)
        assert (done.exit_code, counts(done)) == (status, counted), done.output
        assert f"[{code}]" in done.stderr if code else "[" not in done.stderr
        assert SECRET not in done.output
        fake.twist = lambda asked: None
        assert sent(MINIMAL, fake).exit_code == 0
        assert counts(sent(MINIMAL, fake)) == "3 unchanged"


def test_what_cannot_be_read_back_is_not_believed() -> None:
    """The answer was well; then the server is gone: it is said, with status 1, and mended by sending again."""
    with Fake(lambda asked: Reply(0) if fake.posts and asked not in fake.posts else None) as fake:
        done = sent(MINIMAL, fake)
        assert (done.exit_code, counts(done)) == (1, "3 created")
        assert "[unknown-outcome]" in done.stderr
        fake.twist = lambda asked: None
        assert counts(sent(MINIMAL, fake)) == "3 unchanged"


def test_a_server_that_leaves_references_as_they_were_is_asked_once_more() -> None:
    """HAPI does not read references in a primitive's extension: they are sent again as the server knows them."""

    def forgets(asked: Asked) -> Reply | None:
        if asked.method != "POST" or asked.body["type"] != "transaction" or len(fake.posts) > 1:
            return None
        reply = fake.answer(asked)
        for entry in asked.body["entry"]:
            if "onset" in entry["resource"] or "_start" in str(entry["resource"].get("effectivePeriod", "")):
                urls = {e["fullUrl"]: e for e in asked.body["entry"]}
                number = list(urls).index(entry["fullUrl"])
                place = reply.body["entry"][number]["response"]["location"].split("/_history")[0][len(fake.base) + 1 :]
                fake.kept[place]["effectivePeriod"] = entry["resource"]["effectivePeriod"]
        return reply

    with Fake(forgets) as fake:
        done = sent(PUBLISHED, fake, "--mode", "conditional-update")
        assert (done.exit_code, len(fake.posts)) == (0, 2)
        assert "stored-differently" not in done.stderr
        assert b"urn:uuid" not in encode(list(fake.kept.values()))


def test_the_servers_own_words_stay_out_unless_asked_for(tmp_path: Path) -> None:
    """Codes and paths are shown; the whole answer goes to a file for its owner alone."""
    path = tmp_path / "answer.json"
    with Fake(Times(Reply(422, outcome(SECRET)))) as fake:
        done = sent(MINIMAL, fake, "--answer", path)
    assert SECRET not in done.output
    assert "422 to this (error invalid MSG_BAD at Bundle.entry[0].resource.status)" in done.stderr
    assert SECRET.encode() in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600


def test_paths_that_quote_are_not_shown() -> None:
    """A FHIRPath may hold a value: then it is left out."""
    quoting = {"issue": [{"code": "value", "expression": [f"Patient.name.where(family='{SECRET}')"]}]}
    assert told(quoting) == " (value)"
    assert [told(odd) for odd in (None, [], {"issue": "x"}, {})] == [""] * 4
    assert "and 5 more" in told(outcome(*"abcdefghijklmno"))


# --- credentials --------------------------------------------------------------------------------


def test_the_token_comes_from_a_file_or_the_environment(tmp_path: Path) -> None:
    """It goes with each request; one that is no token, or would be readable on the way, is refused."""
    path = tmp_path / "token"
    path.write_text(f"{SECRET}\n")
    for more, env in ((["--token-file", path], {}), ([], {"FHIR_SERVER_TOKEN": SECRET})):
        with Fake() as fake:
            assert sent(MINIMAL, fake, *more, env=env).exit_code == 0
            assert {asked.headers["Authorization"] for asked in fake.asked} == {f"Bearer {SECRET}"}
    path.write_text("two words")
    for url, env in (
        ("http://127.0.0.1:1/", {"FHIR_SERVER_TOKEN": "two\nlines"}),
        ("http://a.example", {"FHIR_SERVER_TOKEN": SECRET}),
    ):
        done = run("send", MINIMAL, "--server", url, env=env)
        assert (done.exit_code, SECRET in done.output) == (2, False)
    assert sent(MINIMAL, fake, "--token-file", path).exit_code == 2
    for url in ("ftp://a.example", "https://user:pw@a.example/", "https://a.example/?x=1", "a.example"):
        assert run("send", MINIMAL, "--server", url).exit_code == 2


def test_no_password_of_a_netrc_is_sent_and_no_redirect_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing goes along that was not given for this server, and nothing to another."""
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login x password {SECRET}")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with Fake() as other, Fake(lambda asked: Reply(302, {}, {"Location": other.base + "/metadata"})) as fake:
        done = sent(MINIMAL, fake, env={"FHIR_SERVER_TOKEN": SECRET})
        assert (done.exit_code, other.asked) == (1, [])
        assert "redirects to http://127.0.0.1" in done.stderr
        fake.asked.clear()
        sent(MINIMAL, fake)
        assert [asked.headers.get("Authorization") for asked in fake.asked] == [None]


def _pem(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signed itself, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    cert, secret = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    kind = serialization.PrivateFormat.PKCS8
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption()))
    return cert, secret


def test_tls_is_checked_and_a_client_certificate_shown(tmp_path: Path) -> None:
    """An unknown authority is refused before anything is sent; a server may ask who calls."""
    cert, key = _pem(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=cert)
    tls.load_cert_chain(cert, key)
    tls.verify_mode = ssl.CERT_REQUIRED
    with Fake(tls=tls) as fake:
        trust = {"REQUESTS_CA_BUNDLE": str(cert)}
        done = sent(MINIMAL, fake, "--cert", cert, "--key", key)
        assert (done.exit_code, "TLS failed" in done.stderr, fake.asked) == (1, True, [])
        assert (sent(MINIMAL, fake, env=trust).exit_code, fake.asked) == (1, [])
        done = sent(MINIMAL, fake, "--cert", cert, "--key", key, env=trust)
        assert (done.exit_code, counts(done)) == (0, "3 created")


def test_a_redirect_to_no_address_is_refused_as_any() -> None:
    """It is not followed anyway."""
    with Fake(lambda asked: Reply(302, {}, {"Location": "http://[::1"})) as fake:
        done = sent(MINIMAL, fake)
    assert (done.exit_code, "[server-refused]" in done.stderr) == (1, True)


# --- fetching -----------------------------------------------------------------------------------

PAGES: dict[str, tuple[Callable[[str, int], str], str]] = {
    "the same page": (lambda base, n: f"{base}/Patient/p/$everything", "do not end"),
    "pages without end": (lambda base, n: f"{base}/Patient/p/$everything?page={n}", "do not end"),
    "another host": (lambda base, n: "https://elsewhere.example/fhir?page=2", "another host, elsewhere.example"),
    "another port": (lambda base, n: "http://127.0.0.1:1/fhir?page=2", "another host"),
    "no address": (lambda base, n: "http://[::1", "another host"),
    "a file": (lambda base, n: "file:///etc/passwd", "another host"),
}


@pytest.mark.parametrize(("link", "said"), PAGES.values(), ids=PAGES)
def test_pages_that_lead_nowhere_are_refused(
    link: Callable[[str, int], str], said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A circle, a flood, another host: refused, and nothing is written."""
    monkeypatch.setattr(fetching, "MOST_PAGES", 5)

    def pages(asked: Asked) -> Reply | None:
        if "everything" not in asked.path:
            return None
        url = link(fake.base, len(fake.asked))
        return Reply(200, {"resourceType": "Bundle", "type": "searchset", "link": [{"relation": "next", "url": url}]})

    with Fake(pages) as fake:
        done = run("fetch", "--server", fake.base, "--patient", "p", "-o", tmp_path / "case.json")
    assert done.exit_code == 1
    assert said in done.stderr
    assert "[page-refused]" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_which_patient_is_meant() -> None:
    """By id, with or without the type, or by an identifier that one Patient has."""
    with Fake() as fake:
        sent(MINIMAL, fake)
        place = next(place for place in fake.kept if place.startswith("Patient/"))
        for patient in (place, place.removeprefix("Patient/")):
            done = run("fetch", "--server", fake.base, "--patient", patient)
            assert done.stdout_bytes == without_literature(MINIMAL)
        assert "[no-patient]" in run("fetch", "--server", fake.base, "--patient-identifier", "x|y").stderr
        fake.kept["Patient/twin"] = {**fake.kept[place], "id": "twin"}
        assert (
            "[several-patients]"
            in run("fetch", "--server", fake.base, "--patient-identifier", identifier(MINIMAL)).stderr
        )
        assert run("fetch", "--server", fake.base, "--patient", "a/../b").exit_code == 2
        assert run("fetch", "--server", fake.base).exit_code == 2


# --- the rooms ----------------------------------------------------------------------------------


def test_nothing_leaves_but_through_the_client() -> None:
    """One module connects to FHIR servers, and the endpoint does not have it; another asks the token issuer."""
    opens = re.compile(r"^\s*(import|from) (requests|urllib3|socket|httpx|http\.client|urllib\.request)\b", re.M)
    paths = [*(ROOT / "adapter").rglob("*.py"), *(ROOT / "mappings").rglob("*.py")]
    found = {path.name for path in paths if opens.search(path.read_text(encoding="utf-8"))}
    assert found == {"client.py", "tokens.py", "serve.py"}  # the last one listens
    code = "import adapter.service, sys; sys.exit('adapter.client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


# --- a real server ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sekmet]:
    """sekmet-fhir with an empty store."""
    with sekmet(tmp_path_factory.mktemp("sekmet")) as server:
        yield server


def loosely(raw: bytes) -> Any:
    """A case with its numbers as floats: sekmet keeps no digits, 1.80 comes back as 1.8."""
    return json.loads(raw)


@pytest.mark.xdist_group("sekmet")
@pytest.mark.parametrize(("path", "mode"), [(SYNTHETIC, "put"), (PUBLISHED, "conditional-update")], ids=["put", "id"])
def test_a_real_server(real: Sekmet, path: Path, mode: str, tmp_path: Path) -> None:
    """Send, send again, correct, fetch, compare."""
    assert sent(path, real, "--mode", mode).exit_code == 0
    again = sent(path, real, "--mode", mode)
    lossy = {line.split()[1].split("/")[0] for line in again.stdout.splitlines() if line.startswith("updated")}
    assert "created" not in again.stdout
    assert lossy <= {line.split(".")[0].removeprefix("warning: ") for line in again.stderr.splitlines()}
    back = tmp_path / "case.json"
    fetching_it = ("fetch", "--server", real.base, "--patient-identifier", identifier(path), "-o", back)
    assert run(*fetching_it).exit_code == 0
    assert loosely(back.read_bytes()) == loosely(without_literature(path))
    other = corrected(tmp_path, path)
    done = sent(other, real, "--mode", mode)
    assert (done.exit_code, "created" in done.stdout) == (0, False)
    assert run(*fetching_it).exit_code == 0
    assert loosely(back.read_bytes()) == loosely(without_literature(other)) != loosely(without_literature(path))


@pytest.mark.xdist_group("sekmet")
def test_what_a_real_server_refuses_is_told(real: Sekmet, tmp_path: Path) -> None:
    """A reference that leads nowhere: the whole transaction is rolled back, and nothing is there."""
    bundle = decode(encode(to_fhir(load_case(MINIMAL.read_bytes()), bundle_type="transaction")))
    bundle["entry"][0]["resource"]["managingOrganization"] = {"reference": f"Organization?identifier=x|{SECRET}"}
    for entry in bundle["entry"]:
        if entry["request"]["url"].startswith("Patient"):
            entry["resource"]["id"] = "dangling"
            entry["request"]["url"] = "Patient/dangling"
    path = tmp_path / "bundle.json"
    path.write_bytes(encode(bundle))
    done = sent(path, real)
    assert (done.exit_code, SECRET in done.output) == (1, False)
    assert "[server-refused]" in done.stderr
    assert Server(real.base).read("Patient/dangling") is None


@pytest.mark.xdist_group("sekmet")
def test_fhirpy_finds_what_was_sent(real: Sekmet) -> None:
    """A user's own client gets the infusions of the course, each with its dose per kilogram."""
    from fhirpy import SyncFHIRClient

    assert sent(SYNTHETIC, real, "--mode", "put").exit_code == 0
    hospital = SyncFHIRClient(real.base)
    patient = hospital.resources("Patient").search(identifier=identifier(SYNTHETIC)).get()
    given = hospital.resources("MedicationAdministration").search(patient=patient["id"]).fetch_all()
    case = load_case(SYNTHETIC.read_bytes())
    assert len(given) == sum(len(therapy.administrations) for therapy in case.therapies)
    assert {one["dosage"]["dose"]["code"] for one in given if "dose" in one.get("dosage", {})}


@pytest.mark.xdist_group("sekmet")
def test_a_server_killed_in_mid_transaction(tmp_path: Path) -> None:
    """What was stored is not known; once it is back, sending again brings everything, once."""
    case = load_case(PUBLISHED.read_bytes())
    with sekmet(tmp_path) as server:

        def announce(line: str) -> None:
            if line.startswith("sending"):
                threading.Thread(target=server.kill_in_transaction).start()

        with pytest.raises(MappingError) as error:
            send(Server(server.base, seconds=10), case, mode="put", announce=announce)
        assert [issue.code for issue in error.value.issues] == ["unknown-outcome"]
        server.start()
        patient = to_fhir(case)["entry"][0]["resource"]["id"]
        assert Server(server.base).read(f"Patient/{patient}") is None
        again = send(Server(server.base), case, mode="put", announce=lambda line: None)
        assert (again.whole, len(again.entries)) == (True, 93)
        assert len(fetching.fetch(Server(server.base), patient)["entry"]) == 93
