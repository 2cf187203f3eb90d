"""A FHIR document of any shape as a list of nodes: Bundles of every type, pages, single resources, contained ones.

What only other versions of FHIR have is refused by name. Nothing is fetched, nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from mappings.codec import Unread
from mappings.lens import fhirpath
from mappings.report import Issue, Json, MappingError
from mappings.resource import Node

#: Members that only other versions of FHIR have, by resource type: what gives a sender's version away.
_OTHER_VERSIONS = {
    "MedicationAdministration": {
        "patient": "DSTU2", "wasNotGiven": "DSTU2", "effectiveTimeDateTime": "DSTU2", "effectiveTimePeriod": "DSTU2",
        "notGiven": "STU3", "prescription": "STU3", "medication": "R5", "occurenceDateTime": "R5",
        "occurencePeriod": "R5",
    },
    "Condition": {"dateRecorded": "DSTU2", "patient": "DSTU2", "assertedDate": "STU3", "assertedDateTime": "STU3"},
    "MedicationStatement": {"patient": "DSTU2", "wasNotTaken": "DSTU2", "taken": "STU3", "adherence": "R5",
                            "medication": "R5"},
    "Procedure": {"notDone": "STU3", "notPerformed": "DSTU2", "occurrenceDateTime": "R5", "occurrencePeriod": "R5"},
    "Observation": {"comments": "DSTU2", "comment": "STU3", "related": "STU3", "triggeredBy": "R5"},
    "Encounter": {"indication": "STU3", "subjectStatus": "R5", "actualPeriod": "R5"},
    "Medication": {"package": "STU3", "isBrand": "STU3", "product": "DSTU2"},
}  # fmt: skip
_OTHER_TYPES = {"MedicationOrder": "DSTU2", "ProcedureRequest": "STU3", "ReferralRequest": "STU3",
                "MedicationUsage": "R5", "BodySite": "STU3"}  # fmt: skip


def nodes_of(document: Json) -> list[Node]:
    """The resources of a document; raises `MappingError` for what is no R4 resource, all faults at once."""
    if not _is_resource(document):
        raise MappingError(Issue("not-fhir", "There is no resourceType.", expected="a FHIR R4 Bundle or resource"))
    issues: list[Issue] = []
    nodes = list(_walk(document, "", document["resourceType"], None, issues))
    for node in nodes:
        issues += _version_issues(node)
    if issues:
        raise MappingError(issues)
    for index, node in enumerate(nodes):
        node.index = index
    return nodes + [inner for node in nodes for inner in _contained(node)]


def _is_resource(json: Json) -> bool:
    return isinstance(json, dict) and isinstance(json.get("resourceType"), str)


def _walk(json: dict[str, Json], pointer: str, path: str, url: str | None, issues: list[Issue]) -> Iterator[Node]:
    """The resources below one: the entries of a Bundle, the pages in Parameters, else itself."""
    if json["resourceType"] not in ("Bundle", "Parameters"):
        yield Node(0, pointer, path, json, json["resourceType"], url)
        return
    name = "entry" if json["resourceType"] == "Bundle" else "parameter"
    listed = json.get(name, [])
    if not isinstance(listed, list):
        issues.append(Issue("wrong-type", path=f"{path}.{name}", pointer=f"{pointer}/{name}", expected="an array"))
        return
    found: list[Node] = []
    for index, entry in enumerate(listed):
        resource = entry.get("resource") if isinstance(entry, dict) else None
        here, where = f"{pointer}/{name}/{index}/resource", f"{path}.{name}[{index}].resource"
        if isinstance(resource, dict) and _is_resource(resource):
            full_url = entry.get("fullUrl")
            found += _walk(resource, here, where, full_url if isinstance(full_url, str) else None, issues)
        elif resource is not None or not isinstance(entry, dict):
            issues.append(Issue("not-fhir", "The entry's resource has no resourceType.", where, here))
    if json.get("type") == "history":
        _superseded(found, listed)
    yield from found


def _superseded(nodes: list[Node], entries: list[Json]) -> None:
    """Of a history only the newest version of each resource is read, and none that was deleted after it.

    A history lists the newest first (FHIR http.html#history); the time of change decides where each has one.
    """
    deleted: dict[str, str] = {}
    for entry in entries:
        request = entry.get("request") if isinstance(entry, dict) else None
        if isinstance(request, dict) and request.get("method") == "DELETE" and isinstance(request.get("url"), str):
            response = entry.get("response")
            when = response.get("lastModified") if isinstance(response, dict) else None
            deleted.setdefault(request["url"].rpartition("/_history")[0] or request["url"], str(when or "~"))
    newest: dict[str, tuple[str, Node]] = {}
    for node in nodes:
        name = f"{node.type}/{node.resource.get('id')}"
        meta = node.resource.get("meta")
        when = str(meta.get("lastUpdated") or "") if isinstance(meta, dict) else ""
        if name in deleted and deleted[name] >= when:
            node.refused = Unread("deleted", "The resource was deleted later.")
            continue
        held = newest.get(name)
        if held is not None:
            older = node if when <= held[0] else held[1]
            older.refused = Unread("older-version", "A newer version of the resource is in the history.")
        if held is None or when > held[0]:
            newest[name] = (when, node)


def _contained(node: Node) -> Iterator[Node]:
    listed = node.resource.get("contained") if node.refused is None else None
    if isinstance(listed, list) and all(map(_is_resource, listed)):
        for index, json in enumerate(listed):
            pointer, path = f"{node.pointer}/contained/{index}", f"{node.path}.contained[{index}]"
            yield Node(node.index, pointer, path, json, json["resourceType"], None, container=node)
            node.holds = True


def _version_issues(node: Node) -> list[Issue]:
    tells = {name: version for name, version in _OTHER_VERSIONS.get(node.type, {}).items() if name in node.resource}
    found = [(f"{node.type}.{name}", f"{node.pointer}/{name}", version) for name, version in tells.items()]
    if node.type in _OTHER_TYPES:
        found = [(node.type, node.pointer, _OTHER_TYPES[node.type])]
    return [
        Issue("other-version", f"This is {version}: {what}.", node.path, where or "/", "FHIR R4 4.0.1")
        for what, where, version in found
    ]


# --- putting resources back ---------------------------------------------------------------------

REMOVED: Any = object()


def put_back(document: Json, changes: dict[str, Json]) -> Json:
    """The document with the elements at these pointers replaced, or `REMOVED` from their list; nothing else copied.

    A Bundle's entry goes as a whole when its resource is removed.
    """
    tree: dict[Any, Any] = {}
    for pointer in sorted(changes, key=lambda p: p.count("/")):
        steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
        if changes[pointer] is REMOVED and steps and steps[-1] == "resource":
            steps.pop()
        here = tree
        for step in steps:
            here = here.setdefault(step, {})
        here[None] = changes[pointer]
    return _apply(document, tree)


def _apply(json: Json, tree: dict[Any, Any]) -> Json:
    json = tree.get(None, json)
    inner = {step: sub for step, sub in tree.items() if step is not None}
    if not inner or json is REMOVED:
        return json
    if isinstance(json, dict):
        return {name: _apply(value, inner[name]) if name in inner else value for name, value in json.items()}
    made = [_apply(value, inner[str(i)]) if str(i) in inner else value for i, value in enumerate(json)]
    return [value for value in made if value is not REMOVED]


_TYPE = re.compile(r"[A-Z][A-Za-z]{1,40}")


def type_shown(type_: str) -> str:
    """A resource type as a message may show it."""
    return type_ if _TYPE.fullmatch(type_) else "A resource"


def where(node: Node, pointer: str) -> str:
    """A pointer into a node as a FHIRPath from the document."""
    return node.path + fhirpath(pointer)
