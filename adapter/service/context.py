"""What one request carries with it in ``flask.g``, for its answer, the log and the metrics.

``operation`` (str), ``request_id`` (ours), ``correlation_id`` (theirs, or empty), ``issues`` (the codes told in the
answer), ``stages`` (seconds by name), ``sizes`` (bytes ``in`` and ``out``), ``broken`` (no more of the body will come),
``bug`` (what broke, without a value).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Literal

from flask import g, request

_UNSAFE = re.compile(r"[^A-Za-z0-9._:@/+=-]")


def begin() -> None:
    """Before anything else of a request."""
    g.operation = request.endpoint or "none"
    g.request_id = str(uuid.uuid4())
    g.correlation_id = _UNSAFE.sub("", request.headers.get("X-Request-Id", ""))[:128]
    g.broken = False
    g.issues, g.stages, g.sizes, g.bug = [], {}, {"in": request.content_length or 0, "out": 0}, ""


@contextmanager
def stage(name: Literal["decode", "map", "verify", "encode"]) -> Iterator[None]:
    """Measure one part of the work."""
    start = perf_counter()
    try:
        yield
    finally:
        g.stages[name] = g.stages.get(name, 0.0) + perf_counter() - start
