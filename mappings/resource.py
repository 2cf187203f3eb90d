"""`ResourceMap`: one table, run both ways. A table is checked when it is made, at import.

``plan`` says which resources an item becomes, ``write`` makes one of them, ``read`` takes one
apart. `choose` sends the items of one dataclass to several tables by one of their fields.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from zlib import crc32

from mappings.codec import DISOWNED, Unread, _need, dar_extension, disowned, own, pairs, plain, within, word
from mappings.compiled import maker
from mappings.many import Each, Spread, Unused
from mappings.narrative import narrative
from mappings.report import Json
from mappings.rows import (
    Element,
    Row,
    Rows,
    at,
    bind_all,
    build,
    derived,
    extension,
    inside,
    inside_extension,
    require,
)
from mappings.shape import shapes
from mappings.straight import Script
from mappings.terms import Term
from mappings.values import Item, Noted, Observed, Source

SOURCE = own("smx-source-assertion")
CASE_ITEM = own("smx-case-item")


class Identity(Protocol):
    """What every resource of a case carries: whose it is, its language, its labels."""

    @property
    def case_system(self) -> str: ...
    @property
    def case_id(self) -> str: ...
    @property
    def language(self) -> str: ...
    @property
    def security(self) -> tuple[str, ...]: ...
    @property
    def tags(self) -> tuple[Any, ...]: ...


@dataclass(slots=True)
class Planned:
    """One resource to be: its table, its item, its key, id and reference."""

    table: ResourceMap
    item: Any
    key: str
    item_key: str
    owner: Planned | None = None
    share: Any = None
    id: str = ""
    ref: str = ""
    title: str = ""


def by_key(plans: Iterable[Planned]) -> dict[str, list[Planned]]:
    """The resources of each item, in their order."""
    found: dict[str, list[Planned]] = {}
    for planned in plans:
        found.setdefault(planned.item_key, []).append(planned)
    return found


@dataclass(slots=True)
class Writing:
    """What the rows need to write: the plan, the subject, the options, the resource at hand."""

    case: Identity
    by_key: dict[str, list[Planned]]
    subject: str
    optional_codes: bool = False
    labels: Callable[[], dict[str, Json]] = dict
    names: dict[str, str] = field(default_factory=dict)
    planned: Planned | None = None
    spelled: dict[str, str] = field(default_factory=dict)
    _refs: dict[str, list[str]] = field(init=False)

    def __post_init__(self) -> None:
        self._refs = {key: [p.ref for p in plans] for key, plans in self.by_key.items()} | {"patient": [self.subject]}

    @property
    def share(self) -> Any:
        """The one of several values that this resource holds."""
        return self.planned.share if self.planned else None

    @property
    def owner(self) -> Any:
        """The item that holds this one."""
        return self.planned.owner.item if self.planned and self.planned.owner else None

    def references(self, key: str) -> list[str]:
        """The references to the resources of the item with this key, as this resource spells them."""
        if not self.spelled:
            return self._refs[key]
        if key == "patient":
            return [self.subject_reference()]
        return [self.spelled.get(p.key) or p.ref for p in self.by_key[key]]

    def owner_reference(self) -> str:
        """The reference to the owner."""
        assert self.planned is not None
        assert self.planned.owner is not None
        return self.references(self.planned.owner.item_key)[0]

    def part_references(self, part: Any, name: str) -> list[str]:
        """The references to a part of this item."""
        assert self.planned is not None
        return self.references(getattr(part, "key", None) or f"{self.planned.item_key}.{name}")

    def subject_reference(self) -> str:
        """The reference to the patient."""
        return self.spelled.get("patient") or self.subject


class Graph(Protocol):
    """The received bundle, as far as reading one resource needs it."""

    def resolve(self, json: Json, node: Node) -> Node | None:
        """The entry that a Reference means; raises `Unread` if it may mean several."""


@dataclass(slots=True, eq=False)
class Node:
    """One received resource: where it stands, what it is read as, what was found in it."""

    index: int
    pointer: str
    path: str
    resource: dict[str, Json]
    type: str
    full_url: str | None
    key: str = ""
    item_key: str = ""
    container: Node | None = None
    twin: Node | None = None
    holds: bool = False
    given: bool = False
    derived: tuple[str, ...] = ()
    licensed: bool = False
    table: ResourceMap | None = None
    into: dict[str, Any] = field(default_factory=dict)
    owner: Node | None = None
    slot: str = ""
    spelled: dict[str, str] = field(default_factory=dict)
    problems: list[Unread] = field(default_factory=list)
    refused: Unread | None = None
    notes: list[tuple[str, str]] = field(default_factory=list)


class Reading:
    """What the rows need to read one resource; gathers what could not be read."""

    def __init__(self, graph: Graph, node: Node) -> None:
        self.graph, self.node, self.problems = graph, node, node.problems
        #: notes a part that stays in the rest
        self.unread = self.problems.append

    def inside(self, steps: Sequence[str | int], read: Callable[..., Any], *args: Any) -> Any:
        """What ``read`` gives of an element that lies at ``steps``: what it notes there gets its whole path."""
        before = len(self.problems)
        try:
            return read(*args)
        finally:
            if len(self.problems) > before:
                for error in self.problems[before:]:
                    error.at(*steps)

    def key_of(self, json: Json, kinds: tuple[str, ...]) -> str:
        """The key of the item that a Reference means, if it is one of these kinds."""
        target = self.graph.resolve(json, self.node)
        if target is None or target.table is None:
            raise Unread("unresolved-reference", "The reference leads to nothing that is mapped.")
        if kinds and target.table.kind not in kinds:
            raise Unread("wrong-reference", "The reference leads to another kind.", f"one of {', '.join(kinds)}")
        self._spell(target, json)
        return target.item_key

    def _spell(self, target: Node, json: Json) -> None:
        """Keep how this resource refers to another; a reference by identifier alone has no spelling to keep."""
        if isinstance(json.get("reference"), str):
            self.node.spelled[target.key] = json["reference"]

    def spell(self, json: Json) -> None:
        """Keep how a reference is spelled that says nothing new."""
        target = self._meant(json)
        if target is not None and target.table is not None and target.key not in self.node.spelled:
            self._spell(target, json)

    def _meant(self, json: Json) -> Node | None:
        """The resource that a reference of a list means; one that is ambiguous stays in the rest, with its reason."""
        try:
            return self.graph.resolve(json, self.node)
        except Unread:
            return None

    def key_in_list(self, json: Json, kinds: tuple[str, ...]) -> str | None:
        """The key of the item that a reference of a list means, if it is one of these kinds."""
        target = self._meant(json)
        if target is None or target.table is None or (kinds and target.table.kind not in kinds):
            return None
        self._spell(target, json)
        return target.item_key

    def owned_by(self, json: Json) -> None:
        """The reference names the owner of this resource, if its table can hold it."""
        target = self._meant(json)
        if target is None or target.table is None or self.node.table is None or self.node.given:
            return
        for row in target.table.each:
            if _fits(self.node.table, row.table):
                self.node.owner, self.node.slot = target, row.field
                self._spell(target, json)

    def owns(self, json: Json, row: Each) -> None:
        """The reference names a part of this resource, if the table can hold it."""
        target = self._meant(json)
        if target is not None and target.table is not None and _fits(target.table, row.table):
            self._spell(target, json)
            if target.owner is None:
                target.owner, target.slot = self.node, row.field


def _fits(table: ResourceMap, slot: AnyMap) -> bool:
    """Whether a resource of the table can be a part there; an alternate's can wherever its dataclass can."""
    return table in slot.tables or (table.alternate and table.cls is slot.cls)


