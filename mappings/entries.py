"""A FHIR document of any shape as a list of nodes: Bundles of every type, pages, single resources, contained ones.

What only other versions of FHIR have is refused by name. Nothing is fetched, nothing is guessed.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from mappings.codec import Unread
from mappings.lens import fhirpath, frozen
from mappings.report import Issue, Json, MappingError, Severity
from mappings.resource import Node, members
from mappings.values import INSTANT, in_order
from mappings.versions import version_issues
from mappings.wire import steps

#: How much it matters that a request of a transaction or batch is not carried out.
_SEVERITY: dict[str, Severity] = {"GET": "information", "HEAD": "information"}


class Entries(NamedTuple):
    """The resources of a document, and what is worth a word about the document itself."""

    nodes: list[Node]
    notices: list[Issue]


def entries_of(document: Json) -> Entries:
    """The resources of a document; raises `MappingError` for what is no R4 resource, all faults at once."""
    if not _is_resource(document):
        raise MappingError(Issue("not-fhir", "There is no resourceType.", expected="a FHIR R4 Bundle or resource"))
    walk = _Walk()
    walk.resource(document, "", document["resourceType"], None)
    walk.supersede()
    nodes = walk.nodes
    for index, node in enumerate(nodes):
        node.index = index
    nodes = nodes + [inner for node in nodes for inner in _contained(node)]
    issues = walk.issues + [issue for node in nodes for issue in version_issues(node)]
    if issues:
        raise MappingError(issues)
    return Entries(nodes, walk.notices + walk.incomplete())


def _is_resource(json: Json) -> bool:
    return isinstance(json, dict) and isinstance(json.get("resourceType"), str)


class _Version(NamedTuple):
    """One version of a resource in a history; no node: its deletion."""

    number: int | None
    time: str | None
    node: Node | None

    def is_newer(self, than: _Version) -> bool:
        """By number, else by time; where neither tells, the one that stands first is newer (FHIR http.html#history)."""
        if self.number is not None and than.number is not None and self.number != than.number:
            return self.number > than.number
        if self.time is not None and than.time is not None:
            return in_order(than.time, self.time) and not in_order(self.time, than.time)
        return False


_DELETED = Unread("deleted", "The resource was deleted later.")
_OLDER = Unread("older-version", "A newer version of the resource is in the document.")
_TWICE = Unread("duplicate-entry", "The same resource stands in the document before.")
_OTHER = Unread("same-url", "Another entry is the same resource with another content.", "one entry, or versions")


def _version(told: list[str | None], node: Node | None) -> _Version:
    """A version by the number and the time that are told of it."""
    number, time = told
    whole = re.fullmatch(r'(?:W/)?"?([0-9]{1,18})"?', number or "")  # an ETag is W/"3"
    return _Version(int(whole[1]) if whole else None, time if time and INSTANT.ok(time) else None, node)


def _newest(versions: list[_Version]) -> _Version:
    newest = versions[0]
    for version in versions[1:]:
        newest = version if version.is_newer(newest) else newest
    return newest


def _once(nodes: list[Node]) -> None:
    """Of entries that are one resource the newest is read; of those that differ and tell no version, none.

    Patients stay: which of them is meant is asked later.
    """
    seen: dict[Any, _Version] = {}
    for node in nodes:
        text = frozen(node.resource)
        if text in seen:
            node.refused, node.twin = _TWICE, seen[text].node
        else:
            seen[text] = _version(_strings(node.resource.get("meta"), "versionId", "lastUpdated"), node)
    versions = list(seen.values())
    newest = _newest(versions)
    older = {id(version.node) for version in versions if newest.is_newer(version)}
    differ = len(older) + 1 < len(versions) and nodes[0].type != "Patient"
    for version in versions:
        if version.node is not None and (id(version.node) in older or differ):
            version.node.refused = _OLDER if id(version.node) in older else _OTHER


class _Walk:
    """One walk through a document: its resources, what refuses it, and what is worth a word."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.issues: list[Issue] = []
        self.notices: list[Issue] = []
        self._versions: dict[str, list[_Version]] = {}
        #: of each Bundle: where it stands, and its links by relation
        self._pages: list[tuple[str, str, dict[str, str]]] = []

    def resource(self, json: dict[str, Json], pointer: str, path: str, url: str | None) -> None:
        """The resources below one: the entries of a Bundle, the pages in Parameters, else itself."""
        if json["resourceType"] == "Bundle":
            self._pages.append((pointer, path, _links(json)))
            self._listed(json, "entry", pointer, path)
        elif json["resourceType"] == "Parameters":
            self._listed(json, "parameter", pointer, path)
        else:
            self.nodes.append(Node(0, pointer, path, json, json["resourceType"], url))

    def _listed(self, json: dict[str, Json], name: str, pointer: str, path: str) -> None:
        listed = json.get(name, [])
        if not isinstance(listed, list):
            self.issues.append(
                Issue("wrong-type", path=f"{path}.{name}", pointer=f"{pointer}/{name}", expected="an array")
            )
            return
        for index, entry in enumerate(listed):
            here, where = f"{pointer}/{name}/{index}", f"{path}.{name}[{index}]"
            if not isinstance(entry, dict):
                self.issues.append(Issue("not-fhir", "The entry is no JSON object.", where, here))
                continue
            before = len(self.nodes)
            self._entry(entry, json.get("type"), here, where)
            if json.get("type") == "history":
                self._version(entry, self.nodes[before:])
            if name != "entry" and "part" in entry:
                self._listed(entry, "part", here, where)

    def _entry(self, entry: dict[str, Json], kind: Json, pointer: str, path: str) -> None:
        resource, url, method = entry.get("resource"), entry.get("fullUrl"), _request(entry).get("method")
        asked = kind in ("transaction", "batch") and isinstance(method, str)
        if asked and (resource is None or method == "PATCH"):  # a patch is no resource of its own
            self.notices.append(Issue("request-only", path=path, pointer=pointer, severity=_SEVERITY.get(str(method))))
        elif isinstance(resource, dict) and _is_resource(resource):
            self.resource(resource, f"{pointer}/resource", f"{path}.resource", url if isinstance(url, str) else None)
        elif resource is not None:
            where = f"{path}.resource", f"{pointer}/resource"
            self.issues.append(Issue("not-fhir", "The entry's resource has no resourceType.", *where))

    def _version(self, entry: dict[str, Json], nodes: list[Node]) -> None:
        """Note which version of which resource an entry of a history holds, or that it deletes one."""
        number, time = _strings(entry.get("response"), "etag", "lastModified")
        if _request(entry).get("method") == "DELETE":
            for node in nodes:
                node.refused = Unread("deleted", "The resource was deleted.")
            self._note(_local(_request(entry).get("url")), number, time, None)
            return
        for node in nodes:
            own_number, own_time = _strings(node.resource.get("meta"), "versionId", "lastUpdated")
            name = f"{node.type}/{node.resource.get('id', node.pointer)}"
            self._note(name, own_number or number, own_time or time, node)

    def _note(self, name: str, number: str | None, time: str | None, node: Node | None) -> None:
        self._versions.setdefault(name, []).append(_version([number, time], node))

    def supersede(self) -> None:
        """Read each resource once: of a history the newest version, and none that was deleted after it."""
        for versions in self._versions.values():
            newest = _newest(versions)
            for version in versions:
                if version.node is not None and version is not newest:
                    version.node.refused = _DELETED if newest.node is None else _OLDER
        twins: dict[str, list[Node]] = {}
        for node in self.nodes:
            id_ = node.resource.get("id")
            name = node.full_url or (f"{node.type}/{id_}" if isinstance(id_, str) else None)
            if node.refused is None and name is not None:
                twins.setdefault(name, []).append(node)
        for nodes in twins.values():
            if len(nodes) > 1:
                _once(nodes)

    def incomplete(self) -> list[Issue]:
        """Each page that has a next one, which is not in the document."""
        found = []
        here = {links["self"] for _, _, links in self._pages if "self" in links}
        for place, (pointer, path, links) in enumerate(self._pages):
            follows = self._pages[place + 1][2] if place + 1 < len(self._pages) else None
            if "next" in links and links["next"] not in here and (follows is None or "self" in follows):
                found.append(Issue("incomplete-page", path=f"{path}.link", pointer=f"{pointer}/link"))
        return found


def _links(json: dict[str, Json]) -> dict[str, str]:
    """relation -> url."""
    links = [_strings(one, "relation", "url") for one in members(json, "link")]
    return {relation: url for relation, url in links if relation is not None and url is not None}


def _request(entry: dict[str, Json]) -> dict[str, Json]:
    request = entry.get("request")
    return request if isinstance(request, dict) else {}


def _strings(json: Json, *names: str) -> list[str | None]:
    """The strings among the members of what may be an object."""
    values = [json.get(name) if isinstance(json, dict) else None for name in names]
    return [value if isinstance(value, str) else None for value in values]


def _local(url: Json) -> str:
    """``Type/id`` of the URL of a request, relative or absolute, with or without a version."""
    steps = (url if isinstance(url, str) else "").partition("/_history")[0].split("/")
    return "/".join(steps[-2:])


def _contained(node: Node) -> list[Node]:
    """The resources inside one; malformed ones stay a part of it."""
    listed = node.resource.get("contained") if node.refused is None else None
    if not isinstance(listed, list) or not listed or not all(map(_is_resource, listed)):
        return []
    node.holds = True
    return [
        Node(node.index, f"{node.pointer}/contained/{index}", f"{node.path}.contained[{index}]", json,
             json["resourceType"], None, container=node)
        for index, json in enumerate(listed)
    ]  # fmt: skip


# --- putting resources back ---------------------------------------------------------------------

REMOVED: Any = object()


def put_back(document: Json, changes: dict[str, Json]) -> Json:
    """The document with the elements at these pointers replaced, or `REMOVED` from their list; nothing else copied.

    A Bundle's entry goes as a whole when its resource is removed.
    """
    tree: dict[Any, Any] = {}
    for pointer in sorted(changes, key=lambda p: p.count("/")):
        way = steps(pointer)
        if changes[pointer] is REMOVED and way and way[-1] == "resource":
            way.pop()
        here = tree
        for step in way:
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
