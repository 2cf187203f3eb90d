"""Whole cases for the laws, made from the dataclasses' annotations and not from the tables under test.

`cases` is the Hypothesis strategy; `seeded` makes the same kind of case from a number, where a law needs no
shrinking. Both run one `Maker` over a `Choose`, a source of small numbers in which 0 is the simplest choice.
A new concept joins by being a field of `Case`; only a new `Text` pattern needs a line in `TEXTS`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, is_dataclass, replace
from decimal import Decimal
from functools import cache
from typing import Any

from hypothesis import strategies as st

from mappings import dump_case, encode
from mappings.case import Case
from mappings.check import places, problems
from mappings.concepts.document import MIME, SHA1
from mappings.report import Issue
from mappings.shape import Shape, shapes
from mappings.terms import TERMS
from mappings.values import (
    CODE,
    DATE,
    INSTANT,
    LANGUAGE,
    LINE,
    MOMENT,
    SLUG,
    URI,
    Coding,
    Concept,
    Item,
    Period,
    Quantity,
    Range,
    Ratio,
    Relative,
    Span,
    Text,
    ValueOrAbsent,
    When,
)

Choose = Callable[[int], int]
"""``choose(n)`` is a number from 0 up to, not including, n."""


class _Drop:
    """What stands for "no value": the optional field stays out, the list item goes."""

    def __repr__(self) -> str:
        return "DROP"


DROP: Any = _Drop()

# --- texts ----------------------------------------------------------------------------------

_PIECES = (
    "a", "skin", " ", "mm", "é", "e\u0301", "ß", "İ", "日本", "λ", "😀", '"', "'", "\\", "/", "<b>", "&amp;", "]]>",
    "{}", "%s", "|", "\t", "\n", "\r\n", "\u00a0", "\u2028", "\u202e", "\ufeff", "\x7f", "null", "1.80", "#", "--",
)  # fmt: skip
_DAYS = ("2024-02-29", "1999-12-31", "2021-06-01", "0001-01-01", "9999-12-31", "2020-10-05")
_OFFSETS = ("Z", "-00:00", "+00:00", "+05:30", "+13:45", "-11:00", "+14:00", "-03:30")
_CLOCKS = ("00:00:00", "23:59:59", "08:30:05", "12:00:00.5", "12:00:00.500", "07:07:07.123456789")
_URIS = ("https://a.example/sid", "urn:oid:1.2.3", "http://h.example/é?q='\"&x=<1>", "s:x", "HTTPS://A.example/%20")
_SYSTEMS = ("http://foreign.example/cs", "urn:oid:2.16.840.1.113883.6.1", "http://loinc.org", "http://snomed.info/sct")


def _line(choose: Choose) -> str:
    text = "".join(_PIECES[choose(len(_PIECES))] for _ in range(1 + choose(4)))
    return text if text.strip() else text + "x"


def _moment(choose: Choose) -> str:
    precision, day = choose(4), _DAYS[choose(len(_DAYS))]
    return _instant(choose) if precision == 3 else day[: (4, 7, 10)[precision]]


def _instant(choose: Choose) -> str:
    return f"{_DAYS[choose(6)]}T{_CLOCKS[choose(6)]}{_OFFSETS[choose(8)]}"


def _among(*options: str) -> Callable[[Choose], str]:
    return lambda choose: options[choose(len(options))]


#: How to write a text of each pattern.
TEXTS: dict[Text, Callable[[Choose], str]] = {
    LINE: _line,
    MOMENT: _moment,
    INSTANT: _instant,
    DATE: lambda choose: _DAYS[choose(6)][: (4, 7, 10)[choose(3)]],
    SLUG: _among("case-1", "A", "0", "Case_2.b-c", "x" * 64),
    URI: _among(*_URIS),
    CODE: _among("a", "L98.5", "é-1", "a b", '<&">', "0", "x" * 100),
    LANGUAGE: _among("en", "de-AT", "zh-Hant-TW", "abcdefgh"),
    MIME: _among("application/pdf", "text/plain; charset=utf-8"),
    SHA1: _among("2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "+" * 27 + "="),
}

_NUMBERS = (
    "1", "0", "2", "1.80", "1.8", "0.010", "30.0", "123456789012345678", "0.123456789012345678", "1E+3", "1.50E+3",
    "1E-9", "0E-8", "0.00", "100", "999999999999999999.9", "-0.0", "-1", "-2.50", "-1E-3",
)  # fmt: skip
_UNITS = ("mm", "mg", "%", "g/L", "1", "{score}", "um", "kg", "cm", "h", "d", "mg/kg/h", "10*3/uL")
#: The units that the rules of a class want, spelled here a second time on purpose: (class, word) -> units.
_BY_KIND = {
    "skin-thickness": ("mm", "um"), "mouth-opening": ("mm", "cm"), "body-weight": ("kg", "g"),
    "body-height": ("cm",), "skin-score": ("{score}",), "ratio": ("1", "{ratio}"), "kappa": ("mg/L", "g/L"),
    "lambda": ("mg/dL",),
}  # fmt: skip


# --- the skeleton: which items there are ------------------------------------------------------


@dataclass(slots=True)
class Place:
    """An item to be: its class, key, place in the order of anchors, and the items it holds by field."""

    cls: type
    key: str
    rank: int
    parts: dict[str, list[Place]] = field(default_factory=dict)

    def all(self) -> Iterator[Place]:
        """The item and everything in it."""
        yield self
        for parts in self.parts.values():
            for part in parts:
                yield from part.all()


@cache
def holds_items(cls: type) -> bool:
    """Whether a dataclass has items, itself or in what it holds."""
    inner = [shape.type for shape in shapes(cls).values() if is_dataclass(shape.type)]
    return any(issubclass(kind, Item) or holds_items(kind) for kind in inner if kind is not cls)


class Maker:
    """Makes one case: ``least`` to ``most`` items a list, ``fill`` percent of the optional fields."""

    def __init__(self, choose: Choose, most: int = 2, fill: int = 45, least: int = 0) -> None:
        self.choose, self.most, self.fill, self.least = choose, most, fill, least
        self.places: list[Place] = []
        self.here: Place | None = None
        self.kinds: tuple[str, ...] = ()
        self.comparator = False
        self.upwards = False

    # choices

    def pick(self, options: Sequence[Any]) -> Any:
        """One of the options; the first is the simplest."""
        return options[self.choose(len(options))]

    def chance(self, percent: int) -> bool:
        """True in so many of a hundred; False is the simplest."""
        return self.choose(100) >= 100 - percent

    # the skeleton

    def _skeleton(self, cls: type) -> dict[str, list[Place]]:
        found: dict[str, list[Place]] = {}
        for shape in shapes(cls).values():
            kind = shape.type
            if not is_dataclass(kind):
                continue
            if issubclass(kind, Item):
                most = self.most if shape.many else 1
                count = max(self.choose(most + 2) - 1, min(self.least, most), shape.required)
                found[shape.name] = [self._place(kind) for _ in range(count)]
            elif holds_items(kind):
                found |= {f"{shape.name}.{name}": parts for name, parts in self._skeleton(kind).items()}
        return found

    def _place(self, cls: type) -> Place:
        number = len(self.places)
        stem = self.pick((cls.__name__.lower()[:20], "a", "x-", "k" * 59))
        place = Place(cls, f"{stem}{number}", number)
        self.places.append(place)
        place.parts = self._skeleton(cls)
        return place

    def keys(self, kinds: tuple[str, ...]) -> list[str]:
        """The keys of the items of these kinds (none: of any, the patient too)."""
        if not kinds:
            return ["patient", *(place.key for place in self.places)]
        return [place.key for place in self.places if place.cls.__name__ in kinds]

    def anchors(self) -> list[str]:
        """Items whose time this one's may hang on: those on one side of it, so that no circle arises."""
        if self.here is None:
            return []
        rank = self.here.rank
        return [place.key for place in self.places if (place.rank > rank if self.upwards else place.rank < rank)]

    # values

    def value(self, shape: Shape) -> Any:
        """A value for the field, or `DROP`."""
        if not shape.many:
            return self.one(shape)
        count = max(self.choose(self.most + 2), shape.required)
        found = tuple(value for _ in range(count) if (value := self.one(shape)) is not DROP)
        return found if found or not shape.required else DROP

    def one(self, shape: Shape) -> Any:
        """One value, were the field a list."""
        if shape.choices:
            return self.one(self.pick(shape.choices))
        if shape.words:
            return self.pick(shape.words)
        if shape.refs is not None:
            return self._key(shape.refs)
        if shape.type is str:
            return TEXTS[shape.texts[-1] if shape.texts else LINE](self.choose)
        if shape.type is bool:
            return self.choose(2) == 1
        if shape.type is int:
            least = -2147483648 if shape.least is None else shape.least
            return max(least, self.pick((1, 2, 0, 3, 4, 7, 2147483647, least)))
        if shape.type is Decimal:
            return self.number()
        return self.made(shape.type, shape)

    def _key(self, kinds: tuple[str, ...]) -> Any:
        found = self.keys(kinds)
        return self.pick(found) if found else DROP

    def number(self) -> Decimal:
        """A number whose digits say more than its value."""
        return Decimal(self.pick(_NUMBERS))

    def made(self, cls: type, shape: Shape | None = None) -> Any:
        """An instance of a dataclass, or `DROP`."""
        special = _SPECIAL.get(cls)
        if special is not None:
            return special(self, shape)
        fields = {s.name: value for s in shapes(cls).values() if (value := self._field(s)) is not DROP}
        return self.built(cls, fields)

    def _field(self, shape: Shape) -> Any:
        if not shape.required and not self.chance(self.fill):
            return DROP
        return self.value(shape)

    def built(self, cls: type, fields: dict[str, Any]) -> Any:
        """The dataclass of these fields; where they exclude each other, of fewer; where rules break, of others."""
        known = shapes(cls)
        if any(shape.required and name not in fields for name, shape in known.items()):
            return DROP
        optional = [name for name in fields if not known[name].required]
        for keep in [optional, *[[one] for one in optional], []]:
            try:
                return self._mended(cls(**{n: v for n, v in fields.items() if known[n].required or n in keep}))
            except ValueError:
                continue
        for shape in known.values():  # it needs an optional field
            try:
                return self._mended(cls(**fields | {shape.name: self.value(shape)}))
            except ValueError:
                continue
        return DROP

    def _mended(self, made: Any) -> Any:
        """Choose the fields anew that break the dataclass's own rules."""
        for _ in range(40):
            broken = next(iter(made.rules()), None) if hasattr(made, "rules") else None
            if broken is None:
                return made
            shape = shapes(type(made))[broken[0].partition("/")[0]]
            old = getattr(made, shape.name)
            if is_dataclass(shape.type) and issubclass(shape.type, Item):
                value = old[:-1] if shape.many else None
            elif not shape.required and old not in (None, ()) and self.choose(3) == 0:
                value = DROP
            else:
                value = self.value(shape)
            empty: Any = () if shape.many else None
            made = replace(made, **{shape.name: empty if value is DROP else value})
        return made

    # items and the case

    def items(self, places: list[Place]) -> tuple[Any, ...]:
        """The items of these places, without those that cannot be made."""
        return tuple(made for place in places if (made := self.item(place)) is not DROP)

    def item(self, place: Place) -> Any:
        """The item of a place, with its parts; `DROP` if something it needs is not in this case."""
        before = self.here, self.kinds
        self.here, self.kinds = place, ()
        fields: dict[str, Any] = {"key": place.key}
        for shape in shapes(place.cls).values():
            if shape.name in fields:
                continue
            if shape.name in place.parts:
                parts = self.items(place.parts[shape.name])
                value = parts if shape.many else parts[0] if parts else DROP
            else:
                value = self._field(shape)
            if shape.words and isinstance(value, str) and value in _BY_KIND:
                self.kinds = _BY_KIND[value]
            if value is not DROP:
                fields[shape.name] = value
        made = self.built(place.cls, fields)
        self.here, self.kinds = before
        return made

    def holder(self, cls: type, parts: dict[str, list[Place]]) -> Any:
        """A dataclass that is no item and holds some, such as the patient or the case."""
        fields: dict[str, Any] = {}
        for shape in shapes(cls).values():
            if shape.name in parts:
                items = self.items(parts[shape.name])
                fields[shape.name] = items if shape.many else items[0] if items else None
            elif is_dataclass(shape.type) and holds_items(shape.type):
                inner = {n.partition(".")[2]: p for n, p in parts.items() if n.startswith(f"{shape.name}.")}
                fields[shape.name] = self.holder(shape.type, inner)
            elif (value := self._field(shape)) is not DROP:
                fields[shape.name] = value
        return self.built(cls, fields)

    def case(self) -> Case:
        """A case that the model accepts."""
        self.upwards = self.choose(2) == 1
        return repaired(self.holder(Case, self._skeleton(Case)))


