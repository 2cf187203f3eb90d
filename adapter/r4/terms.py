"""Value sets and code systems of the core package, expanded where the package can say what is in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

Json = Any
Expansion = dict[str, set[str]]

#: Systems whose codes HL7 publishes itself. DICOM, SNOMED CT, LOINC and CPT content stays out of the table.
OWN = ("http://hl7.org/fhir/", "http://terminology.hl7.org/", "http://cds-hooks.hl7.org/")
#: What a value set may list code by code without HL7 owning it: UCUM units.
UCUM = "http://unitsofmeasure.org"


def concepts(listed: Iterable[Json]) -> Iterator[Json]:
    """Walk a code system's concepts, nested ones too."""
    for concept in listed:
        yield concept
        yield from concepts(concept.get("concept", ()))


class Terms:
    """The package's terminology, and the value sets that were asked for."""

    def __init__(self, valuesets: dict[str, Json], systems: dict[str, Json]) -> None:
        self.valuesets = valuesets
        self.complete = {u: s for u, s in systems.items() if s.get("content") == "complete" and u.startswith(OWN)}
        self.codes = {u: {c["code"] for c in concepts(s.get("concept", ()))} for u, s in self.complete.items()}
        self.by_name = {url.rpartition("/")[2]: url for url in sorted(valuesets)}
        self.asked: dict[str, Json] = {}

    def systems(self) -> dict[str, str]:
        """Give the codes of every complete HL7 code system, joined by ``|``; versioned twins stay out."""
        return {url: "|".join(sorted(codes)) for url, codes in self.codes.items() if "|" not in url}

    def used(self) -> dict[str, Json]:
        """Give the value sets that were asked for: system -> codes joined by ``|``, ``*`` all, ``?`` not known here."""
        return self.asked

    def use(self, canonical: str) -> str:
        """Note that a value set is needed and name it; empty where nothing of it can be enumerated."""
        url = canonical.partition("|")[0]
        name = url.rpartition("/")[2]
        if name not in self.asked and url in self.valuesets:
            known, unknown = self.expand(url)
            if known:
                self.asked[name] = {s: self.written(s, codes) for s, codes in known.items()}
                self.asked[name].update(dict.fromkeys(unknown, "?"))
        return name if name in self.asked else ""

    def written(self, system: str, codes: set[str]) -> str:
        """Join the codes; ``*`` where the system's own list says the same."""
        return "*" if codes == self.codes.get(system) and "|" not in system else "|".join(sorted(codes))

    def codes_of(self, name: str) -> set[str]:
        """Give all codes of a value set, of whatever system."""
        return set().union(*self.expand(self.by_name[name])[0].values())

    def expand(self, url: str) -> tuple[Expansion, set[str]]:
        """Expand a value set: codes by system, and the systems that the package cannot enumerate."""
        compose = self.valuesets[url].get("compose", {})
        known: Expansion = {}
        unknown: set[str] = set()
        for include in compose.get("include", ()):
            self.include(include, known, unknown)
        for exclude in compose.get("exclude", ()):
            out: Expansion = {}
            self.include(exclude, out, set())
            for system, codes in out.items():
                known[system] = known.get(system, set()) - codes
        return known, unknown

    def include(self, part: Json, known: Expansion, unknown: set[str]) -> None:
        """Add one ``include`` to an expansion."""
        for url in part.get("valueSet", ()):
            more, others = self.expand(url) if url in self.valuesets else ({}, {url})
            unknown |= others
            for system, codes in more.items():
                known[system] = known.get(system, set()) | codes
        system = part.get("system", "")
        if not system:
            return
        chosen = self.chosen(system, part)
        if chosen is None:
            unknown.add(system)
        else:
            known[system] = known.get(system, set()) | chosen

    def chosen(self, system: str, part: Json) -> set[str] | None:
        """Give the codes of one system that an ``include`` chooses; None where the package cannot say."""
        if part.get("concept"):
            return {c["code"] for c in part["concept"]} if system.startswith((*OWN, UCUM)) else None
        if system not in self.codes:
            return None
        codes = set(self.codes[system])
        for rule in part.get("filter", ()):
            if rule["property"] != "concept" or rule["op"] not in ("is-a", "descendent-of", "is-not-a"):
                return None
            below = self.below(system, rule["value"]) - ({rule["value"]} if rule["op"] == "descendent-of" else set())
            codes = codes - below if rule["op"] == "is-not-a" else codes & below
        return codes

    def below(self, system: str, top: str) -> set[str]:
        """Give a concept and all below it, by nesting and by the property ``child``."""
        children: dict[str, list[str]] = {}
        for concept in concepts(self.complete[system].get("concept", ())):
            named = [p["valueCode"] for p in concept.get("property", ()) if p["code"] == "child" and "valueCode" in p]
            children[concept["code"]] = [c["code"] for c in concept.get("concept", ())] + named
        found, todo = set(), [top]
        while todo:
            code = todo.pop()
            if code not in found:
                found.add(code)
                todo += children.get(code, [])
        return found
