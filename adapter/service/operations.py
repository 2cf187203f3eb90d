"""The operations: case to Bundle, Bundle to case, validation; and what the endpoint says of itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

from flask import Response

from adapter.reporting import FullReport, full, full_of_written
from adapter.service.answers import answer, told
from adapter.service.asking import FHIR, JSON, NDJSON, accepted, body, parts, preferred, query
from adapter.service.capability import capability_statement
from adapter.service.context import stage
from adapter.service.limits import admitted, decoded
from adapter.verify import LEVELS, findings, received, written
from mappings import Issue, MappingError, Report, dump_case, encode, from_fhir, load_case, to_fhir
from mappings.bundle import TYPES
from mappings.report import Json, outcome


def convert_to_fhir() -> Response:
    """``POST /fhir/$to-fhir``: a case document becomes a Bundle, or is written onto a received one."""
    content_type, options = _type_of(FHIR, JSON), query("to-fhir")
    verify = options.pop("verify", LEVELS[0])
    sent = parts()
    _refuse_idle(options, "onto" in sent)
    bundle_type = options.pop("type", TYPES[0])
    report = Report("case-to-fhir")
    with admitted() as tick:
        with stage("decode"):
            case = load_case(decoded(sent["case"]))
            onto = decoded(sent["onto"]) if "onto" in sent else None
        with stage("map"):
            bundle = to_fhir(case, bundle_type=bundle_type, onto=onto, report=report, tick=tick, **options)
        with stage("verify"):
            faults = received(onto, verify, tick=tick)
            report.issues += faults
            written(bundle, verify, faults, tick)
        return _converted(
            bundle, report, content_type, lambda: full_of_written(sent["case"], case, report, bundle, tick)
        )


def convert_to_case() -> Response:
    """``POST /fhir/$to-case``: any FHIR R4 document of one patient becomes a case document."""
    content_type, options = _type_of(JSON), query("to-case")
    verify = options.pop("verify", LEVELS[0])
    raw = body(*NDJSON)
    with admitted() as tick:
        with stage("decode"):
            document = decoded(raw)
        with stage("map"):
            case, report = from_fhir(document, tick=tick, **options)
        with stage("verify"):
            report.issues += received(document, verify, options.get("strict", False), tick)
        return _converted(dump_case(case), report, content_type, lambda: full(raw, document, case, report, tick))


def validate() -> Response:
    """``POST /fhir/$validate``: a FHIR resource or a case against its rules; 200 for any JSON, whatever it says."""
    content_type = accepted(FHIR, JSON)
    query("validate")
    raw = body(*NDJSON)
    with admitted() as tick:
        with stage("decode"):
            decoded(raw)
        with stage("verify"):
            found = findings(raw, tick=tick)
        with stage("encode"):
            return told(answer(outcome(found, "All good."), content_type), found)


def metadata() -> Response:
    """``GET /fhir/metadata``: the CapabilityStatement."""
    content_type = accepted(FHIR, JSON)
    query()
    return answer(capability_statement(), content_type)


def livez() -> Response:
    """``GET /livez``: the process is alive."""
    return answer({"status": "alive"}, JSON)


def _type_of(*offers: str) -> str:
    """The content type of the answer; a full report is always FHIR."""
    return accepted(FHIR, JSON) if preferred() == "operationoutcome" else accepted(*offers)


def _refuse_idle(options: dict[str, Json], onto: bool) -> None:
    """Refuse parameters that would do nothing: a wrong belief about what was written is worse than an error."""
    idle = [name for name in ("type", "subject", "literature", "mode") if name in options and onto]
    if not onto and "mode" in options and options.get("type") != "transaction":
        idle = ["mode"]
    expected = "it without onto: that keeps its type, its Patient and its literature" if onto else "type=transaction"
    if idle:
        said = "The query parameter {} does nothing here."
        raise MappingError([Issue("bad-request", said.format(name), expected=expected) for name in idle])


def _converted(result: Json, report: Report, content_type: str, whole: Callable[[], FullReport]) -> Response:
    """A result, as the caller prefers it, with its hash and the count of what is worth a look.

    What was made by an adapter is not.
    """
    with stage("encode"):
        raw = encode(result)
        digest, prefer = sha256(raw).hexdigest(), preferred()
        if prefer == "operationoutcome":
            found = answer(replace(whole(), output_sha256=digest).as_outcome(), content_type)
        elif prefer == "minimal":
            found = Response(status=204)
            del found.headers["Content-Type"]
        else:
            found = Response(raw, content_type=f"{content_type}; charset=utf-8")
    worth = [issue for issue in report.issues if issue.disposition != "generated"]
    found.set_etag(digest)
    found.headers["X-Conversion-Issues"] = str(len(worth))
    if prefer:
        found.headers["Preference-Applied"] = f"return={prefer.replace('operationoutcome', 'OperationOutcome')}"
    return told(found, worth if prefer == "operationoutcome" else [], counted=worth)
