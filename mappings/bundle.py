"""Case -> Bundle, and case -> received Bundle: references, stable ids, entry order. No clinical knowledge."""

from __future__ import annotations

import re
from typing import Any

from mappings import lens, wire
from mappings.case import Case
from mappings.check import plan, problems
from mappings.generated import (
    SOFTWARE_ID,
    frame,
    is_generated,
    labels,
    provenance,
    request,
    resource_id,
    software,
)
from mappings.reading import Read, read
from mappings.report import Issue, Json, MappingError, Report
from mappings.resource import Node, Planned, Writing
from mappings.schema import dump_case
from mappings.values import INSTANT

TYPES = ("collection", "transaction")
MODES = ("put", "conditional-update")


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
) -> dict[str, Json]:
    """The case as a FHIR R4 Bundle of plain JSON values; numbers are `Decimal`.

    ``bundle_type`` is ``collection`` or ``transaction`` (``mode`` ``put`` or
    ``conditional-update``). ``subject`` ("Patient/123") binds to a Patient that exists instead of
    writing one. ``onto`` is a received Bundle to write the facts back to; what is foreign in it
    stays; ``remove`` also removes what the case no longer has. ``now`` is the time of making
    where the case has no ``recorded``. ``optional_codes`` adds licensed SNOMED CT codings, which
    reading then returns as part of the case. ``report`` is filled, if given.

    Raises `MappingError` that lists everything wrong with the case or the options.
    """
    issues = [*_option_issues(bundle_type, mode, subject, now), *problems(case)]
    if issues:
        raise MappingError(issues)
    report = report if report is not None else Report("case-to-fhir")
    report.direction = "case-to-fhir"
    if onto is not None:
        return write_onto(case, onto, remove=remove, now=now, optional_codes=optional_codes, report=report)
    plans = list(plan(case))
    _identify(case, plans)
    if subject is not None:
        plans = [planned for planned in plans if planned.key != "patient"]
        report.add("subject-bound", path="case.patient", pointer="/patient")
    to = _writing(case, plans, subject or f"urn:uuid:{resource_id(case, 'Patient', 'patient')}", optional_codes)
    resources = [_with_text(p.table.write(p, to), p.table.text(p, case.language)) for p in plans]
    recorded = case.recorded or now
    resources += [software(case)]
    targets = [f"urn:uuid:{resource['id']}" for resource in resources]
    resources.append(provenance(case, targets, f"urn:uuid:{SOFTWARE_ID}", recorded))
    entries = _entries(resources, bundle_type, mode, report)
    report.total = lens.leaves(dump_case(case))
    report.mapped = report.total - (_patient_leaves(case) if subject is not None else 0)
    return frame(case, bundle_type, entries, recorded)


def _option_issues(bundle_type: str, mode: str, subject: str | None, now: str | None) -> list[Issue]:
    def wrong(name: str, expected: str) -> Issue:
        return Issue("bad-option", f"The option {name} has another value.", path=name, expected=expected)

    found = []
    if bundle_type not in TYPES:
        found.append(wrong("bundle_type", f"one of {', '.join(TYPES)}"))
    if mode not in MODES:
        found.append(wrong("mode", f"one of {', '.join(MODES)}"))
    if subject is not None and not re.fullmatch(r"(https?://[^\s|]+/)?Patient/[A-Za-z0-9.-]{1,64}", subject):
        found.append(wrong("subject", "a reference to a Patient, such as Patient/123"))
    if subject is not None and bundle_type != "transaction":
        found.append(wrong("subject", "bundle_type transaction: other Bundles hold their Patient"))
    if now is not None and not INSTANT.ok(now):
        found.append(wrong("now", INSTANT.meaning))
    return found


def _patient_leaves(case: Case) -> int:
    patient = {name: v for name, v in dump_case(case)["patient"].items() if name != "ages"}
    return lens.leaves(patient) if patient else 0


def _identify(case: Case, plans: list[Planned]) -> None:
    """Give each resource its id and reference; two with one id are an error."""
    ids: dict[str, Planned] = {}
    for planned in plans:
        planned.id = resource_id(case, planned.table.type, planned.key)
        planned.ref = f"urn:uuid:{planned.id}"
        if planned.id in ids:
            raise MappingError(Issue("id-collision", path=f"key {planned.key}", expected="shares with distinct names"))
        ids[planned.id] = planned


def _writing(case: Case, plans: list[Planned], subject: str, optional_codes: bool) -> Writing:
    by_key: dict[str, list[Planned]] = {}
    for planned in plans:
        by_key.setdefault(planned.item_key, []).append(planned)
    return Writing(case, by_key, subject, optional_codes, lambda: labels(case))


def _with_text(resource: dict[str, Json], text: dict[str, Json]) -> dict[str, Json]:
    """The resource with its narrative behind the language, where FHIR has it."""
    out: dict[str, Json] = {}
    for name, value in resource.items():
        out[name] = value
        if name == "language":
            out["text"] = text
    return out


def _entries(resources: list[dict[str, Json]], bundle_type: str, mode: str, report: Report) -> list[dict[str, Json]]:
    entries: list[dict[str, Json]] = []
    for resource in resources:
        entry: dict[str, Json] = {"fullUrl": f"urn:uuid:{resource['id']}", "resource": resource}
        if bundle_type == "transaction":
            entry["request"] = request(resource, conditional=mode == "conditional-update")
            if entry["request"]["method"] == "POST" and "ifNoneExist" not in entry["request"]:
                report.add("not-idempotent", path=f"Bundle.entry[{len(entries)}]", pointer=f"/entry/{len(entries)}")
        entries.append(entry)
    return entries


