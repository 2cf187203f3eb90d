"""Rows for FHIR's choice elements: `when` for times, `value` for values or their absence.

A time is a moment, a period, relative to another item (extension cqf-relativeDateTime), an
encounter, an age, or absent with a reason; the sender's words ride along as originalText.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mappings.codec import (
    DAR_SYSTEM,
    DAR_URL,
    DISOWNED,
    ORIGINAL_TEXT,
    QuantityCodec,
    RangeCodec,
    ReferenceCodec,
    Unread,
    Word,
    _need,
    concept,
    contradiction,
    dar_extension,
    dar_json,
    disowned,
    duration_json,
    no_doubt,
    pairs,
    read_duration,
)
from mappings.compiled import maker
from mappings.report import Json
from mappings.rows import Row, Shapes, _left, _list
from mappings.shape import shapes
from mappings.straight import Script
from mappings.terms import TERMS, WORDS
from mappings.values import (
    DATE,
    MOMENT,
    Absent,
    Period,
    Relative,
    Span,
    Text,
    ValueOrAbsent,
    When,
)

if TYPE_CHECKING:
    from mappings.resource import Reading, Writing

RELATIVE = "http://hl7.org/fhir/StructureDefinition/cqf-relativeDateTime"
_RELATIONS = Word("relation", "code")
_ANCHOR = ReferenceCodec().bound(shapes(Relative)["anchor"])
_ELEMENTS = shapes(Relative)["anchor_element"].words
_REASONS = shapes(When)["absent"].words
_make_when, _make_period, _make_relative = maker(When), maker(Period), maker(Relative)
_make_value = maker(ValueOrAbsent)
_AGE = QuantityCodec().bound(shapes(When)["age"])
_ENCOUNTER = ReferenceCodec().bound(shapes(When)["encounter"])


# --- relative times as extensions -------------------------------------------------------------


def _relative_json(value: Relative, to: Writing) -> list[Json]:
    parts: list[Json] = [
        {"url": "target", "valueReference": _ANCHOR.write(value.anchor, to)},
        {"url": "targetPath", "valueString": value.anchor_element},
        {"url": "relationship", "valueCode": _RELATIONS.write(value.relation, to)},
    ]
    if value.offset_range is not None:
        ends = {"low": duration_json(value.offset_range.low), "high": duration_json(value.offset_range.high)}
        parts.append({"url": "offset", "valueRange": ends})
    elif value.offset is not None:
        parts.append({"url": "offset", "valueDuration": duration_json(value.offset)})
    else:
        reason = "as-text" if value.offset_text else "unknown"
        parts.append({"url": "offset", "valueDuration": {"extension": [dar_extension(reason)]}})
    found: list[Json] = [{"url": RELATIVE, "extension": parts}]
    return found + _text_json(value.offset_text)


def _text_json(text: str | None) -> list[Json]:
    return [] if text is None else [{"url": ORIGINAL_TEXT, "valueString": text}]


def _urls(json: Json) -> dict[str, dict[str, Json]]:
    """The extensions of an element by url; the first of each."""
    found: dict[str, dict[str, Json]] = {}
    for one in _list(json, "extension") if isinstance(json, dict) else ():
        if isinstance(one, dict) and isinstance(one.get("url"), str):
            found.setdefault(one["url"], one)
    return found


_PARTS = frozenset(("target", "targetPath", "relationship"))


def _read_relative(json: dict[str, Json], text: str | None, by: Reading) -> tuple[Relative, str | None]:
    """The relative time, and the text that is not its offset's."""
    parts = _urls(json)
    if not parts.keys() >= _PARTS:
        raise Unread("unreadable-element", "The relative time lacks its target, targetPath or relationship.")
    element: Any = parts["targetPath"].get("valueString")
    if element not in _ELEMENTS:
        raise Unread("bad-value", "The targetPath is another one.", f"one of {', '.join(_ELEMENTS)}")
    offsets: dict[str, Any] = {}
    offset = parts.get("offset", {})
    duration = offset.get("valueDuration")
    if isinstance(duration, dict) and "value" in duration:
        offsets["offset"] = read_duration(duration)
    elif "valueRange" in offset:
        ends = _need(offset["valueRange"], dict, "a Range")
        offsets["offset_range"] = Span(read_duration(ends.get("low")), read_duration(ends.get("high")))
    elif _urls(duration).get(DAR_URL, {}).get("valueCode") == "as-text":
        offsets["offset_text"], text = text, None
    try:
        anchor = _ANCHOR.read(parts["target"].get("valueReference"), by)
        relation = _RELATIONS.read(parts["relationship"].get("valueCode"), by)
        return _make_relative(anchor=anchor, anchor_element=element, relation=relation, **offsets), text
    except ValueError as error:
        raise Unread("bad-value", "The relative time contradicts itself.", str(error)) from None