# --- values that are more than their fields ---------------------------------------------------


def _forms(cls: type, shape: Shape | None) -> list[str]:
    forms = shape.forms if shape is not None and shape.forms else tuple(shapes(cls))
    return [form for form in forms if form != "text" or cls is ValueOrAbsent]


def _when(maker: Maker, shape: Shape | None) -> Any:
    """A form that can be had here, with the sender's words beside it where they may stand."""
    known = shapes(When)
    form = maker.pick(_forms(When, shape))
    value = maker.one(known[form])
    if value is DROP:
        form, value = "absent", "unknown"
        if form not in _forms(When, shape):
            return DROP
    fields = {form: value}
    if value == "as-text" or (form not in ("encounter", "age") and maker.chance(30)):
        fields["text"] = maker.one(known["text"])
    return maker.built(When, fields)


def _value(maker: Maker, shape: Shape | None) -> Any:
    form = maker.pick(_forms(ValueOrAbsent, shape))
    inner = shapes(ValueOrAbsent)[form]
    units = maker.kinds or (shape.units if shape is not None else ())
    if shape is not None and shape.units and maker.kinds:
        units = tuple(unit for unit in maker.kinds if unit in shape.units)
    if form in ("quantity", "range"):
        inner = replace(inner, units=units)
    maker.comparator = form == "quantity"
    value = maker.one(inner)
    maker.comparator = False
    return maker.built(ValueOrAbsent, {form: value})


