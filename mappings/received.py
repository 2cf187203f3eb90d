"""A received bundle: its entries as nodes, which table each belongs to, what a reference means."""

from __future__ import annotations

import re
import uuid
from typing import Any
from urllib.parse import unquote

from mappings import lens
from mappings.case import ALTERNATES, TABLES
from mappings.codec import Unread, pairs
from mappings.concepts.patient import PATIENT
from mappings.entries import nodes_of
from mappings.generated import NAMESPACE, PROVENANCE, is_generated
from mappings.report import Issue, Json, MappingError
from mappings.resource import CASE_ITEM, Node, ResourceMap, members, slug
from mappings.terms import BASE
from mappings.values import SLUG, URI

_BY_PROFILE: dict[str, ResourceMap] = {table.profile: table for table in TABLES}
#: resource type -> element -> code -> the table it belongs to, and how nearly
_BY_CODE: dict[str, dict[str, dict[tuple[str, str], tuple[ResourceMap, str]]]] = {}
for _table in (*TABLES, *ALTERNATES):
    if _table.known_by is not None:
        _path, _terms = _table.known_by
        _known = _BY_CODE.setdefault(_table.type, {}).setdefault(_path, {})
        for _term in _terms:
            for _pair, _how in [*((p, "") for p in _term.pairs), *_term.loose.items()]:
                _known.setdefault(_pair, (_table, _how))

_RESTFUL = re.compile(r"(https?://.+/)([A-Z][A-Za-z]+)/([A-Za-z0-9.-]{1,64})")
#: Elements that name the subject of a resource.
_SUBJECTS = ("subject", "patient")


