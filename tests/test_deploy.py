"""The deployment examples: they agree with the adapter's settings and catalogue, and a real nginx runs its part."""

from __future__ import annotations

import configparser
import http.client
import json
import re
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from adapter.r4 import check
from adapter.service.answers import RETRY, RETRY_AFTER, STATUS
from adapter.settings import Settings, load
from mappings import encode, load_case, to_fhir
from mappings.report import CATALOGUE
from tests.goldens import case_bytes
from tests.ports import free_port
from tests.serving import serving, together

pytestmark = pytest.mark.xdist_group("server")
DEPLOY = Path(__file__).parent.parent / "examples" / "deploy"
NGINX = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
CASE = case_bytes("synthetic-course")


def codes(body: bytes) -> list[str]:
    """The codes of what must be an OperationOutcome of ours."""
    outcome = json.loads(body)
    assert [issue for issue in check(outcome) if issue.level == "error"] == []
    return [issue["details"]["coding"][0]["code"] for issue in outcome["issue"]]


def test_the_settings_are_settings() -> None:
    """The file loads, and its address is one for a place behind a proxy."""
    assert load({}, str(DEPLOY / "settings.toml")).loopback


def test_the_proxy_answers_as_the_adapter_does() -> None:
    """Each error that nginx makes itself has the status, code, type, text and retry of the adapter's."""
    blocks = re.findall(r"location @\w+ \{(.*?)\n    \}", NGINX, re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        status, body = re.search(r"return (\d+) '(.*)\\n';", block).groups()  # type: ignore[union-attr]
        (code,) = codes(body.encode())
        (issue,) = json.loads(body)["issue"]
        assert (STATUS[code], CATALOGUE[code].issue_type) == (int(status), issue["code"])
        assert issue["details"]["text"] == CATALOGUE[code].remedy
        assert f"X-Retry {RETRY[int(status)]} always;" in block
        assert ("Retry-After" in block) == (int(status) in RETRY_AFTER)


def test_limits_of_proxy_and_unit_fit_those_of_the_adapter() -> None:
    """The same largest body; more time than a conversion, and than a drain, may take."""
    settings = Settings()
    assert f"client_max_body_size    {settings.max_body // 2**20}m;" in NGINX
    assert int(re.search(r"proxy_read_timeout (\d+)s", NGINX)[1]) > 2 * settings.seconds  # type: ignore[index]
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(DEPLOY / "fhir-adapter.service")
    assert int(unit["Service"]["TimeoutStopSec"]) > settings.drain
    container = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    assert int(re.search(r"--stop-timeout=(\d+)", container)[1]) > settings.drain  # type: ignore[index]
    assert re.search(r"^USER (\d+)", container, re.MULTILINE)[1] != "0"  # type: ignore[index]


# --- a real nginx -------------------------------------------------------------------------------


def certificates(folder: Path) -> None:
    """An authority of a test, and certificates of it for a server and for a caller."""
    now, key = datetime.now(UTC), ec.generate_private_key(ec.SECP256R1())
    authority = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority")])

    def made(name: x509.Name, for_key: ec.EllipticCurvePrivateKey, ca: bool) -> bytes:
        found = x509.CertificateBuilder(authority, name, for_key.public_key(), x509.random_serial_number())
        found = found.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        found = found.add_extension(names, False).add_extension(x509.BasicConstraints(ca, None), True)
        return found.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)

    (folder / "callers-ca.pem").write_bytes(made(authority, key, True))
    for name in ("server", "caller"):
        own = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        (folder / f"{name}.pem").write_bytes(made(subject, own, False))
        private = own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / f"{name}.key").write_bytes(private)


class Proxy:
    """The nginx of the example in front of an adapter."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port

    def call(self, method: str, path: str, body: bytes | None = None, known: bool = True) -> tuple[int, Any, bytes]:
        """Status, headers, body; ``known`` with the caller's certificate."""
        context = ssl.create_default_context(cafile=str(self.folder / "callers-ca.pem"))
        if known:
            context.load_cert_chain(self.folder / "caller.pem", self.folder / "caller.key")
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=context)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()


@pytest.fixture
def behind(tmp_path: Path) -> Iterator[tuple[Proxy, Any]]:
    """The example's nginx in front of a running adapter, its paths and ports in a folder of the test."""
    binary = shutil.which("nginx")
    if binary is None:
        pytest.skip("nginx is not installed; the example's texts are tested all the same")
    certificates(tmp_path)
    port = free_port()
    with serving(tmp_path, idle=2) as served:
        changes = {
            "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
            "127.0.0.1:8080": f"127.0.0.1:{served.port}",
            "/etc/fhir-adapter/tls": str(tmp_path),
            "/var/log/nginx": str(tmp_path),
            "rate=50r/s": "rate=5r/s",
            "burst=100": "burst=20",
        }
        text = NGINX
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        temporary = "".join(
            f"{kind}_temp_path {tmp_path}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (tmp_path / "nginx.conf").write_text(
            f"daemon off; pid {tmp_path}/pid; error_log stderr; events {{}} http {{ {temporary}\n{text}\n}}"
        )
        command = [binary, "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"), "-e", "stderr"]
        running = subprocess.Popen(command, stderr=subprocess.PIPE)
        try:
            proxy = Proxy(tmp_path, port)
            for _ in range(100):
                try:
                    proxy.call("GET", "/livez")
                    break
                except ConnectionRefusedError:
                    assert running.poll() is None, running.stderr.read() if running.stderr else ""
                    time.sleep(0.1)
            yield proxy, served
        finally:
            running.terminate()
            running.communicate(timeout=20)


def test_behind_a_real_nginx(behind: tuple[Proxy, Any]) -> None:
    """What it passes on is untouched; what it refuses, and the adapter's absence, are OperationOutcomes."""
    proxy, served = behind
    status, headers, body = proxy.call("POST", "/fhir/$to-fhir", CASE)
    assert (status, body) == (200, encode(to_fhir(load_case(CASE))))
    assert headers["Content-Type"] == "application/fhir+json; charset=utf-8"
    status, _, body = proxy.call("POST", "/fhir/$to-fhir?x=Kanarienvogel", b"{")
    assert (status, codes(body)) == (400, ["bad-request"])

    refused = {
        "bad-request": proxy.call("GET", "/livez", known=False),
        "too-large": proxy.call("POST", "/fhir/$to-fhir", b" " * (10 * 2**20 + 1)),
    }
    statuses = together(60, lambda _: proxy.call("GET", "/livez"))
    refused["throttled"] = next(answer for answer in statuses if isinstance(answer, tuple) and answer[0] == 429)
    served.stop()
    time.sleep(2)  # until the rate of callers is below the limit again
    refused["unavailable"] = proxy.call("POST", "/fhir/$to-fhir", CASE)
    for code, (status, headers, body) in refused.items():
        assert (status, codes(body)) == (STATUS[code], [code])
        assert headers["Content-Type"] == "application/fhir+json; charset=utf-8"
        assert (headers["X-Retry"], "Retry-After" in headers) == (RETRY[status], status in RETRY_AFTER)
    for _ in range(50):  # nginx answers first, and writes its log then
        log = (proxy.folder / "fhir-adapter.log").read_text(encoding="utf-8")
        logged = {json.loads(line)["status"] for line in log.splitlines() if line.endswith("}")}
        if 503 in logged:
            break
        time.sleep(0.1)
    assert logged >= {200, 400, 413, 429, 503}
    assert "Kanarienvogel" not in log + (proxy.folder / "fhir-adapter.error.log").read_text(encoding="utf-8")
