"""A received bundle: its entries as nodes, which table each belongs to, what a reference means."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cached_property
from typing import Any

from mappings.case import ALTERNATES, TABLES
from mappings.codec import Unread, pairs
from mappings.concepts.patient import PATIENT
from mappings.doubts import doubt, is_part
from mappings.entries import entries_of
from mappings.generated import NAMESPACE, is_generated
from mappings.index import RESTFUL, Index, absolute
from mappings.report import Issue, Json, MappingError
from mappings.resource import CASE_ITEM, Node, ResourceMap, members, slug
from mappings.terms import BASE
from mappings.values import SLUG, URI

_BY_PROFILE: dict[str, ResourceMap] = {table.profile: table for table in (*TABLES, *ALTERNATES)}
#: resource type -> element -> code -> the table it belongs to, and how nearly
_BY_CODE: dict[str, dict[str, dict[tuple[str, str], tuple[ResourceMap, str]]]] = {}
for _table in (*TABLES, *ALTERNATES):
    if _table.known_by is not None:
        _path, _terms = _table.known_by
        _known = _BY_CODE.setdefault(_table.type, {}).setdefault(_path, {})
        for _term in _terms:
            for _pair, _how in [*((p, "") for p in _term.pairs), *_term.loose.items()]:
                _known.setdefault(_pair, (_table, _how))

#: What the report says of what a document only implies.
IMPLIED = ("course-derived", "cycle-grouped", "panel-derived")
#: Elements that name the subject of a resource.
_SUBJECTS = ("subject", "patient")
_ASK = "Ask for one of these, by its id, Patient/id or fullUrl."
_PATIENT = re.compile(r"(.*/)?Patient/([A-Za-z0-9.-]{1,64})")


class Received:
    """The entries of a bundle as nodes, indexed; the patient found; each node given its table."""

    def __init__(self, document: Json, patient: str | None, identity: tuple[str, str] | None = None) -> None:
        self.document = document
        self.nodes, self.notices = entries_of(document)
        self.index = Index(self.nodes)
        #: the resource that a Reference of a node means; None if it leads out of the document
        self.resolve = self.index.resolve
        self.patient = self._one_patient(patient, identity)
        self.identity = self._agreed() or _identity(self.patient, identity)
        #: every node, and the patient where only references name one
        self.everyone = self.nodes if self.patient.index >= 0 else [self.patient, *self.nodes]
        for node in self.everyone:
            if node.refused is None and not is_generated(node.resource):
                node.table = self._table(node)
                if node.table is not None and (error := doubt(node, node.table, self.patient, self.index)):
                    node.table, node.refused = None, error
                if is_part(node.resource) and not cases_of(node):
                    node.notes.append(("subsetted", ""))
        self._name()

    def _one_patient(self, wanted: str | None, identity: tuple[str, str] | None) -> Node:
        """The Patient; without one, the subject that the resources name, and of whom little else is known."""
        patients = [n for n in self.nodes if n.type == "Patient" and n.refused is None and n.container is None]
        patients = everyone = patients or self._subjects()
        #: whether there are others: then what names no subject may be theirs
        self.several = len(everyone) > 1
        if wanted is not None:
            names = ((n.full_url, n.resource.get("id"), f"Patient/{n.resource.get('id')}") for n in patients)
            patients = [n for n, name in zip(patients, names, strict=True) if wanted in name]
        if len(patients) > 1 and identity is not None:
            patients = [n for n in patients if _identity(n, identity) == identity] or patients
        if len(patients) == 1:
            if patients[0].index < 0:
                self.index.add(patients[0])
            return patients[0]
        root = self.document["resourceType"]
        path, pointer = (f"{root}.entry", "/entry") if root == "Bundle" else (root, "")
        found = f"Patients at {', '.join(_place(node) for node in (patients or everyone)[:20])}."
        if patients:
            raise MappingError(Issue("several-patients", found, path, pointer, "one Patient"))
        issue = Issue("no-patient", "", path, pointer, "one Patient")
        if everyone:
            issue = replace(issue, message=f"None is the Patient that is asked for. {found}", remedy=_ASK)
        raise MappingError(issue)

    def _agreed(self) -> tuple[str, str] | None:
        """The identity of the case where the patient is not in the document and all that is marked names one case."""
        found = {case for node in self.nodes for case in cases_of(node)} if self.patient.index < 0 else set()
        return found.pop() if len(found) == 1 else None

    @property
    def head(self) -> dict[str, Json]:
        """The resource that has the language and the labels of the case: the patient, or what this adapter made."""
        ours = [node for node, _ in self.provenances] if self.patient.index < 0 else []
        return (ours or [self.patient])[0].resource

    def _subjects(self) -> list[Node]:
        """The patients that the resources name as their subject and that are no entries: contained, or elsewhere."""
        found: dict[Any, Node] = {}
        for node in self.nodes:
            for json in (node.resource.get(name) for name in _SUBJECTS):
                ref = json.get("reference") if isinstance(json, dict) else None
                if not isinstance(ref, str) or node.refused is not None:
                    continue
                if ref.startswith("#"):
                    inside = self.index.resolve(json, node)
                    if inside is not None and inside.type == "Patient":
                        found.setdefault(id(inside), inside)
                    continue
                url = absolute(ref, node.container or node)
                if url not in found and (match := _PATIENT.fullmatch(url)):
                    resource = {"resourceType": "Patient", "id": match[2]}
                    found[url] = Node(-1, f"(subject of {_place(node)})", "Patient", resource, "Patient", url)
        return list(found.values())

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
        return self.by_code(node)

    def by_code(self, node: Node, changed: Callable[[Node], Json] = lambda node: node.resource) -> ResourceMap | None:
        """The table that a code of another system leads to: the first exact one, else the first that nearly fits."""
        found = [
            (*tables[pair], pair[1])
            for path, tables in _BY_CODE.get(node.type, {}).items()
            for pair in self.codes(node, path, changed)
            if pair in tables
        ]
        exact = [table for table, how, _ in found if not how]
        if any(table is not exact[0] for table in exact):
            node.notes.append(("code-conflict", ""))
        if found and not exact:
            table, how, code = found[0]
            node.notes.append(("inexact-code", f"The code {code} is read as what it nearly means ({how})."))
            return table
        return exact[0] if exact else None

    def codes(
        self, node: Node, path: str, changed: Callable[[Node], Json] = lambda node: node.resource
    ) -> list[tuple[Any, Any]]:
        """The codes at an element, in order; those of the Medication where a reference stands for it.

        ``changed`` says what a resource is now, if not what was received.
        """
        json = changed(node).get(path)
        if path == "medicationCodeableConcept" and json is None:
            target = self.medication(node, changed)
            json = changed(target).get("code") if target is not None and not is_withdrawn(target) else None
        concepts = json if isinstance(json, list) else [json]
        return [pair for one in concepts if isinstance(one, dict) for pair in pairs(one.get("coding"))]

    def medication(self, node: Node, changed: Callable[[Node], Json] = lambda node: node.resource) -> Node | None:
        """The Medication that stands for the drug of a resource, if one does."""
        reference = changed(node).get("medicationReference")
        return next(iter(self.meant(node, [reference] if isinstance(reference, dict) else [])), None)

    def _name(self) -> None:
        """Give each node its key: its own from the case's identifier, else one made from its id."""
        nodes = [node for node in self.everyone if node.table is not None]
        counts: dict[str, int] = {}
        for node in nodes:
            node.key = _own_key(node, self.identity) or _made_key(node)
            counts[node.key] = counts.get(node.key, 0) + 1
        taken = {"patient"}
        for node in nodes:
            if counts[node.key] > 1:
                node.key = f"{node.key[:55]}-{hash_of(node)}"
            if node is self.patient:
                node.key = "patient"
            elif node.key in taken:
                node.key = f"{node.key[:55]}-{hash_of(node, node.pointer)}"
            taken.add(node.key)
            shared = node.table is not None and node.table.spread is not None
            node.item_key = node.key.partition(".")[0] if shared else node.key

    def add(self, node: Node) -> None:
        """Add a node that the document only implies."""
        self.everyone = [*self.everyone, node]
        self.index.add(node)

    def forget(self) -> None:
        """Take back what was only implied, and what that gave to others."""
        for node in self.everyone:
            if node.index < 0 and node is not self.patient:
                self.index.drop(node)
            if node.given:
                node.given, node.owner, node.slot, node.derived = False, None, "", ()
                node.notes = [note for note in node.notes if note[0] not in IMPLIED]
        self.everyone = [node for node in self.everyone if node.index >= 0 or node is self.patient]

    def strays(self) -> list[Node]:
        """Of several patients' resources those that may be another's: nothing says whose they are."""
        if not self.several:
            return []
        told = {key for node in self.everyone if node.table is not None for key in node.spelled}
        read = [node for node in self.nodes if node.table not in (None, PATIENT) and node.owner is None]
        return [node for node in read if self._may_be_anothers(node, told)]

    def _may_be_anothers(self, node: Node, told: set[str]) -> bool:
        """Whether it names no subject, and is neither marked as of this case nor ``told`` of by what is read."""
        if any(name in node.resource for name in _SUBJECTS):
            return False
        marked = cases_of(node)
        return self.identity not in marked if marked else node.key not in told

    @cached_property
    def provenances(self) -> list[tuple[Node, list[Node]]]:
        """Our own Provenances of this patient, with the resources that each tells of, in their order."""
        ours = [node for node in self.nodes if node.type == "Provenance" and is_generated(node.resource)]
        found = [(node, self.meant(node, members(node.resource, "target"))) for node in ours]
        return [(node, targets) for node, targets in found if not self.several or self.patient in targets]

    def meant(self, node: Node, references: Iterable[Json]) -> list[Node]:
        """The resources that some references of a node mean, without those that lead out or are ambiguous."""
        found = []
        for json in references:
            try:
                target = self.resolve(json, node)
            except Unread:
                continue
            if target is not None:
                found.append(target)
        return found

    def order(self) -> list[Node]:
        """The nodes in the order of the case: that of our Provenance where there is one, else of the entries."""
        places: dict[int, int] = {}
        for _, targets in self.provenances:
            for place, target in enumerate(targets):
                places.setdefault(id(target), place)
        return sorted(self.everyone, key=lambda node: places.get(id(node), len(self.nodes) + node.index))