class AnyMap(Protocol):
    """A table, or a choice of tables, for the items of one dataclass."""

    cls: type
    tables: tuple[ResourceMap, ...]

    def plan(self, item: Any, owner: Planned | None = None, key: str | None = None) -> list[Planned]:
        """The resources that an item becomes, itself first, then its parts."""


class Subject(Row):
    """The patient, as the subject of a resource: written always; a resource about another is not read."""

    def __init__(self, name: str, required: bool) -> None:
        self.name, self.required = name, required

    def writes(self, script: Script, out: str) -> None:
        script.say(f"{out}[{self.name!r}] = {{'reference': to.subject_reference()}}")

    def read(self, obj: dict[str, Json], by: Reading, into: dict[str, Any]) -> None:
        if self.name not in obj and not self.required:
            return
        try:
            by.key_of(_need(obj.get(self.name), dict, "a Reference to the patient"), ("Patient",))
        except Unread:
            raise Unread("other-subject", "The resource is not about the patient.").at(self.name) from None


def subject(name: str = "subject", required: bool = True) -> Row:
    """The row for the patient."""
    return Subject(name, required)


class Status(Row):
    """The status of an observation's record: `final` unless the item says otherwise."""

    fields = ("record_status",)
    codec = word("record-status")

    def writes(self, script: Script, out: str) -> None:
        given = self.codec.writes(script, "item.record_status")
        script.say(f"{out}['status'] = {given} if item.record_status else 'final'")

    def read(self, obj: dict[str, Json], by: Reading, into: dict[str, Any]) -> None:
        status = obj.get("status")
        if status == "entered-in-error":
            raise Unread("entered-in-error", "The record is marked as entered in error.").at("status")
        if status != "final":
            try:
                into["record_status"] = self.codec.read(status, by)
            except Unread as error:
                raise error.at("status") from None


