"""A patient's resources out of a FHIR server, all pages of them, as one Bundle."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote, urljoin, urlsplit

from adapter.client import Server
from adapter.settings import url_parts
from mappings import Issue, MappingError
from mappings.case import TABLES
from mappings.report import Json
from mappings.resource import members

Bundle = dict[str, Json]
PAGE = 200
MOST_PAGES, MOST_RESOURCES = 1000, 50_000
#: what a case is made of
TYPES = tuple(sorted({table.type for table in TABLES} | {"Provenance"}))
#: what is fetched because something refers to it; never another Patient
NAMED = frozenset(TYPES) - {"Patient", "Group"} | {"Organization", "Practitioner", "PractitionerRole", "Location"}
_ID = re.compile(r"(?:Patient/)?([A-Za-z0-9.-]{1,64})")
_REFERENCE = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9.-]{1,64})(?:/_history/.*)?")


def patient_id(server: Server, patient: str | None, identifier: str | None) -> str:
    """The id of the one Patient that is meant: by id, or by ``system|value``; raises `MappingError`."""
    if identifier is not None:
        bundle = server.get(f"Patient?identifier={quote(identifier, safe='')}")
        found = [entry["resource"] for entry in members(bundle, "entry") if isinstance(entry.get("resource"), dict)]
        ids = [str(one.get("id")) for one in found if one.get("resourceType") == "Patient"]
        if len(ids) != 1:
            code = "several-patients" if ids else "no-patient"
            raise MappingError(Issue(code, f"{len(ids)} Patients have the identifier.", server.base))
        return ids[0]
    match = _ID.fullmatch(patient or "")
    if match is None:
        raise MappingError(Issue("bad-option", path="--patient", expected="an id, or Patient/id"))
    return match[1]


def fetch(server: Server, patient: str) -> Bundle:
    """Everything about the Patient with this id, and what it refers to, as one searchset Bundle.

    By `$everything` where the server states it, else by a search a type. Raises `MappingError`.
    """
    found = _Found(server)
    stated = server.resources
    operations = {str(one.get("name")).lstrip("$") for one in members(stated.get("Patient"), "operation")}
    if "everything" in operations:
        found.add(f"Patient/{patient}/$everything")
    else:
        found.keep(f"{server.base}/Patient/{patient}", {"resource": server.get(f"Patient/{patient}")})
        for type_ in TYPES:
            if type_ != "Patient" and (not stated or type_ in stated) and (name := _subject(stated.get(type_, {}))):
                found.add(f"{type_}?{name}=Patient/{patient}&_count={PAGE}")
    while missing := sorted(found.missing()):
        for type_, id_ in missing:
            found.read(type_, id_)
    return {"resourceType": "Bundle", "type": "searchset", "entry": list(found.entries.values())}


def _subject(stated: dict[str, Json]) -> str | None:
    """By which parameter a type is found for a patient; None where it is found by reference only."""
    names = [one.get("name") for one in members(stated, "searchParam")]
    return next((name for name in ("patient", "subject") if name in names), None) if names else "patient"


class _Found:
    """What has come so far, by where it lives."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.entries: dict[str, Bundle] = {}
        self.tried: set[tuple[str, str]] = set()

    def keep(self, url: str, entry: Bundle) -> None:
        self.entries.setdefault(url, {"fullUrl": url, **entry})
        if len(self.entries) > MOST_RESOURCES:
            raise MappingError(Issue("page-refused", f"{self.server.base}: more than {MOST_RESOURCES} resources."))

    def add(self, path: str) -> None:
        """The entries of every page of an answer."""
        for bundle in self._pages(path):
            for entry in members(bundle, "entry"):
                if isinstance(resource := entry.get("resource"), dict):
                    url = f"{self.server.base}/{resource.get('resourceType')}/{resource.get('id')}"
                    self.keep(str(entry.get("fullUrl", url)), entry)

    def _pages(self, path: str) -> Iterator[Bundle]:
        """Page by page; a page of another host, one that was there before, and too many of them are refused."""
        base, seen, url = self.server.base, set[str](), path
        while url:
            bundle = self.server.get(url)
            if bundle.get("resourceType") != "Bundle":
                raise MappingError(self.server.strange("a Bundle of type searchset", path.partition("?")[0]))
            yield bundle
            nexts = [str(link.get("url")) for link in members(bundle, "link") if link.get("relation") == "next"]
            if not nexts:
                return
            seen.add(url)
            url = urljoin(f"{base}/", nexts[0]) if url_parts(nexts[0]).geturl() else ""
            if urlsplit(url)[:2] != urlsplit(base)[:2]:
                there = urlsplit(url).hostname
                raise MappingError(Issue("page-refused", f"{base}: the next page is on another host, {there}."))
            if url in seen or len(seen) >= MOST_PAGES:
                raise MappingError(Issue("page-refused", f"{base}: the pages do not end."))

    def missing(self) -> set[tuple[str, str]]:
        """Type and id of what is referred to and is not here."""
        resources = [entry["resource"] for entry in self.entries.values()]
        here = {(resource.get("resourceType"), resource.get("id")) for resource in resources}
        named = {pair for pair in self._named(resources) if pair[0] in NAMED}
        return named - here - self.tried

    def _named(self, json: Json) -> Iterator[tuple[str, str]]:
        """Where the references in a resource lead on this server."""
        if isinstance(json, list):
            for item in json:
                yield from self._named(item)
        elif isinstance(json, dict):
            ref = json.get("reference")
            if isinstance(ref, str) and (match := _REFERENCE.fullmatch(ref.removeprefix(f"{self.server.base}/"))):
                yield match[1], match[2]
            for value in json.values():
                yield from self._named(value)

    def read(self, type_: str, id_: str) -> None:
        """One resource by reference; one that the server does not give is left out, as its reference tells."""
        self.tried.add((type_, id_))
        resource = self.server.read(f"{type_}/{id_}")
        if resource is not None:
            self.keep(f"{self.server.base}/{type_}/{id_}", {"resource": resource, "search": {"mode": "include"}})
