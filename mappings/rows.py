"""The rows of a table: where a fact lives in a resource. Each row writes, reads, and checks itself.

``at`` an element; ``inside`` a nested element; ``extension`` and ``component``, found by their
url or code; ``fixed`` and ``also`` for what is always written. Choice elements (`when`, `value`)
are in `choices`; references and items of several resources in `many`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any

from mappings.codec import Codec, ReferenceCodec, Unread, _need, no_modifier, pairs, term_json
from mappings.report import Json
from mappings.shape import Shape, shapes
from mappings.terms import Term

if TYPE_CHECKING:
    from mappings.resource import Reading, Writing

Shapes = dict[str, Shape]
Steps = list[str | int]


class Row:
    """One row. ``fields`` are the case fields that it maps.

    ``member`` is the JSON member without which there is nothing to read, None if there is no one such;
    ``parts`` are (member, field, codec) of what the row writes, where no path of it tells.
    """

    fields: tuple[str, ...] = ()
    member: str | None = None
    parts: tuple[tuple[str, str, Codec | None], ...] = ()

    def bind(self, known: Shapes) -> None:
        """Check the row against the dataclass, at import."""

    def write(self, item: Any, out: dict[str, Json], to: Writing) -> None:
        """Put the item's facts into the element."""

    def read(self, obj: dict[str, Json], by: Reading, into: dict[str, Any]) -> None:
        """Take the facts out of the element; what is not understood is left there."""

    def settle(self, resource: dict[str, Json], dropped: Callable[[str, Json], None]) -> None:
        """Take out foreign content that the resource's new facts make untrue."""


# --- paths ----------------------------------------------------------------------------------


class Path:
    """Where an element lies in another: ``name.name``; ``name[0]`` is the first of a list.

    ``steps`` are the names as they were given, ``at`` the same as steps through JSON, ``only`` is the one name of a
    path that has no more.
    """

    def __init__(self, text: str) -> None:
        self.steps = tuple(text.split("."))
        self.names = tuple((step.removesuffix("[0]"), step.endswith("[0]")) for step in self.steps)
        self.at: Steps = [step for name, first in self.names for step in ((name, 0) if first else (name,))]
        self.member, first = self.names[0]
        self.only = None if first or len(self.steps) > 1 else self.member

    def get(self, obj: dict[str, Json]) -> Json:
        """The value there, or `MISSING`."""
        if self.only is not None:
            return obj.get(self.only, MISSING)
        here: Json = obj
        for name, first in self.names:
            if not isinstance(here, dict):
                raise Unread("wrong-type", "The element has another shape.", "a JSON object")
            no_modifier(here)
            here = here.get(name, MISSING)
            if first and here is not MISSING:
                here = _need(here, list, "a JSON array")
                here = here[0] if here else MISSING
            if here is MISSING:
                return MISSING
        return here

    def put(self, out: dict[str, Json], value: Json) -> None:
        """Write the value there, making what lies on the way."""
        if self.only is not None:
            out[self.only] = value
            return
        for name, first in self.names[:-1]:
            out = out.setdefault(name, [{}])[0] if first else out.setdefault(name, {})
        name, first = self.names[-1]
        out[name] = [value] if first else value


# --- single elements ------------------------------------------------------------------------


