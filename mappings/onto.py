"""Case -> received Bundle: the facts are written over what was read, everything foreign stays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from mappings import lens, wire
from mappings.account import bare
from mappings.case import Case
from mappings.check import plan
from mappings.codec import Unread
from mappings.composition import composition
from mappings.entries import REMOVED, put_back, where
from mappings.generated import SOFTWARE_ID, is_generated, provenance, request
from mappings.planning import identify, writing
from mappings.reading import Read, read
from mappings.received import cases_of
from mappings.report import Issue, Json, MappingError, Report
from mappings.resource import Node, Planned, Writing, adopt


def write_onto(
    case: Case,
    document: Any,
    *,
    remove: bool,
    now: str | None,
    optional_codes: bool,
    report: Report,
    tick: Callable[[], None] | None = None,
) -> dict[str, Json]:
    """The received document with the case's facts written over what was read from it."""
    document = wire.as_plain(document)
    was = read(document, None, (case.case_system, case.case_id), tick)
    _same_person(was, case, report)
    old = {id(node): was.written(node) for node, _ in was.matched}
    told = {id(node): was.written(node, told=True) for node, _ in was.matched if node.derived}
    plans = list(plan(case))
    identify(case, plans)
    matched = _match(was, plans, old)
    _refuse_no_place(was, case, matched, report)
    to = writing(case, plans, was.subject, optional_codes or was.optional_codes)
    changes = _changes(matched, old, to, report)
    found = {id(planned) for _, planned in matched}
    added = [planned for planned in plans if id(planned) not in found]
    for planned, parts in _implied(was, matched, changes):
        added += [planned] if planned is not None else []
        changes |= _changes(parts, old | told, to, report)
    _remaining(was, matched, changes, {p.item_key for p in plans}, remove, report)
    _keep_known(was, matched, changes)
    _repeat(was, changes)
    new = [p.table.write(p, _fresh(to), told=True) for p in added]
    changes |= _renewed(case, plans, was, now if changes or new else None, report)
    if not changes and not new:
        return document  # type: ignore[no-any-return]
    out = _add(was, put_back(document, changes), new)
    if out.pop("signature", None) is not None:
        report.add("signature-dropped", path="Bundle.signature", pointer="/signature")
    return out


def _changes(
    matched: list[tuple[Node, Planned]], old: dict[int, dict[str, Json]], to: Writing, report: Report
) -> dict[str, Json]:
    """The resources that differ, by their pointer; ``old`` is what the writer made of each as it was read."""
    changes = {}
    for node, planned in matched:
        resource = _rewrite(node, planned, old[id(node)], to, report)
        if resource is not node.resource:
            changes[node.pointer] = resource
    return changes


def _implied(
    was: Read, matched: list[tuple[Node, Planned]], changes: dict[str, Json]
) -> Iterator[tuple[Planned | None, list[tuple[Node, Planned]]]]:
    """What the document only implied and what no longer follows from it, to be written out: (item, its parts).

    That is the patient or a derived course with facts of its own now, and a course that the case no longer has or
    whose infusions another reading would group otherwise.
    """
    here = {id(node): planned for node, planned in matched}
    before = {id(node): planned.item for node, planned in was.matched}
    for node in was.nodes:
        if node.index >= 0:
            continue
        parts = [(part, planned) for part, planned in matched if part.owner is node]
        changed = changes.pop(node.pointer, None) is not None
        regrouped = any(_times(before[id(part)]) != _times(planned.item) for part, planned in parts if part.given)
        if changed or regrouped or id(node) not in here:
            yield here.get(id(node)), parts


def _times(item: Any) -> tuple[Any, ...]:
    """What the cycles of a derived course are made from, and what is made of it."""
    return tuple(getattr(item, name, None) for name in ("when", "cycle", "day", "part_of", "source"))


def _fresh(to: Writing) -> Writing:
    to.spelled = {}
    return to


def _match(was: Read, plans: list[Planned], old: dict[int, dict[str, Json]]) -> list[tuple[Node, Planned]]:
    """Each received resource with the resource of the case that it is; ids and references are the received ones.

    Of several resources of one item each keeps its share, or the key made of it, or else its place.
    """
    waiting: dict[str, list[Node]] = {}
    for node in was.nodes:
        waiting.setdefault(node.item_key, []).append(node)
    shares = {id(node): planned.share for node, planned in was.matched}
    found: dict[int, Node] = {}
    for fits in (
        lambda node, planned: shares[id(node)] == planned.share,
        lambda node, planned: node.key == planned.key,
        lambda node, planned: True,
    ):
        for planned in plans:
            nodes = waiting.get(planned.item_key, [])
            match = next((n for n in nodes if fits(n, planned)), None) if id(planned) not in found else None
            if match is not None and adopt(planned, match, was.ref(match)):
                nodes.remove(match)
                found[id(planned)] = match
    matched = [(found[id(planned)], planned) for planned in plans if id(planned) in found]
    there = {node.key for node in found.values()}
    renamed = _renamed(was, matched)
    for node in found.values():  # a reference keeps its spelling as long as its target stays what it was
        node.spelled = {
            key: spelling
            for key, spelling in node.spelled.items()
            if key in there and not (key in renamed and "?" in spelling)
        }
        for name in old[id(node)] if renamed else ():
            if _by_identifier(was, node, name) in renamed:
                old[id(node)] = old[id(node)] | {name: {}}
    return matched