_SOURCE = Element(
    Source,
    extension("locator", "valueString", plain(), "locator"),
    extension("basis", "valueCode", word("basis"), "basis"),
)


def source(field_name: str = "source") -> Row:
    """Where a fact stands in the source: an extension, on a resource or on one element of it."""
    return extension(SOURCE, None, _SOURCE, field_name)


def basis_of(element: str, field_name: str) -> Row:
    """On what one element of a resource rests, where that differs from the resource: on its sibling."""
    return inside(f"_{element}", inside_extension(SOURCE, extension("basis", "valueCode", word("basis"), field_name)))


def _common(cls: type, type_: str) -> tuple[Row, ...]:
    """The rows that every table of such a dataclass has."""
    found: tuple[Row, ...] = ()
    if issubclass(cls, Observed) and type_ == "Observation":
        # a case does not tell who observed; FHIR's best practice wants that said
        found = (
            Status(),
            derived("performer", [{"extension": [dar_extension("unknown")], "display": "not stated"}]),
        )
    if issubclass(cls, Noted):
        found += (at("note", within("text", plain()), "note"),)
    if issubclass(cls, Item) or "source" in shapes(cls):
        found += (source(),)
    return found


class ResourceMap:
    """A table: the dataclass, the resource type, the rows, in the order what, who and when, values.

    ``profile`` names the StructureDefinition that its resources claim; ``known_by`` is the
    element, with the terms, by which a resource of another system is recognised; ``title``
    heads the narrative. An ``alternate`` reads and rewrites what others keep in another type of
    resource; a case is never written by it. ``key`` is the key of an item that has none of its own; ``only`` the
    field and word that this table stands for in a `choose`.
    """

    def __init__(
        self,
        cls: type,
        type_: str,
        *rows: Row,
        profile: str,
        title: Callable[[Any], str],
        known_by: tuple[str, tuple[Term, ...]] | None = None,
        key: str | None = None,
        only: tuple[str, Any] | None = None,
        alternate: bool = False,
    ) -> None:
        self.cls, self.type, self.rows, self.title = cls, type_, Rows((*_common(cls, type_), *rows)), title
        self.kind = cls.__name__
        self.name, self.profile, self.known_by, self.key, self.only = profile, own(profile), known_by, key, only
        self.alternate = alternate
        self.tables: tuple[ResourceMap, ...] = (self,)
        self.each = tuple(row for row in self.rows if isinstance(row, Each))
        self.spread = next((row for row in self.rows if isinstance(row, Spread)), None)
        self.unused = tuple(name for row in self.rows if isinstance(row, Unused) for name in row.fields)
        self.has_key = "key" in shapes(cls)
        besides = (("key",) if self.has_key else ()) + ((only[0],) if only else ())
        self.required = bind_all(cls, self.rows, besides)

    # planning and writing

    def plan(self, item: Any, owner: Planned | None = None, key: str | None = None) -> list[Planned]:
        """The resources of the item and of its parts."""
        key = key or self.key or item.key
        shares = getattr(item, self.spread.field) if self.spread is not None else ()
        if shares:
            plans = [Planned(self, item, f"{key}.{slug(s.label)}", key, owner, s) for s in shares]
        else:
            plans = [Planned(self, item, key, key, owner)]
        for row in self.each:
            for part in row.items(item):
                plans += row.table.plan(part, plans[0], getattr(part, "key", None) or f"{key}.{row.field}")
        return plans

    def write(self, planned: Planned, to: Writing, told: bool = False) -> dict[str, Json]:
        """One resource; ``told``: with its narrative, which stands behind the language."""
        to.planned = planned
        out: dict[str, Json] = {"resourceType": self.type, "id": planned.id}
        out["meta"] = {"profile": [self.profile], **to.labels()}
        out["language"] = to.case.language
        if told:
            out["text"] = self.text(planned, to.case.language, to.names)
        out["identifier"] = [case_item(to.case, planned.key)]
        return self.rows.write(planned.item, out, to)

    def text(self, planned: Planned, language: str, names: dict[str, str]) -> dict[str, Json]:
        """The generated narrative of one resource; ``names`` are what the items of the case are called."""
        return narrative(planned.title, planned.item, planned.share, language, names)

    # reading

    def read(self, node: Node, graph: Graph) -> None:
        """Read the node's fields; raises `Unread` if the resource cannot be read as a whole."""
        node.into, node.owner, node.problems, node.spelled = {}, node.owner, [], {}
        by = Reading(graph, node)
        if "implicitRules" in node.resource:
            raise Unread("modifier", "implicitRules may change what the resource means.").at("implicitRules")
        resource, gone = node.resource, disowned(node.resource)
        if gone:  # what is there and said to be missing is not read
            for name in (*gone, *(f"_{name}" for name in gone)):
                by.unread(Unread("contradiction", DISOWNED).at(name))
            resource = {name: value for name, value in resource.items() if name.removeprefix("_") not in gone}
        self.rows.read(resource, by, node.into)
        require(self.required, node.into)

    def make(self, node: Node) -> Any:
        """The item of a node that was read, and of the shares and parts that were put into it."""
        into = dict(node.into)
        if self.has_key:
            into["key"] = node.item_key
        if self.only:
            into[self.only[0]] = self.only[1]
        return build(maker(self.cls), (), into)


