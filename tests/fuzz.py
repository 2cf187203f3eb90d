"""Raw requests that no client would send, against the real server: ``python -m tests.fuzz [HOW MANY]`` (make fuzz).

Truncated, bits turned, values swapped, deep, huge, gzip bombs, tricks in headers. No answer may be 5xx other than
503, no worker may die, no memory may grow; whatever the endpoint refuses is an OperationOutcome.
"""

from __future__ import annotations

import gzip
import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path
from typing import Any

from mappings import encode, load_case, to_fhir
from tests.served import ROOT, Server
from tests.serving import serving

CASES = [(ROOT / "examples" / name / "case.json").read_bytes() for name in ("minimal", "minimal", "synthetic-course")]
DOCUMENTS = [("$to-fhir", raw) for raw in CASES] + [
    (operation, encode(to_fhir(load_case(raw)))) for raw in CASES for operation in ("$to-case", "$validate")
]
#: What a worker may hold in the end: what it starts with, and twice the largest body, unpacked.
MOST_MIB = 200
BOMB = gzip.compress(b" " * 200_000_000)
HUGE = b'{"resourceType":"Bundle","entry":[' + b"0," * 2_000_000 + b"0]}"
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 10**30, 1.5, "", "x", "\0", "\u202e", "Patient/1", [], [[]], {}, {"a": 1}, [None], "2024-02-30",
)  # fmt: skip
HEADERS = (
    b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: 99999999999999999999", b"Content-Length: 1e3",
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: x", b" folded: 1",
    b"Content-Encoding: gzip", b"Content-Encoding: gzip, identity", b"Content-Encoding: \xff", b"Expect: 100-continue",
    b"Accept: */*;q=x", b"Accept: " + b"a/b," * 500, b"Accept-Encoding: gzip;q=9", b"Accept-Encoding: *;q=0",
    b"Prefer: return=\"", b"Prefer: " + b"return," * 500, b"If-None-Match: \"", b"Range: bytes=0-1", b"Host: ",
    b"X-Request-Id: \x01\xfe" + b"x" * 5000, b"Content-Type: multipart/form-data; boundary=\"", b"Content-Type: ;;=",
    b"Content-Type: application/json; charset=\xff", b"Upgrade: h2c", b"Cookie: =;", b"X: " + b"y" * 9000, b"no colon",
)  # fmt: skip
TARGETS = (
    b"//fhir/$to-fhir", b"/fhir/../fhir/$validate", b"/fhir/%24to-fhir", b"/fhir/$to-case?%", b"/fhir/$to-case?a=%ff",
    b"/fhir/$to-fhir?" + b"a=1&" * 2000, b"*", b"http://localhost/fhir/$validate", b"/\xff", b"/fhir/CodeSystem/%00",
    b"/page/..%2f..%2fsettings.py", b"/fhir/$to-fhir?now=%00", b"/fhir/$to-fhir?subject=" + b"Patient/" * 1000,
)  # fmt: skip


def _request(path: bytes, body: bytes, *more: bytes, method: bytes = b"POST", length: int | None = None) -> bytes:
    said = b"Content-Length: %d" % (len(body) if length is None else length)
    kind = b"Content-Type: application/json"
    head = [method + b" " + path + b" HTTP/1.1", b"Host: localhost", b"Connection: close", kind, said, *more]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def _turned(raw: bytes, rng: random.Random) -> bytes:
    found = bytearray(raw)
    for _ in range(rng.randint(1, 8)):
        found[rng.randrange(len(found))] ^= 1 << rng.randrange(8)
    return bytes(found)


def _swapped(raw: bytes, rng: random.Random) -> bytes:
    """The document with some of its values replaced or gone."""
    document = json.loads(raw)
    for _ in range(rng.randint(1, 4)):
        node = document
        while True:
            steps = list(node) if isinstance(node, dict) else range(len(node))
            if not steps:
                break
            step = rng.choice(list(steps))
            if isinstance(node[step], dict | list) and node[step] and rng.random() < 0.8:
                node = node[step]
                continue
            if rng.random() < 0.2:
                del node[step]
            else:
                node[step] = deepcopy(rng.choice(VALUES))
            break
    return json.dumps(document).encode()


