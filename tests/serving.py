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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.served import Server

_LISTENING = re.compile(r"Listening at: http://\S+:(\d+) ")
_MAIN = "import sys; from adapter.cli import main; main(prog_name='fhir-adapter')"


@dataclass(frozen=True)
class Served(Server):
    """A server that `fhir-adapter serve` started; its log is JSON lines."""

    process: subprocess.Popen[bytes]

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of this name that have these labels."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        lines = self.get("/metrics").body.decode().splitlines()
        fits = (line for line in lines if re.match(rf"{name}[ {{]", line) and all(want in line for want in wanted))
        return sum(float(line.rpartition(" ")[2]) for line in fits)

    def ready(self) -> bool:
        """Whether it answers that it is."""
        try:
            return self.get("/readyz").status == 200
        except OSError:
            return False

    def lines(self, event: str = "") -> list[dict[str, Any]]:
        """The lines of the log; every one is JSON."""
        found = [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]
        return [line for line in found if event in ("", line["event"])]

    def stop(self) -> int:
        """Ask it to stop, and give its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(90)


def environment(**settings: Any) -> dict[str, str]:
    """This process's variables without settings of the tests, with these; workers=1 and a free port if not said."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("FHIR_ADAPTER_")}
    given = {"port": 0, "workers": 1, **settings}
    return plain | {f"FHIR_ADAPTER_{name.upper()}": str(value) for name, value in given.items()}


@contextmanager
def serving(folder: Path, *, main: str = _MAIN, log_to: str = "", **settings: Any) -> Iterator[Served]:
    """A server with these settings; its temporary files, and its log if that goes nowhere else, are in the folder."""
    log = folder / f"log-{time.monotonic_ns()}"
    log.touch()
    with open(log_to or log, "ab") as stream:
        command = [sys.executable, "-c", main, "serve"]
        environ = environment(**settings) | {"TMPDIR": str(folder)}
        process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=stream)
    served = Served(int(settings.get("port", 0)), process.pid, log, process)
    try:
        yield _wait(served)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(served: Served) -> Served:
    until = time.monotonic() + 60
    while not served.port or not served.ready():
        text = served.log.read_text(encoding="utf-8")
        assert time.monotonic() < until, text
        assert served.process.poll() is None, text
        if found := _LISTENING.search(text):
            served = replace(served, port=int(found[1]))
        time.sleep(0.05)
    return served


def together(count: int, work: Callable[[int], Any]) -> list[Any]:
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
