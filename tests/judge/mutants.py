"""Resources with one fault each: every constraint of a profile, broken once where a resource has the element.

The faults come from the published differential itself, so that a new constraint brings its mutant.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

Json = Any
ELSEWHERE = {"system": "https://scleromyx.invalid/fhir/sid/none", "code": "no-such-code"}


class Mutant(NamedTuple):
    """A resource with one fault: ``element`` names the ElementDefinition, ``kind`` the constraint that is broken."""

    element: str
    kind: str
    resource: Json


def mutants(profile: Json, resource: Json) -> Iterator[Mutant]:
    """Every mutant of a resource that the profile's own constraints give."""
    elements = {element["id"]: element for element in profile["differential"]["element"]}
    for id_, element in elements.items():
        for kind in () if _tells_slice(id_, elements) else _kinds(element):
            changed = copy.deepcopy(resource)
            roots = [changed] if profile["type"] != "Extension" else list(_extensions(changed, profile["url"]))
            if roots and _break(kind, element, elements, roots[0]):
                yield Mutant(id_, kind, changed)


def _tells_slice(id_: str, elements: dict[str, Json]) -> bool:
    """Whether the element only tells an optional slice from others: with another value it is simply not that slice."""
    for slice_, path in ((id_, "$this"), (id_.rpartition(".")[0], id_.rpartition(".")[2])):
        in_list, colon, name = slice_.rpartition(":")
        if colon and "." not in name and elements[slice_]["min"] == 0:
            return any(by["path"] == path for by in elements[in_list]["slicing"]["discriminator"])
    return False


def _kinds(element: Json) -> list[str]:
    """Which constraints an element has, by the members that say them."""
    found = ["min"] if element.get("min") else []
    found += ["max"] if element.get("max") == "0" else []
    found += [name for name in element if name.startswith(("pattern", "minValue"))]
    return found + [name for name in ("binding", "constraint") if name in element]


def _break(kind: str, element: Json, elements: dict[str, Json], root: Json) -> bool:
    """Break one constraint in place; says whether there was something to break."""
    for holder, name in _places(element["id"], elements, root, kind == "max"):
        if kind == "constraint":  # the only kind: a value, or the reason why there is none
            for item in filter(lambda one: isinstance(one, dict), _items(holder[name])):
                for member in [member for member in item if member.startswith(("value", "dataAbsentReason"))]:
                    del item[member]
        elif kind == "max":
            holder[name] = [{"url": "none", "valueString": "none"}] if name == "extension" else "<"
        elif kind == "min":
            _remove(holder, name)
        else:
            changed = [_other(kind, item) for item in _items(holder[name])]
            holder[name] = changed if isinstance(holder[name], list) else changed[0]
        return True
    return False


def _remove(holder: Json, name: str | int) -> None:
    """Take the element away, of a list all of it; of a primitive also its extensions."""
    del holder[name]
    if isinstance(name, str):
        holder.pop(f"_{name}", None)


def _other(kind: str, value: Json) -> Json:
    """A value of the same type that breaks a pattern or a binding."""
    if isinstance(value, bool):
        return not value
    if kind.startswith("minValue"):
        return 0
    if isinstance(value, str):
        return "no-such-code"
    if "coding" in value or "text" in value:
        return {"coding": [ELSEWHERE], "text": "other"}
    return value | ELSEWHERE


def _places(id_: str, elements: dict[str, Json], root: Json, absent: bool) -> Iterator[tuple[Json, Any]]:
    """Where the element of an id stands below a resource: the object or list that holds it, and its name there."""
    here: list[tuple[Json, Any]] = [([root], 0)]
    so_far = id_.partition(".")[0]
    for step in id_.split(".")[1:]:
        name, _, slice_ = step.partition(":")
        so_far += f".{step}"
        holders = [one for holder, at in here for one in _items(holder[at]) if isinstance(one, dict)]
        last = absent and so_far == id_
        here = [place for one in holders for place in _found(one, name, slice_, so_far, elements, last)]
    yield from here


def _items(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [value]


def _found(
    holder: Json, name: str, slice_: str, id_: str, elements: dict[str, Json], absent: bool
) -> Iterator[tuple[Json, Any]]:
    """The members or list items of an object that are this element or this slice of it."""
    if name.endswith("[x]"):
        stem = slice_ or name.removesuffix("[x]")
        names = [key for key in holder if key == stem or (not slice_ and key.startswith(stem))]
        yield from ((holder, key) for key in names or ([f"{stem}String"] if absent else []))
    elif slice_:
        items = holder.get(name, [])
        yield from ((items, index) for index, item in enumerate(items) if _in_slice(item, id_, elements))
    elif name in holder or absent:
        yield holder, name


def _in_slice(item: Json, id_: str, elements: dict[str, Json]) -> bool:
    """Whether a list item belongs to a slice, by the slice's own pattern, url or binding."""
    own = elements[id_]
    for profile in own.get("type", [{}])[0].get("profile", ()):
        return bool(item.get("url") == profile)
    if f"{id_}.url" in elements:
        return bool(item.get("url") == elements[f"{id_}.url"]["fixedUri"])
    if f"{id_}.extension" in elements:
        return bool(item.get("extension"))
    pattern = own.get("patternCodeableConcept") or elements.get(f"{id_}.code", {}).get("patternCodeableConcept")
    if pattern is None:
        return True
    concept = item if "patternCodeableConcept" in own else item["code"]
    return any(coding.items() >= pattern["coding"][0].items() for coding in concept.get("coding", ()))


def _extensions(json: Json, url: str) -> Iterator[Json]:
    """Every extension of this url in a resource."""
    if isinstance(json, dict):
        if json.get("url") == url:
            yield json
        for value in json.values():
            yield from _extensions(value, url)
    elif isinstance(json, list):
        for value in json:
            yield from _extensions(value, url)
