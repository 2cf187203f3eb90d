"""A proxy before the real endpoint that refuses first, as a script says, and counts what arrives."""

from __future__ import annotations

import http.client
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from tests.listening import Listening

ROOT = Path(__file__).parents[2]
PUBLISHED = (ROOT / "examples" / "published-case" / "case.json").read_bytes()
MINIMAL = (ROOT / "examples" / "minimal" / "case.json").read_bytes()


class Proxy(Listening):
    """Passes requests on to the endpoint; the first of them get the scripted statuses instead."""

    def __init__(self, behind: int, script: list[tuple[int, str | None]] | None = None, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.behind, self.script = behind, list(script or ())
        #: (status answered, when, body) of each request
        self.seen: list[tuple[int, float, bytes]] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def statuses(self) -> list[int]:
        """What was answered, in order."""
        return [status for status, _, _ in self.seen]

    def __enter__(self) -> Proxy:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Proxy

    def do_POST(self) -> None:
        body = self._body()
        if self.server.script:
            status, after = self.server.script.pop(0)
            self._answer(status, b"busy", {"Retry-After": after} if after else {}, body)
            return
        connection = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=60)
        names = ("Content-Type", "Authorization", "X-Request-Id")
        headers = {name: self.headers[name] for name in names if self.headers[name]}
        connection.request("POST", self.path, body, headers)
        answer = connection.getresponse()
        found = {"Content-Type": answer.headers["Content-Type"]}
        self._answer(answer.status, answer.read(), found, body)
        connection.close()

    def _body(self) -> bytes:
        """The body, however it is framed."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        found = b""
        while size := int(self.rfile.readline(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def _answer(self, status: int, content: bytes, headers: dict[str, str], body: bytes) -> None:
        self.server.seen.append((status, time.monotonic(), body))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
