"""What keeps a resource from being read that a table knows: whoever made it takes it back, contradicts it, or speaks
of something else than the patient.
"""

from __future__ import annotations

from mappings.codec import Unread, contradiction, pairs
from mappings.report import Json
from mappings.resource import Graph, Node, ResourceMap, known, members
from mappings.terms import TERMS


def doubt(node: Node, table: ResourceMap, patient: Node, graph: Graph) -> Unread | None:
    """Why the resource is not to be read at all; None if nothing speaks against it."""
    found = _in_error(node.resource)
    if found is None and node.type == "Observation":
        found = contradiction(node.resource) or _about_another(node, table, patient, graph)
    return found


def _in_error(resource: dict[str, Json]) -> Unread | None:
    for name in ("status", "docStatus", "verificationStatus"):
        json = resource.get(name)
        if json is None:
            continue
        words = (json,) if isinstance(json, str) else [code for _, code in known(resource, name)]
        if "entered-in-error" in words:
            return Unread("entered-in-error", "The record is marked as entered in error.").at(name)
    return None


def _about_another(node: Node, table: ResourceMap, patient: Node, graph: Graph) -> Unread | None:
    """``focus`` is what an observation is about where that is not its subject: a donor, a fetus."""
    if "focus" not in node.resource or any(getattr(row, "name", None) == "focus" for row in table.rows):
        return None
    for json in members(node.resource, "focus"):
        try:
            other = graph.resolve(json, node) is not patient
        except Unread:
            other = True
        if other:
            return Unread("other-subject", "The observation is about another than its subject.").at("focus")
    return None


def is_part(resource: dict[str, Json]) -> bool:
    """Whether a server says that it sent only some elements of the resource."""
    meta = resource.get("meta")
    return isinstance(meta, dict) and "tag" in meta and not _PARTS.isdisjoint(pairs(meta["tag"]))


_PARTS = TERMS.subsetted.pairs
