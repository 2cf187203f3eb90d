"""What the web page asks of the endpoint beside the operations: examples, the report, the links, the timeline.

The examples are open as the page is; the rest takes the credentials and keeps to the limits of the operations, and
is no part of the FHIR contract.
"""

from __future__ import annotations

from flask import Response, abort

from adapter.files import EXAMPLES
from adapter.reporting import full, full_of_written
from adapter.service.answers import answer
from adapter.service.asking import JSON, NDJSON, body, query
from adapter.service.context import stage
from adapter.service.limits import Tick, admitted, decoded
from adapter.service.published import guarded
from adapter.verify import received
from mappings import Issue, MappingError, Report, from_fhir, load_case, to_fhir
from mappings.links import links
from mappings.report import Json

SHOWN = ("published-case", "synthetic-course", "minimal")


def example(name: str) -> Response:
    """``GET /page/example/{name}``: one of the example cases."""
    if name not in SHOWN:
        abort(404)
    return guarded((EXAMPLES / name / "case.json").read_bytes(), f"{JSON}; charset=utf-8")


def report() -> Response:
    """``POST /page/report``: what became of a case or of a FHIR document; 200 also where it is refused.

    The report as `FullReport.as_json` gives it, its pointers into what was sent, and ``r4``: what the Bundle, the one
    received or the one that the case becomes, breaks of FHIR R4.
    """
    query()
    raw = body(*NDJSON)
    with admitted() as tick:
        with stage("decode"):
            document = decoded(raw)
        is_case = isinstance(document, dict) and "resourceType" not in document
        try:
            told = (_of_case if is_case else _of_fhir)(raw, document, tick)
        except MappingError as error:
            refused = Report("case-to-fhir" if is_case else "fhir-to-case", issues=list(error.issues))
            told = {**refused.as_json(), "r4": []}
        return answer(told, JSON)


def _of_case(raw: bytes, document: Json, tick: Tick) -> dict[str, Json]:
    found = Report("case-to-fhir")
    with stage("map"):
        case = load_case(document)
        bundle = to_fhir(case, report=found, tick=tick)
        told = full_of_written(raw, case, found, bundle, tick).as_json()
    return told | {"r4": _r4(bundle, tick)}


def _of_fhir(raw: bytes, document: Json, tick: Tick) -> dict[str, Json]:
    with stage("map"):
        case, found = from_fhir(document, tick=tick)
        told = full(raw, document, case, found, tick).as_json()
    return told | {"r4": _r4(document, tick)}


def _r4(document: Json, tick: Tick) -> Json:
    with stage("verify"):
        return Report("fhir-to-case", issues=received(document, "all", tick=tick)).as_json()["issues"]


def linked() -> Response:
    """``POST /page/links``: of a FHIR document, (pointer into its case, pointer into it) of every fact."""
    query()
    raw = body(*NDJSON)
    with admitted() as tick:
        with stage("decode"):
            document = decoded(raw)
        with stage("map"):
            return answer(links(document, tick=tick), JSON)


def timeline() -> Response:
    """``POST /page/timeline``: of a case, its timeline as SVG; without the extra [plot] there is no such path."""
    query()
    raw = body()
    try:
        from adapter.plot import figure
    except ImportError:
        remedy = "Install scleromyxedema-fhir-adapter[plot] where the endpoint runs."
        raise MappingError(Issue("no-route", "This endpoint draws no timeline.", remedy=remedy)) from None
    with admitted(), stage("map"):
        return Response(figure(load_case(decoded(raw)), format="svg"), content_type="image/svg+xml; charset=utf-8")
