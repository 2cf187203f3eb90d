"""What one request may cost: its place in the bounded queue, its time, its size once it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, Event
from time import monotonic, thread_time

from flask import current_app

from adapter.settings import Settings
from mappings import Issue, MappingError
from mappings.report import Json
from mappings.wire import MAX_DEPTH, as_plain

Tick = Callable[[], None]
#: JSON values a document may hold for each entry that it may have.
VALUES = 100
#: Times its seconds of work that a conversion may last, where others run beside it.
PATIENCE = 2


class Spent(Exception):
    """A conversion is ended for what it costs. No `MappingError`: nothing that tries a conversion may swallow it."""

    def __init__(self, issue: Issue) -> None:
        super().__init__(issue.line())
        self.issue = issue


class Gate:
    """The places of one worker: ``draining`` is set when it stops, and nothing more is admitted then."""

    def __init__(self, settings: Settings) -> None:
        self.places = BoundedSemaphore(settings.queue)
        self.draining = Event()


def gate() -> Gate:
    """The gate of this application."""
    found: Gate = current_app.extensions["gate"]
    return found


@contextmanager
def admitted() -> Iterator[Tick]:
    """A place among the conversions that run; gives the tick that ends the work when it has cost too much.

    The time that counts against a document is what its own thread works, so that load by others refuses
    nothing for good: where those are in the way, it is to be sent again.
    """
    here = gate()
    if here.draining.is_set():
        raise MappingError(Issue("unavailable"))
    if not here.places.acquire(blocking=False):
        raise MappingError(Issue("throttled"))
    seconds = current_app.config["SETTINGS"].seconds
    work, wall = thread_time() + seconds, monotonic() + PATIENCE * seconds

    def tick() -> None:
        if thread_time() > work:
            raise Spent(Issue("too-costly", expected=f"a document that takes {seconds:g} seconds at most"))
        if monotonic() > wall:
            raise Spent(Issue("throttled"))

    try:
        yield tick
    finally:
        here.places.release()


def decoded(raw: bytes) -> Json:
    """The JSON of a body, NDJSON too; refused where it is too deep, or holds too many entries or values."""
    settings: Settings = current_app.config["SETTINGS"]
    document = as_plain(raw, min(settings.max_depth, MAX_DEPTH))
    entries, values = _weight(document)
    if entries > settings.max_entries:
        expected = f"{settings.max_entries} entries or fewer"
        raise MappingError(Issue("too-costly", "The document has too many entries.", expected=expected))
    if values > (most := VALUES * settings.max_entries):
        raise MappingError(Issue("too-costly", "The document is too large.", expected=f"{most} values or fewer"))
    return document


def _weight(document: Json) -> tuple[int, int]:
    """The entries of Bundles and Parameters, or the items of a case; and the JSON values."""
    entries, values, waiting = 0, 0, [document]
    while waiting:
        node = waiting.pop()
        values += len(node) if isinstance(node, dict | list) else 1
        if isinstance(node, dict):
            entries += "key" in node
            entries += sum(len(node[n]) for n in ("entry", "parameter") if isinstance(node.get(n), list))
            waiting += [value for value in node.values() if isinstance(value, dict | list)]
        elif isinstance(node, list):
            waiting += [value for value in node if isinstance(value, dict | list)]
    return entries, values
