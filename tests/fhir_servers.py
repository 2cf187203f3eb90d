"""FHIR servers for the tests: a fake that keeps every digit and can be twisted, and sekmet-fhir as a process."""

from __future__ import annotations

import contextlib
import re
import signal
import sqlite3
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

from adapter.fetching import TYPES
from mappings import decode, encode
from tests.listening import Listening
from tests.ports import free_port

Json = Any
FHIR = "application/fhir+json"


class Asked(NamedTuple):
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: Json


class Reply(NamedTuple):
    """An answer; without a body nothing is answered and the connection is closed."""

    status: int
    body: Json = None
    headers: dict[str, str] = {}  # noqa: RUF012
    raw: bytes | None = None


def outcome(*texts: str) -> Json:
    """An OperationOutcome whose texts and one of whose paths quote the patient, as servers do."""
    issues = [
        {
            "severity": "error",
            "code": "invalid",
            "diagnostics": text,
            "details": {"text": text, "coding": [{"code": "MSG_BAD"}]},
            "expression": ["Bundle.entry[0].resource.status"],
        }
        for text in texts
    ]
    return {"resourceType": "OperationOutcome", "issue": issues}


class Fake:
    """A FHIR server on a free port that keeps what it is given, digit for digit.

    ``twist`` sees each request first; what it returns is answered instead. ``states`` changes the
    CapabilityStatement, ``pages`` is how many entries a page has, ``everything`` whether there is
    `$everything`. `asked` holds the requests, `kept` the resources by Type/id.
    """

    def __init__(
        self,
        twist: Callable[[Asked], Reply | None] = lambda asked: None,
        states: Callable[[Json], None] = lambda capability: None,
        pages: int = 50,
        everything: bool = True,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.twist, self.states, self.pages, self.everything = twist, states, pages, everything
        self.asked: list[Asked] = []
        self.kept: dict[str, Json] = {}
        self.writes = 0
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                """Stay quiet."""

            def do_GET(self) -> None:
                """Answer a read."""
                fake._handle(self, None)

            def do_POST(self) -> None:
                """Answer a Bundle."""
                fake._handle(self, decode(self.rfile.read(int(self.headers["Content-Length"]))))

        self._http = Listening(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        self.base = f"http{'s' * (tls is not None)}://127.0.0.1:{self._http.server_address[1]}/fhir"

    def __enter__(self) -> Fake:
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    @property
    def posts(self) -> list[Asked]:
        """The transactions that came."""
        return [asked for asked in self.asked if asked.method == "POST" and asked.body["type"] == "transaction"]

    def _handle(self, http: BaseHTTPRequestHandler, body: Json) -> None:
        asked = Asked(http.command, http.path.removeprefix("/fhir").lstrip("/"), dict(http.headers), body)
        self.asked.append(asked)
        reply = self.twist(asked) or self.answer(asked)
        if reply.body is None and reply.raw is None:
            http.connection.close()
            return
        raw = reply.raw if reply.raw is not None else encode(reply.body)
        with contextlib.suppress(OSError):
            http.send_response(reply.status)
            for name, value in ({"Content-Type": FHIR, "Content-Length": str(len(raw))} | reply.headers).items():
                http.send_header(name, value)
            http.end_headers()
            http.wfile.write(raw)

    def answer(self, asked: Asked) -> Reply:
        """What a server answers that does what it states."""
        if asked.method == "POST":
            return Reply(200, self._bundle(asked.body))
        if asked.path == "metadata":
            return Reply(200, self._capability())
        found = self._get(asked.path)
        return Reply(200, found) if found is not None else Reply(404, outcome("not here"))

    def _capability(self) -> Json:
        can = {"updateCreate": True, "conditionalUpdate": True, "conditionalCreate": True}
        resources: list[Json] = [{"type": type_, **can} for type_ in TYPES]
        if self.everything:
            next(r for r in resources if r["type"] == "Patient")["operation"] = [{"name": "everything"}]
        rest = {"mode": "server", "interaction": [{"code": "transaction"}], "resource": resources}
        head = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "format": ["json"], "rest": [rest]}
        self.states(head)
        return head

    def _bundle(self, bundle: Json) -> Json:
        entries = bundle["entry"]
        if bundle["type"] == "batch":
            found = [self._get(entry["request"]["url"]) for entry in entries]
            told = [
                {"resource": f, "response": {"status": "200"}} if f else {"response": {"status": "404"}} for f in found
            ]
            return {"resourceType": "Bundle", "type": "batch-response", "entry": told}
        places = {entry["fullUrl"]: self._place(entry["request"], entry["resource"]) for entry in entries}
        answers = []
        for entry in entries:
            place = places[entry["fullUrl"]]
            status = "200 OK" if place in self.kept else "201 Created"
            text = re.sub(
                r"urn:uuid:[0-9a-f-]{36}", lambda m: places.get(m[0], m[0]), encode(entry["resource"]).decode()
            )
            self.writes += 1
            self.kept[place] = {**decode(text), "id": place.split("/")[1], "meta": self._meta(entry["resource"])}
            answers.append({"response": {"status": status, "location": f"{self.base}/{place}/_history/{self.writes}"}})
        return {"resourceType": "Bundle", "type": "transaction-response", "entry": answers}

    def _meta(self, resource: Json) -> Json:
        return {**resource.get("meta", {}), "versionId": str(self.writes), "lastUpdated": "2024-07-15T10:00:00Z"}

    def _place(self, request: Json, resource: Json) -> str:
        url, type_ = request["url"], resource["resourceType"]
        if "/" in url.partition("?")[0]:
            return str(url)
        query = url.partition("?")[2] or request.get("ifNoneExist", "")
        found = self._search(type_, query) if query else []
        return f"{type_}/{found[0]['id'] if found else f'n{self.writes}-{len(self.asked)}-{hash(encode(resource))}'}"

    def _get(self, path: str) -> Json:
        parts = urlsplit(path)
        if parts.path == "Patient" or "?" in path or parts.path.endswith("$everything"):
            first = int(parse_qs(parts.query).get("_from", ["0"])[0])
            patient = parts.path.removesuffix("/$everything")
            is_all = patient != parts.path
            found = (
                self._about(patient)
                if is_all
                else self._search(parts.path, re.sub("&?_(from|count)=[0-9]+", "", parts.query))
            )
            page = found[first : first + self.pages]
            entries = [{"fullUrl": f"{self.base}/{r['resourceType']}/{r['id']}", "resource": r} for r in page]
            more = f"{parts.path}?{re.sub('&?_from=[0-9]+', '', parts.query)}&_from={first + self.pages}"
            links = [{"relation": "next", "url": more}] if first + self.pages < len(found) else []
            return {"resourceType": "Bundle", "type": "searchset", "entry": entries, "link": links}
        return self.kept.get(path)

    def _about(self, place: str) -> list[Json]:
        own = self.kept.get(place)
        return [*([own] if own else []), *(r for r in self.kept.values() if self._refers(r, place))]

    @staticmethod
    def _refers(resource: Json, place: str) -> bool:
        return f'"reference":"{place}"'.encode() in encode(resource)

    def _search(self, type_: str, query: str) -> list[Json]:
        ((name, values),) = parse_qs(query).items()
        of_type = [r for r in self.kept.values() if r["resourceType"] == type_]
        if name == "identifier":
            system, _, value = values[0].partition("|")
            return [
                r
                for r in of_type
                if any((i.get("system"), i.get("value")) == (system, value) for i in r.get("identifier", ()))
            ]
        return [r for r in of_type if self._refers(r, values[0])]


# --- sekmet-fhir --------------------------------------------------------------------------------


class Sekmet:
    """sekmet-fhir, a FHIR R4 server on SQLite, as a process of its own; what it stored outlives it."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.base = f"http://127.0.0.1:{port}/fhir"
        self._settings, self._store = folder / "settings.yaml", folder / "db"
        lines = (f"base_url: {self.base}", "host: 127.0.0.1", f"port: {port}", f"db_path: {self._store}")
        self._settings.write_text("\n".join([*lines, "simulator: {enabled: false}", "log_inbound: false"]))
        self._log = folder / "log"

    def start(self) -> None:
        """Run it until it answers."""
        command = [sys.executable, "-c", "from sekmet.cli import app; app()", "serve", "--config", str(self._settings)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._settings.parent)
        until = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError):
                urlopen(f"{self.base}/metadata", timeout=5).close()
                return
            if self._process.poll() is not None or time.monotonic() > until:
                raise AssertionError(self._log.read_text())
            time.sleep(0.1)

    def kill(self) -> None:
        """End it at once, as a power cut does."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def kill_in_transaction(self) -> None:
        """End it as soon as it holds its store for writing."""
        store = sqlite3.connect(self._store, timeout=0, isolation_level=None)
        with contextlib.closing(store), contextlib.suppress(sqlite3.OperationalError):
            while self._process.poll() is None:
                store.execute("BEGIN IMMEDIATE")
                store.execute("ROLLBACK")
                time.sleep(0.002)
        self.kill()


@contextlib.contextmanager
def sekmet(folder: Path) -> Iterator[Sekmet]:
    """A running server with an empty store."""
    server = Sekmet(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()