class At(Row):
    """A field at a path; a field of many values is a list there."""

    def __init__(self, path: str, codec: Codec, field: str) -> None:
        self.path, self.codec, self.field, self.fields = Path(path), codec, field, (field,)
        self.member = self.path.member
        #: the list where others add to it, of which the field is one
        self.list = Path(path.removesuffix("[0]")) if path.endswith("[0]") else None

    def bind(self, known: Shapes) -> None:
        self.shape = known[self.field]
        self.codec = self.codec.bound(self.shape)

    def write(self, item: Any, out: dict[str, Json], to: Writing) -> None:
        value = getattr(item, self.field)
        if value is None:
            return
        if not self.shape.many:
            self.path.put(out, self.codec.write(value, to))
        elif value:
            self.path.put(out, [self.codec.write(one, to) for one in value])

    def read(self, obj: dict[str, Json], by: Reading, into: dict[str, Any]) -> None:
        if self.list is not None:
            return self._read_first(self.list, obj, by, into)
        try:
            json = self.path.get(obj)
            if json is MISSING:
                return None
            if self.shape.many:
                if found := read_many(_need(json, list, "a JSON array"), self.codec, by, self.path.at):
                    into[self.field] = distinct(self.shape, found)
            else:
                into[self.field] = read_one(json, self.codec, by, self.path.at)
        except Unread as error:
            _left(error.at(*self.path.at), self.shape.required, by)

    def _read_first(self, path: Path, obj: dict[str, Json], by: Reading, into: dict[str, Any]) -> None:
        """Of a list that others add to, the first item that is understood."""
        fault = None
        try:
            json = path.get(obj)
            for index, one in enumerate(() if json is MISSING else _need(json, list, "a JSON array")):
                try:
                    into[self.field] = read_one(one, self.codec, by, [*path.at, index])
                    return
                except Unread as error:
                    fault = fault or error.at(index)
                    if error.code == "modifier":
                        break
            if fault is not None:
                raise fault
        except Unread as error:
            _left(error.at(*path.at), self.shape.required, by)


def read_one(json: Json, codec: Codec, by: Reading, steps: Steps) -> Any:
    """The value of an element that lies at ``steps``: what is noted inside it gets its whole path."""
    by.steps.append(steps)
    try:
        return codec.read(json, by)
    finally:
        by.steps.pop()


def _left(error: Unread, required: bool, by: Reading) -> None:
    """A field that must be there takes its resource with it; another is left in the rest."""
    if required or error.code == "modifier":
        raise error
    by.unread(error)


def read_many(items: list[Json], codec: Codec, by: Reading, steps: Steps) -> tuple[Any, ...]:
    """Each item that can be read, in order."""
    found = []
    for index, json in enumerate(items):
        try:
            found.append(read_one(json, codec, by, [*steps, index]))
        except Unread as error:
            if error.code == "modifier":
                raise error.at(index) from None
            by.unread(error.at(*steps, index))
    return tuple(found)


def distinct(shape: Shape, found: Iterable[Any]) -> tuple[Any, ...]:
    """The values of a list; words and keys each once, for a case names none twice."""
    return tuple(dict.fromkeys(found) if shape.words or shape.refs is not None else found)


def at(path: str, codec: Codec, field: str) -> Row:
    """A field at an element: ``at("bodySite", concept(), "site")``; ``name[0]`` is one of a list, the first so read."""
    return At(path, codec, field)


class OnlyOne(At):
    """A field of many values where this resource type has room for one (its rules say so)."""

    def write(self, item: Any, out: dict[str, Json], to: Writing) -> None:
        for value in getattr(item, self.field)[:1]:
            self.path.put(out, self.codec.write(value, to))

    def read(self, obj: dict[str, Json], by: Reading, into: dict[str, Any]) -> None:
        try:
            json = self.path.get(obj)
            if json is not MISSING:
                into[self.field] = (read_one(json, self.codec, by, self.path.at),)
        except Unread as error:
            _left(error.at(*self.path.at), self.shape.required, by)


def only_one(path: str, codec: Codec, field: str) -> Row:
    """A field of many values where this resource type has room for one."""
    return OnlyOne(path, codec, field)


class Fixed(Row):
    """A concept that is always written; where ``verify``, the resource must have it."""

    def __init__(self, path: str, term: Term, verify: bool) -> None:
        self.path, self.term, self.verify = Path(path), term, verify

    def write(self, item: Any, out: dict[str, Json], to: Writing) -> None:
        self.path.put(out, term_json(self.term, to.optional_codes))

    def read(self, obj: dict[str, Json], by: Reading, into: dict[str, Any]) -> None:
        if self.verify:
            json = self.path.get(obj)
            if not (isinstance(json, dict) and any(p in self.term.pairs for p in pairs(json.get("coding")))):
                raise Unread("unmapped-code", "The code is another one.", self.term.code).at(*self.path.at)


def fixed(path: str, term: Term) -> Row:
    """A concept that makes the resource what it is: written always, verified on reading."""
    return Fixed(path, term, verify=True)


def also(path: str, term: Term) -> Row:
    """A concept that is written for the benefit of others and not needed on reading."""
    return Fixed(path, term, verify=False)


