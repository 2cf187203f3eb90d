"""What the endpoint costs over HTTP, beside the least that could be done, and how it bears overload: `make bench-http`.

The least: a bare Flask application on the same gunicorn, with as many workers and threads, which decodes the same case
and encodes a Bundle that is ready, with the same codec. Ratios of medians, in turn, in one run; nothing is asserted
but that overload ends in answers. `rows` belongs to `make bench`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

from flask import Flask, Response, request

from adapter.verify import LEVELS
from mappings import decode, encode, load_case, to_fhir
from tests.bench.table import Row
from tests.goldens import case_bytes
from tests.ports import free_port
from tests.served import ROOT, Server
from tests.serving import serving, together

ROUNDS = int(os.environ.get("FHIR_ADAPTER_ROUNDS", "60"))
CASE = case_bytes("published-case")
TO_FHIR = "/fhir/$to-fhir"


def bare() -> Flask:
    """The least that an endpoint could do with the case."""
    app, bundle = Flask(__name__), to_fhir(load_case(CASE))

    @app.post(TO_FHIR)
    def answer() -> Response:
        decode(request.get_data())
        return Response(encode(bundle), content_type="application/fhir+json; charset=utf-8")

    return app


@contextmanager
def serving_bare(folder: Path) -> Iterator[Server]:
    """It, on one worker of gunicorn with as many threads as the endpoint's."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "-b", f"127.0.0.1:{port}", "-k", "gthread", "--threads", "32"]
    command += ["--preload", "--no-control-socket", "tests.bench.http:bare()"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=(folder / "bare.log").open("wb"))
    server = Server(port, process.pid, folder / "bare.log")
    try:
        for _ in range(300):
            try:
                server.post(TO_FHIR, CASE)
                break
            except OSError:
                time.sleep(0.1)
        yield server
    finally:
        process.terminate()
        process.wait(30)


def worked(server: Server) -> float:
    """The seconds that the threads of the workers have had a processor."""
    threads = (path for pid in server.workers() for path in Path(f"/proc/{pid}/task").iterdir())
    return sum(int((path / "schedstat").read_text().split()[0]) for path in threads) / 1e9


def seconds(server: Server, query: str = "") -> tuple[float, float]:
    """How long one conversion takes, as its caller sees it, and as the processor does."""
    begun, before = time.perf_counter(), worked(server)
    assert server.post(f"{TO_FHIR}{query}", CASE).status == 200
    return time.perf_counter() - begun, worked(server) - before


def rows() -> list[Row]:
    """One caller at a time: how many conversions a second, of those that the bare endpoint answers."""
    with (
        tempfile.TemporaryDirectory() as name,
        serving_bare(Path(name)) as least,
        serving(Path(name), workers=1) as served,
    ):
        found = measured({"bare": (least, ""), **{v: (served, f"?verify={v}") for v in LEVELS}})
    waited = {name: pair[0] for name, pair in found.items()}
    note = "; ".join(f"{name} {one * 1000:.1f} ms, worked {two * 1000:.1f}" for name, (one, two) in found.items())
    goals = {"all": 0.10, "off": 0.33}
    return [
        Row(
            f"HTTP throughput, verify={v}, of a bare endpoint", waited["bare"] / waited[v], goals.get(v), "higher", note
        )
        for v in LEVELS
    ]


def measured(servers: dict[str, tuple[Server, str]]) -> dict[str, tuple[float, float]]:
    """The medians of what a caller waits and what the processor works, the servers in turn."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in servers}
    for turn in range(ROUNDS + 3):
        for name, (server, query) in servers.items():
            taken = seconds(server, query)
            if turn >= 3:
                times[name].append(taken)
    return {name: (median(a for a, _ in found), median(b for _, b in found)) for name, found in times.items()}


def overload(folder: Path) -> None:
    """64 callers who send again and again, as engines do: 429 means later."""
    with serving(folder, workers=2, queue=8) as served:
        before = median(seconds(served)[0] for _ in range(10))
        begun = time.perf_counter()

        def caller(_: int) -> tuple[Counter[int], list[float]]:
            statuses: Counter[int] = Counter()
            waits = []
            while time.perf_counter() - begun < 20:
                at = time.perf_counter()
                answer = served.post(TO_FHIR, CASE)
                statuses[answer.status] += 1
                waits.append(time.perf_counter() - at)
                if answer.status == 429:
                    time.sleep(int(answer.headers["Retry-After"]) / 4)
            return statuses, waits

        found = together(64, caller)
        lasted = time.perf_counter() - begun
        statuses = sum((one[0] for one in found), Counter())
        waits = quantiles([wait for one in found for wait in one[1]], n=100)
        after = median(seconds(served)[0] for _ in range(10))
        print(f"64 callers, {lasted:.0f} s, 2 workers with 8 places each: answers by status {dict(statuses)}")
        print(f"  {statuses[200] / lasted:.1f} conversions a second; waits: {waits[49]:.2f} s, 99 % {waits[98]:.2f} s")
        print(f"  one caller before {before * 1000:.1f} ms, afterwards {after * 1000:.1f} ms")
        assert set(statuses) == {200, 429}


if __name__ == "__main__":
    print("\n".join(row.line() for row in rows()))
    with tempfile.TemporaryDirectory() as name:
        overload(Path(name))