# --- when ---------------------------------------------------------------------------------------


class WhenRow(Row):
    """A `When` in a choice element; ``names`` says which member holds which form."""

    def __init__(self, group: str, field: str, names: dict[str, str], encounter: bool) -> None:
        self.group, self.field, self.fields, self.names = group, field, (field,), names
        self.encounter = encounter
        self.members = tuple((form, name, "_" + name) for form, name in names.items())
        self.moment: Text = DATE if names.get("at") == "birthDate" else MOMENT

    def bind(self, known: Shapes) -> None:
        self.shape = known[self.field]
        if self.shape.type is not When:
            raise TypeError(f"field {self.field} holds no When")
        have = {*self.names} - {"string"} | {"absent"} | ({"encounter"} if self.encounter else set())
        have |= {"relative"} if "at" in self.names else set()
        if "birthDate" in self.names.values():
            have -= {"relative"}
        if set(self.shape.forms) != have:
            raise TypeError(f"field {self.field} takes {self.shape.forms}, its element {sorted(have)}")

    # writing

    def write(self, item: Any, out: dict[str, Json], to: Writing) -> None:
        value: When = getattr(item, self.field)
        text = _text_json(value.text)
        if value.at is not None:
            self._moment(out, value.at, text)
        elif value.period is not None:
            ends = {"extension": text} if text else {}
            out[self.names["period"]] = ends | _period_json(value.period, to)
        elif value.relative is not None:
            self._relative(out, value, to)
        elif value.encounter is not None:
            out["encounter"] = _ENCOUNTER.write(value.encounter, to)
            self._sibling(out, [dar_extension("unknown")])
        elif value.age is not None:
            out[self.names["age"]] = _AGE.write(value.age, to)
        elif value.absent == "as-text" and "string" in self.names:
            out[self.names["string"]] = value.text
        elif value.absent is not None:
            self._sibling(out, [dar_extension(value.absent), *text])

    def _moment(self, out: dict[str, Json], moment: str, text: list[Json]) -> None:
        out[self.names["at"]] = moment
        if text:
            out["_" + self.names["at"]] = {"extension": text}

    def _relative(self, out: dict[str, Json], value: When, to: Writing) -> None:
        assert value.relative is not None
        found = _relative_json(value.relative, to)
        if value.text is not None and "string" in self.names:
            out[self.names["string"]] = value.text
            out["_" + self.names["string"]] = {"extension": found}
        else:
            self._sibling(out, found + _text_json(value.text))

    def _sibling(self, out: dict[str, Json], found: list[Json]) -> None:
        if "at" in self.names:
            out["_" + self.names["at"]] = {"extension": found}
        else:
            out[self.names["period"]] = {"_start": {"extension": found}}

    # reading

    def read(self, obj: dict[str, Json], by: Reading, into: dict[str, Any]) -> None:
        try:
            found = self._read(obj, by)
        except Unread as error:
            return _left(error, self.shape.required, by)
        except ValueError as error:
            fault = Unread("bad-value", "The time contradicts itself.", str(error))
            return _left(fault.at(next(iter(self.names.values()))), self.shape.required, by)
        if found is not None:
            into[self.field] = found

    def _read(self, obj: dict[str, Json], by: Reading) -> When | None:
        encounter = None
        if self.encounter and "encounter" in obj:
            try:
                encounter = _ENCOUNTER.read(obj["encounter"], by)
            except Unread as error:
                by.unread(error.at("encounter"))
        for form, name, sibling in self.members:
            if name in obj or sibling in obj:
                try:
                    found = self._form(form, obj.get(name), obj.get(sibling), by)
                except Unread as error:
                    raise error.at(name if obj.get(name) is not None else sibling) from None
                if found is not None and not (encounter and found.absent):
                    return found
        return When(encounter=encounter) if encounter else None

    def _form(self, form: str, json: Json, sibling: Json, by: Reading) -> When | None:
        if form == "period":
            return self._read_period(json, by)
        if form == "age":
            return When(age=_AGE.read(json, by))
        extensions = _urls(sibling)
        text = extensions.get(ORIGINAL_TEXT, {}).get("valueString")
        if form == "string":
            text = _need(json, str, "a JSON string")
        if RELATIVE in extensions:
            relative, text = _read_relative(extensions[RELATIVE], text, by)
            return _make_when(relative=relative, text=text)
        if form == "string":
            return _make_when(absent="as-text", text=text)
        if json is not None:
            return _make_when(at=_moment(json, self.moment), text=text)
        return _absent(extensions, text)

    def _read_period(self, json: Json, by: Reading) -> When | None:
        if "_start" in _need(json, dict, "a Period") or "_end" in json:
            no_doubt(json)
        if "at" not in self.names and "start" not in json and "end" not in json and "_end" not in json:
            extensions = _urls(json.get("_start"))
            if RELATIVE not in extensions:
                return _absent(extensions, extensions.get(ORIGINAL_TEXT, {}).get("valueString"))
        text = _urls(json).get(ORIGINAL_TEXT, {}).get("valueString")
        ends = {name: _end(json.get(name), json.get("_" + name), by) for name in ("start", "end")}
        if ends["start"] is None and ends["end"] is None:
            raise Unread("unreadable-element", "The period has no end that can be read.")
        return _make_when(period=_make_period(**ends), text=text)


