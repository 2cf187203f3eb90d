"""Start the Java judge (``Judge.java``) once, and ask it about one resource after another.

The judge takes seconds to start and milliseconds to answer, so a test run wants one
:class:`Judge`, in a session fixture. It shares no code with this project, which is the point of
it: what it finds, other people's code found.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, Self

from tests import maven

_HERE = Path(__file__).resolve().parent
_TARGET = _HERE / "target"
_JVM = [
    "-Xmx1g",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:+UseSerialGC",
    "-Duser.language=en",  # the engine translates its messages
    "-Duser.timezone=UTC",
    "-Dfile.encoding=UTF-8",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
    f"-Duser.home={_TARGET / 'home'}",  # the engine would read, and may clear, ~/.fhir
]


class JudgeError(RuntimeError):
    """The judge could not be built, started or asked. It never means that a resource is invalid."""


@dataclass(frozen=True, slots=True)
class Message:
    """One finding, in the engine's own words."""

    severity: Literal["error", "warning", "information"]
    location: str
    """FHIRPath as the HL7 validator writes it; comments in it name the resources of a Bundle."""
    message: str
    code: str
    """The engine's message id, for an invariant ``<profile>#<key>``; empty if it gave none."""

    @property
    def path(self) -> str:
        """The location without its comments: ``Bundle.entry[0].resource.code``."""
        return re.sub(r"/\*.*?\*/", "", self.location)

    def __str__(self) -> str:
        return f"{self.severity} at {self.location or '(nowhere)'}: {self.message} [{self.code}]"


def available() -> str | None:
    """None if the judge can be built and run here, else the reason, for a test to state."""
    return maven.missing(_HERE)


def build() -> None:
    """Compile the Java program and gather its libraries, unless done for the present sources."""
    try:
        maven.build(_HERE)
    except maven.BuildError as error:
        raise JudgeError(str(error)) from None


def write_fragments(directory: Path, systems: Mapping[str, Mapping[str, str | None]]) -> None:
    """Write every ``{system: {code: display or None}}`` as a CodeSystem for the judge to load.

    They have ``content: fragment``: a code of the fragment passes, any other is a warning.
    Displays are for human readers of the files; the engine does not compare them.
    """
    for number, (system, codes) in enumerate(sorted(systems.items())):
        resource = {"resourceType": "CodeSystem", "url": system, "status": "active"}
        concepts = [{"code": c} | ({"display": d} if d else {}) for c, d in codes.items()]
        content = {"caseSensitive": True, "content": "fragment", "concept": concepts}
        path = directory / f"CodeSystem-fragment-{number}.json"
        path.write_text(json.dumps(resource | content), encoding="utf-8")


class Judge:
    """The running judge, as a context manager. Threads may share it; they take turns.

    ``directories`` hold the conformance resources (``*.json``, sub-directories are not searched)
    that it shall know beside R4; one that is unreadable or defined twice is an error at the start.
    ``timeout`` is for each answer and for the start, in seconds.
    """

    def __init__(self, *directories: Path | str, timeout: float = 120.0) -> None:
        self._directories = [str(directory) for directory in directories]
        self._timeout = timeout
        self._turn = threading.Lock()
        self._asked = 0

    def __enter__(self) -> Self:
        if reason := available():
            raise JudgeError(reason)
        build()
        class_path = os.pathsep.join([str(_TARGET / "classes"), str(_TARGET / "lib" / "*")])
        self._stderr = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            ["java", *_JVM, "-cp", class_path, "judge.Judge", *self._directories],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
        )
        requests, answers = self._process.stdin, self._process.stdout
        assert requests is not None
        assert answers is not None
        self._requests = requests
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, args=(answers,), daemon=True)
        self._reader.start()
        try:
            if (line := self._next_line()) != b"ready\n":
                raise self._failure(f"it began with {line!r}")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check(self, raw: bytes | str) -> list[Message]:
        """All that the engine says of one resource, given as sent (bytes are UTF-8)."""
        resource = raw.decode() if isinstance(raw, bytes) else raw
        with self._turn:
            self._asked += 1
            request = json.dumps({"id": self._asked, "resource": resource})
            try:
                self._requests.write(request.encode() + b"\n")
                self._requests.flush()
            except OSError as error:
                raise self._failure("it does not listen") from error
            answer = json.loads(self._next_line())
            if answer["id"] != self._asked:
                raise self._failure(f"answer {answer['id']} came to request {self._asked}")
        return [Message(**message) for message in answer["messages"]]

    def close(self) -> None:
        """End the JVM: by the end of its input, or if it does not heed that, by force."""
        with contextlib.suppress(OSError):
            self._requests.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
        with self._process:  # waits, and closes the pipes
            self._reader.join()
        self._stderr.close()

    def _read(self, answers: IO[bytes]) -> None:
        """In a thread of its own, because only a queue can be waited for with a timeout."""
        for line in answers:
            self._lines.put(line)
        self._lines.put(b"")

    def _next_line(self) -> bytes:
        try:
            line = self._lines.get(timeout=self._timeout)
        except queue.Empty:
            raise self._failure(f"no answer within {self._timeout:g} s") from None
        if not line:
            raise self._failure("it has ended")
        return line

    def _failure(self, reason: str) -> JudgeError:
        """Stop the JVM, whose state is unknown now, and say why with the end of its stderr."""
        self._process.kill()
        self._process.wait()
        self._stderr.seek(0)
        stderr = self._stderr.read().decode(errors="replace")
        return JudgeError(f"the judge failed: {reason}\n{stderr[-4000:]}".rstrip())
