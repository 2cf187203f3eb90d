"""The endpoint under gunicorn, over real sockets: its answers where Flask sees no request, its logs, its faults."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from adapter.cli import main
from adapter.cli import serve as cli_serve
from adapter.r4 import check
from adapter.service import create_app, ready
from adapter.service.logs import Handler
from mappings import __version__, encode, load_case, to_fhir
from tests.goldens import case_bytes
from tests.ports import free_port
from tests.serving import Served, environment, serving, together

pytestmark = pytest.mark.xdist_group("server")
FHIR, TO_FHIR, TO_CASE = "application/fhir+json", "/fhir/$to-fhir", "/fhir/$to-case"
CASE = case_bytes("synthetic-course")
BUNDLE = encode(to_fhir(load_case(CASE)))
LARGE = case_bytes("published-case")
#: Some work for a worker: about 0.1 s.
WORK = {"path": TO_FHIR, "body": LARGE}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Two workers with the default settings."""
    with serving(tmp_path_factory.mktemp("server"), workers=2, idle=1) as served:
        yield served


# --- starting -----------------------------------------------------------------------------------


def test_what_is_unsafe_does_not_start() -> None:
    """Another address without credentials: exit status 2, a line that says what to do, and no socket."""
    command = [sys.executable, "-m", "adapter", "serve"]
    ended = subprocess.run(command, env=environment(host="0.0.0.0"), capture_output=True, timeout=30, check=False)
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert ended.stderr.startswith(b"error: host: ")
    assert b"fhir-adapter keys new" in ended.stderr


def test_without_the_extra_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a traceback."""
    monkeypatch.setattr(cli_serve, "find_spec", lambda name: None if name == "gunicorn" else object())
    ended = CliRunner().invoke(main, ["serve"])
    assert (ended.exit_code, "gunicorn missing" in ended.stderr, "[server]" in ended.stderr) == (1, True, True)


def test_ready_means_that_a_conversion_works(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """200 after a case was to FHIR and back; 503 with Retry-After as long as that fails, and then 200 again."""
    assert server.ready()
    ready.prove.cache_clear()
    client = create_app().test_client()
    with monkeypatch.context() as broken:
        broken.setattr(ready, "to_fhir", lambda case: {"resourceType": "Bundle", "type": "collection", "entry": []})
        answer = client.get("/readyz")
        assert (answer.status_code, answer.headers["Retry-After"], answer.headers["X-Retry"]) == (503, "5", "later")
        assert json.loads(answer.data)["issue"][0]["code"] == "transient"
        assert client.get("/livez").status_code == 200
    assert client.get("/readyz").status_code == 200


def test_every_worker_gives_the_same_bytes(server: Served) -> None:
    """The library's own, with the same headers, whoever answers."""
    found = together(12, lambda _: server.post(TO_FHIR, CASE))
    assert {answer.status for answer in found} == {200}
    assert {answer.body for answer in found} == {BUNDLE}
    assert len({answer.headers["ETag"] for answer in found}) == 1
    assert {answer.status for answer in together(12, lambda _: server.post(TO_CASE, BUNDLE, FHIR))} == {200}
    wanted = set(server.workers())
    assert len(wanted) == 2


# --- what gunicorn refuses ----------------------------------------------------------------------