def _raw(rng: random.Random) -> tuple[str, bytes]:
    """A kind of request, and one of it."""
    operation, body = rng.choice(DOCUMENTS)
    path = b"/fhir/" + operation.encode()
    whole = _request(path, body)
    kinds: dict[str, tuple[float, Callable[[], bytes]]] = {
        "whole": (5, lambda: whole),
        "truncated": (20, lambda: whole[: rng.randrange(len(whole))]),
        "shorter": (5, lambda: _request(path, body[: rng.randrange(len(body))], length=len(body))),
        "bits in the body": (20, lambda: _request(path, _turned(body, rng))),
        "bits in the head": (10, lambda: _turned(whole[:150], rng) + whole[150:]),
        "values": (40, lambda: _request(path, _swapped(body, rng))),
        "deep": (2, lambda: _request(path, rng.choice((b"[", b'{"a":')) * rng.choice((63, 65, 1000, 100_000)))),
        "numbers": (2, lambda: _request(path, b'{"a":' + rng.choice((b"1e999999999", b"9" * 9999, b"NaN")) + b"}")),
        "packed": (5, lambda: _request(path, _turned(gzip.compress(body), rng), b"Content-Encoding: gzip")),
        "bomb": (0.05, lambda: _request(path, BOMB, b"Content-Encoding: gzip")),
        "huge": (0.05, lambda: _request(path, rng.choice((HUGE, b" " * 11_000_000)))),
        "headers": (15, lambda: _request(path, body, *rng.sample(HEADERS, rng.randint(1, 3)))),
        "targets": (5, lambda: _request(rng.choice(TARGETS), body, method=rng.choice((b"POST", b"GET", b"BREW")))),
    }
    kind = rng.choices(list(kinds), [weight for weight, _ in kinds.values()])[0]
    return kind, kinds[kind][1]()


def _fault(raw: bytes) -> str:
    """What is wrong with an answer; none at all is right for what is no HTTP."""
    head, _, body = raw.partition(b"\r\n\r\n")
    status = int(head[9:12]) if re.match(rb"HTTP/1\.\d ", head) else 0 if not raw else 999  # gunicorn echoes HTTP/1.3
    ours = b"\r\nX-Request-Id: " in head
    if status >= 500 and status != 503 and (ours or status != 501):  # 501: gunicorn, of a transfer coding it has not
        return f"status {status}"
    plain = ours and b"\r\nContent-Encoding: gzip" not in head
    return "no OperationOutcome" if plain and status >= 400 and b'"OperationOutcome"' not in body[:40] else ""


def _memory(server: Server) -> dict[int, int]:
    """MiB of each worker."""
    found = {}
    for pid in server.workers():
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        found[pid] = pages * 4096 // 2**20
    return found


def main(count: int) -> int:
    """Send so many, and say what came of it; gives the exit status."""
    faults: list[str] = []
    sent: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder), workers=2) as server:

        def one(seed: int) -> None:
            kind, raw = _raw(random.Random(seed))
            sent[kind] += 1
            if fault := _fault(server.send(raw, shut=kind in ("truncated", "shorter", "bits in the head", "headers"))):
                faults.append(f"request {seed} ({kind}): {fault}")

        memory, start, part = [], time.monotonic(), max(count // 10, 1)
        for first in range(0, count, part):
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(one, range(first, min(first + part, count))))
            memory.append(_memory(server))
            rate = sum(sent.values()) / (time.monotonic() - start)
            print(
                f"{sum(sent.values())} requests, {rate:.0f} a second, {len(faults)} faults, MiB {memory[-1]}",
                flush=True,
            )
        log = server.log.read_text(encoding="utf-8", errors="replace")
    print(dict(sent))
    if memory[0].keys() != memory[-1].keys():
        faults.append("a worker died")
    if any(mib > MOST_MIB for mib in memory[-1].values()):
        faults.append("memory grows")
    faults += [line for line in log.splitlines() if '"bug ' in line][:20]
    print("\n".join(faults[:50]) or "no fault")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
