"""A received bundle: its entries as nodes, which table each belongs to, what a reference means."""

from __future__ import annotations

import re
import uuid
from typing import Any

from mappings.case import TABLES
from mappings.codec import Unread
from mappings.concepts.patient import PATIENT
from mappings.generated import NAMESPACE, PROVENANCE, is_generated
from mappings.report import Issue, Json, MappingError
from mappings.resource import CASE_ITEM, Node, ResourceMap, known, members, slug
from mappings.terms import BASE
from mappings.values import SLUG, URI

_BY_PROFILE: dict[str, ResourceMap] = {table.profile: table for table in TABLES}
_BY_CODE: dict[tuple[str, str], dict[tuple[Any, Any], ResourceMap]] = {}
for _table in TABLES:
    if _table.known_by is not None:
        _path, _pairs = _table.known_by
        _BY_CODE.setdefault((_table.type, _path), {}).update(dict.fromkeys(_pairs, _table))

_RESTFUL = re.compile(r"(https?://.+/)([A-Z][A-Za-z]+)/([A-Za-z0-9.-]{1,64})")
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


def check_bundle(document: Json) -> list[tuple[str, Json]]:
    """(pointer, entry) of a Bundle's entries; raises `MappingError` for what is no R4 Bundle."""
    if not isinstance(document, dict) or not isinstance(document.get("resourceType"), str):
        raise MappingError(Issue("not-fhir", "There is no resourceType.", expected="a FHIR R4 Bundle"))
    if document["resourceType"] != "Bundle":
        raise MappingError(
            Issue(
                "not-fhir",
                f"A {_shown(document['resourceType'])} is no Bundle.",
                path="resourceType",
                pointer="/resourceType",
                expected="a FHIR R4 Bundle",
            )
        )
    entries = document.get("entry", [])
    if not isinstance(entries, list):
        raise MappingError(Issue("wrong-type", path="Bundle.entry", pointer="/entry", expected="an array"))
    issues = []
    for index, entry in enumerate(entries):
        resource = entry.get("resource") if isinstance(entry, dict) else None
        pointer = f"/entry/{index}/resource"
        if resource is not None and not (isinstance(resource, dict) and isinstance(resource.get("resourceType"), str)):
            issues.append(
                Issue("not-fhir", "The entry's resource has no resourceType.", f"Bundle.entry[{index}]", pointer)
            )
        elif resource is not None:
            issues += _version_issues(resource, index, pointer)
    if issues:
        raise MappingError(issues)
    return [(f"/entry/{i}/resource", entry) for i, entry in enumerate(entries) if isinstance(entry, dict)]


def _shown(type_: str) -> str:
    return type_ if re.fullmatch(r"[A-Z][A-Za-z]{1,40}", type_) else "resource"


def _version_issues(resource: dict[str, Json], index: int, pointer: str) -> list[Issue]:
    type_ = resource["resourceType"]
    tells = {name: version for name, version in _OTHER_VERSIONS.get(type_, {}).items() if name in resource}
    found = [(f"{type_}.{name}", f"{pointer}/{name}", version) for name, version in tells.items()]
    if type_ in _OTHER_TYPES:
        found = [(type_, pointer, _OTHER_TYPES[type_])]
    return [
        Issue("other-version", f"This is {version}: {what}.", f"Bundle.entry[{index}].resource", where, "FHIR R4 4.0.1")
        for what, where, version in found
    ]


class Received:
    """The entries of a bundle as nodes, indexed; the patient found; each node given its table."""

    def __init__(self, document: dict[str, Json], patient: str | None) -> None:
        self.document = document
        self.nodes = [
            self._node(index, pointer, entry)
            for index, (pointer, entry) in enumerate(check_bundle(document))
            if isinstance(entry.get("resource"), dict)
        ]
        self._index()
        self.patient = self._one_patient(patient)
        self.identity = _identity(self.patient)
        for node in self.nodes:
            if not is_generated(node.resource):
                node.table = self._table(node)
        self._name()

    @staticmethod
    def _node(index: int, pointer: str, entry: dict[str, Json]) -> Node:
        resource = entry["resource"]
        url = entry.get("fullUrl")
        return Node(index, pointer, resource, resource["resourceType"], url if isinstance(url, str) else None, "", "")

    def _index(self) -> None:
        self._by_url: dict[str, list[Node]] = {}
        self._by_local: dict[str, list[Node]] = {}
        for node in self.nodes:
            if node.full_url is not None:
                self._by_url.setdefault(node.full_url, []).append(node)
            if isinstance(node.resource.get("id"), str):
                self._by_local.setdefault(f"{node.type}/{node.resource['id']}", []).append(node)

    def _one_patient(self, wanted: str | None) -> Node:
        patients = [node for node in self.nodes if node.type == "Patient"]
        if wanted is not None:
            patients = [
                n for n in patients if wanted in (n.full_url, n.resource.get("id"), f"Patient/{n.resource.get('id')}")
            ]
        if len(patients) == 1:
            return patients[0]
        where = ", ".join(f"entry {node.index}" for node in patients[:20])
        if patients:
            raise MappingError(
                Issue("several-patients", f"Patients at {where}.", "Bundle.entry", "/entry", "one Patient")
            )
        raise MappingError(Issue("no-patient", path="Bundle.entry", pointer="/entry", expected="one Patient"))

    def _table(self, node: Node) -> ResourceMap | None:
        if node.type == "Patient":
            return PATIENT if node is self.patient else None
        meta = node.resource.get("meta")
        profiles = meta.get("profile") if isinstance(meta, dict) else None
        for profile in profiles if isinstance(profiles, list) else ():
            table = _BY_PROFILE.get(profile) if isinstance(profile, str) else None
            if table is not None and table.type == node.type:
                return table
        for (type_, path), tables in _BY_CODE.items():
            if type_ == node.type:
                for pair in sorted(known(node.resource, path) & tables.keys(), key=str):
                    return tables[pair]
        return None

    def _name(self) -> None:
        """Give each node its key: its own from the case's identifier, else one made from its id."""
        counts: dict[str, int] = {}
        for node in self.nodes:
            node.key = _own_key(node, self.identity) or _made_key(node)
            counts[node.key] = counts.get(node.key, 0) + 1
        for node in self.nodes:
            if counts[node.key] > 1:
                node.key = f"{node.key[:55]}-{_hash(node)}"
            if node is self.patient:
                node.key = "patient"
            shared = node.table is not None and node.table.spread is not None
            node.item_key = node.key.partition(".")[0] if shared else node.key

    def resolve(self, json: Json, node: Node) -> Node | None:
        """The entry that a Reference means; None if it leads out of the bundle."""
        ref = json.get("reference") if isinstance(json, dict) else None
        if not isinstance(ref, str):
            return None
        base = ref.partition("/_history/")[0]
        found = self._by_url.get(base)
        if found is None and not base.startswith(("#", "urn:", "http:", "https:")):
            root = _RESTFUL.fullmatch(node.full_url or "")
            found = self._by_url.get(root[1] + base) if root else None
            found = found or self._by_local.get(base)
        if found is not None and len(found) > 1:
            raise Unread("ambiguous-reference", "The reference fits several entries.", "one entry")
        return found[0] if found else None

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
        return sorted(self.nodes, key=lambda node: places.get(id(node), len(self.nodes) + node.index))


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
    what = node.full_url or f"{node.type}/{node.resource.get('id', node.index)}"
    return uuid.uuid5(NAMESPACE, what).hex[:8]