def _renamed(was: Read, matched: list[tuple[Node, Planned]]) -> set[str]:
    """The keys of the items whose identifiers are others now: references by identifier lead to them no more."""
    before = {id(node): planned.item for node, planned in was.matched}
    found = [
        (node.key, before[id(node)], planned.item) for node, planned in matched if hasattr(planned.item, "identifiers")
    ]
    return {key for key, old, new in found if old.identifiers != new.identifiers}


def _by_identifier(was: Read, node: Node, name: str) -> str | None:
    """The key of what an element refers to by an identifier alone."""
    json = node.resource.get(name)
    if not isinstance(json, dict) or "reference" in json or not isinstance(json.get("identifier"), dict):
        return None
    try:
        target = was.received.resolve(json, node)
    except Unread:
        return None
    return target.key if target is not None else None


def _same_person(was: Read, case: Case, report: Report) -> None:
    """Refuse a document whose Patient is marked as that of other cases; say where one without a mark may be anyone."""
    patient, identity = was.received.patient, (case.case_system, case.case_id)
    marked = cases_of(patient)
    if marked and identity not in marked:
        raise _no_room("The Patient is that of another case.", "a Bundle of this case, by case_system and case_id")
    if not marked and was.received.identity != identity:
        report.add("other-identity", path=where(patient, ""), pointer=patient.pointer)


def _refuse_no_place(was: Read, case: Case, matched: list[tuple[Node, Planned]], report: Report) -> None:
    """What the case says and a received resource has no room for: refused; the time of recording is only told."""
    for node, planned in matched:
        for name in planned.table.unused if planned.table.alternate else ():
            if getattr(planned.item, name) not in (None, ()):
                raise _no_room(f"A received {node.type} has no place for {name} ({planned.key}).", "none")
    if case.recorded != was.case.recorded and not any(
        n.type == "Provenance" for n in was.all_nodes if is_generated(n.resource)
    ):
        report.add("no-place", path="case.recorded", pointer="/recorded")


def _keep_known(was: Read, matched: list[tuple[Node, Planned]], changes: dict[str, Json]) -> None:
    """A resource that was known by a code, and no more is, gets our profile: it stays the same item."""

    def now(node: Node) -> Json:
        resource = changes.get(node.pointer)
        return node.resource if resource is None or resource is REMOVED else resource

    for node, planned in matched if changes else ():
        if node.index < 0 or node.type == "Patient" or changes.get(node.pointer) is REMOVED:
            continue
        resource = now(node)
        meta = resource.get("meta", {})
        profiles = meta.get("profile", []) if isinstance(meta, dict) else None
        if not isinstance(profiles, list) or planned.table.profile in profiles:
            continue
        if was.received.by_code(node, now) is not planned.table:
            head = {name: resource[name] for name in ("resourceType", "id") if name in resource}
            changes[node.pointer] = (
                head
                | {"meta": meta | {"profile": [*profiles, planned.table.profile]}}
                | {name: value for name, value in resource.items() if name != "meta"}
            )


def _repeat(was: Read, changes: dict[str, Json]) -> None:
    """What a document holds twice, such as a patient on each page, is changed in each place."""
    inside: dict[str, list[str]] = {}
    for pointer in changes:
        inside.setdefault(pointer.partition("/contained/")[0], []).append(pointer)
    for node in was.all_nodes:
        if node.twin is not None:
            here = node.twin.pointer
            changes |= {node.pointer + pointer[len(here) :]: changes[pointer] for pointer in inside.get(here, ())}


def _rewrite(node: Node, planned: Planned, old: dict[str, Json], to: Writing, report: Report) -> dict[str, Json]:
    """One resource: what it was, with the difference between its old and its new facts."""
    to.spelled = node.spelled
    new = planned.table.write(planned, to)
    if wire.is_same_text(old, new):
        return node.resource
    plain = bare(node)
    merged = lens.merge(plain, old, new, _telling(report, node))
    if merged is plain:
        return node.resource
    for row in planned.table.rows:
        row.settle(merged, _telling(report, node))
    apart = {name: value for name, value in node.resource.items() if name not in plain}
    if "text" in apart:
        apart["text"] = planned.table.text(planned, merged.get("language", to.case.language), to.names)
    names = [n for n in node.resource if n in merged or n in apart] + [n for n in merged if n not in node.resource]
    return {name: apart[name] if name in apart else merged[name] for name in names}