def _quantity(maker: Maker, shape: Shape | None) -> Quantity:
    fields: dict[str, Any] = {"value": maker.number()}
    fields["unit"] = maker.pick(shape.units if shape is not None and shape.units else _UNITS)
    if maker.chance(40):
        fields["display"] = maker.pick(("mm", "Gramm", fields["unit"], _line(maker.choose)))
    if maker.comparator and maker.chance(40):
        fields["comparator"] = maker.pick(("<", "<=", ">=", ">"))
    return Quantity(**fields)


def _ratio(maker: Maker, shape: Shape | None) -> Any:
    """A rate, as the rules of doses want it: so much for such a time."""
    numerator = replace(_quantity(maker, None), unit=maker.pick(("mg", "g/kg", "g", "mL", "[IU]")), display=None)
    denominator = replace(_quantity(maker, None), unit=maker.pick(("d", "h", "min")))
    return maker.built(Ratio, {"numerator": numerator, "denominator": denominator})


def _range(maker: Maker, shape: Shape | None) -> Range:
    low, high = _quantity(maker, shape), _quantity(maker, shape)
    high = replace(high, unit=low.unit, display=low.display)
    ends = {"low": low, "high": high} if maker.chance(50) else {"low": low} if maker.chance(50) else {"high": high}
    if len(ends) == 2 and low.value > high.value:
        ends = {"low": high, "high": low}
    return Range(**ends)