def _absent(extensions: dict[str, dict[str, Json]], text: Any) -> When | None:
    reason = extensions.get(DAR_URL, {}).get("valueCode")
    return _make_when(absent=reason, text=text) if reason in _REASONS else None


def _moment(json: Json, form: Text) -> str:
    value: str = _need(json, str, "a date or time as a JSON string")
    if not form.ok(value):
        raise Unread("bad-value", "The time has another form.", form.meaning)
    return value


def _end(json: Json, sibling: Json, by: Reading) -> str | Relative | None:
    if json is not None:
        return _moment(json, MOMENT)
    extensions = _urls(sibling)
    if RELATIVE not in extensions:
        return None
    text = extensions.get(ORIGINAL_TEXT, {}).get("valueString")
    return _read_relative(extensions[RELATIVE], text, by)[0]


def _period_json(value: Period, to: Writing) -> dict[str, Json]:
    out: dict[str, Json] = {}
    for name, end in (("start", value.start), ("end", value.end)):
        if isinstance(end, Relative):
            out["_" + name] = {"extension": _relative_json(end, to)}
        elif end is not None:
            out[name] = end
    return out


def when(group: str, field: str = "when", *, encounter: bool = False) -> Row:
    """A time in ``<group>[x]``; with ``encounter`` also during one (then the time itself is said to be unknown)."""
    return WhenRow(group, field, {"at": f"{group}DateTime", "period": f"{group}Period"}, encounter)


def onset(group: str, field: str) -> Row:
    """A time in ``onset[x]`` or ``abatement[x]``: also an age, and words beside a relative time."""
    names = {"at": "DateTime", "period": "Period", "age": "Age", "string": "String"}
    return WhenRow(group, field, {form: group + name for form, name in names.items()}, False)


def only_period(name: str, field: str = "when") -> Row:
    """A time in an element that is a Period."""
    return WhenRow(name, field, {"period": name}, False)


def only_moment(name: str, field: str = "when") -> Row:
    """A time in an element that is a dateTime, or birthDate."""
    return WhenRow(name, field, {"at": name}, False)


# --- values -------------------------------------------------------------------------------------

_MEMBERS = {"quantity": "Quantity", "concept": "CodeableConcept", "text": "String", "integer": "Integer",
            "range": "Range"}  # fmt: skip
_DAR = {TERMS[f"dar-{reason}"].code: reason for reason in _REASONS}


def read_absent(json: Json) -> Absent:
    """`dataAbsentReason` as `Absent`."""
    _need(json, dict, "a CodeableConcept")
    reason = next((_DAR[code] for s, code in pairs(json.get("coding")) if s == DAR_SYSTEM and code in _DAR), None)
    text = json.get("text")
    if reason is None:
        raise Unread("unmapped-code", "The reason is not one of the table.", f"one of {', '.join(sorted(_DAR))}")
    return Absent(reason, text if isinstance(text, str) else None)


