"""The compiled table of R4's rules, read once, at first use."""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

Json = Any
UCUM = "http://unitsofmeasure.org"
LOINC = "http://loinc.org"
CORE = "http://hl7.org/fhir/StructureDefinition/"


class ValueSet:
    """The codes of a value set by system; ``None`` stands for a system that the core package cannot enumerate."""

    def __init__(self, name: str, written: dict[str, str], systems: dict[str, frozenset[str]]) -> None:
        self.name = name
        self.open = frozenset(system for system, codes in written.items() if codes == "?")
        self.by_system = {
            system: systems[system] if codes == "*" else frozenset(codes.split("|"))
            for system, codes in written.items()
            if codes != "?"
        }
        self.codes: frozenset[str] = frozenset().union(*self.by_system.values())

    def holds(self, system: Json, code: Json) -> bool:
        """Say whether a coding is in the set, or cannot be told not to be."""
        try:
            return (
                code in self.by_system.get(system, ())
                or system in self.open
                or ("/v2-" in (system or "") and same(code, self.by_system.get(system, frozenset())))
            )
        except TypeError:
            return False

    def sample(self) -> str:
        """Name some of the codes."""
        some = sorted(self.codes)
        return ", ".join(some[:12]) + (", ..." if some[12:] else "")


def same(code: Json, known: frozenset[str]) -> bool:
    """Say whether a code is known in other letter case, as the HL7 version 2 tables allow."""
    return isinstance(code, str) and code.casefold() in folded(known)


@cache
def folded(codes: frozenset[str]) -> frozenset[str]:
    """Fold the letter case of codes."""
    return frozenset(code.casefold() for code in codes)


class Table:
    """The rules as plain data; see `compile.table` for its members."""

    def __init__(self, raw: Json) -> None:
        self.provenance: dict[str, str] = raw["provenance"]
        self.types: dict[str, Json] = raw["types"]
        self.primitives: dict[str, str] = raw["primitives"]
        self.invariants: dict[str, list[str]] = raw["invariants"]
        self.extensions: dict[str, Json] = {CORE + name: part for name, part in raw["extensions"].items()}
        self.vitals: dict[str, Json] = raw["vitals"]
        self.ucum: frozenset[str] = frozenset(raw["ucum"].split("|"))
        self.systems = {url: frozenset(codes.split("|")) for url, codes in raw["systems"].items()}
        self.resources = frozenset(n for n, t in self.types.items() if t["kind"] == "resource" and not t["abstract"])
        self.contexts = frozenset(place for part in self.extensions.values() for place in part["on"])
        self._valuesets = raw["valuesets"]

    def valueset(self, name: str) -> ValueSet:
        """Give a value set by the last step of its url."""
        found = self._valuesets[name]
        if not isinstance(found, ValueSet):
            found = self._valuesets[name] = ValueSet(name, found, self.systems)
        return found


@cache
def table() -> Table:
    """Read ``rules.json.gz``."""
    packed = Path(__file__).with_name("rules.json.gz").read_bytes()
    return Table(json.loads(gzip.decompress(packed)))