def _span(maker: Maker, shape: Shape | None) -> Any:
    low, high = (maker.made(shapes(Span)["low"].type) for _ in range(2))
    if low is DROP or high is DROP:
        return DROP
    high = replace(high, unit=low.unit)
    return Span(low, high) if low.value <= high.value else Span(high, low)


def _period(maker: Maker, shape: Shape | None) -> Any:
    known = shapes(Period)
    ends = {name: maker.one(known[name]) for name in ("start", "end")}
    ends = {name: value for name, value in ends.items() if value is not DROP and maker.chance(70)}
    return maker.built(Period, ends or {"start": "2024"})


def _relative(maker: Maker, shape: Shape | None) -> Any:
    """A time against an item that has one; `repaired` puts the element right, which hangs on the anchor."""
    anchors = maker.anchors()
    if not anchors:
        return DROP
    known = shapes(Relative)
    fields = {"anchor": maker.pick(anchors)} | {n: maker.one(known[n]) for n in ("anchor_element", "relation")}
    offset = maker.pick((None, "offset", "offset_range", "offset_text"))
    if offset and (value := maker.one(known[offset])) is not DROP:
        fields[offset] = value
    return Relative(**fields)


def _concept(maker: Maker, shape: Shape | None) -> Concept:
    """Words, codes of the terms, codes that nobody knows; among them codes that mean something elsewhere."""
    text = _line(maker.choose) if maker.chance(60) else None
    codings = tuple(_coding(maker, None) for _ in range(maker.choose(3)))
    return Concept(text, codings or (() if text else (_coding(maker, None),)))


