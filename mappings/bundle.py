"""Case -> Bundle, and case -> received Bundle: references, stable ids, entry order. No clinical knowledge."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from mappings import wire
from mappings.case import Case
from mappings.check import need_case, plan, problems
from mappings.composition import composition
from mappings.generated import SOFTWARE_ID, frame, provenance, request, resource_id, software
from mappings.onto import write_onto
from mappings.planning import identify, writing
from mappings.plausibility import plausibility
from mappings.report import Issue, Json, MappingError, Report
from mappings.schema import dump_case
from mappings.values import INSTANT

TYPES = ("collection", "document", "transaction")
MODES = ("put", "conditional-update")
_PATIENT = re.compile(r"(https?://[^\s|]+/)?Patient/[A-Za-z0-9.-]{1,64}")


def to_fhir(
    case: Case,
    *,
    bundle_type: str = "collection",
    mode: str = "put",
    subject: str | None = None,
    onto: Any = None,
    remove: bool = False,
    now: str | None = None,
    literature: bool = True,
    optional_codes: bool = False,
    report: Report | None = None,
    tick: Callable[[], None] | None = None,
) -> dict[str, Json]:
    """The case as a FHIR R4 Bundle of plain JSON values; numbers are `Decimal`.

    ``bundle_type`` is ``collection``, ``document`` (needs ``recorded`` or ``now``) or
    ``transaction`` (``mode`` ``put`` or ``conditional-update``; always without ``literature``).
    ``subject`` ("Patient/123") binds a transaction to a Patient that exists instead of writing
    one. ``onto`` is a received Bundle of this case to write the facts back to: what is foreign in
    it stays, and its type, ids and references are its own; ``remove`` also removes what the case no longer
    has. ``now`` is the time of making where the case has no ``recorded``. ``optional_codes`` adds
    licensed SNOMED CT codings, which reading then returns as part of the case. ``report`` is
    filled, if given; ``tick`` is called once a resource, and may raise to end the work.

    Raises `MappingError` that lists everything wrong with the case or the options.
    """
    need_case(case)
    issues = [*_option_issues(bundle_type, mode, subject, now), *problems(case)]
    if issues:
        raise MappingError(issues)
    told, report = report is not None, report if report is not None else Report("case-to-fhir")
    if told:
        report.direction, report.total = "case-to-fhir", wire.leaves(dump_case(case))
        report.issues += plausibility(case)
    if onto is not None:
        report.mapped = report.total
        return write_onto(case, onto, remove=remove, now=now, optional_codes=optional_codes, report=report,
                          tick=tick)  # fmt: skip
    whole = case
    if case.literature is not None and (bundle_type == "transaction" or not literature):
        case = replace(case, literature=None)
        report.add("literature-excluded", path="case.literature", pointer="/literature")
    plans = list(plan(case))
    identify(case, plans)
    if subject is not None:
        plans = [planned for planned in plans if planned.key != "patient"]
        report.add("subject-bound", path="case.patient", pointer="/patient")
    to = writing(case, plans, subject or f"urn:uuid:{resource_id(case, 'Patient', 'patient')}", optional_codes)
    resources = []
    for p in plans:
        if tick is not None:
            tick()
        resources.append(p.table.write(p, to, told=True))
    recorded = case.recorded or now
    if bundle_type == "document":
        if recorded is None:
            raise MappingError(Issue("needs-time", path="case.recorded", pointer="/recorded"))
        resources.insert(0, composition(case, plans, to.subject, recorded))
    resources.append(software())
    targets = [f"urn:uuid:{resource['id']}" for resource in resources]
    resources.append(provenance(case, targets, f"urn:uuid:{SOFTWARE_ID}", recorded))
    urls = [*targets, f"urn:uuid:{resources[-1]['id']}"]
    entries = _entries(zip(urls, resources, strict=True), bundle_type, mode, report)
    if told:
        there = report.total if case is whole else wire.leaves(dump_case(case))
        report.mapped = there - (_patient_leaves(case) if subject is not None else 0)
    return frame(case, bundle_type, entries, recorded)


def _option_issues(bundle_type: str, mode: str, subject: str | None, now: str | None) -> list[Issue]:
    def wrong(name: str, expected: str) -> Issue:
        return Issue("bad-option", f"The option {name} has another value.", path=name, expected=expected)

    found = []
    if bundle_type not in TYPES:
        found.append(wrong("bundle_type", f"one of {', '.join(TYPES)}"))
    if mode not in MODES:
        found.append(wrong("mode", f"one of {', '.join(MODES)}"))
    if subject is not None and not (isinstance(subject, str) and _PATIENT.fullmatch(subject)):
        found.append(wrong("subject", "a reference to a Patient, such as Patient/123"))
    if subject is not None and bundle_type != "transaction":
        found.append(wrong("subject", "bundle_type transaction: other Bundles hold their Patient"))
    if now is not None and not (isinstance(now, str) and INSTANT.ok(now)):
        found.append(wrong("now", INSTANT.meaning))
    return found


def _patient_leaves(case: Case) -> int:
    patient = {name: v for name, v in dump_case(case)["patient"].items() if name != "ages"}
    return wire.leaves(patient) if patient else 0


def _entries(
    resources: Iterable[tuple[str, dict[str, Json]]], bundle_type: str, mode: str, report: Report
) -> list[dict[str, Json]]:
    entries: list[dict[str, Json]] = []
    for url, resource in resources:
        entry: dict[str, Json] = {"fullUrl": url, "resource": resource}
        if bundle_type == "transaction":
            entry["request"] = request(resource, conditional=mode == "conditional-update")
            if entry["request"]["method"] == "POST" and "ifNoneExist" not in entry["request"]:
                report.add("not-idempotent", path=f"Bundle.entry[{len(entries)}]", pointer=f"/entry/{len(entries)}")
        entries.append(entry)
    return entries