class Received:
    """The entries of a bundle as nodes, indexed; the patient found; each node given its table."""

    def __init__(self, document: Json, patient: str | None, identity: tuple[str, str] | None = None) -> None:
        self.document = document
        self.nodes = nodes_of(document)
        self._index()
        self.patient = self._one_patient(patient, identity)
        self.identity = _identity(self.patient)
        #: every node, and the patient where only references name one
        self.everyone = self.nodes if self.patient.index >= 0 else [self.patient, *self.nodes]
        for node in self.everyone:
            if node.refused is None and not is_generated(node.resource):
                node.table = self._table(node)
        self._name()

    def _index(self) -> None:
        self._by_url: dict[str, list[Node]] = {}
        self._by_local: dict[str, list[Node]] = {}
        self._by_identifier: dict[tuple[str, str], list[Node]] = {}
        self._contained: dict[tuple[int, str], Node] = {}
        for node in self.nodes:
            id_ = node.resource.get("id")
            if node.refused is not None:
                continue
            if node.container is not None:
                self._contained[(id(node.container), f"#{id_}")] = node
                continue
            if node.full_url is not None:
                twins = self._by_url.setdefault(node.full_url, [])
                if twins and lens.same(twins[0].resource, node.resource):
                    node.refused = Unread("duplicate-entry", "The same resource stands in the document before.")
                    continue
                twins.append(node)
            if isinstance(id_, str):
                self._by_local.setdefault(f"{node.type}/{id_}", []).append(node)
            for one in members(node.resource, "identifier"):
                pair = (one.get("system"), one.get("value"))
                if isinstance(pair[0], str) and isinstance(pair[1], str):
                    self._by_identifier.setdefault(pair, []).append(node)  # type: ignore[arg-type]

    def _one_patient(self, wanted: str | None, identity: tuple[str, str] | None) -> Node:
        """The Patient; without one, the subject that all resources name and of whom nothing else is known."""
        patients = [n for n in self.nodes if n.type == "Patient" and n.refused is None and n.container is None]
        patients = patients or self._named_patient()
        if wanted is not None:
            names = ((n.full_url, n.resource.get("id"), f"Patient/{n.resource.get('id')}") for n in patients)
            patients = [n for n, name in zip(patients, names, strict=True) if wanted in name]
        if len(patients) > 1 and identity is not None:
            patients = [n for n in patients if _identity(n) == identity] or patients
        if len(patients) == 1:
            return patients[0]
        if patients:
            found = f"Patients at {', '.join(f'entry {node.index}' for node in patients[:20])}."
            raise MappingError(Issue("several-patients", found, "Bundle.entry", "/entry", "one Patient"))
        raise MappingError(Issue("no-patient", path="Bundle.entry", pointer="/entry", expected="one Patient"))

    def _named_patient(self) -> list[Node]:
        """A Patient that is not in the document, if every subject that is told is the same one."""
        refs = set()
        for node in self.nodes:
            for name in _SUBJECTS:
                json = node.resource.get(name)
                ref = json.get("reference") if isinstance(json, dict) else None
                if isinstance(ref, str) and (node.type, name) != ("Provenance", "patient"):
                    refs.add(_base(ref))
        ref = refs.pop() if len(refs) == 1 else ""
        match = re.fullmatch(r"(.*/)?Patient/([A-Za-z0-9.-]{1,64})", ref)
        if match is None:
            return []
        node = Node(-1, "(subject)", "Patient", {"resourceType": "Patient", "id": match[2]}, "Patient", ref)
        self._by_url[ref] = [node]
        return [node]

    def _table(self, node: Node) -> ResourceMap | None:
        if node.type == "Patient":
            if node is self.patient:
                return PATIENT
            node.refused = Unread("other-subject", "Another Patient.")
            return None
        meta = node.resource.get("meta")
        profiles = meta.get("profile") if isinstance(meta, dict) else None
        for profile in profiles if isinstance(profiles, list) else ():
            table = _BY_PROFILE.get(profile) if isinstance(profile, str) else None
            if table is not None and table.type == node.type:
                return table
        for path, tables in _BY_CODE.get(node.type, {}).items():
            for pair in self.codes(node, path):
                if pair in tables:
                    table, how = tables[pair]
                    if how:
                        node.notes.append(("inexact-code", f"The code {pair[1]} is {how} than what it is read as."))
                    return table
        return None

    def codes(self, node: Node, path: str) -> list[tuple[Any, Any]]:
        """The codes at an element, in order; those of the Medication where a reference stands for it."""
        json = node.resource.get(path)
        reference = node.resource.get("medicationReference")
        if path == "medicationCodeableConcept" and json is None and isinstance(reference, dict):
            try:
                target = self.resolve(reference, node)
            except Unread:
                return []
            json = target.resource.get("code") if target is not None else None
        concepts = json if isinstance(json, list) else [json]
        return [pair for one in concepts if isinstance(one, dict) for pair in pairs(one.get("coding"))]

    def _name(self) -> None:
        """Give each node its key: its own from the case's identifier, else one made from its id."""
        counts: dict[str, int] = {}
        for node in self.everyone:
            node.key = _own_key(node, self.identity) or _made_key(node)
            counts[node.key] = counts.get(node.key, 0) + 1
        for node in self.everyone:
            if counts[node.key] > 1:
                node.key = f"{node.key[:55]}-{_hash(node)}"
            if node is self.patient:
                node.key = "patient"
            shared = node.table is not None and node.table.spread is not None
            node.item_key = node.key.partition(".")[0] if shared else node.key

    def add(self, node: Node) -> None:
        """Add a node that the document only implies."""
        self.everyone = [*self.everyone, node]
        self._by_url[str(node.full_url)] = [node]

    def resolve(self, json: Json, node: Node) -> Node | None:
        """The resource that a Reference means; None if it leads out of the document."""
        ref = json.get("reference") if isinstance(json, dict) else None
        if not isinstance(ref, str):
            return self._by_its_identifier(json)
        owner = node.container or node
        if ref.startswith("#"):
            return self._contained.get((id(owner), ref)) or (owner if ref == "#" else None)
        if "?" in ref:
            return self._conditional(ref)
        found = self._by_url.get(_base(ref))
        if found is None and not ref.startswith(("urn:", "http:", "https:")):
            root = _RESTFUL.fullmatch(owner.full_url or "")
            found = self._by_url.get(root[1] + _base(ref)) if root else None
            found = found or self._by_local.get(_base(ref))
        return _only(found, ref)

    def _by_its_identifier(self, json: Json) -> Node | None:
        """A reference that has only an identifier."""
        found = json.get("identifier") if isinstance(json, dict) else None
        if not isinstance(found, dict):
            return None
        pair = (found.get("system"), found.get("value"))
        return _only(self._by_identifier.get(pair), "") if all(isinstance(p, str) for p in pair) else None  # type: ignore[arg-type]

    def _conditional(self, ref: str) -> Node | None:
        """A conditional reference, such as ``Patient?identifier=system|value``."""
        match = re.fullmatch(r"([A-Za-z]+)\?identifier=([^|&]*)\|([^&]*)", unquote(ref))
        found = self._by_identifier.get((match[2], match[3]), []) if match else []
        return _only([node for node in found if match and node.type == match[1]], "")

    def order(self) -> list[Node]:
        """The nodes in the order of the case: that of our Provenance where there is one, else of the entries."""
        places: dict[int, int] = {}
        for node in self.nodes:
            if node.type == "Provenance" and PROVENANCE in (node.resource.get("meta") or {}).get("profile", ()):
                targets = node.resource.get("target")
                for place, json in enumerate(targets if isinstance(targets, list) else ()):
                    target = self.resolve(json, node)
                    if target is not None:
                        places.setdefault(id(target), place)
        return sorted(self.everyone, key=lambda node: places.get(id(node), len(self.nodes) + node.index))