_TERMS = tuple(TERMS)


def _coding(maker: Maker, shape: Shape | None) -> Coding:
    if maker.chance(40):
        return maker.pick(maker.pick(_TERMS).codings)
    known = shapes(Coding)
    optional = {n: maker.one(known[n]) for n in ("display", "version", "user_selected") if maker.chance(30)}
    return Coding(maker.pick(_SYSTEMS), maker.one(known["code"]), **optional)


_SPECIAL: dict[type, Callable[[Maker, Shape | None], Any]] = {
    When: _when, ValueOrAbsent: _value, Quantity: _quantity, Ratio: _ratio, Range: _range, Span: _span, Period: _period,
    Relative: _relative, Concept: _concept, Coding: _coding,
}  # fmt: skip


# --- changing a case at a pointer -------------------------------------------------------------


def steps_of(pointer: str) -> list[str]:
    """The steps of a JSON pointer into a case."""
    return pointer.split("/")[1:] if pointer not in ("", "/") else []


def put(node: Any, steps: list[str], value: Any) -> Any:
    """The node with another value at the steps; `DROP` takes away what may go, with what cannot be without it."""
    if not steps:
        return value
    if isinstance(node, tuple):
        index = int(steps[0])
        inner = put(node[index], steps[1:], value)
        return node[:index] + (() if inner is DROP else (inner,)) + node[index + 1 :]
    shape = next(s for s in shapes(type(node)).values() if s.json_name == steps[0])
    old = getattr(node, shape.name)
    inner = put(old, steps[1:], value) if old is not None else value
    if inner is DROP:
        if shape.required:
            return DROP
        inner = () if shape.many else None
    try:
        return replace(node, **{shape.name: inner})
    except ValueError:
        return DROP


def repaired(case: Case) -> Case:
    """The case without what `problems` finds wrong: elements of anchors put right, offending fields dropped."""
    for _ in range(30):
        found = problems(case)
        if not found:
            return case
        before = case
        for fault in sorted(found, key=lambda issue: _place_of(issue.pointer), reverse=True):
            case = _without(case, fault)
        if case == before:  # something that cannot go is wrong, or something is missing: the item goes
            case = put(case, steps_of(found[0].pointer)[:2], DROP)
    raise AssertionError(f"the maker cannot repair {[(issue.code, issue.pointer, issue.expected) for issue in found]}")


