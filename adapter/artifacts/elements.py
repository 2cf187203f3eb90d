"""The element tree of a profile, and its differential: elements in the order of R4's own definitions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from adapter.r4.rules import CORE, table
from mappings.report import Json

#: Types whose members R4 defines where they are used.
INLINE = ("BackboneElement", "Element")


class Defined(NamedTuple):
    """One element as R4 defines it; a choice has several types."""

    name: str
    min: int
    many: bool
    types: tuple[str, ...]
    binding: str

    def type_of(self, member: str) -> str | None:
        """The type of the JSON member of this name, None if it is no member of this element."""
        if not self.name.endswith("[x]"):
            return self.types[0] if member == self.name else None
        stem = self.name.removesuffix("[x]")
        return next((t for t in self.types if stem + capital(code_of(t)) == member), None)


class Place(NamedTuple):
    """A point in R4's definitions: a type, and for an inline element its path there and what it extends."""

    type: str
    at: str = ""
    extends: str = ""


@cache
def defined(place: Place) -> tuple[Defined, ...]:
    """The elements at a place, inherited ones first; a primitive has those of Element."""
    known = table().types.get(place.type) or table().types["Element"]
    base = place.extends if place.at else known["base"]
    own = [Defined(row[0], row[1], bool(row[2]), tuple(row[3]), (row[4:] or [""])[0]) for row in known["at"][place.at]]
    return (*(defined(Place(base)) if base else ()), *own)


def capital(name: str) -> str:
    """The name with its first letter in upper case."""
    return name[:1].upper() + name[1:]


def code_of(type_: str) -> str:
    """The FHIR type behind a type of the rules: ``Reference(Patient)`` is a Reference."""
    return "Quantity" if type_ == "SimpleQuantity" else type_.partition("(")[0]


@dataclass(eq=False)
class Node:
    """One element of the profile: what the profile says of it beyond R4, its children, its slices.

    ``says`` are members of its ElementDefinition; ``maps`` the fields of the case that it carries;
    ``targets`` the types that its references may lead to, None while anything may. The members of
    a choice element are its slices by type.
    """

    path: str
    of: Defined
    type: str
    place: Place
    min: int = 0
    max: str = ""
    says: dict[str, Json] = field(default_factory=dict)
    maps: set[str] = field(default_factory=set)
    targets: set[str] | None = None
    open: bool = False
    rules: dict[str, tuple[str, str]] = field(default_factory=dict)
    slices: dict[str, Node] = field(default_factory=dict)
    by: tuple[str, str] = ("", "")
    children: dict[str, Node] = field(default_factory=dict)
    choice: Node | None = None

    @property
    def is_choice(self) -> bool:
        """Whether its slices are the types of a choice."""
        return self.of.name.endswith("[x]") and self.choice is None

    def child(self, step: str) -> Node:
        """The element of a member: ``valueQuantity``, ``_status`` and ``content[0]`` are steps too."""
        member = step.removesuffix("[0]").removeprefix("_")
        for of in defined(self.place):
            type_ = of.type_of(member)
            if type_ is None:
                continue
            node = self.element(of.name)
            if not node.is_choice:
                return node
            if member not in node.slices:
                node.slices[member] = Node(node.path, of, type_, Place(code_of(type_)), choice=node)
            return node.slices[member]
        raise KeyError(f"R4 has no {self.path}.{member}")

    def element(self, name: str) -> Node:
        """The element of this name, a choice as a whole."""
        if name not in self.children:
            of = next(of for of in defined(self.place) if of.name == name)
            self.children[name] = Node(f"{self.path}.{name}", of, of.types[0], self._inner(of, of.types[0]))
        return self.children[name]

    def _inner(self, of: Defined, type_: str) -> Place:
        if type_ in INLINE:
            return Place(self.place.type, f"{self.place.at}.{of.name}".lstrip("."), type_)
        return Place(self.place.type, type_[1:], INLINE[0]) if type_.startswith("#") else Place(code_of(type_))

    def slice(self, name: str, by: tuple[str, str]) -> Node:
        """One of several elements of a list, told apart by a discriminator (type, path)."""
        self.by = by
        if name not in self.slices:
            self.slices[name] = Node(self.path, self.of, self.type, self.place, max="1")
        return self.slices[name]

    def need(self) -> Node:
        """The same, which must be there."""
        self.min = 1
        if self.choice is not None:
            self.choice.min = 1
        return self

    def carried(self) -> set[str]:
        """The fields of the case that it and all in it carry."""
        inner = (*self.children.values(), *self.slices.values())
        return self.maps.union(*(node.carried() for node in inner))

    def pattern(self, value: Json) -> None:
        """The element must have this value, or hold it."""
        self.says[f"pattern{capital(code_of(self.type))}"] = value


def root(type_: str) -> Node:
    """The tree of a profile on this type."""
    return Node(type_, Defined(type_, 0, True, (type_,), ""), type_, Place(type_))


def together(trees: Iterable[Node]) -> Node:
    """One tree that allows what each of them allows: a part that one lacks is optional."""
    first, *others = trees
    for other in others:
        _widen(first, other)
    return first


def _widen(node: Node, other: Node) -> None:
    node.min = min(node.min, other.min)
    node.max = "*" if "*" in (node.max, other.max) else node.max
    node.maps |= other.maps
    if node.says != other.says:
        raise ValueError(f"{node.path}: two rows say different things of it")
    for mine, theirs in ((node.children, other.children), (node.slices, other.slices)):
        for name in [*mine, *(name for name in theirs if name not in mine)]:
            if name in mine and name in theirs:
                _widen(mine[name], theirs[name])
            else:
                mine.setdefault(name, theirs.get(name, node)).min = 0
    node.by = node.by if node.by[0] else other.by


