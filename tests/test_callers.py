"""Who may call: keys, tokens and names of the host, each wrong one with its status, and no secret in an answer."""

from __future__ import annotations

import hmac
import json
import os
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import jwt
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from adapter.cli import main
from adapter.keys import Keys, new_key
from adapter.service import create_app, tokens
from adapter.service.callers import OPEN
from adapter.settings import Settings
from tests.listening import Listening

ISSUER, AUDIENCE = "https://issuer.example", "adapter"
RSA, OTHER, EC = (
    rsa.generate_private_key(65537, 2048),
    rsa.generate_private_key(65537, 2048),
    ec.generate_private_key(ec.SECP256R1()),
)
VALIDATE = "/fhir/$validate"


class Issuer:
    """A key set on this machine that can be down, slow, redirected, or changed, and that counts what it is asked."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {"rsa-1": RSA, "ec-1": EC}
        self.asked, self.delay, self.answer = 0, 0.0, 200
        self.open = threading.Event()
        self.open.set()
        self.body: bytes | None = None
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += 1
                time.sleep(issuer.delay)
                issuer.open.wait(60)
                self.send_response(200 if self.path == "/moved" else issuer.answer)
                self.send_header("Location", f"http://127.0.0.1:{issuer.port}/moved")
                self.end_headers()
                self.wfile.write(issuer.set() if issuer.body is None else issuer.body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = Listening(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def set(self) -> bytes:
        """The key set."""
        made = {rsa.RSAPrivateKey: jwt.algorithms.RSAAlgorithm, ec.EllipticCurvePrivateKey: jwt.algorithms.ECAlgorithm}
        found = []
        for name, key in self.keys.items():
            kind = next(kind for base, kind in made.items() if isinstance(key, base))
            found.append({**kind.to_jwk(key.public_key(), as_dict=True), "kid": name, "use": "sig"})
        return json.dumps({"keys": found}).encode()

    def close(self) -> None:
        """No longer there."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    found = Issuer()
    yield found
    found.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock of the key set, in seconds, to be turned by hand."""
    now = [1000.0]
    monkeypatch.setattr(tokens, "monotonic", lambda: now[0])
    return now


def settings_of(issuer: Issuer) -> Settings:
    """Tokens of this issuer."""
    url = f"http://127.0.0.1:{issuer.port}/keys"
    return Settings(jwt_issuer=ISSUER, jwt_audience=AUDIENCE, jwt_jwks=url)


def token(
    key: Any = RSA, kid: str | None = "rsa-1", algorithm: str = "RS256", header: Any = None, **claims: Any
) -> str:
    """A token that is valid but for what is said."""
    now = int(time.time())
    whole = {"iss": ISSUER, "aud": AUDIENCE, "exp": now + 60, "iat": now, "client_id": "lab-engine", **claims}
    headers = {**({"kid": kid} if kid else {}), **(header or {})}
    return jwt.encode({k: v for k, v in whole.items() if v is not None}, key, algorithm=algorithm, headers=headers)


def send(client: FlaskClient, credential: str | None, path: str = VALIDATE, **headers: str) -> TestResponse:
    """A request with this bearer credential, or with none."""
    if credential is not None:
        headers["Authorization"] = f"Bearer {credential}"
    return client.post(path, data=b"{}", content_type="application/json", headers=headers)


def codes(response: TestResponse) -> list[str]:
    assert response.content_type == "application/fhir+json; charset=utf-8"
    return [issue["details"]["coding"][0]["code"] for issue in json.loads(response.data)["issue"]]


def key_file(folder: Path, *lines: str) -> Path:
    """A file of keys with the right mode."""
    file = folder / "keys"
    file.touch(0o600)
    file.write_text("\n".join(lines))
    return file


# --- keys ---------------------------------------------------------------------------------------


def test_a_key_is_shown_once_and_its_line_lets_it_in(tmp_path: Path) -> None:
    """The line is on standard output, for the file; the key on standard error, for the caller."""
    made = CliRunner().invoke(main, ["keys", "new", "--name", "lab-engine"])
    key = made.stderr.splitlines()[-1]
    assert key not in made.stdout
    app = create_app(Settings(keys_file=str(key_file(tmp_path, made.stdout))))
    assert send(app.test_client(), key).status_code == 200
    assert CliRunner().invoke(main, ["keys", "new", "--name", "two words"]).exit_code == 2


def test_two_keys_of_a_name_are_valid_while_they_rotate(tmp_path: Path) -> None:
    """Old and new at once; the old one ends when its line goes, without a restart."""
    (old, old_line), (new, new_line) = new_key("lab"), new_key("lab")
    file = key_file(tmp_path, old_line, new_line)
    client = create_app(Settings(keys_file=str(file))).test_client()
    assert [send(client, key).status_code for key in (old, new)] == [200, 200]
    file.write_text(new_line)
    assert [send(client, key).status_code for key in (old, new)] == [401, 200]


def test_a_broken_key_file_changes_nothing_until_it_is_mended(tmp_path: Path) -> None:
    """An editor's half-written file neither locks everybody out nor lets anybody in."""
    key, line = new_key("lab")
    file = key_file(tmp_path, line)
    keys = Keys(str(file))
    for damage in (
        lambda: file.write_text("lab 12"),
        lambda: file.write_text(""),
        lambda: file.chmod(0o666),
        file.unlink,
    ):
        damage()
        assert keys.caller(key) == "lab"
    key_file(tmp_path, new_key("lab")[1])
    assert keys.caller(key) is None


