"""Logs: one JSON object a line on standard error, and no value of a document in it, by construction.

What the adapter itself says names no value. What other code says (gunicorn, urllib3) is kept in words only where no
request is being handled; in a request's thread only its place and the type of its error are. A log that cannot be
written is lost and counted, and the request is answered all the same.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from traceback import walk_tb
from typing import Any

import structlog
from flask import Response, g
from prometheus_client import Counter as Metric

STDERR = 2


class Lines:
    """Writes whole lines to a file descriptor, and never fails."""

    def __init__(self, lost: Metric | None = None) -> None:
        self.lost = lost

    def msg(self, line: str) -> None:
        """One line."""
        try:
            os.write(STDERR, line.encode("ascii", "backslashreplace") + b"\n")
        except OSError:
            if self.lost is not None:
                self.lost.inc()

    debug = info = warning = error = critical = msg


LINES = Lines()
_log = structlog.wrap_logger(
    LINES,
    processors=[
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.JSONRenderer(),
    ],
)


class Handler(logging.Handler):
    """The logs of all other code, through the same pipeline."""

    def emit(self, record: logging.LogRecord) -> None:
        """One record as one line."""
        ours = record.name.partition(".")[0] == "adapter" or threading.current_thread() is threading.main_thread()
        facts: dict[str, Any] = {"logger": record.name}
        if record.exc_info and record.exc_info[1]:
            facts["error"] = type(record.exc_info[1]).__name__
            facts["at"] = [f"{frame.f_globals.get('__name__')}:{line}" for frame, line in walk_tb(record.exc_info[2])]
        _log.log(record.levelno, record.getMessage() if ours else "(in a request)", **facts)


def configure() -> None:
    """Send everything that is logged in this process through the pipeline."""
    logging.basicConfig(handlers=[Handler()], level=logging.WARNING, force=True)
    logging.captureWarnings(True)


def request_line(response: Response, seconds: float) -> None:
    """The one line of a request that the application answered."""
    _log.info(
        "request",
        request_id=g.request_id,
        correlation_id=g.correlation_id,
        caller=g.get("caller", ""),
        operation=g.operation,
        status=response.status_code,
        seconds=round(seconds, 6),
        bytes_in=g.sizes["in"],
        bytes_out=g.sizes["out"],
        issues=dict(Counter(g.issues)),
    )


def refused_line(request_id: str, status: int) -> None:
    """The one line of a request that was no HTTP, or more of it than is read: the application never saw it."""
    _log.info("request", request_id=request_id, operation="none", status=status)
