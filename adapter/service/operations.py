"""The operations: case to Bundle, Bundle to case, validation; what the endpoint says of itself."""

from __future__ import annotations

from flask import Response

from adapter.service.answers import answer
from adapter.service.asking import FHIR, JSON, NDJSON, accepted, body, boolean, instant, one_of, query
from adapter.service.capability import capability_statement
from adapter.verify import LEVELS, findings, received, written
from mappings import Issue, MappingError, Report, dump_case, from_fhir, load_case, to_fhir
from mappings.bundle import MODES, TYPES
from mappings.report import Json, outcome
from mappings.wire import as_plain


def convert_to_fhir() -> Response:
    """``POST /fhir/$to-fhir``: a case document becomes a Bundle."""
    content_type = accepted(FHIR, JSON)
    options = query(
        {
            "type": one_of(*TYPES),
            "mode": one_of(*MODES),
            "subject": str,
            "now": instant,
            "literature": boolean,
            "verify": one_of(*LEVELS),
        }
    )
    verify = options.pop("verify", LEVELS[0])
    bundle_type = options.pop("type", TYPES[0])
    if "mode" in options and bundle_type != "transaction":
        issue = Issue("bad-request", "The query parameter mode does nothing here.", expected="type=transaction with it")
        raise MappingError(issue)
    report = Report("case-to-fhir")
    bundle = to_fhir(load_case(body()), bundle_type=bundle_type, report=report, **options)
    return _converted(written(bundle, verify), report, content_type)


def convert_to_case() -> Response:
    """``POST /fhir/$to-case``: any FHIR R4 document of one patient becomes a case document."""
    content_type = accepted(JSON)
    options = query({"strict": boolean, "patient": str, "verify": one_of(*LEVELS)})
    verify = options.pop("verify", LEVELS[0])
    document = as_plain(body(*NDJSON))
    case, report = from_fhir(document, **options)
    report.issues += received(document, verify, options.get("strict", False))
    return _converted(dump_case(case), report, content_type)


def validate() -> Response:
    """``POST /fhir/$validate``: a FHIR resource or a case against its rules; 200 for any JSON, whatever it says."""
    content_type = accepted(FHIR, JSON)
    query({})
    raw = body(*NDJSON)
    as_plain(raw)  # what is no JSON is refused as elsewhere
    return answer(outcome(findings(raw), "All good."), content_type)


def metadata() -> Response:
    """``GET /fhir/metadata``: the CapabilityStatement."""
    content_type = accepted(FHIR, JSON)
    query({})
    return answer(capability_statement(), content_type)


def livez() -> Response:
    """``GET /livez``: the process is alive."""
    return answer({"status": "alive"}, JSON)


def _converted(result: Json, report: Report, content_type: str) -> Response:
    """A result, with the count of what is worth a look: what was made by an adapter is not."""
    found = answer(result, content_type)
    worth = sum(issue.disposition != "generated" for issue in report.issues)
    found.headers["X-Conversion-Issues"] = str(worth)
    return found