BAD_KEYS = [None, "", "fak_" + "A" * 43, "fak_short", "nonsense", "Ä", "a.b.c"]


@pytest.mark.parametrize("credential", BAD_KEYS, ids=str)
def test_without_a_valid_key_the_answer_is_401(tmp_path: Path, credential: str | None) -> None:
    """With what to send instead, and whether the credentials were missing or wrong."""
    client = create_app(Settings(keys_file=str(key_file(tmp_path, new_key("lab")[1])))).test_client()
    response = send(client, credential)
    assert (response.status_code, codes(response), response.headers["X-Retry"]) == (
        401,
        ["unauthenticated"],
        "after-fix",
    )
    challenge = response.headers["WWW-Authenticate"]
    assert challenge.startswith('Bearer realm="fhir-adapter"')
    assert ("invalid_token" in challenge) == bool(credential)
    assert not credential or credential not in response.text
    assert send(client, None, Authorization="Basic bGFiOnNlY3JldA==").status_code == 401


def test_what_is_open_is_open_and_nothing_else_is(tmp_path: Path) -> None:
    """Every route of the application is either in the list of open ones or asks for credentials."""
    app = create_app(Settings(keys_file=str(key_file(tmp_path, new_key("lab")[1]))))
    for rule in app.url_map.iter_rules():
        path = rule.rule.replace("<", "").replace(">", "")
        method = "POST" if "POST" in (rule.methods or ()) else "GET"
        status = app.test_client().open(path, method=method).status_code
        assert (status == 401) == (rule.endpoint not in OPEN), rule
    closed = {rule.endpoint for rule in app.url_map.iter_rules()} - OPEN
    assert closed == {"to-fhir", "to-case", "validate", "metrics", "report", "linked", "timeline"}
    assert app.test_client().get("/nowhere").status_code == 404


# --- tokens -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "kid", "algorithm"), [(RSA, "rsa-1", "RS256"), (RSA, "rsa-1", "PS256"), (EC, "ec-1", "ES256")]
)
def test_a_token_of_the_issuer_is_valid(issuer: Issuer, key: Any, kid: str, algorithm: str) -> None:
    """Each allowed algorithm with a key of its kind; the key set is fetched once."""
    client = create_app(settings_of(issuer)).test_client()
    assert [send(client, token(key, kid, algorithm)).status_code for _ in range(3)] == [200] * 3
    assert issuer.asked == 1


PUBLIC = json.dumps(jwt.algorithms.RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True))


