"""The application: its routes, and what stands around every request.

Stateless. Bodies are raw JSON both ways. Whatever is not a 2xx is an OperationOutcome, Flask's and
Werkzeug's own refusals and our bugs included. Status codes are chosen for what integration engines
do with them: what would fail again is 4xx, and only our bug is 5xx.
"""

from __future__ import annotations

from flask import Flask

from adapter.service import operations
from adapter.service.answers import finish, refuse
from adapter.service.context import begin
from adapter.settings import Settings


def create_app(settings: Settings = Settings()) -> Flask:  # noqa: B008 (frozen)
    """The application with these settings."""
    app = Flask("adapter.service", static_folder=None)
    app.config.update(SETTINGS=settings, MAX_CONTENT_LENGTH=settings.max_body, PROVIDE_AUTOMATIC_OPTIONS=False)
    app.url_map.merge_slashes = False  # /fhir//metadata would be answered by a redirect in HTML
    app.add_url_rule("/fhir/$to-fhir", "to-fhir", operations.convert_to_fhir, methods=["POST"])
    app.add_url_rule("/fhir/$to-case", "to-case", operations.convert_to_case, methods=["POST"])
    app.add_url_rule("/fhir/$validate", "validate", operations.validate, methods=["POST"])
    app.add_url_rule("/fhir/metadata", "metadata", operations.metadata, methods=["GET"])
    app.add_url_rule("/livez", "livez", operations.livez, methods=["GET"])
    refuse(app)
    app.before_request(begin)
    # what else stands around a request is installed here, as install(app, settings): the first one that is
    # installed is the first to see a request and the last to see its answer, after `finish`
    app.after_request(finish)
    return app