class Constant(Row):
    """A code that a resource of this table always has, such as a status that the case does not tell."""

    def __init__(self, path: str, term: Term) -> None:
        self.path, self.term = Path(path), term

    def write(self, item: Any, out: dict[str, Json], to: Writing) -> None:
        self.path.put(out, self.term.code)

    def read(self, obj: dict[str, Json], by: Reading, into: dict[str, Any]) -> None:
        json = self.path.get(obj)
        if json == "entered-in-error":
            raise Unread("entered-in-error", "The record is marked as entered in error.").at(*self.path.at)
        if json != self.term.code:
            raise Unread("unmapped-code", "The code is another one.", self.term.code).at(*self.path.at)


def constant(path: str, term: Term) -> Row:
    """A bare code that is written always and verified on reading."""
    return Constant(path, term)


class Derived(Row):
    """An element that follows from the item or its owner: written, compared, never read."""

    def __init__(self, path: str, make: Callable[[Any, Writing], Json]) -> None:
        self.path, self.make = Path(path), make

    def write(self, item: Any, out: dict[str, Json], to: Writing) -> None:
        value = self.make(item, to)
        if value is not None:
            self.path.put(out, value)


def derived(path: str, make: Callable[[Any, Writing], Json]) -> Row:
    """An element that others need and that follows from the case: it is no fact of its own."""
    return Derived(path, make)


class Flag(Row):
    """A field that is True or not given <-> a concept that is there or not."""

    def __init__(self, path: str, field: str, on: Term, off: Term | None) -> None:
        self.path, self.field, self.fields, self.on, self.off = Path(path), field, (field,), on, off
        self.list = Path(path.removesuffix("[0]"))

    def bind(self, known: Shapes) -> None:
        if known[self.field].words != (True,):
            raise TypeError(f"field {self.field} is no Literal[True]")

    def write(self, item: Any, out: dict[str, Json], to: Writing) -> None:
        term = self.on if getattr(item, self.field) else self.off
        if term is not None:
            self.path.put(out, term_json(term, to.optional_codes))

    def read(self, obj: dict[str, Json], by: Reading, into: dict[str, Any]) -> None:
        json = self.list.get(obj)
        concepts = json if isinstance(json, list) else [json]
        found = {pair for one in concepts if isinstance(one, dict) for pair in pairs(one.get("coding"))}
        if found & self.on.pairs:
            into[self.field] = True
        elif self.off is not None and not found & self.off.pairs:
            raise Unread("unmapped-code", "The code is another one.", self.off.code).at(*self.path.at)


def flag(path: str, field: str, on: Term, off: Term | None = None) -> Row:
    """True <-> the concept ``on``; not given <-> the concept ``off``, or none."""
    return Flag(path, field, on, off)


# --- nested elements ------------------------------------------------------------------------


class Nest(Row):
    """Rows of the same item that live in a nested element, made only if one of them writes."""

    def __init__(self, rows: tuple[Row, ...]) -> None:
        self.rows = rows
        self.fields = tuple(field for row in rows for field in row.fields)

    def bind(self, known: Shapes) -> None:
        """Bind the rows."""
        for row in self.rows:
            row.bind(known)

    def write(self, item: Any, out: dict[str, Json], to: Writing) -> None:
        """Write the rows into a new element and attach it, unless it stays empty."""
        inner: dict[str, Json] = {}
        for row in self.rows:
            row.write(item, inner, to)
        if inner:
            self.attach(out, inner)

    def read(self, obj: dict[str, Json], by: Reading, into: dict[str, Any]) -> None:
        """Read the rows from the element, if it is there."""
        try:
            found, steps = self.find(obj)
        except Unread as error:
            return _left(error, False, by)
        if found is not None:
            read_rows(self.rows, found, by, into, steps)

    def attach(self, out: dict[str, Json], inner: dict[str, Json]) -> None:
        """Put the new element in its place."""
        raise NotImplementedError

    def find(self, obj: dict[str, Json]) -> tuple[dict[str, Json] | None, Steps]:
        """The element and its path."""
        raise NotImplementedError


def read_rows(rows: tuple[Row, ...], obj: dict[str, Json], by: Reading, into: dict[str, Any], steps: Steps) -> None:
    """Read the rows from an element that lies at ``steps``."""
    by.steps.append(steps)
    try:
        no_modifier(obj)
        for row in rows:
            if row.member is None or row.member in obj:
                row.read(obj, by, into)
    except Unread as error:
        raise error.at(*steps) from None
    finally:
        by.steps.pop()


