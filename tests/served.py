"""The endpoint as it runs: gunicorn in processes of its own, and a client that sends what it is told to.

``app`` holds the endpoint at ``/`` and, under a prefix each, the states that a test cannot bring about from outside.
"""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from adapter.r4 import check
from adapter.service import create_app
from adapter.settings import Settings
from mappings import Issue, MappingError
from tests.ports import free_port

SECRET = "Mustermann"
ROOT = Path(__file__).parent.parent


def _broken(error: Exception) -> Flask:
    """An endpoint in which something fails that nobody expected, beside a value."""
    app = create_app()

    def fail(**_: str) -> None:
        raise error

    app.view_functions["livez"] = fail
    return app


def _refusing(status: int) -> Flask:
    error = HTTPException(SECRET)
    error.code = status
    return _broken(error)


def _full() -> Flask:
    app = create_app(Settings(queue=1))
    app.extensions["gate"].places.acquire()
    return app


def _draining() -> Flask:
    app = create_app()
    app.extensions["gate"].draining.set()
    return app


SMALL = Settings(max_body=20_000, max_unpacked=50_000, max_depth=12, max_entries=50)
app = DispatcherMiddleware(
    create_app(),
    {
        "/small": create_app(SMALL),
        "/brief": create_app(Settings(seconds=0.01)),
        "/full": _full(),
        "/draining": _draining(),
        "/broken": _broken(KeyError(SECRET)),
        "/unsound": _broken(MappingError(Issue("bug", "What was to be written breaks a rule."))),
        "/refusing-408": _refusing(408),
        "/refusing-418": _refusing(418),
        "/refusing-503": _refusing(503),
    },
)


@dataclass(frozen=True)
class Answer:
    """One answer, unpacked."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """All that came, headers too."""
        return f"{self.headers}{self.body.decode()}"

    @property
    def codes(self) -> list[str]:
        """The stable codes of an answer that must be an OperationOutcome that FHIR R4 allows."""
        assert self.headers["Content-Type"] == "application/fhir+json; charset=utf-8"
        assert [issue for issue in check(self.json) if issue.level == "error"] == []
        assert self.json["resourceType"] == "OperationOutcome"
        return [issue["details"]["coding"][0]["code"] for issue in self.json["issue"] if "coding" in issue["details"]]


@dataclass(frozen=True)
class Server:
    """A running endpoint: its port, its processes, and what it says on standard error."""

    port: int
    pid: int
    log: Path

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """Send one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            chunked = body is not None and not isinstance(body, bytes)
            connection.request(method, path, body, headers or {}, encode_chunked=chunked)
            response = connection.getresponse()
            raw = response.read()
        finally:
            connection.close()
        packed = response.headers["Content-Encoding"] == "gzip"
        return Answer(response.status, response.headers, gzip.decompress(raw) if packed else raw)

    def get(self, path: str, **headers: str) -> Answer:
        """Ask for something; ``If_None_Match`` is the header If-None-Match."""
        return self.call("GET", path, None, {name.replace("_", "-"): value for name, value in headers.items()})

    def post(self, path: str, body: Any, content_type: str = "application/json", **headers: str) -> Answer:
        """Send a document; headers as for `get`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.call("POST", path, body, {"Content-Type": content_type, **named})

    def send(self, raw: bytes, shut: bool = True) -> bytes:
        """Send bytes that need be no HTTP, and give what comes until the other side closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            found = b""
            try:
                connection.sendall(raw)
                if shut:
                    connection.shutdown(socket.SHUT_WR)
                while chunk := connection.recv(65536):
                    found += chunk
            except TimeoutError:
                raise
            except OSError:  # the other side has closed
                pass
            return found

    def workers(self) -> list[int]:
        """The ids of the processes that answer."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii")
        return [int(pid) for pid in children.split()]


@contextmanager
def serving(log: Path, workers: int = 2, threads: int = 8) -> Iterator[Server]:
    """Run gunicorn on a free port of the loopback; it ends with the block."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--worker-class", "gthread"]
    command += ["--workers", str(workers), "--threads", str(threads), "--no-control-socket", "tests.served:app"]
    with log.open("wb") as sink:
        process = subprocess.Popen(command, cwd=ROOT, stdout=sink, stderr=sink)
    try:
        server = Server(port, process.pid, log)
        _wait(server, process)
        yield server
    finally:
        process.terminate()
        process.wait(30)


def _wait(server: Server, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert process.poll() is None, server.log.read_text(encoding="utf-8")
        try:
            if server.call("GET", "/livez").status == 200:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise TimeoutError("gunicorn did not start")