def is_withdrawn(node: Node) -> bool:
    """Whether the resource takes back what it says."""
    return node.resource.get("status") == "entered-in-error"


def _place(node: Node) -> str:
    """Where a node stands, in words: entry 3; parameter 0 entry 1."""
    if node.index < 0:
        return node.pointer.strip("()")
    return " ".join(step for step in node.pointer.split("/")[1:] if step != "resource") or "the document"


def _identity(patient: Node, wanted: tuple[str, str] | None = None) -> tuple[str, str]:
    """(case_system, case_id): from the case's own identifier, the wanted or the first, else from where it lives."""
    marked = cases_of(patient)
    if marked:
        return wanted if wanted is not None and wanted in marked else marked[0]
    id_ = patient.resource.get("id")
    root = RESTFUL.fullmatch(patient.full_url or "")
    if root and URI.ok(root[1]) and SLUG.ok(root[3]):
        return root[1].rstrip("/"), root[3]
    name = id_ if isinstance(id_, str) else (patient.full_url or "patient")
    if patient.container is not None:  # its id means nothing outside
        name = f"{patient.container.resource.get('id', patient.container.type)}-{name}"
    return f"{BASE}/sid/received", name if SLUG.ok(name) else slug(name)


def _marked(node: Node) -> list[tuple[str, str, str]]:
    """(system, value, key) of the identifiers that may mark the resource as an item of a case."""
    found = []
    for json in members(node.resource, "identifier"):
        for mark in members(json, "extension"):
            if mark.get("url") == CASE_ITEM:
                system, value, key = json.get("system"), json.get("value"), mark.get("valueString")
                if isinstance(system, str) and isinstance(value, str) and isinstance(key, str):
                    found.append((system, value, key))
                break
    return found


