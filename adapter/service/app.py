"""The application: its routes, and what stands around every request.

Stateless. Bodies are raw JSON both ways. Whatever is not a 2xx is an OperationOutcome, Flask's and
Werkzeug's own refusals and our bugs included. Status codes are chosen for what integration engines
do with them: what would fail again is 4xx, and only our bug is 5xx.
"""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask, Response

from adapter.service import callers, catalogue, observe, openapi, operations, page, published
from adapter.service.answers import finish, refuse
from adapter.service.context import begin
from adapter.service.limits import Gate
from adapter.service.ready import readyz
from adapter.settings import Settings

ROUTES: tuple[tuple[str, Callable[..., Response], str], ...] = (
    ("/fhir/$to-fhir", operations.convert_to_fhir, "POST"),
    ("/fhir/$to-case", operations.convert_to_case, "POST"),
    ("/fhir/$validate", operations.validate, "POST"),
    ("/fhir/metadata", operations.metadata, "GET"),
    ("/fhir/<type_>/<id_>", published.resource, "GET"),
    ("/openapi.json", openapi.openapi, "GET"),
    ("/errors", catalogue.errors, "GET"),
    ("/", published.page, "GET"),
    ("/page/<name>", published.page, "GET"),
    ("/page/example/<name>", page.example, "GET"),
    ("/page/report", page.report, "POST"),
    ("/page/links", page.linked, "POST"),
    ("/page/timeline", page.timeline, "POST"),
    ("/livez", operations.livez, "GET"),
    ("/readyz", readyz, "GET"),
    ("/metrics", observe.metrics, "GET"),
)


def create_app(settings: Settings = Settings()) -> Flask:  # noqa: B008 (frozen)
    """The application with these settings."""
    app = Flask("adapter.service", static_folder=None)
    app.config.update(SETTINGS=settings, PROVIDE_AUTOMATIC_OPTIONS=False)
    app.url_map.merge_slashes = False  # /fhir//metadata would be answered by a redirect in HTML
    app.extensions["gate"] = Gate(settings)
    for rule, view, method in ROUTES:
        name = view.__name__.replace("convert_", "").replace("_", "-")
        app.add_url_rule(rule, name, view, methods=[method])
    refuse(app)
    app.before_request(begin)
    # the first one that is installed is the first to see a request and the last to see its answer, after `finish`
    observe.install(app)
    callers.install(app, settings)
    app.after_request(finish)
    return app
