"""What is measured of each request, for Prometheus, and the line that is logged of it.

Labels are of the code alone: operations, stages, issue codes, classes of outcomes. With several worker processes the
numbers are those of all of them (``PROMETHEUS_MULTIPROC_DIR``, which ``fhir-adapter serve`` sets to a private folder).
"""

from __future__ import annotations

import os
from functools import partial
from time import perf_counter

from flask import Flask, Response, current_app, g
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from adapter.reporting import terms_version
from adapter.service import logs
from mappings import __version__
from mappings.report import CATALOGUE

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25)
_OUTCOMES = {401: "denied", 403: "denied", 429: "busy", 500: "failed", 503: "unavailable"}
_NAME = "fhir_adapter"


class Metrics:
    """The metrics of one application."""

    def __init__(self) -> None:
        to = self.registry = CollectorRegistry()
        by = ["operation", "stage"]
        self.requests = Counter(f"{_NAME}_requests", "Requests answered.", ["operation", "outcome"], registry=to)
        self.seconds = Histogram(f"{_NAME}_seconds", "Duration by stage, or all.", by, buckets=_BUCKETS, registry=to)
        self.issues = Counter(f"{_NAME}_issues", "Issues told in refusals and reports.", ["code"], registry=to)
        self.in_flight = Gauge(
            f"{_NAME}_in_flight", "Requests being answered.", multiprocess_mode="livesum", registry=to
        )
        self.lost = Counter(f"{_NAME}_log_lines_lost", "Log lines that could not be written.", registry=to)
        build = Gauge(f"{_NAME}_build", "1.", ["version", "terms"], multiprocess_mode="max", registry=to)
        build.labels(__version__, terms_version()[:12]).set(1)

    def text(self) -> bytes:
        """All of them, of all worker processes, in Prometheus's text format."""
        registry = self.registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            MultiProcessCollector(registry := CollectorRegistry())  # type: ignore[no-untyped-call]
        return generate_latest(registry)


def install(app: Flask) -> None:
    """Observe each request."""
    counts = app.extensions["metrics"] = Metrics()
    logs.LINES.lost = counts.lost
    app.before_request(partial(_begin, counts))
    app.after_request(partial(_end, counts))
    app.teardown_request(partial(_gone, counts))


def metrics() -> Response:
    """``GET /metrics``: for Prometheus."""
    return Response(current_app.extensions["metrics"].text(), content_type=CONTENT_TYPE_LATEST)


def _begin(counts: Metrics) -> None:
    g.begun = perf_counter()
    counts.in_flight.inc()


def _end(counts: Metrics, response: Response) -> Response:
    seconds = perf_counter() - g.begun
    outcome = _OUTCOMES.get(response.status_code, "ok" if response.status_code < 400 else "refused")
    counts.requests.labels(g.operation, outcome).inc()
    for stage, taken in {**g.stages, "all": seconds}.items():
        counts.seconds.labels(g.operation, stage).observe(taken)
    for code in g.issues:
        if code in CATALOGUE:
            counts.issues.labels(code).inc()
    logs.request_line(response, seconds)
    return response


def _gone(counts: Metrics, _: BaseException | None) -> None:
    if "begun" in g:
        counts.in_flight.dec()