def adopt(planned: Planned, node: Node, ref: str) -> bool:
    """Let a planned resource be the received one, in its id, key and reference; says whether it can be."""
    table = node.table
    if table is None or table.cls is not planned.table.cls or not (table.alternate or table.type == planned.table.type):
        return False
    id_ = node.resource.get("id")
    planned.table = table if table.alternate else planned.table
    planned.key, planned.ref = node.key, ref
    planned.id = id_ if isinstance(id_, str) else ""  # nothing gives an id to a resource that came without
    return True


def case_item(case: Identity, key: str) -> dict[str, Json]:
    """The identifier by which an item of the case is known wherever its resource goes."""
    mark = {"url": CASE_ITEM, "valueString": key}  # an extension: R4's identifier types have none that fits
    return {"extension": [mark], "system": case.case_system, "value": f"{case.case_id}/{key}"}


def slug(text: str) -> str:
    """Lower-case ASCII letters, digits and hyphens; a checksum of a text that has none, so that two still differ."""
    plain_text = text if text.isascii() else unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain_text.lower()).strip("-")[:40] or f"x{crc32(text.encode()):08x}"


class Choose:
    """One dataclass, several tables: the word in ``field`` says which."""

    def __init__(self, field_name: str, tables: tuple[ResourceMap, ...]) -> None:
        self.field, self.tables, self.cls = field_name, tables, tables[0].cls
        self.by_word = {table.only[1]: table for table in tables if table.only and table.only[0] == field_name}
        if set(shapes(self.cls)[field_name].words) != set(self.by_word):
            raise TypeError(f"{self.cls.__name__}.{field_name}: its words are not those of the tables")

    def plan(self, item: Any, owner: Planned | None = None, key: str | None = None) -> list[Planned]:
        """The plan of the table that the item's word names."""
        return self.by_word[getattr(item, self.field)].plan(item, owner, key)


def choose(field_name: str, *tables: ResourceMap) -> AnyMap:
    """The items of one dataclass go to the table whose ``only`` names their word in this field."""
    return Choose(field_name, tables)


def known(resource: dict[str, Json], path: str) -> set[tuple[Any, Any]]:
    """The (system, code) pairs at an element, for recognising resources of other systems."""
    json = resource.get(path)
    concepts = json if isinstance(json, list) else [json]
    return {pair for one in concepts if isinstance(one, dict) for pair in pairs(one.get("coding"))}


def members(json: Json, name: str) -> list[dict[str, Any]]:
    """The objects of a list in an element; nothing where there is no list."""
    listed = json.get(name) if isinstance(json, dict) else None
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