def _telling(report: Report, node: Node) -> lens.Dropped:
    """Puts foreign content that goes with the element it hung on into the report."""

    def dropped(pointer: str, json: Json) -> None:
        report.add("rest-dropped", pointer=node.pointer + pointer, path=where(node, pointer),
                   leaves=wire.leaves(json), disposition="kept")  # fmt: skip

    return dropped


def _remaining(
    was: Read,
    matched: list[tuple[Node, Planned]],
    changes: dict[str, Json],
    items: set[str],
    remove: bool,
    report: Report,
) -> None:
    """What was read and is no longer in the case: kept, or removed on request; a part of an item that is, removed."""
    found = {id(node) for node, _ in matched}
    for node in was.nodes:
        if id(node) not in found and node.index >= 0:
            gone = remove or node.item_key in items
            if gone:
                changes[node.pointer] = REMOVED
            report.add("removed" if gone else "not-in-case", pointer=node.pointer, path=where(node, ""))


def _no_room(message: str, expected: str) -> MappingError:
    return MappingError(Issue("bad-option", message, path="onto", expected=expected))


def _add(was: Read, document: dict[str, Json], new: list[dict[str, Json]]) -> dict[str, Json]:
    """The document, a copy, with new resources as entries at the end of its Bundle."""
    document = dict(document)
    if not new:
        return document
    if document["resourceType"] != "Bundle":
        raise _no_room("The document has no room for the case's new resources.", "a Bundle")
    patient = was.received.patient
    if patient.container is not None:
        raise _no_room("The Patient is inside another resource; new ones cannot refer to it.", "the Patient as entry")
    asked = document.get("type") in ("transaction", "batch")
    if asked and any(resource["resourceType"] == "Patient" for resource in new):
        raise _no_room("The Patient lives elsewhere; to write it anew would replace it.", "the whole Patient")
    entries: list[Json] = [
        ({"fullUrl": url} if (url := _url(was, resource)) else {}) | {"resource": resource} for resource in new
    ]
    if asked:
        entries = [entry | {"request": request(entry["resource"], conditional=False)} for entry in entries]
    document["entry"] = [*document.get("entry", []), *entries]
    return document


def _url(was: Read, resource: dict[str, Json]) -> str | None:
    """The fullUrl of a new entry; of a Patient that was only referred to, the address that the references have."""
    if resource["resourceType"] != "Patient":
        return f"urn:uuid:{resource['id']}"
    url = was.received.patient.full_url or ""
    return url if ":" in url else None


def _spellings(was: Read, node: Node, json: Json) -> Iterator[tuple[str, str]]:
    """(reference as the document at large spells it, reference as this resource does) of all that lead somewhere."""
    if isinstance(json, dict) and isinstance(json.get("reference"), str):
        try:
            target = was.received.resolve(json, node)
        except Unread:
            target = None
        if target is not None:
            yield was.ref(target), json["reference"]
    for inner in json.values() if isinstance(json, dict) else json if isinstance(json, list) else ():
        yield from _spellings(was, node, inner)


def _respelled(json: Json, spelled: dict[str, str]) -> Json:
    """The same with its references spelled so."""
    if isinstance(json, dict):
        return {
            name: spelled.get(value, value) if name == "reference" else _respelled(value, spelled)
            for name, value in json.items()
        }
    return [_respelled(one, spelled) for one in json] if isinstance(json, list) else json


def _renewed(case: Case, plans: list[Planned], was: Read, now: str | None, report: Report) -> dict[str, Json]:
    """Our own Provenance and Composition, if the document has them, speak of what it now holds."""
    device = was.software_ref() or f"urn:uuid:{SOFTWARE_ID}"
    ours = [node for node in was.all_nodes if is_generated(node.resource)]
    changes = {}
    for node in ours:
        made = []
        for of, planned, time in ((was.case, was.plans, was.case.recorded), (case, plans, case.recorded or now)):
            if node.type == "Provenance":
                refs = [was.ref(n) for n in ours if n.type == "Composition"] + [p.ref for p in planned]
                refs += [was.ref(n) for n in ours if n.type == "Device"]
                made.append(provenance(of, refs, device, time))
            elif node.type == "Composition":
                made.append(composition(of, planned, was.subject, time or was.case.recorded or ""))
        if made:
            spelled = dict(_spellings(was, node, node.resource))
            old, new = (_respelled(json, spelled) for json in made)
            resource = lens.merge(node.resource, old, new, _telling(report, node))
            if resource is not node.resource:
                changes[node.pointer] = resource
    return changes
