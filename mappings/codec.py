"""The two-way vocabulary: each codec writes one case value as FHIR JSON and reads it back.

A codec is bound to the annotation of the field it serves, so that units, words, patterns and
kinds of reference are declared once, on the field. Reading is strict: what is not understood
raises `Unread`, which gathers the path on its way up, and stays in the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from mappings.compiled import maker
from mappings.report import Json
from mappings.shape import Shape
from mappings.straight import Script, anew
from mappings.terms import BASE, CODES, SYSTEMS, TERMS, WORDS, Term
from mappings.values import CODE, LINE, TIME_UNITS, URI, Coding, Concept, Duration, Quantity, Range, Ratio

if TYPE_CHECKING:
    from mappings.resource import Reading, Writing

UCUM, SNOMED = "http://unitsofmeasure.org", SYSTEMS["snomed"].uri
DAR_SYSTEM = TERMS["dar-unknown"].codings[0].system
DAR_URL = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
ORIGINAL_TEXT = "http://hl7.org/fhir/StructureDefinition/originalText"


def own(name: str) -> str:
    """The canonical URL of one of the project's own StructureDefinitions."""
    return f"{BASE}/StructureDefinition/{name}"


class Unread(Exception):
    """An element cannot be read. ``steps`` is its JSON path; messages quote codes and units only."""

    def __init__(self, code: str, message: str, expected: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.expected = code, message, expected
        self.steps: list[str | int] = []

    def at(self, *steps: str | int) -> Unread:
        """The same, seen from further out."""
        self.steps[:0] = steps
        return self


class Codec(Protocol):
    """One value <-> one JSON value. ``yields`` is the Python type of the value."""

    yields: type

    def bound(self, shape: Shape) -> Codec:
        """The codec for this field; raises `TypeError` where the two do not fit."""

    def write(self, value: Any, to: Writing) -> Json:
        """The value as FHIR JSON."""

    def read(self, json: Json, by: Reading) -> Any:
        """The value of the FHIR JSON; raises `Unread`."""

    def reads(self, script: Script, json: str, steps: str) -> str:
        """The expression that reads a variable, whose steps these are: by `read`, or in place what is surely right."""
        return f"{script.name(self.read)}({json}, by)"

    def writes(self, script: Script, value: str) -> str:
        """The expression that writes the value of an expression: by `write`, unless the codec says it in place."""
        return f"{script.name(self.write)}({value}, to)"


def read_inside(codec: Codec, script: Script, json: str, steps: str) -> str:
    """`Codec.reads` of a codec that notes what it cannot read inside the element: that gets its whole path."""
    return f"by.inside({steps}, {script.name(codec.read, f'read_{codec.yields.__name__}')}, {json}, by)"


class Said(Codec):
    """A codec that says in Python how a value is written."""

    @cached_property
    def write(self) -> Callable[[Any, Writing], Json]:
        """The value as FHIR JSON."""
        script = Script(type(self).__name__, "write", "value, to", {})
        script.say(f"return {self.writes(script, 'value')}")
        return script.compiled()


class Simple(Said):
    """A codec from three functions; the field's type must be ``yields``."""

    def __init__(self, yields: type, write: Callable[[Any], Json], read: Callable[[Json], Any]) -> None:
        self.yields, self._write, self._read = yields, write, read

    def bound(self, shape: Shape) -> Codec:
        _agree(self.yields, shape)
        return self

    def writes(self, script: Script, value: str) -> str:
        return f"{script.name(self._write, 'made')}({value})"

    def read(self, json: Json, by: Reading) -> Any:
        return self._read(json)


def _agree(yields: type, shape: Shape) -> None:
    if shape.type is not yields:
        raise TypeError(f"field {shape.name} holds {shape.type.__name__}, its codec {yields.__name__}")


def no_modifier(json: Json) -> None:
    """No table knows a modifier extension, and one that is not known may turn the meaning round."""
    if isinstance(json, dict) and "modifierExtension" in json:
        raise Unread("modifier", "A modifier extension may change what this means.").at("modifierExtension")


def contradiction(obj: dict[str, Json]) -> Unread | None:
    """A value beside the reason why there is none, in an Observation (FHIR obs-6) or a component of one."""
    name = next((name for name in obj if name.startswith("value")), None) if "dataAbsentReason" in obj else None
    if name is None:
        return None
    return Unread("contradiction", "It has a value, and a reason why there is none (FHIR obs-6).").at(name)


def disowned(obj: dict[str, Json]) -> list[str]:
    """The members that have a value, and a sibling whose extension says why there is none (data-absent-reason)."""
    if not obj or min(obj) >= "a":  # soon told: all names begin with a small letter, so there is no sibling
        return []
    return [name[1:] for name in obj if name[:1] == "_" and obj.get(name[1:]) is not None and _is_reason(obj[name])]


def _is_reason(sibling: Json) -> bool:
    listed = sibling.get("extension") if type(sibling) is dict else None
    return type(listed) is list and any(type(one) is dict and one.get("url") == DAR_URL for one in listed)


def no_doubt(obj: dict[str, Json]) -> None:
    """Raise `Unread` if a member is `disowned`."""
    for name in disowned(obj):
        raise Unread("contradiction", DISOWNED).at(name)


DISOWNED = "It has a value, and an extension that says why there is none."


def _need(json: Json, kind: type, what: str) -> Any:
    if type(json) is not kind:
        raise Unread("wrong-type", "The JSON type is wrong.", what)
    return json


# --- primitives -----------------------------------------------------------------------------


class Plain(Said):
    """A FHIR primitive, exactly as the field's annotation says."""

    yields: type = object

    def __init__(self) -> None:
        self.shape: Shape | None = None

    def bound(self, shape: Shape) -> Codec:
        if shape.type not in (str, int, bool, Decimal) or shape.words:
            raise TypeError(f"field {shape.name} is no primitive")
        codec = Plain()
        codec.yields, codec.shape = shape.type, shape
        return codec

    def writes(self, script: Script, value: str) -> str:
        return value

    def read(self, json: Json, by: Reading) -> Any:
        shape = self.shape
        assert shape is not None
        if shape.type is Decimal:
            return number(json)
        value = _need(json, shape.type, f"a JSON {shape.type.__name__}")
        for text in shape.texts:
            if not text.ok(value):
                raise Unread("bad-value", "The text has another form.", text.meaning)
        if shape.least is not None and value < shape.least:
            raise Unread("bad-value", "The number is too small.", f"{shape.least} or more")
        return value

    def reads(self, script: Script, json: str, steps: str) -> str:
        if self.shape is None or self.shape.type is not str:
            return super().reads(script, json, steps)
        fits = "".join(f" and {script.name(text.test, 'fits')}({json})" for text in self.shape.texts)
        return f"{json} if type({json}) is str{fits} else {super().reads(script, json, steps)}"


def plain() -> Codec:
    """A primitive: string, integer, decimal or boolean by the field's annotation."""
    return Plain()


def number(json: Json) -> Decimal:
    """A JSON number as Decimal, digits kept."""
    if type(json) is Decimal:
        return json
    return Decimal(_need(json, int, "a JSON number"))


# --- words and codes ------------------------------------------------------------------------


class Word(Said):
    """A word of the case <-> a code, by a table of words.tsv that holds exactly the field's words."""

    yields: type = str

    def __init__(self, table: str, form: str) -> None:
        self.table, self.form, self.words = table, form, WORDS[table]
        self._by_code = {term.code: word for word, term in self.words.items()}
        self._by_pair = {pair: word for word, term in self.words.items() for pair in term.pairs}

    def bound(self, shape: Shape) -> Codec:
        if set(shape.words) != set(self.words):
            raise TypeError(f"field {shape.name}: words differ from table {self.table} of words.tsv")
        return self

    def writes(self, script: Script, value: str) -> str:
        if self.form == "code":
            return f"{script.name({word: term.code for word, term in self.words.items()}, 'code')}[{value}]"
        term = f"{script.name(self.words, 'term')}[{value}]"
        if self.form == "coding":
            return f"{script.name(coding_json, 'coding')}({term}.codings[0])"
        if any(term.licensed for term in self.words.values()):
            return f"{script.name(term_json, 'made')}({term}, to.optional_codes)"
        return f"{script.name({word: anew(term_json(term)) for word, term in self.words.items()}, 'made')}[{value}]()"

    def read(self, json: Json, by: Reading) -> Any:
        if self.form == "code":
            if json == "entered-in-error":
                raise _in_error()
            word = self._by_code.get(_need(json, str, "a code"))
        else:
            told = [json] if self.form == "coding" else _need(json, dict, "a CodeableConcept").get("coding", [])
            word = None
            for pair in pairs(told):
                if pair[1] == "entered-in-error":
                    raise _in_error()
                if pair in self._by_pair:
                    if word is not None and word != self._by_pair[pair]:
                        raise Unread("contradiction", "The codings mean different things.", "codings of one meaning")
                    word = self._by_pair[pair]
                    by.node.licensed = by.node.licensed or pair in LICENSED_PAIRS
        if word is None:
            raise Unread("unmapped-code", "The code is not one of the table.", self.expected())
        return word

    def reads(self, script: Script, json: str, steps: str) -> str:
        if self.form != "code":
            return super().reads(script, json, steps)
        known = f"{script.name(self._by_code, 'words')}.get({json})"
        return f"type({json}) is str and {known} or {super().reads(script, json, steps)}"

    def expected(self) -> str:
        """The codes that the table knows."""
        return f"one of {', '.join(sorted(self._by_code))}"


def _in_error() -> Unread:
    """A status of entered-in-error takes back the whole record."""
    return Unread("entered-in-error", "The record is marked as entered in error.")


def word(table: str) -> Word:
    """A word <-> a bare `code`."""
    return Word(table, "code")


def coded(table: str) -> Word:
    """A word <-> a CodeableConcept."""
    return Word(table, "concept")


def pairs(codings: Json) -> list[tuple[Any, Any]]:
    """(system, code) of each Coding of a list, malformed ones left out."""
    found = []
    for coding in codings if isinstance(codings, list) else ():
        if isinstance(coding, dict):
            system, code = coding.get("system"), coding.get("code")
            if type(code) is str and (system is None or type(system) is str):
                found.append((system, code))
    return found


def has_code(json: Json, among: Collection[tuple[str, str]]) -> bool:
    """Whether a CodeableConcept has one of these (system, code)."""
    listed = json.get("coding") if type(json) is dict else None
    for coding in listed if type(listed) is list else ():
        if type(coding) is dict:
            system, code = coding.get("system"), coding.get("code")
            if type(system) is str and type(code) is str and (system, code) in among:
                return True
    return False


def coding_json(coding: Coding) -> dict[str, Json]:
    """A Coding, members in FHIR's order."""
    if coding.version is None and coding.user_selected is None and coding.display is not None:  # nearly all
        return {"system": coding.system, "code": coding.code, "display": coding.display}
    out: dict[str, Json] = {"system": coding.system}
    if coding.version is not None:
        out["version"] = coding.version
    out["code"] = coding.code
    if coding.display is not None:
        out["display"] = coding.display
    if coding.user_selected is not None:
        out["userSelected"] = coding.user_selected
    return out


def term_json(term: Term, optional_codes: bool = False, text: str | None = None) -> dict[str, Json]:
    """A term as a CodeableConcept."""
    codings = (*term.codings, *term.licensed) if optional_codes else term.codings
    return {"coding": [coding_json(c) for c in codings], "text": text or term.display}


def _read_coding(json: Json) -> Coding:
    get = _need(json, dict, "a Coding").get
    system, code, display, version, chosen = (
        get("system"), get("code"), get("display"), get("version"), get("userSelected"),
    )  # fmt: skip
    if (
        type(system) is not str
        or type(code) is not str
        or (display is not None and type(display) is not str)
        or (version is not None and type(version) is not str)
    ):
        raise Unread("wrong-type", "The Coding lacks its system or code.", "system and code as strings")
    short = len(system) + len(code) + len(display or "") + len(version or "") < 256
    make = _known_coding if short else _coding
    return make(system, code, display, version, chosen if type(chosen) is bool else None)


def _coding(system: str, code: str, display: str | None, version: str | None, chosen: bool | None) -> Coding:
    if (
        not (URI.ok(system) and CODE.ok(code))
        or (display is not None and not LINE.ok(display))
        or (version is not None and not LINE.ok(version))
    ):
        raise Unread("bad-value", "The Coding's system is no URI, or its code no code.", URI.meaning)
    return Coding(system, code, display, version, chosen)


#: Codings come again and again; those that are as short as most are kept in memory.
_known_coding = lru_cache(1024)(_coding)


class ConceptCodec(Codec):
    """A `Concept` <-> a CodeableConcept: all codings, in their order; with licensed ones on request."""

    yields: type = Concept

    def bound(self, shape: Shape) -> Codec:
        _agree(Concept, shape)
        return self

    def write(self, value: Any, to: Writing) -> Json:
        if not value.codings:
            return {"text": value.text}
        codings = [coding_json(c) for c in value.codings]
        if to.optional_codes:
            codings += _licensed(value)
        return {"coding": codings} if value.text is None else {"coding": codings, "text": value.text}

    def read(self, json: Json, by: Reading) -> Any:
        get, found = _need(json, dict, "a CodeableConcept").get, []
        for index, coding in enumerate(_need(get("coding", []), list, "an array of Codings")):
            try:
                one = _read_coding(coding)
                found.append(one)
                if one.system == SNOMED and (SNOMED, one.code) in LICENSED_PAIRS:
                    by.node.licensed = True
            except Unread as error:
                by.unread(error.at("coding", index))
        text = get("text")
        if type(text) is not str or not _is_line(text):
            text = None
        if not found and text is None:
            raise Unread("unreadable-element", "The concept has neither text nor a whole coding.")
        return _make_concept(text=text, codings=tuple(found))

    def reads(self, script: Script, json: str, steps: str) -> str:
        return read_inside(self, script, json, steps)


_make_concept, _is_line = maker(Concept), LINE.test


def _licensed(value: Concept) -> list[dict[str, Json]]:
    """The licensed codings of the terms that the concept's free codings mean."""
    have = {(c.system, c.code) for c in value.codings}
    found = []
    for coding in value.codings:
        for term in BY_PAIR.get((coding.system, coding.code), ()):
            found += [c for c in term.licensed if (c.system, c.code) not in have]
            have |= {(c.system, c.code) for c in term.licensed}
    return [coding_json(c) for c in found]


#: The SNOMED CT codes that are written only on request.
LICENSED_PAIRS = frozenset((coding.system, coding.code) for term in TERMS for coding in term.licensed)
#: The terms whose most exact coding a pair is: only those may add their licensed codings.
BY_PAIR: dict[tuple[str, str], list[Term]] = {}
for _term in TERMS:
    BY_PAIR.setdefault((_term.codings[0].system, _term.code), []).append(_term)


def concept() -> Codec:
    """A CodeableConcept with all its codings."""
    return ConceptCodec()


def coding() -> Codec:
    """A Coding."""
    return Simple(Coding, coding_json, _read_coding)


#: Spellings of units that are not UCUM, and what they are in UCUM (terminology 10).
ALIASES = {
    "µm": "um", "μm": "um", "mcm": "um", "mg/m²": "mg/m2", "mg/m^2": "mg/m2", "gm/kg": "g/kg", "g/kg BW": "g/kg",
    "g/kg KG": "g/kg", "mcg": "ug", "years": "a", "yr": "a", "gm": "g", "Mhz": "MHz", "gm/dl": "g/dL", "g/l": "g/L",
}  # fmt: skip
#: Units that are read even where the sender names no system.
KNOWN_UNITS = frozenset(code.code for code in CODES if code.system == "ucum") | frozenset(ALIASES.values())


# --- quantities -----------------------------------------------------------------------------


class QuantityCodec(Codec):
    """A `Quantity` <-> a UCUM Quantity, in the units of the field; comparators only where they may be."""

    yields: type = Quantity

    def __init__(self, units: tuple[str, ...] = (), comparator: bool = False) -> None:
        self.units, self.comparator = units, comparator

    def bound(self, shape: Shape) -> Codec:
        _agree(Quantity, shape)
        return QuantityCodec(self.units or shape.units, self.comparator)

    def write(self, value: Any, to: Writing) -> Json:
        compared = {} if value.comparator is None else {"comparator": value.comparator}
        unit = {"unit": value.display or value.unit, "system": UCUM, "code": value.unit}
        return {"value": value.value, **compared, **unit}

    def read(self, json: Json, by: Reading) -> Any:
        _need(json, dict, "a Quantity")
        if "_value" in json:
            no_doubt(json)
        display, comparator = json.get("unit"), json.get("comparator")
        unit = self._unit(json, by)
        if self.units and unit not in self.units:
            shown = f" {unit}" if len(unit) <= 40 and unit.isascii() and " " not in unit else ""  # else any text
            raise Unread("wrong-unit", f"The unit{shown} is not one of this field.", self.expected()).at("code")
        if comparator is not None and (not self.comparator or comparator not in ("<", "<=", ">=", ">")):
            raise Unread("modifier", "A comparator is not understood here.", "an exact number").at("comparator")
        value = number(json.get("value"))
        try:
            return Quantity(value, unit, display if type(display) is str else None, comparator)
        except ValueError as error:
            raise _no_measure(error) from None

    def _unit(self, json: dict[str, Json], by: Reading) -> str:
        """The UCUM code; another spelling of a unit is read as it, and reported."""
        system, code, shown = json.get("system"), json.get("code"), json.get("unit")
        spelled = code if isinstance(code, str) and system in (UCUM, None) else shown if system is None else None
        unit = ALIASES.get(spelled, spelled) if isinstance(spelled, str) else None
        if not isinstance(unit, str) or (system is None and unit not in KNOWN_UNITS):
            raise Unread("wrong-unit", "The quantity has no UCUM code.", self.expected())
        if unit != code or system is None:
            by.node.notes.append(("unit-alias", f"A unit in another spelling is read as {unit}."))
        return unit

    def expected(self) -> str:
        """The units that the field takes."""
        return f"UCUM {' or '.join(self.units)}" if self.units else "a UCUM unit"


def quantity(comparator: bool = False) -> Codec:
    """A Quantity in the units of the field; ``comparator`` allows `<` and its like."""
    return QuantityCodec(comparator=comparator)


def duration_json(value: Duration) -> dict[str, Json]:
    """A Duration with the unit in words."""
    return {"value": value.value, "unit": TIME_UNITS[value.unit], "system": UCUM, "code": value.unit}


def read_duration(json: Json) -> Duration:
    """A Duration in UCUM units of time."""
    _need(json, dict, "a Duration")
    if "_value" in json:
        no_doubt(json)
    unit = json.get("code")
    if json.get("system") != UCUM or type(unit) is not str or unit not in TIME_UNITS:
        raise Unread("wrong-unit", "The duration has no UCUM unit of time.", f"one of {', '.join(TIME_UNITS)}")
    if json.get("comparator") is not None:
        raise Unread("modifier", "A comparator is not understood here.", "an exact number").at("comparator")
    value = number(json.get("value"))
    if value.is_signed():
        raise Unread("bad-value", "A duration is not negative.", "0 or more").at("value")
    try:
        return Duration(value, unit)  # type: ignore[arg-type]  # one of TIME_UNITS
    except ValueError as error:
        raise _no_measure(error) from None


def _no_measure(error: ValueError) -> Unread:
    return Unread("bad-value", "The number is no measure.", str(error)).at("value")


def duration() -> Codec:
    """A Duration."""
    return Simple(Duration, duration_json, read_duration)


class RatioCodec(Codec):
    """A `Ratio` <-> a FHIR Ratio of UCUM quantities."""

    yields: type = Ratio
    part = QuantityCodec()

    def bound(self, shape: Shape) -> Codec:
        _agree(Ratio, shape)
        return self

    def write(self, value: Any, to: Writing) -> Json:
        return {
            "numerator": self.part.write(value.numerator, to),
            "denominator": self.part.write(value.denominator, to),
        }

    def read(self, json: Json, by: Reading) -> Any:
        _need(json, dict, "a Ratio")
        return Ratio(*(_inside(name, self.part, json, by) for name in ("numerator", "denominator")))


def _inside(name: str, codec: Codec, json: dict[str, Json], by: Reading) -> Any:
    try:
        return codec.read(json.get(name), by)
    except Unread as error:
        raise error.at(name) from None


def ratio() -> Codec:
    """A Ratio of quantities."""
    return RatioCodec()


class RangeCodec(Codec):
    """A `Range` <-> a FHIR Range of UCUM quantities in the units of the field."""

    yields: type = Range

    def __init__(self, units: tuple[str, ...] = ()) -> None:
        self.part = QuantityCodec(units)

    def bound(self, shape: Shape) -> Codec:
        _agree(Range, shape)
        return RangeCodec(shape.units)

    def write(self, value: Any, to: Writing) -> Json:
        ends = (("low", value.low), ("high", value.high))
        return {name: self.part.write(end, to) for name, end in ends if end is not None}

    def read(self, json: Json, by: Reading) -> Any:
        _need(json, dict, "a Range")
        ends = {name: _inside(name, self.part, json, by) for name in ("low", "high") if name in json}
        try:
            return Range(**ends)
        except ValueError as error:
            raise Unread("bad-value", "The range contradicts itself.", str(error)) from None


class Within(Said):
    """A value in the only member of an element: a note is ``{"text": ...}``."""

    def __init__(self, name: str, inner: Codec) -> None:
        self.name, self.inner, self.yields = name, inner, inner.yields

    def bound(self, shape: Shape) -> Codec:
        return Within(self.name, self.inner.bound(shape))

    def writes(self, script: Script, value: str) -> str:
        return f"{{{self.name!r}: {self.inner.writes(script, value)}}}"

    def read(self, json: Json, by: Reading) -> Any:
        no_modifier(_need(json, dict, "a JSON object"))
        return _inside(self.name, self.inner, json, by)


def within(name: str, inner: Codec) -> Codec:
    """A value in a member of an element that has nothing else of ours."""
    return Within(name, inner)


class NumberIn(Codec):
    """A Decimal <-> a Quantity in one unit that the field's name spells."""

    yields: type = Decimal

    def __init__(self, unit: str, word: str) -> None:
        self.unit, self.word, self.inner = unit, word, QuantityCodec((unit,))

    def bound(self, shape: Shape) -> Codec:
        if shape.type is not Decimal or self.word not in shape.name:
            raise TypeError(f"field {shape.name} is no Decimal with {self.word} in its name")
        return self

    def write(self, value: Any, to: Writing) -> Json:
        return self.inner.write(Quantity(value, self.unit), to)

    def read(self, json: Json, by: Reading) -> Any:
        return self.inner.read(json, by).value


def number_in(unit: str, word: str) -> Codec:
    """A number in a unit that is part of the field's name: ``number_in("%", "percent")``."""
    return NumberIn(unit, word)


# --- references -----------------------------------------------------------------------------


class ReferenceCodec(Said):
    """The key of an item <-> a Reference to its resource; the field says which kinds it may name."""

    yields: type = str

    def __init__(self, kinds: tuple[str, ...] | None = None) -> None:
        self.kinds = kinds

    def bound(self, shape: Shape) -> Codec:
        if shape.type is not str or shape.refs is None:
            raise TypeError(f"field {shape.name} is no key of another item")
        return ReferenceCodec(shape.refs)

    def writes(self, script: Script, value: str) -> str:
        return f"{{'reference': to.references({value})[0]}}"

    def read(self, json: Json, by: Reading) -> Any:
        _need(json, dict, "a Reference")
        return by.key_of(json, self.kinds or ())


def reference() -> Codec:
    """A Reference to an item of the case."""
    return ReferenceCodec()


def dar_extension(reason: str) -> dict[str, Json]:
    """The data-absent-reason extension."""
    return {"url": DAR_URL, "valueCode": reason}


def dar_json(reason: str, text: str | None) -> dict[str, Json]:
    """`dataAbsentReason` as a CodeableConcept."""
    return term_json(TERMS[f"dar-{reason}"], text=text)
