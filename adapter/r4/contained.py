"""Contained resources: dom-2 to dom-5, and their ids."""

from __future__ import annotations

from collections.abc import Iterator

from adapter.r4.faults import Faults, Json, Run, at, item


def index(resource: Json) -> dict[str, str]:
    """Name the contained resources: id -> type."""
    listed = resource.get("contained")
    return {
        one["id"]: str(one.get("resourceType"))
        for one in (listed if isinstance(listed, list) else ())
        if isinstance(one, dict) and isinstance(one.get("id"), str)
    }


def strings(resource: Json) -> Iterator[str]:
    """Walk all strings that start with ``#``, without recursion."""
    todo = [resource]
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            todo.extend(node.values())
        elif isinstance(node, list):
            todo.extend(node)
        elif isinstance(node, str) and node[:1] == "#":
            yield node


def contained(resource: Json, run: Run) -> Faults | None:
    """Check what a resource contains."""
    if "contained" not in resource:
        return None
    faults: Faults = []
    pointed = set(strings(resource))
    seen: set[str] = set()
    for number, one in enumerate(resource["contained"]):
        faults += item(one_contained(one, pointed, seen, run), number)
        seen.add(one.get("id", ""))
    return at(faults, "contained")


def one_contained(one: Json, pointed: set[str], seen: set[str], run: Run) -> Faults:
    """Check one contained resource."""
    ident, meta = one.get("id"), one.get("meta", {})
    faults: Faults = []
    if ident is None or ident in seen:
        faults += run.fault("contained-id/absent" if ident is None else "contained-id/twice")
    if f"#{ident}" not in pointed and "#" not in strings(one):
        faults += run.fault("dom-3")
    if "contained" in one:
        faults += run.fault("dom-2")
    if "versionId" in meta or "lastUpdated" in meta:
        faults += run.fault("dom-4")
    return faults + run.fault("dom-5") if "security" in meta else faults
