"""What the walk over the tables gathers beside the profiles, and what it asks of rows and terms."""

from __future__ import annotations

from dataclasses import dataclass, field

from adapter.artifacts.elements import Node
from mappings.case import TABLES
from mappings.choices import ValueRow, WhenRow, WordValue
from mappings.codec import UCUM
from mappings.many import Owner, References
from mappings.report import Json
from mappings.resource import CASE_ITEM, SOURCE, Status, Subject
from mappings.rows import At, Constant, Embed, Extension, Fixed, Flag, Listed, Nest, Row
from mappings.shape import shapes
from mappings.terms import BASE, Term
from mappings.values import Coding

VALUE_OR_REASON = {
    "smx-value": ("A value, or the reason why there is none", "value.exists() or dataAbsentReason.exists()")
}
BY_URL = ("value", "url")
BY_CODE = ("pattern", "code")
BY_ITSELF = ("pattern", "$this")
BY_VALUE = ("value", "$this")
#: Where an extension may stand, where that is not only where the tables have it today.
ANYWHERE = {SOURCE: "Element", CASE_ITEM: "Identifier"}


@dataclass
class Found:
    """What the tables use beside their profiles: extensions with where they stand, and value sets."""

    extensions: dict[str, list[Node]] = field(default_factory=dict)
    contexts: dict[str, set[str]] = field(default_factory=dict)
    sets: dict[str, tuple[Coding, ...]] = field(default_factory=dict)

    def value_set(self, name: str, codings: tuple[Coding, ...]) -> str:
        """The canonical URL of a value set; one name has one content."""
        if self.sets.setdefault(name, codings) != codings:
            raise ValueError(f"the value set {name} has two contents")
        return f"{BASE}/ValueSet/{name}"

    def units(self, name: str, units: tuple[str, ...]) -> str:
        """The value set of these units, under the first name that it was asked for."""
        codings = tuple(Coding(UCUM, unit) for unit in units)
        known = next((known for known, content in self.sets.items() if content == codings), name)
        return self.value_set(known, codings)


def exact(term: Term) -> tuple[Coding, ...]:
    """The free codings of a term that say no less than the term."""
    return tuple(c for c in term.codings if c is term.codings[0] or (c.system, c.code) not in term.broader)


def first(term: Term) -> dict[str, Json]:
    """The pattern of a term: its most exact coding."""
    return {"coding": [{"system": term.codings[0].system, "code": term.code}]}


def always(row: Row, cls: type) -> bool:
    """Whether the row writes something for every item."""
    shape = shapes(cls)[row.fields[0]] if row.fields else None
    required = shape is not None and shape.required
    match row:
        case Fixed() | Constant() | Subject() | Owner() | Status():
            return True
        case Flag():
            return row.off is not None
        case Nest():
            return any(always(inner, cls) for inner in row.rows)
        case Embed():
            return required and any(always(inner, row.element.yields) for inner in row.element.rows)
        case At() | Listed() | Extension() | ValueRow() | WhenRow() | References() | WordValue():
            return required
    return False


def types_of(kinds: tuple[str, ...]) -> set[str]:
    """The resource types of the items of these kinds."""
    return {table.type for table in TABLES if table.cls.__name__ in kinds}


def lead(node: Node, types: set[str]) -> None:
    """The references of this element lead to these types too."""
    node.targets = (node.targets or set()) | types


def reach(node: Node, steps: tuple[str, ...], need: bool) -> Node:
    """The element at a path; with ``need`` it and all on the way must be there."""
    for step in steps:
        node = node.child(step)
        if need:
            node.need()
    return node


def kebab(name: str) -> str:
    """``DoseText`` and ``dose_text`` as ``dose-text``."""
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).replace("_", "-").strip("-")


def short(url: str) -> str:
    """The name of a slice for this extension."""
    return url.rpartition("/")[2].removeprefix("smx-")