def _base(ref: str) -> str:
    return ref.partition("/_history/")[0]


def _only(found: list[Node] | None, ref: str) -> Node | None:
    """The one node; several are never guessed between, and a version that is not there is not found."""
    if not found:
        return None
    if len(found) > 1:
        raise Unread("ambiguous-reference", "The reference fits several entries.", "one entry")
    version = ref.partition("/_history/")[2]
    meta = found[0].resource.get("meta")
    held = meta.get("versionId") if isinstance(meta, dict) else None
    return None if version and held is not None and held != version else found[0]


def _identity(patient: Node) -> tuple[str, str]:
    """(case_system, case_id): from the case's own identifier, else from where the patient lives."""
    for system, case_id, _ in _case_items(patient):
        return system, case_id
    id_ = patient.resource.get("id")
    root = _RESTFUL.fullmatch(patient.full_url or "")
    if root:
        return root[1].rstrip("/"), root[3]
    name = id_ if isinstance(id_, str) else (patient.full_url or "patient")
    return f"{BASE}/sid/received", slug(name)


def _case_items(node: Node) -> list[tuple[str, str, str]]:
    """(case_system, case_id, key) of the identifiers that mark the resource as an item of a case."""
    found = []
    for json in members(node.resource, "identifier"):
        marks = [e.get("valueString") for e in members(json, "extension") if e.get("url") == CASE_ITEM]
        system, value = json.get("system"), json.get("value")
        if marks and isinstance(marks[0], str) and isinstance(system, str) and isinstance(value, str):
            case_id = value.removesuffix(f"/{marks[0]}")
            if case_id != value and SLUG.ok(case_id) and URI.ok(system):
                found.append((system, case_id, marks[0]))
    return found


_OWN_KEY = re.compile(r"[a-z][a-z0-9-]{0,63}(\.[a-z0-9-]{1,64})*")


def _own_key(node: Node, identity: tuple[str, str]) -> str | None:
    for system, case_id, key in _case_items(node):
        if (system, case_id) == identity and _OWN_KEY.fullmatch(key):
            return key
    return None


def _made_key(node: Node) -> str:
    """A key from the resource's id, the same at every reading; a hash where the id is no key."""
    id_ = node.resource.get("id")
    name = id_ if isinstance(id_, str) else ""
    key = f"{node.type.lower()}-{slug(name)}"
    exact = slug(name) == name and len(key) <= 64
    return key if exact else f"{key[:55].rstrip('-')}-{_hash(node)}"


def _hash(node: Node) -> str:
    what = node.full_url or f"{node.path if node.container else ''}{node.type}/{node.resource.get('id', node.pointer)}"
    return uuid.uuid5(NAMESPACE, what).hex[:8]
