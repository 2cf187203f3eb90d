"""From the rows of a table to the element tree of its profile.

Each row says what it writes, and only what is true of everything it writes becomes a constraint:
what is always there, what has one code, which words and units it takes, where references lead.
"""

from __future__ import annotations

from functools import singledispatchmethod
from types import SimpleNamespace
from typing import Any, cast

from adapter.artifacts.elements import Node, capital, code_of, root
from adapter.artifacts.found import (
    ANYWHERE,
    BY_CODE,
    BY_ITSELF,
    BY_URL,
    BY_VALUE,
    VALUE_OR_REASON,
    Found,
    always,
    exact,
    first,
    kebab,
    lead,
    reach,
    short,
    types_of,
)
from adapter.r4.rules import table as r4
from mappings.case import TABLES
from mappings.choices import ValueRow, WhenRow, WordValue
from mappings.codec import UCUM, NumberIn, Plain, QuantityCodec, RangeCodec, RatioCodec, ReferenceCodec, Within, Word
from mappings.many import Each, Owner, References, Spread
from mappings.resource import ResourceMap, Status, Subject, case_item
from mappings.rows import (
    At,
    Constant,
    Derived,
    Element,
    Embed,
    Extension,
    Fixed,
    Flag,
    InList,
    Inside,
    Listed,
    OnlyOne,
    Row,
)
from mappings.shape import shapes
from mappings.terms import BASE, TERMS, WORDS, Term
from mappings.values import When