class ValueRow(Row):
    """A `ValueOrAbsent` in ``value[x]`` or `dataAbsentReason`."""

    def __init__(self, field: str, units: tuple[str, ...]) -> None:
        self.field, self.fields, self.units = field, (field,), units

    def bind(self, known: Shapes) -> None:
        self.shape = known[self.field]
        if self.shape.type is not ValueOrAbsent:
            raise TypeError(f"field {self.field} holds no ValueOrAbsent")
        self.units = self.units or self.shape.units
        self.quantity = QuantityCodec(self.units, comparator=True)
        self.forms = {f: n for f, n in _MEMBERS.items() if not self.shape.forms or f in self.shape.forms}

    def write(self, item: Any, out: dict[str, Json], to: Writing) -> None:
        value: ValueOrAbsent = getattr(item, self.field)
        if value.absent is not None:
            out["dataAbsentReason"] = absent_json(value.absent)
        elif value.quantity is not None:
            out["valueQuantity"] = self.quantity.write(value.quantity, to)
        elif value.concept is not None:
            out["valueCodeableConcept"] = concept().write(value.concept, to)
        elif value.range is not None:
            out["valueRange"] = RangeCodec(self.units).write(value.range, to)
        elif value.text is not None:
            out["valueString"] = value.text
        else:
            out["valueInteger"] = value.integer

    def read(self, obj: dict[str, Json], by: Reading, into: dict[str, Any]) -> None:
        if error := contradiction(obj):
            return _left(error, self.shape.required, by)
        for form, suffix in self.forms.items():
            if "value" + suffix in obj:
                try:
                    if f"_value{suffix}" in obj and disowned(obj):
                        raise Unread("contradiction", DISOWNED)
                    found = self._form(form, obj["value" + suffix], by)
                except Unread as error:
                    return _left(error.at("value" + suffix), self.shape.required, by)
                into[self.field] = _make_value(**{form: found})
                return None
        if "dataAbsentReason" in obj:
            try:
                into[self.field] = ValueOrAbsent(absent=read_absent(obj["dataAbsentReason"]))
            except Unread as error:
                _left(error.at("dataAbsentReason"), self.shape.required, by)

    def _form(self, form: str, json: Json, by: Reading) -> Any:
        if form == "quantity":
            return self.quantity.read(json, by)
        if form == "concept":
            return concept().read(json, by)
        if form == "range":
            return RangeCodec(self.units).read(json, by)
        return _need(json, str if form == "text" else int, "a JSON string" if form == "text" else "a JSON integer")


def absent_json(absent: Absent) -> dict[str, Json]:
    """`Absent` as `dataAbsentReason`."""
    found = dar_json(absent.reason, absent.text)
    if absent.text is None:
        del found["text"]
    return found


def value(field: str = "value", units: tuple[str, ...] = ()) -> Row:
    """A value in one of the field's forms, or the reason why there is none."""
    return ValueRow(field, units)


class WordValue(Row):
    """A word in `valueCodeableConcept`, with the sender's text; the word ``unknown`` is a `dataAbsentReason`."""

    def __init__(self, table: str, field: str, text: str | None) -> None:
        self.field, self.text, self.codec = field, text, Word(table, "concept")
        self.fields = (field,) if text is None else (field, text)
        self.unknown = next((w for w, t in WORDS[table].items() if t.name == "dar-unknown"), None)

    def bind(self, known: Shapes) -> None:
        self.shape = known[self.field]
        self.codec.bound(self.shape)

    def writes(self, script: Script, out: str) -> None:
        script.say(f"json = {self.codec.writes(script, f'item.{self.field}')}")
        if self.text is not None:
            script.say(f"json['text'] = item.{self.text}", "if json['text'] is None:", "    del json['text']")
        name = f"'dataAbsentReason' if item.{self.field} == {self.unknown!r} else 'valueCodeableConcept'"
        script.say(f"{out}[{name}] = json")

    def read(self, obj: dict[str, Json], by: Reading, into: dict[str, Any]) -> None:
        name = "valueCodeableConcept" if "valueCodeableConcept" in obj else "dataAbsentReason"
        if name not in obj or (name == "dataAbsentReason" and self.unknown is None):
            return None
        if error := contradiction(obj):
            return _left(error, self.shape.required, by)
        try:
            word = self.codec.read(obj[name], by)
            if (word == self.unknown) != (name == "dataAbsentReason"):
                raise Unread("unmapped-code", "The code is not one of the table.", self.codec.expected())
            into[self.field] = word
            if self.text is not None and isinstance(obj[name].get("text"), str):
                into[self.text] = obj[name]["text"]
        except Unread as error:
            _left(error.at(name), self.shape.required, by)


def word_value(table: str, field: str, text: str | None = None) -> Row:
    """A word as the value of an Observation or component; ``text`` is the field of the sender's own words."""
    return WordValue(table, field, text)
