"""Case -> received Bundle: the facts are written over what was read, everything foreign stays."""

from __future__ import annotations

from typing import Any

from mappings import lens, wire
from mappings.case import Case
from mappings.check import plan
from mappings.composition import composition
from mappings.generated import SOFTWARE_ID, is_generated, provenance, request
from mappings.planning import identify, with_text, writing
from mappings.reading import Read, read
from mappings.report import Json, Report
from mappings.resource import Node, Planned, Writing


def write_onto(
    case: Case, bundle: Any, *, remove: bool, now: str | None, optional_codes: bool, report: Report
) -> dict[str, Json]:
    """The received Bundle with the case's facts written over what was read from it."""
    bundle = wire.as_plain(bundle)
    was = read(bundle, None)
    plans = list(plan(case))
    identify(case, plans)
    matched = _match(was, plans)
    to = writing(case, plans, was.subject, optional_codes or was.optional_codes)
    written = {id(node): _rewrite(was, node, planned, to, report) for node, planned in matched}
    found = {id(planned) for _, planned in matched}
    added = [planned for planned in plans if id(planned) not in found]
    _remaining(was, written, {p.key for p in added}, remove, report)
    new = [
        with_text(planned.table.write(planned, _fresh(to)), planned.table.text(planned, case.language))
        for planned in added
    ]
    out = _assemble(bundle, was, written, new)
    if written_anew(was, written) or new:
        _renew_generated(case, plans, was, out, now)
        if out.pop("signature", None) is not None:
            report.add("signature-dropped", path="Bundle.signature", pointer="/signature")
    return out


def written_anew(was: Read, written: dict[int, Any]) -> bool:
    """Whether any received resource changed."""
    return any(written.get(id(node), node.resource) is not node.resource for node in was.all_nodes)


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


def _renew_generated(case: Case, plans: list[Planned], was: Read, out: dict[str, Json], now: str | None) -> None:
    """Our own Provenance and Composition, if the bundle has them, speak of what the bundle now holds."""
    device = was.software_ref() or f"urn:uuid:{SOFTWARE_ID}"
    extra = [node for node in was.all_nodes if is_generated(node.resource) and node.type in ("Composition", "Device")]
    for index, entry in enumerate(out["entry"]):
        node = next((n for n in was.all_nodes if n.index == index), None)
        if node is None or not is_generated(node.resource) or node.resource is not entry.get("resource"):
            continue
        made = []
        for of, planned, recorded in ((was.case, was.plans, was.case.recorded), (case, plans, case.recorded or now)):
            time = recorded or was.case.recorded
            if node.type == "Provenance":
                refs = [was.ref(n) for n in extra if n.type == "Composition"] + [p.ref for p in planned]
                refs += [was.ref(n) for n in extra if n.type == "Device"]
                made.append(provenance(of, refs, device, time))
            elif node.type == "Composition":
                made.append(composition(of, planned, was.subject, time or ""))
        if made:
            resource = lens.merge(node.resource, made[0], made[1], lambda pointer, json: None)
            out["entry"][index] = entry | {"resource": resource}
