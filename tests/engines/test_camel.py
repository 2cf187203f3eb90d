"""The Camel route, run as its README says."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mappings import decode, from_fhir, load_case
from tests.engines.conftest import KEY, built
from tests.engines.stage import MINIMAL, PUBLISHED, ROOT, Proxy
from tests.ports import free_port

CAMEL = ROOT / "examples" / "engines" / "camel"
pytestmark = pytest.mark.xdist_group("camel")


@contextlib.contextmanager
def camel(tmp_path: Path, adapter: str, **settings: object) -> Iterator[Path]:
    """The running route, its folders below ``tmp_path``."""
    target = built(CAMEL)
    values = {name: tmp_path / name for name in ("inbox", "outbox", "refused")}
    values |= {"adapter": adapter, "delay": 100, "poll": 200, "redeliveries": 8, "key": KEY} | settings  # type: ignore[dict-item]
    options = [f"-D{name}={value}" for name, value in values.items()]
    command = ["java", *options, "-cp", f"{target}/classes:{target}/lib/*", "ConvertCases"]
    with (tmp_path / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield tmp_path
        finally:
            process.terminate()


def until(true: Callable[[], object], seconds: float = 40) -> None:
    """Wait for something."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def put(folder: Path, name: str, content: bytes) -> None:
    """A file in the inbox."""
    (folder / "inbox").mkdir(exist_ok=True)
    (folder / "inbox" / name).write_bytes(content)


def names(folder: Path) -> list[str]:
    """The files of a folder that are whole."""
    return sorted(p.name for p in folder.glob("*") if not p.name.startswith(".")) if folder.is_dir() else []


def test_route(tmp_path: Path, behind: int) -> None:
    """429 and 503 first: sent again, as Retry-After asks; delivered once; what is refused goes with its outcome."""
    script = [(503, None), (429, "2")]
    wrong = MINIMAL.replace(b'"case_id"', b'"case_idd"')
    with Proxy(behind, script) as proxy, camel(tmp_path, proxy.url):
        put(tmp_path, "published.json", PUBLISHED)
        until(lambda: names(tmp_path / "outbox") == ["published.json"])
        assert proxy.statuses == [503, 429, 200]
        assert proxy.seen[2][1] - proxy.seen[1][1] >= 1.9
        put(tmp_path, "wrong.json", wrong)
        put(tmp_path, "minimal.json", MINIMAL)
        until(lambda: len(names(tmp_path / "outbox")) == 2 and len(names(tmp_path / "refused")) == 2)
        until(lambda: names(tmp_path / "inbox") == [])
        time.sleep(1)  # several polls more
        assert sorted(proxy.statuses) == [200, 200, 422, 429, 503]
    assert {body for _, _, body in proxy.seen} == {PUBLISHED, MINIMAL, wrong}
    case, _ = from_fhir((tmp_path / "outbox" / "published.json").read_bytes())
    assert case == load_case(PUBLISHED)
    assert names(tmp_path / "refused") == ["wrong.json", "wrong.json.outcome.json"]
    assert (tmp_path / "refused" / "wrong.json").read_bytes() == wrong
    outcome = json.loads((tmp_path / "refused" / "wrong.json.outcome.json").read_bytes())
    assert outcome["resourceType"] == "OperationOutcome"
    assert names(tmp_path / "inbox" / ".done") == ["minimal.json", "published.json", "wrong.json"]


def test_route_without_endpoint(tmp_path: Path, behind: int) -> None:
    """Nobody answers: the case stays in the inbox when the attempts are used up, and goes as soon as somebody does."""
    port = free_port()
    put(tmp_path, "minimal.json", MINIMAL)
    with camel(tmp_path, f"http://127.0.0.1:{port}", redeliveries=1):
        until(lambda: "Exhausted" in (tmp_path / "log").read_text() or "exhausted" in (tmp_path / "log").read_text())
        assert names(tmp_path / "inbox") == ["minimal.json"]
        proxy = Proxy(behind, port=port)
        with proxy:
            until(lambda: names(tmp_path / "outbox") == ["minimal.json"])
    assert decode((tmp_path / "outbox" / "minimal.json").read_bytes())["resourceType"] == "Bundle"
    assert proxy.statuses == [200]