def cases_of(node: Node) -> list[tuple[str, str]]:
    """(case_system, case_id) of the cases that the resource is marked as an item of."""
    told = [(system, value.removesuffix(f"/{key}")) for system, value, key in _marked(node)
            if value.endswith(f"/{key}")]  # fmt: skip
    return [(system, case_id) for system, case_id in told if SLUG.ok(case_id) and URI.ok(system)]


_OWN_KEY = re.compile(r"[a-z][a-z0-9-]{0,63}(\.[a-z0-9-]{1,64})*")


def _own_key(node: Node, identity: tuple[str, str]) -> str | None:
    for system, value, key in _marked(node):
        if (system, value) == (identity[0], f"{identity[1]}/{key}") and _OWN_KEY.fullmatch(key):
            return key
    return None


def _made_key(node: Node) -> str:
    """A key from the resource's id, the same at every reading; a hash where the id is no key."""
    id_ = node.resource.get("id")
    name = id_ if isinstance(id_, str) else ""
    key = f"{node.type.lower()}-{slug(name)}"
    exact = slug(name) == name and len(key) <= 64
    return key if exact else f"{key[:55].rstrip('-')}-{hash_of(node)}"


def hash_of(node: Node, also: str = "") -> str:
    """Eight hex digits of where the resource lives: its fullUrl, else its type and id, in its container."""
    here = node.full_url or f"{node.type}/{node.resource.get('id', node.pointer)}"
    owner = node.container
    if owner is not None:
        here = f"{owner.full_url or owner.type + '/' + str(owner.resource.get('id', owner.pointer))}#{here}"
    return uuid.uuid5(NAMESPACE, here + also).hex[:8]
