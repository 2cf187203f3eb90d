"""Canaries: no value of a document, and of a request no more than its ids, gets into a log, a metric, another's answer.

Each kind of leaf of a case and of a Bundle becomes a value of its own, alone and with others, by every route and into
every failure. Afterwards the log, the metrics and the answers to somebody else are searched for all of them.
"""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from adapter.keys import new_key
from mappings import encode, load_case, to_fhir
from tests.goldens import case_bytes
from tests.serving import Served, serving

pytestmark = pytest.mark.xdist_group("server")
FHIR, JSON = "application/fhir+json", "application/json"
TO_FHIR, TO_CASE, VALIDATE = "/fhir/$to-fhir", "/fhir/$to-case", "/fhir/$validate"
CASE = case_bytes("synthetic-course")
BUNDLE = encode(to_fhir(load_case(CASE)))
WORD = "Kanarie"
#: Every so manieth kind of leaf; `FHIR_ADAPTER_CANARIES=1` takes all.
EVERY = int(os.environ.get("FHIR_ADAPTER_CANARIES", "15"))
#: A canary wherever it stands: as a word, as a number, or as what is left of a word.
FOUND = re.compile(rb"(?i)kanarie|7319\d{6}7|2931-0\d-\d\d")


def leaves(json: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every leaf with the way to it."""
    if isinstance(json, dict | list):
        for step, value in json.items() if isinstance(json, dict) else enumerate(json):
            yield from leaves(value, (*path, step))
    else:
        yield path, json


def canary(number: int, old: Any) -> Any:
    """A value that is in no document but this, of the type of the old one."""
    if isinstance(old, bool) or old is None or isinstance(old, str):
        dated = isinstance(old, str) and re.fullmatch(r"\d{4}-\d\d-\d\d.*", old)
        return "2931" + old[4:5] + "0" + old[6:] if dated else f"{WORD} {number:06d} Vögel"
    return 73190000007 + 10 * number


def put(document: Any, path: tuple[Any, ...], value: Any) -> None:
    """Another value there."""
    for step in path[:-1]:
        document = document[step]
    document[path[-1]] = value


def changed(document: Any, path: tuple[Any, ...], value: Any) -> bytes:
    """The document with another value there."""
    copy = deepcopy(document)
    put(copy, path, value)
    return json.dumps(copy).encode()


def documents(raw: bytes, every: int) -> Iterator[bytes]:
    """Each distinct kind of leaf with a canary, then all texts at once, then an unknown name, then broken text."""
    document = json.loads(raw)
    kinds = {tuple("*" if isinstance(step, int) else step for step in path): path for path, _ in leaves(document)}
    values = dict(leaves(document))
    for number, path in list(enumerate(kinds.values()))[::every]:
        yield changed(document, path, canary(number, values[path]))
    everywhere = deepcopy(document)
    for number, (path, old) in list(enumerate(values.items()))[::7]:
        put(everywhere, path, canary(number, old))
    yield json.dumps(everywhere).encode()
    yield changed(document, (f"{WORD}name",), f"{WORD}value")
    yield raw[:-20] + f'"{WORD}'.encode()
    yield f'{{"{WORD}": "{WORD}", "{WORD}": "{WORD}"}}'.encode()
    yield f'{{"x": NaN, "y": "{WORD}"}}'.encode()
    yield WORD.encode() + b"\xff"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, str]]:
    """One worker, so that whatever it might keep would come out; and a key for it."""
    folder = tmp_path_factory.mktemp("canaries")
    key, line = new_key("lab-engine")
    (folder / "keys").touch(0o600)
    (folder / "keys").write_text(line)
    with serving(folder, keys_file=folder / "keys", idle=1) as served:
        yield served, f"Bearer {key}"


QUERIES = (f"subject=Patient/{WORD}", f"now={WORD}", f"type={WORD}", f"{WORD}={WORD}", f"patient={WORD}", "strict=true")
HEADERS: tuple[dict[str, str], ...] = (
    {"Accept": f"application/{WORD}"},
    {"Content_Type": f"text/{WORD}"},
    {"Content_Encoding": WORD},
    {"Prefer": f"return={WORD}"},
    {"User_Agent": WORD, "Referer": f"https://{WORD}.example", "X_Forwarded_For": WORD, "Cookie": WORD},
    {"Authorization": f"Bearer {WORD}"},
    {"Authorization": f"Bearer fak_{WORD:A<43}"},
    {"Host": f"{WORD}.example"},
)


def test_canaries_come_back_to_nobody(server: tuple[Served, str]) -> None:
    """Error answers quote no value to their own sender either; what others get is what they would have got before."""
    served, key = server
    clean = served.post(TO_FHIR, CASE, Authorization=key).body
    told: list[tuple[int, bytes]] = []

    def send(path: str, body: bytes, content_type: str, **headers: str) -> None:
        answer = served.post(path, body, **{"content_type": content_type, "Authorization": key, **headers})  # type: ignore[arg-type]
        told.append((answer.status, answer.body))

    for raw, path, kind in ((CASE, TO_FHIR, JSON), (BUNDLE, TO_CASE, FHIR)):
        for body in documents(raw, EVERY):
            send(path, body, kind)
        for body in documents(raw, 8 * EVERY):
            send(VALIDATE, body, kind)
        for query in QUERIES:
            send(f"{path}?{query}", raw, kind)
            send(f"{path}?{quote(query, safe='=')}", raw, kind)
        for headers in HEADERS:
            send(
                path,
                raw,
                headers.get("Content_Type", kind),
                **{n: v for n, v in headers.items() if n != "Content_Type"},
            )
        send(path, gzip.compress(raw)[:-9] + WORD.encode(), kind, Content_Encoding="gzip")
        send(f"/{WORD}", raw, kind)
    for sent in (
        f"{WORD} / {WORD}",
        f"GET /{WORD} HTTP/9",
        f"GET /{WORD}{WORD * 1000} HTTP/1.1",
        f"GET /x HTTP/1.1\r\n{WORD}",
    ):
        told.append((400, served.send(sent.encode() + b"\r\nConnection: close\r\n\r\n", shut=False)))
    head = f"POST {VALIDATE} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {key}\r\nConnection: close\r\n"
    chunked = f"{head}Transfer-Encoding: chunked\r\n\r\n{WORD}\r\n"
    told.append((400, served.send(chunked.encode(), shut=False)))

    assert {status for status, _ in told} >= {200, 400, 401, 404, 406, 415, 421, 422}
    assert 500 not in {status for status, _ in told}
    assert [body for status, body in told if status >= 400 and FOUND.search(_without_names(body))] == []
    assert served.post(TO_FHIR, CASE, Authorization=key).body == clean
    assert not FOUND.search(served.get("/metrics", Authorization=key).body)
    assert not FOUND.search(served.get("/fhir/metadata").body)
    log = served.log.read_bytes()
    assert log.count(b'"event": "request"') >= len(told)
    assert not FOUND.search(log)
    assert key.split()[1].encode() not in log


def _without_names(body: bytes) -> bytes:
    """An answer without the sender's own names of members and parameters."""
    outcome = json.loads(body.partition(b"\r\n\r\n")[2] if body.startswith(b"HTTP/") else body)
    assert outcome["resourceType"] == "OperationOutcome"
    for issue in outcome["issue"]:
        issue.pop("expression", None)
        said = issue["diagnostics"].partition(" Pointer: ")[0]
        issue["diagnostics"] = re.sub(r"(names a member twice: |The query parameter )\S*", r"\1", said)
    return json.dumps(outcome).encode()


def test_nothing_is_written_but_the_counts(server: tuple[Served, str], tmp_path: Path) -> None:
    """After all that, the only files of the service are its metrics, and they hold no canary."""
    served, _ = server
    written = [path for path in served.log.parent.rglob("*") if path.is_file() and path not in (served.log,)]
    assert {path.suffix for path in written if path.name != "keys"} == {".db"}
    assert not any(FOUND.search(path.read_bytes()) for path in written)
