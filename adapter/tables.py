"""The mapping table for people: every case field and its place in FHIR, made by walking the tables themselves.

`mapping_table` is pure and walks `mappings.case.SECTIONS`; `adapter.table_text` shows what it gives. A new
class of row wants one function here; without it `mapping_table` raises a `TypeError` that names it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import Any

from mappings.case import SECTIONS, Case
from mappings.choices import ValueRow, WhenRow, WordValue
from mappings.codec import Codec, NumberIn, Within, Word
from mappings.concepts.administration import Rate
from mappings.concepts.dose import Amount, DoseRate, Timed
from mappings.many import Each, Owner, References, Spread, Unused
from mappings.resource import AnyMap, Choose, ResourceMap, Status, Subject
from mappings.rows import At, Constant, Derived, Element, Embed, Extension, Fixed, Flag, InList, Inside, Listed, Row
from mappings.shape import Shape, shapes
from mappings.values import LINE


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the mapping table.

    ``section`` is where the concept lies in the case (`therapies[]`), ``field`` its field there
    (`doses[].amount`; empty for what follows from the case), ``holds`` its type with units, words or
    kinds, ``fhir`` the elements that hold it, ``row`` the word of the table language. ``only`` names
    the words of a choice for which the line holds; empty: all of them.
    """

    concept: str
    section: str
    resource: str
    field: str
    holds: str
    required: bool
    fhir: tuple[str, ...]
    row: str
    only: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where the walk stands: the element, the field that holds the dataclass, and its fields."""

    path: str
    prefix: str
    known: dict[str, Shape]

    def line(self, name: str, row: str, *elements: str, holds: str = "", fixed: str = "") -> Line:
        """A line for a field of this dataclass, or with ``fixed`` for what is written without one."""
        fhir = tuple(f"{self.path}.{element.removeprefix('_')}" for element in elements)
        if not name:
            return Line("", "", "", "", fixed, False, fhir, row)
        shape = self.known[name]
        return Line("", "", "", self.named(name), holds or held(shape), shape.required, fhir, row)

    def named(self, name: str) -> str:
        """The field as the case document spells it, from the item on."""
        shape = self.known[name]
        return f"{self.prefix}{shape.json_name}{'[]' if shape.many else ''}"

    def into(self, element: str, name: str, cls: type) -> Place:
        """The place of a dataclass that a field of this one holds."""
        return Place(f"{self.path}.{element}" if element else self.path, f"{self.named(name)}.", shapes(cls))


# --- what a field holds -----------------------------------------------------------------------

_PLAIN = {int: "whole number", bool: "true or false", str: "text"}


def held(shape: Shape, codec: Codec | None = None) -> str:
    """A field's type, with its units, words, forms or kinds, in words."""
    if isinstance(codec, Word):
        return " | ".join(_coded(word, codec.words[word].code) for word in shape.words)
    if isinstance(codec, NumberIn):
        return f"number: in {codec.unit}"
    if shape.refs is not None:
        return f"key of {' or '.join(shape.refs) or 'any item'}"
    if shape.words:
        return " | ".join(str(word).lower() if word is True else str(word) for word in shape.words)
    name = _PLAIN.get(shape.type) or {"Decimal": "number"}.get(shape.type.__name__, shape.type.__name__)
    more = [*(text.meaning for text in shape.texts if text is not LINE)]
    more += [", ".join(shape.forms)] if shape.forms else []
    more += [f"in {', '.join(shape.units)}"] if shape.units else []
    more += [f"{shape.least} or more"] if shape.least is not None else []
    if shape.texts and more:
        return "; ".join(more)
    return f"{name}: {'; '.join(more)}" if more else name


def _coded(word: Any, code: str) -> str:
    return str(word) if word == code else f"{word}={code}"


# --- one function a kind of row ---------------------------------------------------------------


@singledispatch
def lines(row: Row, at: Place) -> Iterator[Line]:
    """The lines of one row; one that maps no field and writes nothing only checks what is read."""
    if not row.fields and row.is_silent:
        return iter(())
    raise TypeError(f"adapter.tables has no lines for rows of {type(row).__name__}")


