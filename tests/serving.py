"""The endpoint as an operator starts it: `fhir-adapter serve` in a process of its own, on a free port."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.goldens import case_bytes

TO_FHIR, TO_CASE, VALIDATE = "/fhir/$to-fhir", "/fhir/$to-case", "/fhir/$validate"
JSON, FHIR = "application/json", "application/fhir+json"
CASE = case_bytes("synthetic-course")
_LISTENING = re.compile(r"Listening at: http://\S+:(\d+) ")
_MAIN = "import sys; from adapter.cli import main; main(prog_name='fhir-adapter')"


class Served:
    """A running server: its port, its process, and what it has logged so far."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process, self.log = process, log
        self.port = 0

    def wait(self, seconds: float = 30.0) -> None:
        """Until it listens and a worker answers."""
        until = time.monotonic() + seconds
        while not self.port or self.status("/livez") != 200:
            assert time.monotonic() < until, self.text()
            assert self.process.poll() is None, self.text()
            if found := _LISTENING.search(self.text()):
                self.port = int(found[1])
            time.sleep(0.05)

    def status(self, path: str) -> int | None:
        """The status of a GET, or nothing where nobody answers."""
        try:
            return self.call("GET", path).status
        except OSError:
            return None

    def call(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def post(self, path: str = TO_FHIR, body: bytes = CASE, content_type: str = JSON, **headers: str) -> Answer:
        """A document to convert."""
        return self.call("POST", path, body, Content_Type=content_type, **headers)

    def raw(self, data: bytes, seconds: float = 30.0) -> bytes:
        """The bytes that come back for these bytes, until the server closes."""
        import socket

        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            connection.sendall(data)
            found = b""
            while part := connection.recv(65536):
                found += part
            return found

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of this name that have these labels."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        lines = self.call("GET", "/metrics").body.decode().splitlines()
        fits = (line for line in lines if re.match(rf"{name}[ {{]", line) and all(want in line for want in wanted))
        return sum(float(line.rpartition(" ")[2]) for line in fits)

    def workers(self) -> list[int]:
        """The processes of the workers."""
        return [
            int(pid) for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        ]

    def text(self) -> str:
        """The log."""
        return self.log.read_text(encoding="utf-8")

    def lines(self, event: str = "") -> list[dict[str, Any]]:
        """The lines of the log; every one is JSON."""
        found = [json.loads(line) for line in self.text().splitlines()]
        return [line for line in found if event in ("", line["event"])]

    def stop(self, how: int = signal.SIGTERM, seconds: float = 60.0) -> int:
        """Stop it, and give its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(seconds)


class Answer:
    """Status, headers and body of an answer."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def codes(self) -> list[str]:
        """The issue codes of an OperationOutcome."""
        assert self.headers["Content-Type"] == "application/fhir+json; charset=utf-8", self.headers
        return [issue["details"]["coding"][0]["code"] for issue in json.loads(self.body)["issue"]]


def environment(**settings: Any) -> dict[str, str]:
    """This process's variables without settings of the tests, with these; workers=1 and a free port if not said."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("FHIR_ADAPTER_")}
    given = {"port": 0, "workers": 1, **settings}
    return plain | {f"FHIR_ADAPTER_{name.upper()}": str(value) for name, value in given.items()}


@contextmanager
def serving(folder: Path, *, main: str = _MAIN, log_to: str = "", **settings: Any) -> Iterator[Served]:
    """A server with these settings; its log is in the folder, unless it goes elsewhere."""
    log = folder / f"log-{time.monotonic_ns()}"
    log.touch()
    environ = environment(**settings) | {"TMPDIR": str(folder)}
    with open(log_to or log, "ab") as stream:
        command = [sys.executable, "-c", main, "serve"]
        process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=stream)
    served = Served(process, log)
    try:
        if log_to:
            served.port = int(settings["port"])
        served.wait()
        yield served
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def together(count: int, work: Any) -> list[Any]:
    """What ``work(number)`` gives for each number, all at once; an OSError is a result."""
    found: list[Any] = [None] * count

    def one(number: int) -> None:
        try:
            found[number] = work(number)
        except (OSError, http.client.HTTPException) as error:
            found[number] = error

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found