# --- writing onto a received bundle -------------------------------------------------------------


def write_onto(
    case: Case, bundle: Any, *, remove: bool, now: str | None, optional_codes: bool, report: Report
) -> dict[str, Json]:
    """The received Bundle with the case's facts written over what was read from it."""
    bundle = wire.as_plain(bundle)
    was = read(bundle, None)
    plans = list(plan(case))
    _identify(case, plans)
    matched = _match(was, plans)
    to = _writing(case, plans, was.subject, optional_codes or was.optional_codes)
    written = {id(node): _rewrite(was, node, planned, to, report) for node, planned in matched}
    found = {id(planned) for _, planned in matched}
    added = [planned for planned in plans if id(planned) not in found]
    _remaining(was, written, {p.key for p in added}, remove, report)
    new = [
        _with_text(planned.table.write(planned, _fresh(to)), planned.table.text(planned, case.language))
        for planned in added
    ]
    out = _assemble(bundle, was, written, new)
    _renew_provenance(case, was, out, [p.ref for p in plans], now)
    report.total = report.mapped = lens.leaves(dump_case(case))
    return out


def _fresh(to: Writing) -> Writing:
    to.spelled = {}
    return to


def _match(was: Read, plans: list[Planned]) -> list[tuple[Node, Planned]]:
    """Each received resource with the resource of the case that it is; ids and references are the received ones."""
    by_key = {node.key: node for node in was.nodes}
    found = []
    for planned in plans:
        node = by_key.get(planned.key)
        if node is None and planned.share is not None:
            node = by_key.get(planned.item_key)
            if node is not None and planned.share not in node.into.get(planned.table.spread.field, ()):  # type: ignore[union-attr]
                node = None
        if node is not None and node.table is planned.table:
            id_ = node.resource.get("id")
            planned.id = id_ if isinstance(id_, str) else planned.id
            planned.key, planned.ref = node.key, was.ref(node)
            found.append((node, planned))
    return found


def _rewrite(was: Read, node: Node, planned: Planned, to: Writing, report: Report) -> dict[str, Json]:
    """One resource: what it was, with the difference between its old and its new facts."""
    to.spelled = node.spelled
    new = planned.table.write(planned, to)
    bare = was.bare(node)

    def dropped(pointer: str, json: Json) -> None:
        report.add("rest-dropped", pointer=node.pointer + pointer, path=was.path(node, pointer),
                   leaves=lens.leaves(json), disposition="kept")  # fmt: skip

    merged = lens.merge(bare, was.written[id(node)], new, dropped)
    if merged is bare:
        return node.resource
    text = node.resource.get("text")
    if "text" in bare or text is None:
        return merged  # type: ignore[no-any-return]
    made = planned.table.text(planned, merged.get("language", to.case.language))
    return {name: made if name == "text" else merged.get(name) for name in _order(node.resource, merged)}


def _order(old: dict[str, Json], new: dict[str, Json]) -> list[str]:
    """The members of ``new`` and the narrative, in the order of ``old``, new ones behind."""
    return [n for n in old if n in new or n == "text"] + [n for n in new if n not in old]


def _remaining(was: Read, written: dict[int, Any], added: set[str], remove: bool, report: Report) -> None:
    """What was read but is no longer in the case: kept, or removed on request or if its type changed."""
    for node in was.nodes:
        if id(node) in written or node.table is None:
            continue
        gone = remove or node.key in added
        if gone:
            written[id(node)] = None
        report.add("removed" if gone else "not-in-case", pointer=node.pointer, path=was.path(node, ""))


def _assemble(bundle: Any, was: Read, written: dict[int, Any], new: list[dict[str, Json]]) -> dict[str, Json]:
    """The bundle with its rewritten resources in place, removed ones gone, new ones at the end."""
    by_index = {node.index: written[id(node)] for node in was.all_nodes if id(node) in written}
    entries = []
    for index, entry in enumerate(bundle.get("entry", [])):
        if index not in by_index:
            entries.append(entry)
        elif by_index[index] is not None:
            same = by_index[index] is entry["resource"]
            entries.append(entry if same else {n: by_index[index] if n == "resource" else v for n, v in entry.items()})
    for resource in new:
        entry = {"fullUrl": f"urn:uuid:{resource['id']}", "resource": resource}
        if bundle.get("type") in ("transaction", "batch"):
            entry["request"] = request(resource, conditional=False)
        entries.append(entry)
    return {name: entries if name == "entry" else value for name, value in bundle.items()}


def _renew_provenance(case: Case, was: Read, out: dict[str, Json], refs: list[str], now: str | None) -> None:
    """Our own Provenance, if the bundle has one, names what the bundle now holds."""
    for index, entry in enumerate(out["entry"]):
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(resource, dict) and resource.get("resourceType") == "Provenance" and is_generated(resource):
            node = next((n for n in was.all_nodes if n.resource is resource), None)
            if node is None:
                continue
            device = was.software_ref()
            extra = [device] if device else []
            old = provenance(was.case, [*was.refs, *extra], device or "", was.case.recorded)
            new = provenance(case, [*refs, *extra], device or "", case.recorded or now or was.case.recorded)
            for json in (old, new):
                json.pop("text")
            merged = lens.merge(resource, old, new, lambda pointer, json: None)
            if merged is not resource:
                out["entry"][index] = entry | {"resource": merged}