@lines.register
def _at(row: At | Spread | Listed, at: Place) -> Iterator[Line]:
    element = row.member if isinstance(row, Listed) else ".".join(row.path.steps)
    yield from _holding(row, row.field, row.codec, element, at)


@lines.register
def _extension(row: Extension, at: Place) -> Iterator[Line]:
    element = f"extension({_short(row.url)})"
    yield from _holding(row, row.field, row.codec, f"{element}.{row.name}" if row.name else element, at)


def _holding(row: Row, field: str, codec: Codec, element: str, at: Place) -> Iterator[Line]:
    """A field that a codec writes into an element: one line, or those of the dataclass that it is made of."""
    if isinstance(codec, Within):
        yield from _holding(row, field, codec.inner, f"{element}.{codec.name}", at)
    elif isinstance(codec, Element):
        yield from _element(codec, at.into(element, field, codec.yields))
    else:
        yield at.line(field, _word(row), element, holds=held(at.known[field], codec))


def _word(row: Row) -> str:
    """The row's class as the word of the table language: only_one."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(row).__name__).lower()


def _element(element: Element, at: Place) -> Iterator[Line]:
    for row in element.rows:
        yield from lines(row, at)


@lines.register
def _fixed(row: Fixed, at: Place) -> Iterator[Line]:
    code = ", ".join(f"{coding.code} ({coding.system})" for coding in row.term.codings)
    yield at.line("", "fixed" if row.verify else "also", ".".join(row.path.steps), fixed=f"always {code}")


@lines.register
def _constant(row: Constant, at: Place) -> Iterator[Line]:
    yield at.line("", "constant", ".".join(row.path.steps), fixed=f"always {row.term.code}")


#: What is written without a field of its own.
_FOLLOWS = {
    Derived: "follows from the item or its owner",
    Owner: "the item that holds this one",
    Subject: "the patient",
}


@lines.register
def _follows(row: Derived | Owner | Subject, at: Place) -> Iterator[Line]:
    element = ".".join(row.path.steps) if isinstance(row, Derived) else row.name
    word = next(word for kind, word in _FOLLOWS.items() if isinstance(row, kind))
    yield at.line("", _word(row), element, fixed=word)


@lines.register
def _flag(row: Flag, at: Place) -> Iterator[Line]:
    holds = f"true={row.on.code} | left out={row.off.code if row.off else 'nothing'}"
    yield at.line(row.flag, "flag", ".".join(row.path.steps), holds=holds)


@lines.register
def _inside(row: Inside, at: Place) -> Iterator[Line]:
    for inner in row.rows:
        yield from lines(inner, replace(at, path=f"{at.path}.{'.'.join(row.path.steps).removeprefix('_')}"))


@lines.register
def _in_list(row: InList, at: Place) -> Iterator[Line]:
    head = row.head()
    mark = _short(head["url"]) if "url" in head else head["code"]["coding"][0]["code"]
    for inner in row.rows:
        yield from lines(inner, replace(at, path=f"{at.path}.{row.name}({mark})"))


def _short(url: str) -> str:
    """An extension's name: the last step of its url."""
    return url.rpartition("/")[2]


@lines.register
def _embed(row: Embed, at: Place) -> Iterator[Line]:
    yield from _element(row.element, at.into("", row.field, row.element.yields))


@lines.register
def _references(row: References, at: Place) -> Iterator[Line]:
    yield at.line(row.field, "references", row.name)


@lines.register
def _each(row: Each, at: Place) -> Iterator[Line]:
    holds = f"{row.table.cls.__name__} items, resources of their own"
    yield at.line(row.field, "each", *filter(None, [row.forward]), holds=holds)


@lines.register
def _unused(row: Unused, at: Place) -> Iterator[Line]:
    for name in row.fields:
        yield replace(at.line(name, "unused"), holds="nothing: this resource has no place for it", required=False)


@lines.register
def _when(row: WhenRow, at: Place) -> Iterator[Line]:
    yield at.line(row.field, "when", *row.names.values(), *(["encounter"] if row.encounter else []))


@lines.register
def _value(row: ValueRow, at: Place) -> Iterator[Line]:
    shape = replace(at.known[row.field], units=row.units)
    elements = [f"value{suffix}" for suffix in row.forms.values()]
    yield at.line(row.field, "value", *elements, "dataAbsentReason", holds=held(shape))