def _by_hand(header: dict[str, str]) -> str:
    """A token signed with the issuer's public key as if it were a shared secret, which no library makes."""
    public = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    claims = {"iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 60}
    parts = [urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    parts.append(urlsafe_b64encode(hmac.digest(public, b".".join(parts), "sha256")).rstrip(b"="))
    return b".".join(parts).decode()


BAD_TOKENS: dict[str, Any] = {
    "expired": lambda: token(exp=int(time.time()) - 31),
    "not yet": lambda: token(nbf=int(time.time()) + 60),
    "no end": lambda: token(exp=None),
    "other issuer": lambda: token(iss="https://other.example"),
    "other audience": lambda: token(aud="other"),
    "no audience": lambda: token(aud=None),
    "signed by another key": lambda: token(OTHER),
    "unknown key": lambda: token(kid="unknown"),
    "no key": lambda: token(kid=None),
    "algorithm not allowed": lambda: token(algorithm="RS512"),
    "algorithm of another key": lambda: token(EC, "rsa-1", "ES256"),
    "none": lambda: jwt.encode({"iss": ISSUER, "aud": AUDIENCE}, None, algorithm="none", headers={"kid": "rsa-1"}),
    "public key as secret": lambda: _by_hand({"alg": "HS256", "kid": "rsa-1"}),
    "its own key": lambda: token(OTHER, header={"jwk": json.loads(PUBLIC)}),
    "its own key set": lambda: token(
        OTHER, kid="own", header={"jku": "http://127.0.0.1:9/jku", "x5u": "http://127.0.0.1:9/"}
    ),
    "changed": lambda: token()[:-4] + "AAAA",
    "cut": lambda: token().rpartition(".")[0],
}


@pytest.mark.parametrize("name", BAD_TOKENS)
def test_a_wrong_token_is_401(issuer: Issuer, name: str) -> None:
    """Whatever is wrong with it; the answer says what, and quotes nothing of it."""
    bad = BAD_TOKENS[name]()
    response = send(create_app(settings_of(issuer)).test_client(), bad)
    assert (response.status_code, codes(response)) == (401, ["unauthenticated"])
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]
    assert bad not in response.text
    assert issuer.asked <= 1


def test_skew_of_clocks_is_allowed_as_far_as_it_is_set(issuer: Issuer) -> None:
    """30 s unless said: 20 s too late passes, 40 s does not."""
    client = create_app(settings_of(issuer)).test_client()
    now = int(time.time())
    assert [send(client, token(exp=now - late)).status_code for late in (20, 40)] == [200, 401]


def test_a_valid_token_without_the_scope_is_403(issuer: Issuer) -> None:
    """Who the caller is, is known; it may not do this."""
    client = create_app(replace(settings_of(issuer), jwt_scope="adapter.convert")).test_client()
    response = send(client, token(scope="adapter.read other"))
    assert (response.status_code, codes(response)) == (403, ["forbidden"])
    assert 'error="insufficient_scope"' in response.headers["WWW-Authenticate"]
    granted = [token(scope="adapter.read adapter.convert"), token(scp=["adapter.convert"])]
    assert [send(client, one).status_code for one in granted] == [200, 200]
    assert send(client, token(scope=7)).status_code == 403


def test_keys_and_tokens_live_side_by_side(issuer: Issuer, tmp_path: Path) -> None:
    """One Authorization header; a key is known by its form."""
    key, line = new_key("lab")
    app = create_app(replace(settings_of(issuer), keys_file=str(key_file(tmp_path, line))))
    assert [send(app.test_client(), one).status_code for one in (key, token(), "fak_" + "B" * 43)] == [200, 200, 401]


# --- the issuer's key set -----------------------------------------------------------------------


def test_a_rotated_key_is_fetched_once_it_is_named(issuer: Issuer, clock: list[float]) -> None:
    """The new key is taken as soon as the pause is over, the withdrawn one no longer valid."""
    client = create_app(settings_of(issuer)).test_client()
    assert send(client, token()).status_code == 200
    issuer.keys = {"rsa-2": OTHER}
    clock[0] += tokens.PAUSE
    assert send(client, token(OTHER, "rsa-2")).status_code == 200
    assert send(client, token()).status_code == 401


def test_a_flood_of_unknown_keys_asks_the_issuer_once_a_pause(issuer: Issuer, clock: list[float]) -> None:
    """A caller cannot make this service flood its issuer."""
    client = create_app(settings_of(issuer)).test_client()
    assert send(client, token()).status_code == 200
    for number in range(20):
        clock[0] += 1
        assert send(client, token(OTHER, f"unknown-{number}")).status_code == 401
    assert issuer.asked <= 3


def _down(issuer: Issuer) -> None:
    issuer.close()


def _failing(issuer: Issuer) -> None:
    issuer.answer = 500


def _moved(issuer: Issuer) -> None:
    issuer.answer = 302


def _nonsense(issuer: Issuer) -> None:
    issuer.body = b"<html>"


def _endless(issuer: Issuer) -> None:
    issuer.body = b" " * (tokens.MAX_SET + 1)


def _slow(issuer: Issuer) -> None:
    issuer.delay = 1.5


@pytest.mark.parametrize("fault", [_down, _failing, _moved, _nonsense, _endless, _slow])
def test_an_issuer_that_cannot_be_asked(
    issuer: Issuer, clock: list[float], fault: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Known keys go on being valid as long as is set; what cannot be known is a passing fault, 503, not a 401."""
    monkeypatch.setattr(tokens, "TIMEOUT", 0.5)
    settings = replace(settings_of(issuer), jwt_stale=700)
    warm, cold = (create_app(settings).test_client() for _ in range(2))
    assert send(warm, token()).status_code == 200
    fault(issuer)
    clock[0] += 500
    assert send(warm, token()).status_code == 200
    for client, sent in ((warm, token(OTHER, "new")), (cold, token())):
        response = send(client, sent)
        assert (response.status_code, codes(response)) == (503, ["unavailable"])
        assert (response.headers["X-Retry"], int(response.headers["Retry-After"]) > 0) == ("later", True)
    clock[0] += 700
    assert send(warm, token()).status_code == 503


def test_a_slow_issuer_holds_up_nobody_whose_key_is_known(issuer: Issuer, clock: list[float]) -> None:
    """One request waits for the new key set; the others use the old one meanwhile."""
    app = create_app(settings_of(issuer))
    assert send(app.test_client(), token()).status_code == 200
    clock[0] += 400
    issuer.open.clear()
    first = threading.Thread(target=lambda: send(app.test_client(), token()))
    first.start()
    while issuer.asked < 2:
        time.sleep(0.01)
    assert send(app.test_client(), token()).status_code == 200
    assert first.is_alive()
    issuer.open.set()
    first.join()


def test_the_first_requests_wait_for_the_first_key_set(issuer: Issuer) -> None:
    """Many at once on a cold start: one fetch, and all of them are let in."""
    app, found = create_app(settings_of(issuer)), []
    issuer.delay = 0.3
    threads = [
        threading.Thread(target=lambda: found.append(send(app.test_client(), token()).status_code)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (found, issuer.asked) == ([200] * 8, 1)


def test_a_clock_that_jumps_ends_tokens_and_nothing_else(
    issuer: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wall clock decides on the life of a token alone; keys, the cache of the key set and bodies do not know it."""
    key, line = new_key("lab")
    client = create_app(replace(settings_of(issuer), keys_file=str(key_file(tmp_path, line)))).test_client()
    sent, before = token(), send(client, key).data
    assert send(client, sent).status_code == 200
    real = time.time
    for jump in (365 * 86400, -365 * 86400):
        import datetime

        class Jumped(datetime.datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime.datetime:
                return datetime.datetime.fromtimestamp(real() + jump, tz)  # noqa: B023

        monkeypatch.setattr("jwt.api_jwt.datetime", Jumped)
        assert (send(client, key).status_code, send(client, key).data) == (200, before)
        assert send(client, sent).status_code == 401
    assert issuer.asked == 1


# --- Host ---------------------------------------------------------------------------------------

HOSTS = [
    ("127.0.0.1", 200),
    ("127.0.0.1:8080", 200),
    ("LOCALHOST", 200),
    ("localhost.", 200),
    ("[::1]", 200),
    ("[::1]:8080", 200),
    ("adapter.example", 200),
    ("attacker.example", 421),
    ("127.0.0.1.attacker.example", 421),
    ("192.0.2.1", 421),
    ("[::2]", 421),
    ("localhost:x", 400),
    ("localhost, attacker.example", 400),
    ("user@localhost", 400),
    ("localhost/x", 400),
]


@pytest.mark.parametrize(("host", "status"), HOSTS)
@pytest.mark.parametrize("path", ["/livez", "/fhir/metadata", "/nowhere"])
def test_only_names_of_the_service_are_answered(host: str, status: int, path: str) -> None:
    """Another name is 421 (RFC 9110, 7.4), what is no name 400 (RFC 9112, 3.2): no page elsewhere gets here by DNS."""
    client = create_app(Settings(hosts=(*Settings().hosts, "Adapter.Example"))).test_client()
    response = client.get(path, headers={"Host": host, "Origin": "https://attacker.example"})
    assert response.status_code == (404 if (path, status) == ("/nowhere", 200) else status)
    if status != 200:
        assert codes(response) == ["wrong-host" if status == 421 else "bad-request"]
        assert host not in response.text
    assert not [name for name, _ in response.headers if name.lower().startswith("access-control")]


def test_the_address_itself_may_be_named() -> None:
    """A probe that calls a concrete address needs no setting; an unspecified one is no name."""
    assert "192.0.2.1" in Settings(host="192.0.2.1").allowed_hosts
    assert "0.0.0.0" not in Settings(host="0.0.0.0").allowed_hosts


def test_keys_are_compared_without_a_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every line is compared by `hmac.compare_digest`, also after the one that fits."""
    made = [new_key(f"caller-{number}") for number in range(5)]
    keys, compared = Keys(str(key_file(tmp_path, *(line for _, line in made)))), []
    monkeypatch.setattr("adapter.keys.hmac.compare_digest", lambda one, other: compared.append(one) or one == other)
    assert keys.caller(made[0][0]) == "caller-0"
    assert len(compared) == 5
    assert os.stat(tmp_path / "keys").st_mode & 0o777 == 0o600