# --- the differential -----------------------------------------------------------------------


def differential(node: Node) -> list[dict[str, Json]]:
    """The ElementDefinitions of the tree, in R4's order; an element of which nothing is said is left out."""
    found = [_element(node, node.path, {}), *_below(node, node.path)]
    return [element for element in found if len(element) > 2 or element["path"] == node.path]


def _below(node: Node, id_: str) -> Iterator[dict[str, Json]]:
    for of in defined(node.place):
        if of.name in node.children:
            yield from _one(node.children[of.name], f"{id_}.{of.name}")


def _one(node: Node, id_: str) -> Iterator[dict[str, Json]]:
    """An element, what is in it, its slices."""
    if node.is_choice:
        yield from _choice(node, id_)
        return
    more: dict[str, Json] = {}
    if node.slices:
        node.min = max(node.min, sum(part.min for part in node.slices.values()))
        more["slicing"] = {"discriminator": [dict(zip(("type", "path"), node.by, strict=True))], "rules": "open"}
    yield _element(node, id_, more)
    yield from _below(node, id_)
    for name, part in node.slices.items():
        inner = f"{id_}:{name}"
        must = {"mustSupport": True} if node.maps else {}  # as the list, so its slices
        yield _element(part, inner, {"sliceName": name, "min": part.min, "max": part.max, **must})
        yield from _below(part, inner)


def _choice(node: Node, id_: str) -> Iterator[dict[str, Json]]:
    """A choice: the types that are left, and by slices what is said of each; of one type alone without slices."""
    parts = node.slices
    more = _types(node, list(parts.values())) if parts else {}
    if len(parts) == 1:
        (only,) = parts.values()
        only.min = node.min
        yield _element(only, id_, more)
        yield from _below(only, id_)
        return
    sliced = any(map(_constrains, parts.values()))
    if sliced:
        more["slicing"] = {"discriminator": [{"type": "type", "path": "$this"}], "ordered": False, "rules": "open"}
    else:
        node.maps = {name for part in parts.values() for name in part.maps}
    yield _element(node, id_, more)
    for name, part in parts.items() if sliced else ():
        yield _element(part, f"{id_}:{name}", {"sliceName": name, "min": 0, "max": "1", "type": [_type(part)]})
        yield from _below(part, f"{id_}:{name}")


def _constrains(node: Node) -> bool:
    """Whether anything is said of one type of a choice but that it may be."""
    return bool(node.says or node.rules or node.max or node.children or _narrowed(node))


def _types(node: Node, parts: list[Node]) -> dict[str, Json]:
    """The types of a choice, where they are fewer than R4's."""
    if {part.type for part in parts} == set(node.of.types):
        return {}
    return {"type": [_type(part) for part in sorted(parts, key=lambda part: node.of.types.index(part.type))]}


def _type(node: Node) -> dict[str, Json]:
    found: dict[str, Json] = {"code": code_of(node.type)}
    if node.type == "SimpleQuantity":
        found["profile"] = [CORE + "SimpleQuantity"]
    elif node.type.startswith("Reference("):
        allowed = node.targets if node.targets and not node.open else set(node.type[10:-1].split("|"))
        found["targetProfile"] = [CORE + name for name in sorted(allowed)]
    return found


def _narrowed(node: Node) -> dict[str, Json]:
    """The type of a Reference whose targets are fewer than R4's."""
    if not node.targets or node.open or code_of(node.type) != "Reference":
        return {}
    allowed = set(node.type[10:-1].split("|")) if node.type.startswith("Reference(") else None
    if allowed is not None and not node.targets <= allowed:
        raise ValueError(f"{node.path}: R4 knows no reference to {sorted(node.targets - allowed)}")
    if node.targets == allowed:
        return {}
    return {"type": [{"code": "Reference", "targetProfile": [CORE + name for name in sorted(node.targets)]}]}


def _element(node: Node, id_: str, more: dict[str, Json]) -> dict[str, Json]:
    """One ElementDefinition."""
    found: dict[str, Json] = {"id": id_, "path": node.path} | _narrowed(node) | node.says | more
    if node.min > node.of.min and "min" not in more:
        found["min"] = node.min
    if node.max and node.max != ("*" if node.of.many else "1") and "max" not in more:
        found["max"] = node.max
    if node.rules:
        found["constraint"] = [
            {"key": key, "severity": "error", "human": human, "expression": expression}
            for key, (human, expression) in node.rules.items()
        ]
    if node.maps:
        found["mustSupport"] = True
        found["mapping"] = [{"identity": "case", "map": name} for name in sorted(node.maps)]
    return found


def ordered(json: Any, place: Place) -> Any:
    """The resource with its members in R4's order."""
    if isinstance(json, list):
        return [ordered(one, place) for one in json]
    if not isinstance(json, dict):
        return json
    node = Node(place.type, Defined("", 0, False, (place.type,), ""), place.type, place)
    found = {name: json[name] for name in json if name == "resourceType"}
    for of in defined(place):
        names = [name for name in json if of.type_of(name.removeprefix("_")) is not None]
        found |= {name: ordered(json[name], node.child(name).place) for name in names}
    if len(found) != len(json):
        raise KeyError(f"R4 has no {place} {sorted(json.keys() - found.keys())}")
    return found