def _place_of(pointer: str) -> list[tuple[int, str]]:
    return [(int(step), "") if step.isdigit() else (0, step) for step in steps_of(pointer)]


def _without(case: Case, fault: Issue) -> Case:
    value = DROP
    if fault.pointer.endswith("/anchor_element") and fault.expected.startswith("one of "):
        words = shapes(Relative)["anchor_element"].words
        value = next((w for w in fault.expected[7:].split(", ") if w in words), DROP)
    try:
        changed = put(case, steps_of(fault.pointer), value)
    except (IndexError, AttributeError):  # it went with another
        return case
    return case if changed is DROP else changed


# --- the two sources of choices -----------------------------------------------------------------


@cache
def _below(n: int) -> st.SearchStrategy[int]:
    return st.integers(0, n - 1)


def chooser(draw: Any) -> Choose:
    """Choices that Hypothesis makes and shrinks."""
    return lambda n: draw(_below(n)) if n > 1 else 0


@st.composite
def cases(draw: Any, most: int = 2, fill: int = 45) -> Case:
    """Any case that the model accepts."""
    return Maker(chooser(draw), most, fill).case()


def seeded(seed: int, most: int = 3, fill: int = 60, least: int = 0) -> Case:
    """The case of a seed."""
    return Maker(random.Random(seed).randrange, most, fill, least).case()


# --- one changed fact ---------------------------------------------------------------------------

_IDENTITY = {(Case, "schema_version"), (Case, "case_system"), (Case, "case_id")}


def slots(node: Any, pointer: str = "") -> Iterator[tuple[str, Shape, Any]]:
    """Each field below a node that can be changed without changing which items there are, and what it holds."""
    for shape in shapes(type(node)).values():
        here, value = f"{pointer}/{shape.json_name}", getattr(node, shape.name)
        items = is_dataclass(shape.type) and (issubclass(shape.type, Item) or holds_items(shape.type))
        if (
            not items
            and (type(node), shape.name) not in _IDENTITY
            and not (isinstance(node, Item) and shape.name == "key")
        ):
            yield here, shape, value
        many = isinstance(value, tuple)
        for step, one in [(f"{here}/{i}", v) for i, v in enumerate(value)] if many else [(here, value)]:
            if is_dataclass(one):
                yield from slots(one, step)


def maker_for(choose: Choose, case: Case) -> Maker:
    """A maker of more values for a case that is there."""
    maker = Maker(choose)
    for place in places(case, Case):
        if isinstance(place.value, Item):
            maker.places.append(Place(type(place.value), place.value.key, len(maker.places)))
    maker.here = Place(Item, "", len(maker.places))
    return maker


def edited(choose: Choose, case: Case) -> tuple[Case, str]:
    """The case with one field changed, given or taken away, and the pointer to the field; raises if none can be."""
    maker, found = maker_for(choose, case), list(slots(case))
    for _ in range(60):
        pointer, shape, old = maker.pick(found)
        value = DROP if not shape.required and maker.chance(30) else maker.value(shape)
        if isinstance(old, tuple) and len(old) > 1 and maker.chance(60):
            value = maker.pick((old[::-1], old[1:], old[:-1], (*old[1:], old[0])))
        changed = put(case, steps_of(pointer), (() if shape.many else DROP) if value is DROP else value)
        if (
            isinstance(changed, Case)
            and keys(changed) == keys(case)
            and not same(changed, case)
            and not problems(changed)
        ):
            return changed, pointer
    raise LookupError("no field of this case can be changed")


def keys(case: Case) -> list[str]:
    """The keys of the items, in order."""
    return [place.value.key for place in places(case, Case) if isinstance(place.value, Item)]


def same(a: Case, b: Case) -> bool:
    """Equal to the last digit: 1.80 is not 1.8."""
    return encode(dump_case(a)) == encode(dump_case(b))
