"""StructureDefinitions: a profile for each table and for what is generated beside a case, and the extensions."""

from __future__ import annotations

from inspect import getdoc
from typing import Any

from adapter.artifacts.elements import INLINE, Node, code_of, differential, root, together
from adapter.artifacts.found import Found
from adapter.artifacts.frame import published, titled
from adapter.r4.rules import CORE
from adapter.service.capability import FHIR_VERSION
from mappings import load_case, to_fhir
from mappings.case import TABLES
from mappings.generated import COMPOSITION, PROVENANCE, SOFTWARE
from mappings.report import Json
from mappings.resource import ResourceMap

Resources = list[dict[str, Json]]
#: Two cases with nothing but their document's frame in common: what both write is always written.
EXEMPLARS = (
    {"case_id": "a", "language": "en", "patient": {}, "figures": [{"key": "figure", "label": "Figure"}]},
    {"case_id": "b", "language": "de", "patient": {}, "specimens": [{"key": "specimen"}]},
)
#: Members that every resource has, and of which a profile need not speak.
EVERYWHERE = ("resourceType", "id", "meta", "language", "text")
GENERATED = {
    PROVENANCE: "How a Bundle came to be; its targets are the resources of the Bundle, in the order of the case.",
    SOFTWARE: "The adapter, as the device that assembled a Bundle.",
    COMPOSITION: "The Composition of a document Bundle: the case told section by section.",
}


def structure(name: str, node: Node, description: str, **members: Json) -> dict[str, Json]:
    """The StructureDefinition of an element tree."""
    elements = differential(node)
    for element in elements if node.type == "Extension" else ():
        element.pop("mustSupport", None)  # whoever uses an extension says whether it must be supported
    return published(
        "StructureDefinition",
        name,
        titled(name),
        description,
        fhirVersion=FHIR_VERSION,
        mapping=[{"identity": "case", "name": "Fields of the case document"}],
        abstract=False,
        type=node.type,
        baseDefinition=CORE + node.type,
        derivation="constraint",
        differential={"element": elements},
        **{"kind": "resource"} | members,
    )


def profiles(trees: dict[str, Node]) -> Resources:
    """The profile of each table."""
    described = {table.name: _description(table) for table in TABLES}
    return [structure(name, node, described[name]) for name, node in trees.items()]


def _description(table: ResourceMap) -> str:
    """The first paragraph of the dataclass, and for which of its items this table is."""
    doc = " ".join((getdoc(table.cls) or "").partition("\n\n")[0].replace("``", "`").split())
    return f"{doc} For {table.only[0]} {table.only[1]}." if table.only else doc


# --- extensions -----------------------------------------------------------------------------


def extensions(found: Found) -> Resources:
    """The extensions that the tables use, each with the contexts where they use it."""
    return [_extension(url, together(trees), found.contexts[url]) for url, trees in sorted(found.extensions.items())]


def _extension(url: str, node: Node, contexts: set[str]) -> dict[str, Json]:
    name = short_name(url)
    if "extension" in node.children:
        node.element("value[x]").max = "0"
    else:
        node.child("extension").max = "0"
    carried = ", ".join(sorted(node.carried())) or "the key of an item of the case"
    described = f"{titled(name)}: carries {carried}."
    node.says |= {"short": titled(name), "definition": described}
    context = [{"type": "element", "expression": context} for context in sorted(contexts)]
    return structure(name, node, described, kind="complex-type", context=context)


# --- what is generated beside a case ----------------------------------------------------------


def generated() -> Resources:
    """The profiles of Provenance, Device and Composition: what is the same in the exemplars."""
    written: dict[str, list[dict[str, Json]]] = {}
    for facts in EXEMPLARS:
        case = load_case({"schema_version": "1.0", "case_system": f"urn:{facts['case_id']}", **facts})
        bundle = to_fhir(case, bundle_type="document", now="2020-01-01T00:00:00Z")
        for resource in (entry["resource"] for entry in bundle["entry"]):
            written.setdefault(resource["meta"]["profile"][0], []).append(resource)
    return [structure(short_name(url), _common(written[url]), text) for url, text in GENERATED.items()]


def short_name(url: str) -> str:
    """The id of one of the project's own definitions."""
    return url.rpartition("/")[2]


def _common(resources: list[Any]) -> Node:
    node = root(resources[0]["resourceType"])
    _same(node, [{name: one[name] for name in one if name not in EVERYWHERE} for one in resources])
    return node


def _same(node: Node, objects: list[Any]) -> None:
    """Say of the element what all its occurrences have."""
    for name in objects[0]:
        if any(name not in one for one in objects):
            continue
        leaf = node.child(name).need()
        values = [v for one in objects for v in (one[name] if isinstance(one[name], list) else [one[name]])]
        type_ = code_of(leaf.type)
        if type_ == "CodeableConcept":
            firsts = [{part: value["coding"][0][part] for part in ("system", "code")} for value in values]
            if all(one == firsts[0] for one in firsts):
                leaf.pattern({"coding": [firsts[0]]})
        elif type_ in ("code", "uri") and all(value == values[0] for value in values):
            leaf.pattern(values[0])
        elif type_ in (*INLINE, "Identifier"):
            _same(leaf, values)