class Inside(Nest):
    """A nested element at a path."""

    def __init__(self, path: str, rows: tuple[Row, ...]) -> None:
        super().__init__(rows)
        self.path = Path(path)
        self.member = self.path.member

    def attach(self, out: dict[str, Json], inner: dict[str, Json]) -> None:
        self.path.put(out, inner)

    def find(self, obj: dict[str, Json]) -> tuple[dict[str, Json] | None, Steps]:
        json = self.path.get(obj)
        if json is MISSING:
            return None, []
        if not isinstance(json, dict):
            raise Unread("wrong-type", "The element has another shape.", "a JSON object").at(*self.path.at)
        return json, self.path.at


class InList(Nest):
    """A nested element in a list, found by its url or its code."""

    def __init__(
        self, name: str, head: Callable[[], dict[str, Json]], is_it: Callable[[Json], bool], rows: tuple[Row, ...]
    ) -> None:
        super().__init__(rows)
        self.name, self.head, self.is_it, self.member = name, head, is_it, name

    def attach(self, out: dict[str, Json], inner: dict[str, Json]) -> None:
        out.setdefault(self.name, []).append(self.head() | inner)

    def find(self, obj: dict[str, Json]) -> tuple[dict[str, Json] | None, Steps]:
        for index, json in enumerate(_list(obj, self.name)):
            if isinstance(json, dict) and self.is_it(json):
                return json, [self.name, index]
        return None, []


def _list(obj: dict[str, Json], name: str) -> list[Json]:
    json = obj.get(name, ())
    return json if isinstance(json, list) else []


def inside(path: str, *rows: Row) -> Row:
    """Rows within a nested element."""
    return Inside(path, rows)


def inside_extension(url: str, *rows: Row) -> Row:
    """Rows within a complex extension."""
    return InList("extension", lambda: {"url": url}, lambda json: bool(json.get("url") == url), rows)


def component(term: Term, *rows: Row) -> Row:
    """Rows within the component of an Observation that has this code."""

    def is_it(json: Json) -> bool:
        code = json.get("code")
        return isinstance(code, dict) and any(pair in term.pairs for pair in pairs(code.get("coding")))

    return InList("component", lambda: {"code": term_json(term)}, is_it, rows)


class Listed(Row):
    """A field whose values share a list with others: ``is_ours`` tells them apart."""

    def __init__(self, name: str, codec: Codec, field: str, is_ours: Callable[[dict[str, Json]], bool]) -> None:
        self.name, self.codec, self.field, self.fields, self.is_ours = name, codec, field, (field,), is_ours
        self.member = name

    def bind(self, known: Shapes) -> None:
        self.shape = known[self.field]
        self.codec = self.codec.bound(self.shape)

    def write(self, item: Any, out: dict[str, Json], to: Writing) -> None:
        value = getattr(item, self.field)
        for one in value if self.shape.many else () if value is None else (value,):
            out.setdefault(self.name, []).append(self.codec.write(one, to))

    def read(self, obj: dict[str, Json], by: Reading, into: dict[str, Any]) -> None:
        found = []
        for index, json in enumerate(_list(obj, self.name)):
            if isinstance(json, dict) and self.is_ours(json):
                try:
                    found.append(read_one(json, self.codec, by, [self.name, index]))
                except Unread as error:
                    _left(error.at(self.name, index), self.shape.required, by)
        if found:
            into[self.field] = tuple(found) if self.shape.many else found[0]


def listed(name: str, codec: Codec, field: str, is_ours: Callable[[dict[str, Json]], bool]) -> Row:
    """A field in a list that other rows share; ``is_ours`` says which items are the field's."""
    return Listed(name, codec, field, is_ours)