class Walk:
    """The walk over the rows of one table; ``cls`` is the dataclass whose fields the rows at hand map."""

    def __init__(self, found: Found, table: ResourceMap) -> None:
        self.found, self.table, self.cls = found, table, table.cls

    def profile(self) -> Node:
        """The element tree of the table's profile."""
        node = root(self.table.type)
        self.rows(self.table.rows, node, self.table.cls)
        self._case_item(node.child("identifier"))
        return node

    def _case_item(self, node: Node) -> None:
        """The identifier that `ResourceMap.write` gives every resource."""
        written = case_item(cast(Any, SimpleNamespace(case_system="", case_id="")), "")
        (mark,) = written.pop("extension")
        part = node.slice("case-item", ("exists", f"extension('{mark['url']}')")).need()
        for name in written:
            part.child(name).need()
        inner = self._own(part, mark.pop("url"))
        part.child("extension").slices["case-item"].need()
        if inner is not None:
            reach(inner, tuple(mark), True)

    def rows(self, rows: tuple[Row, ...], node: Node, cls: type, *, nest: bool = False, maybe: bool = False) -> None:
        """Walk rows that live in one element.

        ``nest``: the element is there only if one of these rows wrote into it; of one row alone, that one.
        ``maybe``: the rows write only if their owner has a value.
        """
        outer, self.cls = self.cls, cls
        for row in rows:
            sure = (nest and len(rows) == 1) or always(row, cls)
            self.row(row, node, sure and not maybe)
        self.cls = outer

    def mapped(self, node: Node, *names: str) -> Node:
        """The same element, which carries these fields."""
        node.maps |= {f"{self.cls.__name__}.{shapes(self.cls)[name].json_name}" for name in names}
        return node

    # rows: what each kind writes into `node`; with ``need`` it always does

    @singledispatchmethod
    def row(self, row: Row, node: Node, need: bool) -> None:
        """A row that tells its own parts, or writes nothing."""
        if not (row.parts or row.is_silent):
            raise TypeError(f"{type(row).__name__} does not tell what it writes; give it `parts`")
        for member, name, codec in row.parts:
            self.codec(codec, self.mapped(node.child(member), name), name)

    @row.register
    def _(self, row: At, node: Node, need: bool) -> None:
        leaf = self.mapped(reach(node, row.path.steps, need), row.field)
        if isinstance(row, OnlyOne):
            leaf.max = "1"
        if isinstance(row.codec, Word) and row.path.steps[-1].endswith("[0]"):  # others may add to the list
            leaf = leaf.slice(row.codec.table, BY_VALUE)
            leaf.min = int(need)
        self.codec(row.codec, leaf, row.field)

    @row.register
    def _(self, row: Fixed, node: Node, need: bool) -> None:
        self._concept(reach(node, row.path.steps, need), row.term, need)

    def _concept(self, leaf: Node, term: Term, need: bool) -> None:
        """An element that is this concept, or among whose repetitions this concept is."""
        if leaf.of.many:
            leaf = leaf.slice(term.name, BY_ITSELF)
            leaf.min = int(need)
        leaf.pattern(first(term))

    @row.register
    def _(self, row: Constant, node: Node, need: bool) -> None:
        reach(node, row.path.steps, need).pattern(row.term.code)

    @row.register
    def _(self, row: Derived, node: Node, need: bool) -> None:
        reach(node, row.path.steps, False).open = True

    @row.register
    def _(self, row: Flag, node: Node, need: bool) -> None:
        leaf = self.mapped(reach(node, row.path.steps, need), row.flag)
        if row.off is None:
            self._concept(leaf, row.on, need)
        else:
            self._bind(leaf, f"{self.table.name}-{leaf.of.name}", (row.off, row.on))

    @row.register
    def _(self, row: Inside, node: Node, need: bool) -> None:
        self.rows(row.rows, reach(node, row.path.steps, need), self.cls)

    @row.register
    def _(self, row: InList, node: Node, need: bool) -> None:
        head = row.head()
        if "url" in head:
            inner = self._own(node, head["url"])
            if inner is not None:
                self.rows(row.rows, inner, self.cls, nest=True)
            part = node.child("extension").slices[short(head["url"])]
        else:
            coding = head["code"]["coding"][0]
            part = node.child(row.name).slice(coding["code"], BY_CODE)
            part.child("code").need().pattern({"coding": [{name: coding[name] for name in ("system", "code")}]})
            for name in head.keys() - {"code"}:
                part.child(name).need().pattern(head[name])
            self.rows(row.rows, part, self.cls, nest=True)
        part.min = int(need)

    @row.register
    def _(self, row: Listed, node: Node, need: bool) -> None:
        self.mapped(reach(node, (row.member,), need), row.field)
        if isinstance(row.codec, Element):  # others share the list, so that only the extensions say something
            marks = tuple(inner for inner in row.codec.rows if isinstance(inner, Extension))
            self.rows(marks, root(self.table.type).child(row.member), row.codec.yields)

    @row.register
    def _(self, row: Extension, node: Node, need: bool) -> None:
        shape = shapes(self.cls)[row.field]
        inner = self._own(node, row.url)
        part = self.mapped(node.child("extension").slices[short(row.url)], row.field)
        part.min, part.max = int(need), "*" if shape.many else "1"
        if inner is None:
            return
        if row.name is None:
            self.codec(row.codec, inner, row.field)
        else:
            self.codec(row.codec, self.mapped(inner.child(row.name).need(), row.field), row.field)

    def _own(self, node: Node, url: str) -> Node | None:
        """A slice for an extension; gives the element in which its definition goes on, None for another party's."""
        part = node.child("extension").slice(short(url), BY_URL)
        if ":" not in url:
            part.child("url").says["fixedUri"] = url
            part.child("extension").max = "0"
            return part
        part.says["type"] = [{"code": "Extension", "profile": [url]}]
        if not url.startswith(BASE):
            return None
        inner = root("Extension")
        inner.child("url").says["fixedUri"] = url
        self.found.extensions.setdefault(url, []).append(inner)
        self.found.contexts.setdefault(url, set()).add(ANYWHERE.get(url, node.path))
        return inner

    @row.register
    def _(self, row: Embed, node: Node, need: bool) -> None:
        self.rows(row.element.rows, node, row.element.yields, maybe=not need)

    @row.register
    def _(self, row: References, node: Node, need: bool) -> None:
        leaf = self.mapped(reach(node, (row.name,), need), row.field)
        lead(leaf, types_of(shapes(self.cls)[row.field].refs or ()))

    @row.register
    def _(self, row: Owner, node: Node, need: bool) -> None:
        owners = {t.type for t in TABLES for each in t.each if self.table in each.table.tables}
        lead(reach(node, (row.name,), need), owners)

    @row.register
    def _(self, row: Each, node: Node, need: bool) -> None:
        if row.forward is not None:
            leaf = self.mapped(reach(node, tuple(row.forward.split(".")), False), row.field)
            lead(leaf, {table.type for table in row.table.tables})

    @row.register
    def _(self, row: Spread, node: Node, need: bool) -> None:
        self.mapped(reach(node, row.path.steps, False), row.field)

    @row.register
    def _(self, row: Subject, node: Node, need: bool) -> None:
        lead(reach(node, (row.name,), need), {"Patient"})

    @row.register
    def _(self, row: Status, node: Node, need: bool) -> None:
        leaf = self.mapped(reach(node, ("status",), need), *row.fields)
        terms = (TERMS.obs_final, *row.codec.words.values())
        if terms[0].codings[0].system in r4().valueset(leaf.of.binding.lstrip("!+")).by_system:
            self._bind(leaf, "smx-record-status", terms)

    @row.register
    def _(self, row: ValueRow, node: Node, need: bool) -> None:
        for form, suffix in row.forms.items():
            leaf = self.mapped(node.child(f"value{suffix}"), row.field)
            if form in ("quantity", "range"):
                of = self.cls.__name__ if row.units == row.shape.units else self.table.name.removeprefix("smx-")
                codec = row.quantity if form == "quantity" else RangeCodec(row.units)
                self.codec(codec, leaf, row.field, of)
        self.mapped(node.child("dataAbsentReason"), row.field)
        if need:
            node.rules |= VALUE_OR_REASON

    @row.register
    def _(self, row: WordValue, node: Node, need: bool) -> None:
        leaf = self.mapped(node.child("valueCodeableConcept"), *row.fields)
        words = [word for word in row.codec.words if word != row.unknown]
        self._bind(leaf, f"smx-{row.codec.table}", tuple(WORDS[row.codec.table][word] for word in words))
        if row.unknown is not None:
            self.mapped(node.child("dataAbsentReason"), row.field)
        if need and row.unknown is not None:
            node.rules |= VALUE_OR_REASON
        elif need:
            leaf.need()

    @row.register
    def _(self, row: WhenRow, node: Node, need: bool) -> None:
        for form, name in row.names.items():
            leaf = self.mapped(reach(node, (name,), need), row.field)
            if form == "age":
                self.codec(QuantityCodec(shapes(When)["age"].units), leaf, "age", "When")
        if row.encounter:
            lead(self.mapped(node.child("encounter"), row.field), {"Encounter"})

    # codecs: what each says of the element it writes

    def codec(self, codec: Any, node: Node, name: str, of: str = "") -> None:
        """What the codec of the field ``name`` says of its element."""
        match codec:
            case Plain(shape=shape) if shape is not None and shape.least and code_of(node.type) != "positiveInt":
                node.says[f"minValue{capital(code_of(node.type))}"] = shape.least
            case Word():
                self._bind(node, f"smx-{codec.table}", tuple(codec.words.values()))
            case NumberIn():
                self.codec(codec.inner, node, name, of)
            case QuantityCodec():
                self._quantity(codec, node, f"{kebab(of or self.cls.__name__)}-{kebab(name)}")
            case RangeCodec():
                for end in ("low", "high"):
                    self.codec(codec.part, node.child(end), name, of)
            case RatioCodec():
                for end in ("numerator", "denominator"):
                    self.codec(codec.part, node.child(end).need(), name, of)
            case Within():
                self.codec(codec.inner, node.child(codec.name).need(), name, of)
            case Element():
                self.rows(codec.rows, node, codec.yields)
            case ReferenceCodec(kinds=kinds) if kinds:
                lead(node, types_of(kinds))

    def _bind(self, node: Node, name: str, terms: tuple[Term, ...]) -> None:
        url = self.found.value_set(name, tuple(coding for term in terms for coding in exact(term)))
        node.says["binding"] = {"strength": "required", "valueSet": url}

    def _quantity(self, codec: QuantityCodec, node: Node, name: str) -> None:
        node.child("value").need()
        node.child("system").need().pattern(UCUM)
        unit = node.child("code").need()
        if not codec.comparator and node.type != "SimpleQuantity":
            node.child("comparator").max = "0"
        if len(codec.units) == 1:
            unit.pattern(codec.units[0])
        elif codec.units:
            url = self.found.units(f"smx-{name}-units", codec.units)
            unit.says["binding"] = {"strength": "required", "valueSet": url}


def profiles() -> tuple[dict[str, Node], Found]:
    """The element tree of every table's profile, by the profile's name; and what they use beside."""
    found = Found()
    return {table.name: Walk(found, table).profile() for table in TABLES}, found