@lines.register
def _word_value(row: WordValue, at: Place) -> Iterator[Line]:
    elements = ["valueCodeableConcept", *(["dataAbsentReason"] if row.unknown else [])]
    yield at.line(row.field, "word_value", *elements, holds=held(at.known[row.field], row.codec))
    if row.text is not None:
        yield at.line(row.text, "word_value", *(f"{element}.text" for element in elements))


@lines.register
def _status(row: Status, at: Place) -> Iterator[Line]:
    holds = f"{held(at.known['record_status'], row.codec)} | left out=final"
    yield at.line("record_status", "status", "status", holds=holds)


@lines.register
def _timed(row: Timed, at: Place) -> Iterator[Line]:
    yield at.line(row.field, "timed", row.name, f"{row.name}Unit")


#: The elements of the rows that map several fields of one concept.
SEVERAL: dict[type[Row], dict[str, str]] = {
    Amount: {"amount": "doseQuantity", "amount_range": "doseRange"},
    DoseRate: {"per_time": "rateRatio"},
    Rate: {"over": "rateRatio", "rate": "rateQuantity", "rate_ratio": "rateRatio"},
}


@lines.register
def _several(row: Amount | DoseRate | Rate, at: Place) -> Iterator[Line]:
    for field, element in SEVERAL[type(row)].items():
        yield at.line(field, _word(row), element)


# --- the whole table --------------------------------------------------------------------------

#: Where the members of the case itself lie: the frame is made by `mappings.generated`, not by a table.
_FRAME: dict[str, tuple[str, ...]] = {
    "schema_version": (), "case_system": ("identifier.system",), "case_id": ("identifier.value",),
    "language": ("language",), "recorded": ("Provenance.recorded", "Bundle.timestamp"),
    "security": ("meta.security",), "tags": ("meta.tag",),
}  # fmt: skip


def mapping_table() -> list[Line]:
    """Every line, concept by concept in the order of the case; parts follow their owner."""
    case = Place("", "", shapes(Case))
    waiting = [(case.named(name), table) for name, table in SECTIONS]
    found = [
        replace(case.line(name, "frame"), concept="Case", resource="every resource", fhir=fhir)
        for name, fhir in _FRAME.items()
    ]
    while waiting:
        section, table = waiting.pop(0)
        found += _concept(section, table)
        fields = Place("", f"{section}.", shapes(table.cls))
        parts = {fields.named(row.field): row.table for one in table.tables for row in one.each}
        waiting = [*parts.items(), *waiting]
    return found


def _concept(section: str, table: AnyMap) -> Iterator[Line]:
    """The lines of one concept; alternatives of one resource type share what they have in common."""
    for type_ in dict.fromkeys(one.type for one in table.tables):
        alternatives = [one for one in table.tables if one.type == type_]
        shared: dict[Line, list[str]] = {}
        for one in alternatives:
            for line in _resource(section, one):
                shared.setdefault(line, []).append(one.only[1] if one.only else "")
        if isinstance(table, Choose):
            yield _choice(section, table, alternatives)
        for line, words in shared.items():
            yield replace(line, only=() if len(words) == len(alternatives) else tuple(words))


def _resource(section: str, table: ResourceMap) -> Iterator[Line]:
    at = Place(table.type, "", shapes(table.cls))
    if table.has_key:
        yield _of(section, table, at.line("key", "key", "identifier.value"))
    for row in table.rows:
        for line in lines(row, at):
            yield _of(section, table, line)


def _of(section: str, table: ResourceMap, line: Line) -> Line:
    return replace(line, concept=table.cls.__name__, section=section, resource=table.type)


def _choice(section: str, table: Choose, alternatives: list[ResourceMap]) -> Line:
    """The field whose word chooses the table: it lives in the profile that the resource claims."""
    words = " | ".join(f"{one.only[1]}={one.name}" for one in alternatives if one.only)
    at = Place(alternatives[0].type, "", shapes(table.cls))
    return _of(section, alternatives[0], at.line(table.field, "choose", "meta.profile", holds=words))