_POST = b"POST /fhir/$validate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
RAW: list[tuple[str, bytes, int]] = [
    ("no http", b"nonsense\r\n\r\n", 400),
    ("request line too long", b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
    ("header too long", b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 431),
    ("headers too many", b"GET /livez HTTP/1.1\r\nHost: localhost\r\n" + b"X: a\r\n" * 70 + b"\r\n", 431),
    ("space before colon", b"GET /livez HTTP/1.1\r\nHost : localhost\r\n\r\n", 400),
    ("folded header", b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n", 400),
    ("lower-case method", b"get /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    ("http 3", b"GET /livez HTTP/3.0\r\nHost: localhost\r\n\r\n", 400),
    ("two lengths", _POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400),
    ("length and chunks", _POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("other coding", _POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 400),
    ("unknown coding", _POST + b"Transfer-Encoding: nonsense\r\n\r\n0\r\n\r\n", 400),
    ("chunk size", _POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", 400),
    ("chunk end", _POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}XX0\r\n\r\n", 400),
    ("expectation", _POST + b"Expect: 200-miracle\r\nContent-Length: 2\r\n\r\n{}", 417),
    ("no host", b"GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
    ("two hosts", b"GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400),
    ("body too slow", _POST + b"Content-Length: 20\r\n\r\n{", 408),
]


@pytest.mark.parametrize(("sent", "status"), [row[1:] for row in RAW], ids=[row[0] for row in RAW])
def test_what_is_no_request_is_an_operation_outcome_too(server: Served, sent: bytes, status: int) -> None:
    """Never 5xx, for it would fail again; one line in the log, in which nothing of it stands."""
    before = len(server.lines("request"))
    head, _, body = server.send(sent, shut=False).partition(b"\r\n\r\n")
    lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    assert head.startswith(b"HTTP/1.1 %d " % status), head
    assert lines[b"content-type"] == b"application/fhir+json; charset=utf-8"
    assert (len(lines[b"x-request-id"]), int(lines[b"content-length"])) == (36, len(body))
    assert lines[b"x-retry"] == (b"later" if status == 408 else lines[b"x-retry"])
    assert [issue for issue in check(json.loads(body)) if issue.level == "error"] == []
    logged = server.lines("request")[before:]
    assert [line["status"] for line in logged] == [status]
    assert logged[0]["request_id"] == lines[b"x-request-id"].decode()


@pytest.mark.parametrize(
    ("begins", "goes_on", "ends"),
    [(_POST + b"Content-Length: 1000\r\n\r\n", b" ", b"HTTP/1.1 408 "), (_POST + b"X: ", b"a", b"")],
    ids=["body", "head"],
)
def test_a_request_that_drips_is_dropped(server: Served, begins: bytes, goes_on: bytes, ends: bytes) -> None:
    """However steadily it comes: the whole of it has its time, and then there is an answer, or none to half a head."""
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(begins)
        connection.settimeout(0.2)
        answer = None
        for _ in range(100):  # 20 s; it may last 3
            try:
                answer = connection.recv(65536)
                break
            except TimeoutError:
                connection.sendall(goes_on)
            except ConnectionError:
                answer = b""
                break
    assert answer is not None
    assert answer.startswith(ends)
    assert bool(answer) == bool(ends)


def test_a_caller_who_says_nothing_holds_up_nobody(server: Served) -> None:
    """More silent connections than threads, half a request each: others are answered while these are dropped."""
    silent = []
    for number in range(100):
        connection = socket.create_connection(("127.0.0.1", server.port))
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: loc"[: number % 30])
        silent.append(connection)
    begun = time.monotonic()
    assert server.post(TO_FHIR, CASE).status == 200
    assert time.monotonic() - begun < 15
    for connection in silent:
        connection.close()


# --- what is observed ---------------------------------------------------------------------------

FIELDS = {
    "time", "level", "event", "request_id", "correlation_id", "caller", "operation", "status", "seconds",
    "bytes_in", "bytes_out", "issues",
}  # fmt: skip


def test_one_line_a_request_with_these_fields_and_no_others(server: Served) -> None:
    """Time, ids, caller, operation, status, duration, sizes, counts of issues; no path, query, header, body."""
    before = len(server.lines("request"))
    sent = server.post(f"{TO_FHIR}?type=nonsense", CASE, X_Request_Id="engine-17", User_Agent="Mirth")
    (line,) = server.lines("request")[before:]
    assert set(line) == FIELDS
    assert (line["request_id"], line["correlation_id"]) == (sent.headers["X-Request-Id"], "engine-17")
    assert (line["operation"], line["status"], line["caller"]) == ("to-fhir", 400, "")
    assert (line["bytes_in"], line["bytes_out"], line["issues"]) == (len(CASE), len(sent.body), {"bad-request": 1})
    assert line["time"].endswith("Z")
    assert "nonsense" not in server.log.read_text(encoding="utf-8")


def test_what_other_code_logs_of_a_request_is_told_without_its_words(capfd: pytest.CaptureFixture[str]) -> None:
    """Only where it broke and with which error; what is logged outside of requests keeps its words."""
    logger = logging.Logger("gunicorn.error")
    logger.addHandler(Handler())

    def fail() -> None:
        try:
            raise KeyError("Kanarienvogel")
        except KeyError:
            logger.exception("Error handling request %s", "Kanarienvogel")

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    logger.error("Worker exits")
    told = capfd.readouterr().err
    assert "Kanarienvogel" not in told
    inside, outside = map(json.loads, told.splitlines())
    assert (inside["event"], inside["error"], len(inside["at"])) == ("(in a request)", "KeyError", 1)
    assert (outside["event"], "error" in outside) == ("Worker exits", False)


def test_metrics_are_those_of_all_workers(server: Served) -> None:
    """As many requests as were sent, whichever worker answered; labels are of the code alone."""

    def counts() -> list[float]:
        return [
            server.metric("fhir_adapter_requests_total", operation="to-fhir"),
            server.metric("fhir_adapter_seconds_count", operation="to-fhir", stage="all"),
            server.metric("fhir_adapter_issues_total", code="not-json"),
        ]

    before = counts()
    together(20, lambda number: server.post(TO_FHIR, CASE if number % 2 else b"{"))
    assert [late - early for late, early in zip(counts(), before, strict=True)] == [20, 20, 10]
    assert server.metric("fhir_adapter_in_flight") == 1
    assert server.metric("fhir_adapter_build", version=__version__) == 1
    server.get("/fhir/Kanarienvogel?x=Kanarienvogel")
    assert b"Kanarienvogel" not in server.get("/metrics").body


def test_the_folder_of_the_metrics_is_private_and_goes(tmp_path: Path) -> None:
    """0700 while the service runs; nothing of it is left, and nothing else was written."""
    with serving(tmp_path) as served:
        folders = [path for path in tmp_path.iterdir() if path.is_dir()]
        assert [path.stat().st_mode & 0o777 for path in folders] == [0o700]
        served.post(TO_FHIR, CASE)
        assert served.stop() == 0
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith("log-")] == []


def test_nothing_is_left_of_a_start_that_is_ended(tmp_path: Path) -> None:
    """SIGTERM before gunicorn listens to it: the folder of the metrics goes all the same."""
    environ = environment() | {"TMPDIR": str(tmp_path)}
    process = subprocess.Popen([sys.executable, "-m", "adapter", "serve"], env=environ, stderr=subprocess.DEVNULL)
    while not list(tmp_path.glob("fhir-adapter-*")):
        assert process.poll() is None
        time.sleep(0.001)
    process.terminate()
    assert process.wait(60) == 0
    assert os.listdir(tmp_path) == []


# --- faults -------------------------------------------------------------------------------------


def test_a_worker_that_is_killed_takes_only_its_own_requests_with_it(tmp_path: Path) -> None:
    """Its callers get no half answer; the next worker answers, and the count of what is in flight is right again."""
    with serving(tmp_path, workers=1) as served:
        (worker,) = served.workers()
        killed = threading.Event()

        def one(number: int) -> None:
            if number == 0:
                time.sleep(0.4)
                os.kill(worker, signal.SIGKILL)
                killed.set()
            while not killed.is_set():
                assert served.post(**WORK).status == 200

        cut = [found for found in together(9, one)[1:] if isinstance(found, Exception)]
        assert cut, "nobody was waiting when the worker was killed"
        until = time.monotonic() + 20
        while not served.ready():
            assert time.monotonic() < until
            time.sleep(0.1)
        assert served.workers() != [worker]
        assert served.post(TO_FHIR, CASE).body == BUNDLE
        assert served.metric("fhir_adapter_in_flight") == 1
        logged = {line["correlation_id"] for line in served.lines("request")}
        assert logged == {""}


def test_sigterm_under_load_leaves_no_accepted_request_unanswered(tmp_path: Path) -> None:
    """Whoever was accepted has a whole answer; whoever was not has none at all, and no line in the log."""
    with serving(tmp_path, workers=2) as served:
        answered: Counter[str] = Counter()
        dropped: dict[str, type[OSError]] = {}

        def caller(number: int) -> None:
            if number == 0:
                while len(answered) < 20:
                    time.sleep(0.01)
                served.process.send_signal(signal.SIGTERM)
                return
            for turn in range(1000):
                name = f"load-{number}-{turn}"
                try:
                    found = served.post(TO_FHIR, CASE, X_Request_Id=name)
                except ConnectionError as error:
                    dropped[name] = type(error)
                    return
                assert found.status in (200, 429, 503)
                assert len(found.body) == int(found.headers["Content-Length"])
                answered[name] += 1

        together(13, caller)
        assert served.stop() == 0
        logged = {line["correlation_id"] for line in served.lines("request")} - {""}
        assert logged == set(answered)
        assert not logged & dropped.keys()
        # nobody connected in vain; one may, between the last look at the socket and its end
        assert list(dropped.values()).count(ConnectionRefusedError) >= len(dropped) - 1 > 0
        assert served.lines()[-1]["event"] == "Shutting down: Master"


def test_a_full_disk_costs_log_lines_and_no_request(tmp_path: Path) -> None:
    """Nothing can be written to the log: everything is answered as ever, and the loss is counted."""
    port = free_port()
    with serving(tmp_path, log_to="/dev/full", port=port) as served:
        assert [served.post(TO_FHIR, CASE).status for _ in range(3)] == [200] * 3
        assert served.post(TO_FHIR, b"{").codes == ["not-json"]
        assert b"400" in served.send(b"nonsense\r\n\r\n", shut=False).split(b"\r\n")[0]
        assert served.metric("fhir_adapter_log_lines_lost_total") >= 5
        assert served.stop() == 0


_JUMPING = """
import os, sys, time
real, jump = time.time, os.environ["JUMP"]
time.time = lambda: real() + float(open(jump).read())
from adapter.cli import main
main(prog_name="fhir-adapter")
"""


def test_a_jump_of_the_clock_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A year on and a year back: the same bytes, the same worker, an orderly end."""
    jump = tmp_path / "jump"
    jump.write_text("0")
    monkeypatch.setenv("JUMP", str(jump))
    with serving(tmp_path, main=_JUMPING) as served:
        workers = served.workers()
        for seconds in ("31536000", "-31536000"):
            jump.write_text(seconds)
            assert served.post(TO_FHIR, CASE).body == BUNDLE
            time.sleep(1.2)  # the master looks after its workers once a second
        assert served.workers() == workers
        assert served.stop() == 0


def test_overload_is_answered_and_passes(tmp_path: Path) -> None:
    """64 at once with room for 4: each has an answer, 200 or 429 with Retry-After; then the service is as before."""
    with serving(tmp_path, workers=1, queue=4) as served:
        found = together(64, lambda _: served.post(**WORK))
        assert [answer for answer in found if isinstance(answer, Exception)] == []
        assert {answer.status for answer in found} == {200, 429}
        busy = [answer for answer in found if answer.status == 429]
        assert all(answer.codes == ["throttled"] and int(answer.headers["Retry-After"]) > 0 for answer in busy)
        assert all(answer.headers["X-Retry"] == "later" for answer in busy)
        assert served.metric("fhir_adapter_requests_total", outcome="busy") == len(busy)
        assert [served.post(TO_FHIR, CASE).status for _ in range(3)] == [200] * 3