class Extension(Row):
    """A field as the value of an extension; many values are many extensions."""

    member = "extension"

    def __init__(self, url: str, name: str | None, codec: Codec, field: str) -> None:
        self.url, self.name, self.codec, self.field, self.fields = url, name, codec, field, (field,)

    def bind(self, known: Shapes) -> None:
        self.shape = known[self.field]
        self.codec = self.codec.bound(self.shape)

    def write(self, item: Any, out: dict[str, Json], to: Writing) -> None:
        value = getattr(item, self.field)
        if value is None:
            return
        for one in value if self.shape.many else (value,):
            made = out.setdefault("extension", [])
            if isinstance(self.codec, ReferenceCodec):
                made += [{"url": self.url, self.name: {"reference": ref}} for ref in to.references(one)]
            elif self.name is None:
                made.append({"url": self.url} | self.codec.write(one, to))
            else:
                made.append({"url": self.url, self.name: self.codec.write(one, to)})

    def read(self, obj: dict[str, Json], by: Reading, into: dict[str, Any]) -> None:
        found = []
        for index, json in enumerate(_list(obj, "extension")):
            if not isinstance(json, dict) or json.get("url") != self.url:
                continue
            steps: Steps = ["extension", index, *([self.name] if self.name else [])]
            try:
                found.append(read_one(json if self.name is None else json.get(self.name), self.codec, by, steps))
            except Unread as error:
                _left(error.at(*steps), self.shape.required, by)
        if found:
            into[self.field] = distinct(self.shape, found) if self.shape.many else found[0]


def extension(url: str, name: str | None, codec: Codec, field: str) -> Row:
    """A field in an extension: ``name`` is its ``value[x]`` member, None for a complex one."""
    return Extension(url, name, codec, field)


class Element:
    """A dataclass that lives in one element, by rows of its own: a codec made of rows."""

    def __init__(self, cls: type, *rows: Row) -> None:
        self.yields, self.rows = cls, rows
        self.required = bind_all(cls, rows)

    def bound(self, shape: Shape) -> Codec:
        if shape.type is not self.yields:
            raise TypeError(f"field {shape.name} holds no {self.yields.__name__}")
        return self

    def write(self, value: Any, to: Writing) -> Json:
        out: dict[str, Json] = {}
        for row in self.rows:
            row.write(value, out, to)
        return out

    def read(self, json: Json, by: Reading) -> Any:
        into: dict[str, Any] = {}
        read_rows(self.rows, _need(json, dict, "a JSON object"), by, into, [])
        return build(self.yields, self.required, into)


def build(cls: type, required: tuple[str, ...], into: dict[str, Any]) -> Any:
    """The dataclass from what was read."""
    missing = [name for name in required if name not in into]
    if missing:
        raise Unread("missing-field", f"Nothing gives {', '.join(missing)}.", "the element that gives it")
    try:
        return cls(**into)
    except ValueError as error:
        raise Unread("bad-value", "The element contradicts itself.", str(error)) from None


def bind_all(cls: type, rows: tuple[Row, ...], besides: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Bind the rows to the dataclass; every field must be mapped exactly once. Gives the required fields."""
    known = shapes(cls)
    mapped = [field for row in rows for field in row.fields] + list(besides)
    names = [field.name for field in fields(cls)]
    if sorted(mapped) != sorted(names):
        twice = sorted({name for name in mapped if mapped.count(name) > 1})
        raise TypeError(
            f"{cls.__name__}: mapped twice {twice}, not mapped {sorted(set(names) - set(mapped))}, "
            f"unknown {sorted(set(mapped) - set(names))}"
        )
    for row in rows:
        row.bind(known)
    return tuple(name for name, shape in known.items() if shape.required and name not in besides)


class Embed(Row):
    """A field that is a dataclass whose rows live in the same element."""

    def __init__(self, element: Element, field: str) -> None:
        self.element, self.field, self.fields = element, field, (field,)

    def bind(self, known: Shapes) -> None:
        self.element.bound(known[self.field])

    def write(self, item: Any, out: dict[str, Json], to: Writing) -> None:
        value = getattr(item, self.field)
        if value is not None:
            for row in self.element.rows:
                row.write(value, out, to)

    def read(self, obj: dict[str, Json], by: Reading, into: dict[str, Any]) -> None:
        found: dict[str, Any] = {}
        read_rows(self.element.rows, obj, by, found, [])
        if found:
            into[self.field] = build(self.element.yields, self.element.required, found)


def embed(element: Element, field: str) -> Row:
    """A dataclass whose facts lie in the element of its owner."""
    return Embed(element, field)
